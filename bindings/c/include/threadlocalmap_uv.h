/*
 * threadlocalmap_uv.h - work on libuv's thread pool that leaves nothing behind.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * libuv has one pool for the whole process. It has UV_THREADPOOL_SIZE threads, 4 by default, which
 * end with the process and have no hook. With these functions, work runs in a scope: values that it
 * sets are destroyed at its end, and it has copies of the values of TLS_KEY_INHERIT keys of the
 * loop's thread.
 *
 *     uv_work_t work;                                     becomes
 *     tls_uv_work_t work;
 *
 *     uv_queue_work(loop, &work, run, after);             becomes
 *     tls_uv_queue_work(loop, &work, run, after);
 *
 * The callbacks get &work.request, a uv_work_t, whose `data` is yours. Pass the same to
 * uv_cancel(): (uv_req_t *)&work.request.
 *
 * WORKERS THAT SLEEP
 *   A worker that sleeps keeps stale values of TLS_KEY_WORKER keys. To have them expunged, use one
 *   tls_uv_workers_t for the process:
 *
 *     static tls_uv_workers_t workers;
 *     tls_uv_workers_init(loop, &workers, 100);
 *     tls_uv_workers_watch(&workers);       in each run that keeps such values
 *
 *   When a key dies, the loop is woken and posts a task to each worker (see
 *   threadlocalmap_sweep.h). This does not keep the loop alive. Call tls_uv_workers_close() before
 *   you close the loop.
 *
 * Call these functions on the loop's thread, unless their text says otherwise.
 */
#ifndef THREADLOCALMAP_UV_H
#define THREADLOCALMAP_UV_H

#include <stdlib.h>
#include <uv.h>

#include "threadlocalmap_sweep.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A uv_work_t, and what the adapter needs. As with uv_work_t, it is in use until `after` is called.
 * */
typedef struct tls_uv_work {
    uv_work_t request; /* the first member: one is the address of the other */
    tls_task_t *task;  /* NULL: it runs or has run */
    uv_work_cb run;
    uv_after_work_cb after;
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

    tls_task_cancel(work->task); /* that of a cancelled request; else NULL */
    work->task = NULL;
    if (work->after != NULL)
        work->after(request, status);
}

/* As uv_queue_work(). Also returns UV_ENOMEM, and UV_EIO where a key's copy callback fails. */
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

/* It must be static, or outlive all keys: libuv's threads never end, and a thread that releases a
 * key may be about to wake the loop. */
typedef struct tls_uv_workers {
    uv_async_t woken; /* the first member; a worker has got stale values */
    uv_loop_t *loop;
    tls_sweep_t sweep;
    bool open;  /* guarded by the sweep's lock */
    bool again; /* woken while a sweep was under way: of the loop's thread */
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

    (void)status; /* no code has the request, so it can't be cancelled */
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

/* Runs on the thread that releases a key. */
static inline void
tls_uv_private_tell(void *argument)
{
    tls_uv_workers_t *workers = (tls_uv_workers_t *)argument;

    pthread_mutex_lock(&workers->sweep.lock);
    if (workers->open)
        uv_async_send(&workers->woken);
    pthread_mutex_unlock(&workers->sweep.lock);
}

/* The number of threads of libuv's pool. */
static inline size_t
tls_uv_threads(void)
{
    const char *text = getenv("UV_THREADPOOL_SIZE");
    long threads = text != NULL ? strtol(text, NULL, 10) : 4;

    return threads < 1 ? 1 : threads > 1024 ? 1024 : (size_t)threads;
}

/* Has this loop sweep the workers that watch, whenever they get stale values. patience_ms: how long
 * workers wait for a worker that is busy, see WHAT IT COSTS in threadlocalmap_sweep.h; 100 suits
 * most programs. Returns 0 or a UV_E*. */
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

/* Call it on a worker, in any work. Returns what tls_thread_on_stale() returns. */
static inline int
tls_uv_workers_watch(tls_uv_workers_t *workers)
{
    return tls_thread_on_stale(tls_uv_private_tell, workers);
}

/* Call it before the loop is closed: no thread wakes the loop after it. */
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
#endif

#endif /* THREADLOCALMAP_UV_H */
