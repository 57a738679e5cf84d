/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the test programs share: checks that NDEBUG cannot switch off, a log
 * of destroy callbacks, and threads.
 *
 * A program is one topic. Its main() runs its tests with RUN() and returns
 * test_finish(), which shows that the library holds nothing any more. A check
 * that fails prints where, what and both values, and aborts.
 *
 * Every program is compiled as C11, C17 and C++17, and linked with the shared
 * and with the static library.
 */
#ifndef TEST_H
#define TEST_H

#if !defined(_GNU_SOURCE) && !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <threadlocalmap.h>

/* ---- Checks ---------------------------------------------------------- */

#define CHECK(condition)                                                      \
    ((condition) ? (void)0                                                    \
                 : test_fail(__FILE__, __LINE__, __func__, "%s", #condition))

/* Signed and unsigned integers, pointers, strings; the expected one second. */
#define CHECK_INT(actual, expected)                                           \
    test_check_int(__FILE__, __LINE__, __func__, #actual, (actual),           \
                   #expected, (expected))
#define CHECK_UINT(actual, expected)                                          \
    test_check_uint(__FILE__, __LINE__, __func__, #actual, (actual), "==",    \
                    #expected, (expected))
#define CHECK_AT_MOST(actual, limit)                                          \
    test_check_uint(__FILE__, __LINE__, __func__, #actual, (actual), "<=",    \
                    #limit, (limit))
#define CHECK_AT_LEAST(actual, limit)                                         \
    test_check_uint(__FILE__, __LINE__, __func__, #actual, (actual), ">=",    \
                    #limit, (limit))
#define CHECK_PTR(actual, expected)                                           \
    test_check_ptr(__FILE__, __LINE__, __func__, #actual, (actual),           \
                   #expected, (expected))
#define CHECK_STR(actual, expected)                                           \
    test_check_str(__FILE__, __LINE__, __func__, #actual, (actual),           \
                   #expected, (expected))

/* Answers of the library, printed by name. */
#define CHECK_CODE(call, expected)                                            \
    test_check_code(__FILE__, __LINE__, __func__, #call, (call), (expected))
#define CHECK_OK(call) CHECK_CODE(call, TLS_OK)

#if defined(__GNUC__)
__attribute__((format(printf, 4, 5), noreturn, unused))
#endif
static void
test_fail(const char *file, int line, const char *test, const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    fprintf(stderr, "%s:%d: %s: check failed: ", file, line, test);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    fflush(stderr);
    abort();
}

static inline void
test_check_int(const char *file, int line, const char *test,
               const char *actual_text, long long actual,
               const char *expected_text, long long expected)
{
    if (actual != expected)
        test_fail(file, line, test, "%s == %s\n    left:  %lld\n    right: %lld",
                  actual_text, expected_text, actual, expected);
}

static inline void
test_check_uint(const char *file, int line, const char *test,
                const char *actual_text, unsigned long long actual,
                const char *relation, const char *expected_text,
                unsigned long long expected)
{
    bool holds = relation[0] == '<'   ? actual <= expected
                 : relation[0] == '>' ? actual >= expected
                                      : actual == expected;

    if (!holds)
        test_fail(file, line, test, "%s %s %s\n    left:  %llu\n    right: %llu",
                  actual_text, relation, expected_text, actual, expected);
}

static inline void
test_check_ptr(const char *file, int line, const char *test,
               const char *actual_text, const void *actual,
               const char *expected_text, const void *expected)
{
    if (actual != expected)
        test_fail(file, line, test, "%s == %s\n    left:  %p\n    right: %p",
                  actual_text, expected_text, actual, expected);
}

static inline void
test_check_str(const char *file, int line, const char *test,
               const char *actual_text, const char *actual,
               const char *expected_text, const char *expected)
{
    if (actual == NULL || strcmp(actual, expected) != 0)
        test_fail(file, line, test, "%s == %s\n    left:  %s\n    right: %s",
                  actual_text, expected_text, actual ? actual : "(NULL)",
                  expected);
}

static inline void
test_check_code(const char *file, int line, const char *test,
                const char *call_text, int actual, int expected)
{
    if (actual != expected)
        test_fail(file, line, test, "%s\n    answered: %s (%d)\n    expected: %s (%d)",
                  call_text, tls_err_name(actual), actual,
                  tls_err_name(expected), expected);
}

/* ---- Running --------------------------------------------------------- */

/* Runs one test; its name is the last thing printed if it hangs or dies. */
#define RUN(test)                                                             \
    do {                                                                      \
        puts(#test);                                                          \
        fflush(stdout);                                                       \
        test();                                                               \
    } while (0)

/*
 * How often to repeat something: `full` times, fewer (but never fewer than
 * `least`) when THREADLOCALMAP_TEST_SCALE is a number to divide by, as it is
 * under valgrind. What is checked does not depend on it.
 */
static inline size_t
test_scaled(size_t full, size_t least)
{
    const char *text = getenv("THREADLOCALMAP_TEST_SCALE");
    size_t divisor = text != NULL ? (size_t)strtoul(text, NULL, 10) : 1;
    size_t scaled = full / (divisor != 0 ? divisor : 1);

    return scaled > least ? scaled : least;
}

static inline tls_stats_t
test_stats(void)
{
    tls_stats_t stats;

    stats.size = sizeof(stats);
    CHECK_OK(tls_stats(&stats));
    return stats;
}

/* The last check of every program: nothing is left in the library. */
static inline int
test_finish(void)
{
    tls_stats_t stats;

    CHECK_OK(tls_thread_detach());
    stats = test_stats();
    CHECK_UINT(stats.keys, 0);
    CHECK_UINT(stats.dead_keys, 0);
    CHECK_UINT(stats.maps, 0);
    CHECK_UINT(stats.entries, 0);
    CHECK_UINT(stats.stale, 0);
    CHECK_UINT(stats.capacity, 0);
    CHECK_UINT(stats.unwatched, 0);
    return 0;
}

/* ---- Values, threads, counters --------------------------------------- */

/* A value that is only ever compared, never followed. */
#define VALUE(number) ((void *)(uintptr_t)(number))

/* A number for the calling thread, never used again for another one (unlike
 * pthread_t), so that a record of a thread that has ended keeps its meaning. */
static inline unsigned
test_thread(void)
{
    static unsigned last;
    static __thread unsigned number;

    if (number == 0)
        number = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
    return number;
}

/* Counters that callbacks raise in any thread. */
static inline size_t
test_count_up(size_t *counter)
{
    return __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
}

static inline size_t
test_count(const size_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

static inline pthread_t
test_start(void *(*body)(void *), void *argument)
{
    pthread_t thread;

    CHECK_INT(pthread_create(&thread, NULL, body, argument), 0);
    return thread;
}

static inline void *
test_join(pthread_t thread)
{
    void *result = NULL;

    CHECK_INT(pthread_join(thread, &result), 0);
    return result;
}

/* Runs body(argument) on a new thread, to the thread's end. */
static inline void *
test_in_thread(void *(*body)(void *), void *argument)
{
    return test_join(test_start(body, argument));
}

/* ---- Log of destroy callbacks ---------------------------------------- */

#define TEST_LOG_RECORDS 2048

typedef struct test_record {
    void *value;
    int reason;
    unsigned thread; /* test_thread() of the thread that the callback ran on */
} test_record_t;

/*
 * One log may serve several keys and all threads; static storage is a valid
 * empty log. Read it only when the threads that write are known to be done.
 * All calls are counted, the first TEST_LOG_RECORDS of them are kept.
 */
typedef struct test_log {
    size_t count;
    test_record_t records[TEST_LOG_RECORDS];
    size_t freed;          /* calls of user_free */
    size_t count_at_free;  /* records that were there at the latest of them */
    unsigned free_thread;  /* the thread of the latest of them */
} test_log_t;

static inline void
test_log_destroy(void *value, int reason, void *user)
{
    test_log_t *log = (test_log_t *)user;
    size_t at = __atomic_fetch_add(&log->count, 1, __ATOMIC_SEQ_CST);

    if (at < TEST_LOG_RECORDS) {
        log->records[at].value = value;
        log->records[at].reason = reason;
        log->records[at].thread = test_thread();
    }
}

static inline void
test_log_free(void *user)
{
    test_log_t *log = (test_log_t *)user;

    log->count_at_free = test_count(&log->count);
    log->free_thread = test_thread();
    test_count_up(&log->freed);
}

static inline void
test_log_clear(test_log_t *log)
{
    memset(log, 0, sizeof(*log));
}

#define CHECK_RECORD(log, index, value, reason, thread)                       \
    test_check_record(__FILE__, __LINE__, __func__, (log), (index), (value),  \
                      (reason), (thread))

static inline void
test_check_record(const char *file, int line, const char *test,
                  const test_log_t *log, size_t index, const void *value,
                  int reason, unsigned thread)
{
    const test_record_t *record = &log->records[index];

    if (index >= log->count || record->value != value ||
        record->reason != reason || record->thread != thread)
        test_fail(file, line, test,
                  "record %zu of %zu\n"
                  "    left:  value %p, reason %d, thread %u\n"
                  "    right: value %p, reason %d, thread %u",
                  index, log->count, record->value, record->reason,
                  record->thread, value, reason, thread);
}

/* ---- Keys ------------------------------------------------------------ */

/* Options that ask for nothing: every field but the size is zero. */
static inline tls_key_options_t
test_options(void)
{
    tls_key_options_t options;

    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    return options;
}

static inline tls_key_t
test_key_from(const tls_key_options_t *options)
{
    tls_key_t key = TLS_KEY_NONE;

    CHECK_OK(tls_key_create(&key, options));
    CHECK(key != TLS_KEY_NONE);
    return key;
}

/* A key without any callback. */
static inline tls_key_t
test_key(void)
{
    return test_key_from(NULL);
}

/* A key whose values end in `log`. */
/* Of keys whose ends, and those of their values, are logged. */
static inline tls_key_options_t
test_options_logged(test_log_t *log)
{
    tls_key_options_t options = test_options();

    options.destroy = test_log_destroy;
    options.user = log;
    options.user_free = test_log_free;
    return options;
}

static inline tls_key_t
test_key_logged(test_log_t *log)
{
    tls_key_options_t options = test_options_logged(log);

    return test_key_from(&options);
}

static inline void
test_release_keys(const tls_key_t *keys, size_t number)
{
    size_t i;

    for (i = 0; i < number; i++)
        CHECK_OK(tls_key_release(keys[i]));
}

/* ---- Hooks ----------------------------------------------------------- */

static inline int
test_hook(uint32_t when, void (*function)(void *), void *argument, tls_key_t owner)
{
    tls_hook_options_t options;

    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.when = when;
    options.fn = function;
    options.arg = argument;
    options.owner = owner;
    return tls_thread_hook(&options);
}

#endif /* TEST_H */
