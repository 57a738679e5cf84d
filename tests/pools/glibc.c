/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * glibc's own threads: those that it makes to call a function of yours when a
 * timer expires or an asynchronous read is done (SIGEV_THREAD). They are
 * detached, live for one call, and nobody can join them: what they have ends
 * with them, unseen.
 */
#include <aio.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "../c/support/test.h"

#define KEYS 3

static tls_key_t keys[KEYS];
static size_t made;
static size_t ended;
static size_t calls;
static size_t wrong_thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool stopped; /* a call that comes later does nothing */

typedef struct owned {
    unsigned thread;
} owned_t;

static int
make(void **value, void *user)
{
    owned_t *owned = (owned_t *)malloc(sizeof(*owned));

    (void)user;
    if (owned == NULL)
        return 1;
    owned->thread = test_thread();
    *value = owned;
    test_count_up(&made);
    return 0;
}

static void
end(void *value, int reason, void *user)
{
    (void)user;
    if (((owned_t *)value)->thread != test_thread() || reason != TLS_REASON_THREAD_EXIT)
        test_count_up(&wrong_thread);
    free(value);
    test_count_up(&ended);
}

static void
called(union sigval argument)
{
    size_t i;

    (void)argument;
    pthread_mutex_lock(&lock);
    if (!stopped) {
        for (i = 0; i < KEYS; i++)
            CHECK(tls_get(keys[i]) != NULL);
        test_count_up(&calls);
    }
    pthread_mutex_unlock(&lock);
}

static void
make_keys(void)
{
    tls_key_options_t options = test_options();
    size_t i;

    made = ended = calls = wrong_thread = 0;
    stopped = false;
    options.init = make;
    options.destroy = end;
    for (i = 0; i < KEYS; i++)
        keys[i] = test_key_from(&options);
}

/* As many calls have come, and their threads have ended: drained. */
static void
check_all_ended(size_t wanted)
{
    size_t i;

    CHECK_AT_LEAST(test_count(&calls), wanted);
    pthread_mutex_lock(&lock);
    stopped = true;
    pthread_mutex_unlock(&lock);
    for (i = 0; i < KEYS; i++)
        CHECK_OK(tls_key_drain(keys[i], -1, NULL));
    CHECK_UINT(test_count(&made), test_count(&calls) * KEYS);
    CHECK_UINT(test_count(&ended), test_count(&made));
    CHECK_UINT(test_count(&wrong_thread), 0);
    for (i = 0; i < KEYS; i++)
        CHECK_OK(tls_key_release(keys[i]));
}

static struct sigevent
call_on_a_thread(void)
{
    struct sigevent event;

    memset(&event, 0, sizeof(event));
    event.sigev_notify = SIGEV_THREAD;
    event.sigev_notify_function = called;
    return event;
}

static void
a_timers_threads_end_what_they_have(void)
{
    struct itimerspec never = { { 0, 0 }, { 0, 0 } };
    struct itimerspec often = { { 0, 200 * 1000 }, { 0, 200 * 1000 } };
    struct sigevent event = call_on_a_thread();
    timer_t timer;

    make_keys();
    CHECK_INT(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    CHECK_INT(timer_settime(timer, 0, &often, NULL), 0);
    while (test_count(&calls) < 500)
        sched_yield();
    CHECK_INT(timer_settime(timer, 0, &never, NULL), 0);
    check_all_ended(500);
    CHECK_INT(timer_delete(timer), 0);
}

static void
an_asynchronous_reads_threads_end_what_they_have(void)
{
    static char bytes[16];
    struct aiocb control;
    int file = open("/dev/zero", O_RDONLY);
    size_t i;

    make_keys();
    CHECK(file >= 0);
    for (i = 1; i <= 200; i++) {
        memset(&control, 0, sizeof(control));
        control.aio_fildes = file;
        control.aio_buf = bytes;
        control.aio_nbytes = sizeof(bytes);
        control.aio_sigevent = call_on_a_thread();
        CHECK_INT(aio_read(&control), 0);
        while (test_count(&calls) < i)
            sched_yield();
        while (aio_error(&control) == EINPROGRESS) /* told before it is marked */
            sched_yield();
        CHECK_INT(aio_error(&control), 0);
        CHECK_INT(aio_return(&control), sizeof(bytes));
    }
    check_all_ended(200);
    close(file);
}

int
main(void)
{
    RUN(a_timers_threads_end_what_they_have);
    RUN(an_asynchronous_reads_threads_end_what_they_have);
    return test_finish();
}
