/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Copy callbacks that fail, that call the library, or that end their thread: in
 * a capture, when a scope is begun, when a task is made. And destroy callbacks
 * of a context's values.
 */
#include "copying_key.h"

#define KEYS 5

static copying_t counts;
static tls_key_t keys[KEYS];
static tls_context_t *context;
static tls_scope_t outside;

static tls_scope_t
begin(tls_context_t *with)
{
    tls_scope_t scope = 0;

    CHECK_OK(tls_scope_begin(&scope, with));
    return scope;
}

/* Each key with its value, 1 and up. */
static void
prepare(void)
{
    size_t i;

    memset(&counts, 0, sizeof(counts));
    context = NULL;
    for (i = 0; i < KEYS; i++) {
        keys[i] = copying_key(&counts);
        copying_set(&counts, keys[i], i + 1);
    }
}

static void
check_values(size_t distance)
{
    size_t i;

    for (i = 0; i < KEYS; i++)
        CHECK_UINT(copying_get(keys[i]), i + 1 + distance);
}

/* Keys that a test has released are dead already. */
static void
finish(void)
{
    size_t i;

    counts.before = NULL;
    tls_context_free(context);
    for (i = 0; i < KEYS; i++)
        if (tls_key_is_live(keys[i]))
            CHECK_OK(tls_key_release(keys[i]));
    for (i = 0; i < KEYS; i++)
        CHECK(!tls_key_is_live(keys[i]));
    CHECK_UINT(copying_alive(&counts), 0);
    CHECK_UINT(counts.freed, KEYS);
    CHECK_UINT(test_stats().contexts, 0);
    CHECK_UINT(test_stats().entries, 0);
    CHECK_UINT(test_stats().dead_keys, 0);
}

/* ---- Callbacks that fail ------------------------------------------------------- */

/* T65: said at once, and nothing is captured; the copies that were made end. */
static void
a_copy_that_fails_fails_the_capture(void)
{
    tls_task_t *task = NULL;
    size_t failing;

    prepare();
    for (failing = 1; failing <= KEYS; failing++) {
        uint64_t bytes = test_stats().bytes;

        counts.copies = 0;
        counts.failing = failing;
        CHECK_CODE(tls_context_capture(&context), TLS_ERR_INIT);
        CHECK_PTR(context, NULL);
        CHECK_UINT(counts.copies, failing);
        counts.copies = 0;
        CHECK_CODE(tls_task_create(&task, free, NULL), TLS_ERR_INIT);
        CHECK_PTR(task, NULL);
        CHECK_UINT(copying_alive(&counts), KEYS);
        CHECK_UINT(test_stats().bytes, bytes);
        CHECK_UINT(test_stats().contexts, 0);
        CHECK_UINT(test_stats().entries, KEYS);
    }
    CHECK_UINT(counts.ended[TLS_REASON_REMOVED], 2 * (0 + 1 + 2 + 3 + 4));
    CHECK_UINT(copying_ended(&counts), 20);
    check_values(0);
    finish();
}

static void
a_copy_that_fails_leaves_no_scope_open(void)
{
    tls_scope_t scope = 77;
    size_t failing;

    prepare();
    CHECK_OK(tls_context_capture(&context));
    outside = begin(NULL);
    for (failing = 1; failing <= KEYS; failing++) {
        counts.copies = 0;
        counts.failing = failing;
        CHECK_CODE(tls_scope_begin(&scope, context), TLS_ERR_INIT);
        CHECK_UINT(scope, 77);
        CHECK_UINT(copying_alive(&counts), 2 * KEYS);
        check_values(0);
        CHECK_UINT(test_stats().entries, 2 * KEYS);
    }
    CHECK_UINT(counts.ended[TLS_REASON_SCOPE_END], 0 + 1 + 2 + 3 + 4);
    CHECK_UINT(copying_ended(&counts), 10);
    CHECK_OK(tls_scope_end(outside)); /* so it is the innermost */
    counts.failing = 0;
    scope = begin(context);
    check_values(2000);
    CHECK_OK(tls_scope_end(scope));
    finish();
}

/* ---- Callbacks that call the library --------------------------------------------- */

