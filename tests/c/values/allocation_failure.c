/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * T75: memory runs out, at each single allocation that the library makes.
 *
 * A scenario is one call that needs memory. It is made on a new thread with
 * the first allocation failing, then the second, and so on until none is left
 * to fail; each time with that one failing alone, and with all after it
 * failing too. A failed call says TLS_ERR_NO_MEMORY and has changed nothing
 * (room that it got for the thread may stay); made again, with memory, it
 * works.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "failing_malloc.h"

#include "worker.h"

#define KEYS 200

static test_log_t ended;
static tls_key_t keys[KEYS];
static tls_key_t made; /* what a scenario's call creates */
static size_t set_count;
static size_t hook_runs;

static void
set_keys(size_t count)
{
    for (set_count = 0; set_count < count; set_count++)
        CHECK_OK(tls_set(keys[set_count], VALUE(set_count + 1)));
}

/* The keys that were set are there, with their values; the others are not. */
static void
check_keys(void)
{
    size_t i;

    for (i = 0; i < KEYS; i++) {
        CHECK_PTR(tls_get(keys[i]), i < set_count ? VALUE(i + 1) : NULL);
        CHECK_PTR((tls_get)(keys[i]), i < set_count ? VALUE(i + 1) : NULL);
    }
}

/* ---- The driver --------------------------------------------------------- */

typedef struct scenario {
    const char *name;
    void (*prepare)(size_t parameter); /* has all the memory it wants */
    int (*call)(void);                 /* the call under test */
    void (*check_failed)(void);        /* it failed: nothing has changed */
    void (*check_done)(void);          /* it worked; cleans up */
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
    int code;

    set_count = 0;
    hook_runs = 0;
    made = 77;
    test_log_clear(&ended);
    scenario->prepare(scenario->parameter);
    before = test_stats();

    fail_from(attempt->number, attempt->mode);
    code = scenario->call();
    attempt->refused = fail_stop();

    if (attempt->refused > 0) {
        CHECK_CODE(code, TLS_ERR_NO_MEMORY);
        after = test_stats();
        CHECK_UINT(after.keys, before.keys);
        CHECK_UINT(after.dead_keys, before.dead_keys);
        CHECK_UINT(after.entries, before.entries);
        CHECK_UINT(after.stale, before.stale);
        CHECK_UINT(after.destroyed, before.destroyed);
        CHECK_UINT(after.leaked, before.leaked);
        CHECK_UINT(hook_runs, 0);
        scenario->check_failed();
        code = scenario->call();
    }
    CHECK_OK(code);
    scenario->check_done();
    return NULL;
}

/* Returns how many different allocations have failed. */
static size_t
run_scenario(const scenario_t *scenario)
{
    attempt_t attempt;
    uint64_t bytes = 0;
    size_t number;
    int mode;

    printf("  %s\n", scenario->name);
    fflush(stdout);
    attempt.scenario = scenario;
    /* With memory, once: what is allocated for ever is allocated now. */
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
        }
        if (attempt.refused == 0)
            return number - 1;
    }
}

static void
nothing(void)
{
}

static void
prepare_set(size_t count)
{
    set_keys(count);
}

/* ---- Creating ------------------------------------------------------------ */

static int
create_in_full(void)
{
    tls_key_options_t options = test_options();

    options.name = "a name that must be copied";
    options.destroy = test_log_destroy;
    options.user = &ended;
    options.user_free = test_log_free;
    return tls_key_create(&made, &options);
}

static void
check_not_created(void)
{
    CHECK_UINT(made, 77);
    CHECK_UINT(ended.freed, 0);
}

static void
check_created_in_full(void)
{
    char name[40];

    CHECK_OK(tls_key_name(made, name, sizeof(name)));
    CHECK_STR(name, "a name that must be copied");
    CHECK_OK(tls_set(made, VALUE(1)));
    CHECK_OK(tls_key_release(made));
    CHECK_UINT(ended.count, 1);
    CHECK_UINT(ended.freed, 1);
}

/* ---- Setting -------------------------------------------------------------- */

static int
set_next(void)
{
    return tls_set(keys[set_count], VALUE(set_count + 1));
}

static void
check_set(void)
{
    set_count++;
    check_keys();
    CHECK_UINT(ended.count, 0);
}

static void *swapped;

static void
prepare_swap(size_t count)
{
    set_keys(count);
    swapped = VALUE(77);
}

static int
swap_next(void)
{
    return tls_swap(keys[set_count], VALUE(set_count + 1), &swapped);
}

static void
check_not_swapped(void)
{
    CHECK_PTR(swapped, VALUE(77));
    check_keys();
}

static void
check_swapped(void)
{
    CHECK_PTR(swapped, NULL);
    check_set();
}

/* ---- Initialising ---------------------------------------------------------- */

static tls_key_t initialised;
static size_t alive; /* objects that init has made and nobody has ended */

static int
make_object(void **value, void *user)
{
    (void)user;
    alive++;
    *value = &alive;
    return 0;
}

static int
make_object_and_fill_the_table(void **value, void *user)
{
    bool armed = fail_armed;

    fail_armed = false;
    set_keys(9);
    fail_armed = armed;
    return make_object(value, user);
}

static void
end_object(void *value, int reason, void *user)
{
    (void)reason;
    (void)user;
    CHECK_PTR(value, &alive);
    alive--;
}

static void
prepare_init(size_t fills)
{
    tls_key_options_t options = test_options();

    alive = 0;
    options.init = fills ? make_object_and_fill_the_table : make_object;
    options.destroy = end_object;
    initialised = test_key_from(&options);
}

static int
try_get_initialised(void)
{
    void *value = VALUE(77);
    int code = tls_try_get(initialised, &value);

    CHECK_PTR(value, code == TLS_OK ? (void *)&alive : VALUE(77));
    return code;
}

