/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Plug-ins that are unloaded while threads of others register their hooks, release keys,
 * are woken and end: nothing of a plug-in is called after the drain of its key.
 */
#include "worker.h"

#include <sched.h>

#define PLUGINS 4

static tls_key_t key;
static tls_key_t plugins[PLUGINS];
static size_t unloaded[PLUGINS]; /* then nothing of it is called */
static size_t calls;
static size_t done; /* threads */

static void
call_plugin(void *argument)
{
    test_count_up(&calls);
    CHECK_UINT(test_count((size_t *)argument), 0);
    sched_yield();
    CHECK_UINT(test_count((size_t *)argument), 0);
}

static void *
work_for_plugins(void *argument)
{
    size_t rounds = test_scaled(3000, 50);
    size_t i;
    size_t at;

    for (i = 0; i < rounds; i++) {
        at = i % PLUGINS;
        /* It may have been unloaded. */
        test_hook((uint32_t)(i / PLUGINS % 3), call_plugin, &unloaded[at], plugins[at]);
        tls_set(key, VALUE(1));
        if (i % 7 == 6)
            CHECK_OK(tls_thread_detach());
    }
    test_count_up(&done);
    return argument;
}

static void *
release_many(void *argument)
{
    size_t rounds = test_scaled(3000, 50);
    tls_key_t mine;
    size_t i;

    for (i = 0; i < rounds; i++) {
        mine = test_key();
        CHECK_OK(tls_set(mine, VALUE(2)));
        CHECK_OK(tls_key_release(mine));
        tls_expunge_all_threads();
    }
    return argument;
}

static void
nothing_of_a_drained_owner_is_called(void)
{
    pthread_t threads[4];
    size_t i;

    key = test_key();
    for (i = 0; i < PLUGINS; i++)
        plugins[i] = test_key();
    for (i = 0; i < 4; i++)
        threads[i] = test_start(i < 3 ? work_for_plugins : release_many, NULL);
    for (i = 0; i < PLUGINS; i++) {
        while (test_count(&calls) < (i + 1) * 100 && test_count(&done) < 3)
            sched_yield();
        CHECK_OK(tls_key_release(plugins[i]));
        CHECK_OK(tls_key_drain(plugins[i], -1, NULL));
        test_count_up(&unloaded[i]);
    }
    for (i = 0; i < 4; i++)
        test_join(threads[i]);
    CHECK_OK(tls_key_release(key));
}

int
main(void)
{
    size_t round;

    for (round = 0; round < 8; round++) {
        memset(unloaded, 0, sizeof(unloaded));
        calls = done = 0;
        RUN(nothing_of_a_drained_owner_is_called);
    }
    return test_finish();
}
