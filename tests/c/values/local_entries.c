/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tls_for_each_local(): the calling thread's values that a get would find, the
 * oldest first, whatever the visit does meanwhile.
 */
#include "worker.h"

#define MOST 64

static test_log_t ended;

typedef struct seen {
    size_t count;
    tls_key_t keys[MOST];
    void *values[MOST];
} seen_t;

static void
note(tls_key_t key, void *value, void *argument)
{
    seen_t *seen = (seen_t *)argument;

    CHECK(seen->count < MOST);
    seen->keys[seen->count] = key;
    seen->values[seen->count] = value;
    seen->count++;
}

static seen_t
look(void)
{
    seen_t seen;

    memset(&seen, 0, sizeof(seen));
    CHECK_OK(tls_for_each_local(note, &seen));
    return seen;
}

#define CHECK_SEEN(seen, index, key, value)                                   \
    do {                                                                      \
        CHECK_UINT((seen).keys[index], key);                                  \
        CHECK_PTR((seen).values[index], value);                               \
    } while (0)

static void *
look_without_a_map(void *argument)
{
    (void)argument;
    CHECK_UINT(look().count, 0);
    CHECK_CODE(tls_for_each_local(NULL, NULL), TLS_ERR_INVALID);
    CHECK_UINT(test_stats().maps, 0);
    return NULL;
}

static void
a_thread_without_values_has_none_and_is_not_attached_by_looking(void)
{
    CHECK_OK(tls_thread_detach());
    test_in_thread(look_without_a_map, NULL);
    CHECK_OK(tls_thread_attach());
    CHECK_UINT(look().count, 0);
}

static void
the_oldest_comes_first_and_a_null_is_a_value(void)
{
    tls_key_t keys[50];
    seen_t seen;
    size_t i;

    for (i = 0; i < 50; i++)
        keys[i] = test_key();
    for (i = 50; i-- > 0;)
        CHECK_OK(tls_set(keys[i], i == 7 ? NULL : VALUE(i + 1)));
    CHECK_OK(tls_set(keys[49], VALUE(500))); /* keeps its age */
    seen = look();
    CHECK_UINT(seen.count, 50);
    CHECK_SEEN(seen, 0, keys[49], VALUE(500));
    for (i = 1; i < 50; i++)
        CHECK_SEEN(seen, i, keys[49 - i], i == 42 ? NULL : VALUE(50 - i));
    for (i = 0; i < 50; i++)
        CHECK_OK(tls_key_release(keys[i]));
    CHECK_UINT(look().count, 0);
}

static void
job_set(void *argument)
{
    CHECK_OK(tls_set(*(tls_key_t *)argument, VALUE(9)));
    CHECK_UINT(look().count, 1);
}

static void
stale_values_and_those_of_others_are_passed_over(void)
{
    tls_key_t mine = test_key_logged(&ended);
    tls_key_t dying = test_key_logged(&ended);
    tls_map_t *map = NULL;
    worker_t worker;
    seen_t seen;

    test_log_clear(&ended);
    CHECK_OK(tls_set(mine, VALUE(1)));
    CHECK_OK(tls_set(dying, VALUE(2)));
    worker_start(&worker);
    worker_do(&worker, job_set, &mine);
    CHECK_OK(tls_map_create(&map));
    CHECK_OK(tls_map_switch(map, NULL));
    CHECK_UINT(look().count, 0);
    CHECK_OK(tls_key_release(dying));
    CHECK_OK(tls_map_switch(NULL, NULL));
    CHECK_UINT(tls_stale_count(), 1);
    seen = look();
    CHECK_UINT(seen.count, 1);
    CHECK_SEEN(seen, 0, mine, VALUE(1));
    CHECK_UINT(ended.count, 0); /* looking ends nothing */
    CHECK_UINT(tls_stale_count(), 1);
    worker_stop(&worker);
    CHECK_OK(tls_map_destroy(map));
    CHECK_OK(tls_key_release(mine));
    CHECK_UINT(tls_expunge(), 1);
    CHECK_UINT(ended.count, 3);
}

