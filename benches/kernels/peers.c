/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The peers that need no library but libc: pthread keys, a raw __thread
 * variable, and the loop with nothing in it.
 *
 * `raw` is local-exec in the program and global-dynamic (__tls_get_addr) in
 * the shared object: what each kind of user gets who writes `__thread`. */
#include <pthread.h>

#include "kernel.h"

static inline void *nothing(uint64_t key) { return (void *)key; }

/* Not static: or the compiler would see that nobody ever stores in it. */
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
