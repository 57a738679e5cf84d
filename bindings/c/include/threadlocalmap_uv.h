/**
 * @file
 * threadlocalmap_uv.h - work on libuv's thread pool that leaves no values behind.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * libuv has one pool for the whole process, of 4 threads unless UV_THREADPOOL_SIZE says otherwise.
 * The threads end with the process and have no hook. With these functions, work runs in a scope:
 * values that it sets are destroyed when it returns, values they shadowed become visible again, and
 * the work has copies of the loop thread's values of TLS_KEY_INHERIT keys.
 *
 *     uv_work_t work;                                     becomes
 *     tls_uv_work_t work;
 *
 *     uv_queue_work(loop, &work, run, after);             becomes
 *     tls_uv_queue_work(loop, &work, run, after);
 *
 * The callbacks are called with &work.request, a uv_work_t whose data is yours, as before. For
 * uv_cancel() pass (uv_req_t *)&work.request.
 *
 * WORKERS THAT SLEEP
 *   If a worker keeps values for longer than a task (TLS_KEY_WORKER), and their objects die while
 *   it sleeps, the values stay. To have them expunged, use one tls_uv_workers_t for the process.
 *
 *       static tls_uv_workers_t workers;
 *       tls_uv_workers_init(loop, &workers, 100);
 *       tls_uv_workers_watch(&workers);       in each run that keeps such values
 *
 *   When such a key dies, the loop is woken and posts a task to each worker (see
 *   threadlocalmap_sweep.h). This does not keep the loop alive. Call tls_uv_workers_close() before
 *   you close the loop.
 *
 * Call the functions on the loop's thread, unless their text says otherwise.
 */
#ifndef THREADLOCALMAP_UV_H
#define THREADLOCALMAP_UV_H

#include <stdlib.h>
#include <uv.h>

#include "threadlocalmap_sweep.h"

#ifdef __cplusplus
/* What follows is C, with casts of C. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
extern "C" {
#endif

/** Replaces uv_work_t. Like a uv_work_t, it is in use until `after` is called. */
typedef struct tls_uv_work {
    uv_work_t request;      /**< The request, for libuv's functions. It is the first member. */
    tls_task_t *task;       /**< Private; NULL when the task runs or has run. */
    uv_work_cb run;         /**< Private. */
    uv_after_work_cb after; /**< Private. */
} tls_uv_work_t;

static inline void
tls_uv_private_call(void *argument)
{
    tls_uv_work_t *work = (tls_uv_work_t *)argument;

    work->run(&work->request);
}

static inline void
tls_uv_private_run(uv_work_t *request)
{
    tls_uv_work_t *work = (tls_uv_work_t *)(void *)request;
    tls_task_t *task = work->task;

    work->task = NULL;
    tls_task_run(task);
}

static inline void
tls_uv_private_after(uv_work_t *request, int status)
{
    tls_uv_work_t *work = (tls_uv_work_t *)(void *)request;

    tls_task_cancel(work->task); /* NULL, unless the request was cancelled */
    work->task = NULL;
    if (work->after != NULL)
        work->after(request, status);
}

/**
 * Does what uv_queue_work() does, with the work in a scope.
 *
 * @param loop The loop.
 * @param work In use until `after` is called.
 * @param run Called on a worker.
 * @param after Called on the loop's thread. It may be NULL.
 *
 * @return As uv_queue_work(); also UV_ENOMEM, and UV_EIO if a key's copy callback fails.
 */
static inline int
tls_uv_queue_work(uv_loop_t *loop, tls_uv_work_t *work, uv_work_cb run, uv_after_work_cb after)
{
    int code;

    if (run == NULL)
        return UV_EINVAL;
    work->run = run;
    work->after = after;
    code = tls_task_create(&work->task, tls_uv_private_call, work);
    if (code != TLS_OK)
        return code == TLS_ERR_INIT ? UV_EIO : UV_ENOMEM;
    code = uv_queue_work(loop, &work->request, tls_uv_private_run, tls_uv_private_after);
    if (code != 0)
        tls_task_cancel(work->task);
    return code;
}

/* ---- Workers that sleep ------------------------------------------------ */

/**
 * The workers of libuv's pool, for tls_uv_workers_watch(). Its members are private.
 *
 * Make it static, or free it only when no watched key is left: libuv's threads never end, and a
 * thread that releases a key may be about to wake the loop.
 */
typedef struct tls_uv_workers {
    /** @cond PRIVATE */
    uv_async_t woken; /* the first member; sent when a worker gets stale values */
    uv_loop_t *loop;
    tls_sweep_t sweep;
    bool open;  /* guarded by the sweep's lock */
    bool again; /* woken during a sweep; only the loop's thread uses it */
    /** @endcond */
} tls_uv_workers_t;

