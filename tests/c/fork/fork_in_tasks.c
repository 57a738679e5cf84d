/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Forks in the middle of captures, of scopes that begin and end, and of tasks:
 * inside their callbacks, and while other threads are inside one. The call goes
 * on in both processes.
 */
#include "everything.h"
#include "forking.h"
#include "worker.h"

#define KEYS 3

static tls_key_t keys[KEYS];
static size_t alive; /* values that nobody has ended */
static size_t freed;
static tls_context_t *context;
static tls_scope_t scope;
static pid_t child;
static size_t forks_at; /* the call of a callback that forks; counts down */

static void
maybe_fork(void)
{
    if (forks_at > 0 && --forks_at == 0)
        child = fork_checked();
}

static void
end_and_fork(void *value, int reason, void *user)
{
    (void)value;
    (void)reason;
    (void)user;
    alive--;
    maybe_fork();
}

static int
copy_and_fork(void *value, void **copy, void *user)
{
    (void)user;
    maybe_fork();
    alive++;
    *copy = VALUE((size_t)value + 1000);
    return 0;
}

static void
count_free(void *user)
{
    (void)user;
    freed++;
}

static void
set(size_t which, size_t number)
{
    CHECK_OK(tls_set(keys[which], VALUE(number)));
    alive++;
}

static void
prepare(void)
{
    tls_key_options_t options = test_options();
    size_t i;

    alive = 0;
    freed = 0;
    forks_at = 0;
    child = -1;
    context = NULL;
    options.destroy = end_and_fork;
    options.copy = copy_and_fork;
    options.user = &freed;
    options.user_free = count_free;
    options.flags = TLS_KEY_INHERIT;
    for (i = 0; i < KEYS; i++) {
        keys[i] = test_key_from(&options);
        set(i, i + 1);
    }
}

static void
check_values(size_t distance)
{
    size_t i;

    for (i = 0; i < KEYS; i++)
        CHECK_PTR(tls_get(keys[i]), VALUE(i + 1 + distance));
}

/* In both processes: everything has ended once, every key is over; in the
 * child, everything works. */
static void
finish(void)
{
    size_t i;

    CHECK_UINT(forks_at, 0);
    tls_context_free(context);
    check_values(0);
    for (i = 0; i < KEYS; i++) {
        CHECK_OK(tls_key_release(keys[i]));
        CHECK(!tls_key_is_live(keys[i]));
    }
    CHECK_UINT(alive, 0);
    CHECK_UINT(freed, KEYS);
    CHECK_UINT(test_stats().contexts, 0);
    CHECK_UINT(test_stats().entries, 0);
    CHECK_UINT(test_stats().dead_keys, 0);
    if (child == 0) {
        use_everything();
        test_finish();
        _exit(0);
    }
    wait_for_child(child);
}

/* ---- Inside callbacks ------------------------------------------------------------ */

static void
a_copy_callback_of_a_capture_may_fork(void)
{
    size_t at;

    for (at = 1; at <= KEYS; at++) {
        prepare();
        forks_at = at;
        CHECK_OK(tls_context_capture(&context));
        CHECK_UINT(test_stats().contexts, 1);
        CHECK_OK(tls_scope_begin(&scope, context));
        check_values(2000);
        CHECK_OK(tls_scope_end(scope));
        finish();
    }
}

static void
a_copy_callback_of_a_scope_may_fork(void)
{
    size_t at;

    for (at = 1; at <= KEYS; at++) {
        prepare();
        CHECK_OK(tls_context_capture(&context));
        forks_at = at;
        CHECK_OK(tls_scope_begin(&scope, context));
        check_values(2000);
        CHECK_OK(tls_scope_end(scope));
        finish();
    }
}

/* Each of the values in turn; what it has hidden is hidden still. */
static void
a_destroy_callback_of_a_scopes_end_may_fork(void)
{
    size_t at;
    size_t i;

    for (at = 1; at <= KEYS; at++) {
        prepare();
        CHECK_OK(tls_scope_begin(&scope, NULL));
        for (i = 0; i < KEYS; i++)
            set(i, i + 501);
        forks_at = at;
        CHECK_OK(tls_scope_end(scope));
        finish();
    }
}

static void
a_destroy_callback_of_a_contexts_value_may_fork(void)
{
    size_t at;

    for (at = 1; at <= KEYS; at++) {
        prepare();
        CHECK_OK(tls_context_capture(&context));
        forks_at = at;
        tls_context_free(context);
        context = NULL;
        finish();
    }
}

static void
fork_here(void *argument)
{
    tls_scope_t inner;

    CHECK_OK(tls_scope_begin(&inner, NULL));
    set(0, 700);
    CHECK_OK(tls_remove(keys[1]));
    child = fork_checked();
    CHECK_PTR(tls_get(keys[0]), VALUE(700));
    CHECK_PTR(tls_get(keys[1]), NULL);
    CHECK_OK(tls_scope_end(inner));
    check_values(1000);
    (*(size_t *)argument)++;
}

