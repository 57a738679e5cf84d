/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A destroy callback is called once for each value, on the thread that has it, with the reason. */
#include "pool.h"

#include <threadlocalmap.h>

static tls_key_t key;

static const char *name_of(int reason)
{
    switch (reason) {
    case TLS_REASON_REPLACED: return "REPLACED";
    case TLS_REASON_REMOVED: return "REMOVED";
    case TLS_REASON_KEY_DEAD: return "KEY_DEAD";
    case TLS_REASON_THREAD_EXIT: return "THREAD_EXIT";
    default: return "another reason";
    }
}

static void print_end(void *value, int reason, void *user)
{
    printf("%s: \"%s\" ends: %s (user: %s)\n", pool_thread_name(), (char *)value, name_of(reason),
           (char *)user);
}

static void set_three(void *arg)
{
    (void)arg;
    must(tls_set(key, "one"));
    must(tls_set(key, "two")); /* ends "one" */
    must(tls_remove(key));     /* ends "two" */
    must(tls_set(key, "three"));
}

static void keep(void *kept)
{
    must(tls_set(*(tls_key_t *)kept, "kept to the end"));
}

int main(void)
{
    tls_key_options_t options = {.size = sizeof options, .destroy = print_end};
    tls_key_t kept;

    options.user = "letter.txt";
    must(tls_key_create(&key, &options));
    must(tls_key_create(&kept, &options));
    pool_start();
    pool_run(0, set_three, NULL);
    pool_run(1, keep, &kept);
    must(tls_key_release(key)); /* "three" is stale from now on; worker 0 sleeps */
    printf("main: the key is released\n");
    pool_stop(); /* the workers end, and end what they have */
    must(tls_key_release(kept));
    return 0;
}
