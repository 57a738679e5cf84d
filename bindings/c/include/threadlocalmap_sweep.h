/*
 * threadlocalmap_sweep.h - expunges on every worker of a pool that has no hook for it.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A worker that runs tasks expunges after each of them. One that sleeps does not, and most pools
 * can neither call it nor say "each worker, once". A sweep does it with what every pool has: it
 * posts as many tasks as there are workers, and each task expunges and then waits until all of
 * them have come. So each is on a worker of its own.
 *
 *     static int post(void *pool, void (*run)(void *), void *argument);   how the pool takes a task
 *
 *     tls_sweep_t sweep;                                  one for each pool; it outlives the pool
 *     tls_sweep_init(&sweep, workers, 100, post, pool);
 *     tls_sweep_watch(&sweep);                            on each worker, in any task of it
 *
 *     tls_sweep_stop(&sweep);                             before the pool ends
 *
 * Once a worker watches, the end of a key whose values it has wakes it. Without tls_sweep_watch(),
 * call tls_sweep_request(&sweep) yourself.
 *
 * WHAT IT COSTS
 *   While a sweep is under way, the workers that have come wait for those that still work on other
 *   tasks, but not longer than the milliseconds given. One that is late is not waited for: it has
 *   its own expunge to come, after its task. A negative number waits for ever: then no task of the
 *   pool may wait for another one, or both may wait for the sweep.
 *
 * WHAT IT NEEDS
 *   A pool in which no task waits while a worker sleeps: one with one queue (libuv, GLib, Asio, most
 *   thread pools), not one in which each worker sleeps at a queue of its own.
 *
 * THREADING
 *   tls_sweep_init(), tls_sweep_stop() and tls_sweep_destroy() as with a mutex; the others on any
 *   thread, at any time, tls_sweep_request() inside a callback of the library too.
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

/* How the pool takes a task. Returns 0, and run(argument) will be called once, on a worker; or
 * anything else, and it won't. Called with nothing locked, by the one who releases a key. */
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
    bool again;   /* asked for while one was under way */
    bool stopped; /* not to be asked for any more */
} tls_sweep_t;

/* workers: how many the pool has, exactly. patience_ms: see WHAT IT COSTS. Returns 0 or an errno. */
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

/* No sweep is under way when this returns, and none begins any more: what asks for one is ignored.
 * Before the pool is told to end, and not on one of its workers: their tasks wait for each other. */
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

/* After tls_sweep_stop() and the pool's end, when nobody can ask for one any more. */
static inline void
tls_sweep_destroy(tls_sweep_t *sweep)
{
    pthread_mutex_destroy(&sweep->lock);
    pthread_cond_destroy(&sweep->changed);
}

static inline void tls_sweep_private_post(tls_sweep_t *sweep);

/* Begins a sweep: the poster and as many tasks as there are workers have yet to leave. Locked. */
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

/* Asks for a sweep: now, or after the one that is under way. Its type is that of
 * tls_thread_on_stale()'s notify. */
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

/* Has the pool swept whenever the calling worker gets stale values. Returns as
 * tls_thread_on_stale(). Cheap enough to be called in every task. */
static inline int
tls_sweep_watch(tls_sweep_t *sweep)
{
    return tls_thread_on_stale(tls_sweep_request, sweep);
}

#ifdef __cplusplus
}
#endif

#endif /* THREADLOCALMAP_SWEEP_H */
