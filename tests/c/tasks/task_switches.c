/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The function of a task may do anything: switch the map and return, open
 * scopes in either map, end its thread, run other tasks. When tls_task_run()
 * has returned, what the task has set is over, no scope of it is open, and the
 * values of the thread's own map are what they were.
 */
#include "later.h"

static tls_key_t key;
static uint32_t reclaim, flags;
static tls_map_t *maps[2];
static tls_scope_t scopes[4];
static size_t ran;
static bool started_on_a_map; /* the task is run while maps[1] is switched to */

static void
set(void)
{
    CHECK_OK(life_set(key));
}

static void
switch_and_return(void *argument)
{
    (void)argument;
    set();
    CHECK_OK(tls_map_switch(maps[0], NULL));
    ran++;
}

static void
switch_set_and_return(void *argument)
{
    switch_and_return(argument);
    set();
}

static void
switch_open_a_scope_and_return(void *argument)
{
    switch_and_return(argument);
    CHECK_OK(tls_scope_begin(&scopes[0], NULL));
    set();
}

static void
open_scopes_and_switch(void *argument)
{
    CHECK_OK(tls_scope_begin(&scopes[0], NULL));
    set();
    CHECK_OK(tls_scope_begin(&scopes[1], NULL));
    set();
    switch_and_return(argument);
}

static void
switch_there_and_back(void *argument)
{
    tls_map_t *before = tls_map_current();

    switch_and_return(argument);
    set();
    CHECK_OK(tls_map_switch(before, NULL));
}

static void
switch_to_the_threads_own(void *argument)
{
    (void)argument;
    set();
    CHECK_OK(tls_map_switch(NULL, NULL));
    ran++;
}

static void
run_another_and_switch(void *argument)
{
    tls_task_t *task;

    set();
    CHECK_OK(tls_task_create(&task, open_scopes_and_switch, argument));
    tls_task_run(task);
}


static void
switch_and_remove_all(void *argument)
{
    switch_and_return(argument);
    CHECK_OK(tls_remove_all());
    tls_expunge();
}

typedef struct work {
    const char *name;
    void (*work)(void *argument);
} work_t;

static const work_t works[] = {
    {"switches", switch_and_return},
    {"switches and sets", switch_set_and_return},
    {"switches and opens a scope", switch_open_a_scope_and_return},
    {"opens scopes and switches", open_scopes_and_switch},
    {"switches there and back", switch_there_and_back},
    {"switches to the thread's own", switch_to_the_threads_own},
    {"runs another that switches", run_another_and_switch},
    {"switches and removes all", switch_and_remove_all},
};

static void (*work)(void *argument);
static size_t tasks;

/* No scope is open in the current map. */
static void
no_scope_is_open(void)
{
    tls_scope_t scope;
    void *value = tls_get(key);
    void *given = life();

    /* A scope that is open would hide it, and bring it back at its end. */
    CHECK_OK(tls_scope_begin(&scope, NULL));
    CHECK_OK(tls_scope_end(scope));
    CHECK_PTR(tls_get(key), value);
    CHECK_OK(tls_set(key, given));
    CHECK(value == NULL || life_is_over(value));
}

static void
a_task_that_switches_leaves_no_scope_open(void)
{
    void *own, *of_map = NULL;
    tls_map_t *before;
    size_t i;

    key = life_key(reclaim, flags, NULL);
    for (i = 0; i < 2; i++)
        CHECK_OK(tls_map_create(&maps[i]));
    set();
    own = tls_get(key);
    if (started_on_a_map) {
        CHECK_OK(tls_map_switch(maps[1], NULL));
        set();
        of_map = tls_get(key);
    }
    before = tls_map_current();
    for (i = 0; i < tasks; i++) {
        tls_task_t *task;

        CHECK_OK(tls_map_switch(before, NULL));
        CHECK_OK(tls_task_create(&task, work, NULL));
        tls_task_run(task);
        CHECK_AT_LEAST(ran, 1);
        CHECK_OK(tls_map_switch(before, NULL));
        CHECK_PTR(tls_get(key), started_on_a_map ? of_map : own);
    }
    CHECK_OK(tls_map_switch(NULL, NULL));
    CHECK_PTR(tls_get(key), own);
    no_scope_is_open();
    if (started_on_a_map) {
        CHECK_OK(tls_map_switch(maps[1], NULL));
        CHECK_PTR(tls_get(key), of_map);
        no_scope_is_open();
        CHECK_OK(tls_map_switch(NULL, NULL));
    }
    for (i = 0; i < 2; i++)
        CHECK_OK(tls_map_destroy(maps[i]));
    CHECK_OK(tls_thread_detach());
    lives_check();
    CHECK_UINT(test_stats().leaked, 0);
    CHECK_UINT(test_stats().unscoped, 0);
    CHECK_OK(tls_key_release(key));
}

int
main(void)
{
    static const uint32_t all_flags[] = {0, TLS_KEY_ENUMERABLE, TLS_KEY_INHERIT};
    char variant[128];
    size_t i;
    int j;

    for (j = 0; j < 12; j++) {
        reclaim = j & 1 ? TLS_RECLAIM_ANY : TLS_RECLAIM_OWNER;
        started_on_a_map = (j & 2) != 0;
        flags = all_flags[j / 4];
        for (i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
            work = works[i].work;
            tasks = i % 2 + 1;
            snprintf(variant, sizeof(variant), "(%s; reclaim %u, flags %u%s)", works[i].name,
                     (unsigned)reclaim, (unsigned)flags,
                     started_on_a_map ? ", on a moved map" : "");
            RUN_APART_OF_DOZENS(a_task_that_switches_leaves_no_scope_open, variant);
        }
    }
    return apart_finish();
}
