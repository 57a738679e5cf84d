/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Calls about other threads' values whose thread ends inside them: a visitor
 * that never returns, a release on a thread that had never used the library,
 * a wait that is cancelled. The one who comes after finds the key as if the call
 * had come to its end: nobody visits it, every value has its callback, the
 * name is free.
 */
#include "worker.h"

#define WORKERS 3

static test_log_t ended;
static worker_t workers[WORKERS];
static tls_key_t key;
static bool by_cancellation;

/* Ends the calling thread from inside a callback, once per thread. */
static void
end_thread(void)
{
    static __thread bool done;

    if (done)
        return;
    done = true;
    if (by_cancellation) {
        CHECK_INT(pthread_cancel(pthread_self()), 0);
        pthread_testcancel();
    }
    pthread_exit(PTHREAD_CANCELED);
}

static int
visit_and_end_thread(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    test_count_up((size_t *)argument);
    end_thread();
    return 0;
}

static int
count_visit(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    test_count_up((size_t *)argument);
    return 0;
}

static void
destroy_and_end_thread(void *value, int reason, void *user)
{
    test_log_destroy(value, reason, user);
    if (pthread_equal(pthread_self(), workers[0].thread) ||
        pthread_equal(pthread_self(), workers[1].thread) ||
        pthread_equal(pthread_self(), workers[2].thread))
        return;
    end_thread();
}

static void
free_and_end_thread(void *user)
{
    test_log_free(user);
    end_thread();
}

static void
begin(uint32_t reclaim, tls_destroy_fn destroy, void (*user_free)(void *))
{
    tls_key_options_t options = test_options();

    test_log_clear(&ended);
    options.destroy = destroy;
    options.user = &ended;
    options.user_free = user_free;
    options.reclaim = reclaim;
    options.flags = TLS_KEY_ENUMERABLE;
    key = test_key_from(&options);
    workers_start_with_values(workers, WORKERS, key);
}

static void
stop_workers(void)
{
    workers_stop(workers, WORKERS);
}

/* ---- A visitor that never returns ------------------------------------- */

static size_t visits;

static void *
visit_all(void *argument)
{
    (void)argument;
    tls_for_each(key, visit_and_end_thread, &visits);
    CHECK(!"reached: the visitor has ended the thread");
    return NULL;
}

static void *
take_all(void *argument)
{
    (void)argument;
    tls_scrape(key, visit_and_end_thread, &visits);
    CHECK(!"reached: the visitor has ended the thread");
    return NULL;
}

static void *
purge_all(void *argument)
{
    (void)argument;
    tls_key_purge(key, NULL);
    CHECK(!"reached: the callback has ended the thread");
    return NULL;
}

/* What the owners do to their values is not deferred for a visitor that is no
 * more, and the key dies with its last reference. */
static void
a_visitor_may_end_its_thread(void)
{
    size_t i;

    visits = 0;
    begin(TLS_RECLAIM_OWNER, test_log_destroy, test_log_free);
    test_in_thread(visit_all, NULL);
    CHECK_UINT(visits, 1);
    for (i = 0; i < WORKERS; i++)
        CHECK_OK(worker_set(&workers[i], key, VALUE(10 + i)));
    CHECK_UINT(ended.count, WORKERS);
    CHECK_OK(tls_scrape(key, count_visit, &visits));
    CHECK_UINT(visits, 1 + WORKERS);
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.freed, 1);
    stop_workers();
    CHECK_UINT(test_stats().dead_keys, 0);
}

static void
a_taker_may_end_its_thread(void)
{
    visits = 0;
    begin(TLS_RECLAIM_OWNER, test_log_destroy, test_log_free);
    test_in_thread(take_all, NULL);
    CHECK_UINT(visits, 1);
    CHECK_OK(tls_for_each(key, count_visit, &visits)); /* not TLS_ERR_BUSY */
    CHECK_UINT(visits, 1 + WORKERS - 1);
    CHECK_OK(tls_key_release(key));
    stop_workers();
    CHECK_UINT(ended.count, WORKERS - 1);
    CHECK_UINT(ended.freed, 1);
    CHECK_UINT(test_stats().dead_keys, 0);
}

