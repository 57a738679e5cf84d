/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Programs that bring their own definition of one of the C library's functions.
 * In the executable it takes the place of the C library's, for the shared and
 * for the static library alike; find_next() finds the one that it stands before.
 *
 * Include it first, with _GNU_SOURCE defined.
 */
#ifndef INTERPOSE_H
#define INTERPOSE_H

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
#define EXPORT extern "C"
#define NOEXCEPT noexcept
#else
#define EXPORT
#define NOEXCEPT
#endif

/* Stores the next function of that name in *function, which is a pointer to one. */
static inline void
find_next(void *function, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    if (found == NULL)
        abort();
    memcpy(function, &found, sizeof(found));
}

/* ---- Memory for dlsym ------------------------------------------------------- */

/* dlsym may itself ask for memory, before there is anybody to ask: it gets
 * some of this, for ever. Static, so zero. */
static union {
    max_align_t aligned;
    unsigned char bytes[4096];
} early;
static size_t early_used;

static inline void *
take_early(size_t size)
{
    size_t start = early_used;
    size_t rounded = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);

    if (rounded > sizeof(early) - start)
        abort();
    early_used += rounded;
    return &early.bytes[start];
}

static inline int
is_early(const void *memory)
{
    uintptr_t at = (uintptr_t)memory;
    uintptr_t start = (uintptr_t)&early;

    return at >= start && at < start + sizeof(early);
}

#endif /* INTERPOSE_H */
