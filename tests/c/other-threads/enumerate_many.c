/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Visits of many threads' values. The threads set and end all at the same time,
 * ordered by the library's atomics alone; enumerate.c has what is ordered by
 * locks.
 */
#include "sums.h"

#define MANY 1000

static test_log_t ended;
static tls_key_t key;

static void
make_key(void)
{
    tls_key_options_t options = test_options();

    test_log_clear(&ended);
    options.destroy = test_log_destroy;
    options.user = &ended;
    options.user_free = test_log_free;
    options.flags = TLS_KEY_ENUMERABLE;
    key = test_key_from(&options);
}

static pthread_barrier_t all_set;
static pthread_barrier_t all_seen;

static void *
set_and_stay(void *argument)
{
    CHECK_OK(tls_set(key, argument));
    pthread_barrier_wait(&all_set);
    pthread_barrier_wait(&all_seen);
    return NULL;
}

static void *
set_and_end(void *argument)
{
    CHECK_OK(tls_set(key, argument));
    return NULL;
}

/* T45, R09: the values of the threads that live; nothing of those that ended. */
static void
all_living_threads_are_visited(void)
{
    static pthread_t threads[MANY];
    size_t many = test_scaled(MANY, 50);
    sum_t sum;
    size_t i;

    make_key();
    CHECK_UINT(sum_of(key).values, 0);
    CHECK_INT(pthread_barrier_init(&all_set, NULL, (unsigned)many + 1), 0);
    CHECK_INT(pthread_barrier_init(&all_seen, NULL, (unsigned)many + 1), 0);
    for (i = 0; i < many; i++)
        threads[i] = test_start(set_and_stay, VALUE(i + 1));
    test_in_thread(set_and_end, VALUE(5000000));
    pthread_barrier_wait(&all_set);
    CHECK_OK(tls_set(key, VALUE(1000000)));
    sum = sum_of(key);
    CHECK_UINT(sum.values, many + 1);
    CHECK_UINT(sum.total, 1000000 + many * (many + 1) / 2);
    pthread_barrier_wait(&all_seen);
    for (i = 0; i < many; i++)
        test_join(threads[i]);
    sum = sum_of(key);
    CHECK_UINT(sum.values, 1);
    CHECK_UINT(sum.total, 1000000);
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, many + 2);
    pthread_barrier_destroy(&all_set);
    pthread_barrier_destroy(&all_seen);
}

#define OBJECTS 257
static tls_key_t objects[OBJECTS];

static void *
touch_up_to(void *argument)
{
    size_t last = (size_t)(uintptr_t)argument;
    size_t i;

    for (i = 0; i <= last; i++)
        CHECK_OK(tls_set(objects[i], VALUE(1)));
    pthread_barrier_wait(&all_set);
    pthread_barrier_wait(&all_seen);
    return NULL;
}

/* F15: thread i touches objects 0 to i. S08: the last has one thread only. */
static void
each_key_has_its_own_threads(void)
{
    static pthread_t threads[OBJECTS];
    size_t number = test_scaled(OBJECTS - 1, 32);
    tls_key_options_t options = test_options();
    size_t i;

    options.flags = TLS_KEY_ENUMERABLE;
    for (i = 0; i <= number; i++)
        objects[i] = test_key_from(&options);
    CHECK_INT(pthread_barrier_init(&all_set, NULL, (unsigned)number + 1), 0);
    CHECK_INT(pthread_barrier_init(&all_seen, NULL, (unsigned)number + 1), 0);
    for (i = 0; i < number; i++)
        threads[i] = test_start(touch_up_to, VALUE(i));
    pthread_barrier_wait(&all_set);
    for (i = 0; i <= number; i++)
        CHECK_UINT(sum_of(objects[i]).total, number - i);
    pthread_barrier_wait(&all_seen);
    for (i = 0; i < number; i++)
        test_join(threads[i]);
    for (i = 0; i <= number; i++) {
        CHECK_UINT(sum_of(objects[i]).values, 0);
        CHECK_OK(tls_key_release(objects[i]));
    }
    pthread_barrier_destroy(&all_set);
    pthread_barrier_destroy(&all_seen);
}

int
main(void)
{
    RUN(all_living_threads_are_visited);
    RUN(each_key_has_its_own_threads);
    return test_finish();
}
