/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tls_dump_fd() in handlers of signals: of a crash inside a destroy callback, of a timer
 * that comes anywhere in this library, and between any two instructions.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "reports.h"
#include "worker.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

enum { PAGE = 65536 }; /* of any processor, or a multiple of it */

static int nowhere;
static size_t handled;

static void
handle(int number, void (*handler)(int), int flags)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = handler;
    action.sa_flags = flags;
    CHECK_INT(sigaction(number, &action, NULL), 0);
}

/* ---- A crash ------------------------------------------------------------------------ */

static int crash_file;
static char *page;

/* As a crash handler, but that the fault is mended, and the callback goes on. */
static void
dump_and_mend(int number)
{
    (void)number;
    CHECK_OK(tls_dump_fd(crash_file));
    CHECK_INT(mprotect(page, PAGE, PROT_READ | PROT_WRITE), 0);
    test_count_up(&handled);
}

static void
crash(void *value, int reason, void *user)
{
    (void)reason;
    (void)user;
    /* Runners tell of every bad access. */
    if (getenv("THREADLOCALMAP_TEST_SCALE") != NULL)
        raise(SIGSEGV);
    *(volatile char *)value = 1;
}

static void *
die_with_a_crash(void *key)
{
    stack_t stack;

    memset(&stack, 0, sizeof(stack));
    stack.ss_size = SIGSTKSZ > 16384 ? (size_t)SIGSTKSZ : 16384;
    stack.ss_sp = malloc(stack.ss_size);
    CHECK(stack.ss_sp != NULL);
    CHECK_INT(sigaltstack(&stack, NULL), 0);
    CHECK_OK(tls_set(*(tls_key_t *)key, page));
    CHECK_OK(tls_key_release(*(tls_key_t *)key));
    CHECK_OK(tls_thread_detach());
    stack.ss_flags = SS_DISABLE;
    CHECK_INT(sigaltstack(&stack, NULL), 0);
    free(stack.ss_sp);
    return NULL;
}

static void
a_crash_in_a_callback_is_reported(void)
{
    tls_key_options_t options = test_options();
    tls_key_t dead = test_key();
    worker_t worker;
    report_t report;
    tls_key_t key;

    page = (char *)mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    handle(SIGSEGV, dump_and_mend, SA_ONSTACK);
    crash_file = report_file();
    worker_start(&worker);
    CHECK_OK(worker_set(&worker, dead, VALUE(1)));
    CHECK_OK(tls_key_release(dead));
    options.name = "crashes";
    options.destroy = crash;
    key = test_key_from(&options);
    test_in_thread(die_with_a_crash, &key);
    CHECK_UINT(handled, 1);
    report = report_of_file(crash_file);
    report_check_whole(report.text);
    CHECK_UINT(count_in(report.text, "incomplete"), 0);
    CHECK_SAYS(report, "\"name\":\"crashes\",\"live\":false,\"unended\":1,\"values\":[]}");
    CHECK_INT(report_values(&report, dead), 1);
    free(report.text);
    worker_stop(&worker);
    signal(SIGSEGV, SIG_DFL);
    CHECK_INT(munmap(page, PAGE), 0);
}

/* ---- Anywhere ------------------------------------------------------------------------ */

enum { KEYS = 40 };

static pthread_t churner;

static void
dump_nowhere(int number)
{
    (void)number;
    if (!pthread_equal(pthread_self(), churner))
        return; /* the process's timer chose another thread */
    CHECK_OK(tls_dump_fd(nowhere));
    test_count_up(&handled);
}

typedef struct batch {
    tls_key_t keys[KEYS];
} batch_t;

static void
job_release(void *batch)
{
    test_release_keys(((batch_t *)batch)->keys, KEYS);
}

static void
job_set(void *batch)
{
    size_t i;

    for (i = 0; i < KEYS; i += 4)
        CHECK_OK(tls_set(((batch_t *)batch)->keys[i], VALUE(i + 1)));
}

/* Table, slabs and order grow and shrink; keys die here and elsewhere; scopes cover. With
 * reachable ones, all of it is done with locks. */
