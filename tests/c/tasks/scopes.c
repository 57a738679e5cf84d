/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Scopes: what a task sets ends with it, what it hides is back as it was. On
 * one thread, with keys that live; keys that die are in scope_deaths.c.
 */
#include "test.h"

#define KEYS 6
#define DEEP 1000

static test_log_t ended;
static tls_key_t keys[KEYS];

static void
make_keys(void)
{
    size_t i;

    CHECK_OK(tls_thread_detach());
    test_log_clear(&ended);
    for (i = 0; i < KEYS; i++)
        keys[i] = test_key_logged(&ended);
}

static void
release_keys(void)
{
    size_t i;

    for (i = 0; i < KEYS; i++)
        CHECK_OK(tls_key_release(keys[i]));
    CHECK_UINT(ended.freed, KEYS);
    CHECK_UINT(test_stats().entries, 0);
}

static tls_scope_t
begin(void)
{
    tls_scope_t scope = 0;

    CHECK_OK(tls_scope_begin(&scope, NULL));
    CHECK(scope != 0);
    return scope;
}

/* By each way to look. NULL: there is none. */
static void
check_value(tls_key_t key, void *expected)
{
    void *value = VALUE(77);
    int code = tls_try_get(key, &value);

    CHECK_PTR(tls_get(key), expected);
    CHECK_PTR((tls_get)(key), expected);
    CHECK_PTR(tls_get_existing(key), expected);
    CHECK_CODE(code, expected != NULL ? TLS_OK : TLS_ERR_ABSENT);
    CHECK_PTR(value, expected != NULL ? expected : VALUE(77));
}

/* ---- Seen, hidden, back ------------------------------------------------------ */

static void
outer_values_are_seen_inside(void)
{
    tls_scope_t scope;

    make_keys();
    CHECK_OK(tls_set(keys[0], VALUE(1)));
    CHECK_OK(tls_set(keys[1], NULL));
    scope = begin();
    check_value(keys[0], VALUE(1));
    CHECK_PTR(tls_get(keys[1]), NULL);
    check_value(keys[2], NULL);
    CHECK_OK(tls_scope_end(scope));
    check_value(keys[0], VALUE(1));
    CHECK_UINT(ended.count, 0);
    release_keys();
}

/* T47, T58, D04: set before: kept; set inside: gone, the youngest first. */
static void
what_is_set_inside_ends_with_the_scope_the_youngest_first(void)
{
    tls_scope_t scope;
    size_t i;

    make_keys();
    CHECK_OK(tls_set(keys[0], VALUE(1)));
    scope = begin();
    for (i = 1; i < KEYS; i++)
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    CHECK_OK(tls_set(keys[1], VALUE(20)));
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(2), TLS_REASON_REPLACED, test_thread());
    CHECK_OK(tls_scope_end(scope));
    CHECK_UINT(ended.count, KEYS);
    for (i = 1; i < KEYS - 1; i++)
        CHECK_RECORD(&ended, i, VALUE(KEYS + 1 - i), TLS_REASON_SCOPE_END, test_thread());
    CHECK_RECORD(&ended, KEYS - 1, VALUE(20), TLS_REASON_SCOPE_END, test_thread());
    check_value(keys[0], VALUE(1));
    for (i = 1; i < KEYS; i++)
        check_value(keys[i], NULL);
    release_keys();
}

