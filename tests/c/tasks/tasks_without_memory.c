/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * T75 for scopes, contexts and tasks: memory runs out at each single allocation
 * of each call, as in allocation_failure.c. A failed call says so and has
 * changed nothing: no scope is open, nothing is hidden, and each copy that was
 * made has ended. Only tls_task_run() can't fail: it runs its function without
 * a scope, and that is counted.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "failing_malloc.h"

#include "test.h"

#define KEYS 60

static tls_key_t keys[KEYS]; /* inherited; values 1, 2, ... outside */
static size_t alive;         /* values that nobody has ended */
static size_t set_count;     /* of the keys, outside */
static tls_scope_t scope;
static tls_context_t *context;
static tls_context_t *made;
static tls_task_t *task;
static void *old;

static void
end_value(void *value, int reason, void *user)
{
    (void)value;
    (void)reason;
    (void)user;
    alive--;
}

static int
copy_value(void *value, void **copy, void *user)
{
    (void)user;
    alive++;
    *copy = VALUE((size_t)value + 1000);
    return 0;
}

static void
set_keys(size_t count)
{
    for (set_count = 0; set_count < count; set_count++) {
        CHECK_OK(tls_set(keys[set_count], VALUE(set_count + 1)));
        alive++;
    }
}

static void
check_outer(void)
{
    size_t i;

    for (i = 0; i < KEYS; i++)
        CHECK_PTR(tls_get(keys[i]), i < set_count ? VALUE(i + 1) : NULL);
}

/* ---- The driver ------------------------------------------------------------------ */

typedef struct scenario {
    const char *name;
    void (*prepare)(size_t parameter);
    int (*call)(void);
    void (*check_failed)(void);
    void (*check_done)(void);
    size_t parameter;
} scenario_t;

typedef struct attempt {
    const scenario_t *scenario;
    size_t number;
    fail_mode_t mode;
    size_t refused;
} attempt_t;

static void *
make_attempt(void *argument)
{
    attempt_t *attempt = (attempt_t *)argument;
    const scenario_t *scenario = attempt->scenario;
    tls_stats_t before;
    tls_stats_t after;
    size_t alive_before;
    int code;

    alive = 0;
    set_count = 0;
    scope = 77;
    context = NULL;
    made = NULL;
    task = NULL;
    old = VALUE(77);
    scenario->prepare(scenario->parameter);
    before = test_stats();
    alive_before = alive;

    fail_from(attempt->number, attempt->mode);
    code = scenario->call();
    attempt->refused = fail_stop();

    if (attempt->refused > 0) {
        CHECK_CODE(code, TLS_ERR_NO_MEMORY);
        after = test_stats();
        CHECK_UINT(after.entries, before.entries);
        CHECK_UINT(after.contexts, before.contexts);
        CHECK_UINT(after.leaked, before.leaked);
        CHECK_UINT(alive, alive_before);
        scenario->check_failed();
        code = scenario->call();
    }
    CHECK_OK(code);
    scenario->check_done();
    tls_context_free(context);
    tls_context_free(made);
    CHECK_OK(tls_thread_detach());
    CHECK_UINT(alive, 0);
    return NULL;
}

/* Returns how many different allocations have failed. */
static size_t
run_scenario(const scenario_t *scenario)
{
    attempt_t attempt;
    uint64_t bytes;
    size_t number;
    int mode;

    printf("  %s\n", scenario->name);
    fflush(stdout);
    attempt.scenario = scenario;
    attempt.number = 0;
    attempt.mode = FAIL_ONCE;
    test_in_thread(make_attempt, &attempt);
    bytes = test_stats().bytes;

    for (number = 1;; number++) {
        for (mode = FAIL_ONCE; mode <= FAIL_ALWAYS; mode++) {
            attempt.number = number;
            attempt.mode = (fail_mode_t)mode;
            test_in_thread(make_attempt, &attempt);
            CHECK_UINT(test_stats().bytes, bytes);
            CHECK_UINT(test_stats().maps, 0);
            CHECK_UINT(test_stats().entries, 0);
            CHECK_UINT(test_stats().contexts, 0);
        }
        if (attempt.refused == 0)
            return number - 1;
    }
}

/* ---- Scopes ------------------------------------------------------------------------ */

static void
prepare_depth(size_t depth)
{
    size_t i;

    for (i = 0; i < depth; i++)
        CHECK_OK(tls_scope_begin(&scope, NULL));
    scope = 77;
}

static int
begin(void)
{
    return tls_scope_begin(&scope, NULL);
}

