/*
 * threadlocalmap_sweep.h - expunges on every worker of a pool that has no hook for it.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A worker that runs tasks expunges after each of them. A worker that sleeps does not, and most
 * pools have no function that runs something once on each worker. A sweep needs only a function
 * that posts a task: it posts as many tasks as there are workers, and each task expunges and then
 * waits until all of them have started. So each of them runs on a worker of its own.
 *
 *     static int post(void *pool, void (*run)(void *), void *argument);   posts a task
 *
 *     tls_sweep_t sweep;                                  one for each pool; it outlives the pool
 *     tls_sweep_init(&sweep, workers, 100, post, pool);
 *     tls_sweep_watch(&sweep);                            on each worker, in any task of it
 *
 *     tls_sweep_stop(&sweep);                             before the pool ends
 *
 * After tls_sweep_watch(), the death of a key wakes the worker if it has values of the key. Without
 * it, call tls_sweep_request(&sweep) yourself.
 *
 * WHAT IT COSTS
 *   During a sweep, the workers that have started its tasks wait for those that still run other
 *   tasks, but at most for the given number of milliseconds. A worker that is late expunges after
 *   its task. A negative number waits for ever: then no task of the pool may wait for another task,
 *   because both would wait for the sweep.
 *
 * WHAT IT NEEDS
 *   A pool in which no task waits while a worker sleeps. A pool with one queue is such a pool
 *   (libuv, GLib, Asio, most thread pools); a pool whose workers each have a queue is not.
 *
 * THREADING
 *   Call tls_sweep_init(), tls_sweep_stop() and tls_sweep_destroy() as you initialise and destroy a
 *   mutex. Call the others on any thread, at any time; tls_sweep_request() also inside a callback
 *   of the library.
 */
#ifndef THREADLOCALMAP_SWEEP_H
#define THREADLOCALMAP_SWEEP_H

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "threadlocalmap.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Posts a task to the pool. Returns 0 if run(argument) will be called once, on a worker, and any
 * other number if it will not. It is called with no lock held, on the thread that releases a key.
 * */
typedef int (*tls_sweep_post_fn)(void *pool, void (*run)(void *argument), void *argument);

/* Private. Initialise it with tls_sweep_init(). */
typedef struct tls_sweep {
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
} tls_sweep_t;

/* workers: the exact number of workers of the pool. patience_ms: see WHAT IT COSTS. Returns 0 or an
 * errno. */
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

/* When this returns, no sweep is in progress, and requests are ignored. Call it before you end the
 * pool, and not on one of the pool's workers, because the tasks of a sweep wait for each other. */
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

/* Call it after tls_sweep_stop() and the end of the pool, when no thread can request a sweep. */
static inline void
tls_sweep_destroy(tls_sweep_t *sweep)
{
    pthread_mutex_destroy(&sweep->lock);
    pthread_cond_destroy(&sweep->changed);
}

static inline void tls_sweep_private_post(tls_sweep_t *sweep);

/* Begins a sweep: the poster and as many tasks as there are workers have yet to leave. With the
 * lock. */
static inline void
tls_sweep_private_begin(tls_sweep_t *sweep)
{
    sweep->again = false;
    sweep->arrived = 0;
    sweep->expected = sweep->workers;
    sweep->pending = sweep->workers + 1;
}

/* So many of a sweep leave; gives the lock back. The last one begins the next sweep if that was
 * asked for. */
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

/* What the pool refuses is not posted again. */
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

/* Requests a sweep: now, or after the one that is in progress. It has the type of the `notify` of
 * tls_thread_on_stale(). */
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

/* Whether tasks of a sweep have not ended. */
static inline bool
tls_sweep_under_way(tls_sweep_t *sweep)
{
    bool under_way;

    pthread_mutex_lock(&sweep->lock);
    under_way = sweep->pending != 0;
    pthread_mutex_unlock(&sweep->lock);
    return under_way;
}

/* Requests a sweep whenever the calling worker gets stale values. Returns what
 * tls_thread_on_stale() returns. You may call it in every task. */
static inline int
tls_sweep_watch(tls_sweep_t *sweep)
{
    return tls_thread_on_stale(tls_sweep_request, sweep);
}

#ifdef __cplusplus
}
#endif

#endif /* THREADLOCALMAP_SWEEP_H */
