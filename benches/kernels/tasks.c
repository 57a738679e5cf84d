/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Scopes, contexts, tasks, and maps that move between threads. What a loop
 * needs besides its keys is made before the loop, once for thousands of
 * operations. */
#include <stdlib.h>
#include <threadlocalmap.h>

#include "kernel.h"

static void must(int result) {
    if (result != TLS_OK) abort();
}

/* A scope in which every key of the input is set. Without keys, an empty scope. */
KERNEL(scope) {
    for (uint64_t done = 0; done < operations; done++) {
        tls_scope_t scope = 0;
        int result = tls_scope_begin(&scope, NULL);
        USED(result);
        for (size_t i = 0; i < input->count; i++) tls_set(input->keys[i], input->values[0]);
        result = tls_scope_end(scope);
        USED(result);
    }
}

KERNEL(capture) {
    (void)input;
    for (uint64_t done = 0; done < operations; done++) {
        tls_context_t *context = NULL;
        int result = tls_context_capture(&context);
        USED(result);
        tls_context_free(context);
    }
}

/* A scope with a context that was captured before. */
KERNEL(replay) {
    tls_context_t *context = NULL;
    (void)input;
    must(tls_context_capture(&context));
    for (uint64_t done = 0; done < operations; done++) {
        tls_scope_t scope = 0;
        int result = tls_scope_begin(&scope, context);
        USED(result);
        result = tls_scope_end(scope);
        USED(result);
    }
    tls_context_free(context);
}

static __attribute__((noinline)) void work(void *argument) { USED(argument); }

KERNEL(plain_call) {
    void (*volatile function)(void *) = work;
    (void)input;
    for (uint64_t done = 0; done < operations; done++) function(NULL);
}

KERNEL(task) {
    (void)input;
    for (uint64_t done = 0; done < operations; done++) {
        tls_task_t *task = NULL;
        int result = tls_task_create(&task, work, NULL);
        USED(result);
        tls_task_run(task);
    }
}

/* Switches to the one map and to the other in turn. Each switch is an operation. */
KERNEL(map_switch) {
    tls_map_t *maps[2] = {NULL, NULL};
    (void)input;
    must(tls_map_create(&maps[0]));
    must(tls_map_create(&maps[1]));
    for (uint64_t done = 0; done < operations; done++) {
        int result = tls_map_switch(maps[done & 1], NULL);
        USED(result);
    }
    must(tls_map_switch(NULL, NULL));
    must(tls_map_destroy(maps[0]));
    must(tls_map_destroy(maps[1]));
}

/* The hit in an open scope, and in a map that was switched to. */
KERNEL(get_in_scope) {
    const uint64_t *key = input->keys;
    tls_scope_t scope = 0;
    must(tls_scope_begin(&scope, NULL));
    must(tls_set(*key, input->values[0]));
    for (uint64_t done = 0; done < operations; done++) {
        void *value = tls_get(*key);
        USED(value);
    }
    must(tls_scope_end(scope));
}

KERNEL(get_in_map) {
    const uint64_t *key = input->keys;
    tls_map_t *map = NULL;
    must(tls_map_create(&map));
    must(tls_map_switch(map, NULL));
    must(tls_set(*key, input->values[0]));
    for (uint64_t done = 0; done < operations; done++) {
        void *value = tls_get(*key);
        USED(value);
    }
    must(tls_map_switch(NULL, NULL));
    must(tls_map_destroy(map));
}
