/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What C11 promises of tss_t. <threads.h> stands first, as the header asks of
 * C++ programs.
 */
#include <threads.h>

#include "check.h"

static size_t destroyed;
static void *last_value;
static void *seen_inside;
static tss_t key;

static void
count(void *value)
{
    destroyed++;
    last_value = value;
    seen_inside = tss_get(key);
}

static void
run(thrd_start_t body, void *argument)
{
    thrd_t thread;

    CHECK(thrd_create(&thread, body, argument) == thrd_success);
    CHECK(thrd_join(thread, NULL) == thrd_success);
}

static int
set_and_return(void *value)
{
    CHECK(tss_get(key) == NULL);
    CHECK(tss_set(key, VALUE(1)) == thrd_success);
    CHECK(tss_set(key, value) == thrd_success);
    CHECK(tss_get(key) == value);
    return 0;
}

static int
set_and_exit(void *value)
{
    CHECK(tss_set(key, value) == thrd_success);
    thrd_exit(0);
}

static void
a_destructor_gets_the_value_and_sees_null(void)
{
    destroyed = 0;
    CHECK(tss_create(&key, count) == thrd_success);
    run(set_and_return, VALUE(7));
    CHECK(destroyed == 1 && last_value == VALUE(7) && seen_inside == NULL);
    run(set_and_exit, VALUE(8));
    CHECK(last_value == VALUE(8));
    run(set_and_return, NULL);
    printf("destructor calls: %zu\n", destroyed);
    tss_delete(key);
}

static void
set_again(void *value)
{
    count(value);
    CHECK(tss_set(key, value) == thrd_success);
}

static void
a_destructor_that_always_sets_again_is_called_a_few_times(void)
{
    destroyed = 0;
    CHECK(tss_create(&key, set_again) == thrd_success);
    run(set_and_return, VALUE(1));
    printf("destructor calls: %zu, TSS_DTOR_ITERATIONS: %s\n", destroyed,
           destroyed == TSS_DTOR_ITERATIONS ? "as many" : "not as many");
    tss_delete(key);
}

static void
deleting_calls_no_destructor(void)
{
    destroyed = 0;
    CHECK(tss_create(&key, count) == thrd_success);
    CHECK(tss_set(key, VALUE(1)) == thrd_success);
    tss_delete(key);
    printf("destructor calls: %zu, the deleted key: set %s, get %s\n", destroyed,
           tss_set(key, VALUE(2)) == thrd_error ? "thrd_error" : "another answer",
           tss_get(key) == NULL ? "NULL" : "a value");
}

static once_flag once = ONCE_FLAG_INIT;

static void
make_key(void)
{
    CHECK(tss_create(&key, free) == thrd_success);
}

static int
use_once_key(void *argument)
{
    (void)argument;
    call_once(&once, make_key);
    CHECK(tss_get(key) == NULL);
    CHECK(tss_set(key, calloc(1, 100)) == thrd_success);
    CHECK(tss_get(key) != NULL);
    return 0;
}

static void
a_static_key_is_made_once(void)
{
    run(use_once_key, NULL);
    run(use_once_key, NULL);
    tss_delete(key);
}

int
main(void)
{
    RUN(a_destructor_gets_the_value_and_sees_null);
    RUN(a_destructor_that_always_sets_again_is_called_a_few_times);
    RUN(deleting_calls_no_destructor);
    RUN(a_static_key_is_made_once);
    return 0;
}