/* T70: rebound, and bound to nothing in each way; back on every path. */
static void
outer_values_are_hidden_by_each_change_and_back_at_the_end(void)
{
    void *old = VALUE(77);
    tls_scope_t scope;
    size_t i;

    make_keys();
    for (i = 0; i < KEYS; i++)
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    scope = begin();
    CHECK_OK(tls_set(keys[0], VALUE(10)));
    CHECK_OK(tls_swap(keys[1], VALUE(20), &old));
    CHECK_PTR(old, NULL);
    old = VALUE(77);
    CHECK_OK(tls_take(keys[2], &old));
    CHECK_PTR(old, NULL);
    CHECK_CODE(tls_take(keys[2], &old), TLS_ERR_ABSENT);
    CHECK_OK(tls_remove(keys[3]));
    CHECK_OK(tls_remove(keys[3]));
    CHECK_OK(tls_set(keys[4], NULL));
    CHECK_UINT(ended.count, 0);
    check_value(keys[0], VALUE(10));
    check_value(keys[1], VALUE(20));
    check_value(keys[2], NULL);
    check_value(keys[3], NULL);
    CHECK_OK(tls_try_get(keys[4], &old));
    CHECK_PTR(old, NULL);
    CHECK_UINT(test_stats().entries, KEYS + 3);
    CHECK_OK(tls_scope_end(scope));
    CHECK_UINT(ended.count, 2);
    CHECK_RECORD(&ended, 0, VALUE(20), TLS_REASON_SCOPE_END, test_thread());
    CHECK_RECORD(&ended, 1, VALUE(10), TLS_REASON_SCOPE_END, test_thread());
    for (i = 0; i < KEYS; i++)
        check_value(keys[i], VALUE(i + 1));
    CHECK_UINT(test_stats().entries, KEYS);
    release_keys();
}

/* The second set inside replaces, the second swap and take hand over. */
static void
values_of_the_scope_are_changed_as_anywhere(void)
{
    void *old = VALUE(77);
    tls_scope_t scope;

    make_keys();
    CHECK_OK(tls_set(keys[0], VALUE(1)));
    scope = begin();
    CHECK_OK(tls_set(keys[0], VALUE(2)));
    CHECK_OK(tls_set(keys[0], VALUE(3)));
    CHECK_RECORD(&ended, 0, VALUE(2), TLS_REASON_REPLACED, test_thread());
    CHECK_OK(tls_swap(keys[0], VALUE(4), &old));
    CHECK_PTR(old, VALUE(3));
    CHECK_OK(tls_take(keys[0], &old));
    CHECK_PTR(old, VALUE(4));
    check_value(keys[0], NULL);
    CHECK_OK(tls_set(keys[0], VALUE(5)));
    CHECK_OK(tls_remove(keys[0]));
    CHECK_UINT(ended.count, 2);
    CHECK_RECORD(&ended, 1, VALUE(5), TLS_REASON_REMOVED, test_thread());
    check_value(keys[0], NULL);
    CHECK_OK(tls_scope_end(scope));
    check_value(keys[0], VALUE(1));
    CHECK_UINT(ended.count, 2);
    release_keys();
}

/* Before and after: the order in which all would end is the same. */
static void
what_is_back_has_its_age(void)
{
    void *old;
    tls_scope_t scope;
    size_t i;

    make_keys();
    for (i = 0; i < KEYS; i++)
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    scope = begin();
    CHECK_OK(tls_remove(keys[0]));
    CHECK_OK(tls_set(keys[3], VALUE(30)));
    CHECK_OK(tls_take(keys[1], &old));
    CHECK_OK(tls_scope_end(scope));
    test_log_clear(&ended);
    CHECK_OK(tls_thread_detach());
    CHECK_UINT(ended.count, KEYS);
    for (i = 0; i < KEYS; i++)
        CHECK_RECORD(&ended, i, VALUE(KEYS - i), TLS_REASON_DETACHED, test_thread());
    release_keys();
}

static void
the_same_pointer_set_again_changes_nothing(void)
{
    tls_scope_t scope;

    make_keys();
    CHECK_OK(tls_set(keys[0], VALUE(1)));
    CHECK_OK(tls_set(keys[1], NULL));
    scope = begin();
    CHECK_OK(tls_set(keys[0], VALUE(1)));
    CHECK_OK(tls_set(keys[1], NULL));
    CHECK_UINT(test_stats().entries, 2);
    CHECK_OK(tls_scope_end(scope));
    CHECK_UINT(ended.count, 0);
    check_value(keys[0], VALUE(1));
    release_keys();
}

