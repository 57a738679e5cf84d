/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What code does with the library that runs late on a thread: cleanup
 * handlers, destructors of other pthread keys and of C++ objects. It uses every
 * function, on keys of every kind. The codes are the library's business, as the
 * thread may be anywhere in its end; a value that is refused stays the
 * caller's, and every other one must end once.
 */
#ifndef LATER_H
#define LATER_H

#include "lives.h"

#define LATER_KEYS 8

/* Keys of every kind; the last two have an init callback. */
static tls_key_t later_keys[LATER_KEYS];

static inline void
later_make_keys(void)
{
    later_keys[0] = life_key(TLS_RECLAIM_OWNER, 0, NULL);
    later_keys[1] = life_key(TLS_RECLAIM_ANY, 0, NULL);
    later_keys[2] = life_key(TLS_RECLAIM_OWNER, TLS_KEY_ENUMERABLE, NULL);
    later_keys[3] = life_key(TLS_RECLAIM_ANY, TLS_KEY_ENUMERABLE, NULL);
    later_keys[4] = life_key(TLS_RECLAIM_OWNER, TLS_KEY_WORKER, NULL);
    later_keys[5] = life_key(TLS_RECLAIM_OWNER, TLS_KEY_INHERIT, NULL);
    later_keys[6] = life_key(TLS_RECLAIM_OWNER, 0, life_init);
    later_keys[7] = life_key(TLS_RECLAIM_ANY, TLS_KEY_ENUMERABLE | TLS_KEY_INHERIT, life_init);
}

/* Every value has ended: of live keys, and when they are released. */
static inline void
later_release_keys(void)
{
    size_t i;

    for (i = 0; i < LATER_KEYS; i++)
        life_key_is_drained(later_keys[i]);
    for (i = 0; i < LATER_KEYS; i++) {
        CHECK_OK(tls_key_release(later_keys[i]));
        life_key_is_drained(later_keys[i]);
    }
    lives_check();
}

static inline void
later_set_keys(void)
{
    size_t i;

    for (i = 0; i < LATER_KEYS; i++)
        CHECK_OK(life_set(later_keys[i]));
}

/* Overwrites the part of the stack that frames which are gone were in. */
static void __attribute__((noinline, unused))
later_scribble(void)
{
    volatile unsigned char junk[16384];
    size_t i;

    for (i = 0; i < sizeof(junk); i++)
        junk[i] = 0x5a;
}

static inline int
later_visit(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    (void)argument;
    return 0;
}

static inline int
later_take(void *value, uint64_t thread, void *argument)
{
    (void)thread;
    (void)argument;
    life_end(value);
    return 0;
}

static inline void
later_look(tls_key_t key, void *value, void *argument)
{
    (void)key;
    (void)argument;
    CHECK(value == NULL || !life_is_over(value));
}

static inline int
later_write(const char *bytes, size_t length, void *argument)
{
    (void)bytes;
    (void)length;
    (void)argument;
    return 0;
}

static inline void
later_set_in_task(void *argument)
{
    (void)argument;
    life_set(later_keys[0]);
    life_set(later_keys[5]);
}

static inline void
later_hook(void *argument)
{
    (void)argument;
    life_set(later_keys[0]);
}

static inline void
later_use_values(void)
{
    size_t i;

    for (i = 0; i < LATER_KEYS; i++) {
        tls_key_t key = later_keys[i];
        void *value = tls_get(key);
        void *given = life();

        CHECK(value == NULL || !life_is_over(value));
        if (tls_swap(key, given, &value) == TLS_OK)
            life_end(value);
        else
            life_end(given);
        value = NULL;
        if (tls_try_get(key, &value) == TLS_OK)
            CHECK(value == NULL || !life_is_over(value));
        if (tls_take(key, &value) == TLS_OK)
            life_end(value);
        life_set(key);
        life_set(key);
        tls_remove(key);
        life_set(key);
    }
}

static inline void
later_use_scopes_and_tasks(void)
{
    tls_context_t *context = NULL;
    tls_task_t *task = NULL;
    tls_scope_t scope;

    if (tls_context_capture(&context) != TLS_OK)
        context = NULL;
    if (tls_scope_begin(&scope, context) == TLS_OK) {
        later_use_values();
        tls_remove_all();
        life_set(later_keys[1]);
        tls_scope_end(scope);
    }
    tls_context_free(context);
    if (tls_task_create(&task, later_set_in_task, NULL) == TLS_OK)
        tls_task_run(task);
    if (tls_task_create(&task, later_set_in_task, NULL) == TLS_OK)
        tls_task_cancel(task);
}

/* Maps that the thread could not destroy. */
static tls_map_t *later_left_maps[16];
static size_t later_left;

static inline void
later_leave_map(tls_map_t *map)
{
    size_t number = test_count_up(&later_left);

    CHECK_AT_MOST(number, 16);
    later_left_maps[number - 1] = map;
}

static inline void
later_use_maps(void)
{
    tls_map_t *map = NULL;
    tls_map_t *previous = NULL;

    if (tls_map_create(&map) != TLS_OK)
        return;
    if (tls_map_switch(map, &previous) == TLS_OK) {
        later_use_values();
        CHECK_OK(tls_map_switch(previous, NULL));
    }
    /* Refused here, it is destroyed by the main thread, in later_end_maps(). */
    if (tls_map_destroy(map) != TLS_OK)
        later_leave_map(map);
}

static inline void
later_end_maps(void)
{
    size_t i;

    for (i = 0; i < later_left; i++)
        CHECK_OK(tls_map_destroy(later_left_maps[i]));
    later_left = 0;
    CHECK_OK(tls_thread_detach());
}

static inline void
later_use_all_threads(void)
{
    size_t i;

    for (i = 0; i < LATER_KEYS; i++) {
        tls_for_each(later_keys[i], later_visit, NULL);
        tls_key_purge(later_keys[i], NULL);
        life_set(later_keys[i]);
        tls_scrape(later_keys[i], later_take, NULL);
        tls_key_drain(later_keys[i], 0, NULL);
    }
    CHECK_OK(tls_dump(later_write, NULL));
    CHECK_OK(tls_for_each_local(later_look, NULL));
    test_stats();
    tls_expunge_all_threads();
}

/* Uses every function. */
static inline void
later_use_everything(void)
{
    tls_key_t key;

    later_scribble();
    later_use_values();
    later_use_scopes_and_tasks();
    later_use_maps();
    later_use_all_threads();
    tls_at_thread_exit(later_hook, NULL);
    tls_remove_all();
    later_use_values();
    key = life_key(TLS_RECLAIM_OWNER, TLS_KEY_ENUMERABLE, life_init);
    tls_get(key);
    CHECK_OK(tls_key_retain(key));
    CHECK_OK(tls_key_release(key));
    CHECK_OK(tls_key_release(key));
    tls_expunge();
    tls_expunge_some(3);
    later_scribble();
}

#endif /* LATER_H */
