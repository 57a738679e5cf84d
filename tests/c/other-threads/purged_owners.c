/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tls_key_purge() of a key whose values end on their own threads: all are stale at
 * once, each owner is told and destroys its own, and the next get makes a new value.
 */
#include "forking.h"
#include "worker.h"

#define WORKERS 4

static test_log_t ended;
static worker_t workers[WORKERS];
static size_t told[WORKERS];
static tls_key_t key;
static tls_scope_t scope;

static tls_key_t
owners_key(uint32_t flags)
{
    tls_key_options_t options = test_options_logged(&ended);

    test_log_clear(&ended);
    options.user_free = test_log_free;
    options.flags = TLS_KEY_ENUMERABLE | flags;
    return test_key_from(&options);
}

static int
count_one(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    ++*(size_t *)argument;
    return 0;
}

static size_t
values_visited(void)
{
    size_t number = 0;

    CHECK_OK(tls_for_each(key, count_one, &number));
    return number;
}

static int
own_code(void)
{
    void *value = NULL;

    return tls_try_get(key, &value);
}

static size_t
purge(void)
{
    size_t number = SIZE_MAX;

    CHECK_OK(tls_key_purge(key, &number));
    return number;
}

static void
finish(size_t destroyed)
{
    CHECK_OK(tls_key_release(key));
    CHECK_OK(tls_key_drain(key, -1, NULL));
    CHECK_UINT(ended.count, destroyed);
    CHECK_UINT(ended.freed, 1);
    CHECK_UINT(test_stats().entries, 0);
    CHECK_UINT(test_stats().stale, 0);
}

/* ---- What the owners see ------------------------------------------------------------ */

static void
each_owner_ends_its_own_value(void)
{
    size_t i;

    key = owners_key(0);
    workers_start_with_values(workers, WORKERS, key);
    CHECK_OK(tls_set(key, VALUE(99)));
    CHECK_UINT(purge(), WORKERS + 1);

    /* The caller's own at once; of the others none before its owner looks. */
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(99), TLS_REASON_PURGED, test_thread());
    CHECK_PTR(tls_get(key), NULL);
    CHECK_UINT(values_visited(), 0);
    CHECK_UINT(test_stats().stale, WORKERS);
    for (i = 0; i < WORKERS; i++) {
        CHECK_UINT(worker_stale_count(&workers[i]), 1);
        CHECK_UINT(worker_expunge(&workers[i]), 1);
        CHECK_UINT(worker_stale_count(&workers[i]), 0);
        CHECK_RECORD(&ended, i + 1, VALUE(i + 1), TLS_REASON_PURGED, workers[i].number);
    }
    CHECK_UINT(purge(), 0);
    workers_stop(workers, WORKERS);
    finish(WORKERS + 1);
}

static void
a_purged_value_is_not_found_by_any_call(void)
{
    worker_t *worker = &workers[0];

    key = owners_key(TLS_KEY_EXPLICIT);
    workers_start_with_values(worker, 1, key);
    CHECK_UINT(purge(), 1);
    CHECK_PTR(worker_get(worker, key), NULL);
    CHECK_CODE(worker_try_get(worker, key), TLS_ERR_ABSENT);
    CHECK_OK(worker_remove(worker, key));
    /* None of these may destroy it: the key is explicit. */
    CHECK_UINT(ended.count, 0);
    CHECK_UINT(worker_stale_count(worker), 1);
    CHECK_UINT(worker_expunge(worker), 1);
    worker_stop(worker);
    finish(1);
}

static int
make_numbered(void **value, void *user)
{
    (void)user;
    *value = VALUE(70);
    return 0;
}

static void
the_next_get_makes_a_new_value(void)
{
    tls_key_options_t options = test_options_logged(&ended);

    test_log_clear(&ended);
    options.user_free = test_log_free;
    options.flags = TLS_KEY_ENUMERABLE;
    options.init = make_numbered;
    key = test_key_from(&options);
    workers_start_with_values(workers, 1, key);
    CHECK_UINT(purge(), 1);
    CHECK_PTR(worker_get(&workers[0], key), VALUE(70));
    /* It has ended the old one, or that is stale still: never the new one. */
    worker_expunge(&workers[0]);
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_PURGED, workers[0].number);
    CHECK_PTR(worker_get(&workers[0], key), VALUE(70));
    worker_stop(&workers[0]);
    finish(2);
}

