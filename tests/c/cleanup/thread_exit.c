/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What happens when a thread ends or detaches: hooks, values, their order. */
#include "test.h"

#include <sched.h>
#include <time.h>

static test_log_t ended;
static tls_key_t keys[64];

static void
make_keys(int count)
{
    int i;

    test_log_clear(&ended);
    for (i = 0; i < count; i++)
        keys[i] = test_key_logged(&ended);
}

static void
release_keys(int count)
{
    int i;

    for (i = 0; i < count; i++)
        CHECK_OK(tls_key_release(keys[i]));
}

/* ---- Order of the values ----------------------------------------------- */

static void *
set_in_an_order(void *argument)
{
    (void)argument;
    CHECK_OK(tls_set(keys[3], VALUE(1)));
    CHECK_OK(tls_set(keys[0], VALUE(2)));
    CHECK_OK(tls_set(keys[5], VALUE(3)));
    CHECK_OK(tls_set(keys[1], VALUE(4)));
    CHECK_OK(tls_set(keys[4], VALUE(5)));
    /* Set again: keeps its place. Removed and set: goes to the end. */
    CHECK_OK(tls_remove(keys[0]));
    CHECK_OK(tls_set(keys[3], VALUE(6)));
    CHECK_OK(tls_set(keys[0], VALUE(7)));
    return NULL;
}

static void *
set_in_an_order_and_detach(void *argument)
{
    set_in_an_order(argument);
    CHECK_OK(tls_thread_detach());
    return NULL;
}

static void *
set_in_an_order_and_remove_all(void *argument)
{
    set_in_an_order(argument);
    CHECK_OK(tls_remove_all());
    return NULL;
}

static void
check_order(void *(*body)(void *), int reason)
{
    static const int order[] = { 7, 5, 4, 3, 6 };
    size_t i;

    make_keys(6);
    test_in_thread(body, NULL);
    CHECK_UINT(ended.count, 2 + 5);
    CHECK_PTR(ended.records[0].value, VALUE(2));
    CHECK_INT(ended.records[0].reason, TLS_REASON_REMOVED);
    CHECK_PTR(ended.records[1].value, VALUE(1));
    CHECK_INT(ended.records[1].reason, TLS_REASON_REPLACED);
    for (i = 0; i < 5; i++) {
        CHECK_PTR(ended.records[2 + i].value, VALUE(order[i]));
        CHECK_INT(ended.records[2 + i].reason, reason);
    }
    release_keys(6);
}

/* T38: values end in the reverse order of their first set. */
static void
values_end_in_reverse_order_of_first_set(void)
{
    check_order(set_in_an_order, TLS_REASON_THREAD_EXIT);
    check_order(set_in_an_order_and_detach, TLS_REASON_DETACHED);
    check_order(set_in_an_order_and_remove_all, TLS_REASON_REMOVED);
}

static void *
set_and_grow(void *argument)
{
    int i;

    (void)argument;
    for (i = 0; i < 64; i++)
        CHECK_OK(tls_set(keys[(i * 37) % 64], VALUE(i + 1)));
    return NULL;
}

/* The order is kept while the table grows and entries move. */
static void
growing_keeps_the_order(void)
{
    size_t i;

    make_keys(64);
    test_in_thread(set_and_grow, NULL);
    CHECK_UINT(ended.count, 64);
    for (i = 0; i < 64; i++)
        CHECK_PTR(ended.records[i].value, VALUE(64 - i));
    release_keys(64);
}

/* ---- Hooks -------------------------------------------------------------- */

/* Hooks write into the same log, as values from 100 on, with reason 0. */
static void
hook(void *argument)
{
    test_log_destroy(argument, 0, &ended);
}

static void
hook_that_adds(void *argument)
{
    hook(argument);
    CHECK_OK(tls_at_thread_exit(hook, VALUE((uintptr_t)argument + 10)));
    CHECK_OK(tls_set(keys[2], VALUE(3)));
    CHECK_PTR(tls_get(keys[0]), VALUE(1));
}

