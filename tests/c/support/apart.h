/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tests that run apart: each in a process of its own, so that one that crashes
 * or hangs fails by itself, and finds the library as no other test has used
 * it.
 *
 * main() runs them with RUN_APART() and returns apart_finish().
 */
#ifndef APART_H
#define APART_H

#include "test.h"

#include <errno.h>
#include <sched.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* After so many seconds a test hangs; under a runner, after more. No test's
 * outcome depends on it. */
#ifndef APART_PATIENCE
#define APART_PATIENCE 60
#endif

static size_t apart_failures;

/* Runs test() apart. A check, a signal and a hang make the program fail at its
 * end, after all other tests have run. */
static inline void
apart_run(void (*test)(void), const char *name, const char *variant)
{
    pid_t child;
    int status = 0;

    printf("%s %s\n", name, variant);
    fflush(stdout);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(getenv("THREADLOCALMAP_TEST_SCALE") == NULL ? APART_PATIENCE : 20 * APART_PATIENCE);
        test();
        test_finish();
        fflush(stdout);
        _exit(0);
    }
    while (waitpid(child, &status, 0) != child)
        CHECK_INT(errno, EINTR);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    apart_failures++;
    if (WIFSIGNALED(status))
        fprintf(stderr, "FAILED: %s %s: signal %d%s\n", name, variant,
                WTERMSIG(status), WTERMSIG(status) == SIGALRM ? ", it hung" : "");
    else
        fprintf(stderr, "FAILED: %s %s: status %d\n", name, variant,
                WEXITSTATUS(status));
}

#define RUN_APART(test) apart_run(test, #test, "")
#define RUN_APART_AS(test, variant) apart_run(test, #test, variant)

/* Whether one of many variants of a test is left out here. Under a runner each takes a
 * second, so that only every stride-th runs, unless THREADLOCALMAP_DEEP asks for all
 * (make check-deep). The strides are primes, so that each value of each thing that
 * varies is met. */
static inline bool
apart_left_out(size_t number, size_t stride)
{
    const char *deep = getenv("THREADLOCALMAP_DEEP");

    return number % stride != 0 && getenv("THREADLOCALMAP_TEST_SCALE") != NULL &&
           (deep == NULL || *deep == '\0');
}

/* Runs one of hundreds of variants: under a runner every 11th, or every
 * THREADLOCALMAP_TEST_STRIDE-th. */
static inline void
apart_run_of_many(void (*test)(void), const char *name, const char *variant)
{
    static size_t number;
    const char *stride = getenv("THREADLOCALMAP_TEST_STRIDE");

    if (!apart_left_out(number++, stride != NULL ? strtoul(stride, NULL, 10) : 11))
        apart_run(test, name, variant);
}

#define RUN_APART_OF_MANY(test, variant) apart_run_of_many(test, #test, variant)

/* Runs one of dozens of variants: under a runner every 7th. */
static inline void
apart_run_of_dozens(void (*test)(void), const char *name, const char *variant)
{
    static size_t number;

    if (!apart_left_out(number++, 7))
        apart_run(test, name, variant);
}

#define RUN_APART_OF_DOZENS(test, variant) apart_run_of_dozens(test, #test, variant)

static inline int
apart_finish(void)
{
    CHECK_UINT(apart_failures, 0);
    return test_finish();
}

/* ---- Steps ---------------------------------------------------------------- */

/* Lets other threads run for a moment. */
static inline void
apart_pause(void)
{
    struct timespec moment;

    moment.tv_sec = 0;
    moment.tv_nsec = 100000;
    nanosleep(&moment, NULL);
}

/* Waits until another thread has raised the count so far. */
static inline void
apart_wait(const size_t *count, size_t least)
{
    while (test_count(count) < least)
        apart_pause();
}

static inline void
apart_set(size_t *count, size_t number)
{
    __atomic_store_n(count, number, __ATOMIC_SEQ_CST);
}

#endif /* APART_H */
