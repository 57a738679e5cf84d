/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What POSIX promises of pthread keys, and what programs rely on beside: run
 * with the system's functions and with this library's, it prints the same.
 * What POSIX leaves open (the order of destructors) is not looked at.
 */
#include "check.h"

#include <limits.h>

/* What the latest destructors were called with. */
static size_t destroyed;
static void *last_value;
static void *seen_inside;
static pthread_t last_thread;

static pthread_key_t key; /* of the test that runs */

static void
count(void *value)
{
    destroyed++;
    last_value = value;
    last_thread = pthread_self();
    seen_inside = pthread_getspecific(key);
}

static void
forget(void)
{
    destroyed = 0;
    last_value = seen_inside = NULL;
}

static void
make_key(void (*destructor)(void *))
{
    forget();
    CHECK(pthread_key_create(&key, destructor) == 0);
}

/* ---- One thread after the other -------------------------------------- */

static void *
set_and_end(void *value)
{
    CHECK(pthread_getspecific(key) == NULL);
    CHECK(pthread_setspecific(key, value) == 0);
    CHECK(pthread_getspecific(key) == value);
    return NULL;
}

static void
each_thread_has_a_value_of_its_own(void)
{
    make_key(NULL);
    CHECK(pthread_setspecific(key, VALUE(1)) == 0);
    in_thread(set_and_end, VALUE(2));
    in_thread(set_and_end, VALUE(3));
    CHECK(pthread_getspecific(key) == VALUE(1));
    CHECK(pthread_key_delete(key) == 0);
}

static void
a_destructor_gets_the_value_and_sees_null(void)
{
    pthread_t thread;

    make_key(count);
    thread = start(set_and_end, VALUE(7));
    join(thread);
    printf("destructor calls: %zu\n", destroyed);
    CHECK(destroyed == 1 && last_value == VALUE(7) && seen_inside == NULL);
    CHECK(pthread_equal(last_thread, thread));
    CHECK(pthread_key_delete(key) == 0);
}

static void *
set_five_times(void *argument)
{
    CHECK(pthread_setspecific(key, VALUE(1)) == 0);
    CHECK(pthread_setspecific(key, VALUE(2)) == 0);
    CHECK(pthread_setspecific(key, VALUE(2)) == 0);
    CHECK(pthread_setspecific(key, NULL) == 0);
    CHECK(pthread_getspecific(key) == NULL);
    CHECK(pthread_setspecific(key, argument) == 0);
    return NULL;
}

static void
setting_over_a_value_destroys_nothing(void)
{
    make_key(count);
    in_thread(set_five_times, VALUE(5));
    printf("destructor calls: %zu, for value %zu\n", destroyed,
           (size_t)(uintptr_t)last_value);
    in_thread(set_five_times, NULL);
    printf("and after NULL was set last: %zu\n", destroyed);
    CHECK(pthread_key_delete(key) == 0);
}

static void *
set_nothing(void *argument)
{
    CHECK(pthread_getspecific(key) == NULL);
    return argument;
}

static void
threads_without_a_value_run_no_destructor(void)
{
    make_key(count);
    in_thread(set_nothing, NULL);
    printf("destructor calls: %zu\n", destroyed);
    CHECK(pthread_key_delete(key) == 0);
}

static void *
set_then_exit(void *value)
{
    pthread_setspecific(key, value);
    pthread_exit(VALUE(9));
}

static struct meeting value_is_set = MEETING_INITIALIZER;

static void *
set_then_wait(void *value)
{
    struct meeting never = MEETING_INITIALIZER;

    pthread_setspecific(key, value);
    meet(&value_is_set);
    meet(&never); /* in pthread_cond_wait(), a cancellation point */
    return NULL;
}

static void
destructors_run_however_a_thread_ends(void)
{
    pthread_t thread;

    make_key(count);
    CHECK(in_thread(set_then_exit, VALUE(1)) == VALUE(9));
    printf("after pthread_exit: %zu\n", destroyed);
    thread = start(set_then_wait, VALUE(2));
    meet(&value_is_set);
    CHECK(pthread_cancel(thread) == 0);
    CHECK(join(thread) == PTHREAD_CANCELED);
    printf("after pthread_cancel, too: %zu\n", destroyed);
    CHECK(pthread_key_delete(key) == 0);
}

/* ---- Destructors that act -------------------------------------------- */

static void
set_again(void *value)
{
    count(value);
    CHECK(pthread_setspecific(key, value) == 0);
}