static int
get_initialised(void)
{
    return tls_get(initialised) != NULL ? TLS_OK : TLS_ERR_NO_MEMORY;
}

static void
check_not_initialised(void)
{
    CHECK_UINT(alive, 0);
    CHECK_PTR(tls_get_existing(initialised), NULL);
}

static void
check_initialised(void)
{
    CHECK_UINT(alive, 1);
    CHECK_PTR(tls_get(initialised), &alive);
    check_keys();
    CHECK_OK(tls_key_release(initialised));
    CHECK_UINT(alive, 0);
}

/* The init callback fills the table, so that the value it has made finds no
 * place in it: the failure comes after the callback has run. */
static void
a_value_made_by_init_is_not_lost(void)
{
    size_t ran_in_vain = 0;
    size_t number;
    int code;

    for (number = 1;; number++) {
        set_count = 0;
        prepare_init(1);
        fail_from(number, FAIL_ONCE);
        code = try_get_initialised();
        if (fail_stop() == 0)
            break;
        CHECK_CODE(code, TLS_ERR_NO_MEMORY);
        ran_in_vain += set_count == 9;
        check_not_initialised();
        check_keys();
        CHECK_OK(try_get_initialised());
        check_initialised();
        CHECK_OK(tls_thread_detach());
    }
    CHECK_OK(code);
    check_initialised();
    CHECK_AT_LEAST(ran_in_vain, 1);
    CHECK_OK(tls_thread_detach());
}

/* ---- Hooks and attaching ---------------------------------------------------- */

static void
hook(void *argument)
{
    CHECK_PTR(argument, &hook_runs);
    hook_runs++;
}

static int
add_hook(void)
{
    return tls_at_thread_exit(hook, &hook_runs);
}

static void
check_hook(void)
{
    CHECK_UINT(hook_runs, 0);
    CHECK_OK(tls_thread_detach());
    CHECK_UINT(hook_runs, 1);
}

static uint64_t maps_before;

static void
prepare_attach(size_t unused)
{
    (void)unused;
    maps_before = test_stats().maps;
}

static void
check_not_attached(void)
{
    CHECK_UINT(test_stats().maps, maps_before);
}

/* After tls_thread_attach the first value needs nothing more. */
static void
check_attached(void)
{
    CHECK_UINT(test_stats().maps, maps_before + 1);
    fail_from(1, FAIL_ALWAYS);
    CHECK_OK(tls_set(keys[0], VALUE(1)));
    CHECK_UINT(fail_stop(), 0);
    set_count = 1;
    check_keys();
}

static void
every_allocation_may_fail(void)
{
    static const scenario_t scenarios[] = {
        { "create", prepare_attach, create_in_full,
          check_not_created, check_created_in_full, 0 },
        { "the first set of a thread", prepare_set, set_next, check_keys, check_set, 0 },
        { "a set that needs more records", prepare_set, set_next, check_keys, check_set, 4 },
        { "the set that doubles 16", prepare_set, set_next, check_keys, check_set, 9 },
        { "the set that doubles 32", prepare_set, set_next, check_keys, check_set, 20 },
        { "the set that doubles 64", prepare_set, set_next, check_keys, check_set, 41 },
        { "the set that doubles 128", prepare_set, set_next, check_keys, check_set, 84 },
        { "the first swap of a thread", prepare_swap, swap_next,
          check_not_swapped, check_swapped, 0 },
        { "the swap that doubles 16", prepare_swap, swap_next,
          check_not_swapped, check_swapped, 9 },
        { "try_get with init", prepare_init, try_get_initialised,
          check_not_initialised, check_initialised, 0 },
        { "get with init", prepare_init, get_initialised,
          check_not_initialised, check_initialised, 0 },
        { "a hook on a new thread", prepare_set, add_hook, nothing, check_hook, 0 },
        { "a hook on an attached thread", prepare_set, add_hook, nothing, check_hook, 1 },
        { "attach", prepare_attach, tls_thread_attach, check_not_attached, check_attached, 0 },
    };
    size_t i;

    for (i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
        CHECK_AT_LEAST(run_scenario(&scenarios[i]), 1);
}

/* The registry grows in steps; a step that finds no memory fails one create,
 * and the next one that finds some goes on. */
static void
the_registry_may_fail_to_grow(void)
{
    enum { COUNT = 20000 };
    static tls_key_t many[COUNT];
    size_t failures = 0;
    size_t i;
    int code;

    for (i = 0; i < COUNT; i++) {
        many[i] = 77;
        fail_from(1, FAIL_ALWAYS);
        code = tls_key_create(&many[i], NULL);
        if (fail_stop() > 0) {
            CHECK_CODE(code, TLS_ERR_NO_MEMORY);
            CHECK_UINT(many[i], 77);
            failures++;
            code = tls_key_create(&many[i], NULL);
        }
        CHECK_OK(code);
        CHECK(tls_key_is_live(many[i]));
    }
    CHECK_AT_LEAST(failures, 1);
    for (i = 0; i < COUNT; i++) {
        CHECK_OK(tls_set(many[i], VALUE(i + 1)));
        CHECK_PTR(tls_get(many[i]), VALUE(i + 1));
        CHECK_OK(tls_key_release(many[i]));
    }
    CHECK_OK(tls_thread_detach());
}

int
main(void)
{
    size_t i;

    for (i = 0; i < KEYS; i++)
        keys[i] = test_key();
    RUN(every_allocation_may_fail);
    RUN(a_value_made_by_init_is_not_lost);
    RUN(the_registry_may_fail_to_grow);
    for (i = 0; i < KEYS; i++)
        CHECK_OK(tls_key_release(keys[i]));
    return test_finish();
}
