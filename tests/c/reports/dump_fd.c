/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tls_dump_fd(): the report of tls_dump(), to a descriptor of any kind; and with each lock
 * of the library held in turn, by the very thread that asks: it waits for none.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "interpose.h"

#include "reports.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ---- A lock of the library's, held ------------------------------------------------- */

static __thread void (*when_locked)(void);

EXPORT int
pthread_mutex_lock(pthread_mutex_t *mutex) NOEXCEPT
{
    static int (*next)(pthread_mutex_t *);
    void (*call)(void) = when_locked;
    int result;

    if (next == NULL)
        find_next(&next, "pthread_mutex_lock");
    result = next(mutex);
    if (call != NULL) {
        when_locked = NULL;
        call();
        when_locked = call;
    }
    return result;
}

/* The library writes by it. What it is given is as long as what the kernel may want. */
static long most; /* bytes at a time; 0: as many as there are */

EXPORT long
syscall(long number, ...) NOEXCEPT
{
    static long (*next)(long, ...);
    static size_t writes;
    long arguments[6];
    va_list rest;
    size_t i;

    if (next == NULL)
        find_next(&next, "syscall");
    va_start(rest, number);
    for (i = 0; i < 6; i++)
        arguments[i] = va_arg(rest, long);
    va_end(rest);
    if (number == SYS_write && most > 0) {
        if (writes++ % 2 == 0) {
            errno = EINTR;
            return -1;
        }
        arguments[2] = arguments[2] < most ? arguments[2] : most;
    }
    return next(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                arguments[5]);
}

static size_t reports;
static size_t incomplete;

static bool
is_incomplete(int file)
{
    report_t report = report_of_file(file);
    bool is_so = strstr(report.text, "],\n\"incomplete\":true}\n") != NULL;

    report_check_whole(report.text);
    /* Each part that is missing says so, and is in a report that does. */
    CHECK(is_so || count_in(report.text, "incomplete") == 0);
    free(report.text);
    return is_so;
}

static void
dump_with_the_lock(void)
{
    int file = report_file();
    bool is_so;
    int status;
    pid_t child;

    CHECK_OK(tls_dump_fd(file));
    is_so = is_incomplete(file);
    reports++;
    incomplete += is_so;
    if (reports % 8 != 0)
        return;
    /* A fork that no handler sees: the lock is held for ever there. */
    file = report_file();
    child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) {
        if (tls_dump_fd(file) == TLS_OK)
            raise(SIGKILL); /* and no tool looks what its threads have left behind */
        _exit(1);
    }
    CHECK(child > 0);
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    CHECK_INT(is_incomplete(file), is_so);
}

static int
visit_nothing(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    (void)argument;
    return 0;
}

static int
holds(uint64_t map, uint64_t thread, size_t values, void *argument)
{
    (void)map;
    (void)thread;
    (void)values;
    (void)argument;
    return 0;
}

static int
drop(const char *bytes, size_t length, void *argument)
{
    (void)bytes;
    (void)length;
    (void)argument;
    return 0;
}

static void *
take_every_lock(void *argument)
{
    tls_key_options_t options = test_options();
    tls_context_t *context = NULL;
    tls_map_t *map = NULL;
    worker_t worker;
    tls_key_t keys[3];
    size_t turn;
    size_t i;

    (void)argument;
    worker_start(&worker);
    when_locked = dump_with_the_lock;
    for (turn = 0; turn < 3; turn++) {
        options.name = "under locks";
        options.flags = TLS_KEY_ENUMERABLE;
        options.reclaim = turn == 0 ? TLS_RECLAIM_OWNER : TLS_RECLAIM_ANY;
        for (i = 0; i < 3; i++) {
            keys[i] = test_key_from(&options);
            CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
        }
        CHECK_OK(tls_for_each(keys[0], visit_nothing, NULL));
        CHECK_OK(tls_for_each_holder(keys[0], holds, NULL));
        CHECK_OK(tls_set(keys[0], VALUE(9)));
        CHECK_OK(tls_remove(keys[1]));
        CHECK_OK(tls_context_capture(&context));
        CHECK_OK(tls_map_create(&map));
        when_locked = NULL; /* the worker's own lock */
        CHECK_OK(worker_set(&worker, keys[0], VALUE(4)));
        when_locked = dump_with_the_lock;
        test_release_keys(keys, 3);
        CHECK_OK(tls_dump(drop, NULL));
        tls_context_free(context);
        CHECK_OK(tls_map_destroy(map));
    }
    CHECK_OK(tls_thread_detach());
    when_locked = NULL;
    worker_stop(&worker);
    return NULL;
}

static void
it_waits_for_no_lock(void)
{
    tls_key_t dead = test_key();
    worker_t worker;

    worker_start(&worker);
    CHECK_OK(worker_set(&worker, dead, VALUE(1)));
    CHECK_OK(tls_key_release(dead));
    test_in_thread(take_every_lock, NULL);
    CHECK_AT_LEAST(reports, 60);
    CHECK_AT_LEAST(incomplete, reports / 2);
    CHECK_INT(values_reported(dead), 1);
    worker_stop(&worker);
}

/* ---- A visitor holds none --------------------------------------------------------------- */

static int
report_in_visit(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    CHECK_INT(values_reported(*(tls_key_t *)argument), 1);
    return 0;
}

