/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Callbacks that never return, because their thread ends inside them:
 * pthread_exit, or a cancellation point while a cancellation is pending. The
 * thread's cleanup then finishes what the call had begun: the value in the
 * callback's hands has had its callback, every other one still gets it.
 */
#include "test.h"

static test_log_t ended;       /* of keys with an ordinary callback */
static test_log_t ended_own;   /* of the key whose callback never returns */
static tls_key_t own;
static tls_key_t others[3];
static bool by_cancellation;

/* Ends the calling thread from inside a callback, once per thread. */
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
    pthread_exit(PTHREAD_CANCELED);
}

static void
destroy_and_end_thread(void *value, int reason, void *user)
{
    test_log_destroy(value, reason, user);
    end_thread();
}

static int
init_and_end_thread(void **value, void *user)
{
    (void)user;
    CHECK_OK(tls_set(others[2], VALUE(3)));
    *value = VALUE(1);
    end_thread();
    return 0;
}

static void
free_and_end_thread(void *user)
{
    test_log_free(user);
    end_thread();
}

static void
hook(void *argument)
{
    test_log_destroy(argument, 0, &ended);
}

static void
hook_and_end_thread(void *argument)
{
    hook(argument);
    end_thread();
}

/* ---- The calls that they are made from ---------------------------------- */

static void
set_three(void)
{
    CHECK_OK(tls_set(others[0], VALUE(1)));
    CHECK_OK(tls_set(own, VALUE(100)));
    CHECK_OK(tls_set(others[1], VALUE(2)));
}

static void
replace(void)
{
    set_three();
    tls_set(own, VALUE(101));
}

static void
remove_one(void)
{
    set_three();
    tls_remove(own);
}

static void
remove_every_one(void)
{
    set_three();
    tls_remove_all();
}

static void
detach(void)
{
    set_three();
    tls_thread_detach();
}

static void
release(void)
{
    set_three();
    CHECK_OK(tls_key_retain(own)); /* the main thread's reference is the last */
    CHECK_OK(tls_key_release(own));
    tls_key_release(own);
}

static void *
release_own(void *argument)
{
    CHECK_OK(tls_key_release(own));
    return argument;
}

static void
expunge(void)
{
    set_three();
    test_in_thread(release_own, NULL);
    tls_expunge();
}

static void
get(void)
{
    CHECK_OK(tls_set(others[0], VALUE(1)));
    CHECK_OK(tls_set(others[1], VALUE(2)));
    tls_get(own);
}

static void
run_hooks(void)
{
    CHECK_OK(tls_set(others[0], VALUE(1)));
    CHECK_OK(tls_at_thread_exit(hook, VALUE(50)));
    CHECK_OK(tls_at_thread_exit(hook, VALUE(51)));
    CHECK_OK(tls_at_thread_exit(hook_and_end_thread, VALUE(52)));
    CHECK_OK(tls_at_thread_exit(hook, VALUE(53)));
    tls_thread_detach();
}

typedef struct call {
    void (*make)(void);
} call_t;

static void *
make_call(void *argument)
{
    ((call_t *)argument)->make();
    CHECK(!"a callback that ends its thread returns");
    return NULL;
}

static void
start(const tls_key_options_t *options)
{
    int i;

    test_log_clear(&ended);
    test_log_clear(&ended_own);
    for (i = 0; i < 3; i++)
        others[i] = test_key_logged(&ended);
    own = test_key_from(options);
}

static void
make_on_thread(void (*make)(void))
{
    tls_stats_t stats;
    call_t call;

    call.make = make;
    CHECK(test_in_thread(make_call, &call) == PTHREAD_CANCELED);
    stats = test_stats();
    CHECK_UINT(stats.maps, 0);
    CHECK_UINT(stats.entries, 0);
    CHECK_UINT(stats.stale, 0);
    CHECK_UINT(stats.dead_keys, 0);
    CHECK_UINT(stats.leaked, 0);
}

