/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Forks at the moments when the library is in the middle of something: inside
 * each kind of callback, and while other threads are inside one. The call goes
 * on in both processes.
 */
#include "everything.h"
#include "forking.h"
#include "worker.h"

#define WORKERS 3

static test_log_t ended;
static worker_t workers[WORKERS];
static tls_key_t key;
static int forks; /* how often the callback is to fork */
static pid_t child;

static void
fork_once(void)
{
    if (forks > 0) {
        forks--;
        child = fork_checked();
    }
}

static void
destroy_and_fork(void *value, int reason, void *user)
{
    test_log_destroy(value, reason, user);
    fork_once();
}

static int
init_and_fork(void **value, void *user)
{
    (void)user;
    fork_once();
    *value = VALUE(7);
    return 0;
}

static void
free_and_fork(void *user)
{
    test_log_free(user);
    fork_once();
}

static void
notify_and_fork(void *argument)
{
    if (test_count_up((size_t *)argument) == 1)
        child = fork_checked();
}

/* A key with values 1, 2, 3 on the workers and 4 on the calling thread. */
static void
prepare(uint32_t reclaim, uint32_t flags)
{
    tls_key_options_t options = test_options();

    test_log_clear(&ended);
    forks = 0;
    child = -1;
    options.destroy = destroy_and_fork;
    options.user = &ended;
    options.user_free = test_log_free;
    options.reclaim = reclaim;
    options.flags = flags;
    key = test_key_from(&options);
    workers_start_with_values(workers, WORKERS, key);
    CHECK_OK(tls_set(key, VALUE(4)));
    forks = 1;
}

static void
stop_workers(void)
{
    workers_stop(workers, WORKERS);
}

static size_t
times_ended(void *value)
{
    size_t times = 0;
    size_t i;

    for (i = 0; i < ended.count; i++)
        times += ended.records[i].value == value;
    return times;
}

static void
finish_child(void)
{
    use_everything();
    test_finish();
    _exit(0);
}

static void *
use_everything_here(void *argument)
{
    use_everything();
    return argument;
}

/* The same for a thread that can store nothing more. */
static void
finish_child_at_its_end(void)
{
    test_in_thread(use_everything_here, NULL);
    test_finish();
    _exit(0);
}

/* In the child, after the call in which it was made: all that is here has
 * ended, once, and no more than one of the other threads' values has (the one
 * that was in the callback's hands). */
static void
finish_child_of_release(void)
{
    CHECK_CODE(tls_set(key, VALUE(9)), TLS_ERR_DEAD_KEY);
    CHECK_UINT(times_ended(VALUE(4)), 1);
    CHECK_AT_MOST(ended.count, 2);
    CHECK_UINT(ended.freed, 1);
    CHECK_UINT(test_stats().dead_keys, 0);
    finish_child();
}

static void
check_parent(size_t values)
{
    size_t i;

    stop_workers();
    CHECK_UINT(ended.count, values);
    CHECK_UINT(ended.freed, 1);
    for (i = 1; i <= 4; i++)
        CHECK_UINT(times_ended(VALUE(i)), 1);
}

static void
finish_parent(size_t values)
{
    wait_for_child(child);
    check_parent(values);
}

/* ---- Destroy -------------------------------------------------------------- */

static void
a_destroy_callback_of_a_release_may_fork(void)
{
    prepare(TLS_RECLAIM_OWNER, 0);
    CHECK_OK(tls_key_release(key));
    if (child == 0)
        finish_child_of_release();
    finish_parent(4);

    /* Forked with the first of four values in hand. */
    prepare(TLS_RECLAIM_ANY, 0);
    CHECK_OK(tls_key_release(key));
    if (child == 0)
        finish_child_of_release();
    finish_parent(4);
}

static void
a_destroy_callback_of_a_purge_may_fork(void)
{
    size_t purged = 99;

    prepare(TLS_RECLAIM_ANY, 0);
    CHECK_OK(tls_key_purge(key, &purged));
    if (child == 0) {
        CHECK_UINT(times_ended(VALUE(4)), 1);
        CHECK_AT_MOST(ended.count, 2);
        CHECK_UINT(purged, ended.count);
        CHECK_OK(tls_set(key, VALUE(5)));
        CHECK_OK(tls_key_purge(key, &purged));
        CHECK_UINT(purged, 1);
        CHECK_OK(tls_key_release(key));
        CHECK_UINT(ended.freed, 1);
        finish_child();
    }
    CHECK_UINT(purged, 4);
    CHECK_OK(tls_key_release(key));
    finish_parent(4);
}

