/*
 * Reports without memory: at each single allocation of tls_dump() and of
 * tls_for_each_local(). They say so, and nothing is lost.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "failing_malloc.h"

#include "worker.h"

enum { KEYS = 8 };

static size_t parts;
static size_t visits;

static int
count_parts(const char *bytes, size_t length, void *argument)
{
    (void)argument;
    CHECK(bytes != NULL);
    CHECK(length > 0);
    parts++;
    return 0;
}

static void
count_visits(tls_key_t key, void *value, void *argument)
{
    (void)argument;
    CHECK(tls_get_existing(key) == value);
    visits++;
}

static int
call_dump(void)
{
    parts = 0;
    return tls_dump(count_parts, NULL);
}

static int
call_for_each_local(void)
{
    visits = 0;
    return tls_for_each_local(count_visits, NULL);
}

/* Fails the first allocation, the second, and so on; returns how many. */
static size_t
fail_each(int (*call)(void))
{
    tls_stats_t before = test_stats();
    tls_stats_t after;
    size_t number;
    size_t refused;
    int mode;
    int code;

    for (number = 1;; number++) {
        for (mode = FAIL_ONCE; mode <= FAIL_ALWAYS; mode++) {
            fail_from(number, (fail_mode_t)mode);
            code = call();
            refused = fail_stop();
            CHECK_CODE(code, refused > 0 ? TLS_ERR_NO_MEMORY : TLS_OK);
            after = test_stats();
            CHECK_UINT(after.bytes, before.bytes);
            CHECK_UINT(after.entries, before.entries);
            CHECK_UINT(after.destroyed, before.destroyed);
        }
        if (refused == 0)
            return number - 1;
    }
}

static void
each_allocation_of_a_report_may_fail(void)
{
    tls_key_t keys[KEYS];
    size_t i;

    for (i = 0; i < KEYS; i++) {
        keys[i] = test_key();
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    }
    /* What is noted for a key is noted in the same memory for the next. */
    CHECK_UINT(fail_each(call_dump), 2);
    CHECK_AT_LEAST(parts, 1);
    CHECK_UINT(fail_each(call_for_each_local), 0);
    CHECK_UINT(visits, KEYS);
    for (i = 0; i < KEYS; i++)
        CHECK_OK(tls_key_release(keys[i]));
}

int
main(void)
{
    RUN(each_allocation_of_a_report_may_fail);
    return test_finish();
}
