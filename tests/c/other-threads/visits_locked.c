/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tls_for_each_locked(): all threads' values as they are at one instant. Owners that
 * would change one wait; the visitor is refused what would need a lock.
 */
#include "forking.h"
#include "seen.h"
#include "worker.h"

#include <sched.h>

#define WORKERS 4

static test_log_t ended;
static worker_t workers[WORKERS];
static tls_key_t key;

static tls_key_t
visited_key(void)
{
    tls_key_options_t options = test_options_logged(&ended);

    test_log_clear(&ended);
    options.user_free = test_log_free;
    options.flags = TLS_KEY_ENUMERABLE;
    return test_key_from(&options);
}

static void
finish(size_t destroyed)
{
    CHECK_OK(tls_key_release(key));
    CHECK_OK(tls_key_drain(key, -1, NULL));
    CHECK_UINT(ended.count, destroyed);
    CHECK_UINT(ended.freed, 1);
}

static size_t
values_seen(void)
{
    size_t seen = 0;

    CHECK_OK(tls_for_each_locked(key, seen_add, &seen));
    return seen;
}

/* ---- What is visited ---------------------------------------------------------------- */

static void
each_value_is_visited_once(void)
{
    key = visited_key();
    CHECK_UINT(values_seen(), 0);
    workers_start_with_values(workers, WORKERS, key);
    CHECK_OK(tls_set(key, VALUE(5)));
    CHECK_UINT(values_seen(), 0x111110);
    CHECK_OK(worker_remove(&workers[1], key));
    CHECK_OK(worker_set(&workers[2], key, VALUE(6)));
    CHECK_UINT(values_seen(), 0x1110010);
    workers_stop(workers, WORKERS);
    CHECK_UINT(values_seen(), 0x100000);
    finish(6);
}

static tls_scope_t scope;

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
values_that_scopes_hide_are_visited(void)
{
    key = visited_key();
    worker_start(&workers[0]);
    worker_do(&workers[0], job_set_two, NULL);
    CHECK_UINT(values_seen(), 0x110);
    worker_do(&workers[0], job_end_scope, NULL);
    CHECK_UINT(values_seen(), 0x10);
    worker_stop(&workers[0]);
    finish(2);
}

static int
look_inside(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    (void)argument;
    CHECK_OK(worker_set(&workers[0], key, VALUE(2)));
    /* The old value waits for the end of this visit: it is no thread's any more. */
    CHECK_UINT(values_seen(), 0x100);
    return 0;
}

static void
a_visit_may_have_a_locked_one_inside(void)
{
    key = visited_key();
    workers_start_with_values(workers, 1, key);
    CHECK_OK(tls_for_each(key, look_inside, NULL));
    worker_stop(&workers[0]);
    finish(2);
}

static int
stop_at(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    return ++*(int *)argument == 2 ? 7 : 0;
}

static void
a_visitor_may_stop(void)
{
    int calls = 0;

    key = visited_key();
    workers_start_with_values(workers, WORKERS, key);
    CHECK_INT(tls_for_each_locked(key, stop_at, &calls), 7);
    CHECK_INT(calls, 2);
    workers_stop(workers, WORKERS);
    finish(WORKERS);
}

static void
bad_input_is_refused(void)
{
    tls_key_t plain = test_key();
    size_t seen = 0;

    CHECK_CODE(tls_for_each_locked(plain, seen_add, &seen), TLS_ERR_INVALID);
    CHECK_OK(tls_key_release(plain));
    key = visited_key();
    CHECK_CODE(tls_for_each_locked(key, NULL, NULL), TLS_ERR_INVALID);
    CHECK_CODE(tls_for_each_locked(TLS_KEY_NONE, seen_add, &seen), TLS_ERR_BAD_KEY);
    finish(0);
    CHECK_CODE(tls_for_each_locked(key, seen_add, &seen), TLS_ERR_DEAD_KEY);
    CHECK_UINT(seen, 0);
}

/* ---- What the visitor may call ------------------------------------------------------ */

static void
nothing(void *argument)
{
    (void)argument;
}

static void
take_nothing(tls_key_t of, void *value, void *argument)
{
    (void)of;
    (void)value;
    (void)argument;
}

static void
look_nothing(tls_key_t of, void *value, void *argument)
{
    take_nothing(of, value, argument);
}

