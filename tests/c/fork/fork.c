/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A process that forks. The child has the forking thread's values, and nobody
 * else's: those are not destroyed in it, and their callbacks do not run.
 * Everything works in it at once, whatever the other threads were doing.
 */
#include "everything.h"
#include "forking.h"
#include "worker.h"

#define WORKERS 3

static test_log_t ended;
static worker_t workers[WORKERS];

static void
start_workers(void)
{
    size_t i;

    for (i = 0; i < WORKERS; i++)
        worker_start(&workers[i]);
}

static void
stop_workers(void)
{
    workers_stop(workers, WORKERS);
}

/* The workers' values are 1, 2, 3. */
static void
set_on_workers(tls_key_t key)
{
    size_t i;

    for (i = 0; i < WORKERS; i++)
        CHECK_OK(worker_set(&workers[i], key, VALUE(i + 1)));
}

/* The child has nothing of the test's any more, and works. */
static void
finish_child(void)
{
    use_everything();
    test_finish();
    _exit(0);
}

static void *
use_everything_here(void *argument)
{
    use_everything();
    return argument;
}

/* The same for a thread that can store nothing more. */
static void
finish_child_at_its_end(void)
{
    test_in_thread(use_everything_here, NULL);
    test_finish();
    _exit(0);
}

/* ---- Values -------------------------------------------------------------- */

static tls_key_t keys[3];

static void
look_at_own_values(void *(*get)(tls_key_t))
{
    CHECK_PTR(get(keys[0]), VALUE(100));
    CHECK_PTR(get(keys[1]), VALUE(101));
    CHECK_PTR(get(keys[2]), NULL); /* of others only */
}

static void *
inlined_get(tls_key_t key)
{
    return tls_get(key);
}

static void
child_with_values(void)
{
    tls_stats_t stats = test_stats();
    size_t left = 99;

    CHECK_UINT(stats.maps, 1);
    CHECK_UINT(stats.entries, 2);
    CHECK_UINT(stats.stale, 0);
    CHECK_UINT(stats.keys, 3);
    look_at_own_values(inlined_get);
    look_at_own_values(tls_get);
    look_at_own_values(tls_get_existing);
    use_everything();
    look_at_own_values(inlined_get);
    CHECK_UINT(ended.count, 0);
    CHECK_OK(tls_key_drain(keys[2], 0, &left)); /* nobody here has a value */
    CHECK_UINT(left, 0);

    CHECK_OK(tls_key_release(keys[0]));
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(100), TLS_REASON_KEY_DEAD, test_thread());
    CHECK_UINT(ended.freed, 1);
    CHECK_OK(tls_key_release(keys[2]));
    CHECK_UINT(ended.freed, 2);
    CHECK_OK(tls_thread_detach());
    CHECK_UINT(ended.count, 2);
    CHECK_RECORD(&ended, 1, VALUE(101), TLS_REASON_DETACHED, test_thread());
    CHECK_OK(tls_key_release(keys[1]));
    CHECK_UINT(ended.count, 2);
    CHECK_UINT(ended.freed, 3);
    finish_child();
}

static void
set_and_fork(void *argument)
{
    pid_t child;

    (void)argument;
    CHECK_OK(tls_set(keys[0], VALUE(100)));
    CHECK_OK(tls_set(keys[1], VALUE(101)));
    child = fork_checked();
    if (child == 0)
        child_with_values();
    wait_for_child(child);
    look_at_own_values(inlined_get);
    CHECK_OK(tls_remove(keys[0]));
    CHECK_OK(tls_remove(keys[1]));
}

