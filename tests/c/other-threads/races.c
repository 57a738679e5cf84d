/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Threads that do things to one key at the same time. The one who wins, every
 * value ends exactly once and nobody sees another key's value.
 */
#include "test.h"

#include <sched.h>

#define THREADS 8

static pthread_barrier_t start_line;

/* ---- Releasing while the holders end ---------------------------------- */

#define KEYS 4

static tls_key_t keys[KEYS];
static size_t ends[THREADS * KEYS]; /* of value number i + 1 */
static size_t freed;

static void
count_end(void *value, int reason, void *user)
{
    (void)user;
    CHECK(reason == TLS_REASON_KEY_DEAD || reason == TLS_REASON_THREAD_EXIT);
    test_count_up(&ends[(uintptr_t)value - 1]);
}

static void
count_free(void *user)
{
    test_count_up((size_t *)user);
}

static void *
set_and_end(void *argument)
{
    size_t thread = (size_t)(uintptr_t)argument;
    size_t i;

    for (i = 0; i < KEYS; i++)
        CHECK_OK(tls_set(keys[i], VALUE(thread * KEYS + i + 1)));
    pthread_barrier_wait(&start_line);
    if (thread % 2 == 0)
        tls_expunge();
    return NULL;
}

/* F25, T43: each value ends once, by its key's death or by its thread's end. */
static void
releasing_races_with_thread_exit(void)
{
    size_t rounds = test_scaled(1000, 5);
    tls_key_options_t options = test_options();
    pthread_t threads[THREADS];
    size_t round;
    size_t i;

    options.destroy = count_end;
    options.user = &freed;
    options.user_free = count_free;
    CHECK_INT(pthread_barrier_init(&start_line, NULL, THREADS + 1), 0);
    for (round = 0; round < rounds; round++) {
        memset(ends, 0, sizeof(ends));
        freed = 0;
        for (i = 0; i < KEYS; i++)
            keys[i] = test_key_from(&options);
        for (i = 0; i < THREADS; i++)
            threads[i] = test_start(set_and_end, VALUE(i));
        pthread_barrier_wait(&start_line);
        for (i = 0; i < KEYS; i++)
            CHECK_OK(tls_key_release(keys[i]));
        for (i = 0; i < THREADS; i++)
            test_join(threads[i]);
        for (i = 0; i < THREADS * KEYS; i++)
            CHECK_UINT(ends[i], 1);
        CHECK_UINT(freed, KEYS);
        CHECK_UINT(test_stats().dead_keys, 0);
        CHECK_UINT(test_stats().stale, 0);
    }
    pthread_barrier_destroy(&start_line);
}

/* ---- Releasing while the holders read and write ------------------------ */

static tls_key_t current;
static int stop;
static size_t made;
static size_t destroyed;

typedef struct block {
    tls_key_t key;
} block_t;

static void
free_block(void *value, int reason, void *user)
{
    (void)reason;
    (void)user;
    CHECK(((block_t *)value)->key != TLS_KEY_NONE);
    ((block_t *)value)->key = TLS_KEY_NONE;
    test_count_up(&destroyed);
    free(value);
}

/* Sets a new value under a key that may die at any moment. */
static void
set_block(tls_key_t key)
{
    block_t *block = (block_t *)malloc(sizeof(*block));
    int code;

    CHECK(block != NULL);
    block->key = key;
    code = tls_set(key, block);
    if (code == TLS_OK) {
        test_count_up(&made);
    } else {
        CHECK_CODE(code, TLS_ERR_DEAD_KEY);
        free(block);
    }
}

static void *
use_whatever_is_current(void *argument)
{
    size_t turn;

    (void)argument;
    for (turn = 0; !__atomic_load_n(&stop, __ATOMIC_ACQUIRE); turn++) {
        tls_key_t key = __atomic_load_n(&current, __ATOMIC_ACQUIRE);
        block_t *found = (block_t *)tls_get(key);
        void *value = NULL;
        int code;

        if (found != NULL)
            CHECK_UINT(found->key, key);
        code = tls_try_get(key, &value);
        CHECK(code == TLS_OK || code == TLS_ERR_ABSENT || code == TLS_ERR_DEAD_KEY);
        if (code == TLS_OK)
            CHECK_UINT(((block_t *)value)->key, key);
        set_block(key);
        if (turn % 4 == 3) {
            code = tls_remove(key);
            CHECK(code == TLS_OK || code == TLS_ERR_DEAD_KEY);
        }
    }
    return NULL;
}

