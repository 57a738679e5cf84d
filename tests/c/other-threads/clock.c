/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tls_key_drain() waits by a clock that nobody sets. Here the clock of the day
 * is set back and forth during the wait: this program defines clock_gettime(),
 * which the library calls. A wait that went by it would last an hour, or end
 * too early.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "apart.h"

#include <sys/syscall.h>

static size_t armed, asked;
static long step;

/* Each call about the clock of the day is `step` seconds further away. */
#ifdef __cplusplus
extern "C" int
clock_gettime(clockid_t clock, struct timespec *time) noexcept
#else
int
clock_gettime(clockid_t clock, struct timespec *time)
#endif
{
    int result = (int)syscall(SYS_clock_gettime, clock, time);

    if (clock == CLOCK_REALTIME && test_count(&armed) != 0)
        time->tv_sec += step * (long)test_count_up(&asked);
    return result;
}

static int64_t
milliseconds(void)
{
    struct timespec time;

    CHECK_INT(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &time), 0);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static size_t woken;
static tls_key_t key;

static void *
set_and_remove(void *argument)
{
    CHECK_OK(tls_set(key, argument));
    apart_set(&woken, 1);
    apart_wait(&woken, 2);
    CHECK_OK(tls_remove(key));
    return NULL;
}

/* It comes to its end, and not before the time. */
static void
a_wait_does_not_go_by_the_clock_of_the_day(void)
{
    int64_t start;
    size_t left = 99;

    key = test_key();
    CHECK_OK(tls_set(key, VALUE(1)));
    apart_set(&armed, 1);
    start = milliseconds();
    CHECK_CODE(tls_key_drain(key, 200, &left), TLS_ERR_TIMEOUT);
    CHECK_UINT(left, 1);
    CHECK_AT_LEAST(milliseconds() - start, 199);
    CHECK_CODE(tls_key_drain(key, 0, &left), TLS_ERR_TIMEOUT);
    apart_set(&armed, 0);
    CHECK_OK(tls_key_release(key));
    CHECK_OK(tls_key_drain(key, 200, &left));
    CHECK_UINT(left, 0);
}

/* Another thread's removal ends the wait, whatever the clock says. */
static void
a_wait_is_woken_whatever_the_clock_says(void)
{
    pthread_t thread;
    size_t left = 99;

    key = test_key();
    thread = test_start(set_and_remove, VALUE(1));
    apart_wait(&woken, 1);
    apart_set(&armed, 1);
    CHECK_CODE(tls_key_drain(key, 1, &left), TLS_ERR_TIMEOUT);
    apart_set(&woken, 2);
    CHECK_OK(tls_key_drain(key, -1, &left));
    CHECK_UINT(left, 0);
    apart_set(&armed, 0);
    test_join(thread);
    CHECK_OK(tls_key_release(key));
}

int
main(void)
{
    step = -3600;
    RUN_APART_AS(a_wait_does_not_go_by_the_clock_of_the_day, "(set back)");
    RUN_APART_AS(a_wait_is_woken_whatever_the_clock_says, "(set back)");
    step = 3600;
    RUN_APART_AS(a_wait_does_not_go_by_the_clock_of_the_day, "(set forward)");
    RUN_APART_AS(a_wait_is_woken_whatever_the_clock_says, "(set forward)");
    return apart_finish();
}
