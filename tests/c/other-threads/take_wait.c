/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tls_take_wait() and tls_swap_wait(): a value that another thread visits is handed over
 * when the visitor has returned, or the time has passed.
 */
#include "lives.h"
#include "worker.h"

static tls_key_t key;
static worker_t owner;

/* What the owner's last call has answered. */
static int answer;
static void *handed_over;
static size_t waits_begun;

static void
job_take(void *argument)
{
    test_count_up(&waits_begun);
    answer = tls_take_wait(key, &handed_over, *(int *)argument);
}

static void
job_swap(void *argument)
{
    void *value = life();

    test_count_up(&waits_begun);
    answer = tls_swap_wait(key, value, &handed_over, *(int *)argument);
    if (answer != TLS_OK)
        life_end(value);
}

static void
job_set(void *argument)
{
    (void)argument;
    CHECK_OK(life_set(key));
}

static int for_ever = -1, not_at_all = 0, a_moment = 20;

static int
owner_cannot_have_it(void *value, uint64_t thread, void *argument)
{
    void (*job)(void *) = *(void (**)(void *))argument;

    (void)thread;
    worker_do(&owner, job, &not_at_all);
    CHECK_CODE(answer, TLS_ERR_TIMEOUT);
    worker_do(&owner, job, &a_moment);
    CHECK_CODE(answer, TLS_ERR_TIMEOUT);
    CHECK(!life_is_over(value));
    worker_begin(&owner, job, &for_ever);
    while (test_count(&waits_begun) < 3)
        sched_yield();
    apart_pause();
    CHECK(!life_is_over(value));
    handed_over = NULL;
    return 0;
}

static void
begin(void)
{
    key = life_key(TLS_RECLAIM_OWNER, TLS_KEY_ENUMERABLE, NULL);
    worker_start(&owner);
    worker_do(&owner, job_set, NULL);
    waits_begun = 0;
}

static void
finish(void)
{
    worker_stop(&owner);
    CHECK_OK(tls_key_release(key));
    life_key_is_drained(key);
    lives_check();
}

static void (*job)(void *);

static void
who_waits_gets_it_when_the_visit_is_over(void)
{
    begin();
    CHECK_OK(tls_for_each(key, owner_cannot_have_it, &job));
    worker_wait(&owner);
    CHECK_OK(answer);
    CHECK_PTR(handed_over, VALUE(1));
    life_end(handed_over);
    CHECK_UINT(test_stats().entries, job == job_swap ? 1 : 0);
    finish();
}

static void
what_nobody_visits_is_handed_over_at_once(void)
{
    void *old = NULL;

    begin();
    worker_do(&owner, job_swap, &not_at_all);
    CHECK_OK(answer);
    life_end(handed_over);
    worker_do(&owner, job_take, &not_at_all);
    CHECK_OK(answer);
    life_end(handed_over);
    worker_do(&owner, job_take, &for_ever);
    CHECK_CODE(answer, TLS_ERR_ABSENT);
    CHECK_CODE(tls_take_wait(key, NULL, -1), TLS_ERR_INVALID);
    CHECK_CODE(tls_take_wait(key, &old, -1), TLS_ERR_ABSENT);
    CHECK_CODE(tls_swap_wait(key, VALUE(7), NULL, -1), TLS_ERR_INVALID);
    CHECK_CODE(tls_take_wait(77, &old, -1), TLS_ERR_BAD_KEY);
    CHECK_CODE(tls_swap_wait(77, VALUE(7), &old, -1), TLS_ERR_BAD_KEY);
    finish();
    CHECK_CODE(tls_take_wait(key, &old, -1), TLS_ERR_DEAD_KEY);
    CHECK_CODE(tls_swap_wait(key, VALUE(7), &old, -1), TLS_ERR_DEAD_KEY);
}

/* It would wait for itself. */
static int
take_while_visiting(void *value, uint64_t thread, void *argument)
{
    void *old = NULL;

    (void)thread;
    (void)argument;
    CHECK_CODE(tls_take_wait(key, &old, -1), TLS_ERR_REENTRANT);
    CHECK_CODE(tls_swap_wait(key, VALUE(7), &old, -1), TLS_ERR_REENTRANT);
    CHECK(!life_is_over(value));
    return 0;
}

static void
nobody_waits_inside_a_callback(void)
{
    begin();
    CHECK_OK(life_set(key));
    CHECK_OK(tls_for_each(key, take_while_visiting, NULL));
    CHECK_OK(tls_remove(key));
    finish();
}

static void *
set_and_wait(void *argument)
{
    void *old = NULL;

    CHECK_OK(life_set(key));
    test_count_up(&waits_begun);
    while (test_count(&waits_begun) < 2)
        sched_yield();
    CHECK_CODE(tls_take_wait(key, &old, -1), TLS_ERR_BUSY); /* it is cancelled there */
    return argument;
}

static int
cancel_the_owner(void *value, uint64_t thread, void *argument)
{
    (void)thread;
    test_count_up(&waits_begun);
    apart_pause();
    CHECK_INT(pthread_cancel(*(pthread_t *)argument), 0);
    CHECK_INT(pthread_join(*(pthread_t *)argument, NULL), 0);
    CHECK(!life_is_over(value));
    return 0;
}

static void
a_thread_that_waits_can_be_cancelled(void)
{
    pthread_t waiter;

    key = life_key(TLS_RECLAIM_OWNER, TLS_KEY_ENUMERABLE, NULL);
    waits_begun = 0;
    waiter = test_start(set_and_wait, NULL);
    while (test_count(&waits_begun) < 1)
        sched_yield();
    CHECK_OK(tls_for_each(key, cancel_the_owner, &waiter));
    CHECK_OK(tls_key_release(key));
    life_key_is_drained(key);
    lives_check();
}

int
main(void)
{
    job = job_take;
    RUN_APART_AS(who_waits_gets_it_when_the_visit_is_over, "(take)");
    job = job_swap;
    RUN_APART_AS(who_waits_gets_it_when_the_visit_is_over, "(swap)");
    RUN_APART(what_nobody_visits_is_handed_over_at_once);
    RUN_APART(nobody_waits_inside_a_callback);
    RUN_APART(a_thread_that_waits_can_be_cancelled);
    return apart_finish();
}
