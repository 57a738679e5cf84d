/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * An allocator that calls the library from inside the library's own
 * allocations, with any function: while a table grows or shrinks, a thread
 * attaches, a key, a scope, a context or a report is made. No call waits for
 * itself: it works, or is answered TLS_ERR_REENTRANT (or that memory, the
 * thread or the key is not in a state for it), and every value ends once.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "failing_malloc.h"
#include "later.h"

/* What varies; main() sets it before each test. */
static void (*call)(void);      /* what the allocator does */
static void (*allocate)(void);  /* what the library allocates for */
static uint32_t reclaim, flags;

static tls_key_t victim, dead;
static size_t calls;

/* ---- What the allocator does ------------------------------------------------- */

static void
checked(int code)
{
    CHECK(code == TLS_OK || code == TLS_ERR_REENTRANT || code == TLS_ERR_EXITING ||
          code == TLS_ERR_BUSY || code == TLS_ERR_ABSENT || code == TLS_ERR_DEAD_KEY ||
          code == TLS_ERR_INVALID || code == TLS_ERR_NO_MEMORY || code == TLS_ERR_TIMEOUT);
}

static void
set(void)
{
    checked(life_set(victim));
}

static void
get(void)
{
    void *value = tls_get(victim);

    CHECK(value == NULL || !life_is_over(value));
    value = tls_get(later_keys[6]);
    CHECK(value == NULL || !life_is_over(value));
}

static void
remove_it(void)
{
    checked(tls_remove(victim));
}

static void
take(void)
{
    void *old = NULL;
    int code = tls_take(victim, &old);

    checked(code);
    if (code == TLS_OK)
        life_end(old);
}

static void
swap(void)
{
    void *value = life();
    void *old = NULL;
    int code = tls_swap(victim, value, &old);

    checked(code);
    life_end(code == TLS_OK ? old : value);
}

static void
remove_all(void)
{
    checked(tls_remove_all());
}

static void
release(void)
{
    checked(tls_key_release(victim));
}

static void
make_a_key(void)
{
    tls_key_t key = TLS_KEY_NONE;
    tls_key_options_t options = test_options();
    int code = tls_key_create(&key, &options);

    checked(code);
    if (code == TLS_OK)
        checked(tls_key_release(key));
}

static void
expunge(void)
{
    tls_expunge_some(1);
    tls_expunge();
    tls_expunge_all_threads();
}

static void
scope(void)
{
    tls_scope_t opened;

    if (tls_scope_begin(&opened, NULL) == TLS_OK) {
        checked(life_set(victim));
        CHECK_OK(tls_scope_end(opened));
    }
}

static void
capture(void)
{
    tls_context_t *context = NULL;

    checked(tls_context_capture(&context));
    tls_context_free(context);
}

static void
run_a_task(void)
{
    tls_task_t *task = NULL;

    if (tls_task_create(&task, later_set_in_task, NULL) == TLS_OK)
        tls_task_run(task);
}

static void
purge(void)
{
    checked(tls_key_purge(victim, NULL));
}

static void
visit(void)
{
    checked(tls_for_each(victim, later_visit, NULL));
}

static void
scrape(void)
{
    checked(tls_scrape(victim, later_take, NULL));
}

static void
attach(void)
{
    checked(tls_thread_attach());
}

static void
detach(void)
{
    checked(tls_thread_detach());
}

static void
hook(void)
{
    checked(tls_at_thread_exit(later_hook, NULL));
}

static void
drain(void)
{
    checked(tls_key_drain(victim, 0, NULL));
}

static void
change_maps(void)
{
    tls_map_t *map = NULL;
    tls_map_t *previous = NULL;

    if (tls_map_create(&map) != TLS_OK)
        return;
    if (tls_map_switch(map, &previous) == TLS_OK) {
        checked(life_set(victim));
        CHECK_OK(tls_map_switch(previous, NULL));
    }
    if (tls_map_destroy(map) != TLS_OK)
        later_leave_map(map);
}

static void
report(void)
{
    checked(tls_dump(later_write, NULL));
    checked(tls_for_each_local(later_look, NULL));
    test_stats();
}

/* ---- What the library allocates for --------------------------------------------- */

#define MANY 60

static tls_key_t many[MANY];

static void
grow(void)
{
    size_t i;

    for (i = 0; i < MANY; i++)
        checked(life_set(many[i]));
}

