/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What must work when there is no memory at all: everything that reads or ends
 * values. And what is done all the time does not even ask for any.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "failing_malloc.h"

#include "worker.h"

#define KEYS 100

static test_log_t ended;
static tls_key_t keys[KEYS];
static size_t hook_runs;

static void
hook(void *argument)
{
    CHECK_PTR(argument, &hook_runs);
    hook_runs++;
}

/* Without any memory: every call that ends or reads values works. */
static void
ending_values_needs_no_memory(void)
{
    worker_t worker;
    tls_key_t logged[30];
    void *old = NULL;
    size_t i;

    test_log_clear(&ended);
    worker_start(&worker);
    for (i = 0; i < 30; i++) {
        logged[i] = test_key_logged(&ended);
        CHECK_OK(tls_set(logged[i], VALUE(i + 1)));
        CHECK_OK(worker_set(&worker, logged[i], VALUE(100 + i)));
    }
    fail_from(1, FAIL_ALWAYS);
    for (i = 0; i < 10; i++)
        CHECK_OK(tls_key_release(logged[i]));
    CHECK_UINT(ended.count, 10);
    CHECK_OK(tls_remove(logged[10]));
    CHECK_OK(tls_take(logged[11], &old));
    CHECK_PTR(old, VALUE(12));
    CHECK_OK(tls_swap(logged[12], VALUE(50), &old));
    CHECK_PTR(old, VALUE(13));
    CHECK_OK(tls_set(logged[13], VALUE(51)));
    CHECK_UINT(ended.count, 12);
    CHECK_OK(tls_key_retain(logged[13]));
    CHECK_OK(tls_key_release(logged[13]));
    CHECK_PTR(tls_get(logged[13]), VALUE(51));
    CHECK_OK(tls_remove_all());
    CHECK_UINT(ended.count, 12 + 18);
    fail_stop();

    CHECK_UINT(worker_stale_count(&worker), 10);
    for (i = 10; i < 30; i++)
        CHECK_OK(tls_key_release(logged[i]));
    CHECK_UINT(worker_stale_count(&worker), 30);
    worker_stop(&worker);
    CHECK_UINT(ended.count, 30 + 30);
    CHECK_UINT(ended.freed, 30);
    CHECK_OK(tls_thread_detach());
}

static void
job_expunge_without_memory(void *argument)
{
    fail_from(1, FAIL_ALWAYS);
    ((worker_call_t *)argument)->number = tls_expunge();
    fail_stop();
}

/* Not even for the smaller table that a mass expunging makes possible. */
static void
expunging_needs_no_memory(void)
{
    worker_t worker;
    size_t i;

    test_log_clear(&ended);
    worker_start(&worker);
    for (i = 0; i < KEYS; i++) {
        keys[i] = test_key_logged(&ended);
        CHECK_OK(worker_set(&worker, keys[i], VALUE(i + 1)));
    }
    for (i = 5; i < KEYS; i++)
        CHECK_OK(tls_key_release(keys[i]));
    CHECK_UINT(worker_call(&worker, job_expunge_without_memory, 0, NULL, 0).number, KEYS - 5);
    CHECK_UINT(worker_stale_count(&worker), 0);
    CHECK_UINT(ended.count, KEYS - 5);
    CHECK_UINT(ended.freed, KEYS - 5);
    for (i = 0; i < 5; i++) {
        CHECK_PTR(worker_get(&worker, keys[i]), VALUE(i + 1));
        CHECK_OK(tls_key_release(keys[i]));
    }
    worker_stop(&worker);
    CHECK_UINT(ended.count, KEYS);
}

static tls_key_t of_thread[50];

static void *
end_without_memory(void *argument)
{
    size_t i;

    for (i = 0; i < 50; i++)
        CHECK_OK(tls_set(of_thread[i], VALUE(i + 1)));
    CHECK_OK(tls_at_thread_exit(hook, &hook_runs));
    fail_from(1, FAIL_ALWAYS);
    if (argument != NULL)
        CHECK_OK(tls_thread_detach());
    return NULL; /* still armed: the thread ends without memory */
}

