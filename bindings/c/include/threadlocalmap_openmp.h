/*
 * threadlocalmap_openmp.h - the threads of OpenMP, cleaned between two regions.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * OpenMP keeps a team's threads for the next region, and has no hook where they come and go. What
 * leaves nothing behind is written where the work is:
 *
 *     #pragma omp parallel                                 a region: each thread in a scope
 *     {
 *         tls_scope_t scope;
 *         tls_scope_begin(&scope, context);                context: of the thread outside, or NULL
 *         ...
 *         tls_scope_end(scope);
 *     }
 *
 *     tls_task_create(&task, run, argument);               a task: in a scope, with what the
 *     #pragma omp task firstprivate(task)                  thread that makes it has
 *     tls_task_run(task);
 *
 * Objects that die between two regions leave stale values in threads that sleep: tls_omp_expunge().
 * omp_pause_resource_all(omp_pause_hard) ends the threads, and all that they have.
 *
 * Compile with -fopenmp, as the program itself.
 */
#ifndef THREADLOCALMAP_OPENMP_H
#define THREADLOCALMAP_OPENMP_H

#include <omp.h>

#include "threadlocalmap.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Expunges on each thread of a team of `threads`: as many as the largest region had; 0: as many as
 * a region has by default. Call it outside of regions, on the thread that begins them: other ones
 * have teams of their own. Returns how many values it destroyed.
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
