/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What tls_get() and tls_try_get() return is alive when they return, whatever
 * callbacks ran meanwhile: destroy callbacks of stale values that the call came
 * upon may remove, replace or take the very value. And what an init callback
 * has made is ended once, also if it set its own key and another thread takes
 * or purges values meanwhile.
 */
#include "lives.h"
#include "worker.h"

#define STALE 20
#define KEPT 64

/* What varies; main() sets it before each test. */
static uint32_t reclaim, flags;
static void (*meddle)(tls_key_t key); /* what destroy callbacks of stale values do */
static int how_to_get;
static bool in_a_scope, on_a_moved_map;

static tls_key_t stale[STALE], wanted, kept[KEPT];

/* ---- Getting ------------------------------------------------------------------ */

static void
meddle_by_remove(tls_key_t key)
{
    tls_remove(key);
}

static void
meddle_by_set(tls_key_t key)
{
    life_set(key);
}

static void
meddle_by_take(tls_key_t key)
{
    void *old = NULL;

    if (tls_take(key, &old) == TLS_OK)
        life_end(old);
}

static void
meddle_by_swap(tls_key_t key)
{
    void *value = life();
    void *old = NULL;

    life_end(tls_swap(key, value, &old) == TLS_OK ? old : value);
}

static void
meddle_by_remove_all(tls_key_t key)
{
    (void)key;
    tls_remove_all();
}

static void
meddle_by_purge(tls_key_t key)
{
    tls_key_purge(key, NULL);
}

static int
take_life(void *value, uint64_t thread, void *argument)
{
    (void)thread;
    (void)argument;
    life_end(value);
    return 0;
}

static void
meddle_by_scrape(tls_key_t key)
{
    tls_scrape(key, take_life, NULL);
}

static void
meddle_by_scope(tls_key_t key)
{
    tls_scope_t scope;

    if (tls_scope_begin(&scope, NULL) != TLS_OK)
        return;
    life_set(key);
    tls_scope_end(scope);
}

static void
meddle_by_growth(tls_key_t key)
{
    tls_key_t keys[40];
    int i;

    for (i = 0; i < 40; i++) {
        keys[i] = life_key(TLS_RECLAIM_OWNER, 0, NULL);
        life_set(keys[i]);
    }
    tls_remove(key);
    for (i = 0; i < 40; i++)
        CHECK_OK(tls_key_release(keys[i]));
}

static void
meddle_by_get(tls_key_t key)
{
    void *value = tls_get(key);

    CHECK(value == NULL || !life_is_over(value));
    tls_remove(key);
}

static void
destroy_and_meddle(void *value, int reason, void *user)
{
    life_destroy(value, reason, user);
    meddle(wanted);
}

static void *
release_stale(void *argument)
{
    size_t i;

    for (i = 0; i < STALE; i++)
        CHECK_OK(tls_key_release(stale[i]));
    return argument;
}

static void
make_stale(void)
{
    tls_key_options_t options = test_options();
    size_t i;

    options.destroy = destroy_and_meddle;
    for (i = 0; i < STALE; i++) {
        stale[i] = test_key_from(&options);
        CHECK_OK(life_set(stale[i]));
    }
    test_in_thread(release_stale, NULL);
}

static void
check_get(tls_key_t key)
{
    void *value = NULL;

    wanted = key;
    switch (how_to_get) {
    case 0: value = tls_get(key); break;
    case 1: value = (tls_get)(key); break;
    case 2: value = tls_get_existing(key); break;
    default:
        if (tls_try_get(key, &value) != TLS_OK)
            value = NULL;
        break;
    }
    CHECK(value == NULL || !life_is_over(value));
}

static tls_map_t *map;
static tls_scope_t scope;

static void
begin(void)
{
    CHECK_OK(tls_map_create(&map));
    if (on_a_moved_map)
        CHECK_OK(tls_map_switch(map, NULL));
}

static void
finish(void)
{
    tls_expunge();
    if (in_a_scope)
        CHECK_OK(tls_scope_end(scope));
    tls_remove_all();
    if (on_a_moved_map)
        CHECK_OK(tls_map_switch(NULL, NULL));
    CHECK_OK(tls_map_destroy(map));
    CHECK_OK(tls_thread_detach());
    lives_check();
}

