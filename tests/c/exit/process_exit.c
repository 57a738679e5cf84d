/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The end of the process. As with pthread keys, exit() and a return from
 * main() destroy nothing; who wants the main thread's values destroyed calls
 * tls_thread_detach. The library works until the very end.
 */
#include "test.h"

#include <time.h>

static test_log_t ended;
static tls_key_t key;
static pthread_barrier_t worker_has_value;

/* Registered first, so it runs last. */
static void
look_at_the_end(void)
{
    CHECK_UINT(ended.count, 0);
    CHECK_PTR(tls_get(key), VALUE(1));
    CHECK_PTR((tls_get)(key), VALUE(1));
    CHECK_OK(tls_thread_detach());
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_DETACHED, test_thread());
    CHECK_OK(tls_key_release(key));
    puts("looked at the end");
}

static void *
set_and_stay(void *argument)
{
    CHECK_OK(tls_set(key, argument));
    pthread_barrier_wait(&worker_has_value);
    for (;;) {
        struct timespec second = { 1, 0 };

        nanosleep(&second, NULL);
    }
    return NULL;
}

/* A thread of a pool that is still there when the process ends (N14). Not
 * under a runner: valgrind calls what the C library allocates for a living
 * thread possibly lost, whatever that thread does. */
static void
leave_a_living_thread_behind(void)
{
    if (getenv("THREADLOCALMAP_TEST_SCALE") != NULL)
        return;
    CHECK_INT(pthread_barrier_init(&worker_has_value, NULL, 2), 0);
    CHECK_INT(pthread_detach(test_start(set_and_stay, VALUE(2))), 0);
    pthread_barrier_wait(&worker_has_value);
}

int
main(void)
{
    CHECK_INT(atexit(look_at_the_end), 0);
    key = test_key_logged(&ended);
    CHECK_OK(tls_set(key, VALUE(1)));
    RUN(leave_a_living_thread_behind);
    exit(0);
}