static void
a_destructor_that_always_sets_again_is_called_four_times(void)
{
    make_key(set_again);
    in_thread(set_and_end, VALUE(1));
    printf("destructor calls: %zu, PTHREAD_DESTRUCTOR_ITERATIONS: %s\n",
           destroyed,
           destroyed == PTHREAD_DESTRUCTOR_ITERATIONS ? "as many" : "not as many");
    CHECK(pthread_key_delete(key) == 0);
}

static pthread_key_t other_key;

static void
set_the_other(void *value)
{
    count(value);
    CHECK(pthread_setspecific(other_key, VALUE(2)) == 0);
    CHECK(pthread_getspecific(other_key) == VALUE(2));
}

static void
a_destructor_may_set_another_key(void)
{
    /* Both ways round: the other key is the newer one, then the older one. */
    make_key(set_the_other);
    CHECK(pthread_key_create(&other_key, count) == 0);
    in_thread(set_and_end, VALUE(1));
    CHECK(last_value == VALUE(2));
    printf("newer: %zu calls\n", destroyed);
    CHECK(pthread_key_delete(key) == 0);
    make_key(set_the_other);
    in_thread(set_and_end, VALUE(1));
    CHECK(last_value == VALUE(2));
    printf("older: %zu calls\n", destroyed);
    CHECK(pthread_key_delete(key) == 0);
    CHECK(pthread_key_delete(other_key) == 0);
}

static void
make_and_set_a_key(void *value)
{
    count(value);
    CHECK(pthread_key_create(&other_key, count) == 0);
    CHECK(pthread_getspecific(other_key) == NULL);
    CHECK(pthread_setspecific(other_key, VALUE(2)) == 0);
}

static void
a_destructor_may_make_a_key(void)
{
    make_key(make_and_set_a_key);
    in_thread(set_and_end, VALUE(1));
    printf("destructor calls: %zu\n", destroyed);
    CHECK(pthread_key_delete(key) == 0);
    CHECK(pthread_key_delete(other_key) == 0);
}

static void
delete_own_key(void *value)
{
    count(value);
    CHECK(pthread_key_delete(key) == 0);
}

static void
a_destructor_may_delete_its_key(void)
{
    make_key(delete_own_key);
    in_thread(set_and_end, VALUE(1));
    printf("destructor calls: %zu, deleting once more: %s\n", destroyed,
           error_name(pthread_key_delete(key)));
}

/* ---- Deleted keys ---------------------------------------------------- */

static struct meeting meeting = MEETING_INITIALIZER;

static void *
keep_while_it_is_deleted(void *value)
{
    CHECK(pthread_setspecific(key, value) == 0);
    meet(&meeting); /* it is set here */
    meet(&meeting); /* it is deleted there */
    printf("deleted: get %s, set %s, set NULL %s\n",
           pthread_getspecific(key) == NULL ? "NULL" : "a value",
           error_name(pthread_setspecific(key, VALUE(8))),
           error_name(pthread_setspecific(key, NULL)));
    meet(&meeting);
    meet(&meeting); /* there is a new key */
    CHECK(pthread_getspecific(other_key) == NULL);
    return NULL;
}

static void
a_deleted_keys_values_are_not_seen_and_not_destroyed(void)
{
    pthread_t thread;

    make_key(count);
    CHECK(pthread_setspecific(key, VALUE(1)) == 0);
    thread = start(keep_while_it_is_deleted, VALUE(2));
    meet(&meeting);
    CHECK(pthread_key_delete(key) == 0);
    printf("destructor calls at once: %zu\n", destroyed);
    meet(&meeting);
    meet(&meeting);
    /* The system gives this one the deleted key's place. */
    CHECK(pthread_key_create(&other_key, count) == 0);
    CHECK(pthread_getspecific(other_key) == NULL);
    meet(&meeting);
    join(thread);
    printf("after the thread's end: %zu\n", destroyed);
    CHECK(pthread_key_delete(other_key) == 0);
}

static void
wrong_keys_are_told(void)
{
    make_key(NULL);
    CHECK(pthread_key_delete(key) == 0);
    printf("deleted: delete %s, set %s, get %s\n",
           error_name(pthread_key_delete(key)),
           error_name(pthread_setspecific(key, VALUE(1))),
           pthread_getspecific(key) == NULL ? "NULL" : "a value");
    printf("(pthread_key_t)-1: delete %s, set %s\n",
           error_name(pthread_key_delete((pthread_key_t)-1)),
           error_name(pthread_setspecific((pthread_key_t)-1, VALUE(1))));
}