static bool acted;
static void (*action)(void);

static void
act_once(void)
{
    if (acted)
        return;
    acted = true;
    action();
}

/* Acts in the copy of the first value, in the capture. */
static void
capture_and(void (*act)(void))
{
    prepare();
    action = act;
    acted = false;
    counts.before = act_once;
    CHECK_OK(tls_context_capture(&context));
    CHECK(acted);
    counts.before = NULL;
}

/* Acts in the copy of the first value, when a scope is begun. */
static tls_scope_t
begin_and(void (*act)(void))
{
    tls_scope_t scope;

    prepare();
    CHECK_OK(tls_context_capture(&context));
    action = act;
    acted = false;
    counts.before = act_once;
    scope = begin(context);
    CHECK(acted);
    counts.before = NULL;
    return scope;
}

static void
change_others(void)
{
    CHECK_OK(tls_remove(keys[1]));
    copying_set(&counts, keys[2], 30);
    CHECK_OK(tls_key_release(keys[3]));
}

/* A value is captured that is there when its turn comes. */
static void
a_copy_may_change_what_is_captured_after_it(void)
{
    tls_scope_t scope;

    capture_and(change_others);
    CHECK_UINT(counts.copies, 3);
    scope = begin(context);
    CHECK_UINT(copying_get(keys[0]), 2001);
    CHECK_UINT(copying_get(keys[1]), 0);
    CHECK_UINT(copying_get(keys[2]), 2030);
    CHECK_UINT(copying_get(keys[3]), 0);
    CHECK_UINT(copying_get(keys[4]), 2005);
    CHECK_OK(tls_scope_end(scope));
    finish();
}

static void
set_all_and_release_one(void)
{
    size_t i;

    for (i = 0; i < KEYS; i++) {
        CHECK_UINT(copying_get(keys[i]), 0); /* hidden, and not set yet */
        copying_set(&counts, keys[i], 70 + i);
    }
    CHECK_OK(tls_key_release(keys[3]));
}

/* What the context has wins. */
static void
a_copy_may_set_what_is_set_after_it(void)
{
    tls_scope_t scope = begin_and(set_all_and_release_one);

    CHECK_UINT(counts.ended[TLS_REASON_REPLACED], KEYS - 1);
    CHECK_UINT(copying_get(keys[0]), 2001);
    CHECK_UINT(copying_get(keys[3]), 0);
    CHECK_UINT(copying_get(keys[4]), 2005);
    CHECK_OK(tls_scope_end(scope));
    CHECK_UINT(copying_get(keys[4]), 5);
    CHECK_UINT(counts.ended[TLS_REASON_SCOPE_END], KEYS - 1);
    finish();
}

static void
release_all(void)
{
    size_t i;

    for (i = 1; i < KEYS; i++)
        CHECK_OK(tls_key_release(keys[i]));
    CHECK_OK(tls_key_release(keys[0])); /* its value is being copied */
}

static void
release_all_here(void)
{
    release_all();
    CHECK_UINT(counts.ended[TLS_REASON_KEY_DEAD], KEYS - 1);
}

static void *
release_all_there(void *unused)
{
    size_t i;

    for (i = 0; i < KEYS; i++)
        CHECK_OK(tls_key_release(keys[i]));
    return unused;
}

static void
release_all_elsewhere(void)
{
    test_in_thread(release_all_there, NULL);
    tls_expunge();
    CHECK_UINT(counts.ended[TLS_REASON_KEY_DEAD], KEYS - 1);
}

static void
check_that_only_the_copy_is_left(void)
{
    tls_scope_t scope;

    CHECK_UINT(counts.copies, 1);
    CHECK_UINT(counts.ended[TLS_REASON_KEY_DEAD], KEYS);
    CHECK_UINT(copying_alive(&counts), 1);
    CHECK_UINT(counts.freed, KEYS - 1);
    scope = begin(context);
    CHECK_UINT(test_stats().entries, 1);
    CHECK_OK(tls_scope_end(scope));
    finish();
}

