/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * How long what a context has lives: keys that die before it is used or freed,
 * threads that have gone, many threads that use it at the same time, and who
 * frees it.
 */
#include "copying_key.h"

#include "worker.h"

#define THREADS 8

static copying_t counts;
static tls_key_t key;
static tls_key_t other;
static tls_context_t *context;

static tls_scope_t
begin(void)
{
    tls_scope_t scope = 0;

    CHECK_OK(tls_scope_begin(&scope, context));
    return scope;
}

/* Two keys with a value each, captured and removed. */
static void
capture_two(uint32_t reclaim, uint32_t flags)
{
    tls_key_options_t options;

    memset(&counts, 0, sizeof(counts));
    options = copying_options(&counts);
    options.reclaim = reclaim;
    options.flags |= flags;
    key = test_key_from(&options);
    other = test_key_from(&options);
    copying_set(&counts, key, 1);
    copying_set(&counts, other, 2);
    CHECK_OK(tls_context_capture(&context));
    CHECK_OK(tls_remove_all());
    CHECK_UINT(copying_alive(&counts), 2);
}

static void
check_nothing_left(void)
{
    CHECK_UINT(copying_alive(&counts), 0);
    CHECK_UINT(counts.freed, 2);
    CHECK_UINT(test_stats().contexts, 0);
    CHECK_UINT(test_stats().entries, 0);
    CHECK_UINT(test_stats().stale, 0);
    CHECK_UINT(test_stats().dead_keys, 0);
}

/* ---- Keys that die ------------------------------------------------------------ */

static void
check_dead_key(uint32_t reclaim, uint32_t flags)
{
    uint64_t expunged;
    tls_scope_t scope;
    size_t left = 99;

    capture_two(reclaim, flags);
    expunged = test_stats().expunged;
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(counts.freed, 0);
    CHECK_UINT(test_stats().dead_keys, 1);
    CHECK_CODE(tls_key_drain(key, 0, &left), TLS_ERR_TIMEOUT);
    CHECK_UINT(left, 1);
    CHECK_CODE(tls_key_drain(other, 0, &left), TLS_ERR_TIMEOUT);
    CHECK_UINT(left, 1);
    scope = begin(); /* the dead one is skipped */
    CHECK_PTR(tls_get(key), NULL);
    CHECK_UINT(copying_get(other), 2002);
    CHECK_OK(tls_scope_end(scope));
    CHECK_UINT(counts.copies, 3);
    CHECK_UINT(copying_alive(&counts), 2);
    tls_context_free(context);
    CHECK_UINT(counts.ended[TLS_REASON_KEY_DEAD], 1);
    CHECK_UINT(counts.ended[TLS_REASON_REMOVED], 3);
    CHECK_UINT(counts.freed, 1);
    CHECK_UINT(test_stats().expunged, expunged + 1);
    CHECK_OK(tls_key_drain(key, 0, &left));
    CHECK_OK(tls_key_drain(other, 0, &left));
    CHECK_UINT(left, 0);
    CHECK_OK(tls_key_release(other));
    check_nothing_left();
}

/* T61: skipped where it is used; its copy ends with the context, its
 * `user` after that. Other threads don't reach what is in a context. */
static void
a_key_that_dies_is_skipped_and_its_copy_ends_with_the_context(void)
{
    check_dead_key(TLS_RECLAIM_OWNER, 0);
    check_dead_key(TLS_RECLAIM_ANY, 0);
    check_dead_key(TLS_RECLAIM_OWNER, TLS_KEY_ENUMERABLE);
    check_dead_key(TLS_RECLAIM_ANY, TLS_KEY_ENUMERABLE);
}

static void *
have_a_small_table(void *argument)
{
    tls_scope_t scope = begin();

    (void)argument;
    CHECK_UINT(copying_get(key), 2001);
    CHECK_UINT(test_stats().capacity, 16); /* the only table */
    CHECK_OK(tls_scope_end(scope));
    return NULL;
}

/* T55: what has died takes no room where the context is used. */
static void
a_table_has_room_for_live_keys_only(void)
{
    enum { MANY = 500 };
    static tls_key_t many[MANY];
    size_t i;

    memset(&counts, 0, sizeof(counts));
    for (i = 0; i < MANY; i++) {
        many[i] = copying_key(&counts);
        copying_set(&counts, many[i], i + 1);
    }
    key = many[0];
    CHECK_OK(tls_context_capture(&context));
    CHECK_OK(tls_thread_detach());
    for (i = 1; i < MANY; i++)
        CHECK_OK(tls_key_release(many[i]));
    test_in_thread(have_a_small_table, NULL);
    CHECK_UINT(counts.copies, MANY + 1);
    tls_context_free(context);
    CHECK_UINT(counts.ended[TLS_REASON_KEY_DEAD], MANY - 1);
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(counts.freed, MANY);
    CHECK_UINT(copying_alive(&counts), 0);
}

