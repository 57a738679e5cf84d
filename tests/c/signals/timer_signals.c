/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * N08, with a timer: a signal that comes when it likes, every few dozen
 * microseconds, while its thread allocates, sets, lets its table grow and
 * shrink, and expunges what another thread has let die. The handler reads
 * values, as the header allows it, and finds each of them every time.
 */
#include "worker.h"

#include <signal.h>
#include <sys/time.h>

#define KEPT 5
#define CHURNED 60

static tls_key_t kept[KEPT];
static tls_key_t churned[CHURNED];
static size_t handled;
static size_t stale_seen;
static pthread_t reader;

static void
look(int signal_number)
{
    int i;

    (void)signal_number;
    if (!pthread_equal(pthread_self(), reader))
        return; /* the process's timer chose another thread */
    for (i = 0; i < KEPT; i++) {
        CHECK_PTR(tls_get(kept[i]), VALUE(i + 1));
        CHECK_PTR((tls_get)(kept[i]), VALUE(i + 1));
        CHECK_PTR(tls_get_existing(kept[i]), VALUE(i + 1));
    }
    for (i = 0; i < CHURNED; i++) {
        void *value = tls_get_existing(churned[i]);

        CHECK(value == NULL || value == VALUE(100 + i));
    }
    if (tls_stale_count() > 0)
        test_count_up(&stale_seen);
    test_count_up(&handled);
}

static void
set_timer(long microseconds)
{
    struct itimerval interval;

    memset(&interval, 0, sizeof(interval));
    interval.it_interval.tv_usec = microseconds;
    interval.it_value.tv_usec = microseconds;
    CHECK_INT(setitimer(ITIMER_REAL, &interval, NULL), 0);
}

static void
job_release_churned(void *argument)
{
    int i;

    (void)argument;
    for (i = 0; i < CHURNED; i++)
        CHECK_OK(tls_key_release(churned[i]));
}

/* One turn: grow, allocate, remove some, let the rest die elsewhere, expunge. */
static void
turn(worker_t *releaser)
{
    int i;

    for (i = 0; i < CHURNED; i++)
        churned[i] = test_key();
    for (i = 0; i < CHURNED; i++) {
        void *memory = malloc((size_t)(1 + i * 40));

        CHECK(memory != NULL);
        CHECK_OK(tls_set(churned[i], VALUE(100 + i)));
        CHECK_OK(tls_set(kept[i % KEPT], VALUE(i % KEPT + 1)));
        free(memory);
    }
    for (i = 0; i < CHURNED; i += 3)
        CHECK_OK(tls_remove(churned[i]));
    worker_do(releaser, job_release_churned, NULL);
    CHECK_UINT(tls_stale_count(), CHURNED - CHURNED / 3);
    while (tls_expunge_some(3) > 0)
        continue;
}

static void
a_timers_handler_finds_every_value(void)
{
    size_t wanted = test_scaled(20000, 200);
    struct sigaction action;
    worker_t releaser;
    size_t turns = 0;
    int i;

    reader = pthread_self();
    CHECK_OK(tls_thread_attach());
    for (i = 0; i < KEPT; i++) {
        kept[i] = test_key();
        CHECK_OK(tls_set(kept[i], VALUE(i + 1)));
    }
    worker_start(&releaser);
    memset(&action, 0, sizeof(action));
    action.sa_handler = look;
    action.sa_flags = SA_RESTART;
    CHECK_INT(sigaction(SIGALRM, &action, NULL), 0);
    set_timer(30);
    while (test_count(&handled) < wanted || turns < 10) {
        turn(&releaser);
        turns++;
    }
    set_timer(0);
    worker_stop(&releaser);
    for (i = 0; i < KEPT; i++)
        CHECK_OK(tls_key_release(kept[i]));
    CHECK_AT_LEAST(stale_seen, 1); /* some came in the middle of an expunge */
}

int
main(void)
{
    RUN(a_timers_handler_finds_every_value);
    return test_finish();
}
