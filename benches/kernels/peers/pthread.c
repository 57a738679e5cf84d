/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pthread keys. pthread_setspecific() does not destroy the old value, so the benchmark does it itself:
 * get, set, destroy. */
#include <pthread.h>

#include "peer.h"

static uint64_t destroyed;

static void count(void *value) {
    (void)value;
    destroyed++;
}

/* Volatile, so that the compiler does not know the function, as it does not know a key's destructor. */
static void (*volatile destroy)(void *value) = count;

static inline void *native_read(uint64_t key) { return pthread_getspecific((pthread_key_t)key); }
static inline void native_write(uint64_t key, void *value) {
    pthread_setspecific((pthread_key_t)key, value);
}
static inline void native_write_over(uint64_t key, void *value) {
    void *old = native_read(key);
    native_write(key, value);
    if (old) destroy(old);
}
static inline void native_unset(uint64_t key) { native_write(key, NULL); }

static inline void *native_life(void *value) {
    pthread_key_t key;
    pthread_key_create(&key, NULL);
    pthread_setspecific(key, value);
    value = pthread_getspecific(key);
    pthread_key_delete(key);
    return value;
}

static int make(uint64_t *keys, size_t made, int flags) {
    for (size_t i = 0; i < made; i++) {
        pthread_key_t key;
        int result = pthread_key_create(&key, flags & BENCH_COUNTING ? count : NULL);
        if (result != 0) return result;
        keys[i] = key;
    }
    return 0;
}

static void unmake(const uint64_t *keys, size_t made) {
    for (size_t i = 0; i < made; i++) pthread_key_delete((pthread_key_t)keys[i]);
}

PEER_READS(native)
PEER_FILLS(native)
PEER_SETS(native)
PEER_REPLACES(native)
PEER_FIRSTS(native)
PEER_LIVES(native)

static const struct bench_kernel kernels[] = {
    LINES_READS(native) LINE(native, fill) LINE(native, set) LINE(native, replace)
    LINE(native, first) LINE(native, life) NO_MORE_LINES};

PEER(pthread) = {"pthread", "pthread keys", "", 1000, make, unmake, kernels, &destroyed};
