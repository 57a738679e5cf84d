/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A visit of all threads' values comes to its end, whatever the threads do
 * meanwhile: each thread that has a value at every moment is met once, also if
 * it replaces the value during the visit. A value is not ended while it is
 * visited, and one that was deferred ends when its thread next sets: what
 * is deferred does not pile up.
 */
#include "lives.h"
#include "worker.h"

#define OWNERS 4

/* What varies; main() sets it before each test. */
static uint32_t reclaim, flags;
static void (*change)(void *owner); /* what an owner does during a visit */
static bool owners_have_scopes, owners_have_maps;

typedef struct owner {
    worker_t worker;
    tls_map_t *map;
    tls_scope_t scope;
    size_t met;
} owner_t;

static owner_t owners[OWNERS];
static tls_key_t key;
static size_t visits;

/* ---- What owners do; each has a value at every moment ---------------------- */

static void
set_once(void *owner)
{
    (void)owner;
    CHECK_OK(life_set(key));
}

static void
set_often(void *owner)
{
    int i;

    (void)owner;
    for (i = 0; i < 20; i++)
        CHECK_OK(life_set(key));
}

static void
set_null_and_set(void *owner)
{
    (void)owner;
    CHECK_OK(tls_set(key, NULL));
    CHECK_OK(life_set(key));
}

static void
swap_until_busy(void *owner)
{
    void *value = life();
    void *old = NULL;

    (void)owner;
    life_end(tls_swap(key, value, &old) == TLS_OK ? old : value);
}

static void
hide(void *owner)
{
    CHECK_OK(tls_scope_begin(&((owner_t *)owner)->scope, NULL));
    CHECK_OK(life_set(key));
}

static void
hide_and_bring_back(void *owner)
{
    hide(owner);
    CHECK_OK(life_set(key));
    CHECK_OK(tls_scope_end(((owner_t *)owner)->scope));
}

static void
set_and_expunge(void *owner)
{
    set_once(owner);
    tls_expunge();
}

static void
set_many_others(void *owner)
{
    tls_key_t keys[40];
    int i;

    set_once(owner);
    for (i = 0; i < 40; i++) {
        keys[i] = life_key(reclaim, flags, NULL);
        CHECK_OK(life_set(keys[i]));
    }
    for (i = 0; i < 40; i++)
        CHECK_OK(tls_key_release(keys[i]));
    set_once(owner);
}

/* ---- The owners ------------------------------------------------------------ */

static void
begin_owner(void *argument)
{
    owner_t *owner = (owner_t *)argument;

    if (owners_have_maps)
        CHECK_OK(tls_map_switch(owner->map, NULL));
    if (owners_have_scopes)
        CHECK_OK(tls_scope_begin(&owner->scope, NULL));
    CHECK_OK(life_set(key));
}

static void
leave_map(void *argument)
{
    (void)argument;
    CHECK_OK(tls_map_switch(NULL, NULL));
}

static void
start_owners(void)
{
    size_t i;

    key = life_key(reclaim, flags | TLS_KEY_ENUMERABLE, NULL);
    for (i = 0; i < OWNERS; i++) {
        worker_start(&owners[i].worker);
        CHECK_OK(tls_map_create(&owners[i].map));
        worker_do(&owners[i].worker, begin_owner, &owners[i]);
    }
}

static void
stop_owners(void)
{
    size_t i;

    for (i = 0; i < OWNERS; i++) {
        worker_do(&owners[i].worker, leave_map, NULL);
        CHECK_OK(tls_map_destroy(owners[i].map));
        worker_stop(&owners[i].worker);
    }
    life_key_is_drained(key);
    lives_check();
    CHECK_OK(tls_key_release(key));
    life_key_is_drained(key);
    CHECK_UINT(test_stats().entries, 0);
    CHECK_UINT(test_stats().leaked, 0);
}

/* ---- Visits ----------------------------------------------------------------- */

