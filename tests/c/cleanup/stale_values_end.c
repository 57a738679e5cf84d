/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Stale values and the calls that come upon them. What a call's sweep of the
 * table finds is ended or stays counted: tls_stale_count() says how many values
 * are left, and tls_expunge() ends all of them. No other call ends more than 8
 * of them, however many there are.
 */
#include "lives.h"
#include "worker.h"

#define MOST 40

/* What varies; main() sets it before each test. */
static uint32_t reclaim, flags;
static bool in_a_scope, on_a_moved_map;
static void (*use)(void);

static tls_key_t visited, keys[MOST];
static size_t count;         /* of keys that die */
static size_t inside, leave;

static int
stay_inside(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    (void)argument;
    apart_set(&inside, 1);
    apart_wait(&leave, 1);
    return 0;
}

static void *
visit(void *argument)
{
    CHECK_OK(tls_for_each(visited, stay_inside, NULL));
    return argument;
}

static void *
release_keys(void *argument)
{
    size_t i;

    for (i = 0; i < count; i++)
        CHECK_OK(tls_key_release(keys[i]));
    return argument;
}

/* ---- Calls on the key whose value is visited ------------------------------ */

static void
set_it(void)
{
    CHECK_OK(life_set(visited));
}

static void
set_it_often(void)
{
    int i;

    for (i = 0; i < 10; i++)
        CHECK_OK(life_set(visited));
}

static void
remove_it(void)
{
    CHECK_OK(tls_remove(visited));
}

static void
remove_and_set_it(void)
{
    CHECK_OK(tls_remove(visited));
    CHECK_OK(life_set(visited));
}

static void
hide_it(void)
{
    tls_scope_t scope;

    CHECK_OK(tls_scope_begin(&scope, NULL));
    CHECK_OK(life_set(visited));
    CHECK_OK(tls_scope_end(scope));
}

static void
remove_all(void)
{
    CHECK_OK(tls_remove_all());
}

static void
take_it(void)
{
    void *old = NULL;

    if (tls_take(visited, &old) == TLS_OK)
        life_end(old);
}

static void
swap_it(void)
{
    void *value = life();
    void *old = NULL;

    life_end(tls_swap(visited, value, &old) == TLS_OK ? old : value);
}

static void
stale_values_are_counted_and_expunged(void)
{
    tls_map_t *map = NULL;
    tls_scope_t scope;
    pthread_t visitor;
    size_t i, left = 0;

    visited = life_key(reclaim, flags | TLS_KEY_ENUMERABLE, NULL);
    CHECK_OK(tls_map_create(&map));
    if (on_a_moved_map)
        CHECK_OK(tls_map_switch(map, NULL));
    CHECK_OK(life_set(visited));
    if (in_a_scope)
        CHECK_OK(tls_scope_begin(&scope, NULL));
    for (i = 0; i < count; i++) {
        keys[i] = life_key(TLS_RECLAIM_OWNER, flags, NULL);
        CHECK_OK(life_set(keys[i]));
    }
    visitor = test_start(visit, NULL);
    apart_wait(&inside, 1);
    test_in_thread(release_keys, NULL);
    CHECK_UINT(tls_stale_count(), count);
    CHECK_UINT(tls_expunge_some(0), 0); /* learns of the deaths */
    CHECK_UINT(tls_stale_count(), count);
    use();
    for (i = 0; i < count; i++) /* the values 2, 3, ... */
        left += !life_is_over(VALUE(i + 2));
    CHECK_UINT(tls_stale_count(), left);
    apart_set(&leave, 1);
    test_join(visitor);
    tls_expunge();
    CHECK_UINT(tls_stale_count(), 0);
    for (i = 0; i < count; i++)
        life_key_is_drained(keys[i]);
    CHECK_UINT(test_stats().dead_keys, 0);
    CHECK_UINT(test_stats().stale, 0);
    if (in_a_scope)
        CHECK_OK(tls_scope_end(scope));
    CHECK_OK(tls_remove_all());
    lives_check();
    if (on_a_moved_map)
        CHECK_OK(tls_map_switch(NULL, NULL));
    CHECK_OK(tls_map_destroy(map));
    CHECK_OK(tls_key_release(visited));
}

typedef struct call {
    const char *name;
    void (*use)(void);
} call_t;

static const call_t calls[] = {
    {"set", set_it},       {"set often", set_it_often},   {"remove", remove_it},
    {"hide", hide_it},     {"remove, set", remove_and_set_it},
    {"take", take_it},     {"remove all", remove_all},    {"swap", swap_it},
};