static void
finish(bool own_is_dead)
{
    int i;

    for (i = 0; i < 3; i++)
        CHECK_OK(tls_key_release(others[i]));
    CHECK_UINT(ended.freed, 3);
    CHECK_CODE(tls_key_release(own), own_is_dead ? TLS_ERR_DEAD_KEY : TLS_OK);
    CHECK_UINT(test_stats().keys, 0);
    CHECK_UINT(test_stats().dead_keys, 0);
}

static tls_key_options_t
own_options(void)
{
    tls_key_options_t options = test_options();

    options.user = &ended_own;
    options.user_free = test_log_free;
    return options;
}

/* ---- The tests, each with pthread_exit and with cancellation -------------- */

static void
check_destroy(void (*make)(void), int reason, size_t own_values)
{
    tls_key_options_t options = own_options();
    size_t i;

    options.destroy = destroy_and_end_thread;
    start(&options);
    make_on_thread(make);
    CHECK_UINT(ended.count, 2);
    CHECK_PTR(ended.records[0].value, VALUE(2));
    CHECK_PTR(ended.records[1].value, VALUE(1));
    CHECK_UINT(ended_own.count, own_values);
    CHECK_INT(ended_own.records[0].reason, reason);
    for (i = 0; i < own_values; i++)
        CHECK_PTR(ended_own.records[i].value, VALUE(100 + i));
    finish(reason == TLS_REASON_KEY_DEAD);
    CHECK_UINT(ended_own.count, own_values);
    CHECK_UINT(ended_own.freed, 1);
}

static void
destroy_may_end_its_thread(void)
{
    check_destroy(replace, TLS_REASON_REPLACED, 2);
    check_destroy(remove_one, TLS_REASON_REMOVED, 1);
    check_destroy(remove_every_one, TLS_REASON_REMOVED, 1);
    check_destroy(detach, TLS_REASON_DETACHED, 1);
    check_destroy(release, TLS_REASON_KEY_DEAD, 1);
    check_destroy(expunge, TLS_REASON_KEY_DEAD, 1);
}

/* What init had made in the moment is lost, as nobody was told of it; what it
 * had set is not, and the key works as before on other threads. */
static void
init_may_end_its_thread(void)
{
    tls_key_options_t options = own_options();

    options.init = init_and_end_thread;
    options.destroy = test_log_destroy;
    start(&options);
    make_on_thread(get);
    CHECK_UINT(ended.count, 3);
    CHECK_UINT(ended_own.count, 0);
    CHECK_OK(tls_set(own, VALUE(5)));
    CHECK_PTR(tls_get(own), VALUE(5));
    finish(false);
    CHECK_UINT(ended_own.count, 1);
    CHECK_UINT(ended_own.freed, 1);
    CHECK_OK(tls_thread_detach());
}

static void
user_free_may_end_its_thread(void)
{
    tls_key_options_t options = own_options();

    options.destroy = test_log_destroy;
    options.user_free = free_and_end_thread;
    start(&options);
    make_on_thread(release);
    CHECK_UINT(ended.count, 2);
    CHECK_UINT(ended_own.count, 1);
    CHECK_UINT(ended_own.freed, 1);
    finish(true);
    CHECK_UINT(ended_own.freed, 1);
}

/* The hook that ends the thread has had its turn; the others get theirs. */
static void
a_hook_may_end_its_thread(void)
{
    tls_key_options_t options = own_options();
    size_t i;

    start(&options);
    make_on_thread(run_hooks);
    CHECK_UINT(ended.count, 5);
    for (i = 0; i < 4; i++)
        CHECK_PTR(ended.records[i].value, VALUE(53 - i));
    CHECK_RECORD(&ended, 4, VALUE(1), TLS_REASON_THREAD_EXIT, ended.records[0].thread);
    finish(false);
}

static void
run_all(void)
{
    RUN(destroy_may_end_its_thread);
    RUN(init_may_end_its_thread);
    RUN(user_free_may_end_its_thread);
    RUN(a_hook_may_end_its_thread);
}

int
main(void)
{
    by_cancellation = false;
    run_all();
    by_cancellation = true;
    run_all();
    return test_finish();
}