static void
a_destroy_callback_of_a_replaced_or_removed_value_may_fork(void)
{
    prepare(TLS_RECLAIM_OWNER, TLS_KEY_ENUMERABLE);
    CHECK_OK(tls_set(key, VALUE(5)));
    if (child == 0) {
        CHECK_UINT(ended.count, 1);
        CHECK_PTR(tls_get(key), VALUE(5));
        CHECK_OK(tls_key_release(key));
        CHECK_UINT(ended.count, 2);
        CHECK_UINT(ended.freed, 1);
        finish_child();
    }
    wait_for_child(child);
    CHECK_PTR(tls_get(key), VALUE(5));
    forks = 1;
    CHECK_OK(tls_remove(key));
    if (child == 0) {
        CHECK_UINT(ended.count, 2);
        CHECK_PTR(tls_get(key), NULL);
        CHECK_OK(tls_key_release(key));
        CHECK_UINT(ended.count, 2);
        CHECK_UINT(ended.freed, 1);
        finish_child();
    }
    CHECK_OK(tls_key_release(key));
    finish_parent(5);
}

/* The child's thread is past the library then: the process ends with it. */
static void *
set_and_end(void *argument)
{
    CHECK_OK(tls_set(key, argument));
    forks = 1;
    return NULL;
}

static void
look_at_the_childs_end(void)
{
    if (child != 0)
        return;
    CHECK_UINT(ended.count, 1);
    CHECK_PTR(ended.records[0].value, VALUE(5));
    CHECK_UINT(test_stats().entries, 0);
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.freed, 1);
    finish_child_at_its_end();
}

static void
a_destroy_callback_of_an_ending_thread_may_fork(void)
{
    CHECK_INT(atexit(look_at_the_childs_end), 0);
    prepare(TLS_RECLAIM_OWNER, 0);
    forks = 0;
    test_in_thread(set_and_end, VALUE(5));
    CHECK_INT(ended.records[0].reason, TLS_REASON_THREAD_EXIT);
    CHECK_OK(tls_key_release(key));
    finish_parent(5);
}

/* ---- Init, user_free, notify ------------------------------------------------ */

static void
init_may_fork(void)
{
    tls_key_options_t options = test_options();

    test_log_clear(&ended);
    forks = 1;
    options.init = init_and_fork;
    options.destroy = test_log_destroy;
    options.user = &ended;
    options.user_free = test_log_free;
    key = test_key_from(&options);
    CHECK_PTR(tls_get(key), VALUE(7));
    CHECK_PTR(tls_get_existing(key), VALUE(7));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 1);
    CHECK_UINT(ended.freed, 1);
    if (child == 0)
        finish_child();
    wait_for_child(child);
}

static void
user_free_may_fork(void)
{
    tls_key_options_t options = test_options();

    test_log_clear(&ended);
    forks = 1;
    options.destroy = test_log_destroy;
    options.user = &ended;
    options.user_free = free_and_fork;
    key = test_key_from(&options);
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 1);
    CHECK_UINT(ended.freed, 1);
    CHECK_UINT(test_stats().dead_keys, 0);
    if (child == 0)
        finish_child();
    wait_for_child(child);
}

static size_t notified;

static void
ask_for_notice(void *argument)
{
    CHECK_OK(tls_thread_on_stale(notify_and_fork, argument));
}

/* With two of the three workers not told yet. */
static void
a_notice_may_fork(void)
{
    size_t i;

    prepare(TLS_RECLAIM_OWNER, 0);
    forks = 0;
    notified = 0;
    for (i = 0; i < WORKERS; i++)
        worker_do(&workers[i], ask_for_notice, &notified);
    CHECK_OK(tls_key_release(key));
    if (child == 0) {
        CHECK_UINT(notified, 1);
        CHECK_UINT(ended.count, 1);
        finish_child_of_release();
    }
    CHECK_UINT(notified, WORKERS);
    finish_parent(4);
}