static void
remove_all_hides_what_is_outside_and_ends_what_is_inside(void)
{
    tls_scope_t scope;
    size_t i;

    make_keys();
    for (i = 0; i < 3; i++)
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    scope = begin();
    CHECK_OK(tls_set(keys[0], VALUE(10)));
    CHECK_OK(tls_set(keys[4], VALUE(50)));
    CHECK_OK(tls_remove_all());
    CHECK_UINT(ended.count, 2);
    CHECK_RECORD(&ended, 0, VALUE(50), TLS_REASON_REMOVED, test_thread());
    CHECK_RECORD(&ended, 1, VALUE(10), TLS_REASON_REMOVED, test_thread());
    for (i = 0; i < KEYS; i++)
        check_value(keys[i], NULL);
    CHECK_OK(tls_remove_all());
    CHECK_OK(tls_set(keys[1], VALUE(20)));
    CHECK_OK(tls_scope_end(scope));
    CHECK_UINT(ended.count, 3);
    for (i = 0; i < KEYS; i++)
        check_value(keys[i], i < 3 ? VALUE(i + 1) : NULL);
    release_keys();
}

static size_t inits;

static int
init(void **value, void *user)
{
    (void)user;
    *value = VALUE(1000 + ++inits);
    return 0;
}

/* T59: unset again after it, and the next look makes another. */
static void
a_value_that_init_makes_inside_is_of_the_scope(void)
{
    tls_key_options_t options = test_options();
    tls_scope_t scope;
    tls_key_t key;

    make_keys();
    inits = 0;
    options.init = init;
    options.destroy = test_log_destroy;
    options.user = &ended;
    key = test_key_from(&options);
    scope = begin();
    check_value(key, VALUE(1001));
    CHECK_OK(tls_scope_end(scope));
    CHECK_RECORD(&ended, 0, VALUE(1001), TLS_REASON_SCOPE_END, test_thread());
    CHECK_PTR(tls_get_existing(key), NULL);
    check_value(key, VALUE(1002));
    scope = begin();
    check_value(key, VALUE(1002));
    CHECK_OK(tls_remove(key));
    check_value(key, VALUE(1003)); /* hidden: as unset as it can be */
    CHECK_OK(tls_scope_end(scope));
    CHECK_UINT(ended.count, 2);
    CHECK_RECORD(&ended, 1, VALUE(1003), TLS_REASON_SCOPE_END, test_thread());
    check_value(key, VALUE(1002));
    CHECK_UINT(inits, 3);
    CHECK_OK(tls_key_release(key));
    release_keys();
}

static void
count_local(tls_key_t key, void *value, void *argument)
{
    size_t *sum = (size_t *)argument;

    (void)key;
    *sum = *sum * 10 + (size_t)value;
}

static void
a_look_at_all_values_passes_over_hidden_ones(void)
{
    size_t seen = 0;
    tls_scope_t scope;

    make_keys();
    CHECK_OK(tls_set(keys[0], VALUE(1)));
    CHECK_OK(tls_set(keys[1], VALUE(2)));
    CHECK_OK(tls_set(keys[2], VALUE(3)));
    scope = begin();
    CHECK_OK(tls_set(keys[0], VALUE(9)));
    CHECK_OK(tls_remove(keys[1]));
    CHECK_OK(tls_for_each_local(count_local, &seen));
    CHECK_UINT(seen, 39);
    CHECK_OK(tls_scope_end(scope));
    seen = 0;
    CHECK_OK(tls_for_each_local(count_local, &seen));
    CHECK_UINT(seen, 123);
    release_keys();
}

/* ---- Worker's keys ------------------------------------------------------------ */

static tls_key_t
worker_key(uint32_t flags, tls_init_fn made_by)
{
    tls_key_options_t options = test_options();

    options.destroy = test_log_destroy;
    options.init = made_by;
    options.user = &ended;
    options.flags = TLS_KEY_WORKER | flags;
    return test_key_from(&options);
}

