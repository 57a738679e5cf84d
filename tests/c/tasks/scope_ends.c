/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The end of a scope, when callbacks are in the way: they set values, open
 * scopes, release keys, end other scopes, or end their thread. And scopes that
 * are open when their thread ends.
 */
#include "acting_key.h"

static tls_scope_t scope;   /* the one that ends */
static tls_scope_t outside; /* one around it, or 0 */

static tls_scope_t
begin(void)
{
    tls_scope_t begun = 0;

    CHECK_OK(tls_scope_begin(&begun, NULL));
    return begun;
}

/* Sets values 1 to 3 of others outside of a scope, then begins it, and sets own
 * to 1 in it, between two others. */
static void
prepare_scope(void (*action)(void *value, int reason))
{
    size_t i;

    prepare(action);
    make_others(6);
    for (i = 0; i < 3; i++)
        CHECK_OK(tls_set(others[i], VALUE(i + 1)));
    scope = begin();
    CHECK_OK(tls_set(others[0], VALUE(10)));
    CHECK_OK(tls_set(own, VALUE(1)));
    CHECK_OK(tls_set(others[3], VALUE(40)));
}

/* The outer values are back, nothing else is there. */
static void
check_back(void)
{
    size_t i;

    CHECK_PTR(tls_get(own), NULL);
    for (i = 0; i < 6; i++)
        CHECK_PTR(tls_get(others[i]), i < 3 ? VALUE(i + 1) : NULL);
    CHECK_UINT(test_stats().entries, 3);
}

static void
finish(void)
{
    release_others(6);
    CHECK_OK(tls_key_release(own));
    CHECK_UINT(ended.freed, 1);
    CHECK_UINT(ended_others.freed, 6);
    CHECK_UINT(test_stats().entries, 0);
    CHECK_UINT(test_stats().dead_keys, 0);
}

/* ---- Callbacks that act ------------------------------------------------------ */

static void
set_others_inside(void *value, int reason)
{
    CHECK_PTR(value, VALUE(1));
    CHECK_INT(reason, TLS_REASON_SCOPE_END);
    CHECK_PTR(tls_get(others[0]), VALUE(10)); /* not yet ended */
    CHECK_PTR(tls_get(others[3]), NULL);      /* ended */
    CHECK_OK(tls_set(others[1], VALUE(20)));  /* hides 2 */
    CHECK_OK(tls_set(others[4], VALUE(50)));
    CHECK_OK(tls_remove(others[2]));
}

static void
what_a_callback_sets_ends_with_the_scope(void)
{
    prepare_scope(set_others_inside);
    CHECK_OK(tls_scope_end(scope));
    check_back();
    CHECK_UINT(ended_others.count, 4);
    CHECK_RECORD(&ended_others, 0, VALUE(40), TLS_REASON_SCOPE_END, test_thread());
    CHECK_RECORD(&ended_others, 1, VALUE(10), TLS_REASON_SCOPE_END, test_thread());
    CHECK_RECORD(&ended_others, 2, VALUE(50), TLS_REASON_SCOPE_END, test_thread());
    CHECK_RECORD(&ended_others, 3, VALUE(20), TLS_REASON_SCOPE_END, test_thread());
    finish();
}

static void
set_own_again(void *value, int reason)
{
    (void)reason;
    CHECK_OK(tls_set(own, VALUE((size_t)value + 1)));
}

static void
check_rounds(void (*action)(void *, int), size_t calls, uint64_t leaked)
{
    uint64_t before = test_stats().leaked;

    prepare_scope(action);
    CHECK_OK(tls_scope_end(scope));
    CHECK_UINT(ended.count, calls);
    CHECK_UINT(test_stats().leaked, before + leaked);
    check_back();
    act = NULL;
    finish();
    CHECK_UINT(ended.count, calls);
}

/* As at a thread's end: what is set in the fourth round is given up. */
static void
a_value_that_sets_itself_again_has_four_rounds(void)
{
    check_rounds(set_the_next_value_up_to_4, 4, 0);
    check_rounds(set_own_again, 4, 1);
}

static void
try_to_end_scopes(void *value, int reason)
{
    (void)value;
    (void)reason;
    CHECK_CODE(tls_scope_end(scope), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_scope_end(outside), TLS_ERR_BUSY);
    CHECK_CODE(tls_scope_end(0), TLS_ERR_INVALID);
    CHECK_CODE(tls_thread_detach(), TLS_ERR_REENTRANT);
}

static void
a_scope_that_is_ending_is_ended_by_nobody_else(void)
{
    outside = begin();
    prepare_scope(try_to_end_scopes);
    CHECK_OK(tls_scope_end(scope));
    CHECK_UINT(ended.count, 1);
    check_back();
    act = NULL;
    CHECK_OK(tls_scope_end(outside));
    finish();
    outside = 0;
}

static void
use_a_scope(void *value, int reason)
{
    tls_scope_t inner = begin();

    (void)value;
    (void)reason;
    CHECK_OK(tls_set(others[0], VALUE(100)));
    CHECK_OK(tls_set(others[5], VALUE(60)));
    CHECK_CODE(tls_scope_end(scope), TLS_ERR_REENTRANT);
    CHECK_OK(tls_scope_end(inner));
    CHECK_PTR(tls_get(others[0]), VALUE(10));
}

