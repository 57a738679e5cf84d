/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tls_thread_hook() without memory: at each single allocation it says so and changes
 * nothing; and what is registered is called although memory has run out.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "failing_malloc.h"

#include "worker.h"

static size_t calls;
static tls_key_t owner;

static void
count_call(void *argument)
{
    CHECK_PTR(argument, &calls);
    test_count_up(&calls);
}

static int
hook(uint32_t when, tls_key_t of)
{
    return test_hook(when, count_call, &calls, of);
}

/* Registers one, failing the first allocation, the second, and so on. */
static void
register_at_last(uint32_t when, tls_key_t of)
{
    uint64_t before;
    size_t refused = 1;
    size_t number;
    int code;

    for (number = 1; refused > 0; number++) {
        before = test_stats().bytes;
        fail_from(number, FAIL_ONCE);
        code = hook(when, of);
        refused = fail_stop();
        CHECK_CODE(code, refused > 0 ? TLS_ERR_NO_MEMORY : TLS_OK);
        /* Room that was made for hooks may stay; what is for one of them does not. */
        if (refused > 0)
            CHECK_AT_MOST(test_stats().bytes, before + 1024);
    }
}

static void
a_hook_that_gets_no_memory_is_not_registered(void)
{
    uint32_t when;

    owner = test_key();
    CHECK_OK(tls_thread_attach());
    for (when = TLS_HOOK_BEFORE_VALUES; when <= TLS_HOOK_ON_STALE; when++) {
        register_at_last(when, TLS_KEY_NONE);
        register_at_last(when, owner);
    }
    CHECK_UINT(calls, 0);
    fail_from(1, FAIL_ALWAYS);
    CHECK_OK(tls_thread_detach());
    fail_stop();
    CHECK_UINT(calls, 4);
    CHECK_OK(tls_key_release(owner));
    CHECK_OK(tls_key_drain(owner, 0, NULL));
}

static tls_key_t key;

static void
job_register_and_set(void *argument)
{
    (void)argument;
    CHECK_OK(hook(TLS_HOOK_ON_STALE, owner));
    CHECK_OK(hook(TLS_HOOK_ON_STALE, TLS_KEY_NONE));
    CHECK_OK(tls_set(key, VALUE(1)));
}

static void
wakers_are_called_without_memory(void)
{
    worker_t worker;
    bool attached;

    for (attached = false;; attached = true) {
        calls = 0;
        owner = test_key();
        key = test_key();
        worker_start(&worker);
        worker_do(&worker, job_register_and_set, NULL);
        if (attached)
            CHECK_OK(tls_thread_attach());
        fail_from(1, FAIL_ALWAYS);
        CHECK_OK(tls_key_release(key));
        CHECK_AT_LEAST(fail_stop(), 1);
        CHECK_UINT(test_count(&calls), 2);
        worker_stop(&worker);
        CHECK_OK(tls_key_release(owner));
        CHECK_OK(tls_key_drain(owner, 0, NULL));
        CHECK_OK(tls_thread_detach());
        if (attached)
            break;
    }
}

int
main(void)
{
    RUN(a_hook_that_gets_no_memory_is_not_registered);
    RUN(wakers_are_called_without_memory);
    return test_finish();
}
