/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What changes the calling thread's map, and what cleans it. */
#include <threadlocalmap.h>

#include "kernel.h"

/* Two stores a turn, of two different values: so each really replaces one,
 * and the destroy callback, where there is one, really runs. */
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

/* The end of a key that other threads have values under: each only once. */
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