static void
check_values(void (*run)(void))
{
    size_t i;

    test_log_clear(&ended);
    for (i = 0; i < 3; i++)
        keys[i] = test_key_logged(&ended);
    start_workers();
    set_on_workers(keys[0]);
    set_on_workers(keys[2]);
    run();
    /* In the parent each value ends where it always would have. */
    CHECK_UINT(ended.count, 2);
    for (i = 0; i < 3; i++)
        CHECK_OK(tls_key_release(keys[i]));
    stop_workers();
    CHECK_UINT(ended.count, 2 + 2 * WORKERS);
    CHECK_UINT(ended.freed, 3);
    for (i = 2; i < ended.count; i++)
        CHECK_RECORD(&ended, i, ended.records[i].value, TLS_REASON_KEY_DEAD,
                     workers[(size_t)ended.records[i].value - 1].number);
}

static void
from_the_main_thread(void)
{
    set_and_fork(NULL);
}

static worker_t other;

static void
from_another_thread(void)
{
    worker_start(&other);
    worker_do(&other, set_and_fork, NULL);
    worker_stop(&other);
}

/* N13, T74. */
static void
a_child_has_the_forking_threads_values_only(void)
{
    check_values(from_the_main_thread);
    check_values(from_another_thread);
}

/* A thread without a map forks; the child makes its first. */
static void *
fork_unattached(void *argument)
{
    pid_t child = fork_checked();

    if (child == 0) {
        CHECK_UINT(test_stats().maps, 0);
        CHECK_UINT(test_stats().entries, 0);
        CHECK_PTR(tls_get(keys[0]), NULL);
        CHECK_OK(tls_set(keys[0], VALUE(5)));
        CHECK_UINT(test_stats().entries, 1);
        CHECK_OK(tls_key_release(keys[0]));
        CHECK_UINT(ended.count, 1);
        CHECK_UINT(ended.freed, 1);
        finish_child();
    }
    wait_for_child(child);
    return argument;
}

static void
an_unattached_thread_may_fork(void)
{
    test_log_clear(&ended);
    keys[0] = test_key_logged(&ended);
    start_workers();
    set_on_workers(keys[0]);
    CHECK_OK(tls_set(keys[0], VALUE(4)));
    test_in_thread(fork_unattached, NULL);
    CHECK_OK(tls_key_release(keys[0]));
    stop_workers();
    CHECK_UINT(ended.count, 4);
}

static void *
set_in_a_thread(void *argument)
{
    CHECK_OK(tls_set(keys[0], argument));
    return NULL;
}

/* F20: the key was only ever used by a thread that has ended. A child of a
 * child is one too. */
static void
a_key_of_an_ended_thread_can_be_released_in_a_grandchild(void)
{
    pid_t child;

    test_log_clear(&ended);
    keys[0] = test_key_logged(&ended);
    test_in_thread(set_in_a_thread, VALUE(1));
    CHECK_UINT(ended.count, 1);
    child = fork_checked();
    if (child == 0) {
        CHECK_OK(tls_set(keys[0], VALUE(2)));
        child = fork_checked();
        if (child == 0) {
            CHECK_PTR(tls_get(keys[0]), VALUE(2));
            CHECK_OK(tls_key_release(keys[0]));
            CHECK_UINT(ended.count, 2);
            CHECK_UINT(ended.freed, 1);
            finish_child();
        }
        wait_for_child(child);
        CHECK_OK(tls_key_release(keys[0]));
        CHECK_UINT(ended.count, 2);
        finish_child();
    }
    wait_for_child(child);
    CHECK_OK(tls_key_release(keys[0]));
    CHECK_UINT(ended.freed, 1);
}

/* ---- Dead keys ----------------------------------------------------------- */