static int
write_nothing(const char *bytes, size_t length, void *argument)
{
    (void)bytes;
    (void)length;
    (void)argument;
    return 0;
}

static int
hold_nothing(uint64_t map, uint64_t thread, size_t values, void *argument)
{
    (void)map;
    (void)thread;
    (void)values;
    (void)argument;
    return 0;
}

static int
call_everything(void *value, uint64_t thread, void *argument)
{
    tls_key_options_t options = test_options();
    tls_hook_options_t hook;
    tls_stats_t stats;
    tls_key_t made = TLS_KEY_NONE;
    tls_map_t *map = NULL;
    tls_context_t *context = NULL;
    tls_task_t *task = NULL;
    tls_scope_t opened;
    void *old = NULL;
    size_t number = 0;
    char name[8];

    (void)value;
    (void)thread;
    ++*(size_t *)argument;
    memset(&hook, 0, sizeof(hook));
    hook.size = sizeof(hook);
    hook.fn = nothing;
    stats.size = sizeof(stats);
    CHECK_PTR(tls_get(key), VALUE(9));
    CHECK_PTR(tls_get_existing(key), VALUE(9));
    CHECK_OK(tls_try_get(key, &old));
    CHECK_PTR(old, VALUE(9));
    CHECK_UINT(tls_stale_count(), 0);
    CHECK(tls_key_is_live(key));
    CHECK_OK(tls_key_retain(key));
    CHECK_CODE(tls_key_release(key), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_set(key, VALUE(8)), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_swap(key, VALUE(8), &old), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_swap_wait(key, VALUE(8), &old, 0), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_take(key, &old), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_take_wait(key, &old, 0), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_take_all(take_nothing, NULL), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_remove(key), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_remove_all(), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_key_create(&made, &options), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_key_name(key, name, sizeof(name)), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_key_purge(key, &number), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_key_drain(key, 0, &number), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_for_each(key, seen_add, &number), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_for_each_locked(key, seen_add, &number), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_scrape(key, seen_add, &number), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_for_each_local(look_nothing, NULL), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_thread_attach(), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_thread_detach(), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_at_thread_exit(nothing, NULL), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_thread_on_stale(nothing, NULL), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_thread_hook(&hook), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_map_create(&map), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_map_switch(NULL, &map), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_scope_begin(&opened, NULL), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_scope_end(0), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_context_capture(&context), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_task_create(&task, nothing, NULL), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_stats(&stats), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_dump(write_nothing, NULL), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_for_each_holder(key, hold_nothing, NULL), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_dump_fd(-1), TLS_ERR_INVALID);
    CHECK_UINT(tls_expunge(), 0);
    CHECK_UINT(tls_expunge_some(1), 0);
    CHECK_UINT(tls_expunge_all_threads(), 0);
    CHECK_PTR(tls_map_current(), NULL);
    return 0;
}

static void
calls_of_the_visitor_are_refused(void)
{
    size_t calls = 0;

    key = visited_key();
    CHECK_OK(tls_set(key, VALUE(9)));
    CHECK_OK(tls_for_each_locked(key, call_everything, &calls));
    CHECK_UINT(calls, 1);
    CHECK_PTR(tls_get(key), VALUE(9));
    CHECK_OK(tls_key_release(key));
    finish(1);
}

/* ---- Who waits ---------------------------------------------------------------------- */

/* Three threads are at a call of their own while the visitor runs; none gets through. */
static size_t through;
static size_t waiting;

static void *
replace(void *argument)
{
    CHECK_OK(tls_set(key, argument));
    test_count_up(&waiting);
    while (test_count(&waiting) < 100)
        sched_yield();
    CHECK_OK(tls_set(key, VALUE((uintptr_t)argument + 1)));
    test_count_up(&through);
    return NULL;
}

static void *
end_with_a_value(void *argument)
{
    CHECK_OK(tls_set(key, argument));
    test_count_up(&waiting);
    while (test_count(&waiting) < 100)
        sched_yield();
    return NULL;
}

/* It has no value yet, so no visitor has met its thread. */
static void *
set_the_first(void *argument)
{
    CHECK_OK(tls_thread_attach());
    test_count_up(&waiting);
    while (test_count(&waiting) < 100)
        sched_yield();
    CHECK_OK(tls_set(key, argument));
    test_count_up(&through);
    return NULL;
}

