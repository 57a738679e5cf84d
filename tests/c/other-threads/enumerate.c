/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Visiting and taking all threads' values. What becomes of a value whose owner
 * ends it while it is visited: its end is deferred, and comes once, where and
 * why it should.
 */
#include "sums.h"
#include "worker.h"

#define WORKERS 4

static test_log_t ended;
static worker_t workers[WORKERS];
static tls_key_t key;

static void
make_key(uint32_t reclaim)
{
    tls_key_options_t options = test_options_logged(&ended);

    test_log_clear(&ended);
    options.reclaim = reclaim;
    options.flags = TLS_KEY_ENUMERABLE;
    key = test_key_from(&options);
}

/* The workers' values are 1, 2, ... */
static void
prepare(uint32_t reclaim)
{
    make_key(reclaim);
    workers_start_with_values(workers, WORKERS, key);
}

static void
stop_workers(void)
{
    workers_stop(workers, WORKERS);
}

/* ---- Who is visited ------------------------------------------------------------ */

static int
ignore(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    test_count_up((size_t *)argument);
    return 0;
}

static void
visiting_is_for_live_enumerable_keys(void)
{
    size_t calls = 0;
    tls_key_t plain;

    test_log_clear(&ended);
    plain = test_key_logged(&ended);
    CHECK_OK(tls_set(plain, VALUE(1)));
    CHECK_CODE(tls_for_each(plain, ignore, &calls), TLS_ERR_INVALID);
    CHECK_CODE(tls_scrape(plain, ignore, &calls), TLS_ERR_INVALID);
    CHECK_OK(tls_key_release(plain));
    CHECK_CODE(tls_for_each(plain, ignore, &calls), TLS_ERR_DEAD_KEY);
    CHECK_CODE(tls_scrape(plain, ignore, &calls), TLS_ERR_DEAD_KEY);
    CHECK_CODE(tls_for_each(TLS_KEY_NONE, ignore, &calls), TLS_ERR_BAD_KEY);
    make_key(TLS_RECLAIM_OWNER);
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_CODE(tls_for_each(key, NULL, &calls), TLS_ERR_INVALID);
    CHECK_CODE(tls_scrape(key, NULL, &calls), TLS_ERR_INVALID);
    CHECK_UINT(calls, 0);
    CHECK_OK(tls_set(key, NULL)); /* NULL is a value */
    CHECK_OK(tls_for_each(key, ignore, &calls));
    CHECK_UINT(calls, 1);
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.freed, 1);
}

/* R08: values that were taken out are not the library's any more. */
static void
taken_values_are_the_takers(void)
{
    sum_t sum = { 0, 0 };
    size_t i;

    prepare(TLS_RECLAIM_OWNER);
    CHECK_OK(tls_set(key, VALUE(100)));
    CHECK_OK(tls_scrape(key, add, &sum));
    CHECK_UINT(sum.values, WORKERS + 1);
    CHECK_UINT(sum.total, 100 + WORKERS * (WORKERS + 1) / 2);
    CHECK_UINT(sum_of(key).values, 0);
    CHECK_PTR(tls_get(key), NULL);
    for (i = 0; i < WORKERS; i++) {
        CHECK_PTR(worker_get(&workers[i], key), NULL);
        CHECK_UINT(worker_stale_count(&workers[i]), 0);
    }
    CHECK_OK(worker_set(&workers[0], key, VALUE(9)));
    CHECK_UINT(sum_of(key).total, 9);
    CHECK_OK(tls_key_release(key));
    stop_workers();
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(9), TLS_REASON_KEY_DEAD, workers[0].number);
    CHECK_UINT(ended.freed, 1);
}

/* ---- What a visitor may call ------------------------------------------------------ */

static tls_key_t side; /* an enumerable key of the calling thread's */

static int
call_everything(void *value, uint64_t thread, void *argument)
{
    sum_t inner;
    void *old = NULL;
    size_t number = 99;

    add(value, thread, argument);
    inner = sum_of(key); /* visits in visits */
    CHECK_UINT(inner.values, WORKERS + 1);
    CHECK_PTR(tls_get(key), VALUE(100));
    CHECK_OK(tls_set(side, value));
    CHECK_UINT(sum_of(side).values, 1);
    CHECK_OK(tls_take(side, &old));
    CHECK_PTR(old, value);
    CHECK_OK(tls_key_retain(key));
    CHECK_OK(tls_key_release(key));
    CHECK_CODE(tls_key_drain(key, 0, &number), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_thread_detach(), TLS_ERR_REENTRANT);
    CHECK_UINT(number, 99);
    tls_expunge();
    tls_expunge_all_threads();
    test_stats();
    return 0;
}