static void
what_is_set_after_a_purge_stays(void)
{
    key = owners_key(TLS_KEY_EXPLICIT);
    workers_start_with_values(workers, 1, key);
    CHECK_UINT(purge(), 1);
    CHECK_OK(worker_set(&workers[0], key, VALUE(8)));
    CHECK_UINT(worker_expunge(&workers[0]), 1);
    CHECK_PTR(worker_get(&workers[0], key), VALUE(8));
    /* And it is purged in its turn. */
    CHECK_UINT(purge(), 1);
    CHECK_OK(worker_set(&workers[0], key, VALUE(9)));
    CHECK_UINT(purge(), 1);
    CHECK_UINT(worker_stale_count(&workers[0]), 2);
    CHECK_UINT(worker_expunge(&workers[0]), 2);
    worker_stop(&workers[0]);
    finish(3);
    /* The youngest first. */
    CHECK_PTR(ended.records[1].value, VALUE(9));
    CHECK_PTR(ended.records[2].value, VALUE(8));
}

static void
tell(void *argument)
{
    ++*(size_t *)argument;
}

static void
job_want_to_be_told(void *argument)
{
    CHECK_OK(tls_thread_on_stale(tell, argument));
}

static void
owners_are_told(void)
{
    size_t i;

    key = owners_key(0);
    workers_start_with_values(workers, WORKERS, key);
    for (i = 0; i < WORKERS; i++)
        worker_do(&workers[i], job_want_to_be_told, &told[i]);
    CHECK_UINT(purge(), WORKERS);
    for (i = 0; i < WORKERS; i++)
        CHECK_UINT(told[i], 1);
    workers_stop(workers, WORKERS);
    finish(WORKERS);
}

static void
only_keys_that_other_threads_reach_are_purged(void)
{
    tls_key_t plain = test_key_logged(&ended);
    size_t number = 17;

    test_log_clear(&ended);
    CHECK_OK(tls_set(plain, VALUE(1)));
    CHECK_CODE(tls_key_purge(plain, &number), TLS_ERR_INVALID);
    CHECK_UINT(number, 17);
    CHECK_PTR(tls_get(plain), VALUE(1));
    CHECK_OK(tls_key_release(plain));
    CHECK_CODE(tls_key_purge(plain, NULL), TLS_ERR_DEAD_KEY);
    CHECK_CODE(tls_key_purge(TLS_KEY_NONE, NULL), TLS_ERR_BAD_KEY);
}

static void
a_thread_that_never_called_may_purge(void)
{
    key = owners_key(0);
    CHECK_OK(tls_thread_detach());
    CHECK_UINT(purge(), 0);
    workers_start_with_values(workers, 1, key);
    CHECK_UINT(purge(), 1);
    CHECK_UINT(worker_expunge(&workers[0]), 1);
    worker_stop(&workers[0]);
    finish(1);
}

/* ---- Ends in between ---------------------------------------------------------------- */

static void
a_purged_value_ends_with_its_thread(void)
{
    unsigned number;

    key = owners_key(TLS_KEY_EXPLICIT);
    workers_start_with_values(workers, 1, key);
    number = workers[0].number;
    CHECK_UINT(purge(), 1);
    worker_stop(&workers[0]);
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_PURGED, number);
    finish(1);
}

static void
a_key_that_dies_after_a_purge_waits_for_the_values(void)
{
    size_t left = 0;

    key = owners_key(TLS_KEY_EXPLICIT);
    workers_start_with_values(workers, 2, key);
    CHECK_UINT(purge(), 2);
    CHECK_OK(worker_set(&workers[1], key, VALUE(7)));
    CHECK_CODE(tls_key_drain(key, 0, &left), TLS_ERR_TIMEOUT);
    CHECK_UINT(left, 3);
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.freed, 0);
    CHECK_CODE(tls_key_drain(key, 0, &left), TLS_ERR_TIMEOUT);
    CHECK_UINT(left, 3);
    CHECK_UINT(worker_expunge(&workers[0]), 1);
    CHECK_UINT(worker_expunge(&workers[1]), 2);
    CHECK_UINT(ended.count, 3);
    CHECK_UINT(ended.freed, 1);
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_PURGED, workers[0].number);
    CHECK_RECORD(&ended, 1, VALUE(7), TLS_REASON_KEY_DEAD, workers[1].number);
    CHECK_RECORD(&ended, 2, VALUE(2), TLS_REASON_PURGED, workers[1].number);
    workers_stop(workers, 2);
}

