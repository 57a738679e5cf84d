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

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
#define FAILING_MALLOC_EXPORT extern "C"
#define FAILING_MALLOC_NOEXCEPT noexcept
#else
#define FAILING_MALLOC_EXPORT
#define FAILING_MALLOC_NOEXCEPT
#endif

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

static inline void
fail_find(void *function, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    if (found == NULL)
        abort();
    memcpy(function, &found, sizeof(found));
}

/* dlsym may itself ask for memory, before there is anybody to ask: it gets
 * some of this, for ever. */
static union {
    max_align_t aligned;
    unsigned char bytes[4096];
} fail_early;
static size_t fail_early_used;
static bool fail_finding;

static inline void
fail_prepare(void)
{
    if (fail_real.free != NULL || fail_finding)
        return;
    fail_finding = true;
    fail_find(&fail_real.malloc, "malloc");
    fail_find(&fail_real.calloc, "calloc");
    fail_find(&fail_real.realloc, "realloc");
    fail_find(&fail_real.aligned_alloc, "aligned_alloc");
    fail_find(&fail_real.posix_memalign, "posix_memalign");
    fail_find(&fail_real.free, "free");
    fail_finding = false;
}

static inline void *
fail_take_early(size_t size)
{
    size_t start = fail_early_used;
    size_t rounded = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);

    if (rounded > sizeof(fail_early) - start)
        abort();
    fail_early_used += rounded;
    return &fail_early.bytes[start];
}

static inline bool
fail_is_early(const void *memory)
{
    uintptr_t at = (uintptr_t)memory;
    uintptr_t start = (uintptr_t)&fail_early;

    return at >= start && at < start + sizeof(fail_early);
}

FAILING_MALLOC_EXPORT void *
malloc(size_t size) FAILING_MALLOC_NOEXCEPT
{
    fail_prepare();
    if (fail_real.malloc == NULL)
        return fail_take_early(size);
    return fail_now() ? NULL : fail_real.malloc(size);
}

FAILING_MALLOC_EXPORT void *
calloc(size_t count, size_t size) FAILING_MALLOC_NOEXCEPT
{
    fail_prepare();
    if (fail_real.calloc == NULL)
        return fail_take_early(count * size); /* static: zero */
    return fail_now() ? NULL : fail_real.calloc(count, size);
}

FAILING_MALLOC_EXPORT void *
realloc(void *memory, size_t size) FAILING_MALLOC_NOEXCEPT
{
    fail_prepare();
    if (fail_is_early(memory))
        abort();
    return fail_now() ? NULL : fail_real.realloc(memory, size);
}

FAILING_MALLOC_EXPORT void *
aligned_alloc(size_t alignment, size_t size) FAILING_MALLOC_NOEXCEPT
{
    fail_prepare();
    return fail_now() ? NULL : fail_real.aligned_alloc(alignment, size);
}

FAILING_MALLOC_EXPORT int
posix_memalign(void **memory, size_t alignment, size_t size) FAILING_MALLOC_NOEXCEPT
{
    fail_prepare();
    return fail_now() ? ENOMEM : fail_real.posix_memalign(memory, alignment, size);
}

FAILING_MALLOC_EXPORT void
free(void *memory) FAILING_MALLOC_NOEXCEPT
{
    fail_prepare();
    fail_call_meanwhile();
    if (!fail_is_early(memory))
        fail_real.free(memory);
}

#endif /* FAILING_MALLOC_H */