static void
a_visitor_may_call_everything(void)
{
    sum_t sum = { 0, 0 };
    tls_key_options_t options = test_options();

    prepare(TLS_RECLAIM_OWNER);
    options.flags = TLS_KEY_ENUMERABLE;
    side = test_key_from(&options);
    CHECK_OK(tls_set(key, VALUE(100)));
    CHECK_OK(tls_for_each(key, call_everything, &sum));
    CHECK_UINT(sum.values, WORKERS + 1);
    CHECK_OK(tls_key_release(side));
    CHECK_OK(tls_key_release(key));
    stop_workers();
    CHECK_UINT(ended.count, WORKERS + 1);
}

/* ---- Values that are ended while they are visited ---------------------------------- */

typedef struct meanwhile {
    worker_t *worker; /* the owner of the visited value 1 */
    void (*job)(void *argument);
    worker_call_t call;
    size_t seen;
    bool again; /* visit inside the visit: two marks on one value */
} meanwhile_t;

static int
visit_and_let_the_owner_act(void *value, uint64_t thread, void *argument)
{
    meanwhile_t *meanwhile = (meanwhile_t *)argument;
    size_t before = ended.count;

    (void)thread;
    if (value != VALUE(1))
        return 0;
    meanwhile->seen++;
    if (meanwhile->again && meanwhile->seen == 1) {
        CHECK_OK(tls_for_each(key, visit_and_let_the_owner_act, meanwhile));
        CHECK_UINT(meanwhile->seen, 2);
        CHECK_UINT(ended.count, before); /* this visitor still has it */
        return 0;
    }
    worker_do(meanwhile->worker, meanwhile->job, &meanwhile->call);
    /* Whatever the owner did: the value is whole. */
    CHECK_UINT(ended.count, before);
    return 0;
}

static meanwhile_t
visit_while(worker_t *worker, void (*job)(void *), void *value, bool again)
{
    meanwhile_t meanwhile;

    memset(&meanwhile, 0, sizeof(meanwhile));
    meanwhile.worker = worker;
    meanwhile.job = job;
    meanwhile.call.key = key;
    meanwhile.call.value = value;
    meanwhile.again = again;
    CHECK_OK(tls_for_each(key, visit_and_let_the_owner_act, &meanwhile));
    CHECK_AT_LEAST(meanwhile.seen, 1);
    return meanwhile;
}

/* OWNER: the end waits for the owner's next expunge, and is counted as stale.
 * ANY: the visitor brings it. */
static void
check_deferred(uint32_t reclaim, void (*job)(void *), void *value, int reason, bool again)
{
    bool any = reclaim == TLS_RECLAIM_ANY;

    prepare(reclaim);
    CHECK_OK(visit_while(&workers[0], job, value, again).call.code);
    CHECK_UINT(ended.count, any ? 1 : 0);
    CHECK_UINT(worker_stale_count(&workers[0]), any ? 0 : 1);
    CHECK_UINT(worker_expunge(&workers[0]), any ? 0 : 1);
    CHECK_UINT(worker_stale_count(&workers[0]), 0);
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(1), reason, any ? test_thread() : workers[0].number);
    CHECK_PTR(worker_get(&workers[0], key), value);
    CHECK_OK(tls_key_release(key));
    stop_workers();
    CHECK_UINT(ended.count, WORKERS + (value != NULL ? 1 : 0));
    CHECK_UINT(ended.freed, 1);
}

static void
check_deferred_of_all_kinds(uint32_t reclaim)
{
    int again;

    for (again = 0; again < 2; again++) {
        check_deferred(reclaim, worker_job_set, VALUE(77), TLS_REASON_REPLACED, again);
        check_deferred(reclaim, worker_job_remove, NULL, TLS_REASON_REMOVED, again);
        check_deferred(reclaim, worker_job_detach, NULL, TLS_REASON_DETACHED, again);
    }
}

static void
a_visited_value_ends_later(void)
{
    int again;

    for (again = 0; again < 2; again++) {
        check_deferred(TLS_RECLAIM_OWNER, worker_job_set, VALUE(77), TLS_REASON_REPLACED, again);
        check_deferred(TLS_RECLAIM_OWNER, worker_job_remove, NULL, TLS_REASON_REMOVED, again);
    }
    check_deferred_of_all_kinds(TLS_RECLAIM_ANY);
}

static void
job_swap(void *argument)
{
    worker_call_t *call = (worker_call_t *)argument;
    void *old = VALUE(99);

    call->code = tls_swap(call->key, VALUE(50), &old);
    CHECK_PTR(old, VALUE(99));
}