static void
check_worker_key(uint32_t flags)
{
    tls_key_t key = worker_key(flags, NULL);
    void *old = VALUE(77);
    tls_scope_t outer = begin();
    tls_scope_t inner;

    test_log_clear(&ended);
    CHECK_OK(tls_set(key, VALUE(1))); /* inside one, and it stays */
    inner = begin();
    CHECK_OK(tls_set(key, VALUE(2)));
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_REPLACED, test_thread());
    CHECK_OK(tls_swap(key, VALUE(3), &old));
    CHECK_PTR(old, VALUE(2));
    CHECK_OK(tls_take(key, &old));
    CHECK_PTR(old, VALUE(3));
    CHECK_OK(tls_set(key, VALUE(4)));
    CHECK_OK(tls_remove(key));
    CHECK_RECORD(&ended, 1, VALUE(4), TLS_REASON_REMOVED, test_thread());
    CHECK_OK(tls_set(key, VALUE(5)));
    CHECK_OK(tls_remove_all());
    CHECK_RECORD(&ended, 2, VALUE(5), TLS_REASON_REMOVED, test_thread());
    check_value(key, NULL);
    CHECK_OK(tls_set(key, VALUE(6)));
    CHECK_OK(tls_scope_end(inner));
    check_value(key, VALUE(6));
    CHECK_OK(tls_scope_end(outer));
    check_value(key, VALUE(6));
    CHECK_UINT(ended.count, 3);
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 4);
}

static void
keys_of_the_worker_are_exempt_in_every_call(void)
{
    tls_key_t key;
    tls_scope_t scope;

    make_keys();
    check_worker_key(0);
    check_worker_key(TLS_KEY_ENUMERABLE);
    test_log_clear(&ended);
    inits = 0;
    key = worker_key(0, init);
    scope = begin();
    check_value(key, VALUE(1001));
    CHECK_OK(tls_scope_end(scope));
    check_value(key, VALUE(1001));
    CHECK_OK(tls_thread_detach());
    CHECK_RECORD(&ended, 0, VALUE(1001), TLS_REASON_DETACHED, test_thread());
    CHECK_OK(tls_key_release(key));
    release_keys();
}

/* ---- Nested -------------------------------------------------------------------- */

/* T50: each level sees the one around it, hides it, and gives it back. */
static void
scopes_nest_a_thousand_deep(void)
{
    static tls_scope_t scopes[DEEP];
    size_t deep = test_scaled(DEEP, 100);
    size_t i;

    make_keys();
    CHECK_OK(tls_set(keys[0], VALUE(1)));
    for (i = 0; i < deep; i++) {
        scopes[i] = begin();
        check_value(keys[0], VALUE(i + 1));
        CHECK_OK(tls_set(keys[0], VALUE(i + 2)));
        if (i % 2 == 0)
            CHECK_OK(tls_set(keys[1], VALUE(5000 + i)));
        else
            CHECK_OK(tls_remove(keys[1]));
    }
    for (i = deep; i-- > 0;) {
        check_value(keys[0], VALUE(i + 2));
        check_value(keys[1], i % 2 == 0 ? VALUE(5000 + i) : NULL);
        CHECK_OK(tls_scope_end(scopes[i]));
    }
    check_value(keys[0], VALUE(1));
    check_value(keys[1], NULL);
    CHECK_UINT(ended.count, deep + deep / 2);
    release_keys();
}

static void *
end_elsewhere(void *argument)
{
    tls_scope_t scope = *(tls_scope_t *)argument;

    CHECK_CODE(tls_scope_end(scope), TLS_ERR_INVALID);
    CHECK_UINT(test_stats().maps, 1); /* the main thread's: it did not attach */
    CHECK_OK(tls_thread_attach());
    CHECK_CODE(tls_scope_end(scope), TLS_ERR_INVALID);
    CHECK_OK(tls_scope_end(begin()));
    return NULL;
}