/* A miss, whose value init makes. */
static void
a_made_value_is_alive_when_it_is_returned(void)
{
    tls_key_t key = life_key(reclaim, flags, life_init);
    int i;

    begin();
    if (in_a_scope)
        CHECK_OK(tls_scope_begin(&scope, NULL));
    for (i = 0; i < 5; i++) {
        make_stale();
        check_get(key);
        tls_remove(key);
    }
    finish();
    CHECK_OK(tls_key_release(key));
}

/* A hit, but not at the key's home: the call is made, and may find stale ones. */
static void
a_standing_value_is_alive_when_it_is_returned(void)
{
    size_t i;

    begin();
    for (i = 0; i < KEPT; i++) {
        kept[i] = life_key(reclaim, flags, i % 2 ? life_init : NULL);
        CHECK_OK(life_set(kept[i]));
    }
    if (in_a_scope)
        CHECK_OK(tls_scope_begin(&scope, NULL));
    for (i = 0; i < KEPT; i++) {
        make_stale();
        check_get(kept[i]);
    }
    finish();
    for (i = 0; i < KEPT; i++)
        CHECK_OK(tls_key_release(kept[i]));
}

/* ---- What init made ------------------------------------------------------------ */

static tls_key_t own;
static worker_t other;
static void (*take_out)(void *argument); /* what another thread does meanwhile */
static bool inside_init;

static int
init_that_sets(void **value, void *user)
{
    (void)user;
    CHECK_OK(life_set(own));
    if (inside_init)
        worker_do(&other, take_out, NULL);
    *value = life();
    return 0;
}

static void
purge_own(void *argument)
{
    int code = tls_key_purge(own, NULL);

    (void)argument;
    CHECK(code == TLS_OK || code == TLS_ERR_BUSY || code == TLS_ERR_INVALID);
}

static void
scrape_own(void *argument)
{
    int code = tls_scrape(own, take_life, argument);

    CHECK(code == TLS_OK || code == TLS_ERR_BUSY || code == TLS_ERR_INVALID);
}

static size_t stop;

static void *
take_out_in_a_loop(void *argument)
{
    while (test_count(&stop) == 0)
        take_out(argument);
    return argument;
}


static void
what_init_made_is_ended_once(void)
{
    size_t rounds = inside_init ? 100 : test_scaled(100000, 200);
    pthread_t thread;
    size_t i;

    begin();
    own = life_key(reclaim, flags, init_that_sets);
    worker_start(&other);
    thread = test_start(take_out_in_a_loop, NULL);
    for (i = 0; i < rounds; i++) {
        void *value = NULL;

        if (in_a_scope)
            CHECK_OK(tls_scope_begin(&scope, NULL));
        CHECK_OK(tls_try_get(own, &value));
        CHECK_OK(tls_remove(own));
        if (in_a_scope)
            CHECK_OK(tls_scope_end(scope));
    }
    apart_set(&stop, 1);
    test_join(thread);
    worker_stop(&other);
    in_a_scope = false;
    finish();
    CHECK_UINT(test_stats().leaked, 0);
    life_key_is_drained(own);
    CHECK_OK(tls_key_release(own));
    life_key_is_drained(own);
}

/* ---- What init made, and the end of what it had set before -------------------------- */

static bool replaces_first; /* the callback sets the key before it hides the value */
static void (*hide)(void);  /* how it then hides or removes it */
static size_t endings;
static tls_scope_t opened;
static tls_context_t *empty_context;

static void
hide_by_remove(void)
{
    CHECK_OK(tls_scope_begin(&opened, NULL));
    CHECK_OK(tls_remove(own));
}

static void
hide_by_remove_all(void)
{
    CHECK_OK(tls_scope_begin(&opened, NULL));
    CHECK_OK(tls_remove_all());
}

static void
hide_by_take(void)
{
    void *value = VALUE(1);

    CHECK_OK(tls_scope_begin(&opened, NULL));
    CHECK_OK(tls_take(own, &value));
    CHECK_PTR(value, NULL);
}

static void
hide_by_context(void)
{
    CHECK_OK(tls_scope_begin(&opened, empty_context));
}

static void
replace_and_lose(void)
{
    CHECK_OK(life_set(own));
    worker_do(&other, scrape_own, NULL);
}

static void
swap_and_lose(void)
{
    void *old = NULL;

    CHECK_OK(tls_swap(own, life(), &old));
    life_end(old);
    worker_do(&other, scrape_own, NULL);
}

static void
destroy_and_hide(void *value, int reason, void *user)
{
    life_destroy(value, reason, user);
    if (test_count_up(&endings) > 1)
        return;
    if (replaces_first)
        CHECK_OK(life_set(own));
    hide();
}