/* In the child the rest of the task is run too. */
static void
a_task_may_fork(void)
{
    tls_task_t *task = NULL;
    size_t runs = 0;

    prepare();
    CHECK_OK(tls_task_create(&task, fork_here, &runs));
    tls_task_run(task);
    CHECK_UINT(runs, 1);
    finish();
}

static void
a_key_that_died_in_a_context_may_be_forked(void)
{
    prepare();
    CHECK_OK(tls_context_capture(&context));
    CHECK_OK(tls_scope_begin(&scope, NULL));
    CHECK_OK(tls_remove(keys[0]));
    CHECK_OK(tls_key_release(keys[1]));
    CHECK_UINT(freed, 0);
    child = fork_checked();
    CHECK_UINT(test_stats().dead_keys, 1);
    tls_context_free(context);
    context = NULL;
    CHECK_UINT(freed, 1);
    CHECK_UINT(test_stats().dead_keys, 0);
    CHECK_OK(tls_scope_end(scope));
    CHECK_PTR(tls_get(keys[0]), VALUE(1));
    keys[1] = test_key();
    CHECK_OK(tls_set(keys[1], VALUE(2)));
    finish();
}

/* ---- Others inside one ----------------------------------------------------------------- */

static pthread_barrier_t inside;
static bool others_wait;

static int
copy_and_wait(void *value, void **copy, void *user)
{
    (void)user;
    *copy = value;
    if (others_wait && value == VALUE(9)) {
        pthread_barrier_wait(&inside);
        pthread_barrier_wait(&inside);
    }
    return 0;
}

static void
destroy_and_wait(void *value, int reason, void *user)
{
    (void)user;
    if (others_wait && value == VALUE(9) && reason == TLS_REASON_SCOPE_END) {
        pthread_barrier_wait(&inside);
        pthread_barrier_wait(&inside);
    }
}

typedef enum place {
    IN_A_CAPTURE,
    IN_A_SCOPES_BEGIN,
    IN_A_SCOPES_END
} place_t;

static void *
be_inside(void *argument)
{
    place_t place = *(place_t *)argument;
    tls_context_t *own = NULL;
    tls_scope_t here;

    others_wait = place == IN_A_CAPTURE;
    CHECK_OK(tls_set(keys[0], VALUE(9)));
    CHECK_OK(tls_context_capture(&own));
    others_wait = place == IN_A_SCOPES_BEGIN;
    CHECK_OK(tls_scope_begin(&here, own));
    others_wait = place == IN_A_SCOPES_END;
    CHECK_OK(tls_scope_end(here));
    others_wait = false;
    tls_context_free(own);
    return NULL;
}

/* The reference that the capture had for its copy is not here either. */
static void
finish_child(void)
{
    tls_context_t *own = NULL;

    others_wait = false;
    CHECK_OK(tls_context_capture(&own));
    CHECK_OK(tls_scope_begin(&scope, own));
    CHECK_PTR(tls_get(keys[0]), VALUE(1));
    CHECK_OK(tls_scope_end(scope));
    tls_context_free(own);
    CHECK_OK(tls_key_release(keys[0]));
    CHECK(!tls_key_is_live(keys[0]));
    use_everything();
    _exit(0);
}

static void
other_threads_may_be_inside_a_callback(void)
{
    tls_key_options_t options = test_options();
    int where;

    options.copy = copy_and_wait;
    options.destroy = destroy_and_wait;
    options.flags = TLS_KEY_INHERIT;
    CHECK_INT(pthread_barrier_init(&inside, NULL, 2), 0);
    for (where = IN_A_CAPTURE; where <= IN_A_SCOPES_END; where++) {
        place_t place = (place_t)where;
        pthread_t thread;

        keys[0] = test_key_from(&options);
        CHECK_OK(tls_set(keys[0], VALUE(1)));
        thread = test_start(be_inside, &place);
        pthread_barrier_wait(&inside);
        child = fork_checked();
        if (child == 0)
            finish_child();
        wait_for_child(child);
        pthread_barrier_wait(&inside);
        test_join(thread);
        CHECK_OK(tls_key_release(keys[0]));
        CHECK(!tls_key_is_live(keys[0]));
    }
    pthread_barrier_destroy(&inside);
}

int
main(void)
{
    if (forks_are_left_out())
        return 0;
    RUN(a_copy_callback_of_a_capture_may_fork);
    RUN(a_copy_callback_of_a_scope_may_fork);
    RUN(a_destroy_callback_of_a_scopes_end_may_fork);
    RUN(a_destroy_callback_of_a_contexts_value_may_fork);
    RUN(a_task_may_fork);
    RUN(a_key_that_died_in_a_context_may_be_forked);
    RUN(other_threads_may_be_inside_a_callback);
    return test_finish();
}