/* ---- Visitors ---------------------------------------------------------------- */

static size_t seen;

static int
visit_and_fork(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)argument;
    CHECK(thread != 0);
    test_count_up(&seen);
    fork_once();
    return 0;
}

/* The rest of the visit finds the child's own value only; no visit is left
 * over, so the key can be purged, taken and released. */
static void
finish_child_of_visitor(size_t expected)
{
    CHECK_AT_MOST(seen, 2);
    seen = 0;
    CHECK_OK(tls_for_each(key, visit_and_fork, NULL));
    CHECK_UINT(seen, expected);
    CHECK_OK(tls_key_purge(key, NULL));
    CHECK_UINT(ended.count, expected);
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.freed, 1);
    finish_child();
}

static void
a_visitor_may_fork(void)
{
    prepare(TLS_RECLAIM_ANY, TLS_KEY_ENUMERABLE);
    seen = 0;
    CHECK_OK(tls_for_each(key, visit_and_fork, NULL));
    if (child == 0)
        finish_child_of_visitor(1);
    CHECK_UINT(seen, 4);
    CHECK_OK(tls_key_release(key));
    finish_parent(4);
}

static void
who_takes_values_may_fork(void)
{
    prepare(TLS_RECLAIM_ANY, TLS_KEY_ENUMERABLE);
    seen = 0;
    CHECK_OK(tls_scrape(key, visit_and_fork, NULL));
    if (child == 0)
        finish_child_of_visitor(0);
    CHECK_UINT(seen, 4);
    wait_for_child(child);
    CHECK_OK(tls_key_release(key));
    stop_workers();
    CHECK_UINT(ended.count, 0);
    CHECK_UINT(ended.freed, 1);
}

static size_t met[6]; /* how often each value was met, by the visit further out */
static void *fork_at;

static int
visit_inside(void *value, uint64_t thread, void *argument)
{
    (void)thread;
    (void)argument;
    CHECK(child != 0); /* met after the fork */
    if (value == fork_at) {
        if (value == VALUE(4))
            CHECK_OK(tls_set(key, VALUE(5)));
        fork_once();
    }
    return 0;
}

static int
visit_outside(void *value, uint64_t thread, void *argument)
{
    size_t number;

    (void)thread;
    CHECK(child != 0);
    /* Not 5, which takes the place of a value that is being visited. */
    for (number = 1; value != VALUE(number); number++)
        CHECK(number < 4);
    met[number]++;
    if (number == 4)
        CHECK_OK(tls_for_each(key, visit_inside, argument));
    return 0;
}

/* The visits that the fork has cut end, and nothing is met twice, whichever value
 * they were at: the forking thread's own, which it has just replaced, or that of a
 * thread which is not there. What its visitors kept is not kept in the child. */
static void
a_visit_ends_in_the_child_with_the_visitor_that_forks(void)
{
    size_t at;
    size_t i;

    for (at = 1; at <= 4; at++) {
        prepare(TLS_RECLAIM_ANY, TLS_KEY_ENUMERABLE);
        memset(met, 0, sizeof(met));
        fork_at = VALUE(at);
        CHECK_OK(tls_for_each(key, visit_outside, NULL));
        CHECK_INT(forks, 0);
        for (i = 1; i <= 4; i++)
            CHECK_UINT(met[i], child != 0 || i == 4);
        if (child == 0) {
            CHECK_UINT(times_ended(VALUE(4)), at == 4);
            test_log_clear(&ended);
            seen = 0;
            finish_child_of_visitor(1);
        }
        CHECK_OK(tls_key_release(key));
        stop_workers();
        CHECK_UINT(ended.count, at == 4 ? 5 : 4);
        wait_for_child(child);
    }
}

/* What it has taken already it does not take again, and it takes the rest. */
static int
take_and_fork(void *value, uint64_t thread, void *argument)
{
    (void)thread;
    (void)argument;
    if (child == 0)
        CHECK_PTR(value, VALUE(4));
    met[(size_t)(uintptr_t)value]++;
    if (value == fork_at)
        fork_once();
    return 0;
}

