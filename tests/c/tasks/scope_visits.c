/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Other threads look at values that a scope hides, or take them: enumerable
 * keys. What is visited at the moment is hidden, comes back and is deferred as
 * if nobody looked.
 */
#include "seen.h"
#include "worker.h"

static test_log_t ended;
static tls_key_t key;
static worker_t worker;
static tls_scope_t scope;

/* A worker with value 1 outside, and 2 inside of a scope. */
static void
job_set_two(void *argument)
{
    (void)argument;
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_scope_begin(&scope, NULL));
    CHECK_OK(tls_set(key, VALUE(2)));
}

static void
job_begin(void *argument)
{
    (void)argument;
    CHECK_OK(tls_scope_begin(&scope, NULL));
}

static void
job_end(void *argument)
{
    (void)argument;
    CHECK_OK(tls_scope_end(scope));
}

static void
make_key(uint32_t reclaim)
{
    tls_key_options_t options = test_options_logged(&ended);

    test_log_clear(&ended);
    options.reclaim = reclaim;
    options.flags = TLS_KEY_ENUMERABLE;
    key = test_key_from(&options);
    worker_start(&worker);
}

static void
finish(size_t values)
{
    CHECK_OK(tls_key_release(key));
    worker_stop(&worker);
    CHECK_UINT(ended.count, values);
    CHECK_UINT(ended.freed, 1);
    CHECK_UINT(test_stats().entries, 0);
    CHECK_UINT(test_stats().stale, 0);
}

/* One hexadecimal digit for each value that was seen: how often. */
static size_t
values_seen(void)
{
    size_t seen = 0;

    CHECK_OK(tls_for_each(key, seen_add, &seen));
    return seen;
}

/* ---- Seen and taken ---------------------------------------------------------- */

static void
check_seen(uint32_t reclaim)
{
    make_key(reclaim);
    worker_do(&worker, job_set_two, NULL);
    CHECK_UINT(values_seen(), 0x110);
    worker_do(&worker, job_end, NULL);
    CHECK_UINT(values_seen(), 0x010);
    worker_do(&worker, job_begin, NULL);
    CHECK_OK(worker_remove(&worker, key));
    CHECK_UINT(values_seen(), 0x010);
    worker_do(&worker, job_end, NULL);
    CHECK_PTR(worker_get(&worker, key), VALUE(1));
    finish(2);
}

static void
hidden_values_are_visited(void)
{
    check_seen(TLS_RECLAIM_OWNER);
    check_seen(TLS_RECLAIM_ANY);
}

static void
check_scraped(uint32_t reclaim)
{
    size_t taken = 0;

    make_key(reclaim);
    worker_do(&worker, job_set_two, NULL);
    CHECK_OK(tls_scrape(key, seen_add, &taken));
    CHECK_UINT(taken, 0x110);
    CHECK_CODE(worker_try_get(&worker, key), TLS_ERR_ABSENT);
    CHECK_OK(worker_set(&worker, key, VALUE(3)));
    worker_do(&worker, job_end, NULL);
    CHECK_CODE(worker_try_get(&worker, key), TLS_ERR_ABSENT);
    CHECK_UINT(values_seen(), 0);
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(3), TLS_REASON_SCOPE_END, worker.number);
    finish(1);
}

static void
hidden_values_are_taken_and_do_not_come_back(void)
{
    check_scraped(TLS_RECLAIM_OWNER);
    check_scraped(TLS_RECLAIM_ANY);
}

/* ---- While they are visited --------------------------------------------------- */

typedef struct act {
    void *at;               /* acts while this value is visited */
    void (*job)(void *);    /* on the worker */
    size_t ended_meanwhile; /* callbacks that had been called after it */
} act_t;

static int
act_once(void *value, uint64_t thread, void *argument)
{
    act_t *act = (act_t *)argument;

    (void)thread;
    if (value != act->at || act->job == NULL)
        return 0;
    worker_do(&worker, act->job, NULL);
    act->job = NULL;
    act->ended_meanwhile = ended.count;
    return 0;
}

static size_t
visit(void *at, void (*job)(void *))
{
    act_t act;

    act.at = at;
    act.job = job;
    act.ended_meanwhile = 99;
    CHECK_OK(tls_for_each(key, act_once, &act));
    CHECK(act.job == NULL);
    return act.ended_meanwhile;
}

static void
job_hide(void *argument)
{
    void *old = VALUE(77);

    (void)argument;
    CHECK_OK(tls_scope_begin(&scope, NULL));
    CHECK_OK(tls_swap(key, VALUE(2), &old));
    CHECK_PTR(old, NULL);
}

