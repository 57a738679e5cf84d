/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tls_take_all(): every value of the thread is handed over once and is destroyed by
 * nobody, whatever else stands around it: scopes, dead keys, visitors, callbacks that
 * call everything, a receiver that ends its thread, a fork.
 */
#include "forking.h"
#include "lives.h"
#include "worker.h"

#define KEYS 40

static tls_key_t keys[KEYS];
static size_t taken;
static void *order[4 * KEYS];

static void
take(tls_key_t key, void *value, void *argument)
{
    CHECK(key != TLS_KEY_NONE);
    CHECK_PTR(argument, &taken);
    CHECK_AT_MOST(taken, 4 * KEYS - 1);
    order[taken++] = value;
    life_end(value);
}

static void
take_all(void)
{
    taken = 0;
    CHECK_OK(tls_take_all(take, &taken));
    CHECK_UINT(tls_stale_count(), 0);
    CHECK_UINT(test_stats().entries, 0);
}

static void
make_keys(uint32_t reclaim, uint32_t flags)
{
    size_t i;

    for (i = 0; i < KEYS; i++)
        keys[i] = life_key(reclaim, flags, NULL);
}

static void
set_all(void)
{
    size_t i;

    for (i = 0; i < KEYS; i++)
        CHECK_OK(life_set(keys[i]));
}

static void
release_all(void)
{
    size_t i;

    for (i = 0; i < KEYS; i++) {
        CHECK_OK(tls_key_release(keys[i]));
        life_key_is_drained(keys[i]);
    }
    CHECK_UINT(test_stats().leaked, 0);
    lives_check();
}

static void
values_are_handed_over_the_youngest_first(void)
{
    size_t i;

    CHECK_CODE(tls_take_all(NULL, NULL), TLS_ERR_INVALID);
    CHECK_OK(tls_take_all(take, &taken)); /* not attached */
    make_keys(TLS_RECLAIM_OWNER, 0);
    set_all();
    take_all();
    CHECK_UINT(taken, KEYS);
    for (i = 1; i < KEYS; i++)
        CHECK((uintptr_t)order[i] < (uintptr_t)order[i - 1]);
    take_all();
    CHECK_UINT(taken, 0);
    /* The thread goes on as it was. */
    set_all();
    CHECK_PTR(tls_get(keys[0]), VALUE(KEYS + 1));
    CHECK_OK(tls_set(keys[1], NULL));
    take_all();
    CHECK_UINT(taken, KEYS);
    release_all();
}

static void *
release_half(void *argument)
{
    size_t i;

    for (i = 0; i < KEYS; i += 2)
        CHECK_OK(tls_key_release(keys[i]));
    return argument;
}

static void
stale_and_hidden_values_are_handed_over(void)
{
    tls_scope_t outer;
    tls_scope_t inner;
    uint32_t flags[] = { 0, TLS_KEY_ENUMERABLE, TLS_KEY_INHERIT, TLS_KEY_WORKER };
    size_t i;
    size_t k;

    for (k = 0; k < 4; k++) {
        make_keys(TLS_RECLAIM_OWNER, flags[k]);
        set_all();
        CHECK_OK(tls_scope_begin(&outer, NULL));
        set_all();
        CHECK_OK(tls_remove(keys[3])); /* hides, or removes a worker's */
        CHECK_OK(tls_scope_begin(&inner, NULL));
        set_all();
        test_in_thread(release_half, NULL);
        if (k % 2)
            tls_expunge_some(3);
        take_all();
        CHECK_AT_LEAST(taken, KEYS - 4);
        for (i = 1; i < KEYS; i += 2)
            CHECK_PTR(tls_get(keys[i]), NULL);
        CHECK_OK(tls_scope_end(inner));
        CHECK_OK(tls_scope_end(outer));
        for (i = 1; i < KEYS; i += 2) {
            CHECK_PTR(tls_get(keys[i]), NULL);
            CHECK_OK(tls_key_release(keys[i]));
        }
        for (i = 0; i < KEYS; i++)
            life_key_is_drained(keys[i]);
        lives_check();
    }
}

/* ---- Visitors ---------------------------------------------------------------------- */

static worker_t owner;

static void
job_set_all(void *argument)
{
    (void)argument;
    set_all();
}

static void
job_take_all_but_one(void *argument)
{
    (void)argument;
    taken = 0;
    CHECK_CODE(tls_take_all(take, &taken), TLS_ERR_BUSY);
    CHECK_UINT(taken, KEYS - 1);
}

static void
job_take_all(void *argument)
{
    (void)argument;
    taken = 0;
    CHECK_OK(tls_take_all(take, &taken));
}

static int
let_the_owner_take(void *value, uint64_t thread, void *argument)
{
    (void)thread;
    (void)argument;
    worker_do(&owner, job_take_all_but_one, NULL);
    CHECK(!life_is_over(value));
    return 0;
}

static void
a_visited_value_stays(void)
{
    make_keys(TLS_RECLAIM_OWNER, TLS_KEY_ENUMERABLE);
    worker_start(&owner);
    worker_do(&owner, job_set_all, NULL);
    CHECK_OK(tls_for_each(keys[7], let_the_owner_take, NULL));
    CHECK(worker_get(&owner, keys[7]) != NULL);
    worker_do(&owner, job_take_all, NULL);
    CHECK_UINT(taken, 1);
    worker_stop(&owner);
    release_all();
}

/* ---- Receivers that do more --------------------------------------------------------- */

