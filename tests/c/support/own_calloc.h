/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * calloc() and free() of a program's own, which is what the library calls: the
 * program defines own_calloc() and own_free(), and these may call real_calloc()
 * and real_free().
 *
 * Include it first, with _GNU_SOURCE defined.
 */
#ifndef OWN_CALLOC_H
#define OWN_CALLOC_H

#include "interpose.h"

static void *(*real_calloc)(size_t count, size_t size);
static void (*real_free)(void *memory);

static void *own_calloc(size_t count, size_t size);
/* memory is not NULL. */
static void own_free(void *memory);

static inline void
find_real(void)
{
    static int finding;

    if (real_free != NULL || finding)
        return;
    finding = 1;
    find_next(&real_calloc, "calloc");
    find_next(&real_free, "free");
    finding = 0;
}

EXPORT void *
calloc(size_t count, size_t size) NOEXCEPT
{
    find_real();
    return real_free != NULL ? own_calloc(count, size) : take_early(count * size);
}

EXPORT void
free(void *memory) NOEXCEPT
{
    find_real();
    if (memory != NULL && !is_early(memory))
        own_free(memory);
}

#endif /* OWN_CALLOC_H */
