/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Prints the report of a thread that has the lock of the list of all maps, which it wants
 * itself; tests/dump.rs reads it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "interpose.h"

#include "test.h"

#include <unistd.h>

static bool armed;

EXPORT int
pthread_mutex_lock(pthread_mutex_t *mutex) NOEXCEPT
{
    static int (*next)(pthread_mutex_t *);
    int result;

    if (next == NULL)
        find_next(&next, "pthread_mutex_lock");
    result = next(mutex);
    if (armed)
        _exit(tls_dump_fd(1) == TLS_OK ? 0 : 1);
    return result;
}

int
main(void)
{
    tls_map_t *map = NULL;
    tls_key_t key = test_key();

    CHECK_OK(tls_set(key, VALUE(1)));
    armed = true;
    tls_map_create(&map);
    return 1;
}
