/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Keys that die, or are purged, while a scope hides values of them; and tables
 * that grow and shrink meanwhile.
 */
#include "worker.h"

#define MANY 600

static test_log_t ended;
static tls_key_t key;
static tls_scope_t scope;
static worker_t worker;

static void
make_key(uint32_t reclaim)
{
    tls_key_options_t options = test_options();

    test_log_clear(&ended);
    options.destroy = test_log_destroy;
    options.user = &ended;
    options.user_free = test_log_free;
    options.reclaim = reclaim;
    key = test_key_from(&options);
}

/* ---- On the thread itself ---------------------------------------------------- */

/* Values 1, 2, 3 at three depths; the last is visible. */
static void
set_three_deep(tls_scope_t scopes[2])
{
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_scope_begin(&scopes[0], NULL));
    CHECK_OK(tls_set(key, VALUE(2)));
    CHECK_OK(tls_scope_begin(&scopes[1], NULL));
    CHECK_OK(tls_set(key, VALUE(3)));
}

static void
check_all_three_ended(unsigned thread)
{
    size_t seen = 0;
    size_t i;

    CHECK_UINT(ended.count, 3);
    for (i = 0; i < 3; i++) {
        CHECK_INT(ended.records[i].reason, TLS_REASON_KEY_DEAD);
        CHECK_UINT(ended.records[i].thread, thread);
        seen |= (size_t)1 << (size_t)ended.records[i].value;
    }
    CHECK_UINT(seen, 14);
    CHECK_UINT(ended.freed, 1);
    CHECK_UINT(ended.count_at_free, 3);
}

static void
check_release_here(uint32_t reclaim)
{
    tls_scope_t scopes[2];
    void *value = VALUE(77);

    make_key(reclaim);
    set_three_deep(scopes);
    CHECK_OK(tls_key_release(key));
    check_all_three_ended(test_thread());
    CHECK_UINT(tls_stale_count(), 0);
    CHECK_OK(tls_scope_end(scopes[1]));
    CHECK_CODE(tls_try_get(key, &value), TLS_ERR_DEAD_KEY);
    CHECK_PTR(tls_get(key), NULL);
    CHECK_OK(tls_scope_end(scopes[0]));
    CHECK_UINT(ended.count, 3);
    CHECK_UINT(test_stats().entries, 0);
}

static void
a_release_on_the_thread_ends_hidden_values_before_it_returns(void)
{
    check_release_here(TLS_RECLAIM_OWNER);
    check_release_here(TLS_RECLAIM_ANY);
}

/* Hidden behind nothing: the only value of the key is the hidden one. */
static void
check_release_of_removed(uint32_t reclaim)
{
    make_key(reclaim);
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_scope_begin(&scope, NULL));
    CHECK_OK(tls_remove(key));
    CHECK_UINT(ended.count, 0);
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_KEY_DEAD, test_thread());
    CHECK_UINT(ended.freed, 1);
    CHECK_OK(tls_scope_end(scope));
    CHECK_UINT(test_stats().entries, 0);
}

static void
a_release_ends_the_value_that_a_remove_has_hidden(void)
{
    check_release_of_removed(TLS_RECLAIM_OWNER);
    check_release_of_removed(TLS_RECLAIM_ANY);
}

static void
end_the_scope(void *value, int reason, void *user)
{
    test_log_destroy(value, reason, user);
    if (value == VALUE(2))
        CHECK_OK(tls_scope_end(scope));
}

/* The hidden value is back in the table in the middle of the release. */
static void
a_release_ends_a_value_that_its_own_callback_brings_back(void)
{
    tls_key_options_t options = test_options();

    test_log_clear(&ended);
    options.destroy = end_the_scope;
    options.user = &ended;
    options.user_free = test_log_free;
    key = test_key_from(&options);
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_scope_begin(&scope, NULL));
    CHECK_OK(tls_set(key, VALUE(2)));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 2);
    CHECK_RECORD(&ended, 1, VALUE(1), TLS_REASON_KEY_DEAD, test_thread());
    CHECK_UINT(ended.freed, 1);
    CHECK_CODE(tls_scope_end(scope), TLS_ERR_INVALID);
    CHECK_UINT(test_stats().entries, 0);
}

/* ---- Elsewhere ------------------------------------------------------------------ */

static tls_scope_t scopes_of_worker[2];

static void
job_set_three_deep(void *argument)
{
    (void)argument;
    set_three_deep(scopes_of_worker);
}

static void
job_end_inner(void *argument)
{
    (void)argument;
    CHECK_OK(tls_scope_end(scopes_of_worker[1]));
}

static void
job_end_outer(void *argument)
{
    (void)argument;
    CHECK_OK(tls_scope_end(scopes_of_worker[0]));
}