/* Its own too: the key lives until the copy is made. */
static void
a_copy_may_release_keys(void)
{
    tls_scope_t scope;

    capture_and(release_all_here);
    check_that_only_the_copy_is_left();

    scope = begin_and(release_all);
    CHECK_UINT(counts.freed, 0); /* the context's */
    CHECK_UINT(test_stats().entries, KEYS);
    CHECK_UINT(copying_alive(&counts), KEYS);
    CHECK_OK(tls_scope_end(scope));
    finish();
}

/* The value that is being copied outlives its key's release by another thread,
 * whatever the callback calls then. */
static void
a_copied_value_outlives_its_key(void)
{
    capture_and(release_all_elsewhere);
    check_that_only_the_copy_is_left();
}

static void
capture_and_use(void)
{
    tls_context_t *inner = NULL;
    tls_scope_t scope;

    CHECK_OK(tls_context_capture(&inner));
    scope = begin(inner);
    copying_set(&counts, keys[1], 9);
    CHECK_OK(tls_scope_end(scope));
    tls_context_free(inner);
    CHECK_CODE(tls_thread_detach(), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_map_switch(NULL, NULL), TLS_ERR_REENTRANT);
}

static void
a_copy_may_capture_and_begin_scopes(void)
{
    tls_scope_t scope;

    capture_and(capture_and_use);
    CHECK_UINT(test_stats().contexts, 1);
    check_values(0);
    scope = begin(context);
    check_values(2000);
    CHECK_OK(tls_scope_end(scope));
    finish();

    scope = begin_and(capture_and_use);
    check_values(2000);
    CHECK_OK(tls_scope_end(scope));
    check_values(0);
    finish();
}

static tls_scope_t left_open;

static void
leave_open(void)
{
    left_open = begin(NULL);
}

/* It is then in it, and has to be ended first. */
static void
a_copy_may_leave_a_scope_open(void)
{
    tls_scope_t scope = begin_and(leave_open);

    check_values(2000);
    CHECK_CODE(tls_scope_end(scope), TLS_ERR_BUSY);
    CHECK_OK(tls_scope_end(left_open));
    CHECK_OK(tls_scope_end(scope));
    check_values(0);

    counts.copies = 0;
    counts.failing = 3; /* then it ends with the one that can't be begun */
    acted = false;
    counts.before = act_once;
    CHECK_CODE(tls_scope_begin(&scope, context), TLS_ERR_INIT);
    CHECK_CODE(tls_scope_end(left_open), TLS_ERR_INVALID);
    check_values(0);
    counts.failing = 0;
    finish();
}

/* ---- Callbacks that end their thread -------------------------------------------------- */

static bool by_cancellation;

static void
end_thread(void)
{
    static __thread bool done;

    if (done || counts.copies % KEYS != 2)
        return;
    done = true;
    if (by_cancellation) {
        CHECK_INT(pthread_cancel(pthread_self()), 0);
        pthread_testcancel();
    }
    pthread_exit(NULL);
}

static void
capture_inside_a_copy(void)
{
    tls_context_t *inner = NULL;

    action = end_thread;
    counts.before = end_thread;
    tls_context_capture(&inner);
    CHECK(!"a callback that ends its thread returns");
}

typedef enum call {
    IN_CAPTURE,
    IN_CAPTURE_IN_CAPTURE,
    IN_SCOPE,
    IN_TASK
} call_t;

static void *
make_call(void *argument)
{
    call_t call = *(call_t *)argument;
    tls_context_t *none = NULL;
    tls_task_t *task = NULL;
    tls_scope_t scope;
    size_t i;

    for (i = 0; i < KEYS; i++)
        copying_set(&counts, keys[i], i + 100);
    counts.before = call == IN_CAPTURE_IN_CAPTURE ? capture_inside_a_copy : end_thread;
    counts.copies = call == IN_CAPTURE_IN_CAPTURE ? KEYS : 0;
    switch (call) {
    case IN_CAPTURE:
    case IN_CAPTURE_IN_CAPTURE:
        tls_context_capture(&none);
        break;
    case IN_SCOPE:
        CHECK_OK(tls_scope_begin(&scope, NULL));
        tls_scope_begin(&scope, context);
        break;
    case IN_TASK:
        tls_task_create(&task, free, NULL);
        break;
    }
    CHECK(!"a callback that ends its thread returns");
    return NULL;
}

