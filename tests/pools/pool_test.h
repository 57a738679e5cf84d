/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the tests of thread pools share: objects that come and go while tasks of a pool use them,
 * and what must hold afterwards.
 *
 * A pool says how it takes a task (struct pool_under_test) and pool_test() does the rest:
 *
 *   1  Each worker gets a value of its own, outside of any scope: the outer value.
 *   2  Tasks run, many more than workers, each with objects that it shares with a few other tasks.
 *      Under each object's key the worker keeps a value: every other one for the task, every other
 *      one for longer than it (TLS_KEY_WORKER). The last task of an object releases its key. Each
 *      task finds what its submitter had set, hides the outer value, and leaves a value behind.
 *   3  Objects die while all workers sleep: how the pool cleans them is shown.
 *   4  Each worker finds its outer value again, and nothing that a task has left.
 *   5  The pool ends. Every value was destroyed by the thread that made it; the library is empty.
 */
#ifndef POOL_TEST_H
#define POOL_TEST_H

#include "../c/support/test.h"

#include <sched.h>

#include <threadlocalmap_sweep.h>

#define OBJECTS_OF_A_TASK 8
#define TASKS_OF_AN_OBJECT 16 /* a batch: so many tasks share OBJECTS_OF_A_TASK objects */
#define POOL_WORKERS 4

/* A value; the thread that made it is the only one that may destroy it. */
typedef struct pool_value {
    unsigned thread;
    size_t object;
} pool_value_t;

static size_t pool_values_made, pool_values_destroyed, pool_copies_made, pool_copies_destroyed;
static size_t pool_scope_ends, pool_key_deaths;

static inline pool_value_t *
pool_value_new(size_t object)
{
    pool_value_t *value = (pool_value_t *)malloc(sizeof(*value));

    CHECK(value != NULL);
    value->thread = test_thread();
    value->object = object;
    test_count_up(&pool_values_made);
    return value;
}

static inline void
pool_value_destroy(void *argument, int reason, void *user)
{
    pool_value_t *value = (pool_value_t *)argument;

    (void)user;
    CHECK_UINT(test_thread(), value->thread);
    if (reason == TLS_REASON_SCOPE_END)
        test_count_up(&pool_scope_ends);
    if (reason == TLS_REASON_KEY_DEAD)
        test_count_up(&pool_key_deaths);
    memset(value, 0xdd, sizeof(*value));
    free(value);
    test_count_up(&pool_values_destroyed);
}

static inline size_t
pool_values_alive(void)
{
    return test_count(&pool_values_made) - test_count(&pool_values_destroyed);
}

/* What a task takes along: a number of its own. A copy may end anywhere. */
static inline int
pool_copy(void *value, void **copy, void *user)
{
    size_t *number = (size_t *)malloc(sizeof(*number));

    (void)user;
    CHECK(number != NULL);
    *number = *(size_t *)value;
    *copy = number;
    test_count_up(&pool_copies_made);
    return 0;
}

static inline void
pool_copy_destroy(void *value, int reason, void *user)
{
    (void)reason;
    (void)user;
    free(value);
    test_count_up(&pool_copies_destroyed);
}

/* ---- Keys that all tasks use ------------------------------------------ */

static tls_key_t pool_outer;     /* what the worker had before any task */
static tls_key_t pool_request;   /* what a task sets and does not remove */
static tls_key_t pool_inherited; /* what the submitter has */

static inline tls_key_t
pool_key(uint32_t flags)
{
    tls_key_options_t options = test_options();

    options.destroy = pool_value_destroy;
    options.flags = flags;
    return test_key_from(&options);
}

static inline void
pool_keys_create(void)
{
    tls_key_options_t options = test_options();

    pool_outer = pool_key(0);
    pool_request = pool_key(0);
    options.copy = pool_copy;
    options.destroy = pool_copy_destroy;
    options.flags = TLS_KEY_INHERIT;
    pool_inherited = test_key_from(&options);
}

static inline void
pool_keys_release(void)
{
    CHECK_OK(tls_key_release(pool_outer));
    CHECK_OK(tls_key_release(pool_request));
    CHECK_OK(tls_key_release(pool_inherited));
}

