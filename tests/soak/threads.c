/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Threads that come and end in every way, and one that makes and drops keys all the time. */
#include "soak.h"

#include <pthread.h>
#include <stdlib.h>

enum { AT_ONCE = 4, VALUES = 6, WINDOW = 200 };

static pthread_t spawner, churner;
/* Lives as long as the soak: threads that end leave their values under it. */
static tls_key_t shared;

static int make_key(tls_key_t *key) {
    tls_key_options_t options = {0};
    options.size = sizeof options;
    options.destroy = value_destroy;
    return tls_key_create(key, &options);
}

static bool store(tls_key_t key) {
    struct value *value = value_make(key);
    if (value == NULL) return false;
    if (soak_ok("tls_set", tls_set(key, value))) return true;
    value_end(value);
    return false;
}

static void at_exit(void *argument) { value_end(argument); }

/* Ends with values under the shared key, under keys that live and under keys that are dead. */
static void *short_lived(void *argument) {
    unsigned way = *(unsigned *)argument;
    tls_key_t keys[VALUES] = {0};
    store(shared);
    for (int i = 0; i < VALUES; i++)
        if (soak_ok("tls_key_create", make_key(&keys[i]))) store(keys[i]);
    struct value *late = value_make(0);
    if (late != NULL && !soak_ok("tls_at_thread_exit", tls_at_thread_exit(at_exit, late)))
        value_end(late);
    for (int i = 0; i < VALUES; i++)
        if (keys[i] != TLS_KEY_NONE) soak_ok("tls_key_release", tls_key_release(keys[i]));
    atomic_fetch_add(&soak.threads, 1);
    if (way == 1) soak_ok("tls_thread_detach", tls_thread_detach());
    if (way == 2) pthread_exit(NULL);
    while (way == 3) {
        soak_nap(1000); /* until it is cancelled */
    }
    return NULL;
}

static void *spawn(void *argument) {
    (void)argument;
    while (!soak_stops()) {
        pthread_t threads[AT_ONCE];
        unsigned ways[AT_ONCE];
        for (unsigned i = 0; i < AT_ONCE; i++) {
            ways[i] = i;
            if (pthread_create(&threads[i], NULL, short_lived, &ways[i]) != 0) {
                soak_wrong("a thread could not be started");
                while (i-- > 0) pthread_join(threads[i], NULL);
                return NULL;
            }
        }
        pthread_cancel(threads[3]);
        for (int i = 0; i < AT_ONCE; i++) pthread_join(threads[i], NULL);
        soak_nap(1);
    }
    return NULL;
}

/* A window of live keys that moves on. */
static void *churn(void *argument) {
    (void)argument;
    tls_key_t keys[WINDOW] = {0};
    for (size_t at = 0; !soak_stops(); at = (at + 1) % WINDOW) {
        if (keys[at] != TLS_KEY_NONE) {
            struct value *value = tls_get(keys[at]);
            if (value == NULL) soak_wrong("a value was gone while its key was alive");
            else if (value_is(value, keys[at])) value_use(value);
            soak_ok("tls_key_release", tls_key_release(keys[at]));
            keys[at] = TLS_KEY_NONE;
        }
        if (!soak_ok("tls_key_create", make_key(&keys[at])) || !store(keys[at])) break;
        atomic_fetch_add(&soak.churned, 1);
        if (at % 50 == 0) soak_nap(1);
    }
    for (size_t at = 0; at < WINDOW; at++)
        if (keys[at] != TLS_KEY_NONE) soak_ok("tls_key_release", tls_key_release(keys[at]));
    return NULL;
}

void threads_start(void) {
    if (!soak_ok("tls_key_create", make_key(&shared))) return;
    if (pthread_create(&spawner, NULL, spawn, NULL) != 0) abort();
    if (pthread_create(&churner, NULL, churn, NULL) != 0) abort();
}

void threads_join(void) {
    pthread_join(spawner, NULL);
    pthread_join(churner, NULL);
    soak_ok("tls_key_release", tls_key_release(shared));
}
