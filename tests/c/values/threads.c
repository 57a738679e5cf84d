/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Each thread has its own values, the one who made the thread. */
#include "test.h"

#include <sched.h>

#define THREADS 100

static test_log_t ended;
static tls_key_t key;
static size_t last_id;

static int
init_next_id(void **value, void *user)
{
    (void)user;
    *value = VALUE(test_count_up(&last_id));
    return 0;
}

static tls_key_t
key_of_ids(void)
{
    tls_key_options_t options = test_options();

    last_id = 0;
    options.init = init_next_id;
    return test_key_from(&options);
}

static void *
read_own_id_often(void *argument)
{
    void *id = tls_get(key);
    uintptr_t i;

    (void)argument;
    for (i = 0; i < (uintptr_t)id; i++) {
        sched_yield();
        CHECK_PTR(tls_get(key), id);
    }
    return id;
}

/* T01: 100 threads that take turns; ids unique, each stable in its thread. */
static void
each_thread_keeps_its_own_value(void)
{
    pthread_t threads[THREADS];
    bool seen[THREADS + 1] = { false };
    uintptr_t id;
    int i;

    key = key_of_ids();
    for (i = 0; i < THREADS; i++)
        threads[i] = test_start(read_own_id_often, NULL);
    for (i = 0; i < THREADS; i++) {
        id = (uintptr_t)test_join(threads[i]);
        CHECK_AT_LEAST(id, 1);
        CHECK_AT_MOST(id, THREADS);
        CHECK(!seen[id]);
        seen[id] = true;
    }
    CHECK_OK(tls_key_release(key));
}

static void *
read_own_id(void *argument)
{
    (void)argument;
    return tls_get(key);
}

/* T02, N16: rounds of threads, whose stacks and pthread_t the system reuses;
 * no id comes twice. */
static void
a_new_thread_never_sees_an_old_threads_value(void)
{
    enum { AT_ONCE = 50 };
    size_t rounds = test_scaled(50, 3);
    bool *seen = (bool *)calloc(rounds * AT_ONCE + 1, sizeof(bool));
    pthread_t threads[AT_ONCE];
    size_t round;
    uintptr_t id;
    int i;

    CHECK(seen != NULL);
    key = key_of_ids();
    for (round = 0; round < rounds; round++) {
        for (i = 0; i < AT_ONCE; i++)
            threads[i] = test_start(read_own_id, NULL);
        for (i = 0; i < AT_ONCE; i++) {
            id = (uintptr_t)test_join(threads[i]);
            CHECK_AT_MOST(id, rounds * AT_ONCE);
            CHECK(!seen[id]);
            seen[id] = true;
        }
    }
    CHECK_UINT(last_id, rounds * AT_ONCE);
    CHECK_OK(tls_key_release(key));
    free(seen);
}

static void *
remove_or_set_by_number(void *argument)
{
    uintptr_t number = (uintptr_t)argument;

    CHECK_OK(tls_set(key, VALUE(number)));
    sched_yield();
    switch (number) {
    case 10: case 20: case 45: case 38:
        CHECK_OK(tls_remove(key));
        break;
    case 12: case 34: case 11:
        CHECK_OK(tls_remove(key));
        CHECK_OK(tls_set(key, VALUE(102)));
        break;
    default:
        break;
    }
    sched_yield();
    return tls_get(key);
}

static int
init_101(void **value, void *user)
{
    (void)user;
    *value = VALUE(101);
    return 0;
}

/* T05: some threads remove, some remove and set; nobody else is touched. */
static void
a_removal_touches_one_thread_only(void)
{
    tls_key_options_t options = test_options();
    pthread_t threads[THREADS];
    uintptr_t i;

    options.init = init_101;
    key = test_key_from(&options);
    for (i = 0; i < THREADS; i++)
        threads[i] = test_start(remove_or_set_by_number, VALUE(i + 1));
    for (i = 1; i <= THREADS; i++) {
        bool removed = i == 10 || i == 20 || i == 45 || i == 38;
        bool set = i == 12 || i == 34 || i == 11;

        CHECK_PTR(test_join(threads[i - 1]),
                  VALUE(removed ? 101 : set ? 102 : i));
    }
    CHECK_OK(tls_key_release(key));
}