/* Stores what the next tasks will find. */
static inline void
pool_inherit(size_t number)
{
    void *copy;

    CHECK_INT(pool_copy(&number, &copy, NULL), 0);
    CHECK_OK(tls_set(pool_inherited, copy));
}

/* ---- Tasks with objects ------------------------------------------------ */

/* Objects that a few tasks share, and those tasks. */
typedef struct pool_batch {
    tls_key_t objects[OBJECTS_OF_A_TASK];
    size_t left; /* tasks that have not ended */
} pool_batch_t;

typedef struct pool_task {
    pool_batch_t *batch;
    size_t number;
} pool_task_t;

static size_t pool_tasks_done;

static inline void
pool_batch_open(pool_batch_t *batch, size_t tasks)
{
    size_t i;

    for (i = 0; i < OBJECTS_OF_A_TASK; i++)
        batch->objects[i] = pool_key(i % 2 != 0 ? TLS_KEY_WORKER : 0);
    batch->left = tasks;
}

static inline void
pool_batch_close(pool_batch_t *batch)
{
    size_t i;

    for (i = 0; i < OBJECTS_OF_A_TASK; i++)
        CHECK_OK(tls_key_release(batch->objects[i]));
}

/* The calling thread's value for an object; in a scope, and for one whose values live in scopes,
 * there must be none yet. */
static inline void
pool_use_object(pool_batch_t *batch, size_t i)
{
    pool_value_t *value = (pool_value_t *)tls_get(batch->objects[i]);

    if (value == NULL) {
        value = pool_value_new(i);
        CHECK_OK(tls_set(batch->objects[i], value));
    } else {
        CHECK_UINT(i % 2, 1);
    }
    CHECK_UINT(value->object, i);
    CHECK_UINT(value->thread, test_thread());
}

/* The body of every task, on a worker. */
static inline void
pool_task_run(void *argument)
{
    pool_task_t *task = (pool_task_t *)argument;
    const size_t *inherited = (const size_t *)tls_get_existing(pool_inherited);
    pool_value_t *outer = (pool_value_t *)tls_get_existing(pool_outer);
    size_t i;

    CHECK(inherited != NULL);
    CHECK_UINT(*inherited, task->number);
    CHECK_PTR(tls_get_existing(pool_request), NULL);
    CHECK_OK(tls_set(pool_request, pool_value_new(task->number)));
    if (outer != NULL)
        CHECK_UINT(outer->thread, test_thread());
    CHECK_OK(tls_set(pool_outer, pool_value_new(task->number)));
    for (i = 0; i < OBJECTS_OF_A_TASK; i++)
        pool_use_object(task->batch, i);
    for (i = 0; i < OBJECTS_OF_A_TASK; i++)
        CHECK(tls_get_existing(task->batch->objects[i]) != NULL);
    CHECK_UINT(((pool_value_t *)tls_get(pool_request))->object, task->number);
    if (__atomic_sub_fetch(&task->batch->left, 1, __ATOMIC_ACQ_REL) == 0)
        pool_batch_close(task->batch);
    test_count_up(&pool_tasks_done);
}

/* So many tasks, each to be handed to submit(pool, pool_task_run, task): with what the submitter
 * has, in a scope. The tasks' memory; to be freed when all are done. */
typedef struct pool_load {
    pool_batch_t *batches;
    pool_task_t *tasks;
    size_t count;
} pool_load_t;

static inline pool_load_t
pool_load_new(size_t full)
{
    size_t batches = test_scaled(full / TASKS_OF_AN_OBJECT, 4), i;
    pool_load_t load;

    load.count = batches * TASKS_OF_AN_OBJECT;
    load.batches = (pool_batch_t *)calloc(batches, sizeof(*load.batches));
    load.tasks = (pool_task_t *)calloc(load.count, sizeof(*load.tasks));
    CHECK(load.batches != NULL && load.tasks != NULL);
    for (i = 0; i < load.count; i++) {
        load.tasks[i].batch = &load.batches[i / TASKS_OF_AN_OBJECT];
        load.tasks[i].number = i;
    }
    pool_tasks_done = 0;
    return load;
}

