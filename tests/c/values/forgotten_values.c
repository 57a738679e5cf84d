/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A value that has left the library leaves no trace in its memory: a leak checker that
 * found its address there would take a value that was handed over, and then lost, for
 * one that is reachable.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "own_calloc.h"

#include "apart.h"
#include "worker.h"

#define KEYS 40
#define BLOCKS 4096

/* What the library has allocated and not freed. */
static struct {
    unsigned char *memory;
    size_t size;
} blocks[BLOCKS];
static pthread_mutex_t blocks_lock = PTHREAD_MUTEX_INITIALIZER;

static void *
own_calloc(size_t count, size_t size)
{
    unsigned char *memory = (unsigned char *)real_calloc(count, size);
    size_t i;

    pthread_mutex_lock(&blocks_lock);
    for (i = 0; memory != NULL && i < BLOCKS; i++) {
        if (blocks[i].memory == NULL) {
            blocks[i].memory = memory;
            blocks[i].size = count * size;
            break;
        }
    }
    pthread_mutex_unlock(&blocks_lock);
    return memory;
}

static void
own_free(void *memory)
{
    size_t i;

    pthread_mutex_lock(&blocks_lock);
    for (i = 0; i < BLOCKS; i++)
        if (blocks[i].memory == memory)
            blocks[i].memory = NULL;
    pthread_mutex_unlock(&blocks_lock);
    real_free(memory);
}

/* No number that the library has of its own looks like a value. */
static void *
value(size_t number)
{
    return (void *)(uintptr_t)(0x7eadbeef00000000u + number * 16);
}

static size_t
traces(void)
{
    size_t found = 0;
    size_t i;
    size_t at;
    uintptr_t word;

    pthread_mutex_lock(&blocks_lock);
    for (i = 0; i < BLOCKS; i++) {
        for (at = 0; blocks[i].memory != NULL && at + sizeof(word) <= blocks[i].size;
             at += sizeof(word)) {
            memcpy(&word, blocks[i].memory + at, sizeof(word));
            found += word >> 32 == 0x7eadbeefu;
        }
    }
    pthread_mutex_unlock(&blocks_lock);
    return found;
}

static tls_key_t keys[KEYS];
static uint32_t flags, reclaim;

static void
drop(void *old, int reason, void *user)
{
    (void)old;
    (void)reason;
    (void)user;
}

static int
copy(void *old, void **made, void *user)
{
    (void)user;
    *made = old;
    return 0;
}

static void
set_all(size_t from)
{
    size_t i;

    for (i = 0; i < KEYS; i++)
        CHECK_OK(tls_set(keys[i], value(from + i)));
}

static void
begin(void)
{
    tls_key_options_t options = test_options();
    size_t i;

    options.destroy = drop;
    options.copy = flags & TLS_KEY_INHERIT ? copy : NULL;
    options.flags = flags;
    options.reclaim = reclaim;
    for (i = 0; i < KEYS; i++)
        keys[i] = test_key_from(&options);
    set_all(1);
    CHECK_AT_LEAST(traces(), KEYS);
}

static void *
release_all(void *argument)
{
    test_release_keys(keys, KEYS);
    return argument;
}

static void
take_all(void)
{
    void *old = NULL;
    size_t i;

    for (i = 0; i < KEYS; i++)
        CHECK_OK(tls_take(keys[i], &old));
}

static void
by_remove(void)
{
    size_t i;

    for (i = 0; i < KEYS; i++)
        CHECK_OK(tls_remove(keys[i]));
}

static void
by_swap(void)
{
    void *old = NULL;
    size_t i;

    for (i = 0; i < KEYS; i++)
        CHECK_OK(tls_swap(keys[i], NULL, &old));
}

static void
by_remove_all(void)
{
    CHECK_OK(tls_remove_all());
}

static void
by_release(void)
{
    release_all(NULL);
}

static void
by_expunge(void)
{
    test_in_thread(release_all, NULL);
    tls_expunge();
}

static void
by_the_end_of_a_scope(void)
{
    tls_scope_t scope;

    take_all();
    CHECK_OK(tls_scope_begin(&scope, NULL));
    set_all(100);
    CHECK_OK(tls_scope_end(scope));
    by_remove(); /* a worker's values */
}

static void
by_removing_in_a_scope(void)
{
    tls_scope_t scope;

    CHECK_OK(tls_scope_begin(&scope, NULL));
    set_all(100);
    by_remove();
    CHECK_OK(tls_scope_end(scope));
    by_remove();
}

static void
by_a_context(void)
{
    tls_context_t *context = NULL;

    CHECK_OK(tls_context_capture(&context));
    take_all();
    tls_context_free(context);
}

static int
take(void *old, uint64_t thread, void *argument)
{
    (void)old;
    (void)thread;
    (void)argument;
    return 0;
}

static void
by_scrape(void)
{
    size_t i;

    for (i = 0; i < KEYS; i++)
        if (tls_scrape(keys[i], take, NULL) != TLS_OK)
            CHECK_OK(tls_remove(keys[i]));
    tls_expunge();
}

static int
replace(void *old, uint64_t thread, void *argument)
{
    (void)old;
    (void)thread;
    CHECK_OK(tls_set(*(tls_key_t *)argument, NULL));
    return 0;
}

/* The end of what is visited is deferred. */
static void
by_a_visit(void)
{
    size_t i;

    for (i = 0; i < KEYS; i++)
        if (tls_for_each(keys[i], replace, &keys[i]) != TLS_OK)
            CHECK_OK(tls_remove(keys[i]));
    tls_expunge();
}

static const struct {
    const char *name;
    void (*leave)(void);
} ways[] = {
    { "take", take_all },           { "remove", by_remove },
    { "swap", by_swap },           { "remove_all", by_remove_all },
    { "release", by_release },     { "expunge", by_expunge },
    { "scope", by_the_end_of_a_scope }, { "remove in a scope", by_removing_in_a_scope },
    { "context", by_a_context },   { "scrape", by_scrape },
    { "visit", by_a_visit },
};

static void (*leave)(void);

static void
a_value_that_has_left_leaves_no_trace(void)
{
    size_t i;

    begin();
    leave();
    CHECK_UINT(traces(), 0);
    CHECK_OK(tls_thread_detach());
    for (i = 0; i < KEYS; i++)
        if (tls_key_is_live(keys[i]))
            CHECK_OK(tls_key_release(keys[i]));
}

int
main(void)
{
    static const uint32_t all[] = { 0, TLS_KEY_ENUMERABLE, TLS_KEY_WORKER, TLS_KEY_INHERIT };
    char variant[80];
    size_t i;
    size_t k;

    for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        for (k = 0; k < 8; k++) {
            leave = ways[i].leave;
            flags = all[k % 4];
            reclaim = k / 4 ? TLS_RECLAIM_ANY : TLS_RECLAIM_OWNER;
            snprintf(variant, sizeof(variant), "(%s, flags %u, reclaim %u)", ways[i].name,
                     (unsigned)flags, (unsigned)reclaim);
            RUN_APART_OF_DOZENS(a_value_that_has_left_leaves_no_trace, variant);
        }
    }
    return apart_finish();
}