static void
take_and_act(tls_key_t key, void *value, void *argument)
{
    void *old = NULL;

    life_end(value);
    taken++;
    switch (taken % 5) {
    case 0: life_set(key); break;
    case 1: CHECK_OK(tls_take_all(take_and_act, argument)); break;
    case 2:
        if (tls_take(keys[taken % KEYS], &old) == TLS_OK)
            life_end(old);
        break;
    case 3: tls_expunge(); break;
    default: tls_remove(keys[taken % KEYS]); break;
    }
}

static int
remove_it(void *value, uint64_t thread, void *argument)
{
    (void)thread;
    CHECK_OK(tls_remove(*(tls_key_t *)argument));
    CHECK(!life_is_over(value));
    return 0;
}

/* The end of each older value is deferred, and due when the receiver returns. */
static void
take_and_visit(tls_key_t key, void *value, void *argument)
{
    size_t i;

    (void)argument;
    life_end(value);
    taken++;
    for (i = 0; i < KEYS; i += 3)
        if (keys[i] != key)
            CHECK_OK(tls_for_each(keys[i], remove_it, &keys[i]));
}

static void
values_that_a_receiver_defers_are_handed_over(void)
{
    make_keys(TLS_RECLAIM_OWNER, TLS_KEY_ENUMERABLE);
    set_all();
    taken = 0;
    CHECK_OK(tls_take_all(take_and_visit, NULL));
    CHECK_UINT(taken, KEYS);
    CHECK_UINT(tls_stale_count(), 0);
    CHECK_UINT(test_stats().entries, 0);
    set_all();
    release_all();
}

static void
a_receiver_may_call_everything(void)
{
    make_keys(TLS_RECLAIM_OWNER, TLS_KEY_ENUMERABLE);
    set_all();
    test_in_thread(release_half, NULL);
    taken = 0;
    CHECK_OK(tls_take_all(take_and_act, NULL));
    CHECK_AT_LEAST(taken, 1);
    CHECK_OK(tls_thread_detach());
    {
        size_t i;

        for (i = 1; i < KEYS; i += 2)
            CHECK_OK(tls_key_release(keys[i]));
    }
    lives_check();
}

static void
take_and_leave_thread(tls_key_t key, void *value, void *argument)
{
    (void)key;
    (void)argument;
    life_end(value);
    if (++taken == KEYS / 2)
        pthread_exit(NULL);
}

static void *
be_ended(void *argument)
{
    set_all();
    test_in_thread(release_half, NULL);
    taken = 0;
    tls_take_all(take_and_leave_thread, argument);
    CHECK(false);
    return NULL;
}

static void
a_receiver_may_end_the_thread(void)
{
    size_t i;

    make_keys(TLS_RECLAIM_OWNER, 0);
    test_join(test_start(be_ended, NULL));
    CHECK_UINT(taken, KEYS / 2);
    for (i = 0; i < KEYS; i++) {
        if (i % 2)
            CHECK_OK(tls_key_release(keys[i]));
        life_key_is_drained(keys[i]);
    }
    lives_check();
}

/* user_free comes when its key's last value was handed over; it may end the thread. */
static size_t freed;

static void
free_and_leave(void *user)
{
    (void)user;
    freed++;
    pthread_exit(NULL);
}

static void *
be_ended_by_user_free(void *key)
{
    CHECK_OK(life_set(*(tls_key_t *)key));
    CHECK_OK(life_set(keys[0]));
    test_in_thread(release_half, NULL);
    taken = 0;
    tls_take_all(take, &taken);
    CHECK(false);
    return NULL;
}

static void
a_user_free_may_end_the_thread(void)
{
    tls_key_options_t options = test_options();
    tls_key_t live = life_key(TLS_RECLAIM_OWNER, 0, NULL);
    size_t i;

    options.destroy = life_destroy;
    options.user_free = free_and_leave;
    make_keys(TLS_RECLAIM_OWNER, 0);
    CHECK_OK(tls_key_release(keys[0]));
    keys[0] = test_key_from(&options);
    test_join(test_start(be_ended_by_user_free, &live));
    CHECK_UINT(freed, 1);
    CHECK_UINT(taken, 1);
    life_key_is_drained(keys[0]);
    for (i = 1; i < KEYS; i += 2)
        CHECK_OK(tls_key_release(keys[i]));
    CHECK_OK(tls_key_release(live));
    lives_check();
}

/* ---- The child of a fork -------------------------------------------------------------- */

static void
the_child_of_a_fork_ends_nothing_of_the_parents(void)
{
    pid_t child;

    if (forks_are_left_out())
        return;
    make_keys(TLS_RECLAIM_OWNER, TLS_KEY_ENUMERABLE);
    set_all();
    child = fork_checked();
    if (child == 0) {
        take_all();
        CHECK_UINT(taken, KEYS);
        CHECK_OK(tls_thread_detach());
        CHECK_UINT(test_stats().destroyed, 0);
        release_all();
        _exit(0);
    }
    wait_for_child(child);
    CHECK_OK(tls_thread_detach());
    release_all();
}

int
main(void)
{
    RUN_APART(values_are_handed_over_the_youngest_first);
    RUN_APART(stale_and_hidden_values_are_handed_over);
    RUN_APART(a_visited_value_stays);
    RUN_APART(values_that_a_receiver_defers_are_handed_over);
    RUN_APART(a_receiver_may_call_everything);
    RUN_APART(a_receiver_may_end_the_thread);
    RUN_APART(a_user_free_may_end_the_thread);
    RUN_APART(the_child_of_a_fork_ends_nothing_of_the_parents);
    return apart_finish();
}
