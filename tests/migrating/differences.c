/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What differs from the system's functions, as threadlocalmap_pthread.h says.
 * Compiled with that header only.
 */
#include <threadlocalmap_pthread.h>

#include "test.h"

#include <limits.h>

static size_t destroyed;
static pthread_key_t keys[6];

static void
count(void *value)
{
    (void)value;
    test_count_up(&destroyed);
}

static void
a_deleted_keys_number_is_never_used_again(void)
{
    pthread_key_t first, next;
    int i;

    CHECK_INT(pthread_key_create(&first, NULL), 0);
    CHECK_INT(pthread_key_delete(first), 0);
    for (i = 0; i < 1000; i++) {
        CHECK_INT(pthread_key_create(&next, NULL), 0);
        CHECK(next != first && next != 0);
        CHECK_INT(pthread_setspecific(first, VALUE(1)), EINVAL);
        CHECK_PTR(pthread_getspecific(first), NULL);
        CHECK_INT(pthread_key_delete(next), 0);
    }
    CHECK_INT(pthread_setspecific(0, VALUE(1)), EINVAL);
    CHECK_INT(pthread_key_delete(0), EINVAL);
    CHECK_INT(pthread_key_create(NULL, NULL), EINVAL);
}

/* ---- Order ----------------------------------------------------------- */

static void *order[6];
static size_t ordered;

static void
record(void *value)
{
    order[ordered++] = value;
}

static void *
set_1_0_2(void *argument)
{
    CHECK_INT(pthread_setspecific(keys[1], VALUE(1)), 0);
    CHECK_INT(pthread_setspecific(keys[0], VALUE(2)), 0);
    CHECK_INT(pthread_setspecific(keys[2], VALUE(3)), 0);
    CHECK_INT(pthread_setspecific(keys[1], VALUE(4)), 0); /* its place stays */
    return argument;
}

static void
make_keys(int count_of_them, void (*destructor)(void *))
{
    int i;

    for (i = 0; i < count_of_them; i++)
        CHECK_INT(pthread_key_create(&keys[i], destructor), 0);
}

static void
delete_keys(int count_of_them)
{
    int i;

    for (i = 0; i < count_of_them; i++)
        CHECK_INT(pthread_key_delete(keys[i]), 0);
}

static void
destructors_run_in_the_reverse_order_of_first_set(void)
{
    make_keys(3, record);
    test_in_thread(set_1_0_2, NULL);
    CHECK_UINT(ordered, 3);
    CHECK_PTR(order[0], VALUE(3));
    CHECK_PTR(order[1], VALUE(2));
    CHECK_PTR(order[2], VALUE(4));
    delete_keys(3);
}

/* The value is the number of the next link. */
static void
set_next(void *value)
{
    uintptr_t next = (uintptr_t)value;

    count(value);
    if (next < 6)
        CHECK_INT(pthread_setspecific(keys[next], VALUE(next + 1)), 0);
}

static void *
set_first(void *argument)
{
    CHECK_INT(pthread_setspecific(keys[0], VALUE(1)), 0);
    return argument;
}

static void
a_chain_of_destructors_has_4_links(void)
{
    uint64_t leaked = test_stats().leaked;

    destroyed = 0;
    make_keys(6, set_next);
    test_in_thread(set_first, NULL);
    CHECK_UINT(destroyed, PTHREAD_DESTRUCTOR_ITERATIONS);
    CHECK_UINT(test_stats().leaked, leaked + 1);
    delete_keys(6);
}

/* ---- Beside the library's own functions ------------------------------ */

static void
a_destructor_attaches_its_keys_maker(void)
{
    CHECK_OK(tls_thread_detach());
    CHECK_INT(pthread_key_create(&keys[0], NULL), 0);
    CHECK_UINT(test_stats().maps, 0);
    CHECK_INT(pthread_key_create(&keys[1], count), 0);
    CHECK_UINT(test_stats().maps, 1);
    delete_keys(2);
}

