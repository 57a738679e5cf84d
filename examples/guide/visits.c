/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A counter in each thread, and the sum over all of them. */
#include "pool.h"

#include <stdatomic.h>
#include <threadlocalmap.h>

static tls_key_t hits;

static int make_counter(void **value, void *user)
{
    (void)user;
    *value = calloc(1, sizeof(atomic_long));
    return *value == NULL;
}

static void free_counter(void *value, int reason, void *user)
{
    (void)reason, (void)user;
    free(value);
}

static void serve(void *arg)
{
    (void)arg;
    atomic_long *own = tls_get(hits);
    if (own != NULL) atomic_fetch_add_explicit(own, 1, memory_order_relaxed);
}

static int add(void *value, uint64_t thread, void *sum)
{
    (void)thread;
    *(long *)sum += atomic_load_explicit((atomic_long *)value, memory_order_relaxed);
    return 0; /* continue */
}

int main(void)
{
    tls_key_options_t options = {.size = sizeof options, .init = make_counter};
    long sum = 0;

    options.destroy = free_counter;
    options.flags = TLS_KEY_ENUMERABLE;
    must(tls_key_create(&hits, &options));
    pool_start();
    for (int i = 0; i < 1000; i++) pool_run(i % 3 == 0, serve, NULL);
    must(tls_for_each(hits, add, &sum));
    printf("%ld hits\n", sum);
    pool_stop();
    must(tls_key_release(hits));
    return 0;
}