static void
run_all_calls(const char *what)
{
    static const size_t counts[] = {1, 5, 7, 8, 9, 11, 13, 25};
    char variant[128];
    size_t i, c;

    for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        for (c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
            use = calls[i].use;
            count = counts[c];
            snprintf(variant, sizeof(variant), "(%s; %s, %zu stale)", what,
                     calls[i].name, count);
            /* 64 a time: a sample of every 11th has all calls and all counts */
            RUN_APART_OF_MANY(stale_values_are_counted_and_expunged, variant);
        }
}

/* ---- How many one call ends --------------------------------------------------- */

#define MANY 1000
#define FRESH 40
#define CALLS 200

static tls_key_t many[MANY], fresh[FRESH], kept;
static int what;

static const char *const unlucky_names[] = {
    "set a new key", "get a miss",   "try_get a miss",    "set again", "get a hit",
    "remove",        "take a miss",  "swap",              "hide",      "get with init",
    "set and remove"};

static void *
release_many(void *argument)
{
    size_t i;

    for (i = 0; i < MANY; i++)
        CHECK_OK(tls_key_release(many[i]));
    return argument;
}

static void
call_once(size_t number)
{
    tls_key_t key = fresh[number % FRESH];
    void *value = NULL;

    switch (what) {
    case 0: tls_set(key, VALUE(1)); break;
    case 1: tls_get(key); break;
    case 2: tls_try_get(key, &value); break;
    case 3: tls_set(kept, VALUE(1)); break;
    case 4: tls_get(kept); break;
    case 5: tls_remove(key); break;
    case 6: tls_take(key, &value); break;
    case 7: tls_swap(key, VALUE(2), &value); break;
    case 8: tls_set(key, VALUE(3)); break;
    case 9: tls_get(key); break;
    default: tls_set(key, VALUE(1)); break;
    }
}

static int
init_one(void **value, void *user)
{
    (void)user;
    *value = VALUE(1);
    return 0;
}

static void
one_call_ends_at_most_8(void)
{
    tls_key_options_t options = test_options();
    tls_scope_t scope;
    size_t i, before, most = 0, which = 0;

    if (what == 9)
        options.init = init_one;
    for (i = 0; i < MANY; i++) {
        many[i] = life_key(TLS_RECLAIM_OWNER, flags, NULL);
        CHECK_OK(life_set(many[i]));
    }
    for (i = 0; i < FRESH; i++)
        fresh[i] = test_key_from(&options);
    kept = test_key();
    CHECK_OK(tls_set(kept, VALUE(1)));
    if (what == 8)
        CHECK_OK(tls_scope_begin(&scope, NULL));
    test_in_thread(release_many, NULL);
    CHECK_UINT(tls_stale_count(), MANY);
    for (i = 0; i < CALLS; i++) {
        before = lives_ended();
        call_once(i);
        if (lives_ended() - before > most) {
            most = lives_ended() - before;
            which = i;
        }
        CHECK_UINT(tls_stale_count(), MANY - lives_ended());
        if (what == 10)
            CHECK_OK(tls_remove(fresh[i % FRESH]));
    }
    printf("call %zu has ended %zu values\n", which, most);
    CHECK_AT_MOST(most, 8);
    for (i = 0; i < 5; i++)
        CHECK_AT_MOST(tls_expunge_some(i), i);
    if (what == 8)
        CHECK_OK(tls_scope_end(scope));
    tls_expunge();
    lives_check();
    CHECK_UINT(tls_stale_count(), 0);
    CHECK_AT_MOST(test_stats().capacity, 256); /* what is empty is made smaller */
    for (i = 0; i < FRESH; i++)
        CHECK_OK(tls_key_release(fresh[i]));
    CHECK_OK(tls_key_release(kept));
}

int
main(void)
{
    static const uint32_t all_flags[] = {0, TLS_KEY_ENUMERABLE, TLS_KEY_INHERIT};
    char variant[128];
    size_t i;

    run_all_calls("owner");
    reclaim = TLS_RECLAIM_ANY;
    run_all_calls("any");
    reclaim = TLS_RECLAIM_OWNER;
    flags = TLS_KEY_INHERIT;
    run_all_calls("inherit");
    flags = TLS_KEY_ENUMERABLE;
    on_a_moved_map = true;
    run_all_calls("enumerable, moved map");
    in_a_scope = true;
    run_all_calls("enumerable, moved map, scope");
    for (i = 0; i < 3; i++) {
        flags = all_flags[i];
        for (what = 0; what <= 10; what++) {
            snprintf(variant, sizeof(variant), "(flags %u; %s)", (unsigned)flags,
                     unlucky_names[what]);
            RUN_APART_OF_DOZENS(one_call_ends_at_most_8, variant);
        }
    }
    return apart_finish();
}
