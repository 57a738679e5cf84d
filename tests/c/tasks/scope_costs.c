/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What scopes and contexts cost, in what is touched and allocated; and how many
 * may be open.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "failing_malloc.h"

#include "worker.h"

#define KEYS 40
#define MOST 65534

static test_log_t ended;
static tls_key_t keys[KEYS];

static void
make_keys(uint32_t flags)
{
    tls_key_options_t options = test_options();
    size_t i;

    CHECK_OK(tls_thread_detach());
    test_log_clear(&ended);
    options.flags = flags;
    options.user = &ended;
    options.destroy = flags == 0 ? test_log_destroy : NULL;
    for (i = 0; i < KEYS; i++)
        keys[i] = test_key_from(&options);
}

static void
release_keys(void)
{
    size_t i;

    for (i = 0; i < KEYS; i++)
        CHECK_OK(tls_key_release(keys[i]));
}

static tls_scope_t
begin(tls_context_t *context)
{
    tls_scope_t scope = 0;

    CHECK_OK(tls_scope_begin(&scope, context));
    return scope;
}

/* Allocations of the calling thread between the two. */
static void
count_allocations(void)
{
    fail_from(0, FAIL_ONCE);
}

static size_t
allocations(void)
{
    fail_stop();
    return fail_asked;
}

/* ---- Nothing for nothing -------------------------------------------------------- */

/* With values outside that it reads, and after the first time. */
static void
a_scope_that_sets_nothing_allocates_nothing_and_calls_nobody(void)
{
    uint64_t bytes;
    size_t i;
    size_t k;

    make_keys(0);
    for (k = 0; k < KEYS; k++)
        CHECK_OK(tls_set(keys[k], VALUE(k + 1)));
    CHECK_OK(tls_scope_end(begin(NULL)));
    bytes = test_stats().bytes;
    count_allocations();
    for (i = 0; i < 1000; i++) {
        tls_scope_t scope = begin(NULL);

        for (k = 0; k < KEYS; k++)
            CHECK_PTR(tls_get(keys[k]), VALUE(k + 1));
        CHECK_OK(tls_scope_end(scope));
    }
    CHECK_UINT(allocations(), 0);
    CHECK_UINT(test_stats().bytes, bytes);
    CHECK_UINT(ended.count, 0);
    release_keys();
}

static void
use_some(size_t number)
{
    tls_scope_t scope = begin(NULL);
    size_t k;

    for (k = 0; k < number; k++)
        CHECK_OK(k % 2 == 0 ? tls_set(keys[k], VALUE(k + 100)) : tls_remove(keys[k]));
    CHECK_OK(tls_scope_end(scope));
}

/* A task of the usual size: its worker keeps what it needs. */
static void
a_scope_that_sets_some_allocates_nothing_once_it_has(void)
{
    uint64_t bytes;
    size_t i;

    make_keys(0);
    for (i = 0; i < KEYS / 2; i++)
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    use_some(8);
    use_some(8);
    bytes = test_stats().bytes;
    test_log_clear(&ended);
    count_allocations();
    for (i = 0; i < 100; i++)
        use_some(8);
    CHECK_UINT(allocations(), 0);
    CHECK_UINT(test_stats().bytes, bytes);
    CHECK_UINT(ended.count, 400); /* what was set inside, and nothing else */
    release_keys();
}

/* The cost in memory is that of what it sets, whatever is outside. */
static void
a_scope_takes_memory_for_what_it_sets_only(void)
{
    uint64_t taken[2];
    size_t i;
    size_t k;

    make_keys(0);
    for (i = 0; i < 2; i++) {
        uint64_t bytes;
        tls_scope_t scope;

        CHECK_OK(tls_thread_detach());
        CHECK_OK(tls_set(keys[0], VALUE(1)));
        for (k = 1; k < KEYS && i > 0; k++)
            CHECK_OK(tls_set(keys[k], VALUE(k + 1)));
        bytes = test_stats().bytes;
        scope = begin(NULL);
        CHECK_OK(tls_set(keys[0], VALUE(2)));
        taken[i] = test_stats().bytes - bytes;
        CHECK_OK(tls_scope_end(scope));
    }
    CHECK_UINT(taken[0], taken[1]);
    CHECK_OK(tls_thread_detach());
    release_keys();
}

/* ---- Contexts --------------------------------------------------------------------- */

/* Forty values and one that is inherited: a copy of one is made. */
static void
a_capture_takes_memory_for_inherited_values_only(void)
{
    tls_key_options_t options = test_options();
    tls_context_t *context = NULL;
    uint64_t taken[2];
    uint64_t bytes;
    tls_key_t key;
    size_t i;
    size_t k;

    make_keys(0);
    options.flags = TLS_KEY_INHERIT;
    key = test_key_from(&options);
    CHECK_OK(tls_set(key, VALUE(1)));
    for (i = 0; i < 2; i++) {
        bytes = test_stats().bytes;
        CHECK_OK(tls_context_capture(&context));
        taken[i] = test_stats().bytes - bytes;
        tls_context_free(context);
        for (k = 0; k < KEYS; k++)
            CHECK_OK(tls_set(keys[k], VALUE(k + 1)));
    }
    CHECK_UINT(taken[0], taken[1]);
    CHECK_OK(tls_key_release(key));
    release_keys();
}

