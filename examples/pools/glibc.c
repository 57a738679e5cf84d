/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Threads that glibc makes to call you when a timer expires: each has a buffer of its own for a
 * parser, and frees it when the call is over. There is nothing to wrap, and nothing to register. */
#include <signal.h>
#include <time.h>

#include "parser.h"

static struct parser parser;
static size_t words, calls; /* atomic */

static void expired(union sigval argument) {
    (void)argument;
    __atomic_add_fetch(&words, parser_count_words(&parser, "the quick brown fox"), __ATOMIC_RELAXED);
    __atomic_add_fetch(&calls, 1, __ATOMIC_RELEASE);
}

int main(void) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD};
    struct itimerspec often = {{0, 1000000}, {0, 1000000}}, never = {{0, 0}, {0, 0}};
    struct timespec moment = {0, 50000000};
    timer_t timer;
    event.sigev_notify_function = expired;
    parser_open(&parser, 0);
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) return 1;
    timer_settime(timer, 0, &often, NULL);
    while (__atomic_load_n(&calls, __ATOMIC_ACQUIRE) < 50) nanosleep(&moment, NULL);
    timer_settime(timer, 0, &never, NULL);
    nanosleep(&moment, NULL);
    tls_key_drain(parser.buffer, -1, NULL); /* until the last of these threads has ended */
    parser_close(&parser);
    return parser_report("the timer has stopped", words);
}
