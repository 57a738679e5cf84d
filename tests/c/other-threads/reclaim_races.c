/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * T42, T43, F25: a key dies, or is purged, while its owners set, remove, take,
 * replace, detach and end. Every value ends once, and no look-up returns one
 * that has.
 */
#include "test.h"

#include <sched.h>

#define THREADS 8

enum { LIVING = 1, ENDED = 2 };

/* A value, with its state: the one who finds an ended one has found a bug. Its
 * memory is given back at the end of the test only. */
typedef struct value {
    int state;
    int owner_only;
    unsigned owner;
} value_t;

static value_t *values;
static size_t value_count;
static size_t values_made;
static size_t values_stored;
static size_t values_ended;
static size_t values_freed;
static tls_key_t key; /* exchanged by the releaser */
static int stop;
static uint32_t reclaim;
static uint32_t flags;

static value_t *
new_value(void)
{
    size_t at = test_count_up(&values_made) - 1;

    CHECK(at < value_count);
    values[at].owner = test_thread();
    values[at].owner_only = reclaim == TLS_RECLAIM_OWNER;
    __atomic_store_n(&values[at].state, LIVING, __ATOMIC_RELEASE);
    return &values[at];
}

static void
end_value(void *pointer, int reason, void *user)
{
    value_t *value = (value_t *)pointer;

    (void)user;
    CHECK(reason >= TLS_REASON_REPLACED && reason <= TLS_REASON_MAP_DESTROYED);
    if (value->owner_only)
        CHECK_UINT(value->owner, test_thread());
    CHECK_INT(__atomic_exchange_n(&value->state, ENDED, __ATOMIC_ACQ_REL), LIVING);
    test_count_up(&values_ended);
}

static void
count_free(void *user)
{
    (void)user;
    test_count_up(&values_freed);
}

static tls_key_t
new_key(void)
{
    tls_key_options_t options = test_options();

    options.destroy = end_value;
    options.user_free = count_free;
    options.reclaim = reclaim;
    options.flags = flags;
    return test_key_from(&options);
}

static void
begin(uint32_t how, uint32_t which)
{
    value_count = test_scaled(400000, 20000);
    values = (value_t *)calloc(value_count, sizeof(*values));
    CHECK(values != NULL);
    values_made = values_stored = values_ended = values_freed = 0;
    stop = 0;
    reclaim = how;
    flags = which;
    key = new_key();
}

static void
finish(void)
{
    tls_stats_t stats;

    tls_expunge();
    stats = test_stats();
    CHECK_UINT(values_ended, values_stored);
    CHECK_UINT(stats.dead_keys, 0);
    CHECK_UINT(stats.stale, 0);
    free(values);
}

static bool
goes_on(void)
{
    return !__atomic_load_n(&stop, __ATOMIC_ACQUIRE) &&
           test_count(&values_made) + 2 * THREADS < value_count;
}

/* Stores a new value; it is given back if the key has died. */
static void
store(tls_key_t now)
{
    if (tls_set(now, new_value()) == TLS_OK)
        test_count_up(&values_stored);
}

/* A value that is taken is the taker's. */
static void
end_taken(void *taken)
{
    if (taken != NULL)
        end_value(taken, TLS_REASON_REMOVED, NULL);
}

static void
use(tls_key_t now, size_t turn)
{
    void *taken = NULL;

    switch (turn % 5) {
    case 0:
    case 1:
        store(now);
        break;
    case 2:
        tls_remove(now);
        break;
    case 3:
        if (tls_take(now, &taken) == TLS_OK)
            end_taken(taken);
        break;
    default:
        tls_expunge();
        break;
    }
}

static void *
use_until_stopped(void *argument)
{
    size_t turn = (size_t)(uintptr_t)argument;

    while (goes_on()) {
        use(__atomic_load_n(&key, __ATOMIC_ACQUIRE), turn++);
        if (turn % 97 == 0)
            CHECK_OK(tls_thread_detach());
    }
    return NULL;
}

static void
run(void *(*body)(void *), void (*against)(size_t), size_t rounds)
{
    pthread_t threads[THREADS];
    size_t i;

    for (i = 0; i < THREADS; i++)
        threads[i] = test_start(body, VALUE(i));
    for (i = 0; i < rounds && goes_on(); i++)
        against(i);
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (i = 0; i < THREADS; i++)
        test_join(threads[i]);
}

static size_t keys_made;

static void
release_and_make_another(size_t round)
{
    tls_key_t next = new_key();
    tls_key_t old = __atomic_exchange_n(&key, next, __ATOMIC_ACQ_REL);

    (void)round;
    keys_made++;
    store(next);
    CHECK_OK(tls_key_release(old));
    if (reclaim == TLS_RECLAIM_ANY) {
        CHECK_PTR(tls_get(old), NULL);
        CHECK_PTR(tls_get_existing(old), NULL);
    }
    sched_yield();
}

