/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The workers of a pool sleep, an object dies, and the workers wake up and free
 * their values of it.
 *
 * A worker frees its stale values when it next runs, and a worker that sleeps
 * does not run. tls_thread_on_stale() registers a function that wakes it. Here
 * one worker sleeps on a condition variable, and one in poll(), on an eventfd.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <threadlocalmap.h>

/* The pool outlives its workers: a waker may still be running when one ends. */
struct pool {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int event;
    bool stopping; /* under the lock */
    tls_key_t document;
    pthread_barrier_t ready;
};

static void fail(const char *what)
{
    fprintf(stderr, "%s failed\n", what);
    exit(1);
}

static void check(const char *what, int code)
{
    if (code != TLS_OK) {
        fprintf(stderr, "%s: %s\n", what, tls_strerror(code));
        exit(1);
    }
}

static _Thread_local const char *worker_name = "main";

static void free_buffer(void *buffer, int reason, void *user)
{
    (void)user;
    printf("%s frees its buffer%s\n", worker_name,
           reason == TLS_REASON_KEY_DEAD ? ": the document has died" : "");
    free(buffer);
}

/* Work on the document leaves a buffer in the worker's thread. */
static void work_on_document(struct pool *pool)
{
    void *buffer = malloc(65536);

    if (buffer == NULL)
        fail("malloc");
    check("tls_set", tls_set(pool->document, buffer));
}

/* ---- The worker on a condition variable ----------------------------------- */

/* The waker: runs on the thread that releases the key, so it should be quick. */
static void signal_condition(void *arg)
{
    struct pool *pool = arg;

    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

static void *condition_worker(void *arg)
{
    struct pool *pool = arg;

    worker_name = "the worker on a condition variable";
    check("tls_thread_on_stale", tls_thread_on_stale(signal_condition, pool));
    work_on_document(pool);
    pthread_barrier_wait(&pool->ready);
    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        if (tls_stale_count() != 0) { /* read under the lock: no wake-up is lost */
            pthread_mutex_unlock(&pool->lock);
            tls_expunge();
            pthread_mutex_lock(&pool->lock);
        } else {
            pthread_cond_wait(&pool->wake, &pool->lock);
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* ---- The worker on an eventfd ----------------------------------------------- */

static void write_event(void *arg)
{
    struct pool *pool = arg;
    uint64_t one = 1;

    if (write(pool->event, &one, sizeof one) != sizeof one)
        fail("write to the eventfd");
}

static bool is_stopping(struct pool *pool)
{
    bool stopping;

    pthread_mutex_lock(&pool->lock);
    stopping = pool->stopping;
    pthread_mutex_unlock(&pool->lock);
    return stopping;
}

static void *event_worker(void *arg)
{
    struct pool *pool = arg;

    worker_name = "the worker on an eventfd";
    check("tls_thread_on_stale", tls_thread_on_stale(write_event, pool));
    work_on_document(pool);
    pthread_barrier_wait(&pool->ready);
    while (!is_stopping(pool)) {
        struct pollfd waiting = {.fd = pool->event, .events = POLLIN};
        uint64_t events;

        if (poll(&waiting, 1, -1) == 1 && read(pool->event, &events, sizeof events) < 0)
            fail("read from the eventfd");
        tls_expunge();
    }
    return NULL;
}

/* ---- The program --------------------------------------------------------------- */

static void stop(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    write_event(pool);
}

int main(void)
{
    struct pool pool = {.event = eventfd(0, 0)};
    tls_key_options_t options = {.size = sizeof options};
    pthread_t threads[2];
    size_t left = 0;

    options.name = "document";
    options.destroy = free_buffer;
    check("tls_key_create", tls_key_create(&pool.document, &options));
    if (pool.event < 0 || pthread_mutex_init(&pool.lock, NULL) != 0 ||
        pthread_cond_init(&pool.wake, NULL) != 0 ||
        pthread_barrier_init(&pool.ready, NULL, 3) != 0 ||
        pthread_create(&threads[0], NULL, condition_worker, &pool) != 0 ||
        pthread_create(&threads[1], NULL, event_worker, &pool) != 0)
        fail("starting the pool");
    pthread_barrier_wait(&pool.ready);

    puts("both workers have a buffer for the document, and sleep");
    check("tls_key_release", tls_key_release(pool.document));
    /* Waits until no thread has a buffer. The workers have no other work. */
    check("tls_key_drain", tls_key_drain(pool.document, -1, &left));
    printf("the document has died, and %zu buffers are left\n", left);

    stop(&pool);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    close(pool.event);
    return 0;
}
