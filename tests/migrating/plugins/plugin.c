/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A plug-in that knows pthread keys only, and deletes its own when it is unloaded. */
#include <pthread.h>
#include <stdlib.h>

static pthread_key_t key;

static void
drop(void *value)
{
    (void)value;
    abort(); /* the key is deleted before any thread ends */
}

__attribute__((constructor)) static void
load(void)
{
    if (pthread_key_create(&key, drop) != 0)
        abort();
}

__attribute__((destructor)) static void
unload(void)
{
    if (pthread_key_delete(key) != 0)
        abort();
}

int use(void);

int
use(void)
{
    static int value;

    return pthread_setspecific(key, &value);
}