static void
leave_scopes_open(void *value, int reason)
{
    (void)value;
    (void)reason;
    begin();
    CHECK_OK(tls_set(others[0], VALUE(100))); /* hides a value that is to end */
    begin();
    CHECK_OK(tls_remove(others[1]));
    CHECK_OK(tls_set(others[5], VALUE(60)));
}

static void
a_callback_may_open_scopes_and_leave_them_open(void)
{
    size_t i;

    for (i = 0; i < 2; i++) {
        prepare_scope(i == 0 ? use_a_scope : leave_scopes_open);
        CHECK_OK(tls_scope_end(scope));
        check_back();
        CHECK_UINT(ended.count, 1);
        CHECK_UINT(ended_others.count, 4); /* 40, 10, 100, 60 */
        finish();
    }
}

/* Each opens a scope, and sets itself in it. */
static void
leave_a_scope_with_own_open(void *value, int reason)
{
    begin();
    set_own_again(value, reason);
}

static void
scopes_that_callbacks_open_for_ever_come_to_an_end(void)
{
    uint64_t leaked = test_stats().leaked;

    prepare_scope(leave_a_scope_with_own_open);
    CHECK_OK(tls_scope_end(scope));
    check_back();
    CHECK_UINT(test_stats().leaked, leaked + 1);
    CHECK_AT_MOST(ended.count, 24);
    act = NULL;
    finish();
}

static void
remove_and_release(void *value, int reason)
{
    (void)value;
    (void)reason;
    CHECK_OK(tls_remove(others[0]));      /* 10, of the scope */
    CHECK_OK(tls_remove(others[1]));      /* hides 2 */
    CHECK_OK(tls_key_release(others[2])); /* 3, outer */
    CHECK_OK(tls_key_release(others[0])); /* 1, hidden */
}

static void
a_callback_may_remove_values_and_release_keys(void)
{
    prepare_scope(remove_and_release);
    CHECK_OK(tls_scope_end(scope));
    CHECK_UINT(ended_others.count, 4);
    CHECK_RECORD(&ended_others, 1, VALUE(10), TLS_REASON_REMOVED, test_thread());
    CHECK_RECORD(&ended_others, 2, VALUE(3), TLS_REASON_KEY_DEAD, test_thread());
    CHECK_RECORD(&ended_others, 3, VALUE(1), TLS_REASON_KEY_DEAD, test_thread());
    CHECK_UINT(ended_others.freed, 2);
    CHECK_PTR(tls_get(others[1]), VALUE(2));
    CHECK_UINT(test_stats().entries, 1);
    CHECK_CODE(tls_key_release(others[0]), TLS_ERR_DEAD_KEY);
    others[0] = test_key_logged(&ended_others);
    others[2] = test_key_logged(&ended_others);
    ended_others.freed = 0;
    finish();
}

static void
remove_every_value(void *value, int reason)
{
    (void)value;
    (void)reason;
    CHECK_OK(tls_remove_all());
}

static void
release_own(void *value, int reason)
{
    (void)value;
    (void)reason;
    CHECK_OK(tls_key_release(own));
    CHECK_UINT(ended.freed, 0); /* its value is in this callback's hands */
}

static void
a_callback_may_remove_all_values_or_release_its_own_key(void)
{
    prepare_scope(remove_every_value);
    CHECK_OK(tls_scope_end(scope));
    CHECK_UINT(ended_others.count, 2);
    CHECK_RECORD(&ended_others, 1, VALUE(10), TLS_REASON_REMOVED, test_thread());
    check_back();
    finish();

    prepare_scope(release_own);
    CHECK_OK(tls_scope_end(scope));
    CHECK_UINT(ended.freed, 1);
    CHECK_UINT(ended.count, 1);
    release_others(6);
    CHECK_UINT(test_stats().dead_keys, 0);
}

/* Replaced inside: the callback ends the scope that the new value is of. */
static void
end_the_scope(void *value, int reason)
{
    if (reason != TLS_REASON_REPLACED)
        return;
    CHECK_PTR(value, VALUE(1));
    CHECK_PTR(tls_get(own), VALUE(2));
    CHECK_OK(tls_scope_end(scope));
    CHECK_PTR(tls_get(own), NULL);
}

static void
the_callback_of_a_replaced_value_may_end_the_scope(void)
{
    prepare_scope(end_the_scope);
    CHECK_OK(tls_set(own, VALUE(2)));
    check_back();
    CHECK_UINT(ended.count, 2);
    CHECK_RECORD(&ended, 1, VALUE(2), TLS_REASON_SCOPE_END, test_thread());
    CHECK_CODE(tls_scope_end(scope), TLS_ERR_INVALID);
    finish();
}

/* ---- Threads that end in a scope ------------------------------------------------ */

static bool by_cancellation;