static void
hook_that_detaches(void *argument)
{
    hook(argument);
    CHECK_CODE(tls_thread_detach(), TLS_ERR_REENTRANT);
}

static void *
hooks_and_values(void *argument)
{
    (void)argument;
    CHECK_OK(tls_at_thread_exit(hook, VALUE(100)));
    CHECK_OK(tls_set(keys[0], VALUE(1)));
    CHECK_OK(tls_at_thread_exit(hook_that_adds, VALUE(101)));
    CHECK_OK(tls_set(keys[1], VALUE(2)));
    CHECK_OK(tls_at_thread_exit(hook_that_detaches, VALUE(102)));
    CHECK_UINT(ended.count, 0);
    return NULL;
}

static void *
hooks_and_values_then_detach(void *argument)
{
    hooks_and_values(argument);
    CHECK_OK(tls_thread_detach());
    CHECK_UINT(ended.count, 7);
    /* The hooks have run: ending now runs none of them again. */
    return NULL;
}

static void
check_hooks(void *(*body)(void *), int reason)
{
    size_t i;
    size_t added = 0;

    make_keys(3);
    test_in_thread(body, NULL);
    CHECK_UINT(ended.count, 7);
    CHECK_PTR(ended.records[0].value, VALUE(102));
    CHECK_PTR(ended.records[1].value, VALUE(101));
    /* What 101 added runs once, before or after the older hook. */
    for (i = 2; i < 7; i++)
        added += ended.records[i].value == VALUE(111);
    CHECK_UINT(added, 1);
    for (i = 0; i < 7; i++)
        CHECK_INT(ended.records[i].reason,
                  (uintptr_t)ended.records[i].value >= 100 ? 0 : reason);
    release_keys(3);
    CHECK_UINT(ended.count, 7);
}

/* Hooks run before the values, the latest first; they still see the values
 * and may add hooks and values. */
static void
hooks_run_latest_first_and_before_values(void)
{
    check_hooks(hooks_and_values, TLS_REASON_THREAD_EXIT);
    check_hooks(hooks_and_values_then_detach, TLS_REASON_DETACHED);
}

static void *
ten_hooks(void *argument)
{
    size_t i;

    for (i = 0; i < 10; i++)
        CHECK_OK(tls_at_thread_exit(hook, VALUE(100 + i)));
    CHECK_OK(tls_at_thread_exit(hook, VALUE(100)));
    return argument;
}

/* A thread with hooks only; the same hook twice runs twice. */
static void
hooks_need_no_values(void)
{
    size_t i;

    test_log_clear(&ended);
    test_in_thread(ten_hooks, NULL);
    CHECK_UINT(ended.count, 11);
    CHECK_PTR(ended.records[0].value, VALUE(100));
    for (i = 0; i < 10; i++)
        CHECK_PTR(ended.records[1 + i].value, VALUE(109 - i));
}

static void
hook_that_always_adds_itself(void *argument)
{
    /* The fifth call is of the one that the fourth round has added. */
    int expected = argument == VALUE(104) ? TLS_ERR_EXITING : TLS_OK;

    hook(argument);
    CHECK_CODE(tls_at_thread_exit(hook_that_always_adds_itself,
                                  VALUE((uintptr_t)argument + 1)),
               expected);
}

static void *
start_the_endless_hook(void *argument)
{
    CHECK_OK(tls_at_thread_exit(hook_that_always_adds_itself, argument));
    return NULL;
}

/* A hook that always adds itself does not keep the thread from ending; each that was
 * registered is called. */
static void
an_endless_hook_is_stopped(void)
{
    test_log_clear(&ended);
    test_in_thread(start_the_endless_hook, VALUE(100));
    CHECK_UINT(ended.count, 5);
}

/* ---- Ways to end --------------------------------------------------------- */

