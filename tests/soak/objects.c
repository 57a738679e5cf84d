/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Short-lived objects, each with its own key, on the workers of two pools: the library's purpose.
 *
 * A feeder makes an object and some tasks on it. The tasks get, set, swap, take and remove its
 * values and visit them; the last one to finish ends the object. By then the other workers' values
 * have no user left, so it may also purge or take them all. */
#include "soak.h"

#include <pthread.h>
#include <stdlib.h>

enum { FEEDERS = 2, TASKS = 12 };

struct object {
    tls_key_t key;
    uint32_t reclaim, flags;
    _Atomic unsigned tasks_left;
};

static pthread_t feeders[FEEDERS];

/* The kinds in turn: OWNER or ANY, enumerable or not. */
static struct object *object_make(uint64_t number) {
    struct object *object = calloc(1, sizeof *object);
    if (object == NULL) {
        soak_wrong("there was no memory for an object");
        return NULL;
    }
    object->reclaim = number % 2 == 0 ? TLS_RECLAIM_OWNER : TLS_RECLAIM_ANY;
    object->flags = number / 2 % 2 == 0 ? 0 : TLS_KEY_ENUMERABLE;
    atomic_init(&object->tasks_left, TASKS);
    tls_key_options_t options = {0};
    options.size = sizeof options;
    options.name = number % 8 == 0 ? "object" : NULL;
    options.destroy = value_destroy;
    options.reclaim = object->reclaim;
    options.flags = object->flags;
    if (!soak_ok("tls_key_create", tls_key_create(&object->key, &options))) {
        free(object);
        return NULL;
    }
    atomic_fetch_add(&soak.objects, 1);
    return object;
}

static int visit(void *value, uint64_t thread, void *argument) {
    (void)thread;
    struct object *object = argument;
    if (value_is(value, object->key)) value_use(value);
    return 0;
}

static int take(void *value, uint64_t thread, void *argument) {
    (void)thread;
    struct object *object = argument;
    if (value_is(value, object->key)) value_end(value);
    return 0;
}

static void object_end(struct object *object, uint64_t chance) {
    if (object->flags == TLS_KEY_ENUMERABLE && chance % 4 == 1)
        soak_ok("tls_scrape", tls_scrape(object->key, take, object));
    if (object->reclaim == TLS_RECLAIM_ANY && chance % 4 == 2)
        soak_ok("tls_key_purge", tls_key_purge(object->key, NULL));
    soak_ok("tls_key_release", tls_key_release(object->key));
    free(object);
}

/* Stores a new value, or none if there was no memory. */
static void store(struct object *object) {
    struct value *value = value_make(object->key);
    if (value != NULL && !soak_ok("tls_set", tls_set(object->key, value))) value_end(value);
}

static void swap(struct object *object) {
    struct value *value = value_make(object->key);
    if (value == NULL) return;
    void *old = NULL;
    int result = tls_swap(object->key, value, &old);
    /* Somebody visits the value: it stays. */
    if (result == TLS_ERR_BUSY || !soak_ok("tls_swap", result)) value_end(value);
    else if (old != NULL) value_end(old);
}

static void take_own(struct object *object) {
    void *old = NULL;
    int result = tls_take(object->key, &old);
    if (result == TLS_ERR_BUSY || result == TLS_ERR_ABSENT) return;
    if (soak_ok("tls_take", result)) value_end(old);
}

static void enumerate(struct object *object) {
    int result = tls_for_each(object->key, visit, object);
    if (result != TLS_ERR_BUSY) soak_ok("tls_for_each", result);
}

static void task(void *argument, size_t index) {
    struct object *object = argument;
    struct value *value = tls_get(object->key);
    if (value == NULL) store(object);
    else if (value_is(value, object->key)) value_use(value);
    switch ((object->key / 16 + index) % 8) {
    case 0: swap(object); break;
    case 1: take_own(object); break;
    case 2: soak_ok("tls_remove", tls_remove(object->key)); break;
    case 3: store(object); break;
    case 4:
        if (object->flags == TLS_KEY_ENUMERABLE) enumerate(object);
        break;
    default: break;
    }
    value = tls_get_existing(object->key);
    if (value != NULL && value_is(value, object->key)) value_use(value);
    atomic_fetch_add(&soak.tasks, 1);
    if (atomic_fetch_sub(&object->tasks_left, 1) == 1) object_end(object, object->key / 16 + index);
}

static void *feed(void *argument) {
    uint64_t number = (uintptr_t)argument;
    while (!soak_stops()) {
        struct object *object = object_make(number++);
        if (object == NULL) break;
        for (size_t index = 0; index < TASKS; index++)
            pool_submit(index % 4 == 3 ? soak.lazy_pool : soak.pool, task, object, index);
    }
    return NULL;
}

void objects_start(void) {
    for (uintptr_t i = 0; i < FEEDERS; i++)
        if (pthread_create(&feeders[i], NULL, feed, (void *)i) != 0) abort();
}

void objects_join(void) {
    for (int i = 0; i < FEEDERS; i++) pthread_join(feeders[i], NULL);
}
