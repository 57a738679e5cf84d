/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Tasks: a function in a scope of its own, with what was captured where it was
 * made. On workers, where it was made, never; and functions that do what they
 * should not.
 */
#include "copying_key.h"

#include "worker.h"

#define KEYS 3

static copying_t counts;
static test_log_t ended;
static tls_key_t keys[KEYS]; /* inherited */
static tls_key_t plain;      /* not */
static worker_t worker;
static size_t runs;

static tls_scope_t
begin(void)
{
    tls_scope_t scope = 0;

    CHECK_OK(tls_scope_begin(&scope, NULL));
    return scope;
}

static void
prepare(void)
{
    size_t i;

    memset(&counts, 0, sizeof(counts));
    test_log_clear(&ended);
    runs = 0;
    for (i = 0; i < KEYS; i++)
        keys[i] = copying_key(&counts);
    plain = test_key_logged(&ended);
    worker_start(&worker);
}

static void
finish(void)
{
    size_t i;

    for (i = 0; i < KEYS; i++)
        CHECK_OK(tls_key_release(keys[i]));
    CHECK_OK(tls_key_release(plain));
    worker_stop(&worker);
    CHECK_UINT(copying_alive(&counts), 0);
    CHECK_UINT(counts.freed, KEYS);
    CHECK_UINT(test_stats().contexts, 0);
    CHECK_UINT(test_stats().entries, 0);
    CHECK_UINT(test_stats().dead_keys, 0);
    CHECK_UINT(test_stats().unscoped, 0);
}

static tls_task_t *
make_task(void (*fn)(void *), void *arg)
{
    tls_task_t *task = NULL;

    CHECK_OK(tls_task_create(&task, fn, arg));
    return task;
}

/* ---- Run and not run --------------------------------------------------------- */

static void
look(void *argument)
{
    CHECK_UINT(copying_get(keys[0]), 1001);
    CHECK_UINT(copying_get(keys[1]), 0);
    CHECK_PTR(tls_get(plain), argument);
    copying_set(&counts, keys[0], 5);
    copying_set(&counts, keys[2], 6);
    CHECK_OK(tls_set(plain, VALUE(7)));
    test_count_up(&runs);
}

static void
job_set_own(void *argument)
{
    (void)argument;
    copying_set(&counts, keys[1], 2);
    CHECK_OK(tls_set(plain, VALUE(20)));
}

static void
job_check_own(void *argument)
{
    (void)argument;
    CHECK_UINT(copying_get(keys[0]), 0);
    CHECK_UINT(copying_get(keys[1]), 2);
    CHECK_UINT(copying_get(keys[2]), 0);
    CHECK_PTR(tls_get(plain), VALUE(20));
}

/* T47, T56 to T58: the worker is as it was, whatever the task has set. */
static void
a_task_runs_on_another_thread_and_leaves_it_as_it_was(void)
{
    tls_task_t *task;

    prepare();
    copying_set(&counts, keys[0], 1);
    worker_do(&worker, job_set_own, NULL);
    task = make_task(look, VALUE(20));
    CHECK_UINT(test_stats().contexts, 1);
    worker_do(&worker, tls_task_run, task);
    CHECK_UINT(runs, 1);
    CHECK_UINT(test_stats().contexts, 0);
    CHECK_UINT(counts.copies, 1);
    CHECK_UINT(counts.ended[TLS_REASON_SCOPE_END], 2);
    CHECK_UINT(counts.ended[TLS_REASON_REPLACED], 1);
    CHECK_RECORD(&ended, 0, VALUE(7), TLS_REASON_SCOPE_END, worker.number);
    worker_do(&worker, job_check_own, NULL);
    CHECK_UINT(copying_get(keys[0]), 1);
    finish();
}

/* T63: a full pool has the caller run it. */
static void
a_task_that_its_maker_runs_changes_nothing(void)
{
    prepare();
    copying_set(&counts, keys[0], 1);
    CHECK_OK(tls_set(plain, VALUE(20)));
    tls_task_run(make_task(look, VALUE(20)));
    CHECK_UINT(runs, 1);
    CHECK_UINT(copying_get(keys[0]), 1);
    CHECK_UINT(copying_get(keys[2]), 0);
    CHECK_PTR(tls_get(plain), VALUE(20));
    CHECK_UINT(test_stats().entries, 2);
    finish();
}

static void
job_cancel(void *argument)
{
    tls_task_cancel((tls_task_t *)argument);
}

