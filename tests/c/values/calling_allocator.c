/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * N20: an allocator that keeps a count for each thread in this library, and so
 * calls it back from inside its own allocations: while a thread attaches, a
 * table grows or shrinks, a key is made or freed.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "failing_malloc.h"
#include "test.h"

#define KEYS 200

static tls_key_t counts;
static size_t calls;
static size_t stored;
static size_t refused;

/* What it finds is what it has stored, or nothing. */
static void
count_allocation(void)
{
    uintptr_t count = (uintptr_t)tls_get(counts);
    void *found = NULL;
    int code;

    test_count_up(&calls);
    CHECK_PTR((tls_get)(counts), VALUE(count));
    CHECK_PTR(tls_get_existing(counts), VALUE(count));
    code = tls_set(counts, VALUE(count + 1));
    if (code == TLS_OK) {
        CHECK_OK(tls_try_get(counts, &found));
        CHECK_PTR(found, VALUE(count + 1));
        test_count_up(&stored);
    } else {
        CHECK(code == TLS_ERR_REENTRANT || code == TLS_ERR_EXITING);
        CHECK_PTR(tls_get(counts), VALUE(count));
        test_count_up(&refused);
    }
}

/* The table grows and shrinks; half of the keys are reachable for others. */
static void *
use_many_keys(void *argument)
{
    tls_key_options_t options = test_options();
    tls_key_t keys[KEYS];
    size_t i;

    /* The program's own first allocation on this thread. From inside the
     * library's, a first value would be refused. */
    count_allocation();
    fail_meanwhile = count_allocation;
    options.name = "a name is copied";
    for (i = 0; i < KEYS; i++) {
        options.flags = i % 2 == 0 ? 0 : TLS_KEY_ENUMERABLE;
        keys[i] = test_key_from(&options);
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    }
    for (i = 0; i < KEYS; i++)
        CHECK_PTR(tls_get(keys[i]), VALUE(i + 1));
    for (i = 0; i < KEYS; i++)
        CHECK_OK(tls_key_release(keys[i]));
    for (i = 0; i < KEYS; i++)
        CHECK_PTR(tls_get(keys[i]), NULL);
    return argument;
}

static void
an_allocator_may_call_the_library(void)
{
    size_t i;

    counts = test_key();
    use_many_keys(NULL);
    /* On these it goes on calling while the thread's record is freed. */
    for (i = 0; i < 4; i++)
        test_in_thread(use_many_keys, NULL);
    fail_meanwhile = NULL;
    CHECK_AT_LEAST(test_count(&calls), 5 * KEYS);
    CHECK_AT_LEAST(test_count(&stored), KEYS);
    CHECK_UINT(stored + refused, calls);
    CHECK_OK(tls_key_release(counts));
}

int
main(void)
{
    RUN(an_allocator_may_call_the_library);
    return test_finish();
}
