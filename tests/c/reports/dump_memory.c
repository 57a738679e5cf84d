/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Reports without memory: tls_dump(), tls_dump_fd() and their like need none.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "failing_malloc.h"

#include "worker.h"

#include <fcntl.h>
#include <unistd.h>

enum { KEYS = 8 };

static size_t parts;
static size_t visits;
static size_t holders;
static tls_key_t held;

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
call_dump_fd(void)
{
    int file = open("/dev/null", O_WRONLY);
    int code;

    CHECK(file >= 0);
    code = tls_dump_fd(file);
    CHECK_INT(close(file), 0);
    return code;
}

static int
count_holders(uint64_t map, uint64_t thread, size_t values, void *argument)
{
    (void)map;
    (void)argument;
    CHECK(thread != 0);
    CHECK_UINT(values, 1);
    holders++;
    return 0;
}

static int
call_for_each_holder(void)
{
    holders = 0;
    return tls_for_each_holder(held, count_holders, NULL);
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
reports_need_no_memory(void)
{
    tls_key_t keys[KEYS];
    tls_key_t dead = test_key();
    worker_t worker;
    size_t i;

    worker_start(&worker);
    CHECK_OK(worker_set(&worker, dead, VALUE(1)));
    CHECK_OK(tls_key_release(dead));
    held = dead;
    for (i = 0; i < KEYS; i++) {
        keys[i] = test_key();
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    }
    CHECK_UINT(fail_each(call_dump), 0);
    CHECK_AT_LEAST(parts, 1);
    CHECK_UINT(fail_each(call_dump_fd), 0);
    CHECK_UINT(fail_each(call_for_each_holder), 0);
    CHECK_UINT(holders, 1);
    CHECK_UINT(fail_each(call_for_each_local), 0);
    CHECK_UINT(visits, KEYS);
    worker_stop(&worker);
    for (i = 0; i < KEYS; i++)
        CHECK_OK(tls_key_release(keys[i]));
}

/* ---- A thread that gets no memory to be attached, in a callback ------------ */

static size_t number_that_fails;
static size_t refused_in_callback;
static size_t calls;

static void
attach_without_memory(void)
{
    int code;

    if (calls++ > 0)
        return;
    fail_from(number_that_fails, FAIL_ONCE);
    code = tls_thread_attach();
    refused_in_callback = fail_stop();
    CHECK_CODE(code, refused_in_callback > 0 ? TLS_ERR_NO_MEMORY : TLS_OK);
}

static int
attach_in_write(const char *bytes, size_t length, void *argument)
{
    (void)bytes;
    (void)length;
    (void)argument;
    attach_without_memory();
    return 0;
}

static void
attach_in_user_free(void *user)
{
    (void)user;
    attach_without_memory();
}

static void
attach_in_destroy(void *value, int reason, void *user)
{
    (void)value;
    (void)reason;
    (void)user;
    attach_without_memory();
}

/* Each of them may run on a thread that is not attached. */
static tls_key_t
key_that_attaches(int callback)
{
    tls_key_options_t options = test_options();
    tls_key_t key;

    if (callback == 1)
        options.user_free = attach_in_user_free;
    if (callback == 2)
        options.destroy = attach_in_destroy;
    options.reclaim = TLS_RECLAIM_ANY;
    key = test_key_from(&options);
    CHECK_OK(tls_set(key, VALUE(1)));
    return key;
}

static void *
attach_in_callback(void *key)
{
    tls_map_t *map = NULL;

    calls = 0;
    if (key == NULL)
        CHECK_OK(tls_dump(attach_in_write, NULL));
    else
        CHECK_OK(tls_key_release(*(tls_key_t *)key));
    CHECK_AT_LEAST(calls, 1);
    /* The callback is over: what is refused inside one is not refused. */
    CHECK_OK(tls_map_create(&map));
    CHECK_OK(tls_map_switch(map, NULL));
    CHECK_OK(tls_map_switch(NULL, NULL));
    CHECK_OK(tls_map_destroy(map));
    CHECK_OK(tls_thread_detach());
    return NULL;
}

static void
a_thread_that_is_not_attached_for_want_of_memory_leaves_its_callback(void)
{
    tls_key_t key;
    int callback;

    for (callback = 0; callback < 3; callback++) {
        number_that_fails = 0;
        do {
            number_that_fails++;
            key = callback > 0 ? key_that_attaches(callback) : 0;
            test_in_thread(attach_in_callback, callback > 0 ? &key : NULL);
        } while (refused_in_callback > 0);
        CHECK_AT_LEAST(number_that_fails, 3);
    }
}

int
main(void)
{
    RUN(a_thread_that_is_not_attached_for_want_of_memory_leaves_its_callback);
    RUN(reports_need_no_memory);
    return test_finish();
}