/* The owner of the value and all others change theirs during each visit. */
static int
let_owners_change(void *value, uint64_t thread, void *argument)
{
    size_t i;

    (void)argument;
    CHECK(thread != 0);
    CHECK_AT_MOST(test_count_up(&visits), OWNERS);
    for (i = 0; i < OWNERS; i++)
        worker_do(&owners[i].worker, change, &owners[i]);
    CHECK(value == NULL || !life_is_over(value));
    return 0;
}

static void
each_thread_is_met_once(void)
{
    start_owners();
    CHECK_OK(tls_for_each(key, let_owners_change, NULL));
    CHECK_UINT(visits, OWNERS);
    stop_owners();
}

static uint64_t first_thread;

/* Only the thread that is not visited changes; it is met once later. */
static int
let_others_change(void *value, uint64_t thread, void *argument)
{
    size_t i;

    (void)argument;
    CHECK_AT_MOST(test_count_up(&visits), OWNERS);
    if (first_thread == 0)
        first_thread = thread;
    else
        CHECK(thread != first_thread);
    for (i = 0; i < OWNERS; i++)
        if (value != VALUE(i + 1))
            worker_do(&owners[i].worker, change, &owners[i]);
    return 0;
}

static void
others_are_met_once(void)
{
    start_owners();
    CHECK_OK(tls_for_each(key, let_others_change, NULL));
    CHECK_UINT(visits, OWNERS);
    stop_owners();
}

static int
replace_own(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    (void)argument;
    CHECK_AT_MOST(test_count_up(&visits), 1);
    CHECK_OK(life_set(key));
    return 0;
}

static void
the_visiting_thread_may_replace_its_own_value(void)
{
    key = life_key(reclaim, flags | TLS_KEY_ENUMERABLE, NULL);
    CHECK_OK(life_set(key));
    CHECK_OK(tls_for_each(key, replace_own, NULL));
    CHECK_UINT(visits, 1);
    CHECK_OK(tls_remove(key));
    tls_expunge();
    lives_check();
    CHECK_OK(tls_key_release(key));
}

/* How often a visit so far inside of others was called. */
static size_t visits_at[3];

static int
visit_again(void *value, uint64_t thread, void *argument)
{
    size_t depth = *(size_t *)argument;
    size_t inner = depth + 1;
    size_t i;

    (void)thread;
    CHECK_AT_MOST(test_count_up(&visits_at[depth]), OWNERS);
    if (depth < 2) {
        visits_at[inner] = 0;
        CHECK_OK(tls_for_each(key, visit_again, &inner));
        CHECK_UINT(visits_at[inner], OWNERS);
    }
    for (i = 0; i < OWNERS; i++)
        worker_do(&owners[i].worker, change, &owners[i]);
    CHECK(value == NULL || !life_is_over(value));
    return 0;
}

/* A visit inside a visit meets each thread once, and so do both. */
static void
nested_visits_meet_each_thread_once(void)
{
    size_t depth = 0;

    start_owners();
    CHECK_OK(tls_for_each(key, visit_again, &depth));
    CHECK_UINT(visits_at[0], OWNERS);
    stop_owners();
}

/* ---- Deferred values ---------------------------------------------------------- */

static size_t
alive(void)
{
    return test_count(&lives_made) - lives_ended();
}

static int
let_the_owner_set(void *value, uint64_t thread, void *argument)
{
    bool *done = (bool *)argument;

    (void)value;
    (void)thread;
    if (!*done)
        worker_do(&owners[0].worker, set_once, &owners[0]);
    *done = true;
    return 0;
}

/* One value, and one that is deferred. */
static void
what_is_deferred_ends_when_its_thread_sets(void)
{
    size_t rounds = test_scaled(500, 20);
    size_t i;

    key = life_key(reclaim, flags | TLS_KEY_ENUMERABLE, NULL);
    worker_start(&owners[0].worker);
    worker_do(&owners[0].worker, set_once, &owners[0]);
    for (i = 0; i < rounds; i++) {
        bool done = false;

        CHECK_OK(tls_for_each(key, let_the_owner_set, &done));
        worker_do(&owners[0].worker, set_once, &owners[0]);
        CHECK_AT_MOST(alive(), 3);
    }
    worker_stop(&owners[0].worker);
    lives_check();
    CHECK_OK(tls_key_release(key));
    life_key_is_drained(key);
}

