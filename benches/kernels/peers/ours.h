/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* This library's C functions; `ours.c` inlines them, and `ours_exported.c` does not. */
#include <stdlib.h>
#include <threadlocalmap.h>

#include "peer.h"

static uint64_t destroyed;

static void ours_count(void *value, int reason, void *user) {
    (void)value;
    (void)reason;
    (void)user;
    destroyed++;
}

static inline void *ours_read(uint64_t key) { return tls_get(key); }
static inline void ours_write(uint64_t key, void *value) { tls_set(key, value); }
static inline void ours_write_over(uint64_t key, void *value) { tls_set(key, value); }
static inline void ours_unset(uint64_t key) { tls_remove(key); }
static inline void ours_end(uint64_t key) { tls_key_release(key); }

static inline void *ours_life(void *value) {
    tls_key_t key = TLS_KEY_NONE;
    tls_key_create(&key, NULL);
    tls_set(key, value);
    value = tls_get(key);
    tls_key_release(key);
    return value;
}

static int ours_add(void *value, uint64_t thread, void *sum) {
    (void)thread;
    *(uint64_t *)sum += (uint64_t)(uintptr_t)value;
    return 0;
}

static inline uint64_t ours_total_of(uint64_t key) {
    uint64_t sum = 0;
    if (tls_for_each(key, ours_add, &sum) != TLS_OK) abort();
    return sum;
}

static inline uint64_t ours_total_locked_of(uint64_t key) {
    uint64_t sum = 0;
    if (tls_for_each_locked(key, ours_add, &sum) != TLS_OK) abort();
    return sum;
}

static int ours_make(uint64_t *keys, size_t count, int flags) {
    tls_key_options_t options = {0};
    options.size = sizeof options;
    if (flags & BENCH_COUNTING) options.destroy = ours_count;
    if (flags & BENCH_ENUMERABLE) options.flags |= TLS_KEY_ENUMERABLE;
    if (flags & BENCH_ANY) options.reclaim = TLS_RECLAIM_ANY;
    for (size_t i = 0; i < count; i++) {
        int result = tls_key_create(&keys[i], &options);
        if (result != TLS_OK) return result;
    }
    return 0;
}

static void ours_unmake(const uint64_t *keys, size_t count) {
    for (size_t i = 0; i < count; i++) tls_key_release(keys[i]);
}

PEER_READS(ours)
PEER_FILLS(ours)
PEER_SETS(ours)
PEER_REPLACES(ours)
PEER_FIRSTS(ours)
PEER_LIVES(ours)
PEER_ENDS(ours)
PEER_TOTALS(ours, total)
PEER_TOTALS(ours, total_locked)

static const struct bench_kernel ours_kernels[] = {
    LINES_READS(ours) LINE(ours, fill) LINE(ours, set) LINE(ours, replace) LINE(ours, first)
    LINE(ours, life) LINE(ours, end) LINE(ours, total) LINE(ours, total_locked) NO_MORE_LINES};