static void
exit_from_inside(void)
{
    pthread_exit(VALUE(77));
}

static void *
set_and_exit(void *argument)
{
    (void)argument;
    CHECK_OK(tls_set(keys[0], VALUE(test_thread())));
    CHECK_OK(tls_at_thread_exit(hook, VALUE(100)));
    exit_from_inside();
    return NULL;
}

static volatile int waiting;

static void *
set_and_wait_for_ever(void *argument)
{
    (void)argument;
    CHECK_OK(tls_set(keys[0], VALUE(test_thread())));
    CHECK_OK(tls_at_thread_exit(hook, VALUE(100)));
    __atomic_store_n(&waiting, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        struct timespec second = { 1, 0 };

        nanosleep(&second, NULL);
    }
    return NULL;
}

static void
check_hook_and_value(void)
{
    CHECK_UINT(ended.count, 2);
    CHECK_PTR(ended.records[0].value, VALUE(100));
    CHECK_RECORD(&ended, 1, VALUE(ended.records[0].thread),
                 TLS_REASON_THREAD_EXIT, ended.records[0].thread);
}

/* P02: pthread_exit from a nested call, and deferred cancellation. */
static void
exit_and_cancellation_clean_up(void)
{
    pthread_t thread;

    make_keys(1);
    CHECK_PTR(test_in_thread(set_and_exit, NULL), VALUE(77));
    check_hook_and_value();
    release_keys(1);

    make_keys(1);
    thread = test_start(set_and_wait_for_ever, NULL);
    while (__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) == 0)
        sched_yield();
    CHECK_INT(pthread_cancel(thread), 0);
    CHECK(test_join(thread) == PTHREAD_CANCELED);
    check_hook_and_value();
    release_keys(1);
}

static void *
use_the_library_while_cancelled(void *argument)
{
    int i;

    (void)argument;
    __atomic_store_n(&waiting, 2, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) == 2)
        sched_yield();
    /* The request is pending: no call of the library is a cancellation point
     * that leaves it halfway. */
    for (i = 0; i < 64; i++)
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    for (i = 0; i < 32; i++)
        CHECK_OK(tls_remove(keys[i]));
    tls_expunge();
    for (i = 32; i < 64; i++)
        CHECK_PTR(tls_get(keys[i]), VALUE(i + 1));
    CHECK_UINT(ended.count, 32);
    pthread_testcancel();
    CHECK(!"a cancelled thread goes on after a cancellation point");
    return NULL;
}

static void
the_library_is_no_cancellation_point(void)
{
    pthread_t thread;
    size_t i;

    make_keys(64);
    thread = test_start(use_the_library_while_cancelled, NULL);
    while (__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) != 2)
        sched_yield();
    CHECK_INT(pthread_cancel(thread), 0);
    __atomic_store_n(&waiting, 3, __ATOMIC_SEQ_CST);
    CHECK(test_join(thread) == PTHREAD_CANCELED);
    CHECK_UINT(ended.count, 64);
    for (i = 32; i < 64; i++)
        CHECK_INT(ended.records[i].reason, TLS_REASON_THREAD_EXIT);
    release_keys(64);
}

static void *
set_the_last_key_only(void *argument)
{
    CHECK_OK(tls_set(keys[63], argument));
    return NULL;
}

/* P04: a thread that has only a late key, none of the first 32. */
static void
a_late_key_alone_ends_too(void)
{
    make_keys(64);
    test_in_thread(set_the_last_key_only, VALUE(1));
    CHECK_UINT(ended.count, 1);
    CHECK_PTR(ended.records[0].value, VALUE(1));
    release_keys(64);
}

/* ---- Attaching and detaching --------------------------------------------- */