/* Prepares one task of the load, on the thread that submits it. */
static inline pool_task_t *
pool_load_next(pool_load_t *load, size_t i)
{
    if (i % TASKS_OF_AN_OBJECT == 0)
        pool_batch_open(&load->batches[i / TASKS_OF_AN_OBJECT], TASKS_OF_AN_OBJECT);
    pool_inherit(i);
    return &load->tasks[i];
}

/* All tasks have run and had the values that they should have; frees the load. */
static inline void
pool_load_free(pool_load_t *load)
{
    size_t i;

    for (i = 0; i < load->count; i += TASKS_OF_AN_OBJECT)
        CHECK_UINT(test_count(&load->tasks[i].batch->left), 0);
    CHECK_UINT(test_count(&pool_tasks_done), load->count);
    CHECK_AT_LEAST(test_count(&pool_values_made), load->count * (2 + OBJECTS_OF_A_TASK / 2));
    /* What each task has set under keys that live on. (Its objects may have died before it ended.) */
    CHECK_AT_LEAST(test_count(&pool_scope_ends), load->count * 2);
    free(load->batches);
    free(load->tasks);
}

/* ---- The whole test, for pools with a fixed number of workers ---------- */

typedef struct pool_under_test {
    void *pool;
    size_t workers; /* all of them run from the first task on */
    /* Runs run(argument) on some worker, as it is. */
    void (*post)(void *pool, void (*run)(void *), void *argument);
    /* The same with the adapter: in a scope, with what the submitter has. */
    void (*submit)(void *pool, void (*run)(void *), void *argument);
    /* Waits until everything that was posted and submitted has ended; NULL: the pool cannot, and
     * takes tasks in the order of their coming. */
    void (*wait)(void *pool);
    /* Objects have died while the workers slept: makes them expunge. NULL: the sweep does. */
    void (*clean_idle)(void *pool);
    tls_sweep_t *sweep;
} pool_under_test_t;

/* What each worker does once. */
typedef struct pool_round {
    pthread_barrier_t all_are_here; /* so that each call is on a worker of its own */
    void (*run)(void *argument);
    void *argument;
    size_t left; /* calls that have not ended */
} pool_round_t;

static inline void
pool_round_run(void *argument)
{
    pool_round_t *round = (pool_round_t *)argument;

    pthread_barrier_wait(&round->all_are_here);
    if (round->run != NULL)
        round->run(round->argument);
    __atomic_sub_fetch(&round->left, 1, __ATOMIC_ACQ_REL);
}

/* Runs run(argument) once on each worker, by `post` or `submit`, until it has returned on all. */
static inline void
pool_round(const pool_under_test_t *test,
           void (*post)(void *pool, void (*run)(void *), void *argument), void (*run)(void *),
           void *argument)
{
    pool_round_t round;
    size_t i;

    CHECK_INT(pthread_barrier_init(&round.all_are_here, NULL, (unsigned)test->workers), 0);
    round.run = run;
    round.argument = argument;
    round.left = test->workers;
    for (i = 0; i < test->workers; i++)
        post(test->pool, pool_round_run, &round);
    if (test->wait != NULL)
        test->wait(test->pool);
    while (test_count(&round.left) != 0)
        sched_yield();
    pthread_barrier_destroy(&round.all_are_here);
}

/* A worker that takes part in a round has ended what it was given before. */
static inline void
pool_wait(const pool_under_test_t *test)
{
    if (test->wait != NULL)
        test->wait(test->pool);
    else
        pool_round(test, test->post, NULL, NULL);
}

static inline void
pool_each_worker(const pool_under_test_t *test,
                 void (*post)(void *pool, void (*run)(void *), void *argument),
                 void (*run)(void *), void *argument)
{
    pool_round(test, post, run, argument);
    pool_wait(test); /* for the ends of the scopes, too */
}

static inline void
pool_set_outer(void *argument)
{
    (void)argument;
    CHECK_PTR(tls_get_existing(pool_outer), NULL);
    CHECK_OK(tls_set(pool_outer, pool_value_new((size_t)-1)));
}

