/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * 5,000 pthread keys, and four threads that each have a value under each.
 * The system's functions end this at its limit, with EAGAIN and status 2.
 */
#include "check.h"

enum { KEYS = 5000, THREADS = 4, OUT_OF_KEYS = 2 };

static pthread_key_t keys[KEYS];
static size_t destroyed;

static void
count(void *value)
{
    CHECK(value != NULL);
    __atomic_fetch_add(&destroyed, 1, __ATOMIC_SEQ_CST);
}

static void *
use_all(void *argument)
{
    size_t i;

    for (i = 0; i < KEYS; i++) {
        CHECK(pthread_getspecific(keys[i]) == NULL);
        CHECK(pthread_setspecific(keys[i], &keys[i]) == 0);
    }
    for (i = 0; i < KEYS; i++)
        CHECK(pthread_getspecific(keys[i]) == &keys[i]);
    return argument;
}

int
main(void)
{
    pthread_t threads[THREADS];
    size_t i;
    int error;

    for (i = 0; i < KEYS; i++) {
        error = pthread_key_create(&keys[i], count);
        if (error != 0) {
            printf("no key left: %s\n", error_name(error));
            return OUT_OF_KEYS;
        }
    }
    for (i = 0; i < THREADS; i++)
        threads[i] = start(use_all, NULL);
    for (i = 0; i < THREADS; i++)
        join(threads[i]);
    CHECK(destroyed == (size_t)KEYS * THREADS);
    for (i = 0; i < KEYS; i++)
        CHECK(pthread_key_delete(keys[i]) == 0);
    printf("%d keys, %zu values destroyed\n", KEYS, destroyed);
    return 0;
}
