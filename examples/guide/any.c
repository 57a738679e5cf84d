/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* TLS_RECLAIM_ANY: the thread that releases the key destroys all threads' values. */
#include "pool.h"

#include <threadlocalmap.h>

static void free_value(void *value, int reason, void *user)
{
    (void)reason, (void)user;
    printf("%s: frees a value\n", pool_thread_name());
    free(value);
}

static void close_log(void *user)
{
    printf("%s: closes %s\n", pool_thread_name(), (char *)user);
}

static void use(void *key)
{
    must(tls_set(*(tls_key_t *)key, malloc(100)));
}

int main(void)
{
    tls_key_options_t options = {0};
    tls_key_t key;

    options.size = sizeof options;
    options.destroy = free_value;
    options.user = "the log";
    options.user_free = close_log; /* once, after the last value */
    options.reclaim = TLS_RECLAIM_ANY;
    must(tls_key_create(&key, &options));
    pool_start();
    pool_run(0, use, &key);
    pool_run(1, use, &key);
    must(tls_key_release(key)); /* both values are destroyed here, before it returns */
    printf("main: the key is released\n");
    pool_stop();
    return 0;
}