typedef struct tls_uv_sweep_work {
    uv_work_t request; /* the first member */
    tls_uv_workers_t *workers;
    void (*run)(void *argument);
    void *argument;
} tls_uv_sweep_work_t;

static inline void
tls_uv_private_sweep_run(uv_work_t *request)
{
    tls_uv_sweep_work_t *work = (tls_uv_sweep_work_t *)(void *)request;

    work->run(work->argument);
}

/* Only the loop's thread may post, so it begins the next sweep. */
static inline void
tls_uv_private_sweep_again(tls_uv_workers_t *workers)
{
    if (!workers->again || tls_sweep_under_way(&workers->sweep))
        return;
    workers->again = false;
    tls_sweep_request(&workers->sweep);
}

static inline void
tls_uv_private_sweep_after(uv_work_t *request, int status)
{
    tls_uv_sweep_work_t *work = (tls_uv_sweep_work_t *)(void *)request;

    (void)status; /* the request is private, so it is never cancelled */
    tls_uv_private_sweep_again(work->workers);
    free(work);
}

static inline int
tls_uv_private_sweep_post(void *argument, void (*run)(void *argument), void *sweep)
{
    tls_uv_workers_t *workers = (tls_uv_workers_t *)argument;
    tls_uv_sweep_work_t *work = (tls_uv_sweep_work_t *)malloc(sizeof(*work));
    int code;

    if (work == NULL)
        return UV_ENOMEM;
    work->workers = workers;
    work->run = run;
    work->argument = sweep;
    code = uv_queue_work(workers->loop, &work->request, tls_uv_private_sweep_run,
                         tls_uv_private_sweep_after);
    if (code != 0)
        free(work);
    return code;
}

static inline void
tls_uv_private_woken(uv_async_t *woken)
{
    tls_uv_workers_t *workers = (tls_uv_workers_t *)(void *)woken;

    workers->again = true;
    tls_uv_private_sweep_again(workers);
}

/* Called on any thread that releases a key. */
static inline void
tls_uv_private_tell(void *argument)
{
    tls_uv_workers_t *workers = (tls_uv_workers_t *)argument;

    pthread_mutex_lock(&workers->sweep.lock);
    if (workers->open)
        uv_async_send(&workers->woken);
    pthread_mutex_unlock(&workers->sweep.lock);
}

/**
 * Returns how many threads libuv's pool has, or will have when it starts.
 *
 * @return The number that UV_THREADPOOL_SIZE stands for.
 */
static inline size_t
tls_uv_threads(void)
{
    const char *text = getenv("UV_THREADPOOL_SIZE");
    long threads = text != NULL ? strtol(text, NULL, 10) : 4;

    return threads < 1 ? 1 : threads > 1024 ? 1024 : (size_t)threads;
}

/**
 * Prepares sweeps on this loop. A sweep begins when a worker that called tls_uv_workers_watch()
 * gets stale values.
 *
 * @param loop The loop that posts the tasks.
 * @param[out] workers See tls_uv_workers_t for how long it must exist.
 * @param patience_ms How many milliseconds workers wait for busy ones (see WHAT IT COSTS in
 *   threadlocalmap_sweep.h); 100 suits most programs.
 *
 * @return 0, or an error of libuv.
 */
static inline int
tls_uv_workers_init(uv_loop_t *loop, tls_uv_workers_t *workers, int patience_ms)
{
    int code = tls_sweep_init(&workers->sweep, tls_uv_threads(), patience_ms,
                              tls_uv_private_sweep_post, workers);

    if (code != 0)
        return uv_translate_sys_error(code);
    workers->loop = loop;
    workers->again = false;
    workers->open = true;
    code = uv_async_init(loop, &workers->woken, tls_uv_private_woken);
    if (code == 0)
        uv_unref((uv_handle_t *)&workers->woken);
    return code;
}

/**
 * Begins a sweep whenever the calling worker gets stale values. Call it on a worker, in any work.
 *
 * @param workers Initialised with tls_uv_workers_init().
 *
 * @return The result of tls_thread_on_stale().
 */
static inline int
tls_uv_workers_watch(tls_uv_workers_t *workers)
{
    return tls_thread_on_stale(tls_uv_private_tell, workers);
}

/**
 * Ends the sweeps. Call it before you close the loop; the loop is not woken any more.
 *
 * @param workers Initialised with tls_uv_workers_init().
 */
static inline void
tls_uv_workers_close(tls_uv_workers_t *workers)
{
    pthread_mutex_lock(&workers->sweep.lock);
    workers->open = false;
    pthread_mutex_unlock(&workers->sweep.lock);
    uv_close((uv_handle_t *)&workers->woken, NULL);
}

#ifdef __cplusplus
}
#pragma GCC diagnostic pop
#endif

#endif /* THREADLOCALMAP_UV_H */