/* A value that is visited may not be handed over, but it may be hidden. */
static void
check_hidden_while_visited(uint32_t reclaim)
{
    make_key(reclaim);
    CHECK_OK(worker_set(&worker, key, VALUE(1)));
    CHECK_UINT(visit(VALUE(1), job_hide), 0);
    CHECK_PTR(worker_get(&worker, key), VALUE(2));
    CHECK_UINT(values_seen(), 0x110);
    worker_do(&worker, job_end, NULL);
    CHECK_PTR(worker_get(&worker, key), VALUE(1));
    CHECK_UINT(ended.count, 1);
    finish(2);
}

static void
a_visited_value_is_hidden(void)
{
    check_hidden_while_visited(TLS_RECLAIM_OWNER);
    check_hidden_while_visited(TLS_RECLAIM_ANY);
}

static void
check_back_while_visited(uint32_t reclaim)
{
    make_key(reclaim);
    worker_do(&worker, job_set_two, NULL);
    CHECK_UINT(visit(VALUE(1), job_end), 1);
    CHECK_RECORD(&ended, 0, VALUE(2), TLS_REASON_SCOPE_END, worker.number);
    CHECK_PTR(worker_get(&worker, key), VALUE(1));
    CHECK_UINT(worker_stale_count(&worker), 0);
    CHECK_OK(worker_remove(&worker, key));
    CHECK_RECORD(&ended, 1, VALUE(1), TLS_REASON_REMOVED, worker.number);
    finish(2);
}

static void
a_visited_value_comes_back(void)
{
    check_back_while_visited(TLS_RECLAIM_OWNER);
    check_back_while_visited(TLS_RECLAIM_ANY);
}

/* The scope ends at once; the end of the value comes after the visit: on the
 * worker, when it expunges, or with ANY on the visitor. */
static void
check_deferred(uint32_t reclaim)
{
    bool any = reclaim == TLS_RECLAIM_ANY;

    make_key(reclaim);
    worker_do(&worker, job_set_two, NULL);
    CHECK_UINT(visit(VALUE(2), job_end), 0);
    CHECK_PTR(worker_get(&worker, key), VALUE(1));
    CHECK_UINT(ended.count, any ? 1 : 0);
    CHECK_UINT(worker_stale_count(&worker), any ? 0 : 1);
    CHECK_UINT(worker_expunge(&worker), any ? 0 : 1);
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(2), TLS_REASON_SCOPE_END,
                 any ? test_thread() : worker.number);
    finish(2);
}

static void
the_end_of_a_visited_value_is_deferred(void)
{
    check_deferred(TLS_RECLAIM_OWNER);
    check_deferred(TLS_RECLAIM_ANY);
}

static void
job_replace(void *argument)
{
    (void)argument;
    CHECK_OK(tls_set(key, VALUE(3)));
}

/* Inside, the value that replaces a visited one belongs to the same scope. */
static void
check_replaced_while_visited(uint32_t reclaim)
{
    make_key(reclaim);
    worker_do(&worker, job_set_two, NULL);
    CHECK_UINT(visit(VALUE(2), job_replace), 0);
    CHECK_PTR(worker_get(&worker, key), VALUE(3));
    worker_expunge(&worker);
    CHECK_UINT(ended.count, 1);
    CHECK_PTR(ended.records[0].value, VALUE(2));
    CHECK_INT(ended.records[0].reason, TLS_REASON_REPLACED);
    worker_do(&worker, job_end, NULL);
    CHECK_RECORD(&ended, 1, VALUE(3), TLS_REASON_SCOPE_END, worker.number);
    CHECK_PTR(worker_get(&worker, key), VALUE(1));
    finish(3);
}

static void
a_visited_value_is_replaced_inside_its_scope(void)
{
    check_replaced_while_visited(TLS_RECLAIM_OWNER);
    check_replaced_while_visited(TLS_RECLAIM_ANY);
}

static void
job_detach(void *argument)
{
    (void)argument;
    CHECK_OK(tls_thread_detach());
}

/* Hidden, visited, and its thread goes: the visitor ends it. */
static void
a_visited_hidden_value_outlives_its_thread(void)
{
    make_key(TLS_RECLAIM_OWNER);
    worker_do(&worker, job_set_two, NULL);
    CHECK_UINT(visit(VALUE(1), job_detach), 1);
    CHECK_UINT(ended.count, 2);
    CHECK_RECORD(&ended, 0, VALUE(2), TLS_REASON_SCOPE_END, worker.number);
    CHECK_RECORD(&ended, 1, VALUE(1), TLS_REASON_DETACHED, test_thread());
    finish(2);
}

/* ---- All at once ---------------------------------------------------------------- */

static bool done;
static size_t set_by_tasks;
static size_t taken_by_others;