static void
who_takes_values_goes_on_in_the_child_with_those_that_are_there(void)
{
    size_t at;

    for (at = 1; at <= 4; at++) {
        prepare(TLS_RECLAIM_ANY, TLS_KEY_ENUMERABLE);
        memset(met, 0, sizeof(met));
        seen = 0;
        fork_at = VALUE(at);
        CHECK_OK(tls_scrape(key, take_and_fork, NULL));
        CHECK_INT(forks, 0);
        CHECK_UINT(met[4], 1);
        CHECK_PTR(tls_get(key), NULL);
        if (child == 0)
            finish_child_of_visitor(0);
        CHECK_OK(tls_key_release(key));
        stop_workers();
        CHECK_UINT(ended.count, 0);
        wait_for_child(child);
    }
}

/* ---- Others inside a callback ------------------------------------------------- */

static pthread_barrier_t inside;

/* Stays in the visit of the main thread's value until it has forked. */
static int
visit_and_wait(void *value, uint64_t thread, void *argument)
{
    (void)thread;
    (void)argument;
    if (value == VALUE(4)) {
        pthread_barrier_wait(&inside);
        pthread_barrier_wait(&inside);
    }
    return 0;
}

static void *
visit_all(void *argument)
{
    CHECK_OK(tls_for_each(key, visit_and_wait, argument));
    return NULL;
}

static void
nobody_visits_in_the_child(void)
{
    void *old = NULL;

    seen = 0;
    CHECK_OK(tls_for_each(key, visit_and_fork, NULL));
    CHECK_UINT(seen, 1);
    CHECK_OK(tls_swap(key, VALUE(5), &old));
    CHECK_PTR(old, VALUE(4));
    CHECK_OK(tls_set(key, VALUE(6)));
    CHECK_UINT(ended.count, 1);
    CHECK_OK(tls_take(key, &old));
    CHECK_PTR(old, VALUE(6));
    CHECK_OK(tls_set(key, VALUE(7)));
    CHECK_OK(tls_scrape(key, visit_and_fork, NULL));
    CHECK_UINT(seen, 2);
    CHECK_OK(tls_set(key, VALUE(8)));
    /* The reference that the visit had is not here either. */
    CHECK_OK(tls_key_release(key));
    CHECK(!tls_key_is_live(key));
    CHECK_UINT(ended.count, 2);
    CHECK_UINT(ended.freed, 1);
    finish_child();
}

static void
check_visited_elsewhere(uint32_t reclaim)
{
    pthread_t visitor;

    prepare(reclaim, TLS_KEY_ENUMERABLE);
    forks = 0;
    CHECK_INT(pthread_barrier_init(&inside, NULL, 2), 0);
    visitor = test_start(visit_all, NULL);
    pthread_barrier_wait(&inside);
    child = fork_checked();
    if (child == 0)
        nobody_visits_in_the_child();
    wait_for_child(child);
    pthread_barrier_wait(&inside);
    test_join(visitor);
    pthread_barrier_destroy(&inside);
    CHECK_OK(tls_key_release(key));
    check_parent(4);
}

/* F19: another thread visits all values, the forking thread's at the moment. */
static void
a_value_that_another_thread_visits_is_visited_by_nobody_in_the_child(void)
{
    check_visited_elsewhere(TLS_RECLAIM_OWNER);
    check_visited_elsewhere(TLS_RECLAIM_ANY);
}

int
main(void)
{
    if (forks_are_left_out())
        return 0;
    RUN(a_destroy_callback_of_a_release_may_fork);
    RUN(a_destroy_callback_of_a_purge_may_fork);
    RUN(a_destroy_callback_of_a_replaced_or_removed_value_may_fork);
    RUN(init_may_fork);
    RUN(user_free_may_fork);
    RUN(a_notice_may_fork);
    RUN(a_visitor_may_fork);
    RUN(who_takes_values_may_fork);
    RUN(a_visit_ends_in_the_child_with_the_visitor_that_forks);
    RUN(who_takes_values_goes_on_in_the_child_with_those_that_are_there);
    RUN(a_destroy_callback_of_an_ending_thread_may_fork);
    RUN(a_value_that_another_thread_visits_is_visited_by_nobody_in_the_child);
    return test_finish();
}