/* The worker is as pool_set_outer() has left it. */
static inline void
pool_check_outer(void *argument)
{
    pool_value_t *outer = (pool_value_t *)tls_get_existing(pool_outer);

    (void)argument;
    CHECK(outer != NULL);
    CHECK_UINT(outer->object, (size_t)-1);
    CHECK_UINT(outer->thread, test_thread());
    CHECK_PTR(tls_get_existing(pool_request), NULL);
    CHECK_PTR(tls_get_existing(pool_inherited), NULL);
    CHECK_UINT(tls_stale_count(), 0);
    CHECK_OK(tls_remove(pool_outer));
}

/* One value for each object that outlives the task. */
static inline void
pool_keep_values(void *argument)
{
    pool_batch_t *batch = (pool_batch_t *)argument;
    size_t i;

    for (i = 1; i < OBJECTS_OF_A_TASK; i += 2)
        CHECK_OK(tls_set(batch->objects[i], pool_value_new(i)));
}

static inline void
pool_watch(void *sweep)
{
    CHECK_OK(tls_sweep_watch((tls_sweep_t *)sweep));
}

/* 3: each worker keeps values of objects that die when all workers sleep. */
static inline void
pool_objects_die_while_workers_sleep(const pool_under_test_t *test)
{
    size_t kept = test->workers * (OBJECTS_OF_A_TASK / 2), i;
    pool_batch_t batch;

    pool_batch_open(&batch, 1);
    pool_each_worker(test, test->submit, pool_keep_values, &batch);
    if (test->sweep != NULL)
        pool_each_worker(test, test->post, pool_watch, test->sweep);
    CHECK_UINT(pool_values_alive(), kept + test->workers);
    CHECK_UINT(test_stats().stale, 0);
    pool_batch_close(&batch);
    if (test->clean_idle != NULL) {
        CHECK_UINT(test_stats().stale, kept);
        test->clean_idle(test->pool);
    }
    for (i = 0; i < OBJECTS_OF_A_TASK; i++)
        CHECK_OK(tls_key_drain(batch.objects[i], 60000, NULL));
    /* One that finds nothing may follow. The next round must not mix with it: tasks of both wait
     * for others of their kind. */
    while (test->sweep != NULL && tls_sweep_under_way(test->sweep))
        sched_yield();
    CHECK_UINT(pool_values_alive(), test->workers);
    CHECK_UINT(test_stats().stale, 0);
}

/* All but the end of the pool. The keys are released: after it the library must be empty. */
static inline void
pool_test(const pool_under_test_t *test, size_t tasks)
{
    pool_load_t load = pool_load_new(tasks);
    tls_stats_t stats;
    size_t i;

    pool_keys_create();
    pool_each_worker(test, test->post, pool_set_outer, NULL);
    for (i = 0; i < load.count; i++)
        test->submit(test->pool, pool_task_run, pool_load_next(&load, i));
    pool_wait(test);
    pool_load_free(&load);
    /* Values of dead objects, on workers that have run no task since; and the outer ones. */
    CHECK_UINT(pool_values_alive(), test_stats().stale + test->workers);

    pool_objects_die_while_workers_sleep(test);
    pool_each_worker(test, test->post, pool_check_outer, NULL);
    pool_keys_release();
    stats = test_stats();
    CHECK_UINT(stats.keys, 0);
    CHECK_UINT(stats.dead_keys, 0);
    CHECK_UINT(stats.entries, 0);
    CHECK_UINT(stats.stale, 0);
    CHECK_UINT(stats.contexts, 0);
}

/* The pool has ended, and its threads: the last check of every program. */
static inline int
pool_test_finish(void)
{
    CHECK_UINT(pool_values_alive(), 0);
    CHECK_AT_LEAST(test_count(&pool_values_made), 100);
    CHECK_UINT(test_count(&pool_copies_destroyed), test_count(&pool_copies_made));
    CHECK_AT_LEAST(test_count(&pool_copies_made), 1);
    CHECK_UINT(test_stats().unscoped, 0);
    CHECK_UINT(test_stats().leaked, 0);
    printf("%zu tasks, %zu values made and destroyed, %zu with their scope, %zu with their key\n",
           test_count(&pool_tasks_done), test_count(&pool_values_made),
           test_count(&pool_scope_ends), test_count(&pool_key_deaths));
    return test_finish();
}

#endif /* POOL_TEST_H */
