/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A pool made of plain pthreads, with a queue of its own: examples/pool/pool.c. It has a hook after
 * each task, which it also calls when it is told to drain. */
#include "pool_test.h"

#include "../../examples/pool/pool.c"

typedef struct job {
    void (*run)(void *argument);
    void *argument;
} job_t;

static void
job_run(void *argument, size_t index)
{
    job_t job = *(job_t *)argument;

    (void)index;
    free(argument);
    job.run(job.argument);
}

static void
post(void *pool, void (*run)(void *), void *argument)
{
    job_t *job = malloc(sizeof(*job));

    CHECK(job != NULL);
    job->run = run;
    job->argument = argument;
    pool_submit(pool, job_run, job, 0);
}

static void
submit(void *pool, void (*run)(void *), void *argument)
{
    tls_task_t *task;

    CHECK_OK(tls_task_create(&task, run, argument));
    post(pool, tls_task_run, task);
}

static void
drain(void *pool)
{
    pool_drain(pool);
}

static void
expunge(void)
{
    tls_expunge();
}

int
main(void)
{
    struct pool_hooks hooks = {.after_task = expunge};
    struct pool *pool = pool_start(POOL_WORKERS, hooks);
    pool_under_test_t test = {pool, POOL_WORKERS, post, submit, NULL, drain, NULL};

    CHECK(pool != NULL);
    pool_test(&test, 20000);
    pool_stop(pool);
    return pool_test_finish();
}
