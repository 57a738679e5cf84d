/**
 * @file
 * threadlocalmap_sweep.h - expunges on every worker of a pool that has no hook for it.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A worker that runs tasks expunges after each task. A worker that sleeps does not, and most pools
 * have no function that wakes a given worker or calls a function once on each worker. A sweep uses
 * what every pool has: it posts as many tasks as the pool has workers. Each task expunges, and then
 * waits until all of them have started. So each task runs on a worker of its own.
 *
 *     static int post(void *pool, void (*run)(void *), void *argument);  posts run to the pool
 *
 *     tls_sweep_t sweep;                              one for each pool; it outlives the pool
 *     tls_sweep_init(&sweep, workers, 100, post, pool);
 *     tls_sweep_watch(&sweep);                        on each worker, in any task
 *
 *     tls_sweep_stop(&sweep);                         before the pool ends
 *
 * If a key dies and a worker that watches has a value under it, a sweep begins. Without
 * tls_sweep_watch(), call tls_sweep_request() yourself.
 *
 * WHAT IT COSTS
 *   During a sweep, the workers whose task has started wait for the workers that are still busy
 *   with other tasks, but no longer than patience_ms milliseconds. A worker that is late expunges
 *   after its current task. A negative patience_ms waits without a limit: then no task of the pool
 *   may wait for another task of the pool, because both may be waiting for the sweep.
 *
 * WHAT IT NEEDS
 *   A pool in which no task stays queued while a worker sleeps. That is a pool with one queue
 *   (libuv, GLib, Asio, most thread pools), and not a pool in which each worker sleeps at its own
 *   queue.
 *
 *   POSIX: compile with -std=gnu11 and not with -std=c11, or define _POSIX_C_SOURCE.
 *
 * THREADING
 *   Call tls_sweep_init() before any other function, and tls_sweep_destroy() when no thread uses
 *   the sweep any more, as with a mutex. Call tls_sweep_stop() on any thread that is no worker of
 *   the pool. The other functions may be called on any thread, at any time; tls_sweep_request()
 *   also inside a callback of the library.
 */
#ifndef THREADLOCALMAP_SWEEP_H
#define THREADLOCALMAP_SWEEP_H

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "threadlocalmap.h"

#ifndef CLOCK_MONOTONIC
#error "threadlocalmap_sweep.h needs POSIX: compile with -std=gnu11, or with -D_POSIX_C_SOURCE=200809L"
#endif

#ifdef __cplusplus
/* What follows is C, with casts of C. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
extern "C" {
#endif

/**
 * Posts a task to the pool.
 *
 * It is called with no lock held, on the thread that releases a key.
 *
 * @param pool The pool, as given to tls_sweep_init().
 * @param run The function to call once on a worker.
 * @param argument The argument of run.
 *
 * @return 0 if run will be called; any other number if it will not.
 */
typedef int (*tls_sweep_post_fn)(void *pool, void (*run)(void *argument), void *argument);

/** A sweep. Its members are private: initialise it with tls_sweep_init(). */
typedef struct tls_sweep {
    /** @cond PRIVATE */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    tls_sweep_post_fn post;
    void *pool;
    size_t workers;  /* of the pool */
    size_t expected; /* tasks that were posted, or are about to be */
    size_t arrived;  /* tasks that have expunged */
    size_t pending;  /* tasks that have not ended, and the poster */
    int patience_ms;
    bool again;   /* requested during a sweep */
    bool stopped; /* requests are ignored */
    /** @endcond */
} tls_sweep_t;

/**
 * Initialises a sweep.
 *
 * @param[out] sweep The sweep.
 * @param workers The exact number of workers that the pool has.
 * @param patience_ms How many milliseconds workers wait for busy ones (see WHAT IT COSTS).
 * @param post Posts a task to the pool.
 * @param pool Passed to post.
 *
 * @return 0, or an error number of errno.h.
 */