/* ---- A value that init makes ---------------------------------------------------- */

static pthread_barrier_t step; /* of the thread in init, and of the one that visits */

/* Sets its own key; removes that when it is being visited; and makes another. */
static int
init_during_a_visit(void **value, void *user)
{
    (void)user;
    CHECK_OK(life_set(key));
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    CHECK_OK(tls_remove(key));
    *value = life();
    return 0;
}

static void *
get_and_stay(void *argument)
{
    CHECK(tls_get(key) != NULL);
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    return argument;
}

static int
let_init_go_on(void *value, uint64_t thread, void *argument)
{
    size_t *met = (size_t *)argument;

    (void)thread;
    if (++*met == 1) {
        pthread_barrier_wait(&step);
        pthread_barrier_wait(&step);
    }
    CHECK(!life_is_over(value));
    return 0;
}

/* The entry of init's value was reserved before the one that was visited. */
static void
a_thread_whose_init_ends_during_a_visit_is_met_once(void)
{
    size_t met = 0;
    pthread_t getter;

    CHECK_INT(pthread_barrier_init(&step, NULL, 2), 0);
    key = life_key(reclaim, flags | TLS_KEY_ENUMERABLE, init_during_a_visit);
    getter = test_start(get_and_stay, NULL);
    pthread_barrier_wait(&step);
    CHECK_OK(tls_for_each(key, let_init_go_on, &met));
    CHECK_UINT(met, 1);
    met = 1;
    CHECK_OK(tls_for_each(key, let_init_go_on, &met));
    CHECK_UINT(met, 2);
    pthread_barrier_wait(&step);
    test_join(getter);
    pthread_barrier_destroy(&step);
    lives_check();
    CHECK_OK(tls_key_release(key));
    life_key_is_drained(key);
}

/* ---- All of it ------------------------------------------------------------------ */

typedef struct manner {
    const char *name;
    void (*change)(void *owner);
} manner_t;

static const manner_t manners[] = {
    {"set", set_once},
    {"set often", set_often},
    {"set NULL and set", set_null_and_set},
    {"swap", swap_until_busy},
    {"hide and bring back", hide_and_bring_back},
    {"set and expunge", set_and_expunge},
    {"set others, too", set_many_others},
};

static void
run_every_manner(const char *what)
{
    char variant[128];
    size_t i;

    for (i = 0; i < sizeof(manners) / sizeof(manners[0]); i++) {
        change = manners[i].change;
        snprintf(variant, sizeof(variant), "(%s; %s)", what, manners[i].name);
        RUN_APART_OF_DOZENS(each_thread_is_met_once, variant);
        RUN_APART_OF_DOZENS(others_are_met_once, variant);
        RUN_APART_OF_DOZENS(nested_visits_meet_each_thread_once, variant);
    }
    RUN_APART_AS(the_visiting_thread_may_replace_its_own_value, what);
    RUN_APART_AS(what_is_deferred_ends_when_its_thread_sets, what);
    RUN_APART_AS(a_thread_whose_init_ends_during_a_visit_is_met_once, what);
}

int
main(void)
{
    run_every_manner("owner");
    reclaim = TLS_RECLAIM_ANY;
    run_every_manner("any");
    flags = TLS_KEY_INHERIT;
    run_every_manner("any, inherit");
    reclaim = TLS_RECLAIM_OWNER;
    flags = TLS_KEY_WORKER;
    run_every_manner("worker");
    flags = 0;
    owners_have_maps = true;
    run_every_manner("owner, moved maps");
    owners_have_scopes = true;
    run_every_manner("owner, moved maps, scopes");
    return apart_finish();
}
