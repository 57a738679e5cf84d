/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * TLS_RECLAIM_ANY: the thread that gives the last reference back ends every
 * thread's value before the call returns, and a purge does so while the key
 * lives.
 */
#include "worker.h"

#define WORKERS 8

static test_log_t ended;
static worker_t workers[WORKERS];

static void
start_workers(void)
{
    size_t i;

    for (i = 0; i < WORKERS; i++)
        worker_start(&workers[i]);
}

static void
stop_workers(void)
{
    workers_stop(workers, WORKERS);
}

static tls_key_t
any_key(uint32_t flags, tls_init_fn init)
{
    tls_key_options_t options = test_options();

    options.destroy = test_log_destroy;
    options.init = init;
    options.user = &ended;
    options.user_free = test_log_free;
    options.reclaim = TLS_RECLAIM_ANY;
    options.flags = flags;
    return test_key_from(&options);
}

/* The workers' values are 1, 2, ... */
static void
set_on_workers(tls_key_t key)
{
    size_t i;

    for (i = 0; i < WORKERS; i++)
        CHECK_OK(worker_set(&workers[i], key, VALUE(i + 1)));
}

/* Each of the numbers from 1 on has ended once, on this thread. */
static void
check_all_ended_here(size_t from, size_t values, int reason)
{
    bool seen[64] = { false };
    size_t i;

    CHECK_UINT(ended.count, from + values);
    for (i = from; i < from + values; i++) {
        size_t value = (size_t)ended.records[i].value;

        CHECK(value >= 1 && value <= values && !seen[value]);
        seen[value] = true;
        CHECK_RECORD(&ended, i, VALUE(value), reason, test_thread());
    }
}

/* ---- Release ---------------------------------------------------------------- */

static void
job_exported_get(void *argument)
{
    worker_call_t *call = (worker_call_t *)argument;

    call->value = (tls_get)(call->key);
}

static void
job_get_existing(void *argument)
{
    worker_call_t *call = (worker_call_t *)argument;

    call->value = tls_get_existing(call->key);
}

/* F03, BO5. The owners were told nothing and never call anything again. */
static void
a_release_ends_all_threads_values_before_it_returns(void)
{
    tls_key_t key;
    size_t i;

    test_log_clear(&ended);
    start_workers();
    key = any_key(0, NULL);
    set_on_workers(key);
    CHECK_OK(tls_set(key, VALUE(WORKERS + 1)));
    CHECK_OK(tls_key_retain(key));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 0);
    CHECK_OK(tls_key_release(key));
    check_all_ended_here(0, WORKERS + 1, TLS_REASON_KEY_DEAD);
    CHECK_UINT(ended.freed, 1);
    CHECK_UINT(ended.count_at_free, WORKERS + 1);
    CHECK_UINT(test_stats().dead_keys, 0);
    CHECK_UINT(test_stats().stale, 0);
    CHECK_UINT(test_stats().entries, 0); /* though no owner has looked yet */
    for (i = 0; i < WORKERS; i++) {
        CHECK_UINT(worker_stale_count(&workers[i]), 0);
        CHECK_PTR(worker_get(&workers[i], key), NULL);
        CHECK_PTR(worker_call(&workers[i], job_exported_get, key, NULL, 0).value, NULL);
        CHECK_PTR(worker_call(&workers[i], job_get_existing, key, NULL, 0).value, NULL);
        CHECK_CODE(worker_try_get(&workers[i], key), TLS_ERR_DEAD_KEY);
        CHECK_CODE(worker_set(&workers[i], key, VALUE(1)), TLS_ERR_DEAD_KEY);
        CHECK_UINT(worker_expunge(&workers[i]), 0);
    }
    stop_workers();
    CHECK_UINT(ended.count, WORKERS + 1);
}

