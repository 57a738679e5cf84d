/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* tss_t of C11's <threads.h>. As for pthread keys, the benchmark destroys a replaced value itself. */
#include <threads.h>

#include "peer.h"

static uint64_t destroyed;

static void count(void *value) {
    (void)value;
    destroyed++;
}

static void (*volatile destroy)(void *value) = count;

static inline void *c11_read(uint64_t key) { return tss_get((tss_t)key); }
static inline void c11_write(uint64_t key, void *value) { tss_set((tss_t)key, value); }
static inline void c11_write_over(uint64_t key, void *value) {
    void *old = c11_read(key);
    c11_write(key, value);
    if (old) destroy(old);
}
static inline void c11_unset(uint64_t key) { c11_write(key, NULL); }

static inline void *c11_life(void *value) {
    tss_t key;
    tss_create(&key, NULL);
    tss_set(key, value);
    value = tss_get(key);
    tss_delete(key);
    return value;
}

static int make(uint64_t *keys, size_t made, int flags) {
    for (size_t i = 0; i < made; i++) {
        tss_t key;
        if (tss_create(&key, flags & BENCH_COUNTING ? count : NULL) != thrd_success) return 1;
        keys[i] = key;
    }
    return 0;
}

static void unmake(const uint64_t *keys, size_t made) {
    for (size_t i = 0; i < made; i++) tss_delete((tss_t)keys[i]);
}

PEER_READS(c11)
PEER_FILLS(c11)
PEER_SETS(c11)
PEER_REPLACES(c11)
PEER_FIRSTS(c11)
PEER_LIVES(c11)

static const struct bench_kernel kernels[] = {
    LINES_READS(c11) LINE(c11, fill) LINE(c11, set) LINE(c11, replace) LINE(c11, first)
    LINE(c11, life) NO_MORE_LINES};

PEER(c11) = {"c11", "C11 tss_t", "", 1000, make, unmake, kernels, &destroyed};
