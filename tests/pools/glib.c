/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* GLib's GThreadPool: a pool with threads of its own, and pools that share theirs. */
#include "pool_test.h"

#include <threadlocalmap_glib.h>

typedef struct job {
    void (*run)(void *argument);
    void *argument;
} job_t;

static void
work(gpointer data, gpointer user_data)
{
    job_t job = *(job_t *)data;

    CHECK_PTR(user_data, &pool_tasks_done);
    g_free(data);
    job.run(job.argument);
}

static tls_g_thread_pool_t *
new_pool(gboolean exclusive)
{
    GError *error = NULL;
    tls_g_thread_pool_t *pool =
        tls_g_thread_pool_new(work, &pool_tasks_done, POOL_WORKERS, exclusive, &error);

    CHECK(pool != NULL && error == NULL);
    return pool;
}

static void
post(void *pool, void (*run)(void *), void *argument)
{
    CHECK_INT(tls_g_thread_pool_post(pool, run, argument), 0);
}

static void
submit(void *pool, void (*run)(void *), void *argument)
{
    job_t *job = g_new(job_t, 1);

    job->run = run;
    job->argument = argument;
    CHECK(tls_g_thread_pool_push(pool, job, NULL));
}

/* ---- An exclusive pool: its threads stay, and are told ------------------ */

static void
exclusive_workers_are_woken_when_objects_die(void)
{
    tls_g_thread_pool_t *pool = new_pool(TRUE);
    tls_sweep_t sweep;
    pool_under_test_t test = {pool, POOL_WORKERS, post, submit, NULL, NULL, &sweep};

    CHECK_INT(tls_sweep_init(&sweep, POOL_WORKERS, -1, tls_g_thread_pool_post, pool), 0);
    pool_test(&test, 20000);
    tls_sweep_stop(&sweep);
    tls_g_thread_pool_free(pool, FALSE, TRUE);
    tls_sweep_destroy(&sweep);
}

/* ---- Pools that share their threads ------------------------------------- */

static size_t came_from_first_pool;
static __thread bool was_in_first_pool;

static void
in_first_pool(void *batch)
{
    CHECK_PTR(tls_get_existing(pool_request), NULL);
    CHECK_OK(tls_set(pool_request, pool_value_new(0)));
    pool_keep_values(batch);
    was_in_first_pool = true;
}

static void
in_second_pool(void *argument)
{
    (void)argument;
    if (was_in_first_pool)
        test_count_up(&came_from_first_pool);
    CHECK_PTR(tls_get_existing(pool_request), NULL);
}

static void
threads_go_to_another_pool_without_the_tasks_values(void)
{
    pool_under_test_t first = {new_pool(FALSE), POOL_WORKERS, post, submit, NULL, NULL, NULL},
                      second;
    size_t alive = pool_values_alive(), i;
    pool_batch_t batch;

    pool_keys_create();
    pool_inherit(0);
    pool_batch_open(&batch, 1);
    pool_each_worker(&first, submit, in_first_pool, &batch);
    tls_g_thread_pool_free(first.pool, FALSE, TRUE);
    CHECK_UINT(pool_values_alive(), alive + POOL_WORKERS * (OBJECTS_OF_A_TASK / 2));

    /* One that is on its way out of a pool is not taken by the next one. */
    second = first;
    do {
        second.pool = new_pool(FALSE);
        pool_each_worker(&second, submit, in_second_pool, NULL);
        tls_g_thread_pool_free(second.pool, FALSE, TRUE);
    } while (test_count(&came_from_first_pool) == 0);

    pool_batch_close(&batch);
    CHECK_UINT(test_stats().stale, POOL_WORKERS * (OBJECTS_OF_A_TASK / 2));
    do
        g_thread_pool_stop_unused_threads();
    while (g_thread_pool_get_num_unused_threads() != 0 || test_stats().stale != 0);
    for (i = 0; i < OBJECTS_OF_A_TASK; i++)
        CHECK_OK(tls_key_drain(batch.objects[i], 60000, NULL));
    CHECK_UINT(pool_values_alive(), alive);
    pool_keys_release();
}

/* ---- A pool that is freed before its tasks have run --------------------- */

static pthread_barrier_t gate;

static void
wait_at_gate(void *argument)
{
    (void)argument;
    pthread_barrier_wait(&gate); /* all workers are busy */
    pthread_barrier_wait(&gate); /* the pool has been freed */
}

static void
tasks_that_never_run_lose_nothing(void)
{
    tls_g_thread_pool_t *pool = new_pool(FALSE);
    size_t i;

    pool_keys_create();
    pool_inherit(1);
    CHECK_INT(pthread_barrier_init(&gate, NULL, POOL_WORKERS + 1), 0);
    for (i = 0; i < POOL_WORKERS; i++)
        post(pool, wait_at_gate, NULL);
    pthread_barrier_wait(&gate);
    for (i = 0; i < 100; i++) {
        job_t *job = g_new0(job_t, 1);

        CHECK(tls_g_thread_pool_push(pool, job, NULL));
        g_free(job); /* nobody will */
    }
    CHECK_UINT(test_stats().contexts, 100);
    tls_g_thread_pool_free(pool, TRUE, FALSE);
    pthread_barrier_wait(&gate);
    while (test_stats().contexts != 0)
        sched_yield();
    pool_keys_release();
    pthread_barrier_destroy(&gate);
}

/* The pools' threads are GLib's: they end when there are too many, some time after their pool. */
static void
wait_for_threads_to_end(void)
{
    CHECK_OK(tls_thread_detach());
    g_thread_pool_set_max_unused_threads(0);
    while (test_stats().maps != 0)
        sched_yield();
}

int
main(void)
{
    g_thread_pool_set_max_unused_threads(-1); /* no limit */
    g_thread_pool_set_max_idle_time(0);       /* none either */
    RUN(threads_go_to_another_pool_without_the_tasks_values);
    RUN(exclusive_workers_are_woken_when_objects_die);
    RUN(tasks_that_never_run_lose_nothing);
    wait_for_threads_to_end();
    return pool_test_finish();
}
