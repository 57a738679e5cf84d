/*
 * threadlocalmap_glib.h - GLib's GThreadPool, with tasks that leave nothing behind.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The threads of GThreadPool do not belong to one pool: unless the pool is exclusive, an idle
 * thread moves to the next pool that needs one, with all its thread-locals, GPrivate's included.
 * With these functions each task runs in a scope: values that it sets are destroyed when it
 * returns, values they shadowed become visible again, and the task has copies of its submitter's
 * values of TLS_KEY_INHERIT keys.
 *
 *     pool = g_thread_pool_new(work, user_data, 4, FALSE, &error);     becomes
 *     pool = tls_g_thread_pool_new(work, user_data, 4, FALSE, &error);
 *
 *     g_thread_pool_push(pool, data, &error);                          becomes
 *     tls_g_thread_pool_push(pool, data, &error);
 *
 *     g_thread_pool_free(pool, immediate, wait);                       becomes
 *     tls_g_thread_pool_free(pool, immediate, wait);
 *
 * Pass pool->pool to every other function. A sort function (g_thread_pool_set_sort_function) gets a
 * pointer to a wrapper instead of the data: tls_g_thread_pool_data() returns the data.
 *
 * IDLE THREADS
 *   An idle thread ends after g_thread_pool_get_max_idle_time() (15 s), or in
 *   g_thread_pool_stop_unused_threads(), and its values are destroyed then. (A thread that is just
 *   becoming idle misses this call: repeat it while g_thread_pool_get_num_unused_threads() is not
 *   0.) The threads of an exclusive pool do not end before the pool: use threadlocalmap_sweep.h
 *   with tls_g_thread_pool_post().
 *
 * Needs GLib 2.70 or newer.
 */
#ifndef THREADLOCALMAP_GLIB_H
#define THREADLOCALMAP_GLIB_H

#include <glib.h>

#include "threadlocalmap.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A pool, and the function of its tasks. */
typedef struct tls_g_thread_pool {
    GThreadPool *pool; /* for the functions that have no counterpart here */
    GFunc func;
    gpointer user_data;
} tls_g_thread_pool_t;

/* Private: what waits in GLib's queue. */
typedef struct tls_g_item {
    tls_task_t *task; /* NULL: only run(data) */
    void (*run)(void *data);
    GFunc func;
    gpointer data;
    gpointer user_data;
} tls_g_item_t;

static inline void
tls_g_private_call(void *argument)
{
    tls_g_item_t *item = (tls_g_item_t *)argument;

    item->func(item->data, item->user_data);
}

static inline void
tls_g_private_run(gpointer data, gpointer user_data)
{
    tls_g_item_t *item = (tls_g_item_t *)data;

    (void)user_data;
    if (item->task != NULL)
        tls_task_run(item->task);
    else
        item->run(item->data);
    g_free(item);
}

static inline void
tls_g_private_drop(gpointer data)
{
    tls_g_item_t *item = (tls_g_item_t *)data;

    /* GLib wakes threads with a 1 in the queue, and hands that over too. */
    if (data == GSIZE_TO_POINTER(1))
        return;
    tls_task_cancel(item->task);
    g_free(item);
}

/* As g_thread_pool_new(). */
static inline tls_g_thread_pool_t *
tls_g_thread_pool_new(GFunc func, gpointer user_data, gint max_threads, gboolean exclusive,
                      GError **error)
{
    tls_g_thread_pool_t *pool = g_new(tls_g_thread_pool_t, 1);

    pool->func = func;
    pool->user_data = user_data;
    pool->pool = g_thread_pool_new_full(tls_g_private_run, NULL, tls_g_private_drop, max_threads,
                                        exclusive, error);
    if (pool->pool == NULL)
        g_clear_pointer(&pool, g_free);
    return pool;
}

/* As g_thread_pool_push(): returns FALSE and sets *error if no thread could be started; the task is
 * in the queue then too. Like the rest of GLib, it aborts if memory runs out. */
static inline gboolean
tls_g_thread_pool_push(tls_g_thread_pool_t *pool, gpointer data, GError **error)
{
    tls_g_item_t *item = g_new0(tls_g_item_t, 1);
    int code = tls_task_create(&item->task, tls_g_private_call, item);

    if (code != TLS_OK)
        g_error("tls_task_create: %s", tls_strerror(code));
    item->func = pool->func;
    item->user_data = pool->user_data;
    item->data = data;
    return g_thread_pool_push(pool->pool, item, error);
}

/* Runs run(argument) on a thread of the pool, in no scope. Its type is that of tls_sweep_init()'s
 * post, the pool being a tls_g_thread_pool_t. */
static inline int
tls_g_thread_pool_post(void *pool, void (*run)(void *argument), void *argument)
{
    tls_g_item_t *item = g_new0(tls_g_item_t, 1);

    item->run = run;
    item->data = argument;
    /* FALSE means that no thread could be started for it; it is in the queue. */
    (void)g_thread_pool_push(((tls_g_thread_pool_t *)pool)->pool, item, NULL);
    return 0;
}

/* For sort functions: the data of a task that waits; NULL if it is a function of
 * tls_g_thread_pool_post(). */
static inline gpointer
tls_g_thread_pool_data(gconstpointer task)
{
    const tls_g_item_t *item = (const tls_g_item_t *)task;

    return item->task != NULL ? item->data : NULL;
}

/* As g_thread_pool_free(). With immediate, waiting tasks are cancelled: no sweep may be in
 * progress. */
static inline void
tls_g_thread_pool_free(tls_g_thread_pool_t *pool, gboolean immediate, gboolean wait)
{
    g_thread_pool_free(pool->pool, immediate, wait);
    g_free(pool);
}

#ifdef __cplusplus
}
#endif

#endif /* THREADLOCALMAP_GLIB_H */
