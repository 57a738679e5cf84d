/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Fibers that move from thread to thread, each with a map of its own.
 *
 *     cc examples/fibers.c -Iinclude -Ltarget/dist -lthreadlocalmap -pthread
 *
 * A thread-local variable belongs to a thread: a fiber that yields on one thread
 * and continues on another finds the other thread's variable there. Here each
 * fiber has a tls_map_t, and the scheduler switches the map where it switches the
 * stack. So tls_get() finds the fiber's own values on every thread.
 *
 * Six fibers take eight steps each, every step on the next of three workers.
 * After the fourth step a key dies while the fibers are parked: each worker
 * expunges the stale values of the fiber that it continues. At the end no value
 * is left.
 */
#define _XOPEN_SOURCE 700
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <threadlocalmap.h>
#include <ucontext.h>

enum { WORKERS = 3, FIBERS = 6, STEPS = 8, STACK = 64 * 1024 };

static int made, ended, lost; /* values; changed with __atomic functions */

/* ---- Fibers -------------------------------------------------------------- */

typedef struct fiber {
    ucontext_t context;
    ucontext_t *back; /* the worker that runs it */
    tls_map_t *map;
    char *stack;
    int number, worker, steps;
    size_t expunged;
    bool done;
    struct fiber *next; /* in a worker's queue */
} fiber_t;

static tls_key_t step_count; /* init makes each fiber's */
static tls_key_t request;    /* dies while fibers are parked */

static int new_count(void **value, void *user) {
    (void)user;
    *value = calloc(1, sizeof(int));
    __atomic_add_fetch(&made, 1, __ATOMIC_RELAXED);
    return *value == NULL;
}

static void end_value(void *value, int reason, void *user) {
    (void)reason, (void)user;
    free(value);
    __atomic_add_fetch(&ended, 1, __ATOMIC_RELAXED);
}

/* Switches stacks, so it must not be inlined: code before and after it may run
 * on different threads. */
__attribute__((noinline)) static void yield(fiber_t *fiber) {
    swapcontext(&fiber->context, fiber->back);
}

/* makecontext() hands over ints only: a pointer comes in two halves. */
static void run_fiber(unsigned low, unsigned high) {
    fiber_t *fiber = (fiber_t *)(((uintptr_t)high << 16 << 16) | low);
    int *first = tls_get(step_count); /* made here, by init */
    if (tls_set(request, malloc(100)) == TLS_OK) __atomic_add_fetch(&made, 1, __ATOMIC_RELAXED);
    for (fiber->steps = 1; fiber->steps <= STEPS; fiber->steps++) {
        int *count = tls_get(step_count); /* on the thread that runs it now */
        if (count != first || ++*count != fiber->steps) __atomic_add_fetch(&lost, 1, __ATOMIC_RELAXED);
        yield(fiber);
    }
    fiber->done = true;
    yield(fiber);
}

/* ---- Workers ------------------------------------------------------------- */

typedef struct worker {
    pthread_t thread;
    ucontext_t context;
    int number;
    fiber_t *first, **last; /* the queue */
} worker_t;

static worker_t workers[WORKERS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int parked, finished;

/* Puts a fiber into a worker's queue. Call it with the lock held. */
static void enqueue(worker_t *worker, fiber_t *fiber) {
    fiber->next = NULL;
    *worker->last = fiber;
    worker->last = &fiber->next;
    pthread_cond_broadcast(&changed);
}

/* The worker's next fiber, or NULL if all have finished. Call it with the lock held. */
static fiber_t *dequeue(worker_t *worker) {
    while (!worker->first && finished < FIBERS) pthread_cond_wait(&changed, &lock);
    fiber_t *fiber = worker->first;
    if (fiber && !(worker->first = fiber->next)) worker->last = &worker->first;
    return fiber;
}

/* Lets a fiber take one step: its map and its stack, and back. */
static void step(worker_t *worker, fiber_t *fiber) {
    if (tls_map_switch(fiber->map, NULL) != TLS_OK) abort(); /* it is parked, so no thread has it */
    fiber->expunged += tls_expunge();                        /* values of keys that have died */
    fiber->back = &worker->context;
    swapcontext(&worker->context, &fiber->context);
    tls_map_switch(NULL, NULL); /* the worker's own map again */
}

static void *work(void *argument) {
    worker_t *worker = argument;
    pthread_mutex_lock(&lock);
    for (fiber_t *fiber; (fiber = dequeue(worker)) != NULL;) {
        pthread_mutex_unlock(&lock);
        step(worker, fiber);
        if (fiber->done) tls_map_destroy(fiber->map); /* destroys its values */
        pthread_mutex_lock(&lock);
        fiber->worker = worker->number;
        if (fiber->done) {
            finished++;
            pthread_cond_broadcast(&changed);
        } else if (fiber->steps == STEPS / 2) {
            parked++; /* until main() has released the key */
            pthread_cond_broadcast(&changed);
        } else {
            enqueue(&workers[(worker->number + 1) % WORKERS], fiber);
        }
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* ---- The program --------------------------------------------------------- */

static void start_fiber(fiber_t *fiber, int number) {
    fiber->number = number;
    fiber->stack = malloc(STACK);
    if (!fiber->stack || tls_map_create(&fiber->map) != TLS_OK) abort();
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = STACK;
    fiber->context.uc_link = NULL;
    makecontext(&fiber->context, (void (*)(void))run_fiber, 2, (unsigned)(uintptr_t)fiber,
                (unsigned)((uintptr_t)fiber >> 16 >> 16));
    enqueue(&workers[number % WORKERS], fiber);
}

int main(void) {
    static fiber_t fibers[FIBERS];
    tls_key_options_t options = {.size = sizeof options, .destroy = end_value};
    if (tls_key_create(&request, &options) != TLS_OK) return 1;
    options.init = new_count;
    if (tls_key_create(&step_count, &options) != TLS_OK) return 1;

    pthread_mutex_lock(&lock);
    for (int i = 0; i < WORKERS; i++) {
        workers[i].number = i;
        workers[i].last = &workers[i].first;
    }
    for (int i = 0; i < FIBERS; i++) start_fiber(&fibers[i], i);
    for (int i = 0; i < WORKERS; i++) {
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) return 1;
    }
    while (parked < FIBERS) pthread_cond_wait(&changed, &lock);
    printf("after %d steps: %d fibers are parked on no thread, with %d values\n", STEPS / 2, FIBERS,
           made - ended);
    tls_key_release(request);
    tls_stats_t stats = {.size = sizeof stats};
    tls_stats(&stats);
    printf("a key has died: %d values are stale, in maps that are nobody's\n", (int)stats.stale);
    for (int i = 0; i < FIBERS; i++) enqueue(&workers[(fibers[i].worker + 1) % WORKERS], &fibers[i]);
    pthread_mutex_unlock(&lock);

    for (int i = 0; i < WORKERS; i++) pthread_join(workers[i].thread, NULL);
    for (int i = 0; i < FIBERS; i++) {
        printf("fiber %d: %d steps, each on another thread than the one before; expunged %d\n", i,
               fibers[i].steps - 1, (int)fibers[i].expunged);
        free(fibers[i].stack);
    }
    tls_key_release(step_count);
    tls_thread_detach();
    tls_stats(&stats);
    printf("values made %d, destroyed %d, found in the wrong place %d; left: %d values, %d maps\n", made,
           ended, lost, (int)stats.entries, (int)stats.maps);
    return made == 2 * FIBERS && ended == made && lost == 0 && stats.entries == 0 && stats.maps == 0 ? 0 : 1;
}
