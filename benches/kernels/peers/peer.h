/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Defines the loops of a peer. They are the same for all peers.
 *
 * Each file of this folder is for one library that keeps a value for each thread and object, or for
 * one way to use this library. It defines a few `static inline` functions, and the macros below make
 * the same loops of them for all. The table of a peer lacks the loops that the peer does not support.
 *
 * A value is one word: a number that is never used as an address. Every read loads that word. The
 * destructor of a value only adds one to a counter.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "../kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Properties of a peer's keys. */
enum {
    BENCH_COUNTING = 1,   /* destroyed values are counted */
    BENCH_ENUMERABLE = 2, /* all threads' values can be visited */
    BENCH_ANY = 4         /* the release of the key destroys all threads' values */
};

struct bench_peer {
    const char *id, *name, *version;
    uint64_t most; /* how many keys it can have; 0: as many as fit into memory */
    int (*make)(uint64_t *keys, size_t count, int flags); /* 0: made */
    /* After it, no value is left on this thread. */
    void (*unmake)(const uint64_t *keys, size_t count);
    const struct bench_kernel *kernels;
    const uint64_t *destroyed; /* destroyed values; no two threads destroy values at the same time */
};

/* The value of the key at `index`. */
#define VALUE_OF(index) ((void *)(uintptr_t)(16 * ((index) + 1)))

#define PEER_READS(id)                                                         \
    KERNELS_OVER_KEYS(id##_get, id##_read)                                     \
    KERNEL(id##_sum) {                                                         \
        uint64_t sum = 0;                                                      \
        (void)operations;                                                      \
        for (size_t i = 0; i < input->count; i++)                              \
            sum += (uint64_t)(uintptr_t)id##_read(input->keys[i]);             \
        *input->result = sum;                                                  \
    }

/* The first values of a thread, in the order of the keys. */
#define PEER_FILLS(id)                                                         \
    KERNEL(id##_fill) {                                                        \
        for (uint64_t i = 0; i < operations; i++) id##_write(input->keys[i], VALUE_OF(i)); \
    }

/* Two stores in each iteration, of two different values, so that each store replaces a value. */
#define PEER_STORES_(loop, write)                                              \
    KERNEL(loop) {                                                             \
        const uint64_t *key = input->keys;                                     \
        for (uint64_t done = 0; done < operations; done += 2)                  \
            for (int i = 0; i < 2; i++) {                                      \
                write(*key, input->values[i]);                                 \
                USED(key);                                                     \
            }                                                                  \
    }
#define PEER_SETS(id) PEER_STORES_(id##_set, id##_write)
/* The same, with the destruction of the old value. */
#define PEER_REPLACES(id) PEER_STORES_(id##_replace, id##_write_over)

/* Sets a value of each key, then removes all of them. */
#define PEER_FIRSTS(id)                                                        \
    KERNEL(id##_first) {                                                       \
        for (uint64_t done = 0; done < operations; done += input->count) {     \
            for (size_t i = 0; i < input->count; i++) id##_write(input->keys[i], VALUE_OF(i)); \
            for (size_t i = 0; i < input->count; i++) id##_unset(input->keys[i]); \
        }                                                                      \
    }

/* id_life(value): create, set, get, destroy; returns what the get found. */
#define PEER_LIVES(id)                                                         \
    KERNEL(id##_life) {                                                        \
        for (uint64_t done = 0; done < operations; done++) {                   \
            void *value = id##_life(input->values[done & 1]);                  \
            USED(value);                                                       \
        }                                                                      \
    }

/* id_end(key): the release of a key under which other threads have values. */
#define PEER_ENDS(id)                                                          \
    KERNEL(id##_end) {                                                         \
        for (uint64_t done = 0; done < operations; done++) id##_end(input->keys[done]); \
    }

/* id_total(key): the sum of all threads' values. A peer may have two, which differ in `name`. */
#define PEER_TOTALS(id, name)                                                  \
    KERNEL(id##_##name) {                                                      \
        uint64_t sum = 0;                                                      \
        for (uint64_t done = 0; done < operations; done++) {                   \
            sum = id##_##name##_of(input->keys[0]);                            \
            USED(sum);                                                         \
        }                                                                      \
        *input->result = sum;                                                  \
    }

#define LINE(id, name)                                                         \
    {#name,                                                                    \
     {JOIN(PLACED(id##_##name), 0), JOIN(PLACED(id##_##name), 1),              \
      JOIN(PLACED(id##_##name), 2), JOIN(PLACED(id##_##name), 3)}},
#define LINES_READS(id) LINE(id, get_one) LINE(id, get_many) LINE(id, sum)
#define NO_MORE_LINES {NULL, {NULL, NULL, NULL, NULL}}

/* PEER(id) {fields}; the table that the program looks for. */
#define PEER(id) extern const struct bench_peer PLACED(peer_##id); \
    const struct bench_peer PLACED(peer_##id)

#ifdef __cplusplus
}
#endif
#endif