static int
wait_a_while(void *value, uint64_t thread, void *argument)
{
    size_t *seen = (size_t *)argument;
    size_t i;

    (void)thread;
    *seen += (size_t)value;
    if (test_count(&waiting) < 100) {
        __atomic_store_n(&waiting, 100, __ATOMIC_SEQ_CST);
        for (i = 0; i < 2000; i++)
            sched_yield();
    }
    CHECK_UINT(test_count(&through), 0);
    return 0;
}

static void
owners_wait_for_the_visit(void)
{
    pthread_t threads[3];
    size_t seen = 0;
    size_t i;

    key = visited_key();
    through = waiting = 0;
    threads[0] = test_start(replace, VALUE(16));
    threads[1] = test_start(end_with_a_value, VALUE(64));
    threads[2] = test_start(set_the_first, VALUE(256));
    while (test_count(&waiting) < 3)
        sched_yield();
    CHECK_OK(tls_for_each_locked(key, wait_a_while, &seen));
    /* Both values as they were; neither the new one, nor a thread that was gone. */
    CHECK_UINT(seen, 16 + 64);
    for (i = 0; i < 3; i++)
        test_join(threads[i]);
    CHECK_UINT(through, 2);
    finish(4);
}

/* ---- One instant -------------------------------------------------------------------- */

#define PLAYERS 3
#define HAS VALUE(2)
#define HAS_NOT VALUE(1)

static size_t holder;
static size_t cleared;
static bool over;

/* The token is with the next player before it is not with this one. */
static void *
pass_the_token(void *argument)
{
    size_t me = (size_t)argument;
    bool mine = me == 0;

    CHECK_OK(tls_set(key, mine ? HAS : HAS_NOT));
    test_count_up(&waiting);
    while (!__atomic_load_n(&over, __ATOMIC_SEQ_CST)) {
        size_t now = test_count(&holder);

        if (!mine && now % PLAYERS == me) {
            CHECK_OK(tls_set(key, HAS));
            mine = true;
            test_count_up(&through);
        } else if (mine && now % PLAYERS == me && test_count(&through) == now &&
                   test_count(&cleared) == now) {
            test_count_up(&holder);
            while (test_count(&through) != now + 1 &&
                   !__atomic_load_n(&over, __ATOMIC_SEQ_CST))
                sched_yield();
            if (test_count(&through) == now + 1) {
                CHECK_OK(tls_set(key, HAS_NOT));
                mine = false;
                test_count_up(&cleared);
            }
        } else {
            sched_yield();
        }
    }
    return NULL;
}

static int
count_tokens(void *value, uint64_t thread, void *argument)
{
    size_t *counts = (size_t *)argument;

    (void)thread;
    counts[value == HAS]++;
    return 0;
}

static void
all_values_are_of_one_instant(void)
{
    pthread_t players[PLAYERS];
    size_t rounds = test_scaled(20000, 200);
    size_t i;

    key = visited_key();
    through = waiting = holder = cleared = 0;
    over = false;
    for (i = 0; i < PLAYERS; i++)
        players[i] = test_start(pass_the_token, (void *)i);
    while (test_count(&waiting) < PLAYERS)
        sched_yield();
    for (i = 0; i < rounds; i++) {
        size_t counts[2] = { 0, 0 };

        CHECK_OK(tls_for_each_locked(key, count_tokens, counts));
        CHECK_UINT(counts[0] + counts[1], PLAYERS);
        CHECK_AT_LEAST(counts[1], 1);
        CHECK_AT_MOST(counts[1], 2);
    }
    __atomic_store_n(&over, true, __ATOMIC_SEQ_CST);
    for (i = 0; i < PLAYERS; i++)
        test_join(players[i]);
    CHECK_OK(tls_key_release(key));
    CHECK_OK(tls_key_drain(key, -1, NULL));
}

/* ---- Ends in the middle ------------------------------------------------------------- */

static int
end_thread(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    (void)argument;
    pthread_exit(NULL);
}

static int
be_cancelled(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    (void)argument;
    CHECK_INT(pthread_cancel(pthread_self()), 0);
    pthread_testcancel();
    return 0;
}

static void *
visit_with(void *argument)
{
    tls_visit_fn visit = *(tls_visit_fn *)argument;

    CHECK_OK(tls_set(key, VALUE(3)));
    tls_for_each_locked(key, visit, NULL);
    CHECK(!"the visitor has ended the thread");
    return NULL;
}