/* T69: out of order. */
static void
a_scope_that_is_not_the_innermost_can_not_be_ended(void)
{
    tls_scope_t outer;
    tls_scope_t inner;

    make_keys();
    CHECK_CODE(tls_scope_begin(NULL, NULL), TLS_ERR_INVALID);
    CHECK_CODE(tls_scope_end(0), TLS_ERR_INVALID);
    CHECK_CODE(tls_scope_end(UINT64_MAX), TLS_ERR_INVALID);
    outer = begin();
    CHECK_OK(tls_set(keys[0], VALUE(1)));
    inner = begin();
    CHECK(outer != inner);
    CHECK_OK(tls_set(keys[0], VALUE(2)));
    CHECK_CODE(tls_scope_end(outer), TLS_ERR_BUSY);
    check_value(keys[0], VALUE(2));
    CHECK_UINT(ended.count, 0);
    test_in_thread(end_elsewhere, &inner);
    check_value(keys[0], VALUE(2));
    CHECK_OK(tls_scope_end(inner));
    CHECK_CODE(tls_scope_end(inner), TLS_ERR_INVALID);
    check_value(keys[0], VALUE(1));
    inner = begin(); /* the same depth: another scope */
    CHECK_CODE(tls_scope_end(outer), TLS_ERR_BUSY);
    CHECK_OK(tls_scope_end(inner));
    CHECK_OK(tls_scope_end(outer));
    CHECK_CODE(tls_scope_end(outer), TLS_ERR_INVALID);
    check_value(keys[0], NULL);
    CHECK_UINT(ended.count, 2);
    release_keys();
}

/* A map that is switched away keeps its scopes, and only there can they end. */
static void
scopes_belong_to_the_map(void)
{
    tls_map_t *map = NULL;
    tls_map_t *previous = NULL;
    tls_scope_t of_thread;
    tls_scope_t of_map;

    make_keys();
    CHECK_OK(tls_map_create(&map));
    CHECK_OK(tls_set(keys[0], VALUE(1)));
    of_thread = begin();
    CHECK_OK(tls_set(keys[0], VALUE(2)));
    CHECK_OK(tls_map_switch(map, &previous));
    CHECK_OK(tls_set(keys[0], VALUE(3))); /* outside of any scope of this map */
    CHECK_CODE(tls_scope_end(of_thread), TLS_ERR_INVALID);
    of_map = begin();
    CHECK_OK(tls_set(keys[0], VALUE(4)));
    CHECK_OK(tls_map_switch(NULL, NULL));
    check_value(keys[0], VALUE(2));
    CHECK_CODE(tls_scope_end(of_map), TLS_ERR_INVALID);
    CHECK_OK(tls_set(keys[0], VALUE(5))); /* of the scope: replaces */
    CHECK_RECORD(&ended, 0, VALUE(2), TLS_REASON_REPLACED, test_thread());
    CHECK_OK(tls_scope_end(of_thread));
    CHECK_RECORD(&ended, 1, VALUE(5), TLS_REASON_SCOPE_END, test_thread());
    CHECK_OK(tls_map_destroy(map)); /* with its scope open */
    CHECK_RECORD(&ended, 2, VALUE(4), TLS_REASON_SCOPE_END, test_thread());
    CHECK_RECORD(&ended, 3, VALUE(3), TLS_REASON_MAP_DESTROYED, test_thread());
    check_value(keys[0], VALUE(1));
    release_keys();
}

int
main(void)
{
    RUN(outer_values_are_seen_inside);
    RUN(what_is_set_inside_ends_with_the_scope_the_youngest_first);
    RUN(outer_values_are_hidden_by_each_change_and_back_at_the_end);
    RUN(values_of_the_scope_are_changed_as_anywhere);
    RUN(what_is_back_has_its_age);
    RUN(the_same_pointer_set_again_changes_nothing);
    RUN(remove_all_hides_what_is_outside_and_ends_what_is_inside);
    RUN(a_value_that_init_makes_inside_is_of_the_scope);
    RUN(a_look_at_all_values_passes_over_hidden_ones);
    RUN(keys_of_the_worker_are_exempt_in_every_call);
    RUN(scopes_nest_a_thousand_deep);
    RUN(a_scope_that_is_not_the_innermost_can_not_be_ended);
    RUN(scopes_belong_to_the_map);
    return test_finish();
}