static void
a_task_that_is_cancelled_leaves_nothing(void)
{
    uint64_t bytes;
    tls_task_t *task = NULL;

    prepare();
    copying_set(&counts, keys[0], 1);
    copying_set(&counts, keys[1], 2);
    bytes = test_stats().bytes;
    tls_task_cancel(make_task(look, NULL));
    CHECK_UINT(test_stats().bytes, bytes);
    worker_do(&worker, job_cancel, make_task(look, NULL));
    CHECK_UINT(counts.ended[TLS_REASON_REMOVED], 4);
    CHECK_UINT(copying_alive(&counts), 2);
    tls_task_cancel(NULL);
    tls_task_run(NULL);
    CHECK_CODE(tls_task_create(NULL, look, NULL), TLS_ERR_INVALID);
    CHECK_CODE(tls_task_create(&task, NULL, NULL), TLS_ERR_INVALID);
    CHECK_PTR(task, NULL);
    CHECK_UINT(counts.copies, 4);
    CHECK_UINT(runs, 0);
    finish();
}

static void
find_only_the_second(void *argument)
{
    (void)argument;
    CHECK_PTR(tls_get(keys[0]), NULL);
    CHECK_UINT(copying_get(keys[1]), 1002);
    CHECK_UINT(counts.ended[TLS_REASON_KEY_DEAD], 2); /* the maker's, and this */
    test_count_up(&runs);
}

static void
a_key_that_dies_before_the_run_is_skipped(void)
{
    tls_task_t *task;

    prepare();
    copying_set(&counts, keys[0], 1);
    copying_set(&counts, keys[1], 2);
    task = make_task(find_only_the_second, NULL);
    CHECK_OK(tls_key_release(keys[0]));
    CHECK_UINT(counts.freed, 0);
    worker_do(&worker, tls_task_run, task);
    CHECK_UINT(runs, 1);
    CHECK_UINT(counts.freed, 1);
    keys[0] = copying_key(&counts);
    counts.freed = 0;
    finish();
}

#define DIED 40

static tls_key_t died[DIED];

static void
have_stale_values(void *argument)
{
    (void)argument;
    CHECK_UINT(tls_stale_count(), DIED);
    CHECK_UINT(ended.count, 0);
}

static void
job_set_died(void *argument)
{
    size_t i;

    (void)argument;
    for (i = 0; i < DIED; i++)
        CHECK_OK(tls_set(died[i], VALUE(30 + i)));
}

/* All of them: more than other calls end on their way. */
static void
a_task_expunges_at_its_end(void)
{
    size_t i;

    prepare();
    for (i = 0; i < DIED; i++)
        died[i] = test_key_logged(&ended);
    worker_do(&worker, job_set_died, NULL);
    for (i = 0; i < DIED; i++)
        CHECK_OK(tls_key_release(died[i]));
    worker_do(&worker, tls_task_run, make_task(have_stale_values, NULL));
    CHECK_UINT(worker_stale_count(&worker), 0);
    CHECK_UINT(ended.count, DIED);
    for (i = 0; i < DIED; i++) {
        CHECK_INT(ended.records[i].reason, TLS_REASON_KEY_DEAD);
        CHECK_UINT(ended.records[i].thread, worker.number);
    }
    CHECK_UINT(ended.freed, DIED);
    finish();
}

/* ---- A worker of two pools ------------------------------------------------------ */

static void
be_a_task_of_a_pool(void *argument)
{
    CHECK_PTR(tls_get(plain), NULL);
    CHECK_UINT(copying_get(keys[0]), (size_t)argument + 1000);
    CHECK_OK(tls_set(plain, argument));
    copying_set(&counts, keys[1], 9);
    test_count_up(&runs);
}

/* N18: a thread goes from one pool to the other, and takes nothing along. */
static void
a_worker_takes_nothing_from_one_pool_to_another(void)
{
    size_t i;

    prepare();
    for (i = 1; i <= 100; i++) {
        copying_set(&counts, keys[0], i % 2 + 1);
        worker_do(&worker, tls_task_run, make_task(be_a_task_of_a_pool, VALUE(i % 2 + 1)));
    }
    CHECK_UINT(runs, 100);
    CHECK_UINT(ended.count, 100);
    CHECK_UINT(test_stats().entries, 1);
    finish();
}