static void
the_end_of_a_thread_needs_no_memory(void)
{
    size_t i;
    int detach;

    for (detach = 0; detach <= 1; detach++) {
        test_log_clear(&ended);
        hook_runs = 0;
        for (i = 0; i < 50; i++)
            of_thread[i] = test_key_logged(&ended);
        test_in_thread(end_without_memory, VALUE(detach));
        CHECK_UINT(hook_runs, 1);
        CHECK_UINT(ended.count, 50);
        for (i = 0; i < 50; i++) {
            CHECK_PTR(ended.records[i].value, VALUE(50 - i));
            CHECK_INT(ended.records[i].reason,
                      detach ? TLS_REASON_DETACHED : TLS_REASON_THREAD_EXIT);
            CHECK_OK(tls_key_release(of_thread[i]));
        }
        CHECK_UINT(ended.freed, 50);
    }
}

/* Hits, overwriting, and setting again what was removed: no allocation. */
static void
what_is_done_often_allocates_nothing(void)
{
    size_t i;

    for (i = 0; i < 40; i++) {
        keys[i] = test_key();
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    }
    fail_from(0, FAIL_ONCE);
    for (i = 0; i < 1000; i++) {
        CHECK_PTR(tls_get(keys[i % 40]), VALUE(i % 40 + 1));
        CHECK_PTR((tls_get)(keys[i % 40]), VALUE(i % 40 + 1));
        CHECK_OK(tls_set(keys[i % 40], VALUE(i % 40 + 1)));
        CHECK_OK(tls_remove(keys[i % 40]));
        CHECK_PTR(tls_get(keys[i % 40]), NULL);
        CHECK_OK(tls_set(keys[i % 40], VALUE(i % 40 + 1)));
        CHECK_UINT(tls_stale_count(), 0);
        CHECK_UINT(tls_expunge(), 0);
    }
    fail_stop();
    CHECK_UINT(fail_asked, 0);
    for (i = 0; i < 40; i++)
        CHECK_OK(tls_key_release(keys[i]));
    CHECK_OK(tls_thread_detach());
}

static int
count_one(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    ++*(size_t *)argument;
    return 0;
}

/* A call that fails for want of memory has no lock when it returns. */
static void *
visit_locked_without_memory(void *argument)
{
    worker_t *worker = (worker_t *)argument;
    size_t seen = 0;
    size_t n;
    int code;

    for (n = 1;; n++) {
        fail_from(n, FAIL_ALWAYS);
        code = tls_for_each_locked(keys[0], count_one, &seen);
        fail_stop();
        CHECK_OK(worker_set(worker, keys[0], VALUE(n)));
        if (code == TLS_OK)
            break;
        CHECK_CODE(code, TLS_ERR_NO_MEMORY);
        CHECK_UINT(seen, 0);
    }
    CHECK_UINT(seen, 1);
    CHECK_AT_LEAST(n, 2);
    return NULL;
}

static void
a_locked_visit_without_memory_holds_nothing(void)
{
    tls_key_options_t options = test_options();
    worker_t worker;

    options.flags = TLS_KEY_ENUMERABLE;
    keys[0] = test_key_from(&options);
    workers_start_with_values(&worker, 1, keys[0]);
    test_in_thread(visit_locked_without_memory, &worker);
    worker_stop(&worker);
    CHECK_OK(tls_key_release(keys[0]));
}

int
main(void)
{
    RUN(ending_values_needs_no_memory);
    RUN(expunging_needs_no_memory);
    RUN(the_end_of_a_thread_needs_no_memory);
    RUN(what_is_done_often_allocates_nothing);
    RUN(a_locked_visit_without_memory_holds_nothing);
    return test_finish();
}