static void
end_thread(void)
{
    static __thread bool done;

    if (done)
        return;
    done = true;
    if (by_cancellation) {
        CHECK_INT(pthread_cancel(pthread_self()), 0);
        pthread_testcancel();
    }
    pthread_exit(NULL);
}

static void
end_thread_inside(void *value, int reason)
{
    (void)value;
    (void)reason;
    end_thread();
}

static void *
end_scope_and_thread(void *argument)
{
    (void)argument;
    prepare_scope(end_thread_inside);
    tls_scope_end(scope);
    CHECK(!"a callback that ends its thread returns");
    return NULL;
}

/* The rest of the scope ends, then what it has hidden, each once. */
static void
check_thread_ended_inside(void)
{
    unsigned thread;

    CHECK_OK(tls_thread_detach());
    test_in_thread(end_scope_and_thread, NULL);
    thread = ended.records[0].thread;
    CHECK_UINT(ended.count, 1);
    CHECK_UINT(ended_others.count, 5);
    CHECK_RECORD(&ended_others, 0, VALUE(40), TLS_REASON_SCOPE_END, thread);
    CHECK_RECORD(&ended_others, 1, VALUE(10), TLS_REASON_SCOPE_END, thread);
    CHECK_RECORD(&ended_others, 2, VALUE(3), TLS_REASON_THREAD_EXIT, thread);
    CHECK_RECORD(&ended_others, 3, VALUE(2), TLS_REASON_THREAD_EXIT, thread);
    CHECK_RECORD(&ended_others, 4, VALUE(1), TLS_REASON_THREAD_EXIT, thread);
    CHECK_UINT(test_stats().maps, 0);
    CHECK_UINT(test_stats().leaked, 2); /* of the tests above */
    act = NULL;
    finish();
}

static void
a_callback_of_a_scopes_end_may_end_its_thread(void)
{
    by_cancellation = false;
    check_thread_ended_inside();
    by_cancellation = true;
    check_thread_ended_inside();
    by_cancellation = false;
}

typedef enum ending {
    ENDS_RETURNING,
    ENDS_BY_PTHREAD_EXIT,
    ENDS_BY_CANCELLATION,
    ENDS_DETACHED
} ending_t;

static void
look_from_a_hook(void *argument)
{
    (void)argument;
    CHECK_PTR(tls_get(others[0]), VALUE(1)); /* the scopes have ended */
    CHECK_UINT(ended_others.count, 3);
    begin(); /* and one more, left open */
    CHECK_OK(tls_set(others[0], VALUE(5)));
}

static void *
end_with_scopes_open(void *argument)
{
    ending_t ending = *(ending_t *)argument;

    CHECK_OK(tls_at_thread_exit(look_from_a_hook, NULL));
    prepare_scope(NULL);
    begin();
    CHECK_OK(tls_set(others[0], VALUE(100)));
    CHECK_OK(tls_remove(others[1]));
    by_cancellation = ending == ENDS_BY_CANCELLATION;
    if (ending == ENDS_DETACHED) {
        CHECK_OK(tls_thread_detach());
        CHECK_PTR(tls_get(others[0]), NULL);
        CHECK_CODE(tls_scope_end(scope), TLS_ERR_INVALID);
    } else if (ending != ENDS_RETURNING) {
        end_thread();
    }
    return NULL;
}

static void
scopes_that_are_open_end_with_their_thread(void)
{
    int ending;

    for (ending = ENDS_RETURNING; ending <= ENDS_DETACHED; ending++) {
        ending_t how = (ending_t)ending;
        int last = how == ENDS_DETACHED ? TLS_REASON_DETACHED : TLS_REASON_THREAD_EXIT;
        static void *const values[] = {
            VALUE(100), VALUE(40), VALUE(10), VALUE(5), VALUE(3), VALUE(2), VALUE(1)
        };
        size_t i;

        CHECK_OK(tls_thread_detach());
        test_in_thread(end_with_scopes_open, &how);
        CHECK_UINT(ended.count, 1);
        CHECK_INT(ended.records[0].reason, TLS_REASON_SCOPE_END);
        CHECK_UINT(ended_others.count, 7);
        for (i = 0; i < 7; i++)
            CHECK_RECORD(&ended_others, i, values[i],
                         i < 4 ? TLS_REASON_SCOPE_END : last, ended.records[0].thread);
        CHECK_UINT(test_stats().maps, 0);
        finish();
    }
}

int
main(void)
{
    RUN(what_a_callback_sets_ends_with_the_scope);
    RUN(a_value_that_sets_itself_again_has_four_rounds);
    RUN(a_scope_that_is_ending_is_ended_by_nobody_else);
    RUN(a_callback_may_open_scopes_and_leave_them_open);
    RUN(scopes_that_callbacks_open_for_ever_come_to_an_end);
    RUN(a_callback_may_remove_values_and_release_keys);
    RUN(a_callback_may_remove_all_values_or_release_its_own_key);
    RUN(the_callback_of_a_replaced_value_may_end_the_scope);
    RUN(a_callback_of_a_scopes_end_may_end_its_thread);
    RUN(scopes_that_are_open_end_with_their_thread);
    return test_finish();
}