/* Of two copies that were made, and of one that was not: nothing is left, and
 * no reference of a key. The context of others is whole. */
static void
check_thread_ended_in(call_t call)
{
    uint64_t leaked = test_stats().leaked;
    uint64_t bytes;
    tls_scope_t scope;

    prepare();
    CHECK_OK(tls_context_capture(&context));
    bytes = test_stats().bytes;
    test_in_thread(make_call, &call);
    counts.before = NULL;
    CHECK_UINT(copying_alive(&counts), 2 * KEYS);
    CHECK_UINT(counts.ended[TLS_REASON_THREAD_EXIT], KEYS);
    CHECK_UINT(counts.ended[TLS_REASON_SCOPE_END], call == IN_SCOPE ? 2 : 0);
    CHECK_UINT(counts.ended[TLS_REASON_REMOVED], call == IN_SCOPE ? 0 : 2);
    CHECK_UINT(test_stats().contexts, 1);
    CHECK_UINT(test_stats().maps, 1);
    CHECK_UINT(test_stats().leaked, leaked);
    CHECK_UINT(test_stats().bytes, bytes);
    scope = begin(context);
    check_values(2000);
    CHECK_OK(tls_scope_end(scope));
    finish();
}

static void
a_copy_may_end_its_thread(void)
{
    int call;
    int how;

    for (call = IN_CAPTURE; call <= IN_TASK; call++) {
        for (how = 0; how < 2; how++) {
            by_cancellation = how == 1;
            check_thread_ended_in((call_t)call);
        }
    }
}

/* ---- Destroy callbacks of a context's values --------------------------------------------- */

static size_t ended_before_the_end;

static void
end_thread_at_the_third(void *value, int reason, void *user)
{
    copying_destroy(value, reason, user);
    if (copying_ended(&counts) == ended_before_the_end)
        pthread_exit(NULL);
}

static void *
free_context(void *argument)
{
    tls_context_free((tls_context_t *)argument);
    CHECK(!"a callback that ends its thread returns");
    return NULL;
}

static void *
cancel_task(void *argument)
{
    tls_task_cancel((tls_task_t *)argument);
    CHECK(!"a callback that ends its thread returns");
    return NULL;
}

/* The others still end, by the thread's own end. */
static void
the_end_of_a_contexts_value_may_end_the_thread(void)
{
    tls_key_options_t options = copying_options(&counts);
    tls_task_t *task = NULL;
    uint64_t bytes;
    size_t i;

    memset(&counts, 0, sizeof(counts));
    options.destroy = end_thread_at_the_third;
    for (i = 0; i < KEYS; i++) {
        keys[i] = test_key_from(&options);
        copying_set(&counts, keys[i], i + 1);
    }
    bytes = test_stats().bytes;
    CHECK_OK(tls_context_capture(&context));
    ended_before_the_end = 3;
    test_in_thread(free_context, context);
    context = NULL;
    CHECK_UINT(counts.ended[TLS_REASON_REMOVED], KEYS);
    CHECK_OK(tls_task_create(&task, free, NULL));
    ended_before_the_end = KEYS + 2;
    test_in_thread(cancel_task, task);
    CHECK_UINT(counts.ended[TLS_REASON_REMOVED], 2 * KEYS);
    CHECK_UINT(copying_alive(&counts), KEYS);
    CHECK_UINT(test_stats().bytes, bytes);
    ended_before_the_end = 0;
    finish();
}

int
main(void)
{
    RUN(a_copy_that_fails_fails_the_capture);
    RUN(a_copy_that_fails_leaves_no_scope_open);
    RUN(a_copy_may_change_what_is_captured_after_it);
    RUN(a_copy_may_set_what_is_set_after_it);
    RUN(a_copy_may_release_keys);
    RUN(a_copied_value_outlives_its_key);
    RUN(a_copy_may_capture_and_begin_scopes);
    RUN(a_copy_may_leave_a_scope_open);
    RUN(a_copy_may_end_its_thread);
    RUN(the_end_of_a_contexts_value_may_end_the_thread);
    return test_finish();
}