static void *
run_scopes(void *argument)
{
    size_t rounds = test_scaled(20000, 300);
    size_t i;

    (void)argument;
    CHECK_OK(tls_set(key, VALUE(1)));
    for (i = 0; i < rounds; i++) {
        tls_scope_t outer;
        tls_scope_t inner;

        CHECK_OK(tls_scope_begin(&outer, NULL));
        CHECK_OK(tls_set(key, VALUE(2)));
        CHECK_OK(tls_scope_begin(&inner, NULL));
        CHECK_OK(tls_remove(key));
        CHECK_OK(tls_set(key, VALUE(3)));
        CHECK_OK(tls_scope_end(inner));
        CHECK_OK(tls_scope_end(outer));
        tls_expunge();
        if (tls_get(key) == NULL) {
            CHECK_OK(tls_set(key, VALUE(1)));
            test_count_up(&set_by_tasks);
        }
    }
    __atomic_add_fetch(&set_by_tasks, 2 * rounds + 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static int
count_taken(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    test_count_up((size_t *)argument);
    return 0;
}

static int
look(void *value, uint64_t thread, void *argument)
{
    (void)thread;
    (void)argument;
    CHECK(value >= VALUE(1) && value <= VALUE(3));
    return 0;
}

static void *
visit_and_take(void *argument)
{
    size_t round = 0;
    int code;

    (void)argument;
    while (!__atomic_load_n(&done, __ATOMIC_SEQ_CST)) {
        code = tls_for_each(key, look, NULL);
        CHECK(code == TLS_OK || code == TLS_ERR_BUSY);
        if (++round % 8 == 0) {
            code = tls_scrape(key, count_taken, &taken_by_others);
            CHECK(code == TLS_OK || code == TLS_ERR_BUSY);
        }
    }
    return NULL;
}

/* Each value that was set has ended, or was taken. */
static void
check_all_at_once(uint32_t reclaim)
{
    pthread_t tasks[2];
    pthread_t visitor;
    size_t i;

    make_key(reclaim);
    done = false;
    set_by_tasks = 0;
    taken_by_others = 0;
    visitor = test_start(visit_and_take, NULL);
    for (i = 0; i < 2; i++)
        tasks[i] = test_start(run_scopes, NULL);
    for (i = 0; i < 2; i++)
        test_join(tasks[i]);
    __atomic_store_n(&done, true, __ATOMIC_SEQ_CST);
    test_join(visitor);
    CHECK_UINT(ended.count + taken_by_others, set_by_tasks);
    finish(ended.count);
}

static void
values_are_visited_and_taken_while_scopes_begin_and_end(void)
{
    check_all_at_once(TLS_RECLAIM_OWNER);
    check_all_at_once(TLS_RECLAIM_ANY);
}

/* ---- Deferred, and stale before its scope ends -------------------------------------- */

static void
job_miss_often(void *argument)
{
    tls_key_t keys[64];
    size_t i;

    (void)argument;
    for (i = 0; i < 64; i++) {
        keys[i] = test_key();
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
        CHECK_OK(tls_remove(keys[i]));
    }
    test_release_keys(keys, 64);
}

static int
remove_the_inner(void *value, uint64_t thread, void *argument)
{
    (void)thread;
    (void)argument;
    if (value == VALUE(2))
        CHECK_OK(worker_remove(&worker, key));
    return 0;
}

static void
an_outer_value_comes_back_after_a_deferred_one_was_stale(void)
{
    tls_key_options_t options = test_options_logged(&ended);

    test_log_clear(&ended);
    options.flags = TLS_KEY_ENUMERABLE | TLS_KEY_EXPLICIT;
    key = test_key_from(&options);
    worker_start(&worker);
    worker_do(&worker, job_set_two, NULL);
    CHECK_OK(tls_for_each(key, remove_the_inner, NULL));
    CHECK_UINT(ended.count, 0);
    /* Its table is looked through, and built anew. */
    worker_do(&worker, job_miss_often, NULL);
    worker_do(&worker, job_end, NULL);
    CHECK_PTR(worker_get(&worker, key), VALUE(1));
    CHECK_UINT(ended.count, 1);
    CHECK_OK(tls_key_release(key));
    worker_stop(&worker);
    CHECK_UINT(ended.count, 2);
}

int
main(void)
{
    RUN(hidden_values_are_visited);
    RUN(hidden_values_are_taken_and_do_not_come_back);
    RUN(a_visited_value_is_hidden);
    RUN(a_visited_value_comes_back);
    RUN(the_end_of_a_visited_value_is_deferred);
    RUN(a_visited_value_is_replaced_inside_its_scope);
    RUN(a_visited_hidden_value_outlives_its_thread);
    RUN(values_are_visited_and_taken_while_scopes_begin_and_end);
    RUN(an_outer_value_comes_back_after_a_deferred_one_was_stale);
    return test_finish();
}
