/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Memory runs out in the calls about maps that move, at each single allocation:
 * the call says so and has changed nothing, and works when there is memory.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "failing_malloc.h"

#include "worker.h"

static test_log_t ended;

typedef struct scene {
    tls_map_t *map;
    tls_map_t *previous;
    tls_key_t key;
    size_t number; /* the allocation that fails */
    fail_mode_t mode;
    int (*call)(struct scene *scene);
    void (*check_failed)(struct scene *scene);
    size_t refused;
} scene_t;

static int
call_create(scene_t *scene)
{
    return tls_map_create(&scene->previous);
}

static void
check_not_created(scene_t *scene)
{
    CHECK_PTR(scene->previous, VALUE(99));
}

static int
call_switch(scene_t *scene)
{
    return tls_map_switch(scene->map, &scene->previous);
}

static void
check_not_switched(scene_t *scene)
{
    CHECK_PTR(scene->previous, VALUE(99));
    CHECK_PTR(tls_map_current(), NULL);
}

static int
call_destroy(scene_t *scene)
{
    return tls_map_destroy(scene->map);
}

static void
check_not_destroyed(scene_t *scene)
{
    (void)scene;
    CHECK_UINT(ended.count, 0);
    CHECK_UINT(test_stats().entries, 1);
}

/* On a thread that is not attached: attaching is what takes memory. */
static void *
make_call(void *argument)
{
    scene_t *scene = (scene_t *)argument;
    uint64_t maps = test_stats().maps;
    int code;

    scene->previous = (tls_map_t *)VALUE(99);
    fail_from(scene->number, scene->mode);
    code = scene->call(scene);
    scene->refused = fail_stop();
    if (scene->refused > 0) {
        CHECK_CODE(code, TLS_ERR_NO_MEMORY);
        CHECK_UINT(test_stats().maps, maps);
        scene->check_failed(scene);
        /* Nobody has the map: it can be had. */
        code = scene->call(scene);
    }
    CHECK_OK(code);
    return NULL;
}

static void *
fill_map(void *argument)
{
    scene_t *scene = (scene_t *)argument;

    CHECK_OK(tls_map_switch(scene->map, NULL));
    CHECK_OK(tls_set(scene->key, VALUE(1)));
    return NULL;
}

/* Returns how many allocations have failed, one after the other. */
static size_t
fail_each(int (*call)(scene_t *), void (*check_failed)(scene_t *))
{
    scene_t scene;
    size_t number;
    int mode;

    for (number = 1;; number++) {
        for (mode = FAIL_ONCE; mode <= FAIL_ALWAYS; mode++) {
            uint64_t bytes = test_stats().bytes;

            test_log_clear(&ended);
            scene.number = number;
            scene.mode = (fail_mode_t)mode;
            scene.call = call;
            scene.check_failed = check_failed;
            CHECK_OK(tls_map_create(&scene.map));
            scene.key = test_key_logged(&ended);
            test_in_thread(fill_map, &scene);
            test_in_thread(make_call, &scene);
            if (call != call_destroy)
                CHECK_OK(tls_map_destroy(scene.map));
            if (call == call_create)
                CHECK_OK(tls_map_destroy(scene.previous));
            CHECK_UINT(ended.count, 1);
            CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_MAP_DESTROYED, ended.records[0].thread);
            CHECK_OK(tls_key_release(scene.key));
            if (number > 1)
                CHECK_UINT(test_stats().bytes, bytes);
        }
        if (scene.refused == 0)
            return number - 1;
    }
}

static void
each_call_may_run_out_of_memory_and_has_then_changed_nothing(void)
{
    CHECK_OK(tls_thread_attach());
    CHECK_AT_LEAST(fail_each(call_create, check_not_created), 1);
    CHECK_AT_LEAST(fail_each(call_switch, check_not_switched), 1);
    CHECK_AT_LEAST(fail_each(call_destroy, check_not_destroyed), 1);
}

/* An attached thread needs none: a scheduler can always switch. */
static void
an_attached_thread_switches_and_destroys_without_memory(void)
{
    tls_key_t key = test_key_logged(&ended);
    tls_map_t *map = NULL;
    int switched;
    int back;
    int destroyed;

    test_log_clear(&ended);
    CHECK_OK(tls_thread_attach());
    CHECK_OK(tls_map_create(&map));
    CHECK_OK(tls_map_switch(map, NULL));
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_map_switch(NULL, NULL));
    fail_from(1, FAIL_ALWAYS);
    switched = tls_map_switch(map, NULL);
    back = tls_map_switch(NULL, NULL);
    destroyed = tls_map_destroy(map);
    CHECK_UINT(fail_stop(), 0);
    CHECK_OK(switched);
    CHECK_OK(back);
    CHECK_OK(destroyed);
    CHECK_UINT(ended.count, 1);
    CHECK_OK(tls_key_release(key));
}

int
main(void)
{
    RUN(each_call_may_run_out_of_memory_and_has_then_changed_nothing);
    RUN(an_attached_thread_switches_and_destroys_without_memory);
    return test_finish();
}
