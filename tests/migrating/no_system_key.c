/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A process whose true pthread keys are used up before it makes the first one
 * of this library's. Destructors could not run, and pthread_key_create() says
 * so; a key without one works.
 */
#include <limits.h>
#include <pthread.h>

static pthread_key_t taken[PTHREAD_KEYS_MAX];

/* The system's functions: the header comes after this. */
static int
take_all_system_keys(void)
{
    int count = 0;

    while (count < PTHREAD_KEYS_MAX && pthread_key_create(&taken[count], 0) == 0)
        count++;
    return count;
}

static void
give_one_back(void)
{
    pthread_key_delete(taken[0]);
}

#include <threadlocalmap_pthread.h>

#include "test.h"

static size_t destroyed;
static pthread_key_t key;

static void
count(void *value)
{
    (void)value;
    destroyed++;
}

static void *
set(void *argument)
{
    CHECK_INT(pthread_setspecific(key, VALUE(1)), 0);
    CHECK_PTR(pthread_getspecific(key), VALUE(1));
    CHECK_OK(tls_thread_detach()); /* its end is not seen */
    return argument;
}

static void *
set_and_end(void *argument)
{
    CHECK_INT(pthread_setspecific(key, VALUE(1)), 0);
    return argument;
}

static void
a_key_with_a_destructor_is_refused(void)
{
    pthread_key_t refused = 77;

    CHECK_INT(pthread_key_create(&refused, count), EAGAIN);
    CHECK_UINT(refused, 77);
    CHECK_UINT(test_stats().keys, 0);
}

static void
a_key_without_one_works(void)
{
    CHECK_INT(pthread_key_create(&key, NULL), 0);
    test_in_thread(set, NULL);
    CHECK_INT(pthread_key_delete(key), 0);
}

static void
with_a_system_key_for_the_library_destructors_run(void)
{
    give_one_back();
    CHECK_INT(pthread_key_create(&key, count), 0);
    test_in_thread(set_and_end, NULL);
    CHECK_UINT(destroyed, 1);
    CHECK_INT(pthread_key_delete(key), 0);
}

int
main(void)
{
    CHECK_AT_LEAST((unsigned)take_all_system_keys(), 1);
    RUN(a_key_with_a_destructor_is_refused);
    RUN(a_key_without_one_works);
    RUN(with_a_system_key_for_the_library_destructors_run);
    return test_finish();
}
