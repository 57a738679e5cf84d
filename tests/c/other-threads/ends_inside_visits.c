/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A thread ends inside a visitor, which a destroy callback of the visited entry has
 * called; and the user_free that its exit comes to sets the visited key, so that the
 * entry changes its place among the thread's entries while its exit goes over them.
 */
#include "lives.h"

static tls_key_t visited, dying, others[3];
static bool by_cancellation, in_a_scope;
static uint32_t reclaim;
static size_t steps;

static int
visit_and_leave(void *value, uint64_t thread, void *argument)
{
    (void)thread;
    (void)argument;
    CHECK(!life_is_over(value));
    steps++;
    if (by_cancellation) {
        CHECK_INT(pthread_cancel(pthread_self()), 0);
        pthread_testcancel();
    }
    pthread_exit(NULL);
    return 0;
}

/* Of the visited key: the first end visits the new value of the same entry. */
static void
destroy_and_visit(void *value, int reason, void *user)
{
    life_destroy(value, reason, user);
    if (steps++ == 1)
        CHECK_OK(tls_for_each(visited, visit_and_leave, NULL));
}

/* Of the dying key: replaces the other's value. */
static void
destroy_and_set(void *value, int reason, void *user)
{
    life_destroy(value, reason, user);
    if (steps++ == 0)
        CHECK_OK(life_set(visited));
}

static size_t freed;

static void
free_and_set(void *user)
{
    (void)user;
    freed++;
    CHECK_OK(life_set(visited));
}

static void *
end_inside(void *argument)
{
    tls_scope_t scope;

    if (in_a_scope)
        CHECK_OK(tls_scope_begin(&scope, NULL));
    CHECK_OK(life_set(others[0]));
    CHECK_OK(life_set(visited));
    CHECK_OK(life_set(others[1]));
    CHECK_OK(life_set(dying));
    CHECK_OK(life_set(others[2]));
    tls_key_release(dying);
    CHECK(!"reached: the visitor has ended the thread");
    return argument;
}

static void
an_entry_that_moves_while_its_thread_ends_is_ended(void)
{
    tls_key_options_t options = test_options();
    size_t i;

    options.reclaim = reclaim;
    options.flags = TLS_KEY_ENUMERABLE;
    options.destroy = destroy_and_visit;
    visited = test_key_from(&options);
    options.destroy = destroy_and_set;
    options.user_free = free_and_set;
    dying = test_key_from(&options);
    for (i = 0; i < 3; i++)
        others[i] = life_key(reclaim, 0, NULL);

    test_join(test_start(end_inside, NULL));
    CHECK_UINT(freed, 1);
    CHECK_AT_LEAST(steps, 3);
    CHECK_OK(tls_key_release(visited));
    life_key_is_drained(visited);
    life_key_is_drained(dying);
    for (i = 0; i < 3; i++) {
        CHECK_OK(tls_key_release(others[i]));
        life_key_is_drained(others[i]);
    }
    lives_check();
    CHECK_UINT(test_stats().leaked, 0);
    CHECK_UINT(test_stats().entries, 0);
}

int
main(void)
{
    char variant[80];
    int i;

    for (i = 0; i < 8; i++) {
        reclaim = i & 1 ? TLS_RECLAIM_ANY : TLS_RECLAIM_OWNER;
        by_cancellation = (i & 2) != 0;
        in_a_scope = (i & 4) != 0;
        snprintf(variant, sizeof(variant), "(%s, %s%s)", i & 1 ? "any" : "owner",
                 by_cancellation ? "cancelled" : "exits", in_a_scope ? ", in a scope" : "");
        RUN_APART_AS(an_entry_that_moves_while_its_thread_ends_is_ended, variant);
    }
    return apart_finish();
}
