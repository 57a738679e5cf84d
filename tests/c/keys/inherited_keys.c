/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Any number of TLS_KEY_INHERIT keys, in any order: init and copy callbacks
 * that set others of them, nested as deep as one likes, never make the library
 * write outside of its memory; a context has each of the thread's values once;
 * and releasing them, the oldest or the youngest first, takes no longer than
 * releasing other keys.
 *
 * This program defines calloc() and free(), and puts a guard behind all memory
 * that the library asks for.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "own_calloc.h"

#include "lives.h"

/* ---- Guards ---------------------------------------------------------------- */

#define GUARD 512
#define BLOCKS 8192

static struct {
    unsigned char *memory;
    size_t size;
} blocks[BLOCKS];
static bool guarding;
static size_t broken;

static bool
is_whole(size_t block)
{
    size_t i;

    for (i = 0; i < GUARD; i++)
        if (blocks[block].memory[blocks[block].size + i] != 0xa5)
            return false;
    return true;
}

static void *
own_calloc(size_t count, size_t size)
{
    unsigned char *memory;
    size_t i;

    if (!guarding)
        return real_calloc(count, size);
    memory = (unsigned char *)real_calloc(1, count * size + GUARD);
    if (memory == NULL)
        return NULL;
    for (i = 0; i < BLOCKS && blocks[i].memory != NULL; i++) {
    }
    if (i == BLOCKS)
        abort();
    memset(memory + count * size, 0xa5, GUARD);
    blocks[i].memory = memory;
    blocks[i].size = count * size;
    return memory;
}

static void
own_free(void *memory)
{
    size_t i;

    for (i = 0; i < BLOCKS; i++)
        if (blocks[i].memory == memory) {
            broken += !is_whole(i);
            blocks[i].memory = NULL;
            break;
        }
    real_free(memory);
}

static void
check_guards(void)
{
    size_t i;

    for (i = 0; i < BLOCKS; i++)
        if (blocks[i].memory != NULL)
            broken += !is_whole(i);
    CHECK_UINT(broken, 0);
}

/* ---- Nested callbacks ------------------------------------------------------------ */

#define MOST 64

typedef enum nesting {
    INIT_SETS,      /* init sets all inner keys */
    INIT_GETS,      /* init gets the next key, whose init gets the next ... */
    COPY_SETS,      /* copy sets all inner keys, during a capture */
    COPY_BEGINS,    /* copy sets all inner keys, while a scope begins */
    DESTROY_SETS    /* destroy of a replaced value sets all inner keys */
} nesting_t;

static const char *const nesting_names[] = {"init sets", "init gets", "copy sets in a capture",
                                            "copy sets in a scope's begin", "destroy sets"};

static nesting_t nesting;
static size_t before, inner_count;
static uint32_t reclaim, flags;
static bool in_a_scope, on_a_moved_map;
static tls_key_t kept[MOST], inner[MOST], outer;
static size_t depth, copies;
static bool acting;

static void
set_inner(void)
{
    size_t i;

    for (i = 0; i < inner_count; i++)
        CHECK_OK(life_set(inner[i]));
}

static int
init_and_nest(void **value, void *user)
{
    (void)user;
    if (nesting == INIT_SETS)
        set_inner();
    if (nesting == INIT_GETS && depth < inner_count)
        CHECK(tls_get(inner[depth++]) != NULL);
    *value = life();
    return 0;
}

static int
copy_and_nest(void *value, void **copy, void *user)
{
    copies++;
    if (acting && (nesting == COPY_SETS || nesting == COPY_BEGINS)) {
        acting = false;
        set_inner();
    }
    return life_copy(value, copy, user);
}

static void
destroy_and_nest(void *value, int reason, void *user)
{
    life_destroy(value, reason, user);
    if (acting && nesting == DESTROY_SETS) {
        acting = false;
        set_inner();
    }
}

static tls_key_t
nesting_key(void)
{
    tls_key_options_t options = test_options();

    options.init = init_and_nest;
    options.copy = copy_and_nest;
    options.destroy = destroy_and_nest;
    options.reclaim = reclaim;
    options.flags = flags | TLS_KEY_INHERIT;
    return test_key_from(&options);
}

static size_t
values(void)
{
    size_t count = 0;
    size_t i;

    for (i = 0; i < before; i++)
        count += tls_get_existing(kept[i]) != NULL;
    for (i = 0; i < inner_count; i++)
        count += tls_get_existing(inner[i]) != NULL;
    return count + (tls_get_existing(outer) != NULL);
}

/* A context has each value once. */
static void
check_capture(void)
{
    tls_context_t *context;

    acting = false;
    copies = 0;
    CHECK_OK(tls_context_capture(&context));
    CHECK_UINT(copies, values());
    tls_context_free(context);
}

