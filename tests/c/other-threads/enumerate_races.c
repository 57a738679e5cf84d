/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Visits while the visited threads go on: they set, replace, remove, grow
 * their tables for other keys, and end. Nobody waits for a visitor, no visitor
 * sees a value that has ended, and every value ends once.
 */
#include "test.h"

#include <sched.h>

#define THREADS 16
#define OTHERS 60

enum { LIVING = 0x11f1a6, ENDED = 0xdead };

/* Filled with a pattern, so that a visitor sees whether it is whole. */
typedef struct value {
    size_t state;
    size_t pattern[30];
} value_t;

static tls_key_t key;
static size_t made;
static size_t ended;
static int stop;
static pthread_barrier_t started;

static value_t *
new_value(void)
{
    value_t *value = (value_t *)malloc(sizeof(*value));
    size_t i;

    CHECK(value != NULL);
    value->state = LIVING;
    for (i = 0; i < 30; i++)
        value->pattern[i] = i;
    test_count_up(&made);
    return value;
}

static void
end_value(void *pointer, int reason, void *user)
{
    value_t *value = (value_t *)pointer;

    (void)reason;
    (void)user;
    CHECK_UINT(value->state, LIVING);
    value->state = ENDED;
    test_count_up(&ended);
    free(value);
}

static void
make_key(uint32_t reclaim)
{
    tls_key_options_t options = test_options();

    options.destroy = end_value;
    options.reclaim = reclaim;
    options.flags = TLS_KEY_ENUMERABLE;
    key = test_key_from(&options);
    made = ended = 0;
    stop = 0;
}

static int
look(void *pointer, uint64_t thread, void *argument)
{
    const value_t *value = (const value_t *)pointer;
    size_t i;

    CHECK(thread != 0);
    CHECK(value != NULL); /* nobody stores NULL */
    CHECK_UINT(value->state, LIVING);
    for (i = 0; i < 30; i++)
        CHECK_UINT(value->pattern[i], i);
    ++*(size_t *)argument;
    return 0;
}

static bool
goes_on(void)
{
    return !__atomic_load_n(&stop, __ATOMIC_ACQUIRE);
}

static void *
reset_until_stopped(void *argument)
{
    size_t turn;

    CHECK_OK(tls_set(key, new_value()));
    pthread_barrier_wait(&started);
    for (turn = 0; goes_on(); turn++) {
        CHECK_OK(tls_set(key, new_value()));
        if (turn % 8 == 0)
            tls_expunge();
    }
    return argument;
}

static void *
take_and_set_until_stopped(void *argument)
{
    CHECK_OK(tls_set(key, new_value()));
    pthread_barrier_wait(&started);
    while (goes_on()) {
        void *taken = NULL;
        int code = tls_take(key, &taken);

        if (code == TLS_OK)
            end_value(taken, 0, NULL);
        else
            CHECK(code == TLS_ERR_BUSY || code == TLS_ERR_ABSENT);
        CHECK_OK(tls_set(key, new_value()));
        CHECK_OK(tls_remove(key));
        CHECK_OK(tls_set(key, new_value()));
    }
    return argument;
}

static void *
live_shortly(void *argument)
{
    CHECK_OK(tls_set(key, new_value()));
    return argument;
}

static void *
start_short_threads_until_stopped(void *argument)
{
    CHECK_OK(tls_set(key, new_value()));
    pthread_barrier_wait(&started);
    while (goes_on())
        test_in_thread(live_shortly, NULL);
    return argument;
}

static void *
visit_until_stopped(void *argument)
{
    size_t seen;

    CHECK_OK(tls_set(key, new_value()));
    pthread_barrier_wait(&started);
    while (goes_on())
        CHECK_OK(tls_for_each(key, look, &seen));
    return argument;
}

static void
start(pthread_t *threads, size_t count, void *(*body)(void *))
{
    size_t i;

    CHECK_INT(pthread_barrier_init(&started, NULL, (unsigned)count + 1), 0);
    for (i = 0; i < count; i++)
        threads[i] = test_start(body, NULL);
    pthread_barrier_wait(&started);
}

static void
finish(pthread_t *threads, size_t count)
{
    size_t i;

    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (i = 0; i < count; i++)
        test_join(threads[i]);
    pthread_barrier_destroy(&started);
    CHECK_OK(tls_key_release(key));
    tls_expunge();
    CHECK_UINT(ended, made);
    CHECK_UINT(test_stats().dead_keys, 0);
    CHECK_UINT(test_stats().stale, 0);
}

static void
visit_while(uint32_t reclaim, void *(*body)(void *), size_t least, size_t most)
{
    size_t rounds = test_scaled(2000, 20);
    pthread_t threads[THREADS];
    size_t i;

    make_key(reclaim);
    start(threads, THREADS, body);
    for (i = 0; i < rounds; i++) {
        size_t seen = 0;

        CHECK_OK(tls_for_each(key, look, &seen));
        CHECK_AT_LEAST(seen, least);
        CHECK_AT_MOST(seen, most);
    }
    finish(threads, THREADS);
}

/* Visits and takings of one key exclude each other: each is told so. */
static void
visit_while_taken(uint32_t reclaim, void *(*body)(void *))
{
    size_t rounds = test_scaled(2000, 20);
    pthread_t threads[THREADS];
    size_t visited = 0;
    size_t seen = 0;

    make_key(reclaim);
    start(threads, THREADS, body);
    while (visited < rounds) {
        int code = tls_for_each(key, look, &seen);

        CHECK(code == TLS_OK || code == TLS_ERR_BUSY);
        visited += code == TLS_OK;
        sched_yield();
    }
    finish(threads, THREADS);
}