static void
hidden_values_are_stale_and_expunged_inside_the_scope(void)
{
    make_key(TLS_RECLAIM_OWNER);
    worker_start(&worker);
    worker_do(&worker, job_set_three_deep, NULL);
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 0);
    CHECK_UINT(worker_stale_count(&worker), 3);
    CHECK_UINT(test_stats().stale, 3);
    CHECK_UINT(worker_expunge_some(&worker, 2), 2);
    CHECK_UINT(worker_stale_count(&worker), 1);
    CHECK_UINT(worker_expunge(&worker), 1);
    check_all_three_ended(worker.number);
    worker_do(&worker, job_end_inner, NULL);
    worker_do(&worker, job_end_outer, NULL);
    CHECK_UINT(ended.count, 3);
    CHECK_UINT(test_stats().entries, 0);
    worker_stop(&worker);
}

/* Nobody expunges: the ends of the scopes bring nothing to light. */
static void
a_dead_value_does_not_come_back(void)
{
    make_key(TLS_RECLAIM_OWNER);
    worker_start(&worker);
    worker_do(&worker, job_set_three_deep, NULL);
    CHECK_OK(tls_key_release(key));
    worker_do(&worker, job_end_inner, NULL);
    CHECK_CODE(worker_try_get(&worker, key), TLS_ERR_DEAD_KEY);
    worker_do(&worker, job_end_outer, NULL);
    CHECK_CODE(worker_try_get(&worker, key), TLS_ERR_DEAD_KEY);
    CHECK_CODE(worker_set(&worker, key, VALUE(9)), TLS_ERR_DEAD_KEY);
    worker_expunge(&worker);
    CHECK_UINT(worker_stale_count(&worker), 0);
    check_all_three_ended(worker.number);
    CHECK_PTR(worker_get(&worker, key), NULL);
    worker_stop(&worker);
}

static void
an_any_key_that_dies_elsewhere_ends_hidden_values_at_once(void)
{
    make_key(TLS_RECLAIM_ANY);
    worker_start(&worker);
    worker_do(&worker, job_set_three_deep, NULL);
    CHECK_OK(tls_key_release(key));
    check_all_three_ended(test_thread());
    CHECK_UINT(worker_stale_count(&worker), 0);
    CHECK_PTR(worker_get(&worker, key), NULL);
    worker_do(&worker, job_end_inner, NULL);
    CHECK_PTR(worker_get(&worker, key), NULL);
    worker_do(&worker, job_end_outer, NULL);
    CHECK_CODE(worker_try_get(&worker, key), TLS_ERR_DEAD_KEY);
    CHECK_UINT(ended.count, 3);
    worker_expunge(&worker);
    CHECK_UINT(test_stats().entries, 0);
    worker_stop(&worker);
}

static void
a_purge_elsewhere_ends_hidden_values_and_they_do_not_come_back(void)
{
    size_t destroyed = 99;
    int i;

    make_key(TLS_RECLAIM_ANY);
    worker_start(&worker);
    worker_do(&worker, job_set_three_deep, NULL);
    CHECK_OK(tls_key_purge(key, &destroyed));
    CHECK_UINT(destroyed, 3);
    CHECK_UINT(ended.count, 3);
    for (i = 0; i < 3; i++)
        CHECK_INT(ended.records[i].reason, TLS_REASON_PURGED);
    CHECK_CODE(worker_try_get(&worker, key), TLS_ERR_ABSENT);
    CHECK_OK(worker_set(&worker, key, VALUE(4)));
    worker_do(&worker, job_end_inner, NULL);
    CHECK_UINT(ended.count, 4);
    CHECK_RECORD(&ended, 3, VALUE(4), TLS_REASON_SCOPE_END, worker.number);
    CHECK_CODE(worker_try_get(&worker, key), TLS_ERR_ABSENT);
    worker_do(&worker, job_end_outer, NULL);
    CHECK_CODE(worker_try_get(&worker, key), TLS_ERR_ABSENT);
    CHECK_OK(worker_set(&worker, key, VALUE(5)));
    CHECK_PTR(worker_get(&worker, key), VALUE(5));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 5);
    CHECK_UINT(ended.freed, 1);
    worker_stop(&worker);
    CHECK_UINT(test_stats().entries, 0);
}

/* ---- Many ------------------------------------------------------------------------- */

static tls_key_t many[MANY];
static test_log_t ended_inside;

static void
make_many(uint32_t reclaim)
{
    tls_key_options_t options = test_options();
    size_t i;

    test_log_clear(&ended);
    options.destroy = test_log_destroy;
    options.user = &ended;
    options.reclaim = reclaim;
    for (i = 0; i < MANY; i++)
        many[i] = test_key_from(&options);
}