static int
init_that_sets_own(void **value, void *user)
{
    (void)user;
    CHECK_OK(life_set(own));
    *value = life();
    return 0;
}

/* Init has set its key, so what it returns replaces that; whose callback hides the key. */
static void
what_is_returned_is_alive_when_a_callback_has_hidden_it(void)
{
    tls_key_options_t options = test_options();
    int i;

    options.init = init_that_sets_own;
    options.copy = life_copy;
    options.destroy = destroy_and_hide;
    options.flags = TLS_KEY_INHERIT | TLS_KEY_ENUMERABLE;
    worker_start(&other);
    for (i = 0; i < 4; i++) {
        if (i == 2)
            continue; /* tls_get_existing() makes nothing */
        begin();
        CHECK_OK(tls_context_capture(&empty_context));
        own = test_key_from(&options);
        endings = 0;
        how_to_get = i;
        check_get(own);
        if (opened != 0)
            CHECK_OK(tls_scope_end(opened));
        opened = 0;
        tls_remove(own);
        CHECK_OK(tls_key_release(own));
        tls_context_free(empty_context);
        finish();
    }
    worker_stop(&other);
}

static void
run_hidings(void)
{
    static const struct {
        const char *name;
        void (*hide)(void);
    } ways[] = {
        {"remove", hide_by_remove},
        {"remove all", hide_by_remove_all},
        {"take", hide_by_take},
        {"context", hide_by_context},
        {"set, taken by another thread", replace_and_lose},
        {"swap, taken by another thread", swap_and_lose},
    };
    char variant[64];
    size_t i;

    for (i = 0; i < 2 * sizeof(ways) / sizeof(ways[0]); i++) {
        hide = ways[i / 2].hide;
        replaces_first = i % 2 != 0;
        snprintf(variant, sizeof(variant), "(%s%s)", ways[i / 2].name,
                 replaces_first ? ", after a set" : "");
        RUN_APART_AS(what_is_returned_is_alive_when_a_callback_has_hidden_it, variant);
    }
}

typedef struct meddling {
    const char *name;
    void (*meddle)(tls_key_t key);
} meddling_t;

static const meddling_t meddlings[] = {
    {"remove", meddle_by_remove},         {"set", meddle_by_set},
    {"take", meddle_by_take},             {"swap", meddle_by_swap},
    {"remove all", meddle_by_remove_all}, {"purge", meddle_by_purge},
    {"scrape", meddle_by_scrape},         {"scope", meddle_by_scope},
    {"growth", meddle_by_growth},         {"get", meddle_by_get},
};

static void
run_all(const char *what)
{
    static const char *const gets[] = {"get", "exported get", "get_existing", "try_get"};
    char variant[128];
    size_t i;

    for (i = 0; i < 4 * sizeof(meddlings) / sizeof(meddlings[0]); i++) {
        how_to_get = (int)(i % 4);
        meddle = meddlings[i / 4].meddle;
        snprintf(variant, sizeof(variant), "(%s; %s, meddled with by %s)", what,
                 gets[how_to_get], meddlings[i / 4].name);
        RUN_APART_OF_MANY(a_made_value_is_alive_when_it_is_returned, variant);
        RUN_APART_OF_MANY(a_standing_value_is_alive_when_it_is_returned, variant);
    }
    for (i = 0; i < 4; i++) {
        take_out = i % 2 ? scrape_own : purge_own;
        inside_init = i / 2 != 0;
        snprintf(variant, sizeof(variant), "(%s; %s%s)", what, i % 2 ? "scrape" : "purge",
                 inside_init ? " inside init" : "");
        RUN_APART_OF_DOZENS(what_init_made_is_ended_once, variant);
    }
}

int
main(void)
{
    run_hidings();
    run_all("owner");
    reclaim = TLS_RECLAIM_ANY;
    flags = TLS_KEY_ENUMERABLE;
    run_all("any, enumerable");
    in_a_scope = true;
    run_all("any, enumerable, scope");
    flags |= TLS_KEY_INHERIT;
    in_a_scope = false;
    on_a_moved_map = true;
    run_all("any, enumerable, inherit, moved map");
    reclaim = TLS_RECLAIM_OWNER;
    flags = TLS_KEY_WORKER;
    in_a_scope = true;
    run_all("worker, moved map, scope");
    return apart_finish();
}