static void
job_take(void *argument)
{
    worker_call_t *call = (worker_call_t *)argument;
    void *old = VALUE(99);

    call->code = tls_take(call->key, &old);
    CHECK_PTR(old, VALUE(99));
}

static void
job_set_same(void *argument)
{
    worker_call_t *call = (worker_call_t *)argument;

    call->code = tls_set(call->key, VALUE(1));
}

static void
a_visited_value_is_not_handed_over(void)
{
    prepare(TLS_RECLAIM_OWNER);
    CHECK_CODE(visit_while(&workers[0], job_swap, NULL, false).call.code, TLS_ERR_BUSY);
    CHECK_CODE(visit_while(&workers[0], job_take, NULL, false).call.code, TLS_ERR_BUSY);
    CHECK_PTR(worker_get(&workers[0], key), VALUE(1));
    CHECK_UINT(worker_stale_count(&workers[0]), 0);
    CHECK_OK(tls_key_release(key));
    stop_workers();
    CHECK_UINT(ended.count, WORKERS);
}

/* Setting the same pointer ends nothing, visited or not. */
static void
the_same_value_may_be_set_while_visited(void)
{
    prepare(TLS_RECLAIM_OWNER);
    CHECK_OK(visit_while(&workers[0], job_set_same, NULL, false).call.code);
    worker_expunge(&workers[0]);
    CHECK_UINT(ended.count, 0);
    CHECK_PTR(worker_get(&workers[0], key), VALUE(1));
    CHECK_OK(tls_key_release(key));
    stop_workers();
    CHECK_UINT(ended.count, WORKERS);
}

/* The owner is gone when the visitor comes back: the visitor ends the value. */
static void
check_owner_gone(uint32_t reclaim, int reason)
{
    prepare(reclaim);
    visit_while(&workers[0], worker_job_detach, NULL, false);
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(1), reason, test_thread());
    CHECK_OK(tls_key_release(key));
    stop_workers();
    CHECK_UINT(ended.count, WORKERS);
    CHECK_UINT(ended.freed, 1);
}

static int
end_the_owner(void *value, uint64_t thread, void *argument)
{
    (void)thread;
    (void)argument;
    if (value == VALUE(1)) {
        worker_stop(&workers[0]);
        CHECK_UINT(ended.count, 0);
    }
    return 0;
}

static void
a_visited_value_outlives_its_thread(void)
{
    size_t i;
    int any;

    check_owner_gone(TLS_RECLAIM_OWNER, TLS_REASON_DETACHED);
    check_owner_gone(TLS_RECLAIM_ANY, TLS_REASON_DETACHED);
    for (any = 0; any < 2; any++) {
        prepare(any ? TLS_RECLAIM_ANY : TLS_RECLAIM_OWNER);
        CHECK_OK(tls_for_each(key, end_the_owner, NULL));
        CHECK_UINT(ended.count, 1);
        CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_THREAD_EXIT, test_thread());
        CHECK_UINT(sum_of(key).values, WORKERS - 1);
        CHECK_OK(tls_key_release(key));
        for (i = 1; i < WORKERS; i++)
            worker_stop(&workers[i]);
        CHECK_UINT(ended.count, WORKERS);
        CHECK_UINT(ended.freed, 1);
    }
}

/* A key that dies in a visit dies when the visit is over. */
static int
release_in_visit(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    if (test_count_up((size_t *)argument) == 1)
        CHECK_OK(tls_key_release(key));
    CHECK(tls_key_is_live(key));
    CHECK_UINT(ended.count, 0);
    return 0;
}

static void
a_visit_keeps_the_key_alive(void)
{
    size_t calls = 0;

    prepare(TLS_RECLAIM_ANY);
    CHECK_OK(tls_for_each(key, release_in_visit, &calls));
    CHECK_UINT(calls, WORKERS);
    CHECK(!tls_key_is_live(key));
    CHECK_UINT(ended.count, WORKERS);
    CHECK_UINT(ended.freed, 1);
    stop_workers();
}

int
main(void)
{
    RUN(visiting_is_for_live_enumerable_keys);
    RUN(taken_values_are_the_takers);
    RUN(a_visitor_may_call_everything);
    RUN(a_visited_value_ends_later);
    RUN(a_visited_value_is_not_handed_over);
    RUN(the_same_value_may_be_set_while_visited);
    RUN(a_visited_value_outlives_its_thread);
    RUN(a_visit_keeps_the_key_alive);
    return test_finish();
}