static void
job_set_two(void *argument)
{
    (void)argument;
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_scope_begin(&scope, NULL));
    CHECK_OK(tls_set(key, VALUE(2)));
}

static void
job_end_scope(void *argument)
{
    (void)argument;
    CHECK_OK(tls_scope_end(scope));
}

static void
values_that_scopes_hide_are_purged_too(void)
{
    worker_t *worker = &workers[0];

    key = owners_key(TLS_KEY_EXPLICIT);
    worker_start(worker);
    worker_do(worker, job_set_two, NULL);
    CHECK_UINT(purge(), 2);
    CHECK_UINT(worker_stale_count(worker), 2);
    CHECK_CODE(worker_try_get(worker, key), TLS_ERR_ABSENT);
    /* A new value inside; the outer one does not come back. */
    CHECK_OK(worker_set(worker, key, VALUE(3)));
    worker_do(worker, job_end_scope, NULL);
    /* What was set in the scope has ended with it, purged or not. */
    CHECK_UINT(ended.count, 2);
    CHECK_CODE(worker_try_get(worker, key), TLS_ERR_ABSENT);
    worker_expunge(worker);
    CHECK_UINT(ended.count, 3);
    worker_stop(worker);
    finish(3);
}

static void
own_values_that_scopes_hide_end_the_youngest_first(void)
{
    key = owners_key(0);
    job_set_two(NULL);
    CHECK_UINT(purge(), 2);
    CHECK_RECORD(&ended, 0, VALUE(2), TLS_REASON_PURGED, test_thread());
    CHECK_RECORD(&ended, 1, VALUE(1), TLS_REASON_PURGED, test_thread());
    CHECK_OK(tls_set(key, VALUE(3)));
    job_end_scope(NULL);
    CHECK_CODE(own_code(), TLS_ERR_ABSENT);
    finish(3);
}

static void
a_value_in_a_map_of_nobody_ends_with_the_map(void)
{
    tls_map_t *map = NULL;
    tls_map_t *other = NULL;

    key = owners_key(0);
    CHECK_OK(tls_map_create(&map));
    CHECK_OK(tls_map_create(&other));
    CHECK_OK(tls_map_switch(map, NULL));
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_map_switch(other, NULL));
    CHECK_OK(tls_set(key, VALUE(2)));
    CHECK_OK(tls_map_switch(NULL, NULL));
    CHECK_UINT(purge(), 2);
    CHECK_UINT(ended.count, 0);
    CHECK_OK(tls_map_switch(map, NULL));
    CHECK_CODE(own_code(), TLS_ERR_ABSENT);
    CHECK_OK(tls_set(key, VALUE(3)));
    tls_expunge();
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_PURGED, test_thread());
    CHECK_OK(tls_map_switch(NULL, NULL));
    CHECK_OK(tls_map_destroy(other));
    CHECK_RECORD(&ended, 1, VALUE(2), TLS_REASON_PURGED, test_thread());
    CHECK_OK(tls_map_destroy(map));
    CHECK_RECORD(&ended, 2, VALUE(3), TLS_REASON_MAP_DESTROYED, test_thread());
    finish(3);
}

/* ---- Visits and captures ------------------------------------------------------------ */

static int
purge_in_visit(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    *(size_t *)argument += purge();
    /* It is stale when nobody looks at it any more. */
    worker_expunge(&workers[0]);
    CHECK_UINT(ended.count, 0);
    CHECK_CODE(worker_try_get(&workers[0], key), TLS_ERR_ABSENT);
    return 0;
}

static void
a_visited_value_ends_after_the_visit(void)
{
    size_t purged = 0;

    key = owners_key(0);
    workers_start_with_values(workers, 1, key);
    CHECK_OK(tls_for_each(key, purge_in_visit, &purged));
    CHECK_UINT(purged, 1);
    CHECK_UINT(ended.count, 0);
    CHECK_UINT(worker_expunge(&workers[0]), 1);
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_PURGED, workers[0].number);
    worker_stop(&workers[0]);
    finish(1);
}

static int
purge_and_end(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    (void)argument;
    CHECK_UINT(purge(), 1);
    worker_stop(&workers[0]);
    CHECK_UINT(ended.count, 0);
    return 0;
}

