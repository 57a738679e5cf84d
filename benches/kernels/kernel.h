/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Defines kernels, for all C files of this folder.
 *
 * A kernel is the loop that is timed: it runs `operations` operations and
 * returns. Every file is compiled twice, as a user of the library would
 * compile it (-O2 and no other option): once into the program (BENCH_PLACE is
 * `program`), and once with -fPIC into a shared object that the program loads
 * (BENCH_PLACE is `object`). The kernels are found by name in two tables
 * (table.c), so a kernel that is added to table.c exists in both places.
 *
 * USED() follows every operation: the compiler must have the result in a
 * register, and must assume that all memory may have changed. So only what is
 * constant for the whole process is kept from one operation to the next: no
 * handle, no pointer, no value of a thread-local. In a real program, the calls
 * between two accesses have the same effect. It is the same for all contenders.
 *
 * A loop of a dozen instructions runs up to a third faster or slower,
 * depending on its start address within a cache line, which changes with each
 * build. So each kernel exists PLACEMENTS times, 16 bytes apart. The rounds of
 * a measurement use all of them in turn, and the median is over all of them.
 */
#ifndef BENCH_KERNEL_H
#define BENCH_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#define PLACEMENTS 4

/* The input of a kernel. The program fills it in; all kernels use the same structure. */
struct bench_input {
    const uint64_t *keys; /* handles of this library, or pthread keys */
    size_t count;         /* how many keys; `operations` is a multiple of it */
    void *values[2];      /* the values that are stored, in turn */
    uint64_t *result;     /* a kernel that computes a sum stores it here */
};

typedef void (*bench_fn)(const struct bench_input *input, uint64_t operations);

struct bench_kernel {
    const char *name; /* NULL ends the table */
    bench_fn placements[PLACEMENTS];
};

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define PLACED(name) JOIN(BENCH_PLACE, name)

#define USED(result) __asm__ volatile("" : : "r"(result) : "memory")

#define PLACEMENT_(name, number, shift)                                        \
    __attribute__((noinline, aligned(64))) void JOIN(PLACED(name), number)(   \
        const struct bench_input *input, uint64_t operations) {               \
        __asm__ volatile(".fill " #shift ", 1, 0x90");                           \
        JOIN(name, body)(input, operations);                                   \
    }

/* KERNEL(name) { body } defines the four placements of one loop. The shift
 * runs once for each call, not once for each operation. */
#if defined(__x86_64__)
#define KERNEL(name)                                                           \
    static inline __attribute__((always_inline)) void JOIN(name, body)(       \
        const struct bench_input *input, uint64_t operations);                \
    PLACEMENT_(name, 0, 0)                                                     \
    PLACEMENT_(name, 1, 16)                                                    \
    PLACEMENT_(name, 2, 32)                                                    \
    PLACEMENT_(name, 3, 48)                                                    \
    static inline void JOIN(name, body)(const struct bench_input *input,      \
                                        uint64_t operations)
#else
/* 0x90 is a no-operation on x86 only, so the copies are not shifted. */
#undef PLACEMENT_
#define PLACEMENT_(name, number)                                               \
    __attribute__((noinline, aligned(64))) void JOIN(PLACED(name), number)(   \
        const struct bench_input *input, uint64_t operations) {               \
        JOIN(name, body)(input, operations);                                   \
    }
#define KERNEL(name)                                                           \
    static inline __attribute__((always_inline)) void JOIN(name, body)(       \
        const struct bench_input *input, uint64_t operations);                \
    PLACEMENT_(name, 0)                                                        \
    PLACEMENT_(name, 1)                                                        \
    PLACEMENT_(name, 2)                                                        \
    PLACEMENT_(name, 3)                                                        \
    static inline void JOIN(name, body)(const struct bench_input *input,      \
                                        uint64_t operations)
#endif

/* The loops for a function that reads one value by its key: over one key; over
 * all keys of the input, in the order of the array; and over one key, in a
 * function that is called for each read. In the last one the compiler can keep
 * nothing from one read to the next, not even what is constant for the process
 * (for example the address from `__tls_get_addr`). */
#define KERNELS_OVER_KEYS(name, read)                                          \
    KERNEL(name##_one) {                                                       \
        const uint64_t *key = input->keys;                                     \
        for (uint64_t done = 0; done < operations; done++) {                   \
            void *value = read(*key);                                          \
            USED(value);                                                       \
        }                                                                      \
    }                                                                          \
    KERNEL(name##_many) {                                                      \
        const uint64_t *keys = input->keys;                                    \
        size_t count = input->count;                                           \
        for (uint64_t done = 0; done < operations; done += count)              \
            for (size_t i = 0; i < count; i++) {                               \
                void *value = read(keys[i]);                                   \
                USED(value);                                                   \
            }                                                                  \
    }                                                                          \
    static __attribute__((noinline, noclone)) void *name##_caller(uint64_t key) { \
        return read(key);                                                      \
    }                                                                          \
    KERNEL(name##_call) {                                                      \
        const uint64_t *key = input->keys;                                     \
        for (uint64_t done = 0; done < operations; done++) {                   \
            void *value = name##_caller(*key);                                 \
            USED(value);                                                       \
        }                                                                      \
    }

#endif