static void
churn(worker_t *other, size_t turn)
{
    tls_key_options_t options = test_options();
    tls_map_t *map = NULL;
    tls_scope_t scope;
    batch_t batch;
    size_t i;

    options.name = "churned";
    options.flags = turn % 2 == 0 ? 0 : TLS_KEY_ENUMERABLE;
    options.reclaim = turn % 3 == 0 ? TLS_RECLAIM_ANY : TLS_RECLAIM_OWNER;
    for (i = 0; i < KEYS; i++) {
        batch.keys[i] = test_key_from(&options);
        CHECK_OK(tls_set(batch.keys[i], VALUE(i + 1)));
    }
    worker_do(other, job_set, &batch);
    CHECK_OK(tls_scope_begin(&scope, NULL));
    for (i = 0; i < KEYS; i += 3)
        CHECK_OK(i % 2 == 0 ? tls_set(batch.keys[i], VALUE(i)) : tls_remove(batch.keys[i]));
    CHECK_OK(tls_scope_end(scope));
    CHECK_OK(tls_map_create(&map));
    CHECK_OK(tls_map_switch(map, NULL));
    CHECK_OK(tls_set(batch.keys[0], VALUE(7)));
    CHECK_OK(tls_map_switch(NULL, NULL));
    if (turn % 5 == 0)
        worker_do(other, job_release, &batch);
    else
        job_release(&batch);
    tls_expunge();
    CHECK_OK(tls_map_destroy(map));
    CHECK_UINT(worker_expunge(other), turn % 3 == 0 || turn % 5 == 0 ? 0 : KEYS / 4);
    if (turn % 7 == 0)
        CHECK_OK(tls_thread_detach());
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
a_timer_may_come_anywhere(void)
{
    size_t wanted = test_scaled(4000, 50);
    worker_t other;
    size_t turn = 0;

    churner = pthread_self();
    handled = 0;
    worker_start(&other);
    handle(SIGALRM, dump_nowhere, SA_RESTART);
    set_timer(300);
    while (test_count(&handled) < wanted)
        churn(&other, turn++);
    set_timer(0);
    signal(SIGALRM, SIG_IGN);
    worker_stop(&other);
}

#if defined(__x86_64__)

/* As in signals.c: a trap after each instruction, on the way to and from the library too. */
static inline void
step_by_step(bool on)
{
    if (on)
        __asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\t"
                         "lea 128(%%rsp), %%rsp" ::: "memory", "cc");
    else
        __asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq\n\t"
                         "lea 128(%%rsp), %%rsp" ::: "memory", "cc");
}

/* A report takes long where a lock is held: of the instructions it is every so many'th. */
static void
dump_sometimes(int number)
{
    enum { EACH = 127 };
    static size_t steps;

    if (++steps % EACH == 0)
        dump_nowhere(number);
}

/* Values enough for a second and a third slab, and for a larger table. */
static void
between_any_two_instructions(void)
{
    enum { FEW = 14 };
    tls_key_options_t options = test_options();
    tls_key_t keys[FEW];
    size_t before;
    int round;
    size_t i;

    if (getenv("THREADLOCALMAP_TEST_SCALE") != NULL)
        return; /* runners cannot do that */
    churner = pthread_self();
    handle(SIGTRAP, dump_sometimes, 0);
    before = test_count(&handled);
    for (round = 0; round < 2; round++) {
        options.reclaim = round == 0 ? TLS_RECLAIM_OWNER : TLS_RECLAIM_ANY;
        step_by_step(true);
        for (i = 0; i < FEW; i++) {
            tls_key_create(&keys[i], &options);
            tls_set(keys[i], VALUE(i + 1));
        }
        for (i = 0; i < FEW; i++)
            tls_key_release(keys[i]);
        tls_thread_detach();
        step_by_step(false);
    }
    CHECK_AT_LEAST(test_count(&handled), before + 2 * FEW);
}

#else

static void
between_any_two_instructions(void)
{
}

#endif

int
main(void)
{
    nowhere = open("/dev/null", O_WRONLY);
    CHECK(nowhere >= 0);
    RUN(a_crash_in_a_callback_is_reported);
    RUN(a_timer_may_come_anywhere);
    RUN(between_any_two_instructions);
    close(nowhere);
    return test_finish();
}