static void *
release_on_a_new_thread(void *argument)
{
    CHECK_OK(tls_key_release(*(tls_key_t *)argument));
    check_all_ended_here(0, WORKERS, TLS_REASON_KEY_DEAD);
    CHECK_UINT(ended.freed, 1);
    return NULL;
}

/* The releasing thread has never used the library. */
static void
an_unattached_thread_may_release(void)
{
    tls_key_t key;

    test_log_clear(&ended);
    start_workers();
    key = any_key(0, NULL);
    set_on_workers(key);
    test_in_thread(release_on_a_new_thread, &key);
    stop_workers();
    CHECK_UINT(ended.count, WORKERS);
}

/* R04: nobody has ever used the key. R05, R06: of two keys one dies while the
 * threads live, the other has its values until they end. */
static void
each_key_ends_its_own_values_only(void)
{
    tls_key_t unused;
    tls_key_t keys[2];
    size_t i;

    test_log_clear(&ended);
    start_workers();
    unused = any_key(0, NULL);
    CHECK_OK(tls_key_release(unused));
    CHECK_UINT(ended.count, 0);
    CHECK_UINT(ended.freed, 1);
    keys[0] = any_key(0, NULL);
    keys[1] = any_key(TLS_KEY_ENUMERABLE, NULL);
    set_on_workers(keys[0]);
    set_on_workers(keys[1]);
    set_on_workers(keys[0]); /* the same values: nothing ends */
    CHECK_UINT(ended.count, 0);
    CHECK_OK(tls_key_release(keys[0]));
    check_all_ended_here(0, WORKERS, TLS_REASON_KEY_DEAD);
    for (i = 0; i < WORKERS; i++)
        CHECK_PTR(worker_get(&workers[i], keys[1]), VALUE(i + 1));
    stop_workers();
    CHECK_UINT(ended.count, 2 * WORKERS);
    for (i = 0; i < WORKERS; i++)
        CHECK_RECORD(&ended, WORKERS + i, VALUE(i + 1), TLS_REASON_THREAD_EXIT,
                     workers[i].number);
    CHECK_OK(tls_key_release(keys[1]));
    CHECK_UINT(ended.count, 2 * WORKERS);
    CHECK_UINT(ended.freed, 3);
}

static tls_key_t in_callback;

static void
call_back(void *value, int reason, void *user)
{
    size_t number = 99;

    test_log_destroy(value, reason, user);
    if (reason != TLS_REASON_KEY_DEAD)
        return;
    /* Every function is at hand, for this key and for another. */
    CHECK_CODE(tls_set(in_callback, VALUE(50)), TLS_ERR_DEAD_KEY);
    CHECK_PTR(tls_get(in_callback), NULL);
    CHECK_CODE(tls_key_release(in_callback), TLS_ERR_DEAD_KEY);
    CHECK_CODE(tls_key_purge(in_callback, &number), TLS_ERR_DEAD_KEY);
    CHECK_CODE(tls_key_drain(in_callback, 0, &number), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_thread_detach(), TLS_ERR_REENTRANT);
    CHECK_UINT(number, 99);
    tls_expunge_all_threads();
}

static void
callbacks_of_a_release_may_call_everything(void)
{
    tls_key_options_t options = test_options();

    test_log_clear(&ended);
    start_workers();
    options.destroy = call_back;
    options.user = &ended;
    options.user_free = test_log_free;
    options.reclaim = TLS_RECLAIM_ANY;
    in_callback = test_key_from(&options);
    set_on_workers(in_callback);
    CHECK_OK(tls_key_release(in_callback));
    check_all_ended_here(0, WORKERS, TLS_REASON_KEY_DEAD);
    CHECK_UINT(ended.freed, 1);
    stop_workers();
}

static tls_scope_t around;

/* Called for another map's value, when this thread's own is still to come. */
static void
end_own_values(void *value, int reason, void *user)
{
    test_log_destroy(value, reason, user);
    if (value == VALUE(2))
        CHECK_OK(around != 0 ? tls_scope_end(around) : tls_remove_all());
}

