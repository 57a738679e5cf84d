/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The peers that need only the C library: pthread keys, a __thread variable,
 * and the empty loop.
 *
 * `raw` is local-exec in the program and global-dynamic (__tls_get_addr) in
 * the shared object, as any `__thread` variable there. */
#include <pthread.h>

#include "kernel.h"

static inline void *nothing(uint64_t key) { return (void *)key; }

/* Not static, because the compiler would see that nothing is ever stored in it. */
extern __thread void *PLACED(raw_value);
__thread void *PLACED(raw_value);
static inline void *raw(uint64_t key) {
    USED(key);
    return PLACED(raw_value);
}

static inline void *specific(uint64_t key) { return pthread_getspecific((pthread_key_t)key); }

KERNELS_OVER_KEYS(empty, nothing)
KERNELS_OVER_KEYS(raw, raw)
KERNELS_OVER_KEYS(pthread_get, specific)