/* Values are 1, 2, ... outside, 10001, ... inside. Every third is hidden
 * behind nothing. */
static void
job_hide_many(void *argument)
{
    size_t i;

    (void)argument;
    for (i = 0; i < MANY; i++)
        CHECK_OK(tls_set(many[i], VALUE(i + 1)));
    CHECK_OK(tls_scope_begin(&scope, NULL));
    for (i = 0; i < MANY; i++)
        CHECK_OK(i % 3 == 0 ? tls_remove(many[i]) : tls_set(many[i], VALUE(i + 10001)));
}

static void
job_end_many(void *argument)
{
    size_t left = (size_t)(uintptr_t)argument;
    size_t i;

    CHECK_OK(tls_scope_end(scope));
    for (i = 0; i < MANY; i++) {
        void *value = NULL;
        int code = tls_try_get(many[i], &value);

        CHECK_CODE(code, i % left == 0 ? TLS_OK : TLS_ERR_DEAD_KEY);
        CHECK_PTR(value, i % left == 0 ? VALUE(i + 1) : NULL);
    }
}

static void
job_shrink(void *argument)
{
    (void)argument;
    CHECK_OK(tls_remove_all());
    CHECK_UINT(test_stats().entries, MANY); /* all hidden */
}

static void
job_grow(void *argument)
{
    static tls_key_t inner[MANY];
    tls_scope_t within;
    size_t i;

    (void)argument;
    test_log_clear(&ended_inside);
    CHECK_OK(tls_scope_begin(&within, NULL));
    for (i = 0; i < MANY; i++) {
        inner[i] = test_key_logged(&ended_inside);
        CHECK_OK(tls_set(inner[i], VALUE(i + 1)));
    }
    CHECK_OK(tls_scope_end(within));
    CHECK_UINT(ended_inside.count, MANY);
    for (i = 0; i < MANY; i++)
        CHECK_OK(tls_key_release(inner[i]));
}

/* `left`: one key in so many outlives the scope. */
static void
check_many(uint32_t reclaim, size_t left, void (*job)(void *))
{
    size_t inside = MANY - (MANY + 2) / 3;
    size_t i;

    make_many(reclaim);
    worker_start(&worker);
    worker_do(&worker, job_hide_many, NULL);
    for (i = 0; i < MANY; i++) {
        if (i % left != 0)
            CHECK_OK(tls_key_release(many[i]));
        if (i == MANY / 2)
            worker_do(&worker, job, NULL);
    }
    worker_do(&worker, job_end_many, VALUE(left));
    worker_expunge(&worker);
    CHECK_UINT(worker_stale_count(&worker), 0);
    CHECK_UINT(test_stats().entries, (MANY + left - 1) / left);
    CHECK_UINT(ended.count, MANY + inside - (MANY + left - 1) / left);
    for (i = 0; i < MANY; i += left)
        CHECK_OK(tls_key_release(many[i]));
    worker_stop(&worker);
    CHECK_UINT(ended.count, MANY + inside);
    CHECK_UINT(test_stats().dead_keys, 0);
}

static void
job_nothing(void *argument)
{
    (void)argument;
}

/* Hundreds are hidden while the table shrinks to nearly nothing, or grows. */
static void
hidden_values_come_back_into_a_table_of_any_size(void)
{
    check_many(TLS_RECLAIM_OWNER, 1, job_nothing);
    check_many(TLS_RECLAIM_OWNER, 1, job_shrink);
    check_many(TLS_RECLAIM_OWNER, 1, job_grow);
}

static void
hundreds_of_keys_may_die_while_their_values_are_hidden(void)
{
    check_many(TLS_RECLAIM_OWNER, 5, job_nothing);
    check_many(TLS_RECLAIM_OWNER, 5, job_grow);
    check_many(TLS_RECLAIM_ANY, 5, job_nothing);
    check_many(TLS_RECLAIM_ANY, 5, job_grow);
}

int
main(void)
{
    RUN(a_release_on_the_thread_ends_hidden_values_before_it_returns);
    RUN(a_release_ends_the_value_that_a_remove_has_hidden);
    RUN(a_release_ends_a_value_that_its_own_callback_brings_back);
    RUN(hidden_values_are_stale_and_expunged_inside_the_scope);
    RUN(a_dead_value_does_not_come_back);
    RUN(an_any_key_that_dies_elsewhere_ends_hidden_values_at_once);
    RUN(a_purge_elsewhere_ends_hidden_values_and_they_do_not_come_back);
    RUN(hidden_values_come_back_into_a_table_of_any_size);
    RUN(hundreds_of_keys_may_die_while_their_values_are_hidden);
    return test_finish();
}