static void
a_visitor_that_ends_its_thread_leaves_nothing_locked(void)
{
    tls_visit_fn visitors[] = { end_thread, be_cancelled };
    size_t i;

    for (i = 0; i < 2; i++) {
        key = visited_key();
        workers_start_with_values(workers, 2, key);
        test_in_thread(visit_with, &visitors[i]);
        CHECK_UINT(values_seen(), 0x110);
        CHECK_OK(worker_set(&workers[0], key, VALUE(4)));
        CHECK_OK(tls_set(key, VALUE(5)));
        CHECK_UINT(values_seen(), 0x110100);
        workers_stop(workers, 2);
        finish(5);
    }
}

static int
fork_here(void *value, uint64_t thread, void *argument)
{
    pid_t *child = (pid_t *)argument;

    (void)value;
    (void)thread;
    if (*child == 0)
        return 3;
    *child = fork_checked();
    return 0;
}

static void
the_child_of_a_visitor_that_forks_has_no_lock(void)
{
    pid_t child = -1;

    if (forks_are_left_out())
        return;
    key = visited_key();
    workers_start_with_values(workers, 2, key);
    CHECK_OK(tls_set(key, VALUE(3)));
    CHECK_OK(tls_for_each_locked(key, fork_here, &child));
    if (child == 0) {
        CHECK_UINT(values_seen(), 0x1000);
        CHECK_OK(tls_set(key, VALUE(4)));
        CHECK_UINT(values_seen(), 0x10000);
        finish(2);
        _exit(test_finish());
    }
    wait_for_child(child);
    CHECK_UINT(values_seen(), 0x1110);
    workers_stop(workers, 2);
    finish(3);
}

static int
have_another_thread_fork(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    test_count_up((size_t *)argument);
    while (test_count(&through) == 0)
        sched_yield();
    return 0;
}

static void *
visit_until_through(void *argument)
{
    CHECK_OK(tls_for_each_locked(key, have_another_thread_fork, argument));
    return NULL;
}

/* Its own value is set before: a first set would wait for nobody, but a second would. */
static void *
fork_when_visited(void *argument)
{
    size_t *visiting = (size_t *)argument;
    pid_t child;

    CHECK_OK(tls_set(key, VALUE(6)));
    test_count_up(&waiting);
    while (test_count(visiting) == 0)
        sched_yield();
    child = fork_checked();
    if (child == 0) {
        CHECK_OK(tls_set(key, VALUE(7)));
        CHECK_UINT(values_seen(), 0x10000000);
        _exit(0);
    }
    wait_for_child(child);
    test_count_up(&through);
    return NULL;
}

static void
a_thread_may_fork_while_another_visits(void)
{
    pthread_t forker, visitor;
    size_t visiting = 0;

    if (forks_are_left_out())
        return;
    key = visited_key();
    through = waiting = 0;
    forker = test_start(fork_when_visited, &visiting);
    while (test_count(&waiting) == 0)
        sched_yield();
    visitor = test_start(visit_until_through, &visiting);
    test_join(forker);
    test_join(visitor);
    finish(1);
}

/* ---- A capture meanwhile -------------------------------------------------------------- */

static tls_key_t other;
static bool copying, copied, visiting, visited;

static void
wait_for(const bool *what)
{
    while (!__atomic_load_n(what, __ATOMIC_SEQ_CST))
        sched_yield();
}

static void
say(bool *what)
{
    __atomic_store_n(what, true, __ATOMIC_SEQ_CST);
}

static int
copy_slowly(void *value, void **copy, void *user)
{
    (void)user;
    say(&copying);
    wait_for(&copied);
    *copy = value;
    return 0;
}

/* Its value of the key is purged while it is copied, and another visits the other key. */
static void *
capture_in_a_scope(void *argument)
{
    tls_context_t *context = NULL;
    tls_scope_t inner;

    (void)argument;
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_set(other, VALUE(2)));
    CHECK_OK(tls_scope_begin(&inner, NULL));
    CHECK_OK(tls_set(key, VALUE(3)));
    CHECK_OK(tls_context_capture(&context));
    tls_context_free(context);
    CHECK_OK(tls_scope_end(inner));
    return NULL;
}

static int
visit_slowly(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    (void)argument;
    say(&visiting);
    wait_for(&visited);
    return 0;
}