/* T67: a task that is a task's function is run in the scope of the first, once. */
static void
a_task_may_be_wrapped_twice(void)
{
    prepare();
    copying_set(&counts, keys[0], 1);
    worker_do(&worker, job_set_own, NULL);
    worker_do(&worker, tls_task_run, make_task(tls_task_run, make_task(look, VALUE(20))));
    CHECK_UINT(runs, 1);
    CHECK_UINT(counts.copies, 2);
    CHECK_UINT(counts.ended[TLS_REASON_SCOPE_END], 3);
    worker_do(&worker, job_check_own, NULL);
    finish();
}

/* ---- What is registered once ---------------------------------------------------- */

static tls_key_t once_a_worker;
static tls_key_t once_a_task;
static size_t registered[2];

static void
use_what_is_registered(void *argument)
{
    (void)argument;
    if (tls_get(once_a_worker) == NULL) {
        registered[0]++;
        CHECK_OK(tls_set(once_a_worker, VALUE(1)));
    }
    if (tls_get(once_a_task) == NULL) {
        registered[1]++;
        CHECK_OK(tls_set(once_a_task, VALUE(1)));
    }
}

/* T49: who remembers in a value that something is registered is told by the
 * value's absence that a scope has undone it; or keeps it with the worker. */
static void
what_is_registered_for_a_worker_outlives_its_tasks(void)
{
    tls_key_options_t options = test_options();
    size_t i;

    prepare();
    options.flags = TLS_KEY_WORKER;
    once_a_worker = test_key_from(&options);
    once_a_task = test_key();
    memset(registered, 0, sizeof(registered));
    for (i = 0; i < 10; i++)
        worker_do(&worker, tls_task_run, make_task(use_what_is_registered, NULL));
    CHECK_UINT(registered[0], 1);
    CHECK_UINT(registered[1], 10);
    CHECK_OK(tls_key_release(once_a_worker));
    CHECK_OK(tls_key_release(once_a_task));
    finish();
}

/* ---- Functions that do what they should not --------------------------------------- */

static void
leave_scopes_open(void *argument)
{
    (void)argument;
    begin();
    CHECK_OK(tls_set(plain, VALUE(1)));
    begin();
    CHECK_OK(tls_set(plain, VALUE(2)));
    CHECK_OK(tls_remove(keys[0]));
    test_count_up(&runs);
}

static void
scopes_that_a_task_leaves_open_end_with_it(void)
{
    prepare();
    copying_set(&counts, keys[0], 1);
    worker_do(&worker, job_set_own, NULL);
    worker_do(&worker, tls_task_run, make_task(leave_scopes_open, NULL));
    CHECK_UINT(ended.count, 2);
    CHECK_RECORD(&ended, 0, VALUE(2), TLS_REASON_SCOPE_END, worker.number);
    CHECK_RECORD(&ended, 1, VALUE(1), TLS_REASON_SCOPE_END, worker.number);
    worker_do(&worker, job_check_own, NULL);
    finish();
}

static void
detach(void *argument)
{
    CHECK_OK(tls_thread_detach()); /* a task is no callback of the library's */
    CHECK_UINT(counts.ended[TLS_REASON_SCOPE_END], runs + 1);
    CHECK_UINT(copying_get(keys[0]), 0);
    if (argument != NULL) {
        CHECK_OK(tls_set(plain, VALUE(3))); /* attaches it again */
        begin();
        CHECK_OK(tls_set(plain, VALUE(4)));
    }
    test_count_up(&runs);
}

static void
job_finish_detached(void *argument)
{
    (void)argument;
    CHECK_PTR(tls_get(plain), VALUE(4));
    CHECK_OK(tls_thread_detach());
}

/* What it sets and opens after that is the thread's, and not the task's. */
static void
a_task_may_detach_its_thread(void)
{
    prepare();
    copying_set(&counts, keys[0], 1);
    worker_do(&worker, tls_task_run, make_task(detach, NULL));
    CHECK_UINT(runs, 1);
    CHECK_UINT(test_stats().maps, 1);
    worker_do(&worker, tls_task_run, make_task(detach, VALUE(1)));
    CHECK_UINT(runs, 2);
    CHECK_UINT(ended.count, 0);
    worker_do(&worker, job_finish_detached, NULL);
    CHECK_UINT(ended.count, 2);
    finish();
}

/* Scopes are numbered: the one before the next is the task's own. */
static void
end_ones_own_scope(void *argument)
{
    tls_scope_t next = begin();

    (void)argument;
    CHECK_OK(tls_scope_end(next));
    CHECK_UINT(copying_get(keys[0]), 1001);
    CHECK_OK(tls_scope_end(next - 1));
    CHECK_UINT(copying_get(keys[0]), 0);
    CHECK_OK(tls_set(plain, VALUE(8)));
    test_count_up(&runs);
}

