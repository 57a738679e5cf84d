/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Kernels that change the calling thread's map, and kernels that expunge it. */
#include <threadlocalmap.h>

#include "kernel.h"

/* Two stores in each iteration, of two different values, so that each store
 * replaces a value, and the destroy callback runs if there is one. */
KERNEL(set) {
    const uint64_t *key = input->keys;
    for (uint64_t done = 0; done < operations; done += 2)
        for (int i = 0; i < 2; i++) {
            int result = tls_set(*key, input->values[i]);
            USED(result);
        }
}

/* The whole life of a key on one thread. */
KERNEL(cycle) {
    for (uint64_t done = 0; done < operations; done++) {
        tls_key_t key = TLS_KEY_NONE;
        int result = tls_key_create(&key, NULL);
        USED(result);
        tls_set(key, input->values[0]);
        void *value = tls_get(key);
        USED(value);
        tls_key_release(key);
    }
}

/* The release of keys under which other threads have values; each key once. */
KERNEL(release) {
    for (uint64_t done = 0; done < operations; done++) {
        int result = tls_key_release(input->keys[done]);
        USED(result);
    }
}

KERNEL(stale_count) {
    (void)input;
    for (uint64_t done = 0; done < operations; done++) {
        size_t stale = tls_stale_count();
        USED(stale);
    }
}

KERNEL(expunge) {
    (void)input;
    for (uint64_t done = 0; done < operations; done++) {
        size_t expunged = tls_expunge();
        USED(expunged);
    }
}