/* One thread makes keys and releases them, three use whatever key is there. */
static void
release_while_others_use(bool releaser_has_a_value)
{
    size_t rounds = test_scaled(20000, 50);
    tls_key_options_t options = test_options();
    pthread_t threads[3];
    tls_key_t next;
    tls_key_t old;
    size_t i;

    made = destroyed = 0;
    options.destroy = free_block;
    current = test_key_from(&options);
    stop = 0;
    for (i = 0; i < 3; i++)
        threads[i] = test_start(use_whatever_is_current, NULL);
    for (i = 0; i < rounds; i++) {
        old = current;
        next = test_key_from(&options);
        if (releaser_has_a_value && i % 2 == 0)
            set_block(next);
        __atomic_store_n(&current, next, __ATOMIC_RELEASE);
        if (releaser_has_a_value && i % 2 == 1)
            set_block(next);
        CHECK_OK(tls_key_release(old));
        if (i % 64 == 0)
            sched_yield();
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (i = 0; i < 3; i++)
        test_join(threads[i]);
    CHECK_OK(tls_key_release(current));
    CHECK_UINT(destroyed, made);
    CHECK_UINT(test_stats().dead_keys, 0);
    CHECK_UINT(test_stats().entries, 0);
}

/* T42: a holder reads its own value or nothing, never another key's, and
 * never one that was destroyed. */
static void
releasing_races_with_use(void)
{
    release_while_others_use(false);
}

/* The same when the releaser is a holder itself, the only one at first. */
static void
a_holders_releasing_races_with_use(void)
{
    release_while_others_use(true);
    CHECK_OK(tls_thread_detach());
}

/* Each key is made and released by one thread and used by another, one at a
 * time: they meet in the few instructions of each call. */
static void
a_release_meets_the_first_set(void)
{
    size_t rounds = test_scaled(50000, 100);
    tls_key_options_t options = test_options();
    pthread_t thread;
    tls_key_t key;
    size_t i;
    size_t spin;

    made = destroyed = 0;
    options.destroy = free_block;
    key = test_key_from(&options);
    current = key;
    stop = 0;
    thread = test_start(use_whatever_is_current, NULL);
    for (i = 0; i < rounds; i++) {
        CHECK_OK(tls_key_release(key));
        key = test_key_from(&options);
        if (i % 3 == 0)
            set_block(key);
        __atomic_store_n(&current, key, __ATOMIC_RELEASE);
        for (spin = 0; spin < i % 200; spin++)
            __atomic_thread_fence(__ATOMIC_SEQ_CST);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    test_join(thread);
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(destroyed, made);
    CHECK_UINT(test_stats().dead_keys, 0);
    CHECK_UINT(test_stats().entries, 0);
    CHECK_OK(tls_thread_detach());
}

/* ---- References --------------------------------------------------------- */

static tls_key_t shared;
static size_t released;
static size_t refused;

static void *
release_shared(void *argument)
{
    int code;

    (void)argument;
    pthread_barrier_wait(&start_line);
    code = tls_key_release(shared);
    if (code == TLS_OK) {
        test_count_up(&released);
    } else {
        CHECK_CODE(code, TLS_ERR_DEAD_KEY);
        test_count_up(&refused);
    }
    return NULL;
}

/* T44 from many threads at once: as many releases work as there are
 * references. */
static void
releases_race_for_the_last_reference(void)
{
    size_t rounds = test_scaled(500, 5);
    pthread_t threads[THREADS];
    size_t references;
    size_t round;
    size_t i;

    CHECK_INT(pthread_barrier_init(&start_line, NULL, THREADS), 0);
    for (round = 0; round < rounds; round++) {
        references = round % THREADS + 1;
        released = refused = 0;
        shared = test_key();
        for (i = 1; i < references; i++)
            CHECK_OK(tls_key_retain(shared));
        for (i = 0; i < THREADS; i++)
            threads[i] = test_start(release_shared, NULL);
        for (i = 0; i < THREADS; i++)
            test_join(threads[i]);
        CHECK_UINT(released, references);
        CHECK_UINT(refused, THREADS - references);
        CHECK(!tls_key_is_live(shared));
    }
    pthread_barrier_destroy(&start_line);
}

static void *
retain_and_release_shared(void *argument)
{
    size_t i;

    pthread_barrier_wait(&start_line);
    for (i = 0; i < (size_t)(uintptr_t)argument; i++) {
        if (tls_key_retain(shared) != TLS_OK)
            break;
        /* While we have a reference the key is alive. */
        CHECK(tls_key_is_live(shared));
        CHECK_OK(tls_set(shared, VALUE(i + 1)));
        CHECK_PTR(tls_get(shared), VALUE(i + 1));
        CHECK_OK(tls_key_release(shared));
    }
    CHECK(i == (size_t)(uintptr_t)argument || !tls_key_is_live(shared));
    return NULL;
}

static void
a_reference_keeps_the_key_whatever_others_do(void)
{
    size_t rounds = test_scaled(200, 3);
    pthread_t threads[THREADS];
    size_t round;
    size_t i;

    CHECK_INT(pthread_barrier_init(&start_line, NULL, THREADS + 1), 0);
    for (round = 0; round < rounds; round++) {
        shared = test_key();
        for (i = 0; i < THREADS; i++)
            threads[i] = test_start(retain_and_release_shared, VALUE(100));
        pthread_barrier_wait(&start_line);
        sched_yield();
        CHECK_OK(tls_key_release(shared));
        for (i = 0; i < THREADS; i++)
            test_join(threads[i]);
        CHECK(!tls_key_is_live(shared));
        CHECK_CODE(tls_key_release(shared), TLS_ERR_DEAD_KEY);
    }
    pthread_barrier_destroy(&start_line);
}

/* ---- Making keys --------------------------------------------------------- */

#define BATCH 100

static void *
make_use_and_release(void *argument)
{
    uintptr_t thread = (uintptr_t)argument;
    size_t rounds = test_scaled(100, 2);
    tls_key_t mine[BATCH];
    size_t round;
    size_t i;

    pthread_barrier_wait(&start_line);
    for (round = 0; round < rounds; round++) {
        for (i = 0; i < BATCH; i++) {
            mine[i] = test_key();
            CHECK_PTR(tls_get(mine[i]), NULL);
            CHECK_OK(tls_set(mine[i], VALUE(thread * BATCH + i + 1)));
        }
        for (i = 0; i < BATCH; i++) {
            /* Given to nobody else: our value, and our reference the last. */
            CHECK_PTR(tls_get(mine[i]), VALUE(thread * BATCH + i + 1));
            CHECK_OK(tls_key_release(mine[i]));
            CHECK_CODE(tls_key_release(mine[i]), TLS_ERR_DEAD_KEY);
        }
    }
    return NULL;
}

/* Keys made by many threads at once: no handle is given out twice. */
static void
keys_are_made_in_parallel(void)
{
    pthread_t threads[THREADS];
    size_t i;

    CHECK_INT(pthread_barrier_init(&start_line, NULL, THREADS), 0);
    for (i = 0; i < THREADS; i++)
        threads[i] = test_start(make_use_and_release, VALUE(i));
    for (i = 0; i < THREADS; i++)
        test_join(threads[i]);
    pthread_barrier_destroy(&start_line);
    CHECK_UINT(test_stats().keys, 0);
}

/* ---- Looking while threads come and go ------------------------------------ */

static void *
come_and_go(void *argument)
{
    size_t i;

    for (i = 0; i < (size_t)(uintptr_t)argument; i++) {
        CHECK_OK(tls_set(shared, VALUE(i + 1)));
        CHECK_OK(tls_thread_detach());
    }
    return NULL;
}

static void
statistics_are_read_while_threads_come_and_go(void)
{
    size_t rounds = test_scaled(5000, 50);
    pthread_t threads[3];
    tls_stats_t stats;
    size_t i;

    shared = test_key();
    for (i = 0; i < 3; i++)
        threads[i] = test_start(come_and_go, VALUE(rounds));
    for (i = 0; i < rounds; i++) {
        stats = test_stats();
        CHECK_AT_MOST(stats.maps, 3);
        CHECK_AT_MOST(stats.entries, 3);
        CHECK_AT_MOST(stats.capacity, 3 * 16);
        CHECK_UINT(stats.keys, 1);
    }
    for (i = 0; i < 3; i++)
        test_join(threads[i]);
    CHECK_OK(tls_key_release(shared));
}

int
main(void)
{
    RUN(releasing_races_with_thread_exit);
    RUN(releasing_races_with_use);
    RUN(a_holders_releasing_races_with_use);
    RUN(a_release_meets_the_first_set);
    RUN(releases_race_for_the_last_reference);
    RUN(a_reference_keeps_the_key_whatever_others_do);
    RUN(keys_are_made_in_parallel);
    RUN(statistics_are_read_while_threads_come_and_go);
    return test_finish();
}
