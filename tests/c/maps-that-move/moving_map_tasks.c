/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Scopes, contexts, tasks and init in maps that move: a scope belongs to its
 * map and waits there, a context is taken from the current map, and what init
 * makes stays where it was made.
 */
#include "worker.h"

static test_log_t ended;

static tls_map_t *
make_map(void)
{
    tls_map_t *map = NULL;

    CHECK_OK(tls_map_create(&map));
    return map;
}

static void
enter(tls_map_t *map)
{
    CHECK_OK(tls_map_switch(map, NULL));
}

/* ---- Scopes -------------------------------------------------------------- */

static void
a_scope_waits_in_its_map_while_that_is_switched_away(void)
{
    tls_key_t key = test_key_logged(&ended);
    tls_key_t outer = test_key();
    tls_map_t *map = make_map();
    tls_scope_t in_map;
    tls_scope_t in_own;

    test_log_clear(&ended);
    CHECK_OK(tls_set(key, VALUE(1)));
    enter(map);
    CHECK_OK(tls_set(key, VALUE(10)));
    CHECK_OK(tls_set(outer, VALUE(20)));
    CHECK_OK(tls_scope_begin(&in_map, NULL));
    CHECK_OK(tls_set(key, VALUE(11)));

    /* Its own map is in no scope: a set replaces. */
    enter(NULL);
    CHECK_CODE(tls_scope_end(in_map), TLS_ERR_INVALID);
    CHECK_OK(tls_set(key, VALUE(2)));
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_REPLACED, test_thread());
    CHECK_OK(tls_scope_begin(&in_own, NULL));
    CHECK(in_own != in_map);
    CHECK_OK(tls_set(key, VALUE(3)));

    enter(map);
    CHECK_CODE(tls_scope_end(in_own), TLS_ERR_INVALID);
    CHECK_PTR(tls_get(key), VALUE(11));
    CHECK_OK(tls_set(key, VALUE(12))); /* in the scope: replaces */
    CHECK_RECORD(&ended, 1, VALUE(11), TLS_REASON_REPLACED, test_thread());
    CHECK_OK(tls_set(outer, VALUE(21))); /* set outside of it: hides */
    CHECK_OK(tls_scope_end(in_map));
    CHECK_RECORD(&ended, 2, VALUE(12), TLS_REASON_SCOPE_END, test_thread());
    CHECK_PTR(tls_get(key), VALUE(10));
    CHECK_PTR(tls_get(outer), VALUE(20));

    enter(NULL);
    CHECK_PTR(tls_get(key), VALUE(3));
    CHECK_OK(tls_scope_end(in_own));
    CHECK_PTR(tls_get(key), VALUE(2));
    CHECK_OK(tls_map_destroy(map));
    CHECK_OK(tls_key_release(key));
    CHECK_OK(tls_key_release(outer));
    CHECK_UINT(ended.count, 6);
}

typedef struct moved {
    tls_map_t *map;
    tls_key_t key;
    tls_scope_t scope;
} moved_t;

static void
job_begin(void *argument)
{
    moved_t *moved = (moved_t *)argument;

    enter(moved->map);
    CHECK_OK(tls_set(moved->key, VALUE(1)));
    CHECK_OK(tls_scope_begin(&moved->scope, NULL));
    CHECK_OK(tls_set(moved->key, VALUE(2)));
    enter(NULL);
}

static void
a_scope_goes_along_with_its_map_to_another_thread(void)
{
    moved_t moved;
    worker_t worker;

    test_log_clear(&ended);
    moved.map = make_map();
    moved.key = test_key_logged(&ended);
    worker_start(&worker);
    worker_do(&worker, job_begin, &moved);
    worker_stop(&worker);
    enter(moved.map);
    CHECK_PTR(tls_get(moved.key), VALUE(2));
    CHECK_OK(tls_scope_end(moved.scope));
    CHECK_RECORD(&ended, 0, VALUE(2), TLS_REASON_SCOPE_END, test_thread());
    CHECK_PTR(tls_get(moved.key), VALUE(1));
    CHECK_CODE(tls_scope_end(moved.scope), TLS_ERR_INVALID);
    enter(NULL);
    CHECK_OK(tls_map_destroy(moved.map));
    CHECK_OK(tls_key_release(moved.key));
}