static void
check_releases(uint32_t how, uint32_t which)
{
    begin(how, which);
    keys_made = 1;
    run(use_until_stopped, release_and_make_another, test_scaled(20000, 200));
    CHECK_OK(tls_key_release(key));
    finish();
    CHECK_UINT(values_freed, keys_made);
}

static void
a_release_races_with_use(void)
{
    check_releases(TLS_RECLAIM_ANY, 0);
    check_releases(TLS_RECLAIM_ANY, TLS_KEY_ENUMERABLE);
    check_releases(TLS_RECLAIM_OWNER, TLS_KEY_ENUMERABLE);
}

static void
purge_again(size_t round)
{
    int code = tls_key_purge(key, NULL);

    (void)round;
    CHECK_OK(code);
    sched_yield();
}

static void
a_purge_races_with_use(void)
{
    begin(TLS_RECLAIM_ANY, 0);
    run(use_until_stopped, purge_again, test_scaled(20000, 200));
    CHECK_OK(tls_key_release(key));
    finish();
    begin(TLS_RECLAIM_ANY, TLS_KEY_ENUMERABLE);
    run(use_until_stopped, purge_again, test_scaled(20000, 200));
    CHECK_OK(tls_key_release(key));
    finish();
}

/* ---- The owner's gets --------------------------------------------------------- */

/* The value may end at any moment, but not before the release has begun: one
 * that is found with the key still there, before and after, is alive. */
static tls_key_t released; /* set before its release begins */

static void *
get_until_stopped(void *argument)
{
    size_t turn = (size_t)(uintptr_t)argument;

    while (goes_on()) {
        tls_key_t now = __atomic_load_n(&key, __ATOMIC_ACQUIRE);
        value_t *value;
        size_t i;

        store(now);
        for (i = 0; i < 50; i++) {
            value = (value_t *)(turn++ % 2 == 0 ? tls_get(now) : (tls_get)(now));
            if (value == NULL)
                break;
            CHECK_UINT(value->owner, test_thread());
            if (__atomic_load_n(&value->state, __ATOMIC_ACQUIRE) == ENDED)
                CHECK(__atomic_load_n(&released, __ATOMIC_ACQUIRE) >= now ||
                      __atomic_load_n(&key, __ATOMIC_ACQUIRE) != now);
        }
    }
    return NULL;
}

static void
announce_and_release(size_t round)
{
    tls_key_t old = __atomic_load_n(&key, __ATOMIC_ACQUIRE);

    __atomic_store_n(&released, old, __ATOMIC_RELEASE);
    release_and_make_another(round);
}

static void
a_get_finds_nothing_that_ended_before_it(void)
{
    begin(TLS_RECLAIM_ANY, 0);
    released = 0;
    keys_made = 1;
    run(get_until_stopped, announce_and_release, test_scaled(20000, 200));
    CHECK_OK(tls_key_release(key));
    finish();
    CHECK_UINT(values_freed, keys_made);
}

/* ---- Threads that end ---------------------------------------------------------- */

static pthread_barrier_t ready;

static void *
set_and_end(void *argument)
{
    store(key);
    pthread_barrier_wait(&ready);
    return argument;
}

/* F25: all threads end while the key is released, purged or drained. */
static void
check_exits(uint32_t how, uint32_t which, bool purge)
{
    size_t rounds = test_scaled(300, 5);
    size_t round;
    size_t i;

    begin(how, which);
    CHECK_OK(tls_key_release(key));
    CHECK_INT(pthread_barrier_init(&ready, NULL, THREADS + 1), 0);
    for (round = 0; round < rounds; round++) {
        pthread_t threads[THREADS];
        size_t left = 99;

        key = new_key();
        for (i = 0; i < THREADS; i++)
            threads[i] = test_start(set_and_end, NULL);
        pthread_barrier_wait(&ready);
        if (purge)
            CHECK_OK(tls_key_purge(key, NULL));
        CHECK_OK(tls_key_release(key));
        CHECK_OK(tls_key_drain(key, -1, &left));
        CHECK_UINT(left, 0);
        CHECK_UINT(test_count(&values_ended), THREADS * (round + 1));
        for (i = 0; i < THREADS; i++)
            test_join(threads[i]);
        CHECK_UINT(values_freed, round + 2);
    }
    pthread_barrier_destroy(&ready);
    finish();
}

static void
threads_end_while_their_key_does(void)
{
    check_exits(TLS_RECLAIM_OWNER, 0, false);
    check_exits(TLS_RECLAIM_OWNER, TLS_KEY_ENUMERABLE, false);
    check_exits(TLS_RECLAIM_ANY, 0, false);
    check_exits(TLS_RECLAIM_ANY, 0, true);
    check_exits(TLS_RECLAIM_ANY, TLS_KEY_ENUMERABLE, true);
}

int
main(void)
{
    RUN(a_release_races_with_use);
    RUN(a_purge_races_with_use);
    RUN(a_get_finds_nothing_that_ended_before_it);
    RUN(threads_end_while_their_key_does);
    return test_finish();
}