static int
add(void *value, uint64_t thread, void *argument)
{
    (void)thread;
    *(size_t *)argument += *(size_t *)value;
    return 0;
}

static int
add_and_free(void *value, uint64_t thread, void *argument)
{
    add(value, thread, argument);
    copying_destroy(value, TLS_REASON_REMOVED, &counts);
    return 0;
}

/* Only what was made of it in a scope is some thread's value. */
static void
a_contexts_values_are_visited_purged_and_taken_by_nobody(void)
{
    size_t purged = 99;
    size_t sum = 0;
    tls_scope_t scope;

    capture_two(TLS_RECLAIM_ANY, TLS_KEY_ENUMERABLE);
    CHECK_OK(tls_for_each(key, add, &sum));
    CHECK_OK(tls_scrape(key, add, &sum));
    CHECK_UINT(sum, 0);
    CHECK_OK(tls_key_purge(key, &purged));
    CHECK_UINT(purged, 0);
    CHECK_UINT(copying_alive(&counts), 2);
    scope = begin();
    CHECK_OK(tls_for_each(key, add, &sum));
    CHECK_UINT(sum, 2001);
    CHECK_OK(tls_key_purge(key, &purged));
    CHECK_UINT(purged, 1);
    CHECK_OK(tls_scrape(other, add_and_free, &sum));
    CHECK_UINT(sum, 4003);
    CHECK_PTR(tls_get(key), NULL);
    CHECK_OK(tls_scope_end(scope));
    tls_context_free(context);
    CHECK_OK(tls_key_release(key));
    CHECK_OK(tls_key_release(other));
    check_nothing_left();
}

static void
job_free(void *argument)
{
    tls_context_free((tls_context_t *)argument);
}

static void *
free_soon(void *argument)
{
    /* Whether the drain waits already is the scheduler's choice: it must come
     * back in both cases. */
    tls_context_free((tls_context_t *)argument);
    return NULL;
}

static void
a_drain_waits_for_contexts(void)
{
    pthread_t thread;
    size_t left = 99;

    capture_two(TLS_RECLAIM_OWNER, 0);
    CHECK_OK(tls_key_release(key));
    CHECK_CODE(tls_key_drain(key, 20, &left), TLS_ERR_TIMEOUT);
    CHECK_UINT(left, 1);
    thread = test_start(free_soon, context);
    CHECK_OK(tls_key_drain(key, -1, &left));
    CHECK_UINT(left, 0);
    CHECK_UINT(counts.freed, 1);
    test_join(thread);
    CHECK_OK(tls_key_release(other));
    check_nothing_left();
}

/* ---- Who frees it ---------------------------------------------------------------- */

static void *
free_here(void *argument)
{
    tls_context_free((tls_context_t *)argument);
    return NULL;
}

/* By a worker; by a thread that does nothing else; the values are no thread's. */
static void
a_context_is_freed_by_any_thread(void)
{
    worker_t worker;
    int i;

    for (i = 0; i < 2; i++) {
        capture_two(TLS_RECLAIM_OWNER, 0);
        worker_start(&worker);
        if (i == 0)
            worker_do(&worker, job_free, context);
        else
            test_in_thread(free_here, context);
        CHECK_UINT(counts.ended[TLS_REASON_REMOVED], 4);
        CHECK_OK(tls_key_release(key));
        CHECK_OK(tls_key_release(other));
        worker_stop(&worker);
        check_nothing_left();
    }
}

static pthread_key_t last_words;
static size_t passes;

/* Comes back until the library takes nothing any more, and frees then. */
static void
free_in_the_last_pass(void *argument)
{
    tls_scope_t scope;
    tls_context_t *none = NULL;

    passes++;
    if (tls_thread_attach() != TLS_ERR_EXITING) {
        CHECK_OK(tls_thread_detach());
        CHECK_AT_MOST(passes, 10);
        CHECK_INT(pthread_setspecific(last_words, argument), 0);
        return;
    }
    CHECK_CODE(tls_scope_begin(&scope, NULL), TLS_ERR_EXITING);
    CHECK_CODE(tls_context_capture(&none), TLS_ERR_EXITING);
    CHECK_PTR(none, NULL);
    tls_context_free((tls_context_t *)argument);
    CHECK_UINT(copying_alive(&counts), 0);
}

static void *
leave_it_to_the_destructor(void *argument)
{
    CHECK_INT(pthread_setspecific(last_words, argument), 0);
    CHECK_OK(tls_thread_attach());
    return NULL;
}

static void
a_context_is_freed_by_a_thread_past_its_last_cleanup(void)
{
    capture_two(TLS_RECLAIM_OWNER, 0);
    /* The library's key is older, so its destructor comes first in each pass. */
    CHECK_INT(pthread_key_create(&last_words, free_in_the_last_pass), 0);
    passes = 0;
    test_in_thread(leave_it_to_the_destructor, context);
    CHECK_AT_LEAST(passes, 2);
    CHECK_INT(pthread_key_delete(last_words), 0);
    CHECK_UINT(counts.ended[TLS_REASON_REMOVED], 4);
    CHECK_OK(tls_key_release(key));
    CHECK_OK(tls_key_release(other));
    check_nothing_left();
}

