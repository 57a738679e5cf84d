/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* OpenMP: the threads of a team stay for the next region, and nobody is told. */
#include "pool_test.h"

#include <threadlocalmap_openmp.h>

static void
each_thread(void (*run)(void *), void *argument)
{
    int threads = 0;

#pragma omp parallel num_threads(POOL_WORKERS)
    {
#pragma omp single
        threads = omp_get_num_threads();
        run(argument);
    }
    CHECK_INT(threads, POOL_WORKERS);
}

static void
tasks_leave_their_thread_as_it_was(void)
{
    pool_load_t load = pool_load_new(20000);

    each_thread(pool_set_outer, NULL);
#pragma omp parallel num_threads(POOL_WORKERS)
#pragma omp single
    {
        size_t i;

        for (i = 0; i < load.count; i++) {
            tls_task_t *task;

            CHECK_OK(tls_task_create(&task, pool_task_run, pool_load_next(&load, i)));
#pragma omp task firstprivate(task)
            tls_task_run(task);
        }
        CHECK_OK(tls_remove(pool_inherited));
    }
    pool_load_free(&load);
    CHECK_UINT(pool_values_alive(), test_stats().stale + POOL_WORKERS);
    tls_omp_expunge(POOL_WORKERS);
    CHECK_UINT(test_stats().stale, 0);
    each_thread(pool_check_outer, NULL);
}

static void
regions_leave_their_threads_as_they_were(void)
{
    tls_context_t *context;
    size_t ends = test_count(&pool_scope_ends);

    each_thread(pool_set_outer, NULL);
    pool_inherit(7);
    CHECK_OK(tls_context_capture(&context));
    CHECK_OK(tls_remove(pool_inherited));
#pragma omp parallel num_threads(POOL_WORKERS)
    {
        tls_scope_t scope;

        CHECK_OK(tls_scope_begin(&scope, context));
        CHECK_UINT(*(size_t *)tls_get(pool_inherited), 7);
        CHECK_OK(tls_set(pool_outer, pool_value_new(0)));
        CHECK_OK(tls_set(pool_request, pool_value_new(0)));
        CHECK_OK(tls_scope_end(scope));
    }
    tls_context_free(context);
    CHECK_UINT(test_count(&pool_scope_ends), ends + POOL_WORKERS * 2);
    each_thread(pool_check_outer, NULL);
}

static void
threads_that_sleep_are_cleaned_by_one_call(void)
{
    const size_t kept = OBJECTS_OF_A_TASK / 2;
    pool_batch_t batch;

    pool_batch_open(&batch, 1);
    each_thread(pool_keep_values, &batch);
    CHECK_UINT(pool_values_alive(), POOL_WORKERS * kept);
    pool_batch_close(&batch); /* destroys this thread's own */
    CHECK_UINT(test_stats().stale, (POOL_WORKERS - 1) * kept);
    CHECK_UINT(tls_omp_expunge(POOL_WORKERS), (POOL_WORKERS - 1) * kept);
    CHECK_UINT(pool_values_alive(), 0);
}

int
main(void)
{
    pool_keys_create();
    RUN(tasks_leave_their_thread_as_it_was);
    RUN(regions_leave_their_threads_as_they_were);
    RUN(threads_that_sleep_are_cleaned_by_one_call);
    pool_keys_release();
    CHECK_INT(omp_pause_resource_all(omp_pause_hard), 0);
    CHECK_OK(tls_thread_detach());
    while (test_stats().maps != 0)
        sched_yield(); /* the threads are ending */
    return pool_test_finish();
}
