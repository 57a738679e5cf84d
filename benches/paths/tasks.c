/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Paths for tasks: scopes, contexts, tasks and maps. */
#include "path.h"

BODY(scope) {
    for (uint64_t done = 0; done < operations; done++) {
        tls_scope_t scope;
        USED(tls_scope_begin(&scope, NULL));
        for (size_t i = 0; i < key_count; i++)
            USED(tls_set(keys[i], values));
        USED(tls_scope_end(scope));
    }
}
PATH(scope_empty, scope)
PATH(scope_with_10_sets, scope)
PATH(scope_that_hides_10_values, scope)

BODY(capture) {
    for (uint64_t done = 0; done < operations; done++) {
        tls_context_t *context;
        USED(tls_context_capture(&context));
        tls_context_free(context);
    }
}
PATH(context_of_1_value_captured_and_freed, capture)
PATH(context_of_10_values_captured_and_freed, capture)

BODY(scope_with_context) {
    tls_context_t *context = NULL;
    USED(tls_context_capture(&context));
    for (uint64_t done = 0; done < operations; done++) {
        tls_scope_t scope;
        USED(tls_scope_begin(&scope, context));
        USED(tls_scope_end(scope));
    }
    tls_context_free(context);
}
PATH(scope_with_context_of_1_value, scope_with_context)
PATH(scope_with_context_of_10_values, scope_with_context)

static void do_nothing(void *argument) {
    (void)argument;
}

BODY(task) {
    for (uint64_t done = 0; done < operations; done++) {
        tls_task_t *task = NULL;
        USED(tls_task_create(&task, do_nothing, NULL));
        tls_task_run(task);
    }
}
PATH(task_without_values, task)
PATH(task_with_10_values, task)

BODY(map_switch) {
    tls_map_t *map = NULL, *before = NULL;
    USED(tls_map_create(&map));
    for (uint64_t done = 0; done < operations; done++) {
        USED(tls_map_switch(map, &before));
        USED(tls_map_switch(before, NULL));
    }
    USED(tls_map_destroy(map));
}
PATH(map_switch_and_back, map_switch)

static const tls_key_options_t destroyed = {DESTROYED};
static const tls_key_options_t inherited = {.size = sizeof inherited, .flags = TLS_KEY_INHERIT};

const struct path task_paths[] = {
    {IS(scope_empty), .operations = 1000},
    {IS(scope_with_10_sets), .operations = 200, .keys = 10, .options = &destroyed},
    {IS(scope_that_hides_10_values), .operations = 200, .keys = 10, .options = &destroyed, .valued = true},
    {IS(context_of_1_value_captured_and_freed), .operations = 1000, .keys = 1, .options = &inherited, .valued = true},
    {IS(context_of_10_values_captured_and_freed), .operations = 200, .keys = 10, .options = &inherited, .valued = true},
    {IS(scope_with_context_of_1_value), .operations = 1000, .keys = 1, .options = &inherited, .valued = true},
    {IS(scope_with_context_of_10_values), .operations = 200, .keys = 10, .options = &inherited, .valued = true},
    {IS(task_without_values), .operations = 1000},
    {IS(task_with_10_values), .operations = 200, .keys = 10, .options = &inherited, .valued = true},
    {IS(map_switch_and_back), .operations = 1000},
    {0},
};