static void
a_scope_with_a_context_allocates_nothing_once_it_has(void)
{
    tls_context_t *context = NULL;
    uint64_t bytes;
    size_t i;

    make_keys(TLS_KEY_INHERIT);
    for (i = 0; i < 8; i++)
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    CHECK_OK(tls_context_capture(&context));
    CHECK_OK(tls_scope_end(begin(context)));
    CHECK_OK(tls_scope_end(begin(context)));
    bytes = test_stats().bytes;
    count_allocations();
    for (i = 0; i < 100; i++)
        CHECK_OK(tls_scope_end(begin(context)));
    CHECK_UINT(allocations(), 0);
    CHECK_UINT(test_stats().bytes, bytes);
    tls_context_free(context);
    release_keys();
}

/* ---- Stale values on the way -------------------------------------------------------- */

#define STALE 200

static tls_key_t stale_keys[STALE];

static void
job_set_stale(void *argument)
{
    size_t i;

    (void)argument;
    for (i = 0; i < STALE; i++)
        CHECK_OK(tls_set(stale_keys[i], VALUE(i + 1)));
}

static size_t stale_left;
static size_t expunged;

static void
job_begin_and_expunge(void *argument)
{
    tls_context_t *context = (tls_context_t *)argument;
    tls_scope_t scope;

    CHECK_OK(tls_set(keys[0], VALUE(1))); /* has learned of them; ended some */
    CHECK_AT_LEAST(tls_stale_count(), 100);
    if (context != NULL) {
        scope = begin(context);
    } else {
        scope = begin(NULL);
        CHECK_OK(tls_remove(keys[0]));
    }
    stale_left = STALE - ended.count;
    CHECK_UINT(tls_stale_count(), stale_left);
    expunged = tls_expunge();
    CHECK_UINT(ended.count, STALE);
    CHECK_OK(tls_scope_end(scope));
}

/* What setting and hiding finds stale on its way is ended, and counted until
 * then: an expunge leaves nothing. */
static void
check_stale_on_the_way(bool with_context)
{
    tls_context_t *context = NULL;
    worker_t worker;
    size_t i;

    make_keys(TLS_KEY_INHERIT);
    for (i = 0; i < STALE; i++)
        stale_keys[i] = test_key_logged(&ended);
    worker_start(&worker);
    worker_do(&worker, job_set_stale, NULL);
    for (i = 0; i < KEYS; i++)
        CHECK_OK(tls_set(keys[i], VALUE(i + 100)));
    CHECK_OK(tls_context_capture(&context));
    for (i = 0; i < STALE; i++)
        CHECK_OK(tls_key_release(stale_keys[i]));
    worker_do(&worker, job_begin_and_expunge, with_context ? context : NULL);
    CHECK_UINT(expunged, stale_left);
    worker_stop(&worker);
    tls_context_free(context);
    release_keys();
}

static void
stale_values_on_the_way_of_a_scope_are_ended(void)
{
    check_stale_on_the_way(true);
    check_stale_on_the_way(false);
}

/* ---- The limit ------------------------------------------------------------------------ */

static void
as_many_scopes_may_be_open_as_the_header_says(void)
{
    static tls_scope_t scopes[MOST];
    tls_scope_t one_more = 77;
    size_t i;

    make_keys(0);
    for (i = 0; i < MOST; i++)
        scopes[i] = begin(NULL);
    CHECK_CODE(tls_scope_begin(&one_more, NULL), TLS_ERR_LIMIT);
    CHECK_UINT(one_more, 77);
    CHECK_OK(tls_set(keys[0], VALUE(1)));
    CHECK_OK(tls_scope_end(scopes[MOST - 1]));
    CHECK_UINT(ended.count, 1);
    scopes[MOST - 1] = begin(NULL);
    CHECK_CODE(tls_scope_begin(&one_more, NULL), TLS_ERR_LIMIT);
    for (i = MOST; i-- > 0;)
        CHECK_OK(tls_scope_end(scopes[i]));
    CHECK_OK(tls_set(keys[0], VALUE(2)));
    CHECK_OK(tls_scope_end(begin(NULL)));
    CHECK_UINT(ended.count, 1);
    release_keys();
}

int
main(void)
{
    RUN(a_scope_that_sets_nothing_allocates_nothing_and_calls_nobody);
    RUN(a_scope_that_sets_some_allocates_nothing_once_it_has);
    RUN(a_scope_takes_memory_for_what_it_sets_only);
    RUN(a_capture_takes_memory_for_inherited_values_only);
    RUN(a_scope_with_a_context_allocates_nothing_once_it_has);
    RUN(stale_values_on_the_way_of_a_scope_are_ended);
    RUN(as_many_scopes_may_be_open_as_the_header_says);
    return test_finish();
}
