/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The end of a thread that is interrupted. A thread is cancelled, or calls
 * pthread_exit, while the library already ends its values: the C library then
 * runs the destructors of its pthread keys once more. A scope is ended by it,
 * too, and its last callback may set values. Every value ends once, and the
 * keys drain.
 */
#include "later.h"

#define KEYS 5

typedef enum way {
    RETURNS,
    CALLS_EXIT,
    IS_CANCELLED,
    DETACHES
} way_t;

static const char *const way_names[] = {"return", "pthread_exit", "cancelled", "detach"};

/* What varies; main() sets it before each test. */
static way_t way;              /* how the thread begins to end */
static bool again_by_exit;     /* interrupted by pthread_exit, not by pthread_cancel */
static size_t interrupted_at;  /* the number of the callback that is interrupted */
static uint32_t reclaim, flags;
static bool in_scopes;

static size_t calls, inside, cancelled;

/* One callback waits until it is cancelled from outside, at a cancellation
 * point; or ends its thread itself. */
static void
be_interrupted(void)
{
    if (test_count_up(&calls) != interrupted_at)
        return;
    if (again_by_exit)
        pthread_exit(PTHREAD_CANCELED);
    apart_set(&inside, 1);
    apart_wait(&cancelled, 1);
    pthread_testcancel();
}

static void
destroy_and_wait(void *value, int reason, void *user)
{
    life_destroy(value, reason, user);
    be_interrupted();
}

static void
hook_and_wait(void *argument)
{
    life_end(argument);
    be_interrupted();
}

static tls_key_t keys[KEYS];
static bool with_hooks;

static void *
live(void *argument)
{
    tls_scope_t scope;
    size_t i;

    for (i = 0; i < KEYS; i++) {
        if (in_scopes && i % 2 == 1)
            CHECK_OK(tls_scope_begin(&scope, NULL));
        CHECK_OK(life_set(keys[i]));
        if (with_hooks)
            CHECK_OK(tls_at_thread_exit(hook_and_wait, life()));
    }
    if (way == CALLS_EXIT)
        pthread_exit(NULL);
    if (way == IS_CANCELLED) {
        CHECK_INT(pthread_cancel(pthread_self()), 0);
        pthread_testcancel();
    }
    if (way == DETACHES)
        tls_thread_detach();
    return argument;
}

static void
every_value_ends_once(void)
{
    tls_key_options_t options = test_options();
    pthread_t thread;
    size_t i;

    options.destroy = destroy_and_wait;
    options.copy = life_copy;
    options.reclaim = reclaim;
    options.flags = flags;
    for (i = 0; i < KEYS; i++)
        keys[i] = test_key_from(&options);
    thread = test_start(live, NULL);
    if (!again_by_exit) {
        apart_wait(&inside, 1);
        CHECK_INT(pthread_cancel(thread), 0);
        apart_set(&cancelled, 1);
    }
    test_join(thread);
    lives_check();
    CHECK_UINT(test_stats().maps, 0);
    CHECK_UINT(test_stats().entries, 0);
    CHECK_UINT(test_stats().leaked, 0);
    for (i = 0; i < KEYS; i++) {
        life_key_is_drained(keys[i]);
        CHECK_OK(tls_key_release(keys[i]));
        life_key_is_drained(keys[i]);
    }
}

static void
run_every_way(const char *what)
{
    char variant[128];
    size_t calls_in_all = with_hooks ? 2 * KEYS : KEYS;
    int i;

    for (i = 0; i < 8; i++) {
        way = (way_t)(i / 2);
        again_by_exit = i % 2 != 0;
        for (interrupted_at = 1; interrupted_at <= calls_in_all; interrupted_at += 2) {
            snprintf(variant, sizeof(variant), "(%s; %s, interrupted by %s in callback %zu)",
                     what, way_names[way], again_by_exit ? "pthread_exit" : "cancellation",
                     interrupted_at);
            RUN_APART_OF_DOZENS(every_value_ends_once, variant);
        }
    }
}

/* ---- A value that is set in the last callback of a scope's end -------------- */

static size_t step;
static tls_key_t hidden, late_key;
static size_t freed;
static bool ends_by_exit;

static void
destroy_hidden(void *value, int reason, void *user)
{
    tls_scope_t scope;

    life_destroy(value, reason, user);
    if (value != VALUE(1))
        return;
    CHECK_OK(tls_scope_begin(&scope, NULL));
    CHECK_OK(life_set(hidden)); /* hides the second value */
    apart_set(&step, 1);
    apart_wait(&step, 2);       /* the key dies meanwhile */
    if (ends_by_exit)
        pthread_exit(NULL);
    CHECK_OK(tls_scope_end(scope));
}

static void
free_and_set(void *user)
{
    (void)user;
    test_count_up(&freed);
    life_set(late_key);
}

static void *
hide_a_value(void *argument)
{
    CHECK_OK(life_set(hidden));
    CHECK_OK(life_set(hidden));
    return argument;
}

static void
a_value_set_by_user_free_while_a_scope_ends_is_ended(void)
{
    tls_key_options_t options = test_options();
    pthread_t thread;

    options.destroy = destroy_hidden;
    options.user_free = free_and_set;
    options.user = &options;
    options.reclaim = reclaim;
    options.flags = flags;
    options.copy = (flags & TLS_KEY_INHERIT) ? life_copy : NULL;
    hidden = test_key_from(&options);
    late_key = life_key(reclaim, flags, NULL);
    thread = test_start(hide_a_value, NULL);
    apart_wait(&step, 1);
    CHECK_OK(tls_key_release(hidden));
    apart_set(&step, 2);
    test_join(thread);
    CHECK_UINT(freed, 1);
    lives_check();
    life_key_is_drained(hidden);
    life_key_is_drained(late_key);
    CHECK_UINT(test_stats().maps, 0);
    CHECK_OK(tls_key_release(late_key));
    life_key_is_drained(late_key);
}

int
main(void)
{
    static const uint32_t all_flags[] = {0, TLS_KEY_ENUMERABLE, TLS_KEY_INHERIT};
    char variant[64];
    size_t i;

    for (i = 0; i < 6; i++) {
        reclaim = i % 2 == 0 ? TLS_RECLAIM_OWNER : TLS_RECLAIM_ANY;
        flags = all_flags[i / 2];
        ends_by_exit = true;
        snprintf(variant, sizeof(variant), "(reclaim %u, flags %u, pthread_exit)",
                 (unsigned)reclaim, (unsigned)flags);
        RUN_APART_OF_DOZENS(a_value_set_by_user_free_while_a_scope_ends_is_ended, variant);
        ends_by_exit = false;
        snprintf(variant, sizeof(variant), "(reclaim %u, flags %u, tls_scope_end)",
                 (unsigned)reclaim, (unsigned)flags);
        RUN_APART_OF_DOZENS(a_value_set_by_user_free_while_a_scope_ends_is_ended, variant);
    }
    reclaim = TLS_RECLAIM_OWNER;
    flags = 0;
    run_every_way("owner");
    in_scopes = true;
    run_every_way("owner, in scopes");
    with_hooks = true;
    run_every_way("owner, in scopes, hooks");
    in_scopes = false;
    with_hooks = false;
    reclaim = TLS_RECLAIM_ANY;
    flags = TLS_KEY_ENUMERABLE | TLS_KEY_INHERIT;
    run_every_way("any, enumerable, inherit");
    return apart_finish();
}
