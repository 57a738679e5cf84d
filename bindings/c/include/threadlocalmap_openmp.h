/**
 * @file
 * threadlocalmap_openmp.h - cleanup on the threads of OpenMP between two regions.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * OpenMP keeps a team's threads for the next region, and has no hook for the start and the end of a
 * thread. To leave no values behind, open a scope in each region, and wrap each task:
 *
 *     #pragma omp parallel                                 a region: each thread in a scope
 *     {
 *         tls_scope_t scope;
 *         tls_scope_begin(&scope, context);                context: the outer thread's, or NULL
 *         ...
 *         tls_scope_end(scope);
 *     }
 *
 *     tls_task_create(&task, run, argument);               a task: in a scope, with the values of
 *     #pragma omp task firstprivate(task)                  the thread that makes it
 *     tls_task_run(task);
 *
 * Objects that die between two regions leave stale values on threads that sleep: call
 * tls_omp_expunge(). omp_pause_resource_all(omp_pause_hard) ends the threads, and destroys all
 * their values.
 *
 * Compile with -fopenmp.
 */
#ifndef THREADLOCALMAP_OPENMP_H
#define THREADLOCALMAP_OPENMP_H

#include <omp.h>

#include "threadlocalmap.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Expunges on each thread of a team.
 *
 * Call it outside of regions, on the thread that starts them, because each thread that starts
 * regions has a team of its own.
 *
 * @param threads The number of threads that the largest region had; 0 for as many as a region has
 *   by default.
 *
 * @return The number of values that it destroyed.
 */
static inline size_t
tls_omp_expunge(int threads)
{
    size_t destroyed = 0;

    if (threads <= 0)
        threads = omp_get_max_threads();
#pragma omp parallel num_threads(threads) reduction(+ : destroyed)
    destroyed += tls_expunge();
    return destroyed;
}

#ifdef __cplusplus
}
#endif

#endif /* THREADLOCALMAP_OPENMP_H */