/* ---- Many threads ------------------------------------------------------------------ */

static void *
capture_here(void *argument)
{
    (void)argument;
    capture_two(TLS_RECLAIM_OWNER, 0);
    return NULL;
}

static pthread_barrier_t all;

static void *
use_at_the_same_time(void *argument)
{
    size_t rounds = test_scaled(2000, 50);
    size_t i;

    (void)argument;
    pthread_barrier_wait(&all);
    for (i = 0; i < rounds; i++) {
        tls_scope_t scope = begin();
        size_t number = copying_get(key);

        CHECK(number == 2001 || !tls_key_is_live(key));
        CHECK_UINT(copying_get(other), 2002);
        CHECK_OK(tls_scope_end(scope));
        tls_expunge();
        CHECK_PTR(tls_get(other), NULL);
    }
    return NULL;
}

/* T62: any number of threads, any number of times, at the same time, and after
 * the thread has gone that has captured it. One of its keys dies meanwhile. */
static void
a_context_is_used_by_many_threads_at_the_same_time(void)
{
    pthread_t threads[THREADS];
    size_t i;

    CHECK_OK(tls_thread_detach());
    test_in_thread(capture_here, NULL);
    CHECK_UINT(test_stats().maps, 0);
    CHECK_UINT(test_stats().contexts, 1);
    CHECK_INT(pthread_barrier_init(&all, NULL, THREADS + 1), 0);
    for (i = 0; i < THREADS; i++)
        threads[i] = test_start(use_at_the_same_time, NULL);
    pthread_barrier_wait(&all);
    CHECK_OK(tls_key_release(key));
    for (i = 0; i < THREADS; i++)
        test_join(threads[i]);
    pthread_barrier_destroy(&all);
    CHECK_UINT(copying_alive(&counts), 2);
    CHECK_UINT(counts.freed, 0);
    tls_context_free(context);
    CHECK_UINT(counts.freed, 1);
    CHECK_OK(tls_key_release(other));
    check_nothing_left();
}

/* ---- Threads that inherit ------------------------------------------------------------ */

#define CHAIN 100

typedef struct link {
    tls_context_t *context; /* of the one who makes the thread */
    size_t number;          /* the thread's, from 1 on */
} link_t;

/* What a parent passes on: half a step at the capture, half where it is used. */
static int
copy_and_add(void *value, void **copy, void *user)
{
    (void)user;
    *copy = VALUE((size_t)value + 1);
    return 0;
}

static void *
inherit_and_pass_on(void *argument)
{
    link_t *link = (link_t *)argument;
    link_t next;
    tls_scope_t scope;

    CHECK_OK(tls_scope_begin(&scope, link->context));
    tls_context_free(link->context);
    CHECK_PTR(tls_get(key), VALUE(1 + 2 * link->number));
    if (link->number < CHAIN) {
        next.number = link->number + 1;
        CHECK_OK(tls_context_capture(&next.context));
        CHECK_PTR(test_in_thread(inherit_and_pass_on, &next), VALUE(CHAIN));
        CHECK_PTR(tls_get(key), VALUE(1 + 2 * link->number));
    }
    return VALUE(CHAIN); /* the scope ends with the thread */
}

/* T51: the lines of tls_context_capture()'s text in the header, a hundred
 * threads deep. */
static void
each_of_a_hundred_threads_inherits_from_the_one_before(void)
{
    tls_key_options_t options = test_options();
    link_t first;

    options.flags = TLS_KEY_INHERIT;
    options.copy = copy_and_add;
    key = test_key_from(&options);
    CHECK_OK(tls_set(key, VALUE(1)));
    first.number = 1;
    CHECK_OK(tls_context_capture(&first.context));
    CHECK_PTR(test_in_thread(inherit_and_pass_on, &first), VALUE(CHAIN));
    CHECK_PTR(tls_get(key), VALUE(1));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(test_stats().contexts, 0);
    CHECK_UINT(test_stats().entries, 0);
}

int
main(void)
{
    RUN(a_key_that_dies_is_skipped_and_its_copy_ends_with_the_context);
    RUN(a_table_has_room_for_live_keys_only);
    RUN(a_contexts_values_are_visited_purged_and_taken_by_nobody);
    RUN(a_drain_waits_for_contexts);
    RUN(a_context_is_freed_by_any_thread);
    RUN(a_context_is_freed_by_a_thread_past_its_last_cleanup);
    RUN(a_context_is_used_by_many_threads_at_the_same_time);
    RUN(each_of_a_hundred_threads_inherits_from_the_one_before);
    return test_finish();
}
