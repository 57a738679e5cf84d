/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A pool of two workers, for the programs of docs/guide.md.
 *
 * pool_run() gives a task to one worker and waits until it has run, so that the programs
 * print the same each time. A worker that has no task sleeps.
 */
#ifndef GUIDE_POOL_H
#define GUIDE_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define POOL_WORKERS 2

struct pool_worker {
    const char *name;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;     /* for the worker */
    pthread_cond_t finished; /* for pool_run() */
    void (*task)(void *arg); /* under the lock, as the next three */
    void *arg;
    bool woken;
    bool stopping;
};

static struct pool_worker pool_workers[POOL_WORKERS] = {{.name = "worker 0"}, {.name = "worker 1"}};
static _Thread_local struct pool_worker *pool_this_worker; /* NULL on the main thread */

/* What each worker does first, and what it does after a task or when it was woken. */
static void (*pool_at_start)(struct pool_worker *self);
static void (*pool_after_task)(void);

static inline const char *pool_thread_name(void)
{
    return pool_this_worker == NULL ? "main" : pool_this_worker->name;
}

static inline void must(int code)
{
    if (code == 0) return;
    fprintf(stderr, "error %d\n", code);
    exit(1);
}

static inline void *pool_main(void *arg)
{
    struct pool_worker *self = arg;

    pool_this_worker = self;
    if (pool_at_start != NULL) pool_at_start(self);
    pthread_mutex_lock(&self->lock);
    for (;;) {
        while (self->task == NULL && !self->woken && !self->stopping)
            pthread_cond_wait(&self->wake, &self->lock);
        if (self->stopping) break;
        void (*task)(void *) = self->task;
        void *task_arg = self->arg;
        self->woken = false;
        pthread_mutex_unlock(&self->lock);
        if (task != NULL) task(task_arg);
        if (pool_after_task != NULL) pool_after_task();
        pthread_mutex_lock(&self->lock);
        if (task != NULL) {
            self->task = NULL;
            pthread_cond_signal(&self->finished);
        }
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

static inline void pool_start(void)
{
    for (int i = 0; i < POOL_WORKERS; i++) {
        struct pool_worker *worker = &pool_workers[i];
        must(pthread_mutex_init(&worker->lock, NULL));
        must(pthread_cond_init(&worker->wake, NULL));
        must(pthread_cond_init(&worker->finished, NULL));
        must(pthread_create(&worker->thread, NULL, pool_main, worker));
    }
}

/* Runs task(arg) on worker 0 or 1, and waits until it has run. */
static inline void pool_run(int number, void (*task)(void *arg), void *arg)
{
    struct pool_worker *worker = &pool_workers[number];

    pthread_mutex_lock(&worker->lock);
    worker->task = task;
    worker->arg = arg;
    pthread_cond_signal(&worker->wake);
    while (worker->task != NULL) pthread_cond_wait(&worker->finished, &worker->lock);
    pthread_mutex_unlock(&worker->lock);
}

/* Wakes a worker that sleeps, without a task. Any thread may call it. */
static inline void pool_wake(struct pool_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->woken = true;
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
}

static inline void pool_stop(void)
{
    for (int i = 0; i < POOL_WORKERS; i++) {
        struct pool_worker *worker = &pool_workers[i];
        pthread_mutex_lock(&worker->lock);
        worker->stopping = true;
        pthread_cond_signal(&worker->wake);
        pthread_mutex_unlock(&worker->lock);
        must(pthread_join(worker->thread, NULL));
    }
}

#endif