static void
check_not_begun(void)
{
    CHECK_UINT(scope, 77);
}

static void
check_begun(void)
{
    CHECK_OK(tls_scope_end(scope));
}

/* Values outside, and a scope in which nothing is set. */
static void
prepare_outer(size_t count)
{
    set_keys(count);
    CHECK_OK(tls_scope_begin(&scope, NULL));
}

static int
set_over(void)
{
    int code = tls_set(keys[0], VALUE(500));

    alive += code == TLS_OK;
    return code;
}

static int
swap_over(void)
{
    int code = tls_swap(keys[0], VALUE(500), &old);

    alive += code == TLS_OK;
    return code;
}

static int
take_away(void)
{
    return tls_take(keys[0], &old);
}

static int
remove_away(void)
{
    return tls_remove(keys[0]);
}

static void
check_not_hidden(void)
{
    CHECK_PTR(old, VALUE(77));
    check_outer();
}

static void
check_covered(void)
{
    CHECK(old == VALUE(77) || old == NULL);
    CHECK_PTR(tls_get(keys[0]), VALUE(500));
    CHECK_OK(tls_scope_end(scope));
    check_outer();
}

static void
check_gone(void)
{
    CHECK(old == VALUE(77) || old == NULL);
    CHECK_PTR(tls_get(keys[0]), NULL);
    CHECK_OK(tls_scope_end(scope));
    check_outer();
}

static void
check_all_gone(void)
{
    size_t i;

    for (i = 0; i < KEYS; i++)
        CHECK_PTR(tls_get(keys[i]), NULL);
    CHECK_OK(tls_scope_end(scope));
    check_outer();
}

/* ---- Contexts and tasks --------------------------------------------------------------- */

static void
prepare_values(size_t count)
{
    set_keys(count);
}

static int
set_next(void)
{
    int code = tls_set(keys[set_count], VALUE(set_count + 1));

    alive += code == TLS_OK;
    return code;
}

static void
check_set(void)
{
    set_count++;
    check_outer();
}

static int
capture(void)
{
    return tls_context_capture(&made);
}

static void
check_not_captured(void)
{
    CHECK_PTR(made, NULL);
    check_outer();
}

static void
check_captured(void)
{
    check_outer();
    CHECK_OK(tls_scope_begin(&scope, made));
    CHECK_PTR(tls_get(keys[0]), set_count > 0 ? VALUE(2001) : NULL);
    CHECK_OK(tls_scope_end(scope));
}

/* A context of so many values; and other values that it hides. */
static void
prepare_context(size_t count)
{
    set_keys(count);
    CHECK_OK(tls_context_capture(&context));
    CHECK_OK(tls_thread_detach());
    set_keys(KEYS / 2);
}

static int
begin_with_context(void)
{
    return tls_scope_begin(&scope, context);
}

static void
check_not_entered(void)
{
    CHECK_UINT(scope, 77);
    check_outer();
}

static int
create_task(void)
{
    return tls_task_create(&task, free, NULL);
}

static void
check_not_created(void)
{
    CHECK_PTR(task, NULL);
    check_outer();
}

static void
check_created(void)
{
    tls_task_cancel(task);
    check_outer();
}