static void
the_visitor_ends_a_purged_value_whose_thread_has_gone(void)
{
    key = owners_key(0);
    workers_start_with_values(workers, 1, key);
    CHECK_OK(tls_for_each(key, purge_and_end, NULL));
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_PURGED, test_thread());
    finish(1);
}

static int
purge_own_in_visit(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    (void)argument;
    CHECK_UINT(purge(), 1);
    CHECK_UINT(ended.count, 0);
    CHECK_CODE(own_code(), TLS_ERR_ABSENT);
    CHECK_OK(tls_set(key, VALUE(2)));
    return 0;
}

static void
the_own_value_that_the_caller_visits_ends_after_the_visit(void)
{
    key = owners_key(0);
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_for_each(key, purge_own_in_visit, NULL));
    tls_expunge();
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_PURGED, test_thread());
    CHECK_PTR(tls_get(key), VALUE(2));
    finish(2);
}

static void *
purge_elsewhere(void *argument)
{
    *(size_t *)argument = purge();
    return NULL;
}

static int
copy_while_purged(void *value, void **copy, void *user)
{
    size_t purged = 0;

    (void)user;
    test_in_thread(purge_elsewhere, &purged);
    CHECK_UINT(purged, 1);
    tls_expunge();
    CHECK_UINT(ended.count, 0);
    *copy = value;
    return 0;
}

static void
a_value_that_is_being_captured_ends_after_the_copy(void)
{
    tls_key_options_t options = test_options_logged(&ended);
    tls_context_t *context = NULL;
    size_t wakings = 0;

    test_log_clear(&ended);
    options.user_free = test_log_free;
    options.flags = TLS_KEY_ENUMERABLE | TLS_KEY_INHERIT;
    options.copy = copy_while_purged;
    key = test_key_from(&options);
    CHECK_OK(tls_thread_on_stale(tell, &wakings));
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_context_capture(&context));
    CHECK_CODE(own_code(), TLS_ERR_ABSENT);
    tls_expunge();
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_PURGED, test_thread());
    tls_context_free(context);
    CHECK_OK(tls_thread_on_stale(NULL, NULL));
    finish(2);
}

/* ---- Callbacks ---------------------------------------------------------------------- */

static void
detach_in_waker(void *argument)
{
    ++*(size_t *)argument;
    CHECK_CODE(tls_thread_detach(), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_key_drain(key, 0, NULL), TLS_ERR_REENTRANT);
}

static void
job_detach_when_told(void *argument)
{
    CHECK_OK(tls_thread_on_stale(detach_in_waker, argument));
}

static void
a_waker_is_a_callback_also_on_a_thread_that_is_not_attached(void)
{
    size_t purged = 0;

    key = owners_key(0);
    told[0] = 0;
    workers_start_with_values(workers, 1, key);
    worker_do(&workers[0], job_detach_when_told, &told[0]);
    test_in_thread(purge_elsewhere, &purged);
    CHECK_UINT(purged, 1);
    CHECK_UINT(told[0], 1);
    worker_stop(&workers[0]);
    finish(1);
}

static size_t sets_left;

static void
set_again(void *value, int reason, void *user)
{
    test_log_destroy(value, reason, user);
    if (sets_left > 0 && reason == TLS_REASON_PURGED) {
        sets_left--;
        CHECK_OK(tls_set(key, VALUE((uintptr_t)value + 1)));
    }
}

static void
what_a_destroy_sets_again_stays(void)
{
    tls_key_options_t options = test_options_logged(&ended);

    test_log_clear(&ended);
    options.user_free = test_log_free;
    options.flags = TLS_KEY_ENUMERABLE;
    options.destroy = set_again;
    key = test_key_from(&options);
    sets_left = 10;
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_UINT(purge(), 1);
    CHECK_PTR(tls_get(key), VALUE(2));
    workers_start_with_values(workers, 1, key);
    CHECK_UINT(purge(), 2);
    CHECK_UINT(worker_expunge(&workers[0]), 1);
    CHECK_PTR(worker_get(&workers[0], key), VALUE(2));
    sets_left = 0;
    worker_stop(&workers[0]);
    finish(5);
}

static void
release_the_key(void *value, int reason, void *user)
{
    test_log_destroy(value, reason, user);
    if (reason == TLS_REASON_PURGED)
        CHECK_OK(tls_key_release(key));
}