static void
job_remove_plain(void *argument)
{
    (void)argument;
    CHECK_PTR(tls_get(plain), VALUE(8));
    CHECK_OK(tls_remove(plain));
}

static void
a_task_that_ends_its_own_scope_ends_nobody_elses(void)
{
    prepare();
    copying_set(&counts, keys[0], 1);
    worker_do(&worker, tls_task_run, make_task(end_ones_own_scope, NULL));
    CHECK_UINT(runs, 1);
    worker_do(&worker, job_remove_plain, NULL);
    finish();
}

static void
make_and_run_the_next(void *argument)
{
    size_t depth = (size_t)argument;

    CHECK_UINT(copying_get(keys[0]), 1 + 1000 * depth);
    CHECK_PTR(tls_get(plain), depth > 1 ? VALUE(depth - 1) : NULL);
    CHECK_OK(tls_set(plain, VALUE(depth)));
    test_count_up(&runs);
    if (depth < 50)
        tls_task_run(make_task(make_and_run_the_next, VALUE(depth + 1)));
    CHECK_PTR(tls_get(plain), VALUE(depth));
    CHECK_UINT(copying_get(keys[0]), 1 + 1000 * depth);
}

/* T50: a task runs a task, fifty deep; each has one copy more. */
static void
a_task_may_make_and_run_another(void)
{
    prepare();
    copying_set(&counts, keys[0], 1);
    worker_do(&worker, tls_task_run, make_task(make_and_run_the_next, VALUE(1)));
    CHECK_UINT(runs, 50);
    CHECK_UINT(counts.copies, 50);
    CHECK_UINT(ended.count, 50);
    CHECK_UINT(test_stats().entries, 1);
    finish();
}

static void
end_the_thread(void *argument)
{
    CHECK_UINT(copying_get(keys[0]), 1001);
    CHECK_OK(tls_set(plain, VALUE(1)));
    begin();
    CHECK_OK(tls_set(plain, VALUE(2)));
    test_count_up(&runs);
    if (argument != NULL) {
        CHECK_INT(pthread_cancel(pthread_self()), 0);
        pthread_testcancel();
    }
    pthread_exit(NULL);
}

static void *
run_and_return(void *argument)
{
    CHECK_OK(tls_set(plain, VALUE(3)));
    tls_task_run(argument);
    CHECK(!"a task that ends its thread returns");
    return NULL;
}

static void
check_thread_ended(void *how)
{
    uint64_t bytes;
    size_t i;

    prepare();
    copying_set(&counts, keys[0], 1);
    bytes = test_stats().bytes;
    test_in_thread(run_and_return, make_task(end_the_thread, how));
    CHECK_UINT(runs, 1);
    CHECK_UINT(ended.count, 3);
    for (i = 0; i < 3; i++)
        CHECK_RECORD(&ended, i, VALUE(i == 0 ? 2 : i == 1 ? 1 : 3),
                     i < 2 ? TLS_REASON_SCOPE_END : TLS_REASON_THREAD_EXIT,
                     ended.records[0].thread);
    CHECK_UINT(counts.ended[TLS_REASON_SCOPE_END], 1);
    CHECK_UINT(test_stats().bytes, bytes);
    finish();
}

static void
a_task_may_end_its_thread(void)
{
    check_thread_ended(NULL);
    check_thread_ended(VALUE(1));
}

int
main(void)
{
    RUN(a_task_runs_on_another_thread_and_leaves_it_as_it_was);
    RUN(a_task_that_its_maker_runs_changes_nothing);
    RUN(a_task_that_is_cancelled_leaves_nothing);
    RUN(a_key_that_dies_before_the_run_is_skipped);
    RUN(a_task_expunges_at_its_end);
    RUN(a_worker_takes_nothing_from_one_pool_to_another);
    RUN(a_task_may_be_wrapped_twice);
    RUN(what_is_registered_for_a_worker_outlives_its_tasks);
    RUN(scopes_that_a_task_leaves_open_end_with_it);
    RUN(a_task_may_detach_its_thread);
    RUN(a_task_that_ends_its_own_scope_ends_nobody_elses);
    RUN(a_task_may_make_and_run_another);
    RUN(a_task_may_end_its_thread);
    return test_finish();
}