static void
every_allocation_may_fail(void)
{
    static const scenario_t scenarios[] = {
        { "the first scope of a thread", prepare_depth, begin, check_not_begun, check_begun, 0 },
        { "the scope that makes room for 16", prepare_depth, begin, check_not_begun, check_begun, 8 },
        { "the scope that makes room for 32", prepare_depth, begin, check_not_begun, check_begun, 16 },
        { "a set that hides", prepare_outer, set_over, check_not_hidden, check_covered, 4 },
        { "a set that hides, and doubles 16", prepare_outer, set_over,
          check_not_hidden, check_covered, 9 },
        { "a swap that hides", prepare_outer, swap_over, check_not_hidden, check_covered, 4 },
        { "a swap that hides, and doubles 32", prepare_outer, swap_over,
          check_not_hidden, check_covered, 20 },
        { "a take that hides", prepare_outer, take_away, check_not_hidden, check_gone, 4 },
        { "a remove that hides", prepare_outer, remove_away, check_not_hidden, check_gone, 4 },
        { "remove_all that hides 5", prepare_outer, tls_remove_all,
          check_not_hidden, check_all_gone, 5 },
        { "remove_all that hides 40", prepare_outer, tls_remove_all,
          check_not_hidden, check_all_gone, 40 },
        { "the first inherited value", prepare_values, set_next, check_outer, check_set, 0 },
        { "the eighth inherited value", prepare_values, set_next, check_outer, check_set, 7 },
        { "the thirteenth inherited value", prepare_values, set_next, check_outer, check_set, 12 },
        { "a capture on a new thread", prepare_values, capture,
          check_not_captured, check_captured, 0 },
        { "a capture of 1", prepare_values, capture, check_not_captured, check_captured, 1 },
        { "a capture of 40", prepare_values, capture, check_not_captured, check_captured, 40 },
        { "a scope with a context of none", prepare_context, begin_with_context,
          check_not_entered, check_begun, 0 },
        { "a scope with a context of 1", prepare_context, begin_with_context,
          check_not_entered, check_begun, 1 },
        { "a scope with a context of 40", prepare_context, begin_with_context,
          check_not_entered, check_begun, 40 },
        { "a task that captures none", prepare_values, create_task,
          check_not_created, check_created, 0 },
        { "a task that captures 40", prepare_values, create_task,
          check_not_created, check_created, 40 },
    };
    size_t i;

    for (i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
        CHECK_AT_LEAST(run_scenario(&scenarios[i]), 1);
}

/* ---- Running ---------------------------------------------------------------------------- */

typedef struct run {
    size_t number;
    fail_mode_t mode;
    size_t values; /* that the task takes along */
    size_t outer;  /* that the thread has */
    size_t refused;
    size_t calls;
    uint64_t unscoped_before;
    bool unscoped;
} run_t;

/* In its scope it has what was captured; without one, what the thread has. */
static void
see(void *argument)
{
    run_t *run = (run_t *)argument;
    size_t i;

    run->refused = fail_stop();
    run->calls++;
    run->unscoped = test_stats().unscoped > run->unscoped_before;
    CHECK_UINT(test_stats().contexts, 0);
    for (i = 0; i < KEYS; i++) {
        if (run->unscoped)
            CHECK_PTR(tls_get(keys[i]), i < run->outer ? VALUE(i + 1) : NULL);
        else
            CHECK_PTR(tls_get(keys[i]), i < run->values ? VALUE(i + 1001) : NULL);
    }
}

static void *
run_once(void *argument)
{
    run_t *run = (run_t *)argument;

    alive = 0;
    set_keys(run->values);
    CHECK_OK(tls_task_create(&task, see, run));
    CHECK_OK(tls_thread_detach());
    set_keys(run->outer);
    run->calls = 0;
    run->unscoped_before = test_stats().unscoped;
    fail_from(run->number, run->mode);
    tls_task_run(task);
    fail_stop();
    CHECK_UINT(run->calls, 1);
    CHECK_UINT(test_stats().unscoped, run->unscoped_before + run->unscoped);
    CHECK_UINT(alive, run->outer);
    check_outer();
    CHECK_OK(tls_thread_detach());
    CHECK_UINT(alive, 0);
    return NULL;
}

static void
check_run(size_t values, size_t outer)
{
    run_t run;
    size_t without = 0;
    uint64_t bytes;
    int mode;

    run.values = values;
    run.outer = outer;
    run.number = 0;
    run.mode = FAIL_ONCE;
    test_in_thread(run_once, &run);
    bytes = test_stats().bytes;
    for (run.number = 1;; run.number++) {
        for (mode = FAIL_ONCE; mode <= FAIL_ALWAYS; mode++) {
            run.mode = (fail_mode_t)mode;
            test_in_thread(run_once, &run);
            without += run.unscoped;
            /* The thread's own record alone is there without memory. */
            CHECK(run.unscoped || run.refused == 0 ||
                  (outer == 0 && mode == FAIL_ONCE && run.number == 1));
            CHECK_UINT(test_stats().bytes, bytes);
            CHECK_UINT(test_stats().contexts, 0);
        }
        if (run.refused == 0)
            break;
    }
    CHECK_AT_LEAST(without, 2);
}

static void
a_task_is_run_without_a_scope_if_there_is_no_memory(void)
{
    check_run(0, 0);
    check_run(1, 0);
    check_run(40, 0);
    check_run(1, 30);
    check_run(40, 30);
}

int
main(void)
{
    tls_key_options_t options = test_options();
    size_t i;

    options.destroy = end_value;
    options.copy = copy_value;
    options.flags = TLS_KEY_INHERIT;
    for (i = 0; i < KEYS; i++)
        keys[i] = test_key_from(&options);
    RUN(every_allocation_may_fail);
    RUN(a_task_is_run_without_a_scope_if_there_is_no_memory);
    for (i = 0; i < KEYS; i++)
        CHECK_OK(tls_key_release(keys[i]));
    return test_finish();
}