/* The key is dead, whatever it is that ends the thread's own value meanwhile. */
static void
a_release_says_of_every_value_that_its_key_is_dead(void)
{
    tls_key_options_t options = test_options();
    tls_map_t *map;
    int in_scope;

    options.destroy = end_own_values;
    options.user = &ended;
    options.reclaim = TLS_RECLAIM_ANY;
    for (in_scope = 0; in_scope < 2; in_scope++) {
        tls_key_t key = test_key_from(&options);

        test_log_clear(&ended);
        around = 0;
        if (in_scope)
            CHECK_OK(tls_scope_begin(&around, NULL));
        CHECK_OK(tls_set(key, VALUE(1)));
        CHECK_OK(tls_map_create(&map));
        CHECK_OK(tls_map_switch(map, NULL));
        CHECK_OK(tls_set(key, VALUE(2)));
        CHECK_OK(tls_map_switch(NULL, NULL));
        CHECK_OK(tls_key_release(key));
        CHECK_UINT(ended.count, 2);
        CHECK_PTR(ended.records[0].value, VALUE(2));
        CHECK_PTR(ended.records[1].value, VALUE(1));
        CHECK_INT(ended.records[0].reason, TLS_REASON_KEY_DEAD);
        CHECK_INT(ended.records[1].reason, TLS_REASON_KEY_DEAD);
        CHECK_OK(tls_map_destroy(map));
    }
}

static tls_key_t set_meanwhile[20];

/* Called for another map's value: what it sets makes this thread's table anew. */
static void
fill_the_table(void *value, int reason, void *user)
{
    size_t i;

    test_log_destroy(value, reason, user);
    if (value == VALUE(1))
        for (i = 0; i < 20; i++)
            CHECK_OK(tls_set(set_meanwhile[i], VALUE(1)));
}

/* A value of an explicit key, which the insert may not destroy, is swept out of the
 * table: the release finds it all the same. */
static void
a_release_ends_its_own_value_whatever_callbacks_have_set(void)
{
    tls_key_options_t options = test_options();
    tls_key_t key;
    tls_map_t *map;
    size_t i;

    test_log_clear(&ended);
    for (i = 0; i < 20; i++)
        CHECK_OK(tls_key_create(&set_meanwhile[i], NULL));
    options.destroy = fill_the_table;
    options.user = &ended;
    options.reclaim = TLS_RECLAIM_ANY;
    options.flags = TLS_KEY_EXPLICIT;
    key = test_key_from(&options);
    CHECK_OK(tls_map_create(&map));
    CHECK_OK(tls_map_switch(map, NULL));
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_map_switch(NULL, NULL));
    CHECK_OK(tls_set(key, VALUE(2)));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 2);
    CHECK_PTR(ended.records[1].value, VALUE(2));
    CHECK_INT(ended.records[1].reason, TLS_REASON_KEY_DEAD);
    CHECK_UINT(tls_stale_count(), 0);
    for (i = 0; i < 20; i++)
        CHECK_OK(tls_key_release(set_meanwhile[i]));
    CHECK_OK(tls_map_destroy(map));
}

/* A table full of values that others have taken is no smaller for its owner,
 * and not larger either, however often that happens. */
static void
reaped_values_leave_room_behind(void)
{
    size_t rounds = test_scaled(20000, 200);
    worker_t worker;
    uint64_t bytes = 0;
    size_t i;

    test_log_clear(&ended);
    worker_start(&worker);
    for (i = 0; i < rounds; i++) {
        tls_key_t key = any_key(0, NULL);

        CHECK_OK(worker_set(&worker, key, VALUE(1)));
        CHECK_OK(tls_key_release(key));
        CHECK_UINT(ended.count, i + 1);
        if (i == 100)
            bytes = test_stats().bytes;
    }
    CHECK_AT_MOST(test_stats().bytes, bytes + 4096);
    CHECK_UINT(ended.freed, rounds);
    worker_stop(&worker);
}