static void *
see_nothing_then_set(void *argument)
{
    CHECK_PTR(tls_get(key), NULL);
    CHECK_OK(tls_set(key, argument));
    CHECK_PTR(tls_get(key), argument);
    return VALUE(test_thread());
}

/* R02, F01: threads one after the other; each starts with nothing, and its
 * value ends with it, on it, once. */
static void
a_value_ends_with_its_thread(void)
{
    size_t count = test_scaled(1024, 20);
    size_t i;

    test_log_clear(&ended);
    key = test_key_logged(&ended);
    for (i = 0; i < count; i++) {
        void *number = test_in_thread(see_nothing_then_set, VALUE(i + 1));

        CHECK_UINT(ended.count, i + 1);
        CHECK_RECORD(&ended, i, VALUE(i + 1), TLS_REASON_THREAD_EXIT,
                     (unsigned)(uintptr_t)number);
    }
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, count);
    CHECK_UINT(ended.freed, 1);
}

static test_log_t ended_too;
static tls_key_t key_too;

static void *
set_two_keys_and_overwrite_one(void *argument)
{
    CHECK_OK(tls_set(key, argument));
    CHECK_OK(tls_set(key_too, argument));
    CHECK_OK(tls_set(key, VALUE((uintptr_t)argument + 1000)));
    return NULL;
}

/* R05: two keys, n threads, one value of each thread overwritten: n values
 * replaced, 2n end with the threads, nothing counted twice. */
static void
overwritten_values_do_not_end_twice(void)
{
    enum { COUNT = 20 };
    pthread_t threads[COUNT];
    size_t replaced = 0;
    size_t exited = 0;
    size_t i;

    test_log_clear(&ended);
    test_log_clear(&ended_too);
    key = test_key_logged(&ended);
    key_too = test_key_logged(&ended_too);
    for (i = 0; i < COUNT; i++)
        threads[i] = test_start(set_two_keys_and_overwrite_one, VALUE(i + 1));
    for (i = 0; i < COUNT; i++)
        test_join(threads[i]);
    CHECK_UINT(ended.count, 2 * COUNT);
    CHECK_UINT(ended_too.count, COUNT);
    for (i = 0; i < ended.count; i++) {
        bool is_new = (uintptr_t)ended.records[i].value > 1000;

        CHECK_INT(ended.records[i].reason,
                  is_new ? TLS_REASON_THREAD_EXIT : TLS_REASON_REPLACED);
        replaced += !is_new;
        exited += is_new;
    }
    CHECK_UINT(replaced, COUNT);
    CHECK_UINT(exited, COUNT);
    CHECK_OK(tls_key_release(key));
    CHECK_OK(tls_key_release(key_too));
}

/* ---- Objects, as the users of Boost's thread_specific_ptr have them --- */

typedef struct object {
    size_t increments;
} object_t;

static size_t instances;
static size_t increments;

static int
make_object(void **value, void *user)
{
    object_t *object = (object_t *)calloc(1, sizeof(*object));

    (void)user;
    if (object == NULL)
        return -1;
    test_count_up(&instances);
    *value = object;
    return 0;
}

static void
destroy_object(void *value, int reason, void *user)
{
    object_t *object = (object_t *)value;

    (void)user;
    CHECK_INT(reason, TLS_REASON_THREAD_EXIT);
    __atomic_fetch_add(&increments, object->increments, __ATOMIC_SEQ_CST);
    __atomic_fetch_sub(&instances, 1, __ATOMIC_SEQ_CST);
    free(object);
}

