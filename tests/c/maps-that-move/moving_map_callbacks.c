/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Callbacks and maps that move: what a callback may not do, how a map ends,
 * and what a thread that ends inside a callback leaves of the maps that it had.
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

/* A key whose destroy callback logs, then calls `act`. */
static tls_key_t
acting_key(tls_destroy_fn act)
{
    tls_key_options_t options = test_options();

    options.destroy = act;
    options.user = &ended;
    options.user_free = test_log_free;
    return test_key_from(&options);
}

/* A key with a value in a map that is nobody's. */
static void
set_in(tls_map_t *map, tls_key_t key, void *value)
{
    tls_map_t *previous = NULL;

    CHECK_OK(tls_map_switch(map, &previous));
    CHECK_OK(tls_set(key, value));
    CHECK_OK(tls_map_switch(previous, NULL));
}

/* ---- Not inside a callback ----------------------------------------------- */

static tls_map_t *other_map;
static tls_map_t *current_in_callback;

static void
refuse_to_move(void *value, int reason, void *user)
{
    tls_map_t *previous = (tls_map_t *)VALUE(99);
    tls_map_t *made = NULL;

    test_log_destroy(value, reason, user);
    current_in_callback = tls_map_current();
    CHECK_CODE(tls_map_switch(other_map, &previous), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_map_switch(NULL, &previous), TLS_ERR_REENTRANT);
    CHECK_PTR(previous, VALUE(99));
    CHECK_CODE(tls_map_destroy(other_map), TLS_ERR_REENTRANT);
    CHECK_OK(tls_map_create(&made)); /* only switching is refused */
    CHECK_PTR(tls_map_current(), current_in_callback);
    other_map = made;
}

static int
init_that_stays(void **value, void *user)
{
    refuse_to_move(VALUE(50), 0, user);
    *value = VALUE(60);
    return 0;
}

static void
no_callback_can_leave_or_destroy_a_map(void)
{
    tls_key_options_t options = test_options();
    tls_map_t *map = make_map();
    tls_map_t *first = make_map();
    tls_map_t *second;
    tls_key_t key = acting_key(refuse_to_move);
    tls_key_t made;

    test_log_clear(&ended);
    options.init = init_that_stays;
    options.destroy = test_log_destroy;
    options.user = &ended;
    made = test_key_from(&options);
    other_map = first;
    CHECK_OK(tls_map_switch(map, NULL));
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_remove(key));
    CHECK_PTR(current_in_callback, map);
    second = other_map;
    CHECK_PTR(tls_get(made), VALUE(60)); /* init, in the map that is current */
    CHECK_PTR(current_in_callback, map);
    CHECK_UINT(ended.count, 2);
    CHECK_OK(tls_map_switch(NULL, NULL));
    CHECK_PTR(tls_get_existing(made), NULL);
    CHECK_OK(tls_map_destroy(first));
    CHECK_OK(tls_map_destroy(second));
    CHECK_OK(tls_map_destroy(other_map));
    CHECK_OK(tls_map_destroy(map));
    CHECK_UINT(ended.count, 3);
    CHECK_RECORD(&ended, 2, VALUE(60), TLS_REASON_MAP_DESTROYED, test_thread());
    CHECK_OK(tls_key_release(made));
    CHECK_OK(tls_key_release(key));
}

static void
stay_in_the_map_that_ends(void *value, int reason, void *user)
{
    test_log_destroy(value, reason, user);
    current_in_callback = tls_map_current();
    CHECK_CODE(tls_map_destroy(current_in_callback), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_thread_detach(), TLS_ERR_REENTRANT);
}

static void
a_map_cannot_be_destroyed_by_its_own_end(void)
{
    tls_map_t *map = make_map();
    tls_key_t key = acting_key(stay_in_the_map_that_ends);

    test_log_clear(&ended);
    set_in(map, key, VALUE(1));
    CHECK_OK(tls_map_destroy(map));
    CHECK_PTR(current_in_callback, map);
    CHECK_UINT(ended.count, 1);
    CHECK_OK(tls_key_release(key));
}

/* ---- How a map ends ------------------------------------------------------ */

static tls_key_t setting_key;
static size_t sets_left;

static void
set_itself_again(void *value, int reason, void *user)
{
    test_log_destroy(value, reason, user);
    if (sets_left > 0) {
        sets_left--;
        CHECK_OK(tls_set(setting_key, VALUE((uintptr_t)value + 1)));
    }
}