static void
what_a_scope_hides_is_not_seen_and_each_key_once(void)
{
    tls_key_t outer = test_key();
    tls_key_t hidden = test_key();
    tls_key_t removed = test_key();
    tls_scope_t scope;
    seen_t seen;

    CHECK_OK(tls_set(hidden, VALUE(1)));
    CHECK_OK(tls_set(outer, VALUE(2)));
    CHECK_OK(tls_set(removed, VALUE(3)));
    CHECK_OK(tls_scope_begin(&scope, NULL));
    CHECK_OK(tls_set(hidden, VALUE(10)));
    CHECK_OK(tls_remove(removed));
    seen = look();
    CHECK_UINT(seen.count, 2);
    CHECK_SEEN(seen, 0, outer, VALUE(2));
    CHECK_SEEN(seen, 1, hidden, VALUE(10));
    CHECK_OK(tls_scope_end(scope));
    seen = look();
    CHECK_UINT(seen.count, 3);
    CHECK_SEEN(seen, 0, hidden, VALUE(1));
    CHECK_SEEN(seen, 1, outer, VALUE(2));
    CHECK_SEEN(seen, 2, removed, VALUE(3));
    CHECK_OK(tls_key_release(outer));
    CHECK_OK(tls_key_release(hidden));
    CHECK_OK(tls_key_release(removed));
}

/* ---- A visit that changes what is visited -------------------------------- */

static tls_key_t keys_here[4];
static tls_key_t added;

static void
change_on_first(tls_key_t key, void *value, void *argument)
{
    note(key, value, argument);
    if (key != keys_here[0])
        return;
    CHECK_OK(tls_remove(keys_here[1]));
    CHECK_OK(tls_set(keys_here[2], VALUE(300)));
    CHECK_OK(tls_key_release(keys_here[3]));
    added = test_key();
    CHECK_OK(tls_set(added, VALUE(400)));
    CHECK_OK(tls_remove(keys_here[0]));
    CHECK_CODE(tls_thread_detach(), TLS_ERR_REENTRANT);
    CHECK_UINT(look().count, 2); /* one look inside another */
}

static void
a_visit_may_change_everything_and_what_it_adds_is_not_visited(void)
{
    seen_t seen;
    size_t i;

    memset(&seen, 0, sizeof(seen));
    test_log_clear(&ended);
    for (i = 0; i < 4; i++) {
        keys_here[i] = test_key_logged(&ended);
        CHECK_OK(tls_set(keys_here[i], VALUE(i + 1)));
    }
    CHECK_OK(tls_for_each_local(change_on_first, &seen));
    CHECK_UINT(seen.count, 2);
    CHECK_SEEN(seen, 0, keys_here[0], VALUE(1));
    CHECK_SEEN(seen, 1, keys_here[2], VALUE(300));
    CHECK_UINT(ended.count, 4);
    for (i = 0; i < 3; i++)
        CHECK_OK(tls_key_release(keys_here[i]));
    CHECK_OK(tls_key_release(added));
    CHECK_UINT(ended.count, 5);
}

static void
set_again(tls_key_t key, void *value, void *argument)
{
    (void)value;
    (void)argument;
    CHECK_OK(tls_remove(key));
    CHECK_OK(tls_set(key, VALUE(7)));
}

static void
a_visit_that_sets_its_own_key_anew_comes_to_an_end(void)
{
    tls_key_t key = test_key();

    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_for_each_local(set_again, NULL));
    CHECK_PTR(tls_get(key), VALUE(7));
    CHECK_OK(tls_key_release(key));
}

int
main(void)
{
    RUN(a_thread_without_values_has_none_and_is_not_attached_by_looking);
    RUN(the_oldest_comes_first_and_a_null_is_a_value);
    RUN(stale_values_and_those_of_others_are_passed_over);
    RUN(what_a_scope_hides_is_not_seen_and_each_key_once);
    RUN(a_visit_may_change_everything_and_what_it_adds_is_not_visited);
    RUN(a_visit_that_sets_its_own_key_anew_comes_to_an_end);
    return test_finish();
}