static void
scopes_that_are_open_in_a_map_end_before_its_values(void)
{
    tls_key_t key = test_key_logged(&ended);
    tls_map_t *map = make_map();
    tls_scope_t scopes[2];

    test_log_clear(&ended);
    enter(map);
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_scope_begin(&scopes[0], NULL));
    CHECK_OK(tls_set(key, VALUE(2)));
    CHECK_OK(tls_scope_begin(&scopes[1], NULL));
    CHECK_OK(tls_set(key, VALUE(3)));
    CHECK_UINT(test_stats().entries, 3);
    enter(NULL);
    CHECK_OK(tls_map_destroy(map));
    CHECK_UINT(ended.count, 3);
    CHECK_RECORD(&ended, 0, VALUE(3), TLS_REASON_SCOPE_END, test_thread());
    CHECK_RECORD(&ended, 1, VALUE(2), TLS_REASON_SCOPE_END, test_thread());
    CHECK_RECORD(&ended, 2, VALUE(1), TLS_REASON_MAP_DESTROYED, test_thread());
    CHECK_UINT(test_stats().entries, 0);
    CHECK_OK(tls_key_release(key));
}

static void
what_a_scope_hides_in_a_detached_map_dies_with_its_key(void)
{
    tls_key_t key = test_key_logged(&ended);
    tls_map_t *map = make_map();
    tls_scope_t scope;

    test_log_clear(&ended);
    enter(map);
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_scope_begin(&scope, NULL));
    CHECK_OK(tls_set(key, VALUE(2)));
    enter(NULL);
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 0);
    CHECK_UINT(test_stats().stale, 2);
    enter(map);
    CHECK_UINT(tls_stale_count(), 2);
    CHECK_UINT(tls_expunge(), 2);
    CHECK_UINT(ended.count, 2);
    CHECK_UINT(ended.freed, 1);
    CHECK_OK(tls_scope_end(scope));
    CHECK_PTR(tls_get(key), NULL);
    enter(NULL);
    CHECK_OK(tls_map_destroy(map));
    CHECK_UINT(ended.count, 2);
}

/* ---- Contexts and tasks -------------------------------------------------- */

static int
copy_plus_one(void *value, void **copy, void *user)
{
    (void)user;
    *copy = VALUE((uintptr_t)value + 1);
    return 0;
}

static tls_key_t
inherited_key(void)
{
    tls_key_options_t options = test_options();

    options.destroy = test_log_destroy;
    options.user = &ended;
    options.copy = copy_plus_one;
    options.flags = TLS_KEY_INHERIT;
    return test_key_from(&options);
}

static void
a_context_has_the_values_of_the_map_that_was_current(void)
{
    tls_key_t key = inherited_key();
    tls_key_t unset = inherited_key();
    tls_map_t *map = make_map();
    tls_context_t *context = NULL;
    tls_scope_t scope;

    test_log_clear(&ended);
    CHECK_OK(tls_set(key, VALUE(100)));
    CHECK_OK(tls_set(unset, VALUE(200)));
    enter(map);
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_context_capture(&context)); /* 2 */
    CHECK_OK(tls_remove(key));
    enter(NULL);
    CHECK_OK(tls_scope_begin(&scope, context)); /* 3 */
    CHECK_PTR(tls_get(key), VALUE(3));
    CHECK_PTR(tls_get(unset), NULL); /* unset there, unset here */
    CHECK_OK(tls_scope_end(scope));
    CHECK_PTR(tls_get(key), VALUE(100));
    CHECK_PTR(tls_get(unset), VALUE(200));
    /* It does not need its map any more. */
    CHECK_OK(tls_map_destroy(map));
    map = make_map();
    enter(map);
    CHECK_OK(tls_scope_begin(&scope, context));
    CHECK_PTR(tls_get(key), VALUE(3));
    enter(NULL);
    CHECK_OK(tls_map_destroy(map));
    tls_context_free(context);
    CHECK_UINT(ended.count, 4);
    CHECK_RECORD(&ended, 3, VALUE(2), TLS_REASON_REMOVED, test_thread());
    CHECK_OK(tls_key_release(key));
    CHECK_OK(tls_key_release(unset));
    CHECK_UINT(test_stats().contexts, 0);
}