static void
a_key_is_null_on_threads_that_were_there_before(void)
{
    size_t i;

    /* The place of each key was that of the one before. */
    for (i = 1; i <= 100; i++) {
        CHECK(pthread_key_create(&key, NULL) == 0);
        CHECK(pthread_getspecific(key) == NULL);
        CHECK(pthread_setspecific(key, VALUE(i)) == 0);
        CHECK(pthread_getspecific(key) == VALUE(i));
        CHECK(pthread_key_delete(key) == 0);
    }
}

/* ---- What programs do with a pthread_key_t --------------------------- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t once_key;

static void
make_once_key(void)
{
    CHECK(pthread_key_create(&once_key, free) == 0);
}

static void *
use_once_key(void *argument)
{
    char *text;

    CHECK(pthread_once(&once, make_once_key) == 0);
    text = (char *)pthread_getspecific(once_key);
    if (text == NULL) {
        text = (char *)calloc(1, 100);
        CHECK(pthread_setspecific(once_key, text) == 0);
    }
    strcpy(text, "of this thread");
    CHECK(strcmp((char *)pthread_getspecific(once_key), "of this thread") == 0);
    return argument;
}

static void
a_static_key_is_made_once(void)
{
    in_thread(use_once_key, NULL);
    in_thread(use_once_key, NULL);
    CHECK(pthread_key_delete(once_key) == 0);
}

struct cache {
    int used;
    pthread_key_t slots[3];
};

static void *
get_by_value(pthread_key_t by_value)
{
    return pthread_getspecific(by_value);
}

static int
make_by_pointer(pthread_key_t *made)
{
    return pthread_key_create(made, NULL);
}

static void
keys_are_kept_copied_and_compared(void)
{
    struct cache cache = {0, {0, 0, 0}};
    struct cache copy;
    int (*set)(pthread_key_t, const void *) = pthread_setspecific;
    const char *text = "constant";
    int i;

    for (i = 0; i < 3; i++)
        CHECK(make_by_pointer(&cache.slots[i]) == 0);
    CHECK(cache.slots[0] != cache.slots[1] && cache.slots[1] != cache.slots[2]);
    CHECK(cache.slots[2] != (pthread_key_t)-1);
    copy = cache;
    CHECK(set(cache.slots[1], text) == 0);
    CHECK(get_by_value(copy.slots[1]) == text);
    CHECK(get_by_value(copy.slots[2]) == NULL);
    for (i = 0; i < 3; i++)
        CHECK(pthread_key_delete(copy.slots[i]) == 0);
}

static pthread_key_t many[300];

static void *
set_all(void *argument)
{
    size_t i;

    for (i = 0; i < 300; i++)
        CHECK(pthread_setspecific(many[i], VALUE(i + 1)) == 0);
    for (i = 0; i < 300; i++)
        CHECK(pthread_getspecific(many[i]) == VALUE(i + 1));
    return argument;
}

static void
hundreds_of_keys_on_one_thread(void)
{
    size_t i;

    forget();
    for (i = 0; i < 300; i++)
        CHECK(pthread_key_create(&many[i], count) == 0);
    in_thread(set_all, NULL);
    printf("destructor calls: %zu\n", destroyed);
    for (i = 0; i < 300; i++)
        CHECK(pthread_key_delete(many[i]) == 0);
}

int
main(void)
{
    RUN(each_thread_has_a_value_of_its_own);
    RUN(a_destructor_gets_the_value_and_sees_null);
    RUN(setting_over_a_value_destroys_nothing);
    RUN(threads_without_a_value_run_no_destructor);
    RUN(destructors_run_however_a_thread_ends);
    RUN(a_destructor_that_always_sets_again_is_called_four_times);
    RUN(a_destructor_may_set_another_key);
    RUN(a_destructor_may_make_a_key);
    RUN(a_destructor_may_delete_its_key);
    RUN(a_deleted_keys_values_are_not_seen_and_not_destroyed);
    RUN(wrong_keys_are_told);
    RUN(a_key_is_null_on_threads_that_were_there_before);
    RUN(a_static_key_is_made_once);
    RUN(keys_are_kept_copied_and_compared);
    RUN(hundreds_of_keys_on_one_thread);
    return 0;
}