/* ---- Purge ------------------------------------------------------------------ */

static size_t made;

static int
init_counted(void **value, void *user)
{
    (void)user;
    *value = VALUE(test_count_up(&made));
    return 0;
}

static void
a_purge_ends_all_values_of_a_live_key(void)
{
    tls_key_t key;
    size_t number = 99;
    size_t round;
    size_t i;

    test_log_clear(&ended);
    made = 0;
    start_workers();
    key = any_key(0, init_counted);
    CHECK_OK(tls_key_purge(key, &number));
    CHECK_UINT(number, 0);
    for (round = 0; round < 3; round++) {
        made = 0; /* init runs again on every thread */
        for (i = 0; i < WORKERS; i++)
            CHECK_PTR(worker_get(&workers[i], key), VALUE(i + 1));
        CHECK_PTR(tls_get(key), VALUE(WORKERS + 1));
        CHECK_OK(tls_key_purge(key, round == 2 ? NULL : &number));
        CHECK_UINT(number, WORKERS + 1);
        check_all_ended_here(round * (WORKERS + 1), WORKERS + 1, TLS_REASON_PURGED);
        CHECK(tls_key_is_live(key));
        CHECK_PTR(tls_get_existing(key), NULL);
        for (i = 0; i < WORKERS; i++) {
            CHECK_PTR(worker_call(&workers[i], job_get_existing, key, NULL, 0).value, NULL);
            CHECK_UINT(worker_stale_count(&workers[i]), 0);
        }
        CHECK_UINT(test_stats().stale, 0);
    }
    /* What was purged ends no second time with its key or its thread. */
    CHECK_OK(tls_set(key, NULL)); /* NULL is a value, and has no end */
    CHECK_OK(tls_key_release(key));
    stop_workers();
    CHECK_UINT(ended.count, 3 * (WORKERS + 1));
    CHECK_UINT(ended.freed, 1);
}

static void
purging_is_for_live_any_keys(void)
{
    tls_key_t owner;
    tls_key_t dead;
    size_t number = 99;

    test_log_clear(&ended);
    owner = test_key_logged(&ended);
    CHECK_OK(tls_set(owner, VALUE(1)));
    CHECK_CODE(tls_key_purge(owner, &number), TLS_ERR_INVALID);
    CHECK_CODE(tls_key_purge(owner, NULL), TLS_ERR_INVALID);
    CHECK_PTR(tls_get(owner), VALUE(1));
    CHECK_OK(tls_key_release(owner));
    dead = any_key(0, NULL);
    CHECK_OK(tls_key_release(dead));
    CHECK_CODE(tls_key_purge(dead, &number), TLS_ERR_DEAD_KEY);
    CHECK_CODE(tls_key_purge(TLS_KEY_NONE, &number), TLS_ERR_BAD_KEY);
    CHECK_CODE(tls_key_purge(~(tls_key_t)0, &number), TLS_ERR_BAD_KEY);
    CHECK_UINT(number, 99);
    CHECK_UINT(ended.count, 1);
}

static size_t visits;

static int
purge_in_visit(void *value, uint64_t thread, void *argument)
{
    size_t number = 99;

    (void)value;
    (void)thread;
    visits++;
    CHECK_CODE(tls_key_purge(*(tls_key_t *)argument, &number), TLS_ERR_BUSY);
    CHECK_CODE(tls_scrape(*(tls_key_t *)argument, purge_in_visit, argument), TLS_ERR_BUSY);
    CHECK_UINT(number, 99);
    CHECK_UINT(ended.count, 0);
    return 0;
}

static void
visit_in_purge(void *value, int reason, void *user)
{
    test_log_destroy(value, reason, user);
    if (reason == TLS_REASON_PURGED)
        CHECK_CODE(tls_for_each(in_callback, purge_in_visit, &in_callback), TLS_ERR_BUSY);
}