static void *
increment_1000_times(void *argument)
{
    int i;

    (void)argument;
    for (i = 0; i < 1000; i++)
        ((object_t *)tls_get(key))->increments++;
    CHECK_UINT(((object_t *)tls_get(key))->increments, 1000);
    return NULL;
}

/* BO1, T39: threads of every make, joinable and detached, with a small stack
 * or the default one: objects are made lazily and none is left. */
static void
threads_of_any_make_clean_up(void)
{
    enum { JOINABLE = 5, SMALL = 5 };
    tls_key_options_t options = test_options();
    pthread_t threads[JOINABLE + SMALL];
    pthread_attr_t small;
    int i;

    options.init = make_object;
    options.destroy = destroy_object;
    key = test_key_from(&options);
    CHECK_INT(pthread_attr_init(&small), 0);
    CHECK_INT(pthread_attr_setstacksize(&small, 256 * 1024), 0);
    for (i = 0; i < JOINABLE; i++)
        threads[i] = test_start(increment_1000_times, NULL);
    for (; i < JOINABLE + SMALL; i++)
        CHECK_INT(pthread_create(&threads[i], &small, increment_1000_times, NULL), 0);
    for (i = 0; i < JOINABLE + SMALL; i++)
        test_join(threads[i]);
    pthread_attr_destroy(&small);
    CHECK_UINT(instances, 0);
    CHECK_UINT(increments, (JOINABLE + SMALL) * 1000);
    CHECK_OK(tls_key_release(key));
}

static void
count_up_destroyed(void *value, int reason, void *user)
{
    (void)value;
    (void)reason;
    test_count_up((size_t *)user);
}

static void *
set_value(void *argument)
{
    CHECK_OK(tls_set(key, argument));
    return NULL;
}

/* A detached thread has no joiner to wait for it; its value ends all the
 * same, and its map goes. */
static void
a_detached_thread_cleans_up(void)
{
    static size_t destroyed;
    tls_key_options_t options = test_options();
    uint64_t maps = test_stats().maps;
    pthread_attr_t detached;
    pthread_t thread;

    options.destroy = count_up_destroyed;
    options.user = &destroyed;
    key = test_key_from(&options);
    CHECK_INT(pthread_attr_init(&detached), 0);
    CHECK_INT(pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED), 0);
    CHECK_INT(pthread_create(&thread, &detached, set_value, VALUE(1)), 0);
    pthread_attr_destroy(&detached);
    while (test_count(&destroyed) == 0 || test_stats().maps != maps)
        sched_yield();
    CHECK_UINT(test_count(&destroyed), 1);
    CHECK_OK(tls_key_release(key));
}

#define KEYS 100

static tls_key_t keys[KEYS];

static void *
see_nothing_then_set_100(void *argument)
{
    int i;

    for (i = 0; i < KEYS; i++)
        CHECK_PTR(tls_get_existing(keys[i]), NULL);
    for (i = 0; i < KEYS; i++)
        CHECK_OK(tls_set(keys[i], argument));
    return NULL;
}

/* P05: 100 keys, a thread on the stack of the one before it sees nothing. */
static void
a_recycled_stack_shows_nothing(void)
{
    size_t count = test_scaled(50, 3);
    size_t i;

    for (i = 0; i < KEYS; i++)
        keys[i] = test_key();
    for (i = 0; i < count; i++)
        test_in_thread(see_nothing_then_set_100, VALUE(i + 1));
    for (i = 0; i < KEYS; i++)
        CHECK_OK(tls_key_release(keys[i]));
}

int
main(void)
{
    RUN(each_thread_keeps_its_own_value);
    RUN(a_new_thread_never_sees_an_old_threads_value);
    RUN(a_removal_touches_one_thread_only);
    RUN(a_value_ends_with_its_thread);
    RUN(overwritten_values_do_not_end_twice);
    RUN(threads_of_any_make_clean_up);
    RUN(a_detached_thread_cleans_up);
    RUN(a_recycled_stack_shows_nothing);
    return test_finish();
}