static tls_map_t *map_of_task;
static tls_key_t key_of_task;

static void
switch_in_a_task(void *argument)
{
    (void)argument;
    CHECK_PTR(tls_get(key_of_task), VALUE(2));
    CHECK_OK(tls_set(key_of_task, VALUE(50)));
    enter(map_of_task); /* fn is no callback: it may */
    CHECK_PTR(tls_get(key_of_task), NULL);
    CHECK_OK(tls_set(key_of_task, VALUE(60)));
    enter(NULL);
    CHECK_PTR(tls_get(key_of_task), VALUE(50));
}

static void
a_task_may_visit_a_map_and_its_scope_is_where_it_began(void)
{
    tls_task_t *task = NULL;

    test_log_clear(&ended);
    map_of_task = make_map();
    key_of_task = inherited_key();
    CHECK_OK(tls_set(key_of_task, VALUE(1)));
    CHECK_OK(tls_task_create(&task, switch_in_a_task, NULL));
    tls_task_run(task);
    CHECK_PTR(tls_get(key_of_task), VALUE(1));
    CHECK_UINT(ended.count, 2);
    CHECK_RECORD(&ended, 0, VALUE(2), TLS_REASON_REPLACED, test_thread());
    CHECK_RECORD(&ended, 1, VALUE(50), TLS_REASON_SCOPE_END, test_thread());
    enter(map_of_task);
    CHECK_PTR(tls_get(key_of_task), VALUE(60));
    enter(NULL);
    CHECK_OK(tls_map_destroy(map_of_task));
    CHECK_OK(tls_key_release(key_of_task));
    CHECK_UINT(ended.count, 4);
}

/* ---- init ---------------------------------------------------------------- */

static size_t inits;

static int
count_init(void **value, void *user)
{
    (void)user;
    *value = VALUE(test_count_up(&inits));
    return 0;
}

static void
each_map_gets_a_value_of_its_own_from_init(void)
{
    tls_key_options_t options = test_options();
    tls_map_t *maps[2];
    tls_key_t key;
    size_t i;

    inits = 0;
    options.init = count_init;
    key = test_key_from(&options);
    CHECK_PTR(tls_get(key), VALUE(1));
    for (i = 0; i < 2; i++) {
        maps[i] = make_map();
        enter(maps[i]);
        CHECK_PTR(tls_get(key), VALUE(i + 2));
        CHECK_PTR(tls_get(key), VALUE(i + 2));
    }
    enter(NULL);
    CHECK_PTR(tls_get(key), VALUE(1));
    CHECK_UINT(inits, 3);
    for (i = 0; i < 2; i++)
        CHECK_OK(tls_map_destroy(maps[i]));
    CHECK_OK(tls_key_release(key));
}

int
main(void)
{
    RUN(a_scope_waits_in_its_map_while_that_is_switched_away);
    RUN(a_scope_goes_along_with_its_map_to_another_thread);
    RUN(scopes_that_are_open_in_a_map_end_before_its_values);
    RUN(what_a_scope_hides_in_a_detached_map_dies_with_its_key);
    RUN(a_context_has_the_values_of_the_map_that_was_current);
    RUN(a_task_may_visit_a_map_and_its_scope_is_where_it_began);
    RUN(each_map_gets_a_value_of_its_own_from_init);
    return test_finish();
}
