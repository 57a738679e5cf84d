/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * N11: a plugin that uses the library while it is being loaded: its constructor
 * starts a thread, which sets a value and ends, and waits for it.
 */
#include <pthread.h>
#include <threadlocalmap.h>

int starter_ended(void);

static size_t ended;

static void
end_value(void *value, int reason, void *user)
{
    (void)reason;
    (void)user;
    __atomic_add_fetch((size_t *)value, 1, __ATOMIC_SEQ_CST);
}

static void *
set_and_end(void *argument)
{
    tls_set(*(tls_key_t *)argument, &ended);
    return NULL;
}

__attribute__((constructor)) static void
start(void)
{
    tls_key_options_t options = { 0 };
    pthread_t thread;
    tls_key_t key;

    options.size = sizeof(options);
    options.destroy = end_value;
    if (tls_key_create(&key, &options) != TLS_OK ||
        pthread_create(&thread, NULL, set_and_end, &key) != 0)
        return;
    pthread_join(thread, NULL);
    tls_key_release(key);
}

int
starter_ended(void)
{
    return (int)__atomic_load_n(&ended, __ATOMIC_SEQ_CST);
}