static void
values_end_from_the_youngest_and_dead_keys_have_their_own_reason(void)
{
    tls_key_t keys[4];
    tls_map_t *map = make_map();
    size_t i;

    test_log_clear(&ended);
    for (i = 0; i < 4; i++) {
        keys[i] = test_key_logged(&ended);
        set_in(map, keys[i], VALUE(i + 1));
    }
    CHECK_OK(tls_key_release(keys[1]));
    CHECK_UINT(ended.count, 0);
    CHECK_OK(tls_map_destroy(map));
    CHECK_UINT(ended.count, 4);
    CHECK_RECORD(&ended, 0, VALUE(4), TLS_REASON_MAP_DESTROYED, test_thread());
    CHECK_RECORD(&ended, 1, VALUE(3), TLS_REASON_MAP_DESTROYED, test_thread());
    CHECK_RECORD(&ended, 2, VALUE(2), TLS_REASON_KEY_DEAD, test_thread());
    CHECK_RECORD(&ended, 3, VALUE(1), TLS_REASON_MAP_DESTROYED, test_thread());
    CHECK_UINT(ended.freed, 1);
    CHECK_OK(tls_key_release(keys[0]));
    CHECK_OK(tls_key_release(keys[2]));
    CHECK_OK(tls_key_release(keys[3]));
    CHECK_UINT(ended.freed, 4);
}

static void
callbacks_get_four_rounds_and_what_is_left_is_counted(void)
{
    tls_map_t *map = make_map();
    uint64_t leaked = test_stats().leaked;

    test_log_clear(&ended);
    setting_key = acting_key(set_itself_again);
    sets_left = 3;
    set_in(map, setting_key, VALUE(1));
    CHECK_OK(tls_map_destroy(map));
    CHECK_UINT(ended.count, 4);
    CHECK_RECORD(&ended, 3, VALUE(4), TLS_REASON_MAP_DESTROYED, test_thread());
    CHECK_UINT(test_stats().leaked, leaked);

    test_log_clear(&ended);
    sets_left = 100;
    map = make_map();
    set_in(map, setting_key, VALUE(1));
    CHECK_OK(tls_map_destroy(map));
    CHECK_UINT(ended.count, 4);
    CHECK_UINT(test_stats().leaked, leaked + 1);
    CHECK_PTR(tls_get(setting_key), NULL); /* nothing has got out of the map */
    CHECK_OK(tls_key_release(setting_key));
    CHECK_UINT(ended.freed, 1);
}

/* ---- The map that a thread was in while it destroys another --------------- */

static tls_map_t *map_beneath;
static worker_t bystander;
static int bystanders_answer;

static void
job_try_to_enter(void *argument)
{
    (void)argument;
    bystanders_answer = tls_map_switch(map_beneath, NULL);
}

static void
let_another_thread_try(void *value, int reason, void *user)
{
    test_log_destroy(value, reason, user);
    worker_do(&bystander, job_try_to_enter, NULL);
}

static void
destroying_a_map_does_not_let_go_of_the_current_one(void)
{
    tls_key_t key = acting_key(let_another_thread_try);
    tls_key_t kept = test_key_logged(&ended);
    tls_map_t *map = make_map();

    test_log_clear(&ended);
    worker_start(&bystander);
    set_in(map, key, VALUE(1));
    map_beneath = make_map();
    CHECK_OK(tls_map_switch(map_beneath, NULL));
    CHECK_OK(tls_set(kept, VALUE(2)));
    bystanders_answer = TLS_OK;
    CHECK_OK(tls_map_destroy(map));
    CHECK_CODE(bystanders_answer, TLS_ERR_BUSY);
    CHECK_PTR(tls_map_current(), map_beneath);
    CHECK_PTR(tls_get(kept), VALUE(2));
    CHECK_UINT(ended.count, 1);
    CHECK_OK(tls_map_switch(NULL, NULL));
    worker_do(&bystander, job_try_to_enter, NULL);
    CHECK_OK(bystanders_answer);
    worker_stop(&bystander);
    CHECK_OK(tls_map_destroy(map_beneath));
    CHECK_OK(tls_key_release(key));
    CHECK_OK(tls_key_release(kept));
}

/* ---- Threads that end inside a callback ----------------------------------- */

static void
end_the_thread(void *value, int reason, void *user)
{
    test_log_destroy(value, reason, user);
    if (value == VALUE(13))
        pthread_exit(NULL);
}

typedef struct abandonment {
    tls_map_t *map;
    tls_map_t *beneath;
    tls_key_t key;
    tls_key_t other;
    tls_scope_t scope;
} abandonment_t;

static void *
end_while_destroying(void *argument)
{
    abandonment_t *it = (abandonment_t *)argument;

    CHECK_OK(tls_map_switch(it->beneath, NULL));
    tls_map_destroy(it->map);
    CHECK(!"the callback ends the thread");
    return NULL;
}

