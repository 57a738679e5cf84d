/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * An allocator that fails on demand. Defined in the executable, it takes the
 * place of the C library's for the shared and for the static library alike.
 *
 * It fails on the calling thread only, and only between fail_from() and
 * fail_stop(), so that the test itself and other threads always get memory.
 *
 * Valgrind must be told to leave it alone, or it puts its own allocator in the
 * place of this one: --soname-synonyms=somalloc=nouserintercepts. What this one
 * gets from the C library valgrind still sees.
 *
 * Include it first, with _GNU_SOURCE defined.
 */
#ifndef FAILING_MALLOC_H
#define FAILING_MALLOC_H

#include "interpose.h"

#include <errno.h>
#include <stdbool.h>

typedef enum fail_mode {
    FAIL_ONCE,  /* that one allocation */
    FAIL_ALWAYS /* that one and all after it */
} fail_mode_t;

/* State of the calling thread. */
static __thread bool fail_armed;
static __thread fail_mode_t fail_mode;
static __thread size_t fail_number;  /* which allocation fails, from 1 */
static __thread size_t fail_asked;   /* allocations since fail_from */
static __thread size_t fail_refused; /* those that failed */
/* Called at each allocation and each free; not from inside itself. */
static __thread void (*fail_meanwhile)(void);

static struct {
    void *(*malloc)(size_t size);
    void *(*calloc)(size_t count, size_t size);
    void *(*realloc)(void *memory, size_t size);
    void *(*aligned_alloc)(size_t alignment, size_t size);
    int (*posix_memalign)(void **memory, size_t alignment, size_t size);
    void (*free)(void *memory);
} fail_real;

/* From here on the number-th allocation of this thread fails. 0: none does,
 * but they are counted. */
static inline void
fail_from(size_t number, fail_mode_t mode)
{
    fail_mode = mode;
    fail_number = number;
    fail_asked = 0;
    fail_refused = 0;
    fail_armed = true;
}

/* Ends that; returns how many allocations failed. */
static inline size_t
fail_stop(void)
{
    fail_armed = false;
    return fail_refused;
}

static inline void
fail_call_meanwhile(void)
{
    void (*call)(void) = fail_meanwhile;

    if (call == NULL)
        return;
    fail_meanwhile = NULL;
    call();
    fail_meanwhile = call;
}

static inline bool
fail_now(void)
{
    fail_call_meanwhile();
    if (!fail_armed)
        return false;
    fail_asked++;
    if (fail_number == 0 || fail_asked < fail_number ||
        (fail_mode == FAIL_ONCE && fail_asked > fail_number))
        return false;
    fail_refused++;
    errno = ENOMEM;
    return true;
}

static bool fail_finding;

static inline void
fail_prepare(void)
{
    if (fail_real.free != NULL || fail_finding)
        return;
    fail_finding = true;
    find_next(&fail_real.malloc, "malloc");
    find_next(&fail_real.calloc, "calloc");
    find_next(&fail_real.realloc, "realloc");
    find_next(&fail_real.aligned_alloc, "aligned_alloc");
    find_next(&fail_real.posix_memalign, "posix_memalign");
    find_next(&fail_real.free, "free");
    fail_finding = false;
}

EXPORT void *
malloc(size_t size) NOEXCEPT
{
    fail_prepare();
    if (fail_real.malloc == NULL)
        return take_early(size);
    return fail_now() ? NULL : fail_real.malloc(size);
}

EXPORT void *
calloc(size_t count, size_t size) NOEXCEPT
{
    fail_prepare();
    if (fail_real.calloc == NULL)
        return take_early(count * size); /* static: zero */
    return fail_now() ? NULL : fail_real.calloc(count, size);
}

EXPORT void *
realloc(void *memory, size_t size) NOEXCEPT
{
    fail_prepare();
    if (is_early(memory))
        abort();
    return fail_now() ? NULL : fail_real.realloc(memory, size);
}

EXPORT void *
aligned_alloc(size_t alignment, size_t size) NOEXCEPT
{
    fail_prepare();
    return fail_now() ? NULL : fail_real.aligned_alloc(alignment, size);
}

EXPORT int
posix_memalign(void **memory, size_t alignment, size_t size) NOEXCEPT
{
    fail_prepare();
    return fail_now() ? ENOMEM : fail_real.posix_memalign(memory, alignment, size);
}

EXPORT void
free(void *memory) NOEXCEPT
{
    fail_prepare();
    fail_call_meanwhile();
    if (!is_early(memory))
        fail_real.free(memory);
}

#endif /* FAILING_MALLOC_H */