/* Nobody is shown a value that is just being taken, or misses one that is not. */
static void
a_purged_key_is_not_visited(void)
{
    tls_key_options_t options = test_options();
    size_t number = 99;

    test_log_clear(&ended);
    visits = 0;
    start_workers();
    options.destroy = visit_in_purge;
    options.user = &ended;
    options.reclaim = TLS_RECLAIM_ANY;
    options.flags = TLS_KEY_ENUMERABLE;
    in_callback = test_key_from(&options);
    set_on_workers(in_callback);
    CHECK_OK(tls_key_purge(in_callback, &number));
    CHECK_UINT(number, WORKERS);
    CHECK_UINT(visits, 0);
    CHECK_OK(tls_key_release(in_callback));
    stop_workers();
    CHECK_UINT(ended.count, WORKERS);
}

static worker_t *releaser;

static void
job_release(void *argument)
{
    CHECK_OK(tls_key_release(*(tls_key_t *)argument));
}

static void
purge_then_release_elsewhere(void *value, int reason, void *user)
{
    test_log_destroy(value, reason, user);
    if (reason == TLS_REASON_REPLACED) {
        CHECK_OK(tls_key_purge(in_callback, NULL)); /* its reference is the last */
    } else if (reason == TLS_REASON_PURGED) {
        void *old = VALUE(99);

        worker_do(releaser, job_release, &in_callback);
        CHECK_OK(tls_swap(in_callback, VALUE(3), &old));
        CHECK_PTR(old, NULL);
    }
}

/* Two records of one map are in the key's list when it dies: that of a value
 * which was purged while the one before it was ending, and that of the value
 * which was set after. */
static void
a_purge_with_the_last_reference_ends_what_was_set_meanwhile(void)
{
    tls_key_options_t options = test_options();

    test_log_clear(&ended);
    start_workers();
    releaser = &workers[0];
    options.destroy = purge_then_release_elsewhere;
    options.user = &ended;
    options.user_free = test_log_free;
    options.reclaim = TLS_RECLAIM_ANY;
    in_callback = test_key_from(&options);
    CHECK_OK(tls_set(in_callback, VALUE(1)));
    CHECK_OK(tls_set(in_callback, VALUE(2)));
    CHECK_UINT(ended.count, 3);
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_REPLACED, test_thread());
    CHECK_RECORD(&ended, 1, VALUE(2), TLS_REASON_PURGED, test_thread());
    CHECK_RECORD(&ended, 2, VALUE(3), TLS_REASON_KEY_DEAD, test_thread());
    CHECK_UINT(ended.freed, 1);
    CHECK_UINT(test_stats().dead_keys, 0);
    CHECK_UINT(test_stats().stale, 0);
    stop_workers();
}

static void
a_visited_key_is_not_purged(void)
{
    tls_key_t key;
    size_t number = 99;

    test_log_clear(&ended);
    visits = 0;
    start_workers();
    key = any_key(TLS_KEY_ENUMERABLE, NULL);
    set_on_workers(key);
    CHECK_OK(tls_for_each(key, purge_in_visit, &key));
    CHECK_UINT(visits, WORKERS);
    CHECK_OK(tls_key_purge(key, &number));
    CHECK_UINT(number, WORKERS);
    CHECK_OK(tls_key_release(key));
    stop_workers();
    CHECK_UINT(ended.count, WORKERS);
}

/* Whatever word the library leaves where a value was taken, it is no handle: of
 * all numbers that have its place in the table in common with the key's. */
