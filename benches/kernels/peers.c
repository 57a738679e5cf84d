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

/* Two stores a turn, of two different values: `operations` is even. */
KERNEL(pthread_set) {
    const uint64_t *key = input->keys;
    for (uint64_t done = 0; done < operations; done += 2)
        for (int i = 0; i < 2; i++) {
            int result = pthread_setspecific((pthread_key_t)*key, input->values[i]);
            USED(result);
        }
}

KERNEL(pthread_cycle) {
    for (uint64_t done = 0; done < operations; done++) {
        pthread_key_t key;
        int result = pthread_key_create(&key, NULL);
        USED(result);
        pthread_setspecific(key, input->values[0]);
        void *value = pthread_getspecific(key);
        USED(value);
        pthread_key_delete(key);
    }
}