static void
a_purge_may_end_its_thread(void)
{
    size_t purged = 0;

    begin(TLS_RECLAIM_ANY, destroy_and_end_thread, test_log_free);
    test_in_thread(purge_all, NULL);
    CHECK_UINT(ended.count, 1);
    stop_workers();
    CHECK_UINT(ended.count, WORKERS);
    CHECK_OK(tls_key_purge(key, &purged));
    CHECK_UINT(purged, 0);
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.freed, 1);
    CHECK_UINT(test_stats().dead_keys, 0);
}

/* ---- A release on a thread that has never used the library -------------- */

static void *
release(void *argument)
{
    (void)argument;
    tls_key_release(key);
    CHECK(!"reached: a callback has ended the thread");
    return NULL;
}

static void
an_unattached_release_may_end_in_destroy(void)
{
    begin(TLS_RECLAIM_ANY, destroy_and_end_thread, test_log_free);
    test_in_thread(release, NULL);
    CHECK_UINT(ended.count, WORKERS);
    CHECK_UINT(ended.freed, 1);
    CHECK_UINT(test_stats().dead_keys, 0);
    stop_workers();
    CHECK_UINT(ended.count, WORKERS);
}

static void
an_unattached_release_may_end_in_user_free(void)
{
    begin(TLS_RECLAIM_ANY, test_log_destroy, free_and_end_thread);
    test_in_thread(release, NULL);
    CHECK_UINT(ended.count, WORKERS);
    CHECK_UINT(ended.freed, 1);
    CHECK_UINT(test_stats().dead_keys, 0);
    stop_workers();
}

static void
end_the_notifier(void *argument)
{
    test_count_up((size_t *)argument);
    end_thread();
}

static void
job_on_stale(void *argument)
{
    CHECK_OK(tls_thread_on_stale(end_the_notifier, argument));
}

/* Each owner is told, the later ones from the thread's cleanup. */
static void
an_unattached_release_may_end_in_notify(void)
{
    size_t told = 0;
    size_t i;

    begin(TLS_RECLAIM_OWNER, test_log_destroy, test_log_free);
    for (i = 0; i < WORKERS; i++)
        worker_do(&workers[i], job_on_stale, &told);
    test_in_thread(release, NULL);
    CHECK_UINT(told, WORKERS);
    for (i = 0; i < WORKERS; i++) {
        CHECK_UINT(worker_stale_count(&workers[i]), 1);
        CHECK_UINT(worker_expunge(&workers[i]), 1);
    }
    CHECK_UINT(ended.count, WORKERS);
    CHECK_UINT(ended.freed, 1);
    CHECK_UINT(test_stats().dead_keys, 0);
    stop_workers();
}

/* ---- A wait that is cancelled ------------------------------------------ */

static void *
drain_for_ever(void *argument)
{
    (void)argument;
    tls_key_drain(key, -1, NULL);
    CHECK(!"reached: the wait was cancelled");
    return NULL;
}

/* The lock under which it waited is free afterwards. */
static void
a_wait_may_be_cancelled(void)
{
    struct timespec moment = { 0, 20 * 1000 * 1000 };
    pthread_t waiter;
    size_t left = 0;

    begin(TLS_RECLAIM_OWNER, test_log_destroy, test_log_free);
    waiter = test_start(drain_for_ever, NULL);
    nanosleep(&moment, NULL); /* it may or may not be waiting already */
    CHECK_INT(pthread_cancel(waiter), 0);
    CHECK_PTR(test_join(waiter), PTHREAD_CANCELED);
    CHECK_CODE(tls_key_drain(key, 15, &left), TLS_ERR_TIMEOUT);
    CHECK_UINT(left, WORKERS);
    stop_workers();
    CHECK_OK(tls_key_drain(key, -1, NULL));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.freed, 1);
}

static void
run_all(void)
{
    RUN(a_visitor_may_end_its_thread);
    RUN(a_taker_may_end_its_thread);
    RUN(a_purge_may_end_its_thread);
    RUN(an_unattached_release_may_end_in_destroy);
    RUN(an_unattached_release_may_end_in_user_free);
    RUN(an_unattached_release_may_end_in_notify);
    RUN(a_wait_may_be_cancelled);
}

int
main(void)
{
    by_cancellation = false;
    run_all();
    by_cancellation = true;
    run_all();
    return test_finish();
}
