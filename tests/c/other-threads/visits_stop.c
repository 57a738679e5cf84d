/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A visitor that wants no more: the visit ends there, nobody else is visited or
 * loses a value, and what the visitor has returned is the call's answer. Whatever
 * had been deferred for its sake comes to its end all the same.
 */
#include "sums.h"
#include "worker.h"

#include <limits.h>

#define WORKERS 4

static test_log_t ended;
static worker_t workers[WORKERS];
static tls_key_t key;

/* The workers' values are 1, 2, ... */
static void
prepare(uint32_t reclaim)
{
    tls_key_options_t options = test_options_logged(&ended);

    test_log_clear(&ended);
    options.reclaim = reclaim;
    options.flags = TLS_KEY_ENUMERABLE;
    key = test_key_from(&options);
    workers_start_with_values(workers, WORKERS, key);
}

/* The key was released: of all values so many are ended, each once. */
static void
finish_released(size_t values)
{
    workers_stop(workers, WORKERS);
    CHECK_UINT(ended.count, values);
    CHECK_UINT(ended.freed, 1);
    CHECK_OK(tls_key_drain(key, 0, NULL));
}

/* Of the values `handed` were handed over. */
static void
finish(size_t handed)
{
    CHECK_OK(tls_key_release(key));
    finish_released(WORKERS - handed);
}

typedef struct stop {
    size_t after; /* visits */
    int with;
    size_t calls;
    void *last;
    void (*first)(struct stop *stop); /* what the last visit does before it stops */
} stop_t;

static int
visit(void *value, uint64_t thread, void *argument)
{
    stop_t *stop = (stop_t *)argument;

    CHECK(thread != 0);
    stop->last = value;
    if (++stop->calls < stop->after)
        return 0;
    if (stop->first != NULL)
        stop->first(stop);
    return stop->with;
}

static stop_t
stop_after(size_t visits, int with)
{
    stop_t stop;

    memset(&stop, 0, sizeof(stop));
    stop.after = visits;
    stop.with = with;
    return stop;
}

static void
a_visit_ends_where_its_visitor_stops(void)
{
    static const int numbers[] = { 1, 77, INT_MAX, -1, INT_MIN };
    size_t i;
    size_t visits;

    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        for (visits = 1; visits <= WORKERS; visits++) {
            stop_t stop = stop_after(visits, numbers[i]);

            prepare(TLS_RECLAIM_OWNER);
            CHECK_INT(tls_for_each(key, visit, &stop), numbers[i]);
            CHECK_UINT(stop.calls, visits);
            /* All are still there, and can be visited and taken again. */
            CHECK_UINT(sum_of(key).values, WORKERS);
            CHECK_UINT(sum_of(key).total, 1 + 2 + 3 + 4);
            finish(0);
        }
    }
}

static void
a_scrape_leaves_what_comes_after_the_stop(void)
{
    size_t visits;

    for (visits = 1; visits <= WORKERS; visits++) {
        stop_t stop = stop_after(visits, 5);

        prepare(visits % 2 ? TLS_RECLAIM_ANY : TLS_RECLAIM_OWNER);
        CHECK_INT(tls_scrape(key, visit, &stop), 5);
        CHECK_UINT(stop.calls, visits);
        CHECK_UINT(sum_of(key).values, WORKERS - visits);
        finish(visits);
    }
}

/* ---- What the last visit does before it stops -------------------------------------- */

static worker_t *
owner_of(const stop_t *stop)
{
    return &workers[(size_t)(uintptr_t)stop->last - 1];
}

static void
have_it_replaced(stop_t *stop)
{
    CHECK_OK(worker_set(owner_of(stop), key, VALUE(9)));
    CHECK_UINT(ended.count, 0);
}

static void
have_it_detached(stop_t *stop)
{
    worker_call(owner_of(stop), worker_job_detach, key, NULL, 0);
    CHECK_UINT(ended.count, 0);
}

static void
visit_within(stop_t *stop)
{
    stop_t inner = stop_after(2, 3);

    (void)stop;
    CHECK_INT(tls_for_each(key, visit, &inner), 3);
    CHECK_UINT(inner.calls, 2);
}

static void
release_it(stop_t *stop)
{
    (void)stop;
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 0);
}

/* An OWNER value's end is its owner's; if that has gone, the visitor's. */
static void
what_was_deferred_comes_to_its_end(void)
{
    stop_t stop = stop_after(2, 1);

    prepare(TLS_RECLAIM_OWNER);
    stop.first = have_it_replaced;
    CHECK_INT(tls_for_each(key, visit, &stop), 1);
    CHECK_UINT(worker_stale_count(owner_of(&stop)), 1);
    CHECK_UINT(worker_expunge(owner_of(&stop)), 1);
    CHECK_UINT(ended.count, 1);
    CHECK_PTR(worker_get(owner_of(&stop), key), VALUE(9));
    CHECK_OK(tls_key_release(key));
    finish_released(WORKERS + 1);

    prepare(TLS_RECLAIM_ANY);
    CHECK_INT((stop.calls = 0, tls_for_each(key, visit, &stop)), 1);
    CHECK_UINT(ended.count, 1);
    CHECK_OK(tls_key_release(key));
    finish_released(WORKERS + 1);

    prepare(TLS_RECLAIM_OWNER);
    stop.calls = 0;
    stop.first = have_it_detached;
    CHECK_INT(tls_for_each(key, visit, &stop), 1);
    CHECK_UINT(ended.count, 1);
    CHECK_OK(tls_key_release(key));
    finish_released(WORKERS);
}

static void
a_visitor_that_stops_may_visit_and_release(void)
{
    stop_t stop = stop_after(3, 4);

    prepare(TLS_RECLAIM_OWNER);
    stop.first = visit_within;
    CHECK_INT(tls_for_each(key, visit, &stop), 4);
    CHECK_UINT(sum_of(key).values, WORKERS);
    stop.calls = 0;
    stop.first = release_it;
    CHECK_INT(tls_for_each(key, visit, &stop), 4);
    CHECK_CODE(tls_for_each(key, visit, &stop), TLS_ERR_DEAD_KEY);
    finish_released(WORKERS);
}

int
main(void)
{
    RUN(a_visit_ends_where_its_visitor_stops);
    RUN(a_scrape_leaves_what_comes_after_the_stop);
    RUN(what_was_deferred_comes_to_its_end);
    RUN(a_visitor_that_stops_may_visit_and_release);
    return test_finish();
}
