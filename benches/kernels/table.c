/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The kernels of the program, or those of the shared object, by name. */
#include "kernel.h"

#define ALL_KERNELS(KERNEL_NAMED)                                              \
    KERNEL_NAMED(empty_one)                                                    \
    KERNEL_NAMED(empty_many)                                                   \
    KERNEL_NAMED(empty_call)                                                   \
    KERNEL_NAMED(raw_one)                                                      \
    KERNEL_NAMED(raw_many)                                                     \
    KERNEL_NAMED(raw_call)                                                     \
    KERNEL_NAMED(get_one)                                                      \
    KERNEL_NAMED(get_many)                                                     \
    KERNEL_NAMED(get_call)                                                     \
    KERNEL_NAMED(get_exported_one)                                             \
    KERNEL_NAMED(get_exported_many)                                            \
    KERNEL_NAMED(get_exported_call)                                            \
    KERNEL_NAMED(cpp_pointer)                                                  \
    KERNEL_NAMED(cpp_local)                                                    \
    KERNEL_NAMED(pthread_get_one)                                              \
    KERNEL_NAMED(pthread_get_many)                                             \
    KERNEL_NAMED(pthread_get_call)                                             \
    KERNEL_NAMED(set)                                                          \
    KERNEL_NAMED(cycle)                                                        \
    KERNEL_NAMED(release)                                                      \
    KERNEL_NAMED(stale_count)                                                  \
    KERNEL_NAMED(expunge)                                                      \
    KERNEL_NAMED(scope)                                                        \
    KERNEL_NAMED(capture)                                                      \
    KERNEL_NAMED(replay)                                                       \
    KERNEL_NAMED(plain_call)                                                   \
    KERNEL_NAMED(task)                                                         \
    KERNEL_NAMED(map_switch)                                                   \
    KERNEL_NAMED(get_in_scope)                                                 \
    KERNEL_NAMED(get_in_map)

#define DECLARATION(name, number)                                              \
    void JOIN(PLACED(name), number)(const struct bench_input *, uint64_t);
#define DECLARATIONS(name)                                                     \
    DECLARATION(name, 0)                                                       \
    DECLARATION(name, 1)                                                       \
    DECLARATION(name, 2)                                                       \
    DECLARATION(name, 3)

#define ENTRY(name)                                                            \
    {#name,                                                                    \
     {JOIN(PLACED(name), 0), JOIN(PLACED(name), 1), JOIN(PLACED(name), 2), JOIN(PLACED(name), 3)}},

ALL_KERNELS(DECLARATIONS)

extern const struct bench_kernel PLACED(kernels)[];
const struct bench_kernel PLACED(kernels)[] = {ALL_KERNELS(ENTRY){NULL, {NULL}}};