static void
a_thread_that_ends_while_it_destroys_a_map_leaves_both_to_others(void)
{
    abandonment_t it;

    test_log_clear(&ended);
    it.map = make_map();
    it.beneath = make_map();
    it.key = acting_key(end_the_thread);
    it.other = test_key_logged(&ended);
    set_in(it.map, it.other, VALUE(1));
    set_in(it.map, it.key, VALUE(13));
    set_in(it.beneath, it.other, VALUE(2));
    test_in_thread(end_while_destroying, &it);
    CHECK_UINT(ended.count, 1);
    CHECK_OK(tls_map_switch(it.beneath, NULL));
    CHECK_PTR(tls_get(it.other), VALUE(2));
    CHECK_OK(tls_map_switch(it.map, NULL));
    CHECK_PTR(tls_get(it.other), VALUE(1));
    CHECK_PTR(tls_get(it.key), NULL);
    CHECK_OK(tls_map_switch(NULL, NULL));
    CHECK_OK(tls_map_destroy(it.beneath));
    CHECK_OK(tls_map_destroy(it.map));
    CHECK_UINT(ended.count, 3);
    CHECK_OK(tls_key_release(it.key));
    CHECK_OK(tls_key_release(it.other));
    CHECK_UINT(ended.freed, 2);
}

static void *
end_while_ending_a_scope(void *argument)
{
    abandonment_t *it = (abandonment_t *)argument;

    CHECK_OK(tls_map_switch(it->map, NULL));
    CHECK_OK(tls_set(it->other, VALUE(1)));
    CHECK_OK(tls_scope_begin(&it->scope, NULL));
    CHECK_OK(tls_set(it->other, VALUE(2)));
    CHECK_OK(tls_set(it->key, VALUE(13)));
    tls_scope_end(it->scope);
    CHECK(!"the callback ends the thread");
    return NULL;
}

static void
a_scope_whose_end_was_cut_off_can_be_ended_by_the_next_owner(void)
{
    abandonment_t it;

    test_log_clear(&ended);
    it.map = make_map();
    it.key = acting_key(end_the_thread);
    it.other = test_key_logged(&ended);
    test_in_thread(end_while_ending_a_scope, &it);
    CHECK_UINT(ended.count, 1);
    CHECK_OK(tls_map_switch(it.map, NULL));
    CHECK_PTR(tls_get(it.key), NULL);
    CHECK_PTR(tls_get(it.other), VALUE(2));
    CHECK_OK(tls_scope_end(it.scope));
    CHECK_UINT(ended.count, 2);
    CHECK_RECORD(&ended, 1, VALUE(2), TLS_REASON_SCOPE_END, test_thread());
    CHECK_PTR(tls_get(it.other), VALUE(1));
    CHECK_OK(tls_map_switch(NULL, NULL));
    CHECK_OK(tls_map_destroy(it.map));
    CHECK_OK(tls_key_release(it.key));
    CHECK_OK(tls_key_release(it.other));
    CHECK_UINT(ended.freed, 2);
}

static void *
end_while_replacing(void *argument)
{
    abandonment_t *it = (abandonment_t *)argument;

    CHECK_OK(tls_map_switch(it->map, NULL));
    CHECK_OK(tls_set(it->key, VALUE(13)));
    tls_set(it->key, VALUE(14));
    CHECK(!"the callback ends the thread");
    return NULL;
}

static void
a_thread_that_ends_inside_a_callback_leaves_a_whole_map(void)
{
    abandonment_t it;

    test_log_clear(&ended);
    it.map = make_map();
    it.key = acting_key(end_the_thread);
    test_in_thread(end_while_replacing, &it);
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(13), TLS_REASON_REPLACED, ended.records[0].thread);
    CHECK_OK(tls_map_switch(it.map, NULL));
    CHECK_PTR(tls_get(it.key), VALUE(14));
    CHECK_OK(tls_key_release(it.key));
    CHECK_RECORD(&ended, 1, VALUE(14), TLS_REASON_KEY_DEAD, test_thread());
    CHECK_UINT(ended.freed, 1);
    CHECK_OK(tls_map_switch(NULL, NULL));
    CHECK_OK(tls_map_destroy(it.map));
    CHECK_UINT(ended.count, 2);
}

int
main(void)
{
    RUN(no_callback_can_leave_or_destroy_a_map);
    RUN(a_map_cannot_be_destroyed_by_its_own_end);
    RUN(values_end_from_the_youngest_and_dead_keys_have_their_own_reason);
    RUN(callbacks_get_four_rounds_and_what_is_left_is_counted);
    RUN(destroying_a_map_does_not_let_go_of_the_current_one);
    RUN(a_thread_that_ends_while_it_destroys_a_map_leaves_both_to_others);
    RUN(a_scope_whose_end_was_cut_off_can_be_ended_by_the_next_owner);
    RUN(a_thread_that_ends_inside_a_callback_leaves_a_whole_map);
    return test_finish();
}