static void
a_destroy_may_release_the_purged_key(void)
{
    tls_key_options_t options = test_options_logged(&ended);

    test_log_clear(&ended);
    options.user_free = test_log_free;
    options.flags = TLS_KEY_ENUMERABLE;
    options.destroy = release_the_key;
    key = test_key_from(&options);
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_UINT(purge(), 1);
    CHECK_UINT(ended.freed, 1);
    CHECK_UINT(ended.count, 1);
}

static void
leave_thread(void *argument)
{
    (void)argument;
    pthread_exit(NULL);
}

static void *
purge_and_be_ended(void *argument)
{
    (void)argument;
    CHECK_OK(tls_set(key, VALUE(5)));
    purge();
    return NULL;
}

static void
a_waker_may_end_the_purging_thread(void)
{
    key = owners_key(0);
    workers_start_with_values(workers, 2, key);
    worker_do(&workers[0], job_want_to_be_told, &told[0]);
    CHECK_OK(tls_thread_on_stale(NULL, NULL));
    /* The waker of a map of nobody's: it runs on the purging thread. */
    CHECK_OK(tls_thread_on_stale(leave_thread, NULL));
    CHECK_OK(tls_set(key, VALUE(4)));
    test_in_thread(purge_and_be_ended, NULL);
    CHECK_OK(tls_thread_on_stale(NULL, NULL));
    CHECK_UINT(tls_expunge(), 1);
    CHECK_UINT(worker_expunge(&workers[0]), 1);
    CHECK_UINT(worker_expunge(&workers[1]), 1);
    workers_stop(workers, 2);
    finish(4);
}

/* ---- Forks -------------------------------------------------------------------------- */

static void
in_child(void)
{
    CHECK_CODE(own_code(), TLS_ERR_ABSENT);
    CHECK_UINT(tls_stale_count(), 1);
    CHECK_UINT(tls_expunge(), 1);
    CHECK_UINT(ended.count, 1);
    CHECK_INT(ended.records[0].reason, TLS_REASON_PURGED);
    CHECK_OK(tls_key_release(key));
    CHECK_OK(tls_key_drain(key, 0, NULL));
    CHECK_UINT(ended.freed, 1);
    _exit(test_finish());
}

static void
the_child_of_a_fork_ends_what_was_purged(void)
{
    size_t purged = 0;
    pid_t child;

    if (forks_are_left_out())
        return;
    key = owners_key(TLS_KEY_EXPLICIT);
    CHECK_OK(tls_set(key, VALUE(1)));
    test_in_thread(purge_elsewhere, &purged);
    CHECK_UINT(purged, 1);
    child = fork_checked();
    if (child == 0)
        in_child();
    wait_for_child(child);
    /* And where the owner has looked already. */
    CHECK_OK(tls_remove(key));
    child = fork_checked();
    if (child == 0)
        in_child();
    wait_for_child(child);
    CHECK_UINT(tls_expunge(), 1);
    finish(1);
}

static int
fork_in_visit(void *value, uint64_t thread, void *argument)
{
    size_t purged = 0;
    pid_t child;

    (void)value;
    (void)thread;
    (void)argument;
    test_in_thread(purge_elsewhere, &purged);
    CHECK_UINT(purged, 1);
    child = fork_checked();
    if (child == 0)
        return 0;
    wait_for_child(child);
    return 1;
}

static void
a_fork_in_a_visit_keeps_the_purged_value_for_the_visitor(void)
{
    if (forks_are_left_out())
        return;
    key = owners_key(TLS_KEY_EXPLICIT);
    CHECK_OK(tls_set(key, VALUE(1)));
    if (tls_for_each(key, fork_in_visit, NULL) == TLS_OK)
        in_child();
    CHECK_UINT(tls_expunge(), 1);
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_PURGED, test_thread());
    finish(1);
}

/* ---- All at once -------------------------------------------------------------------- */

#define RACERS 4
#define ROUNDS 4000

typedef struct item {
    unsigned owner;
    unsigned ends;
} item_t;

static size_t made;
static size_t destroyed;
static bool stopping;
static bool visited;

static int
make_item(void **value, void *user)
{
    item_t *item = (item_t *)calloc(1, sizeof(*item));

    (void)user;
    CHECK(item != NULL);
    item->owner = test_thread();
    test_count_up(&made);
    *value = item;
    return 0;
}

static void
destroy_item(void *value, int reason, void *user)
{
    item_t *item = (item_t *)value;

    (void)reason;
    (void)user;
    /* A value whose thread ends in a visit is the visitor's. */
    CHECK(visited || item->owner == test_thread());
    CHECK_UINT(item->ends++, 0);
    test_count_up(&destroyed);
    free(item);
}