static void
shrink(void)
{
    size_t i;

    grow();
    for (i = 0; i < MANY; i++)
        checked(tls_remove(many[i]));
    tls_expunge();
}

static void
attach_anew(void)
{
    checked(tls_thread_detach());
    checked(life_set(later_keys[0]));
}

static void
make_others(void)
{
    tls_map_t *map = NULL;
    tls_key_options_t options = test_options();
    tls_key_t key = TLS_KEY_NONE;

    options.name = "a name is copied";
    if (tls_key_create(&key, &options) == TLS_OK)
        CHECK_OK(tls_key_release(key));
    if (tls_map_create(&map) == TLS_OK && tls_map_destroy(map) != TLS_OK)
        later_leave_map(map);
    hook();
    report();
}

static void
open_scopes(void)
{
    tls_context_t *context = NULL;
    tls_scope_t outer, inner;

    checked(life_set(later_keys[5]));
    if (tls_context_capture(&context) != TLS_OK)
        context = NULL;
    if (tls_scope_begin(&outer, NULL) == TLS_OK) {
        grow();
        if (tls_scope_begin(&inner, context) == TLS_OK) {
            grow();
            checked(tls_remove_all());
            checked(tls_scope_end(inner));
        }
        checked(tls_scope_end(outer));
    }
    tls_context_free(context);
    run_a_task();
}

typedef struct act {
    const char *name;
    void (*act)(void);
} act_t;

static const act_t acts[] = {
    {"set", set},           {"get", get},         {"remove", remove_it},
    {"take", take},         {"swap", swap},       {"remove all", remove_all},
    {"release", release},   {"make a key", make_a_key},
    {"expunge", expunge},   {"scope", scope},     {"capture", capture},
    {"task", run_a_task},   {"purge", purge},     {"for_each", visit},
    {"scrape", scrape},     {"attach", attach},   {"detach", detach},
    {"hook", hook},         {"drain", drain},     {"maps", change_maps},
    {"report", report},
};

static const act_t allocations[] = {
    {"growth", grow},         {"shrinking", shrink},   {"attaching", attach_anew},
    {"making others", make_others}, {"scopes", open_scopes},
};

static void
call_the_library(void)
{
    calls++;
    call();
}

static void *
release_dead(void *argument)
{
    CHECK_OK(tls_key_release(dead));
    return argument;
}

static void *
live(void *argument)
{
    CHECK_OK(life_set(victim));
    CHECK_OK(life_set(dead));
    test_in_thread(release_dead, NULL);
    fail_meanwhile = call_the_library;
    allocate();
    fail_meanwhile = NULL;
    return argument;
}

static void
an_allocator_may_make_any_call(void)
{
    size_t i;

    later_make_keys();
    victim = life_key(reclaim, flags, NULL);
    dead = life_key(reclaim, flags, NULL);
    for (i = 0; i < MANY; i++)
        many[i] = life_key(reclaim, flags, i % 4 ? NULL : life_init);
    test_in_thread(live, NULL);
    CHECK_AT_LEAST(calls, 1);
    later_end_maps();
    lives_check();
    CHECK_UINT(test_stats().maps, 0);
    CHECK_UINT(test_stats().leaked, 0);
    for (i = 0; i < MANY; i++)
        CHECK_OK(tls_key_release(many[i]));
    if (tls_key_is_live(victim))
        CHECK_OK(tls_key_release(victim));
    later_release_keys();
}

int
main(void)
{
    static const uint32_t all_flags[] = {0, TLS_KEY_ENUMERABLE, TLS_KEY_INHERIT};
    char variant[128];
    size_t i, j, k;

    for (k = 0; k < 5; k++) {
        reclaim = k % 2 ? TLS_RECLAIM_ANY : TLS_RECLAIM_OWNER;
        flags = all_flags[k / 2];
        for (j = 0; j < sizeof(allocations) / sizeof(allocations[0]); j++)
            for (i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
                allocate = allocations[j].act;
                call = acts[i].act;
                snprintf(variant, sizeof(variant), "(%s; %s; reclaim %u, flags %u)",
                         allocations[j].name, acts[i].name, (unsigned)reclaim,
                         (unsigned)flags);
                RUN_APART_OF_MANY(an_allocator_may_make_any_call, variant);
            }
    }
    return apart_finish();
}