static void
child_with_dead_keys(void)
{
    size_t left = 99;

    /* keys[0] has a stale value on threads lost in the fork only: it is over, and its
     * user is the parent's to free. keys[1] has one here, too. */
    CHECK_UINT(test_stats().dead_keys, 1);
    CHECK_UINT(test_stats().stale, 1);
    CHECK_UINT(tls_stale_count(), 1);
    CHECK_UINT(ended.count, 0);
    CHECK_UINT(ended.freed, 0);
    CHECK_CODE(tls_set(keys[0], VALUE(1)), TLS_ERR_DEAD_KEY);
    CHECK_CODE(tls_key_retain(keys[0]), TLS_ERR_DEAD_KEY);
    CHECK_OK(tls_key_drain(keys[0], -1, &left)); /* expunges what is here */
    CHECK_UINT(left, 0);
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(100), TLS_REASON_KEY_DEAD, test_thread());
    CHECK_UINT(ended.freed, 1);
    CHECK_UINT(tls_stale_count(), 0);
    CHECK_OK(tls_key_drain(keys[1], -1, &left));
    CHECK_UINT(left, 0);
    finish_child();
}

static void
release_there(void *argument)
{
    CHECK_OK(tls_key_release(*(tls_key_t *)argument));
}

static void
dead_keys_do_not_wait_for_threads_that_are_not_there(void)
{
    tls_key_options_t options = test_options();
    pid_t child;

    test_log_clear(&ended);
    options.name = "named"; /* of which there is a copy to free */
    options.destroy = test_log_destroy;
    options.user = &ended;
    options.user_free = test_log_free;
    keys[0] = test_key_from(&options);
    keys[1] = test_key_from(&options);
    start_workers();
    worker_start(&other);
    set_on_workers(keys[0]);
    set_on_workers(keys[1]);
    CHECK_OK(tls_set(keys[1], VALUE(100)));
    worker_do(&other, release_there, &keys[0]);
    worker_do(&other, release_there, &keys[1]);
    CHECK_UINT(test_stats().dead_keys, 2);
    child = fork_checked();
    if (child == 0)
        child_with_dead_keys();
    wait_for_child(child);
    CHECK_UINT(test_stats().dead_keys, 2);
    CHECK_UINT(tls_expunge(), 1);
    stop_workers();
    worker_stop(&other);
    CHECK_UINT(ended.count, 1 + 2 * WORKERS);
    CHECK_UINT(ended.freed, 2);
}

/* ---- The end of the thread that forked ------------------------------------- */

static void
look_at_the_childs_end(void)
{
    CHECK_UINT(ended.count, 1);
    CHECK_PTR(ended.records[0].value, VALUE(6));
    CHECK_INT(ended.records[0].reason, TLS_REASON_THREAD_EXIT);
    CHECK_OK(tls_key_release(keys[0]));
    finish_child_at_its_end();
}

static void *
fork_and_return(void *argument)
{
    pid_t child;

    CHECK_OK(tls_set(keys[0], VALUE(6)));
    child = fork_checked();
    if (child == 0) {
        /* The last thread's end is the process's. */
        CHECK_INT(atexit(look_at_the_childs_end), 0);
        return argument;
    }
    wait_for_child(child);
    return argument;
}

static void
the_childs_thread_may_end(void)
{
    test_log_clear(&ended);
    keys[0] = test_key_logged(&ended);
    CHECK_OK(tls_set(keys[0], VALUE(5)));
    test_in_thread(fork_and_return, NULL);
    CHECK_UINT(ended.count, 1);
    CHECK_OK(tls_key_release(keys[0]));
    CHECK_UINT(ended.count, 2);
}

/* Before the library has been used at all. */
static void
a_process_may_fork_before_its_first_key(void)
{
    pid_t child = fork_checked();

    if (child == 0)
        finish_child();
    wait_for_child(child);
}

int
main(void)
{
    if (forks_are_left_out())
        return 0;
    RUN(a_process_may_fork_before_its_first_key);
    RUN(a_child_has_the_forking_threads_values_only);
    RUN(an_unattached_thread_may_fork);
    RUN(a_key_of_an_ended_thread_can_be_released_in_a_grandchild);
    RUN(dead_keys_do_not_wait_for_threads_that_are_not_there);
    RUN(the_childs_thread_may_end);
    return test_finish();
}