static inline int
tls_sweep_init(tls_sweep_t *sweep, size_t workers, int patience_ms, tls_sweep_post_fn post,
               void *pool)
{
    pthread_condattr_t attributes;
    int error = pthread_condattr_init(&attributes);

    if (error != 0)
        return error;
    sweep->post = post;
    sweep->pool = pool;
    sweep->workers = workers;
    sweep->expected = sweep->arrived = sweep->pending = 0;
    sweep->patience_ms = patience_ms;
    sweep->again = sweep->stopped = false;
    error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (error == 0)
        error = pthread_cond_init(&sweep->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (error != 0)
        return error;
    error = pthread_mutex_init(&sweep->lock, NULL);
    if (error != 0)
        pthread_cond_destroy(&sweep->changed);
    return error;
}

/**
 * Waits until no sweep is in progress, and ignores all later requests.
 *
 * Call it before you end the pool, and not on one of its workers, because the tasks of a sweep wait
 * for each other.
 *
 * @param sweep The sweep.
 */
static inline void
tls_sweep_stop(tls_sweep_t *sweep)
{
    pthread_mutex_lock(&sweep->lock);
    sweep->stopped = true;
    sweep->again = false;
    while (sweep->pending != 0)
        pthread_cond_wait(&sweep->changed, &sweep->lock);
    pthread_mutex_unlock(&sweep->lock);
}

/**
 * Destroys a sweep. Call it after tls_sweep_stop() and the end of the pool, when no thread can
 * request a sweep any more.
 *
 * @param sweep The sweep.
 */
static inline void
tls_sweep_destroy(tls_sweep_t *sweep)
{
    pthread_mutex_destroy(&sweep->lock);
    pthread_cond_destroy(&sweep->changed);
}

static inline void tls_sweep_private_post(tls_sweep_t *sweep);

/* Begins a sweep: the poster, and one task for each worker, have yet to leave. The lock is held. */
static inline void
tls_sweep_private_begin(tls_sweep_t *sweep)
{
    sweep->again = false;
    sweep->arrived = 0;
    sweep->expected = sweep->workers;
    sweep->pending = sweep->workers + 1;
}

/* This many of a sweep leave; releases the lock. The last one begins the next sweep, if one was
 * requested. */
static inline void
tls_sweep_private_leave(tls_sweep_t *sweep, size_t leaving)
{
    bool again;

    sweep->pending -= leaving;
    again = sweep->pending == 0 && sweep->again;
    if (again)
        tls_sweep_private_begin(sweep);
    pthread_cond_broadcast(&sweep->changed);
    pthread_mutex_unlock(&sweep->lock);
    if (again)
        tls_sweep_private_post(sweep);
}

/* The task. */
static inline void
tls_sweep_private_run(void *argument)
{
    tls_sweep_t *sweep = (tls_sweep_t *)argument;
    struct timespec until;
    int error = 0;

    tls_expunge();
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += sweep->patience_ms / 1000;
    until.tv_nsec += (long)(sweep->patience_ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&sweep->lock);
    if (++sweep->arrived >= sweep->expected)
        pthread_cond_broadcast(&sweep->changed);
    while (sweep->arrived < sweep->expected && error != ETIMEDOUT) {
        if (sweep->patience_ms < 0)
            pthread_cond_wait(&sweep->changed, &sweep->lock);
        else
            error = pthread_cond_timedwait(&sweep->changed, &sweep->lock, &until);
    }
    tls_sweep_private_leave(sweep, 1);
}

/* A task that the pool refuses is not posted again. */
static inline void
tls_sweep_private_post(tls_sweep_t *sweep)
{
    size_t posted = 0;

    while (posted < sweep->workers &&
           sweep->post(sweep->pool, tls_sweep_private_run, sweep) == 0)
        posted++;
    pthread_mutex_lock(&sweep->lock);
    sweep->expected = posted;
    tls_sweep_private_leave(sweep, sweep->workers - posted + 1);
}

/**
 * Requests a sweep. If one is in progress, the next one begins after it.
 *
 * The function has the type that tls_thread_on_stale() takes.
 *
 * @param argument The sweep.
 */
static inline void
tls_sweep_request(void *argument)
{
    tls_sweep_t *sweep = (tls_sweep_t *)argument;
    bool now;

    pthread_mutex_lock(&sweep->lock);
    now = sweep->pending == 0 && !sweep->stopped;
    if (now)
        tls_sweep_private_begin(sweep);
    else
        sweep->again = !sweep->stopped;
    pthread_mutex_unlock(&sweep->lock);
    if (now)
        tls_sweep_private_post(sweep);
}

/**
 * Returns whether a sweep is in progress.
 *
 * @param sweep The sweep.
 *
 * @return true if a task of a sweep has not ended.
 */
static inline bool
tls_sweep_under_way(tls_sweep_t *sweep)
{
    bool under_way;

    pthread_mutex_lock(&sweep->lock);
    under_way = sweep->pending != 0;
    pthread_mutex_unlock(&sweep->lock);
    return under_way;
}

/**
 * Requests a sweep whenever the calling worker gets stale values.
 *
 * It is cheap enough to be called in every task.
 *
 * @param sweep The sweep.
 *
 * @return The result of tls_thread_on_stale().
 */
static inline int
tls_sweep_watch(tls_sweep_t *sweep)
{
    return tls_thread_on_stale(tls_sweep_request, sweep);
}

#ifdef __cplusplus
}
#pragma GCC diagnostic pop
#endif

#endif /* THREADLOCALMAP_SWEEP_H */
