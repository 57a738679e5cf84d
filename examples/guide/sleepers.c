/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A worker that sleeps is woken when a key dies, and destroys its value. */
#include "pool.h"

#include <threadlocalmap.h>

static void print_end(void *value, int reason, void *user)
{
    (void)reason, (void)user;
    printf("%s: destroys \"%s\"\n", pool_thread_name(), (char *)value);
}

static void use(void *key)
{
    must(tls_set(*(tls_key_t *)key, "a buffer"));
}

/* Runs on the thread that releases the key. It should be quick. */
static void wake(void *worker)
{
    pool_wake(worker);
}

static void at_start(struct pool_worker *self)
{
    must(tls_thread_on_stale(wake, self));
}

static void after_task(void) /* also after pool_wake() */
{
    if (tls_stale_count() != 0)
        tls_expunge();
}

int main(void)
{
    tls_key_options_t options = {.size = sizeof options, .destroy = print_end};
    tls_key_t key;

    pool_at_start = at_start;
    pool_after_task = after_task;
    pool_start();
    must(tls_key_create(&key, &options));
    pool_run(0, use, &key); /* worker 0 has a value, and goes to sleep */
    must(tls_key_release(key));
    must(tls_key_drain(key, -1, NULL)); /* waits until no thread has a value */
    printf("main: no thread has a value\n");
    pool_stop();
    return 0;
}