/* Uses values; scopes, removals and ends of the thread come between. */
static void *
use_items(void *argument)
{
    size_t rounds = test_scaled(ROUNDS, 200);
    size_t i;

    (void)argument;
    for (i = 0; i < rounds; i++) {
        tls_scope_t inner;
        void *value = NULL;

        CHECK(tls_get(key) != NULL);
        CHECK_OK(tls_scope_begin(&inner, NULL));
        if (i % 3 == 0) {
            CHECK_OK(make_item(&value, NULL));
            CHECK_OK(tls_set(key, value));
        }
        if (i % 5 == 0)
            CHECK_OK(tls_remove(key));
        if (i % 7 == 0)
            CHECK(tls_get(key) != NULL);
        CHECK_OK(tls_scope_end(inner));
        if (i % 11 == 0)
            tls_expunge();
        if (i % 97 == 0)
            CHECK_OK(tls_thread_detach());
    }
    return NULL;
}

static void *
purge_often(void *argument)
{
    (void)argument;
    while (!__atomic_load_n(&stopping, __ATOMIC_SEQ_CST))
        purge();
    return NULL;
}

static void *
visit_often(void *argument)
{
    (void)argument;
    while (!__atomic_load_n(&stopping, __ATOMIC_SEQ_CST))
        values_visited();
    return NULL;
}

static void
use_and_purge(void)
{
    tls_key_options_t options = test_options();
    pthread_t users[RACERS], purgers[2], visitor = pthread_self();
    size_t i;

    options.flags = TLS_KEY_ENUMERABLE;
    options.init = make_item;
    options.destroy = destroy_item;
    key = test_key_from(&options);
    made = destroyed = 0;
    stopping = false;
    if (visited)
        visitor = test_start(visit_often, NULL);
    for (i = 0; i < 2; i++)
        purgers[i] = test_start(purge_often, NULL);
    for (i = 0; i < RACERS; i++)
        users[i] = test_start(use_items, NULL);
    for (i = 0; i < RACERS; i++)
        test_join(users[i]);
    __atomic_store_n(&stopping, true, __ATOMIC_SEQ_CST);
    for (i = 0; i < 2; i++)
        test_join(purgers[i]);
    if (visited)
        test_join(visitor);
    CHECK_OK(tls_key_release(key));
    CHECK_OK(tls_key_drain(key, -1, NULL));
    CHECK_UINT(test_count(&destroyed), test_count(&made));
}

static void
each_value_ends_once_on_its_thread_while_two_purge(void)
{
    visited = false;
    use_and_purge();
}

static void
each_value_ends_once_while_one_visits_and_two_purge(void)
{
    visited = true;
    use_and_purge();
}

int
main(void)
{
    RUN(each_owner_ends_its_own_value);
    RUN(a_purged_value_is_not_found_by_any_call);
    RUN(the_next_get_makes_a_new_value);
    RUN(what_is_set_after_a_purge_stays);
    RUN(owners_are_told);
    RUN(only_keys_that_other_threads_reach_are_purged);
    RUN(a_thread_that_never_called_may_purge);
    RUN(a_purged_value_ends_with_its_thread);
    RUN(a_key_that_dies_after_a_purge_waits_for_the_values);
    RUN(values_that_scopes_hide_are_purged_too);
    RUN(own_values_that_scopes_hide_end_the_youngest_first);
    RUN(a_value_in_a_map_of_nobody_ends_with_the_map);
    RUN(a_visited_value_ends_after_the_visit);
    RUN(the_visitor_ends_a_purged_value_whose_thread_has_gone);
    RUN(the_own_value_that_the_caller_visits_ends_after_the_visit);
    RUN(a_value_that_is_being_captured_ends_after_the_copy);
    RUN(a_waker_is_a_callback_also_on_a_thread_that_is_not_attached);
    RUN(what_a_destroy_sets_again_stays);
    RUN(a_destroy_may_release_the_purged_key);
    RUN(a_waker_may_end_the_purging_thread);
    RUN(the_child_of_a_fork_ends_what_was_purged);
    RUN(a_fork_in_a_visit_keeps_the_purged_value_for_the_visitor);
    RUN(each_value_ends_once_on_its_thread_while_two_purge);
    RUN(each_value_ends_once_while_one_visits_and_two_purge);
    return test_finish();
}
