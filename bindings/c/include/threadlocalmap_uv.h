/*
 * threadlocalmap_uv.h - work on libuv's thread pool that leaves nothing behind.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * libuv has one pool for the whole process: UV_THREADPOOL_SIZE threads, 4 unless it says otherwise,
 * which end with the process and have no hook. With these, work runs in a scope: what it sets ends
 * with it, and what the thread of the loop has under TLS_KEY_INHERIT keys it has too.
 *
 *     uv_work_t work;                                     becomes
 *     tls_uv_work_t work;
 *
 *     uv_queue_work(loop, &work, run, after);             becomes
 *     tls_uv_queue_work(loop, &work, run, after);
 *
 * The callbacks are given &work.request, a uv_work_t, whose data is yours as ever; and so is what
 * uv_cancel() takes: (uv_req_t *)&work.request.
 *
 * WORKERS THAT SLEEP
 *   Keep the values of objects that have died meanwhile, if they are kept for longer than a task
 *   (TLS_KEY_WORKER). To have them expunged: tls_uv_workers_t, once for each process.
 *
 *     static tls_uv_workers_t workers;
 *     tls_uv_workers_init(loop, &workers, 100);
 *     tls_uv_workers_watch(&workers);       in each run that keeps such values
 *
 *   The end of a key is then told to the loop, which posts a task to each worker (see
 *   threadlocalmap_sweep.h). It does not keep the loop alive; tls_uv_workers_close() before the
 *   loop is closed.
 *
 * Functions are called on the loop's thread, unless they say otherwise.
 */
#ifndef THREADLOCALMAP_UV_H
#define THREADLOCALMAP_UV_H

#include <stdlib.h>
#include <uv.h>

#include "threadlocalmap_sweep.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What uv_work_t is, and what the adapter needs. Like it, it is in use until `after` is called. */
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

/* Static, or at least never freed before all keys are: libuv's threads never end, and the one who
 * releases a key may be about to tell. */
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

/* Only the loop's thread may post, so it is who begins the next sweep. */
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

    (void)status; /* nobody has the request, to cancel it */
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

/* On whatever thread releases a key. */
static inline void
tls_uv_private_tell(void *argument)
{
    tls_uv_workers_t *workers = (tls_uv_workers_t *)argument;

    pthread_mutex_lock(&workers->sweep.lock);
    if (workers->open)
        uv_async_send(&workers->woken);
    pthread_mutex_unlock(&workers->sweep.lock);
}

/* How many threads libuv's pool has, or is going to have. */
static inline size_t
tls_uv_threads(void)
{
    const char *text = getenv("UV_THREADPOOL_SIZE");
    long threads = text != NULL ? strtol(text, NULL, 10) : 4;

    return threads < 1 ? 1 : threads > 1024 ? 1024 : (size_t)threads;
}

/* Has workers that watch swept on this loop whenever they get stale values. patience_ms: how long
 * workers wait for one that is busy, see WHAT IT COSTS in threadlocalmap_sweep.h; 100 suits most.
 * Returns 0 or a UV_E*. */
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

/* On a worker, in any work. Returns as tls_thread_on_stale(). */
static inline int
tls_uv_workers_watch(tls_uv_workers_t *workers)
{
    return tls_thread_on_stale(tls_uv_private_tell, workers);
}

/* Before the loop is closed: nobody tells it any more. */
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
