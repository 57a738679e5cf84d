/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

enum { TASKS_PER_WORKER = 4 };

struct task {
    void (*run)(void *argument, size_t index);
    void *argument;
    size_t index;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work; /* a task was queued, a round was called, or the pool stops */
    pthread_cond_t room; /* a task was taken out of the queue */
    pthread_cond_t idle; /* the last task of the queue is done, or the round is over */
    struct task *queue;  /* a ring */
    size_t capacity, head, count;
    unsigned running; /* tasks being worked on */
    unsigned started; /* workers, while they are started */
    unsigned round;   /* pool_drain asks every worker to call after_task once */
    unsigned round_left;
    bool stopping;
    struct pool_hooks hooks;
    unsigned threads;
    pthread_t thread[];
};

static _Thread_local unsigned worker_number;

unsigned pool_worker(void) { return worker_number; }

static void after_task(struct pool *pool) {
    if (pool->hooks.after_task != NULL) pool->hooks.after_task();
}

static void *worker_main(void *argument) {
    struct pool *pool = argument;
    pthread_mutex_lock(&pool->lock);
    worker_number = pool->started++;
    unsigned round = 0;
    for (;;) {
        if (pool->count > 0) {
            struct task task = pool->queue[pool->head];
            pool->head = (pool->head + 1) % pool->capacity;
            pool->count--;
            pool->running++;
            pthread_cond_signal(&pool->room);
            pthread_mutex_unlock(&pool->lock);
            task.run(task.argument, task.index);
            after_task(pool);
            pthread_mutex_lock(&pool->lock);
            if (--pool->running == 0 && pool->count == 0) pthread_cond_broadcast(&pool->idle);
        } else if (round != pool->round) {
            round = pool->round;
            pthread_mutex_unlock(&pool->lock);
            after_task(pool);
            pthread_mutex_lock(&pool->lock);
            if (--pool->round_left == 0) pthread_cond_broadcast(&pool->idle);
        } else if (pool->stopping) {
            break;
        } else {
            pthread_cond_wait(&pool->work, &pool->lock);
        }
    }
    pthread_mutex_unlock(&pool->lock);
    if (pool->hooks.worker_exit != NULL) pool->hooks.worker_exit();
    return NULL;
}

struct pool *pool_start(unsigned threads, struct pool_hooks hooks) {
    struct pool *pool = calloc(1, sizeof *pool + threads * sizeof pool->thread[0]);
    if (pool == NULL) return NULL;
    pool->hooks = hooks;
    pool->capacity = (size_t)threads * TASKS_PER_WORKER;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->room, NULL);
    pthread_cond_init(&pool->idle, NULL);
    pool->queue = calloc(pool->capacity, sizeof pool->queue[0]);
    while (pool->queue != NULL && pool->threads < threads &&
           pthread_create(&pool->thread[pool->threads], NULL, worker_main, pool) == 0)
        pool->threads++;
    if (pool->threads < threads) {
        pool_stop(pool);
        return NULL;
    }
    return pool;
}

void pool_submit(struct pool *pool, void (*run)(void *argument, size_t index), void *argument,
                 size_t index) {
    pthread_mutex_lock(&pool->lock);
    while (pool->count == pool->capacity) pthread_cond_wait(&pool->room, &pool->lock);
    pool->queue[(pool->head + pool->count) % pool->capacity] =
        (struct task){.run = run, .argument = argument, .index = index};
    pool->count++;
    pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

void pool_drain(struct pool *pool) {
    pthread_mutex_lock(&pool->lock);
    while (pool->count > 0 || pool->running > 0) pthread_cond_wait(&pool->idle, &pool->lock);
    pool->round++;
    pool->round_left = pool->threads;
    pthread_cond_broadcast(&pool->work);
    while (pool->round_left > 0) pthread_cond_wait(&pool->idle, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

void pool_stop(struct pool *pool) {
    pool_drain(pool);
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->threads; i++) pthread_join(pool->thread[i], NULL);
    pthread_cond_destroy(&pool->idle);
    pthread_cond_destroy(&pool->room);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool->queue);
    free(pool);
}