static void
no_number_names_what_a_purge_has_left(void)
{
    void *value = VALUE(99);
    tls_key_t key;
    uint64_t low;

    test_log_clear(&ended);
    key = any_key(0, NULL);
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_key_purge(key, NULL));
    for (low = 0; low < 16; low++) {
        tls_key_t number = (key & UINT64_C(0xffffffff0)) | low;

        CHECK_CODE(tls_set(number, VALUE(2)), TLS_ERR_BAD_KEY);
        CHECK_CODE(tls_swap(number, VALUE(2), &value), TLS_ERR_BAD_KEY);
        CHECK_CODE(tls_take(number, &value), TLS_ERR_BAD_KEY);
        CHECK_CODE(tls_remove(number), TLS_ERR_BAD_KEY);
        CHECK_PTR(tls_get(number), NULL);
    }
    CHECK_PTR(value, VALUE(99));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 1);
}

static void
purge_and_purge_again(void *value, int reason, void *user)
{
    size_t number = 99;

    test_log_destroy(value, reason, user);
    if (reason == TLS_REASON_PURGED) {
        CHECK_CODE(tls_key_purge(in_callback, &number), TLS_ERR_BUSY);
        CHECK_UINT(number, 99);
        CHECK_OK(tls_set(in_callback, VALUE(40))); /* stays */
    }
}

/* The callback sets a value of its own thread: a purge is not endless. */
static void
a_purge_is_not_purged(void)
{
    tls_key_options_t options = test_options();
    size_t number = 99;

    test_log_clear(&ended);
    start_workers();
    options.destroy = purge_and_purge_again;
    options.user = &ended;
    options.reclaim = TLS_RECLAIM_ANY;
    in_callback = test_key_from(&options);
    set_on_workers(in_callback);
    CHECK_OK(tls_key_purge(in_callback, &number));
    CHECK_AT_LEAST(number, WORKERS);
    CHECK_PTR(tls_get(in_callback), VALUE(40));
    CHECK_OK(tls_key_release(in_callback));
    stop_workers();
    CHECK_UINT(ended.count, number + 1);
}

/* What is taken by its own thread leaves nothing in the map: neither an entry
 * nor a place among the values by age, where the next one would be lost. */
static void
a_taken_value_is_out_of_the_map(void)
{
    tls_stats_t before = test_stats();
    tls_key_t keys[3];
    void *old;
    size_t i;

    test_log_clear(&ended);
    for (i = 0; i < 3; i++) {
        keys[i] = any_key(0, NULL);
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    }
    CHECK_OK(tls_take(keys[1], &old));
    CHECK_PTR(old, VALUE(2));
    CHECK_UINT(test_stats().entries, before.entries + 2);
    CHECK_OK(tls_set(keys[1], VALUE(9)));
    CHECK_UINT(test_stats().entries, before.entries + 3);
    CHECK_OK(tls_remove_all());
    CHECK_UINT(ended.count, 3);
    CHECK_PTR(ended.records[0].value, VALUE(9));
    CHECK_PTR(ended.records[1].value, VALUE(3));
    CHECK_PTR(ended.records[2].value, VALUE(1));
    CHECK_UINT(test_stats().entries, before.entries);
    for (i = 0; i < 3; i++)
        CHECK_OK(tls_key_release(keys[i]));
}

int
main(void)
{
    RUN(a_release_ends_all_threads_values_before_it_returns);
    RUN(an_unattached_thread_may_release);
    RUN(each_key_ends_its_own_values_only);
    RUN(callbacks_of_a_release_may_call_everything);
    RUN(a_release_says_of_every_value_that_its_key_is_dead);
    RUN(a_release_ends_its_own_value_whatever_callbacks_have_set);
    RUN(reaped_values_leave_room_behind);
    RUN(a_purge_ends_all_values_of_a_live_key);
    RUN(purging_is_for_live_any_keys);
    RUN(a_visited_key_is_not_purged);
    RUN(a_purged_key_is_not_visited);
    RUN(no_number_names_what_a_purge_has_left);
    RUN(a_purge_is_not_purged);
    RUN(a_purge_with_the_last_reference_ends_what_was_set_meanwhile);
    RUN(a_taken_value_is_out_of_the_map);
    return test_finish();
}