/* F16, F17, K09: who replaces its value always has one. A value that is
 * replaced during the visit may be met as well as the new one. */
static void
threads_that_replace_their_value_are_all_seen(void)
{
    visit_while(TLS_RECLAIM_OWNER, reset_until_stopped, THREADS, SIZE_MAX);
    visit_while(TLS_RECLAIM_ANY, reset_until_stopped, THREADS, SIZE_MAX);
}

/* F18. */
static void
threads_may_take_their_value_out_meanwhile(void)
{
    visit_while(TLS_RECLAIM_OWNER, take_and_set_until_stopped, 0, SIZE_MAX);
    visit_while(TLS_RECLAIM_ANY, take_and_set_until_stopped, 0, SIZE_MAX);
}

static void
threads_may_end_meanwhile(void)
{
    visit_while(TLS_RECLAIM_OWNER, start_short_threads_until_stopped, THREADS, 2 * THREADS);
    visit_while(TLS_RECLAIM_ANY, start_short_threads_until_stopped, THREADS, 2 * THREADS);
}

static void
two_visitors_may_meet(void)
{
    visit_while(TLS_RECLAIM_OWNER, visit_until_stopped, THREADS, THREADS);
}

/* ---- Nobody waits ------------------------------------------------------------- */

static pthread_barrier_t inside;
static size_t gets;
static tls_key_t others[OTHERS];

/* Sleeps in the visit until the owners have done all that they want to. */
static int
visit_until_others_are_done(void *value, uint64_t thread, void *argument)
{
    (void)thread;
    if (value == *(void **)argument) {
        pthread_barrier_wait(&inside);
        pthread_barrier_wait(&inside);
    }
    return 0;
}

static void *stuck_on; /* the value that the visitor stays with */

static void *
visit_and_stay(void *argument)
{
    CHECK_OK(tls_for_each(key, visit_until_others_are_done, &stuck_on));
    return argument;
}

static void *
set_others_and_end(void *argument)
{
    size_t i;

    for (i = 0; i < OTHERS; i++)
        CHECK_OK(tls_set(others[i], VALUE(i + 1)));
    CHECK_OK(tls_set(key, new_value()));
    return argument;
}

/* F26, F28: while a visitor sleeps with this thread's value in its hands, the
 * thread gets it, grows its table for other keys, replaces and removes; others
 * come, set and end. */
static void
nobody_waits_for_a_visitor(void)
{
    size_t rounds = test_scaled(100000, 1000);
    pthread_t visitor;
    size_t i;

    make_key(TLS_RECLAIM_OWNER);
    for (i = 0; i < OTHERS; i++)
        others[i] = test_key();
    CHECK_INT(pthread_barrier_init(&inside, NULL, 2), 0);
    stuck_on = new_value();
    CHECK_OK(tls_set(key, stuck_on));
    visitor = test_start(visit_and_stay, NULL);
    pthread_barrier_wait(&inside);
    for (gets = 0; gets < rounds; gets++) {
        CHECK_PTR(tls_get(key), stuck_on);
        CHECK_PTR((tls_get)(key), stuck_on);
    }
    for (i = 0; i < OTHERS; i++)
        CHECK_OK(tls_set(others[i], VALUE(i + 1)));
    for (i = 0; i < 8; i++)
        test_in_thread(set_others_and_end, NULL);
    CHECK_OK(tls_set(key, new_value()));
    CHECK_OK(tls_set(key, new_value()));
    CHECK_OK(tls_remove(key));
    CHECK_OK(tls_set(key, NULL));
    tls_expunge();
    CHECK_UINT(ended, made - 1);
    CHECK_UINT(((value_t *)stuck_on)->state, LIVING);
    pthread_barrier_wait(&inside);
    test_join(visitor);
    CHECK_UINT(tls_expunge(), 1);
    CHECK_UINT(ended, made);
    for (i = 0; i < OTHERS; i++)
        CHECK_OK(tls_key_release(others[i]));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended, made);
    pthread_barrier_destroy(&inside);
}

/* ---- Taking --------------------------------------------------------------------- */

static int
take_and_end(void *value, uint64_t thread, void *argument)
{
    look(value, thread, argument);
    end_value(value, 0, NULL);
    return 0;
}

/* R08 while the threads go on; two that visit or take at once are told so. */
static void *
scrape_until_stopped(void *argument)
{
    size_t taken = 0;

    CHECK_OK(tls_set(key, new_value()));
    pthread_barrier_wait(&started);
    while (goes_on()) {
        int code = tls_scrape(key, take_and_end, &taken);

        CHECK(code == TLS_OK || code == TLS_ERR_BUSY);
        CHECK_OK(tls_set(key, new_value()));
        sched_yield();
    }
    return argument;
}

static void
values_may_be_taken_by_many_at_once(void)
{
    visit_while_taken(TLS_RECLAIM_OWNER, scrape_until_stopped);
    visit_while_taken(TLS_RECLAIM_ANY, scrape_until_stopped);
}

int
main(void)
{
    RUN(threads_that_replace_their_value_are_all_seen);
    RUN(threads_may_take_their_value_out_meanwhile);
    RUN(threads_may_end_meanwhile);
    RUN(two_visitors_may_meet);
    RUN(nobody_waits_for_a_visitor);
    RUN(values_may_be_taken_by_many_at_once);
    return test_finish();
}
