/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Calls that can't be refused, on threads that are not attached, with no memory left:
 * a release, and the end of a context or a task. Their callbacks may end the thread,
 * or fork, and nothing is lost all the same.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "failing_malloc.h"

#include "apart.h"
#include "forking.h"

enum { KEYS = 5, THREADS = 24 };

typedef enum how { BY_RELEASE, BY_FREE, BY_CANCEL, BY_RUN, WAYS } how_t;

static const char *const how_names[] = { "release", "context_free", "task_cancel", "task_run" };

static how_t how;
static tls_key_t keys[KEYS];
static tls_context_t *context;
static tls_task_t *task;
static size_t destroyed, freed, copied, refused;
static bool leaves, forks, in_child;

static void
act(void)
{
    if (forks) {
        pid_t child;

        forks = false;
        refused += fail_stop();
        child = fork_checked();
        if (child == 0) {
            in_child = true;
            alarm(20);
        } else {
            wait_for_child(child);
        }
        fail_from(1, FAIL_ALWAYS);
    }
    if (leaves) {
        leaves = false;
        refused += fail_stop();
        CHECK_AT_LEAST(refused, 1);
        pthread_exit(NULL);
    }
}

static int
copy(void *value, void **result, void *user)
{
    (void)user;
    test_count_up(&copied);
    *result = value;
    return 0;
}

static void
destroy(void *value, int reason, void *user)
{
    (void)value;
    (void)reason;
    (void)user;
    test_count_up(&destroyed);
    act();
}

static void
free_user(void *user)
{
    (void)user;
    test_count_up(&freed);
    act();
}

static void
nothing(void *argument)
{
    (void)argument;
}

static void
prepare(void)
{
    tls_key_options_t options = test_options();
    size_t i;

    options.destroy = destroy;
    options.copy = copy;
    options.user_free = free_user;
    options.flags = TLS_KEY_INHERIT;
    for (i = 0; i < KEYS; i++) {
        keys[i] = test_key_from(&options);
        if (how != BY_RELEASE)
            CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    }
    if (how == BY_FREE)
        CHECK_OK(tls_context_capture(&context));
    if (how == BY_CANCEL || how == BY_RUN)
        CHECK_OK(tls_task_create(&task, nothing, NULL));
    CHECK_UINT(copied, how == BY_RELEASE ? 0 : KEYS);
}

static void *
call_without_memory(void *argument)
{
    (void)argument;
    fail_from(1, FAIL_ALWAYS);
    switch (how) {
    case BY_RELEASE: CHECK_OK(tls_key_release(keys[0])); break;
    case BY_FREE: tls_context_free(context); break;
    case BY_CANCEL: tls_task_cancel(task); break;
    default: tls_task_run(task); break;
    }
    refused += fail_stop();
    CHECK_AT_LEAST(refused, 1);
    /* It is as it was: the spare memory is another thread's now. */
    CHECK_UINT(test_stats().maps, in_child || how == BY_RELEASE ? 0 : 1);
    return NULL;
}

/* The keys are live (but for one that was released), and then drain. */
static void
check_the_end(void)
{
    size_t first = how == BY_RELEASE ? 1 : 0;
    size_t left = 99;
    size_t i;

    CHECK_UINT(destroyed, how == BY_RELEASE ? 0 : KEYS);
    CHECK_UINT(freed, first);
    for (i = 0; i < KEYS; i++) {
        CHECK(tls_key_is_live(keys[i]) == (i >= first));
        if (i >= first)
            CHECK_OK(tls_key_release(keys[i]));
        CHECK_OK(tls_key_drain(keys[i], 0, &left));
        CHECK_UINT(left, 0);
    }
    CHECK_UINT(freed, KEYS);
    CHECK_OK(tls_thread_detach());
    CHECK_UINT(test_stats().contexts, 0);
    CHECK_UINT(test_stats().leaked, 0);
}

static void
a_callback_that_returns(void)
{
    prepare();
    test_in_thread(call_without_memory, NULL);
    check_the_end();
}

static void
a_callback_that_ends_the_thread(void)
{
    prepare();
    leaves = true;
    test_join(test_start(call_without_memory, NULL));
    CHECK(!leaves);
    check_the_end();
}

static void *
call_and_check_the_child(void *argument)
{
    call_without_memory(argument);
    if (in_child) {
        check_the_end();
        _exit(0);
    }
    return NULL;
}

static void
a_callback_that_forks(void)
{
    if (forks_are_left_out())
        return;
    prepare();
    forks = true;
    test_in_thread(call_and_check_the_child, NULL);
    CHECK(!forks);
    check_the_end();
}

/* ---- More at once than there is spare memory for ------------------------------------- */

static pthread_barrier_t all_inside;

static void
wait_for_all(void *user)
{
    (void)user;
    test_count_up(&freed);
    pthread_barrier_wait(&all_inside);
}

static void *
release_one(void *key)
{
    fail_from(1, FAIL_ALWAYS);
    CHECK_OK(tls_key_release(*(tls_key_t *)key));
    CHECK_AT_LEAST(fail_stop(), 1);
    return NULL;
}

static void
many_threads_at_once(void)
{
    tls_key_options_t options = test_options();
    tls_key_t many[THREADS];
    pthread_t threads[THREADS];
    size_t left = 99;
    size_t round;
    size_t i;

    options.user_free = wait_for_all;
    CHECK_INT(pthread_barrier_init(&all_inside, NULL, THREADS), 0);
    for (round = 1; round <= 3; round++) {
        for (i = 0; i < THREADS; i++) {
            many[i] = test_key_from(&options);
            threads[i] = test_start(release_one, &many[i]);
        }
        for (i = 0; i < THREADS; i++) {
            test_join(threads[i]);
            CHECK_OK(tls_key_drain(many[i], 0, &left));
            CHECK_UINT(left, 0);
        }
        CHECK_UINT(freed, round * THREADS);
        CHECK_UINT(test_stats().maps, 0);
    }
}

int
main(void)
{
    int way;

    for (way = 0; way < WAYS; way++) {
        how = (how_t)way;
        RUN_APART_AS(a_callback_that_returns, how_names[way]);
        RUN_APART_AS(a_callback_that_ends_the_thread, how_names[way]);
        RUN_APART_AS(a_callback_that_forks, how_names[way]);
    }
    RUN_APART(many_threads_at_once);
    return apart_finish();
}
