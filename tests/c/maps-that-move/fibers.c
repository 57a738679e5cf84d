/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Functions whose stack goes on on another thread, in the middle. What a compiler
 * or this library may keep over such a switch is right on every thread; what is
 * a thread's is read anew. Each body below is one function, with its switches of
 * stacks inside it, so that a compiler is free to keep what it likes.
 */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif
#include "worker.h"

#include <ucontext.h>

enum { THREADS = 2, STACK = 256 * 1024 };

typedef struct fiber {
    ucontext_t context;
    ucontext_t *back; /* the worker that runs it */
    ucontext_t worker_context[THREADS];
    char *stack;
    size_t next; /* the worker that runs it next */
    bool done;
    void (*body)(struct fiber *fiber);
    tls_map_t *map; /* switched to where the stack is, if there is one */
} fiber_t;

static worker_t workers[THREADS];

/* Goes on on the other thread. */
#define MOVE(fiber)                                                           \
    CHECK_INT(swapcontext(&(fiber)->context, (fiber)->back), 0)

static fiber_t *starting;

static void
begin_fiber(void)
{
    fiber_t *fiber = starting;

    fiber->body(fiber);
    fiber->done = true;
    MOVE(fiber);
}

static void
job_run(void *argument)
{
    fiber_t *fiber = (fiber_t *)argument;
    ucontext_t *here = &fiber->worker_context[fiber->next];

    if (fiber->map != NULL)
        CHECK_OK(tls_map_switch(fiber->map, NULL));
    fiber->back = here;
    CHECK_INT(swapcontext(here, &fiber->context), 0);
    if (fiber->map != NULL)
        CHECK_OK(tls_map_switch(NULL, NULL));
}

/* Runs a body to its end, each part on the worker after the one before. */
static void
run_fiber(fiber_t *fiber, void (*body)(fiber_t *fiber), tls_map_t *map)
{
    memset(fiber, 0, sizeof(*fiber));
    fiber->stack = (char *)malloc(STACK);
    CHECK(fiber->stack != NULL);
    CHECK_INT(getcontext(&fiber->context), 0);
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = STACK;
    fiber->body = body;
    fiber->map = map;
    makecontext(&fiber->context, begin_fiber, 0);
    starting = fiber;
    while (!fiber->done) {
        worker_do(&workers[fiber->next], job_run, fiber);
        fiber->next = (fiber->next + 1) % THREADS;
    }
    free(fiber->stack);
}

static void
start_workers(void)
{
    size_t i;

    for (i = 0; i < THREADS; i++)
        worker_start(&workers[i]);
}

static void
stop_workers(void)
{
    size_t i;

    for (i = 0; i < THREADS; i++)
        worker_stop(&workers[i]);
}

/* ---- Without a map of its own -------------------------------------------- */

static tls_key_t key;
static test_log_t ended;

static void
look_on_both_threads(fiber_t *fiber)
{
    void *on_first = tls_get(key);
    size_t stale_on_first = tls_stale_count();
    void *on_second;
    size_t stale_on_second;
    void *back_on_first;
    size_t round;

    MOVE(fiber);
    on_second = tls_get(key);
    stale_on_second = tls_stale_count();
    MOVE(fiber);
    back_on_first = tls_get_existing(key);
    CHECK_PTR(on_first, VALUE(1));
    CHECK_PTR(on_second, VALUE(2));
    CHECK_PTR(back_on_first, VALUE(1));
    CHECK_UINT(stale_on_first, 0);
    CHECK_UINT(stale_on_second, 1);
    /* In a loop: what leaves the loop must be right on every thread. */
    for (round = 0; round < 20; round++) {
        CHECK_PTR(tls_get(key), VALUE(1 + round % THREADS));
        CHECK_OK(tls_set(key, VALUE(1 + round % THREADS)));
        CHECK_PTR((tls_get)(key), VALUE(1 + round % THREADS));
        MOVE(fiber);
    }
}

static void
a_get_after_a_switch_of_stacks_is_of_the_thread_that_goes_on(void)
{
    static fiber_t fiber;
    tls_key_t dying = test_key();
    size_t i;

    key = test_key();
    start_workers();
    for (i = 0; i < THREADS; i++)
        CHECK_OK(worker_set(&workers[i], key, VALUE(i + 1)));
    CHECK_OK(worker_set(&workers[1], dying, VALUE(9)));
    CHECK_OK(tls_key_release(dying));
    run_fiber(&fiber, look_on_both_threads, NULL);
    stop_workers();
    CHECK_OK(tls_key_release(key));
}

