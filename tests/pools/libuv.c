/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libuv's one pool, uv_queue_work(): no hook, threads that end with the process, and work that
 * only the loop's thread may post. */
#include "pool_test.h"

#include <threadlocalmap_uv.h>

static tls_uv_workers_t workers;

typedef struct job {
    tls_uv_work_t work; /* used as a uv_work_t when posted as it is */
    void (*run)(void *argument);
    void *argument;
} job_t;

static void
run_job(uv_work_t *request)
{
    job_t *job = (job_t *)request->data;

    job->run(job->argument);
}

static void
free_job(uv_work_t *request, int status)
{
    CHECK_INT(status, 0);
    free(request->data);
}

static job_t *
new_job(void (*run)(void *), void *argument)
{
    job_t *job = (job_t *)malloc(sizeof(*job));

    CHECK(job != NULL);
    job->run = run;
    job->argument = argument;
    job->work.request.data = job;
    return job;
}

static void
post(void *loop, void (*run)(void *), void *argument)
{
    job_t *job = new_job(run, argument);

    CHECK_INT(uv_queue_work((uv_loop_t *)loop, &job->work.request, run_job, free_job), 0);
}

static void
submit(void *loop, void (*run)(void *), void *argument)
{
    job_t *job = new_job(run, argument);

    CHECK_INT(tls_uv_queue_work((uv_loop_t *)loop, &job->work, run_job, free_job), 0);
}

static void
run_loop(void *loop)
{
    CHECK_INT(uv_run((uv_loop_t *)loop, UV_RUN_DEFAULT), 0);
}

/* A program with a server or a timer runs its loop anyhow. */
static void
run_loop_until_workers_are_clean(void *argument)
{
    uv_loop_t *loop = (uv_loop_t *)argument;

    uv_ref((uv_handle_t *)&workers.woken);
    while (test_stats().stale != 0)
        uv_run(loop, UV_RUN_ONCE);
    uv_unref((uv_handle_t *)&workers.woken);
    run_loop(loop);
}

/* ---- The whole pool ------------------------------------------------------ */

static void
watch(void *argument)
{
    (void)argument;
    CHECK_OK(tls_uv_workers_watch(&workers));
}

static void
workers_are_as_before_and_woken_through_the_loop(void)
{
    uv_loop_t *loop = uv_default_loop();
    pool_under_test_t test = {loop, tls_uv_threads(), post, submit, run_loop,
                              run_loop_until_workers_are_clean, NULL};

    pool_each_worker(&test, post, watch, NULL);
    pool_test(&test, 20000);
}

/* ---- Work that is cancelled ---------------------------------------------- */

static size_t cancelled;
static pthread_barrier_t gate;

static void
wait_at_gate(void *argument)
{
    (void)argument;
    pthread_barrier_wait(&gate); /* all workers are busy */
    pthread_barrier_wait(&gate); /* the requests were cancelled */
}

static void
never(void *argument)
{
    (void)argument;
    CHECK(!"cancelled work runs");
}

static void
count_cancelled(uv_work_t *request, int status)
{
    CHECK_INT(status, UV_ECANCELED);
    cancelled++;
    free(request->data);
}

static void
cancelled_work_loses_nothing(void)
{
    uv_loop_t *loop = uv_default_loop();
    job_t *jobs[16];
    size_t i;

    pool_keys_create();
    pool_inherit(1);
    CHECK_INT(pthread_barrier_init(&gate, NULL, (unsigned)tls_uv_threads() + 1), 0);
    for (i = 0; i < tls_uv_threads(); i++)
        post(loop, wait_at_gate, NULL);
    pthread_barrier_wait(&gate);
    for (i = 0; i < 16; i++) {
        jobs[i] = new_job(never, NULL);
        CHECK_INT(tls_uv_queue_work(loop, &jobs[i]->work, run_job, count_cancelled), 0);
    }
    CHECK_UINT(test_stats().contexts, 16);
    for (i = 0; i < 16; i++)
        CHECK_INT(uv_cancel((uv_req_t *)&jobs[i]->work.request), 0);
    pthread_barrier_wait(&gate);
    run_loop(loop);
    CHECK_UINT(cancelled, 16);
    CHECK_UINT(test_stats().contexts, 0);
    CHECK_INT(tls_uv_queue_work(loop, NULL, NULL, NULL), UV_EINVAL);
    pool_keys_release();
    pthread_barrier_destroy(&gate);
}

int
main(void)
{
    uv_loop_t *loop = uv_default_loop();

    CHECK_INT(tls_uv_workers_init(loop, &workers, 2000), 0);
    RUN(workers_are_as_before_and_woken_through_the_loop);
    RUN(cancelled_work_loses_nothing);
    tls_uv_workers_close(&workers);
    run_loop(loop);
    CHECK_INT(uv_loop_close(loop), 0);
    uv_library_shutdown(); /* ends the pool's threads */
    return pool_test_finish();
}
