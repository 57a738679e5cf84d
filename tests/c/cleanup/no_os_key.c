/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A process that has used up its pthread keys before it comes to this library.
 * Everything works but one thing: the end of a thread cannot be seen, so a
 * thread must be detached by hand; and that can be asked for and counted.
 */
#include "worker.h"

#include <limits.h>

static test_log_t ended;
static tls_key_t key;
static pthread_key_t taken[PTHREAD_KEYS_MAX];
static size_t taken_count;

static void
take_all_os_keys(void)
{
    while (taken_count < PTHREAD_KEYS_MAX &&
           pthread_key_create(&taken[taken_count], NULL) == 0)
        taken_count++;
    CHECK_AT_LEAST(taken_count, 1);
}

static void
hook(void *argument)
{
    (void)argument;
    CHECK(!"a hook that was refused runs");
}

static int
init_to_5(void **value, void *user)
{
    (void)user;
    *value = VALUE(5);
    return 0;
}

static void *
use_without_an_exit_hook(void *argument)
{
    tls_key_options_t options = test_options();
    tls_stats_t before = test_stats();
    tls_key_t with_init;
    tls_key_t keys[40];
    void *value = NULL;
    int i;

    (void)argument;
    CHECK_CODE(tls_thread_attach(), TLS_ERR_LIMIT);
    CHECK_UINT(test_stats().maps, before.maps);
    CHECK_CODE(tls_at_thread_exit(hook, NULL), TLS_ERR_LIMIT);

    options.init = init_to_5;
    with_init = test_key_from(&options);
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_PTR(tls_get(key), VALUE(1));
    CHECK_PTR(tls_get(with_init), VALUE(5));
    CHECK_UINT(test_stats().unwatched, before.unwatched + 1);
    CHECK_CODE(tls_thread_attach(), TLS_ERR_LIMIT);
    CHECK_CODE(tls_at_thread_exit(hook, NULL), TLS_ERR_LIMIT);

    for (i = 0; i < 40; i++) {
        keys[i] = test_key();
        CHECK_OK(tls_set(keys[i], VALUE(i + 10)));
    }
    CHECK_OK(tls_swap(key, VALUE(2), &value));
    CHECK_PTR(value, VALUE(1));
    for (i = 0; i < 40; i++) {
        CHECK_PTR(tls_get(keys[i]), VALUE(i + 10));
        CHECK_OK(tls_key_release(keys[i]));
    }
    CHECK_OK(tls_key_release(with_init));
    CHECK_UINT(ended.count, 0);
    CHECK_OK(tls_thread_detach());
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(2), TLS_REASON_DETACHED, test_thread());
    CHECK_UINT(test_stats().unwatched, before.unwatched);
    CHECK_UINT(test_stats().maps, before.maps);
    return NULL;
}

/* N05, P01: no key left, and everything works until tls_thread_detach. */
static void
a_thread_without_an_exit_hook_works_and_detaches(void)
{
    test_log_clear(&ended);
    key = test_key_logged(&ended);
    test_in_thread(use_without_an_exit_hook, NULL);
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 1);
    CHECK_UINT(ended.freed, 1);
}

/* Stale values reach a thread without an exit hook as any other. */
static void
a_thread_without_an_exit_hook_expunges(void)
{
    worker_t worker;

    test_log_clear(&ended);
    key = test_key_logged(&ended);
    worker_start(&worker);
    CHECK_OK(worker_set(&worker, key, VALUE(1)));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(worker_stale_count(&worker), 1);
    CHECK_UINT(worker_expunge(&worker), 1);
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_KEY_DEAD, worker.number);
    CHECK_OK(worker_detach(&worker));
    worker_stop(&worker);
}

static void
free_os_keys(size_t count)
{
    for (; count > 0; count--)
        CHECK_INT(pthread_key_delete(taken[--taken_count]), 0);
}

static void *
attach_and_set(void *argument)
{
    CHECK_OK(tls_thread_attach());
    CHECK_OK(tls_set(key, argument));
    CHECK_UINT(test_stats().unwatched, 0);
    return NULL;
}

static void
job_attach(void *argument)
{
    ((worker_call_t *)argument)->code = tls_thread_attach();
}

/* When somebody gives keys back, the library takes one: later threads are
 * watched, and one that works already is, once it attaches. */
static void
threads_are_watched_when_a_key_is_free_again(void)
{
    worker_t worker;

    test_log_clear(&ended);
    key = test_key_logged(&ended);
    worker_start(&worker);
    CHECK_OK(worker_set(&worker, key, VALUE(1)));
    CHECK_UINT(test_stats().unwatched, 1);
    CHECK_CODE(worker_call(&worker, job_attach, 0, NULL, 0).code, TLS_ERR_LIMIT);

    free_os_keys(1);
    CHECK_OK(worker_call(&worker, job_attach, 0, NULL, 0).code);
    CHECK_UINT(test_stats().unwatched, 0);
    CHECK_PTR(worker_get(&worker, key), VALUE(1));
    worker_stop(&worker);
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_THREAD_EXIT, worker.number);

    test_in_thread(attach_and_set, VALUE(2));
    CHECK_UINT(ended.count, 2);
    CHECK_INT(ended.records[1].reason, TLS_REASON_THREAD_EXIT);
    CHECK_OK(tls_key_release(key));
}

int
main(void)
{
    take_all_os_keys();
    RUN(a_thread_without_an_exit_hook_works_and_detaches);
    RUN(a_thread_without_an_exit_hook_expunges);
    RUN(threads_are_watched_when_a_key_is_free_again);
    free_os_keys(taken_count);
    return test_finish();
}