/* ---- With a map of its own ----------------------------------------------- */

static tls_map_t *fibers_map;

static void
keep_values_on_all_threads(fiber_t *fiber)
{
    unsigned first = test_thread();
    uintptr_t round;

    CHECK_PTR(tls_get(key), NULL);
    for (round = 1; round <= 20; round++) {
        CHECK_OK(tls_set(key, VALUE(round)));
        CHECK_PTR(tls_get(key), VALUE(round));
        CHECK_PTR(tls_map_current(), fibers_map);
        MOVE(fiber);
        CHECK_PTR(tls_get(key), VALUE(round));
        CHECK_PTR(tls_get_existing(key), VALUE(round));
        CHECK_PTR((tls_get)(key), VALUE(round));
        CHECK_PTR(tls_map_current(), fibers_map);
    }
    CHECK_UINT(first, workers[0].number);
}

static void
a_fiber_with_a_map_finds_its_values_on_every_thread(void)
{
    static fiber_t fiber;
    size_t i;

    test_log_clear(&ended);
    key = test_key_logged(&ended);
    start_workers();
    for (i = 0; i < THREADS; i++)
        CHECK_OK(worker_set(&workers[i], key, VALUE(100 + i)));
    CHECK_OK(tls_map_create(&fibers_map));
    run_fiber(&fiber, keep_values_on_all_threads, fibers_map);
    CHECK_UINT(ended.count, 19);
    for (i = 0; i < THREADS; i++)
        CHECK_PTR(worker_get(&workers[i], key), VALUE(100 + i));
    /* The thread that ended the value of round n set that of round n + 1. */
    for (i = 0; i < 19; i++)
        CHECK_RECORD(&ended, i, VALUE(i + 1), TLS_REASON_REPLACED,
                     workers[(i + 1) % THREADS].number);
    stop_workers();
    CHECK_OK(tls_map_destroy(fibers_map));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 22);
}

/* ---- Scopes and tasks ---------------------------------------------------- */

static void
do_a_task_on_two_threads(void *argument)
{
    fiber_t *fiber = (fiber_t *)argument;

    CHECK_OK(tls_set(key, VALUE(2)));
    MOVE(fiber);
    CHECK_PTR(tls_get(key), VALUE(2));
    CHECK_OK(tls_set(key, VALUE(3)));
}

static void
run_a_task_and_a_scope(fiber_t *fiber)
{
    tls_task_t *task = NULL;
    tls_scope_t scope;

    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_task_create(&task, do_a_task_on_two_threads, fiber));
    tls_task_run(task); /* begins its scope here, and ends it there */
    CHECK_PTR(tls_get(key), VALUE(1));
    CHECK_UINT(ended.count, 2);
    CHECK_OK(tls_scope_begin(&scope, NULL));
    CHECK_OK(tls_set(key, VALUE(4)));
    MOVE(fiber);
    CHECK_PTR(tls_get(key), VALUE(4));
    CHECK_OK(tls_scope_end(scope));
    CHECK_PTR(tls_get(key), VALUE(1));
    MOVE(fiber);
    CHECK_PTR(tls_get(key), VALUE(1));
}

static void
a_task_that_moves_in_its_middle_leaves_its_map_as_it_was(void)
{
    static fiber_t fiber;

    test_log_clear(&ended);
    key = test_key_logged(&ended);
    start_workers();
    CHECK_OK(tls_map_create(&fibers_map));
    run_fiber(&fiber, run_a_task_and_a_scope, fibers_map);
    CHECK_UINT(ended.count, 3);
    CHECK_RECORD(&ended, 0, VALUE(2), TLS_REASON_REPLACED, workers[1].number);
    CHECK_RECORD(&ended, 1, VALUE(3), TLS_REASON_SCOPE_END, workers[1].number);
    CHECK_RECORD(&ended, 2, VALUE(4), TLS_REASON_SCOPE_END, workers[0].number);
    CHECK_UINT(test_stats().unscoped, 0);
    stop_workers();
    CHECK_OK(tls_map_destroy(fibers_map));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 4);
}

int
main(void)
{
    RUN(a_get_after_a_switch_of_stacks_is_of_the_thread_that_goes_on);
    RUN(a_fiber_with_a_map_finds_its_values_on_every_thread);
    RUN(a_task_that_moves_in_its_middle_leaves_its_map_as_it_was);
    return test_finish();
}