static void
nested_callbacks_write_nowhere_else(void)
{
    tls_map_t *map;
    tls_scope_t scope, inside;
    tls_context_t *context = NULL;
    size_t i;

    guarding = true;
    CHECK_OK(tls_map_create(&map));
    if (on_a_moved_map)
        CHECK_OK(tls_map_switch(map, NULL));
    for (i = 0; i < before; i++) {
        kept[i] = nesting_key();
        CHECK_OK(life_set(kept[i]));
    }
    for (i = 0; i < inner_count; i++)
        inner[i] = nesting_key();
    outer = nesting_key();
    if (in_a_scope)
        CHECK_OK(tls_scope_begin(&scope, NULL));
    acting = true;
    switch (nesting) {
    case INIT_SETS:
    case INIT_GETS:
        CHECK(tls_get(outer) != NULL);
        break;
    case COPY_SETS:
        CHECK_OK(life_set(outer));
        CHECK_OK(tls_context_capture(&context));
        break;
    case COPY_BEGINS:
        acting = false;
        CHECK_OK(life_set(outer));
        CHECK_OK(tls_context_capture(&context));
        acting = true;
        CHECK_OK(tls_scope_begin(&inside, context));
        check_capture();
        CHECK_OK(tls_scope_end(inside));
        break;
    case DESTROY_SETS:
        CHECK_OK(life_set(outer));
        CHECK_OK(life_set(outer));
        break;
    }
    tls_context_free(context);
    check_guards();
    check_capture();
    if (in_a_scope)
        CHECK_OK(tls_scope_end(scope));
    check_capture();
    CHECK_OK(tls_remove_all());
    if (on_a_moved_map)
        CHECK_OK(tls_map_switch(NULL, NULL));
    CHECK_OK(tls_map_destroy(map));
    CHECK_OK(tls_thread_detach());
    lives_check();
    for (i = 0; i < before; i++)
        CHECK_OK(tls_key_release(kept[i]));
    for (i = 0; i < inner_count; i++)
        CHECK_OK(tls_key_release(inner[i]));
    CHECK_OK(tls_key_release(outer));
    check_guards();
}

/* ---- Releasing many ------------------------------------------------------------------ */

static bool oldest_first;

/*
 * As many keys as would take minutes if each release had to move all the
 * others; the watchdog of RUN_APART() ends it then.
 */
static void
many_inherited_keys_are_released_in_any_order(void)
{
    size_t count = test_scaled(250000, 2000);
    tls_key_t *keys = (tls_key_t *)malloc(count * sizeof(*keys));
    tls_key_options_t options = test_options();
    size_t i;

    CHECK(keys != NULL);
    options.flags = TLS_KEY_INHERIT | flags;
    options.reclaim = reclaim;
    for (i = 0; i < count; i++) {
        keys[i] = test_key_from(&options);
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    }
    for (i = 0; i < count; i++) {
        size_t which = oldest_first ? i : count - 1 - i;

        if (i % 3 == 0) /* removed first, or with the key */
            CHECK_OK(tls_remove(keys[which]));
        CHECK_OK(tls_key_release(keys[which]));
    }
    CHECK_UINT(test_stats().entries, 0);
    real_free(keys);
}

int
main(void)
{
    static const size_t counts[] = {1, 2, 7, 8, 9, 40};
    char variant[128];
    size_t i, j, k;

    for (i = 0; i < 4; i++) {
        reclaim = i & 1 ? TLS_RECLAIM_ANY : TLS_RECLAIM_OWNER;
        flags = i & 1 ? TLS_KEY_ENUMERABLE : 0;
        in_a_scope = on_a_moved_map = (i & 2) != 0;
        for (nesting = INIT_SETS; nesting <= DESTROY_SETS; nesting = (nesting_t)(nesting + 1))
            for (j = 0; j < 6; j++)
                for (k = 0; k < 6; k++) {
                    before = counts[j];
                    inner_count = counts[k];
                    snprintf(variant, sizeof(variant), "(%s; %zu before, %zu inside%s%s)",
                             nesting_names[nesting], before, inner_count,
                             reclaim ? ", any, enumerable" : "",
                             in_a_scope ? ", scope, moved map" : "");
                    /* a sample of every 11th has each pair of counts, and each nesting */
                    RUN_APART_OF_MANY(nested_callbacks_write_nowhere_else, variant);
                }
    }
    for (i = 0; i < 4; i++) {
        oldest_first = (i & 1) != 0;
        reclaim = i & 2 ? TLS_RECLAIM_ANY : TLS_RECLAIM_OWNER;
        flags = i & 2 ? TLS_KEY_ENUMERABLE : 0;
        RUN_APART_AS(many_inherited_keys_are_released_in_any_order,
                     oldest_first ? "(oldest first)" : "(youngest first)");
    }
    return apart_finish();
}