static int
report_in_report(const char *bytes, size_t length, void *argument)
{
    return report_in_visit(NULL, length + (bytes == NULL), argument);
}

static void
in_callbacks_it_is_complete(void)
{
    tls_key_options_t options = test_options();
    tls_key_t key;

    options.flags = TLS_KEY_ENUMERABLE;
    key = test_key_from(&options);
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_for_each(key, report_in_visit, &key));
    CHECK_OK(tls_dump(report_in_report, &key));
    CHECK_OK(tls_key_release(key));
}

/* ---- Descriptors ------------------------------------------------------------------------ */

enum { MANY = 300 };

static tls_key_t many[MANY];

static void
make_many(void)
{
    size_t i;

    for (i = 0; i < MANY; i++) {
        many[i] = test_key();
        CHECK_OK(tls_set(many[i], VALUE(i + 1)));
    }
}

static void *
both_reports(void *argument)
{
    report_t called = report_now();
    report_t written = report_of_fd_now();

    /* On a thread without entries, so that "local" is empty in both. */
    CHECK_STR(written.text, called.text);
    CHECK_AT_LEAST(written.length, 20000);
    free(written.text);
    most = 7;
    written = report_of_fd_now();
    most = 0;
    CHECK_STR(written.text, called.text);
    CHECK_UINT(test_stats().maps, (uint64_t)(uintptr_t)argument); /* attaches nobody */
    free(written.text);
    free(called.text);
    return NULL;
}

static void
it_writes_what_tls_dump_says(void)
{
    make_many();
    test_in_thread(both_reports, VALUE(test_stats().maps));
    test_release_keys(many, MANY);
}

static int
code_of(int descriptor)
{
    int code;

    errno = 1234;
    code = tls_dump_fd(descriptor);
    CHECK_INT(errno, 1234);
    return code;
}

static void
a_descriptor_that_takes_no_more_ends_it(void)
{
    int pipes[2];
    int file;

    make_many();
    CHECK_CODE(code_of(-1), TLS_ERR_INVALID);
    CHECK_CODE(code_of(1000000), TLS_ERR_INVALID);
    file = open("/dev/null", O_RDONLY);
    CHECK_CODE(code_of(file), TLS_ERR_INVALID);
    close(file);
    file = open("/dev/null", O_WRONLY);
    CHECK_OK(code_of(file));
    close(file);
    file = open("/dev/full", O_WRONLY);
    if (file >= 0) {
        CHECK_CODE(code_of(file), TLS_ERR_LIMIT);
        close(file);
    }
    signal(SIGPIPE, SIG_IGN);
    CHECK_INT(pipe(pipes), 0);
    close(pipes[0]);
    CHECK_CODE(code_of(pipes[1]), TLS_ERR_LIMIT);
    close(pipes[1]);
    CHECK_INT(pipe(pipes), 0);
    CHECK_INT(fcntl(pipes[1], F_SETFL, O_NONBLOCK), 0);
    CHECK_AT_LEAST(fcntl(pipes[1], F_SETPIPE_SZ, 4096), 4096);
    CHECK_CODE(code_of(pipes[1]), TLS_ERR_LIMIT);
    CHECK_CODE(code_of(pipes[1]), TLS_ERR_LIMIT);
    close(pipes[0]);
    close(pipes[1]);
    test_release_keys(many, MANY);
}

/* ---- Parts, and signals ---------------------------------------------------------------- */

static size_t signals;

static void
interrupt(int number)
{
    (void)number;
    test_count_up(&signals);
}

static void *
dump_to_the_pipe(void *argument)
{
    CHECK_OK(code_of(*(int *)argument));
    CHECK_INT(close(*(int *)argument), 0);
    return NULL;
}

static void
a_slow_reader_gets_all_of_it(void)
{
    struct sigaction action;
    report_t report;
    pthread_t writer;
    char part[97];
    ssize_t length;
    int pipes[2];
    int kept;

    make_many();
    memset(&action, 0, sizeof(action));
    action.sa_handler = interrupt; /* without SA_RESTART: writes are interrupted */
    CHECK_INT(sigaction(SIGUSR1, &action, NULL), 0);
    memset(&report, 0, sizeof(report));
    CHECK_INT(pipe(pipes), 0);
    CHECK_AT_LEAST(fcntl(pipes[1], F_SETPIPE_SZ, 4096), 4096);
    kept = pipes[1];
    writer = test_start(dump_to_the_pipe, &kept);
    while ((length = read(pipes[0], part, sizeof(part))) > 0) {
        CHECK_OK(report_keep(part, (size_t)length, &report));
        if (report.length < 15000)
            CHECK_INT(pthread_kill(writer, SIGUSR1), 0);
        sched_yield();
    }
    test_join(writer);
    close(pipes[0]);
    report_check_whole(report.text);
    CHECK_UINT(count_in(report.text, "{\"key\":"), MANY);
    CHECK_AT_LEAST(test_count(&signals), 1);
    free(report.text);
    test_release_keys(many, MANY);
}

int
main(void)
{
    RUN(it_waits_for_no_lock);
    RUN(in_callbacks_it_is_complete);
    RUN(it_writes_what_tls_dump_says);
    RUN(a_descriptor_that_takes_no_more_ends_it);
    RUN(a_slow_reader_gets_all_of_it);
    return test_finish();
}
