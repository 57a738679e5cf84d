/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A fixed pool of threads with one bounded queue.
 *
 * It does not know thread-locals. Like most pools it has one hook: after_task, which each worker
 * calls when it has finished a task, and once more in pool_drain(). */
#ifndef POOL_H
#define POOL_H

#include <stddef.h>

struct pool;

struct pool_hooks {
    void (*after_task)(void);  /* on a worker, with no lock held; may be NULL */
    void (*worker_exit)(void); /* on a worker, the last thing it does; may be NULL */
};

/* Starts the workers. Returns NULL if memory or a thread could not be had. */
struct pool *pool_start(unsigned threads, struct pool_hooks hooks);

/* Queues run(argument, index); waits while the queue is full. */
void pool_submit(struct pool *pool, void (*run)(void *argument, size_t index), void *argument,
                 size_t index);

/* Waits until every task is done and every worker has called after_task since. The workers do not
 * end: what is still in memory after this call stays for as long as the pool exists. */
void pool_drain(struct pool *pool);

/* Drains, ends the workers and frees the pool. */
void pool_stop(struct pool *pool);

/* The calling worker's number, from 0. */
unsigned pool_worker(void);

#endif