static void *
attach_and_detach(void *argument)
{
    uint64_t maps = test_stats().maps;
    int round;

    (void)argument;
    CHECK_OK(tls_thread_detach());
    for (round = 1; round <= 3; round++) {
        CHECK_OK(tls_thread_attach());
        CHECK_UINT(test_stats().maps, maps + 1);
        CHECK_OK(tls_thread_attach());
        CHECK_UINT(test_stats().maps, maps + 1);
        CHECK_OK(tls_set(keys[0], VALUE(round)));
        CHECK_OK(tls_thread_detach());
        CHECK_UINT(test_stats().maps, maps);
        CHECK_UINT(ended.count, round);
        CHECK_RECORD(&ended, round - 1, VALUE(round), TLS_REASON_DETACHED, test_thread());
        CHECK_PTR(tls_get(keys[0]), NULL);
        CHECK_PTR((tls_get)(keys[0]), NULL);
        CHECK_UINT(tls_stale_count(), 0);
        CHECK_OK(tls_thread_detach());
    }
    CHECK_OK(tls_set(keys[0], VALUE(4)));
    return NULL;
}

/* Attaching is idempotent, detaching too, and a thread may do both for ever. */
static void
a_thread_may_detach_and_attach_again(void)
{
    make_keys(1);
    test_in_thread(attach_and_detach, NULL);
    CHECK_UINT(ended.count, 4);
    CHECK_PTR(ended.records[3].value, VALUE(4));
    CHECK_INT(ended.records[3].reason, TLS_REASON_THREAD_EXIT);
    release_keys(1);
}

/* Memory as large as the smallest table, looking like a table in which every
 * entry is `key`, with a value that was never set. */
static void *
false_table(tls_key_t key)
{
    uint64_t *words = (uint64_t *)malloc(16 * (16 + 8));
    size_t i;

    CHECK(words != NULL);
    for (i = 0; i < 16 * (16 + 8) / 8; i += 2) {
        words[i] = key;
        words[i + 1] = 666;
    }
    return words;
}

static void *
detach_and_look(void *argument)
{
    void *blocks[8];
    int i;

    (void)argument;
    CHECK_OK(tls_set(keys[0], VALUE(1)));
    CHECK_OK(tls_thread_detach());
    for (i = 0; i < 8; i++)
        blocks[i] = false_table(keys[0]);
    CHECK_PTR(tls_get(keys[0]), NULL);
    CHECK_PTR((tls_get)(keys[0]), NULL);
    CHECK_PTR(tls_get_existing(keys[0]), NULL);
    CHECK_UINT(tls_stale_count(), 0);
    for (i = 0; i < 8; i++)
        free(blocks[i]);
    return NULL;
}

/* A detached thread's gets do not look at the table that was freed. */
static void
a_detached_thread_has_no_table(void)
{
    make_keys(1);
    test_in_thread(detach_and_look, NULL);
    release_keys(1);
}

static void *
attach_only(void *argument)
{
    (void)argument;
    CHECK_OK(tls_thread_attach());
    return NULL;
}

/* An attached thread that never sets anything leaves nothing behind. */
static void
an_attached_thread_without_values_leaves_nothing(void)
{
    tls_stats_t before = test_stats();
    size_t i;

    for (i = 0; i < 100; i++)
        test_in_thread(attach_only, NULL);
    CHECK_UINT(test_stats().maps, before.maps);
    CHECK_UINT(test_stats().bytes, before.bytes);
}

int
main(void)
{
    RUN(values_end_in_reverse_order_of_first_set);
    RUN(growing_keeps_the_order);
    RUN(hooks_run_latest_first_and_before_values);
    RUN(hooks_need_no_values);
    RUN(an_endless_hook_is_stopped);
    RUN(exit_and_cancellation_clean_up);
    RUN(the_library_is_no_cancellation_point);
    RUN(a_late_key_alone_ends_too);
    RUN(a_thread_may_detach_and_attach_again);
    RUN(a_detached_thread_has_no_table);
    RUN(an_attached_thread_without_values_leaves_nothing);
    return test_finish();
}
