/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A `__thread` variable. It has no keys, so all keys stand for this one variable. */
#include "peer.h"

static uint64_t destroyed;

/* Not static, because the compiler would see that nothing else stores in it. */
extern __thread void *bench_raw_variable;
__thread void *bench_raw_variable;

static inline void *raw_variable_read(uint64_t key) {
    USED(key);
    return bench_raw_variable;
}
static inline void raw_variable_write(uint64_t key, void *value) {
    USED(key);
    bench_raw_variable = value;
}

static int make(uint64_t *keys, size_t made, int flags) {
    (void)flags;
    for (size_t i = 0; i < made; i++) keys[i] = 1;
    return 0;
}

static void unmake(const uint64_t *keys, size_t made) {
    (void)keys;
    (void)made;
    bench_raw_variable = NULL;
}

PEER_READS(raw_variable)
PEER_FILLS(raw_variable)
PEER_SETS(raw_variable)

static const struct bench_kernel kernels[] = {
    LINES_READS(raw_variable) LINE(raw_variable, fill) LINE(raw_variable, set) NO_MORE_LINES};

PEER(raw) = {"raw", "__thread", "", 1, make, unmake, kernels, &destroyed};
