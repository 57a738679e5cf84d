/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Moments in which functions answer what they seldom do: without memory, inside
 * of scopes, and in callbacks of values that are given up. A call that fails has
 * changed nothing. (tests/codes.rs compares what this program and all others see
 * with the texts of the header.)
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "failing_malloc.h"
#include "later.h"

static tls_key_t key;

static void
without_memory_a_hidden_value_stays(void)
{
    tls_scope_t scope, inner;
    tls_key_t keys[4];
    void *old = VALUE(99);
    void *value = NULL;
    size_t i;

    /* So many values that the library has no record left for another. */
    for (i = 0; i < 4; i++) {
        keys[i] = life_key(TLS_RECLAIM_OWNER, 0, NULL);
        CHECK_OK(life_set(keys[i]));
    }
    key = keys[0];
    value = tls_get(key);
    CHECK_OK(tls_scope_begin(&scope, NULL));
    fail_from(1, FAIL_ALWAYS);
    CHECK_CODE(tls_take(key, &old), TLS_ERR_NO_MEMORY);
    CHECK_CODE(tls_remove(key), TLS_ERR_NO_MEMORY);
    CHECK_CODE(tls_set(key, VALUE(1000)), TLS_ERR_NO_MEMORY);
    CHECK_CODE(tls_swap(key, VALUE(1000), &old), TLS_ERR_NO_MEMORY);
    CHECK_CODE(tls_remove_all(), TLS_ERR_NO_MEMORY);
    fail_stop();
    CHECK_PTR(old, VALUE(99));
    CHECK_PTR(tls_get(key), value);
    CHECK_OK(tls_scope_begin(&inner, NULL));
    CHECK_OK(tls_scope_end(inner));
    CHECK_OK(tls_scope_end(scope));
    CHECK_PTR(tls_get(key), value);
    for (i = 0; i < 4; i++)
        CHECK_OK(tls_key_release(keys[i]));
    lives_check();
}

/* ---- Callbacks of values that are given up --------------------------------------- */

static uint32_t reclaim, flags;
static int what_ends;
static size_t rounds, freed;

static void
use_all(void)
{
    tls_context_t *context = NULL;
    void *old = NULL;
    size_t i;

    for (i = 0; i < LATER_KEYS; i++) {
        if (tls_take(later_keys[i], &old) == TLS_OK)
            life_end(old);
        tls_remove(later_keys[i]);
    }
    later_use_everything();
    for (i = 0; i < LATER_KEYS; i++) {
        tls_remove(later_keys[i]);
        if (tls_take(later_keys[i], &old) == TLS_OK)
            life_end(old);
    }
    if (tls_context_capture(&context) == TLS_OK)
        tls_context_free(context);
    tls_thread_attach();
    tls_thread_on_stale(NULL, NULL);
    tls_remove_all();
}

static void
free_and_use_all(void *user)
{
    (void)user;
    freed++;
    use_all();
}

static void *
release_it(void *argument)
{
    CHECK_OK(tls_key_release(key));
    return argument;
}

/* The last value is given up, and its key is dead by then. */
static void
destroy_and_set(void *value, int reason, void *user)
{
    life_destroy(value, reason, user);
    rounds++;
    if (rounds <= 4)
        CHECK_OK(life_set(key));
    if (rounds == 4)
        test_in_thread(release_it, NULL);
}

static void *
live(void *argument)
{
    tls_scope_t scope;
    tls_map_t *map;

    later_set_keys(); /* which a scope hides */
    switch (what_ends) {
    case 0:
        CHECK_OK(tls_scope_begin(&scope, NULL));
        CHECK_OK(life_set(key));
        CHECK_OK(tls_scope_end(scope));
        break;
    case 1:
        CHECK_OK(life_set(key));
        CHECK_OK(tls_thread_detach());
        break;
    case 2:
        CHECK_OK(tls_map_create(&map));
        CHECK_OK(tls_map_switch(map, NULL));
        CHECK_OK(life_set(key));
        CHECK_OK(tls_map_switch(NULL, NULL));
        CHECK_OK(tls_map_destroy(map));
        break;
    default:
        CHECK_OK(life_set(key));
        break;
    }
    return argument;
}

/* What user_free sets ends, too, unless it was refused. */
static void
user_free_of_what_is_given_up_may_use_everything(void)
{
    tls_key_options_t options = test_options();
    uint64_t leaked;

    later_make_keys();
    options.destroy = destroy_and_set;
    options.copy = life_copy;
    options.user_free = free_and_use_all;
    options.user = &freed;
    options.reclaim = reclaim;
    options.flags = flags;
    key = test_key_from(&options);
    test_in_thread(live, NULL);
    later_end_maps();
    CHECK_UINT(freed, 1);
    leaked = test_stats().leaked;
    CHECK_UINT(lives_made - lives_ended(), leaked);
    CHECK_UINT(test_stats().entries, 0);
    CHECK_UINT(test_stats().maps, 0);
    CHECK_AT_MOST(leaked, 1); /* of the key that sets itself in every round */
    life_key_is_drained(key);
    for (rounds = 0; rounds < LATER_KEYS; rounds++)
        CHECK_OK(tls_key_release(later_keys[rounds]));
}

int
main(void)
{
    static const char *const ends[] = {"scope", "detach", "map", "thread"};
    char variant[64];
    int i;

    RUN_APART(without_memory_a_hidden_value_stays);
    for (i = 0; i < 16; i++) {
        what_ends = i % 4;
        reclaim = i & 4 ? TLS_RECLAIM_ANY : TLS_RECLAIM_OWNER;
        flags = i & 8 ? TLS_KEY_ENUMERABLE | TLS_KEY_INHERIT : 0;
        snprintf(variant, sizeof(variant), "(%s, reclaim %u, flags %u)", ends[what_ends],
                 (unsigned)reclaim, (unsigned)flags);
        RUN_APART_AS(user_free_of_what_is_given_up_may_use_everything, variant);
    }
    return apart_finish();
}