static void
setting_null_takes_no_memory(void)
{
    CHECK_OK(tls_thread_detach());
    make_keys(1, NULL);
    CHECK_INT(pthread_setspecific(keys[0], NULL), 0);
    CHECK_UINT(test_stats().maps, 0);
    CHECK_INT(pthread_setspecific(keys[0], VALUE(1)), 0);
    CHECK_UINT(test_stats().entries, 1);
    CHECK_INT(pthread_setspecific(keys[0], NULL), 0);
    CHECK_UINT(test_stats().entries, 0);
    delete_keys(1);
}

static void
detaching_runs_destructors_and_remove_all_does_not(void)
{
    destroyed = 0;
    make_keys(1, count);
    CHECK_INT(pthread_setspecific(keys[0], VALUE(1)), 0);
    CHECK_OK(tls_remove_all());
    CHECK_PTR(pthread_getspecific(keys[0]), NULL);
    CHECK_UINT(destroyed, 0);
    CHECK_OK(tls_set(keys[0], VALUE(2)));
    CHECK_PTR(pthread_getspecific(keys[0]), VALUE(2));
    CHECK_OK(tls_thread_detach());
    CHECK_UINT(destroyed, 1);
    delete_keys(1);
}

struct script {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int step;
};

static struct script script = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};

static void
go_to(int step)
{
    pthread_mutex_lock(&script.lock);
    script.step = step;
    pthread_cond_broadcast(&script.changed);
    pthread_mutex_unlock(&script.lock);
}

static void
wait_for(int step)
{
    pthread_mutex_lock(&script.lock);
    while (script.step < step)
        pthread_cond_wait(&script.changed, &script.lock);
    pthread_mutex_unlock(&script.lock);
}

static tls_key_t own_key;

static void
count_own(void *value, int reason, void *user)
{
    (void)reason;
    (void)user;
    count(value);
}

static void *
hold_values_of_dying_keys(void *argument)
{
    CHECK_INT(pthread_setspecific(keys[0], VALUE(1)), 0);
    CHECK_INT(pthread_setspecific(keys[1], VALUE(2)), 0);
    CHECK_OK(tls_set(own_key, VALUE(3)));
    go_to(1);
    wait_for(2);
    CHECK_UINT(tls_stale_count(), 2);
    CHECK_PTR(pthread_getspecific(keys[0]), NULL);
    CHECK_PTR(pthread_getspecific(keys[1]), VALUE(2));
    CHECK_UINT(tls_stale_count(), 2);
    CHECK_UINT(destroyed, 0);
    CHECK_UINT(tls_expunge(), 2);
    CHECK_UINT(destroyed, 1); /* the library's own key's */
    CHECK_PTR(pthread_getspecific(keys[1]), VALUE(2));
    return argument;
}

static void
getspecific_runs_no_callbacks_and_expunging_no_destructors(void)
{
    tls_key_options_t options = test_options();
    pthread_t thread;

    destroyed = 0;
    options.destroy = count_own;
    own_key = test_key_from(&options);
    make_keys(2, count);
    thread = test_start(hold_values_of_dying_keys, NULL);
    wait_for(1);
    CHECK_INT(pthread_key_delete(keys[0]), 0);
    CHECK_OK(tls_key_release(own_key));
    go_to(2);
    test_join(thread);
    CHECK_UINT(destroyed, 2); /* and keys[1]'s, at the thread's end */
    CHECK_INT(pthread_key_delete(keys[1]), 0);
}

int
main(void)
{
    RUN(a_deleted_keys_number_is_never_used_again);
    RUN(destructors_run_in_the_reverse_order_of_first_set);
    RUN(a_chain_of_destructors_has_4_links);
    RUN(a_destructor_attaches_its_keys_maker);
    RUN(setting_null_takes_no_memory);
    RUN(detaching_runs_destructors_and_remove_all_does_not);
    RUN(getspecific_runs_no_callbacks_and_expunging_no_destructors);
    return test_finish();
}
