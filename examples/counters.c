/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A counter for each thread, and a sum that any thread may compute while the
 * threads continue to count.
 *
 * One shared atomic counter is slow, because all threads write to its cache
 * line. Here each thread adds to its own counter, which tls_get() finds, and
 * the reader visits all counters with tls_for_each(). A thread that ends adds
 * its count to a total, so no count is lost.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <threadlocalmap.h>

#define THREADS 4
#define REQUESTS 1000000

/* One thread's counter. Only its thread writes it; readers need atomic loads. */
struct counter {
    atomic_uint_fast64_t requests;
};

/* The counters of all threads, and the total of the threads that have ended. */
struct counters {
    tls_key_t key;
    atomic_uint_fast64_t of_ended_threads;
};

static void fail(const char *what, int error)
{
    fprintf(stderr, "%s: %s\n", what, tls_strerror(error));
    exit(1);
}

/* A thread's first tls_get makes its counter. */
static int make_counter(void **value, void *user)
{
    (void)user;
    *value = calloc(1, sizeof(struct counter));
    return *value == NULL;
}

/* A thread has ended: its count goes to the total. */
static void end_counter(void *value, int reason, void *user)
{
    struct counter *counter = value;
    struct counters *all = user;

    (void)reason;
    atomic_fetch_add(&all->of_ended_threads, atomic_load(&counter->requests));
    free(counter);
}

static void add_one(struct counters *all)
{
    struct counter *mine = tls_get(all->key);

    if (mine == NULL)
        fail("tls_get", TLS_ERR_NO_MEMORY);
    /* No other thread writes it, so this needs no locked instruction. */
    atomic_store_explicit(&mine->requests,
                          atomic_load_explicit(&mine->requests, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

struct sum {
    uint_fast64_t requests;
    unsigned threads;
};

/* Called with each living thread's counter, which is not destroyed meanwhile. */
static int add_up(void *value, uint64_t thread, void *arg)
{
    struct counter *counter = value;
    struct sum *sum = arg;

    (void)thread;
    sum->requests += atomic_load_explicit(&counter->requests, memory_order_relaxed);
    sum->threads++;
    return 0;
}

static struct sum sum_up(struct counters *all)
{
    struct sum sum = {0};
    int error = tls_for_each(all->key, add_up, &sum);

    if (error != TLS_OK)
        fail("tls_for_each", error);
    return sum;
}

static void *work(void *arg)
{
    for (int i = 0; i < REQUESTS; i++)
        add_one(arg);
    return NULL;
}

int main(void)
{
    struct counters all = {.key = TLS_KEY_NONE};
    tls_key_options_t options = {.size = sizeof options};
    pthread_t threads[THREADS];
    struct sum sum;
    int error;

    options.name = "requests";
    options.init = make_counter;
    options.destroy = end_counter;
    options.user = &all;
    options.flags = TLS_KEY_ENUMERABLE;
    error = tls_key_create(&all.key, &options);
    if (error != TLS_OK)
        fail("tls_key_create", error);

    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, &all) != 0)
            fail("pthread_create", TLS_ERR_LIMIT);
    do {
        sum = sum_up(&all);
        printf("while they count: %ju requests on %u threads\n", (uintmax_t)sum.requests,
               sum.threads);
    } while (sum.requests == 0 && atomic_load(&all.of_ended_threads) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);

    sum = sum_up(&all);
    printf("when they have ended: %u living counters, %ju requests in the total\n", sum.threads,
           (uintmax_t)atomic_load(&all.of_ended_threads));
    error = tls_key_release(all.key);
    if (error != TLS_OK)
        fail("tls_key_release", error);
    return atomic_load(&all.of_ended_threads) == (uint_fast64_t)THREADS * REQUESTS ? 0 : 1;
}
