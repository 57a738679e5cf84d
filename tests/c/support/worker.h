/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A thread that does what it is told, one call at a time, while the teller
 * waits: scripts over two threads read from top to bottom.
 */
#ifndef WORKER_H
#define WORKER_H

#include "test.h"

typedef struct worker {
    pthread_t thread;
    unsigned number; /* test_thread() of the worker */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool busy;     /* a job is waiting or running */
    bool stopping;
    void (*job)(void *argument);
    void *argument;
} worker_t;

static inline void *
worker_body(void *argument)
{
    worker_t *worker = (worker_t *)argument;

    pthread_mutex_lock(&worker->lock);
    worker->number = test_thread();
    worker->busy = false;
    pthread_cond_broadcast(&worker->changed);
    for (;;) {
        while (!worker->busy && !worker->stopping)
            pthread_cond_wait(&worker->changed, &worker->lock);
        if (worker->stopping)
            break;
        pthread_mutex_unlock(&worker->lock);
        worker->job(worker->argument);
        pthread_mutex_lock(&worker->lock);
        worker->busy = false;
        pthread_cond_broadcast(&worker->changed);
    }
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

static inline void
worker_start(worker_t *worker)
{
    CHECK_INT(pthread_mutex_init(&worker->lock, NULL), 0);
    CHECK_INT(pthread_cond_init(&worker->changed, NULL), 0);
    worker->busy = true;
    worker->stopping = false;
    worker->thread = test_start(worker_body, worker);
    pthread_mutex_lock(&worker->lock);
    while (worker->busy)
        pthread_cond_wait(&worker->changed, &worker->lock);
    pthread_mutex_unlock(&worker->lock);
}

/* Has the worker run job(argument). */
static inline void
worker_begin(worker_t *worker, void (*job)(void *), void *argument)
{
    pthread_mutex_lock(&worker->lock);
    worker->job = job;
    worker->argument = argument;
    worker->busy = true;
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
}

/* Waits until the worker's job is done. */
static inline void
worker_wait(worker_t *worker)
{
    pthread_mutex_lock(&worker->lock);
    while (worker->busy)
        pthread_cond_wait(&worker->changed, &worker->lock);
    pthread_mutex_unlock(&worker->lock);
}

/* Runs job(argument) on the worker and waits for it. */
static inline void
worker_do(worker_t *worker, void (*job)(void *), void *argument)
{
    worker_begin(worker, job, argument);
    worker_wait(worker);
}

/* Lets the worker's thread end, and waits until it has. */
static inline void
worker_stop(worker_t *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->stopping = true;
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
    test_join(worker->thread);
    pthread_cond_destroy(&worker->changed);
    pthread_mutex_destroy(&worker->lock);
}

/* ---- The library's calls, made on the worker ------------------------- */

typedef struct worker_call {
    tls_key_t key;
    void *value;
    size_t number;
    int code;
} worker_call_t;

static inline void
worker_job_set(void *argument)
{
    worker_call_t *call = (worker_call_t *)argument;

    call->code = tls_set(call->key, call->value);
}

static inline void
worker_job_get(void *argument)
{
    worker_call_t *call = (worker_call_t *)argument;

    call->value = tls_get(call->key);
}

static inline void
worker_job_try_get(void *argument)
{
    worker_call_t *call = (worker_call_t *)argument;

    call->code = tls_try_get(call->key, &call->value);
}

static inline void
worker_job_remove(void *argument)
{
    worker_call_t *call = (worker_call_t *)argument;

    call->code = tls_remove(call->key);
}

static inline void
worker_job_stale_count(void *argument)
{
    ((worker_call_t *)argument)->number = tls_stale_count();
}

static inline void
worker_job_expunge(void *argument)
{
    ((worker_call_t *)argument)->number = tls_expunge();
}

static inline void
worker_job_expunge_some(void *argument)
{
    worker_call_t *call = (worker_call_t *)argument;

    call->number = tls_expunge_some(call->number);
}

static inline void
worker_job_detach(void *argument)
{
    ((worker_call_t *)argument)->code = tls_thread_detach();
}

static inline worker_call_t
worker_call(worker_t *worker, void (*job)(void *), tls_key_t key, void *value,
            size_t number)
{
    worker_call_t call;

    call.key = key;
    call.value = value;
    call.number = number;
    call.code = TLS_OK;
    worker_do(worker, job, &call);
    return call;
}

static inline int
worker_set(worker_t *worker, tls_key_t key, void *value)
{
    return worker_call(worker, worker_job_set, key, value, 0).code;
}

/* Starts some, each with a value of the key: 1, 2, ... */
static inline void
workers_start_with_values(worker_t *workers, size_t number, tls_key_t key)
{
    size_t i;

    for (i = 0; i < number; i++) {
        worker_start(&workers[i]);
        CHECK_OK(worker_set(&workers[i], key, VALUE(i + 1)));
    }
}

static inline void
workers_stop(worker_t *workers, size_t number)
{
    size_t i;

    for (i = 0; i < number; i++)
        worker_stop(&workers[i]);
}

static inline void *
worker_get(worker_t *worker, tls_key_t key)
{
    return worker_call(worker, worker_job_get, key, NULL, 0).value;
}

/* The code only; see worker_get for the value. */
static inline int
worker_try_get(worker_t *worker, tls_key_t key)
{
    return worker_call(worker, worker_job_try_get, key, NULL, 0).code;
}

static inline int
worker_remove(worker_t *worker, tls_key_t key)
{
    return worker_call(worker, worker_job_remove, key, NULL, 0).code;
}

static inline size_t
worker_stale_count(worker_t *worker)
{
    return worker_call(worker, worker_job_stale_count, 0, NULL, 0).number;
}

static inline size_t
worker_expunge(worker_t *worker)
{
    return worker_call(worker, worker_job_expunge, 0, NULL, 0).number;
}

static inline size_t
worker_expunge_some(worker_t *worker, size_t budget)
{
    return worker_call(worker, worker_job_expunge_some, 0, NULL, budget).number;
}

static inline int
worker_detach(worker_t *worker)
{
    return worker_call(worker, worker_job_detach, 0, NULL, 0).code;
}

#endif /* WORKER_H */