static void *
visit_the_other(void *argument)
{
    (void)argument;
    CHECK_OK(tls_for_each_locked(other, visit_slowly, NULL));
    return NULL;
}

static void *
visit_the_key(void *argument)
{
    (void)argument;
    values_seen();
    return NULL;
}

static void
a_capture_that_waits_for_one_visit_does_not_stop_another(void)
{
    tls_key_options_t options = test_options_logged(&ended);
    pthread_t capturer, visitor, visitors[4];
    size_t i;

    test_log_clear(&ended);
    options.flags = TLS_KEY_ENUMERABLE;
    options.user_free = NULL;
    other = test_key_from(&options);
    options.flags |= TLS_KEY_INHERIT;
    options.copy = copy_slowly;
    options.user_free = test_log_free;
    key = test_key_from(&options);
    copying = copied = visiting = visited = false;
    capturer = test_start(capture_in_a_scope, NULL);
    wait_for(&copying);
    CHECK_OK(tls_key_purge(key, NULL));
    visitor = test_start(visit_the_other, NULL);
    wait_for(&visiting);
    for (i = 0; i < 4; i++)
        visitors[i] = test_start(visit_the_key, NULL);
    say(&copied);
    for (i = 0; i < 2000; i++)
        sched_yield();
    say(&visited);
    for (i = 0; i < 4; i++)
        test_join(visitors[i]);
    test_join(visitor);
    test_join(capturer);
    CHECK_OK(tls_key_release(other));
    finish(4);
}

/* ---- All at once -------------------------------------------------------------------- */

static void *
churn(void *argument)
{
    size_t rounds = test_scaled(3000, 100);
    size_t i;

    for (i = 0; i < rounds; i++) {
        tls_scope_t inner;

        CHECK_OK(tls_set(key, argument));
        CHECK_OK(tls_set(other, argument));
        CHECK_OK(tls_scope_begin(&inner, NULL));
        CHECK_OK(tls_set(key, VALUE(3)));
        CHECK_OK(tls_scope_end(inner));
        if (i % 2 == 0)
            CHECK_OK(tls_remove(key));
        if (i % 50 == 0)
            CHECK_OK(tls_thread_detach());
    }
    return NULL;
}

static void *
visit_often(void *argument)
{
    tls_key_t visited = *(tls_key_t *)argument;

    while (!__atomic_load_n(&over, __ATOMIC_SEQ_CST)) {
        size_t seen = 0;

        CHECK_OK(tls_for_each_locked(visited, seen_add, &seen));
        CHECK_OK(tls_for_each(visited, seen_add, &seen));
        CHECK_OK(tls_key_purge(visited, NULL));
    }
    return NULL;
}

static void
visits_of_two_keys_and_their_owners_do_not_wait_for_each_other(void)
{
    pthread_t churners[3], visitors[2];
    size_t i;

    key = visited_key();
    other = visited_key();
    over = false;
    visitors[0] = test_start(visit_often, &key);
    visitors[1] = test_start(visit_often, &other);
    for (i = 0; i < 3; i++)
        churners[i] = test_start(churn, VALUE(1 + i % 2));
    for (i = 0; i < 3; i++)
        test_join(churners[i]);
    __atomic_store_n(&over, true, __ATOMIC_SEQ_CST);
    for (i = 0; i < 2; i++)
        test_join(visitors[i]);
    CHECK_OK(tls_key_release(other));
    CHECK_OK(tls_key_release(key));
    CHECK_OK(tls_key_drain(key, -1, NULL));
}

int
main(void)
{
    RUN(each_value_is_visited_once);
    RUN(values_that_scopes_hide_are_visited);
    RUN(a_visit_may_have_a_locked_one_inside);
    RUN(a_visitor_may_stop);
    RUN(bad_input_is_refused);
    RUN(calls_of_the_visitor_are_refused);
    RUN(owners_wait_for_the_visit);
    RUN(all_values_are_of_one_instant);
    RUN(a_visitor_that_ends_its_thread_leaves_nothing_locked);
    RUN(the_child_of_a_visitor_that_forks_has_no_lock);
    RUN(a_thread_may_fork_while_another_visits);
    RUN(a_capture_that_waits_for_one_visit_does_not_stop_another);
    RUN(visits_of_two_keys_and_their_owners_do_not_wait_for_each_other);
    return test_finish();
}
