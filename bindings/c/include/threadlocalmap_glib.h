/**
 * @file
 * threadlocalmap_glib.h - tasks on GLib's GThreadPool that leave no values behind.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Unless a GThreadPool is exclusive, its threads do not belong to it: a thread that is idle goes to
 * the next pool that needs one, with all its thread-locals, those of GPrivate included. With these
 * functions each task runs in a scope: values that it sets are destroyed when it returns, values
 * they shadowed become visible again, and the task has copies of its submitter's values of
 * TLS_KEY_INHERIT keys.
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
 * For every other function of GLib, pass pool->pool. A sort function
 * (g_thread_pool_set_sort_function) is called with an item that wraps the data:
 * tls_g_thread_pool_data() returns the data.
 *
 * IDLE THREADS
 *   A thread that is idle for g_thread_pool_get_max_idle_time() (15 s) ends, and its values are
 *   destroyed. g_thread_pool_stop_unused_threads() ends the idle threads at once. (It misses a
 *   thread that is becoming idle at this moment: repeat the call while
 *   g_thread_pool_get_num_unused_threads() is not 0.) The threads of an exclusive pool end with the
 *   pool. To expunge on them, use threadlocalmap_sweep.h with tls_g_thread_pool_post().
 *
 * It needs GLib 2.70 or newer.
 */
#ifndef THREADLOCALMAP_GLIB_H
#define THREADLOCALMAP_GLIB_H

#include <glib.h>

#include "threadlocalmap.h"

#ifdef __cplusplus
/* What follows is C, with casts of C. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
extern "C" {
#endif

/** A pool, and the function that its tasks run. */
typedef struct tls_g_thread_pool {
    GThreadPool *pool;  /**< For the functions of GLib that have no counterpart here. */
    GFunc func;         /**< The function. */
    gpointer user_data; /**< Its second argument. */
} tls_g_thread_pool_t;

/* Private: an item of GLib's queue. */
typedef struct tls_g_item {
    tls_task_t *task; /* if NULL, only run(data) is called */
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

    /* GLib puts a 1 in the queue to wake threads, and passes it here too. */
    if (data == GSIZE_TO_POINTER(1))
        return;
    tls_task_cancel(item->task);
    g_free(item);
}

/**
 * Does what g_thread_pool_new() does, for tasks in scopes.
 *
 * @param func Called with the data of each task, and user_data.
 * @param user_data Passed to func.
 * @param max_threads The largest number of threads; -1 for no limit.
 * @param exclusive Whether the threads belong to this pool only.
 * @param[out] error Receives the error, as in GLib. It may be NULL.
 *
 * @return The pool; NULL with the error set if it could not be made.
 */
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

/**
 * Does what g_thread_pool_push() does, with the task in a scope.
 *
 * If memory can't be allocated, or a key's copy callback fails, it aborts the program, as GLib does
 * for memory.
 *
 * @param pool The pool.
 * @param data The data of the task.
 * @param[out] error Receives the error, as in GLib. It may be NULL.
 *
 * @return TRUE; FALSE with the error set if no thread could be started. In both cases the task is
 *   in the queue.
 */
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

/**
 * Runs a function on a thread of the pool, in no scope.
 *
 * It has the type that tls_sweep_init() takes.
 *
 * @param pool The pool, a tls_g_thread_pool_t.
 * @param run The function.
 * @param argument Its argument.
 *
 * @return 0.
 */
static inline int
tls_g_thread_pool_post(void *pool, void (*run)(void *argument), void *argument)
{
    tls_g_item_t *item = g_new0(tls_g_item_t, 1);

    item->run = run;
    item->data = argument;
    /* FALSE means that no thread could be started; the item is in the queue nevertheless. */
    (void)g_thread_pool_push(((tls_g_thread_pool_t *)pool)->pool, item, NULL);
    return 0;
}

/**
 * Returns the data of a queued task, for sort functions.
 *
 * @param task What GLib calls the sort function with.
 *
 * @return The data; NULL if the task was posted with tls_g_thread_pool_post().
 */
static inline gpointer
tls_g_thread_pool_data(gconstpointer task)
{
    const tls_g_item_t *item = (const tls_g_item_t *)task;

    return item->task != NULL ? item->data : NULL;
}

/**
 * Does what g_thread_pool_free() does.
 *
 * @param pool The pool.
 * @param immediate Whether to cancel the tasks that are queued. No sweep may be in progress then.
 * @param wait Whether to wait for the tasks that run, and for the queued ones if they are not
 *   cancelled.
 */
static inline void
tls_g_thread_pool_free(tls_g_thread_pool_t *pool, gboolean immediate, gboolean wait)
{
    g_thread_pool_free(pool->pool, immediate, wait);
    g_free(pool);
}

#ifdef __cplusplus
}
#pragma GCC diagnostic pop
#endif

#endif /* THREADLOCALMAP_GLIB_H */
