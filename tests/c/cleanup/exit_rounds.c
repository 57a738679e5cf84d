/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Values that destroy callbacks set while their thread ends or detaches. */
#include "acting_key.h"

static void
set_the_next_value(void *value, int reason)
{
    (void)reason;
    CHECK_OK(tls_set(own, VALUE((uintptr_t)value + 1)));
}

/* T37, N22: four rounds, then the thread ends all the same; the value that is
 * left is not destroyed but counted. */
static void
a_callback_that_always_sets_again_is_stopped_after_4_rounds(void)
{
    tls_stats_t before = test_stats();
    size_t i;

    prepare(set_the_next_value);
    test_in_thread(set_own_in_thread, VALUE(1));
    CHECK_UINT(ended.count, 4);
    for (i = 0; i < 4; i++) {
        CHECK_PTR(ended.records[i].value, VALUE(i + 1));
        CHECK_INT(ended.records[i].reason, TLS_REASON_THREAD_EXIT);
    }
    CHECK_UINT(test_stats().leaked, before.leaked + 1);
    CHECK_UINT(test_stats().destroyed, before.destroyed + 4);
    CHECK_UINT(test_stats().entries, before.entries);
    CHECK_OK(tls_key_release(own));
    CHECK_UINT(ended.count, 4);
    CHECK_UINT(ended.freed, 1);

    prepare(set_the_next_value);
    test_in_thread(set_own_and_detach, VALUE(1));
    CHECK_UINT(ended.count, 4);
    CHECK_INT(ended.records[3].reason, TLS_REASON_DETACHED);
    CHECK_UINT(test_stats().leaked, before.leaked + 2);
    CHECK_OK(tls_key_release(own));
    CHECK_UINT(ended.freed, 1);
}

/* A callback that sets again three times gets all four of its rounds. */
static void
a_callback_that_stops_in_time_leaks_nothing(void)
{
    uint64_t leaked = test_stats().leaked;

    prepare(set_the_next_value_up_to_4);
    test_in_thread(set_own_in_thread, VALUE(1));
    CHECK_UINT(ended.count, 4);
    CHECK_PTR(ended.records[3].value, VALUE(4));
    CHECK_UINT(test_stats().leaked, leaked);
    CHECK_OK(tls_key_release(own));
}

static size_t made;

static int
make_lazily(void **value, void *user)
{
    (void)user;
    *value = VALUE(1000 + test_count_up(&made));
    return 0;
}

static void
get_lazily(void *value, int reason)
{
    (void)value;
    (void)reason;
    CHECK(tls_get(others[0]) != NULL);
}

/* F07: at thread exit a callback makes a value of another key that the thread
 * had never used, in a key made in that moment too. */
static void
values_made_at_thread_exit_end_as_well(void)
{
    tls_key_options_t options = test_options();

    prepare(get_lazily);
    options.init = make_lazily;
    options.destroy = test_log_destroy;
    options.user = &ended_others;
    others[0] = test_key_from(&options);
    test_in_thread(set_own_in_thread, VALUE(1));
    CHECK_UINT(made, 1);
    CHECK_UINT(ended.count, 1);
    CHECK_UINT(ended_others.count, 1);
    CHECK_PTR(ended_others.records[0].value, VALUE(1001));
    CHECK_INT(ended_others.records[0].reason, TLS_REASON_THREAD_EXIT);
    CHECK_OK(tls_key_release(own));
    release_others(1);
}

static void
set_all_others(void *value, int reason)
{
    int i;

    (void)value;
    (void)reason;
    for (i = 0; i < OTHERS; i++)
        CHECK_OK(tls_set(others[i], VALUE(i + 1)));
}

/* F12: a callback at thread exit sets more keys than the table has room for. */
static void
the_table_may_grow_during_thread_exit(void)
{
    uint64_t leaked = test_stats().leaked;
    int i;

    prepare(set_all_others);
    make_others(OTHERS);
    test_in_thread(set_own_in_thread, VALUE(1));
    CHECK_UINT(ended.count, 1);
    CHECK_UINT(ended_others.count, OTHERS);
    for (i = 0; i < OTHERS; i++)
        CHECK_PTR(ended_others.records[i].value, VALUE(OTHERS - i));
    CHECK_UINT(test_stats().leaked, leaked);
    CHECK_OK(tls_key_release(own));
    release_others(OTHERS);
}

static tls_key_t ping;
static tls_key_t pong;

static void
set_the_other(void *value, int reason, void *user)
{
    test_log_destroy(value, reason, &ended);
    CHECK_OK(tls_set(*(tls_key_t *)user, VALUE((uintptr_t)value + 1)));
}

static void *
set_ping(void *argument)
{
    CHECK_OK(tls_set(ping, argument));
    return NULL;
}

/* Two keys whose callbacks set each other: bounded as well. */
static void
callbacks_that_set_each_other_are_stopped(void)
{
    tls_key_options_t options = test_options();
    uint64_t leaked = test_stats().leaked;

    test_log_clear(&ended);
    options.destroy = set_the_other;
    options.user = &pong;
    ping = test_key_from(&options);
    options.user = &ping;
    pong = test_key_from(&options);
    test_in_thread(set_ping, VALUE(1));
    CHECK_AT_LEAST(ended.count, 4);
    CHECK_AT_MOST(ended.count, 8);
    CHECK_UINT(test_stats().leaked, leaked + 1);
    CHECK_OK(tls_key_release(ping));
    CHECK_OK(tls_key_release(pong));
}

int
main(void)
{
    RUN(a_callback_that_always_sets_again_is_stopped_after_4_rounds);
    RUN(a_callback_that_stops_in_time_leaks_nothing);
    RUN(values_made_at_thread_exit_end_as_well);
    RUN(the_table_may_grow_during_thread_exit);
    RUN(callbacks_that_set_each_other_are_stopped);
    return test_finish();
}
