/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Maps that a program makes for its fibers: each is one thread's at a time,
 * keeps its values and its inbox while it is nobody's, and ends them on the one who
 * has it or destroys it.
 */
#include "everything.h"
#include "worker.h"

static test_log_t ended;

static void
switch_to(tls_map_t *map, tls_map_t *expected_previous)
{
    tls_map_t *previous = (tls_map_t *)VALUE(99);

    CHECK_OK(tls_map_switch(map, &previous));
    CHECK_PTR(previous, expected_previous);
    CHECK_PTR(tls_map_current(), map);
}

static tls_map_t *
make_map(void)
{
    tls_map_t *map = NULL;

    CHECK_OK(tls_map_create(&map));
    CHECK(map != NULL);
    return map;
}

/* ---- A worker's calls ---------------------------------------------------- */

typedef struct map_call {
    tls_map_t *map;
    int code;
} map_call_t;

static void
job_switch(void *argument)
{
    map_call_t *call = (map_call_t *)argument;

    call->code = tls_map_switch(call->map, NULL);
}

static void
job_destroy(void *argument)
{
    map_call_t *call = (map_call_t *)argument;

    call->code = tls_map_destroy(call->map);
}

static int
on_worker(worker_t *worker, void (*job)(void *), tls_map_t *map)
{
    map_call_t call;

    call.map = map;
    call.code = TLS_OK;
    worker_do(worker, job, &call);
    return call.code;
}

/* ---- Arguments ----------------------------------------------------------- */

static void
null_is_the_threads_own_map_or_nothing_or_an_error(void)
{
    tls_map_t *previous = (tls_map_t *)VALUE(99);
    tls_map_t *map = make_map();

    CHECK_CODE(tls_map_create(NULL), TLS_ERR_INVALID);
    CHECK_OK(tls_map_destroy(NULL));
    CHECK_PTR(tls_map_current(), NULL);
    CHECK_OK(tls_map_switch(NULL, &previous));
    CHECK_PTR(previous, NULL);
    CHECK_OK(tls_map_switch(map, NULL));
    CHECK_PTR(tls_map_current(), map);
    switch_to(map, map);
    switch_to(NULL, map);
    CHECK_OK(tls_map_destroy(map));
    CHECK_UINT(test_stats().maps, 1);
}

static void *
look_without_a_map(void *argument)
{
    (void)argument;
    CHECK_PTR(tls_map_current(), NULL);
    CHECK_UINT(test_stats().maps, 0);
    CHECK_OK(tls_map_switch(NULL, NULL));
    CHECK_UINT(test_stats().maps, 1);
    return NULL;
}

static void
a_switch_attaches_the_thread_and_a_look_does_not(void)
{
    CHECK_OK(tls_thread_detach());
    test_in_thread(look_without_a_map, NULL);
    CHECK_UINT(test_stats().maps, 0);
}

/* ---- One thread at a time ------------------------------------------------ */

static void
each_map_has_its_own_value_and_all_functions_mean_the_current_one(void)
{
    tls_key_t key = test_key_logged(&ended);
    tls_map_t *maps[3];
    void *old = NULL;
    size_t i;

    test_log_clear(&ended);
    CHECK_OK(tls_set(key, VALUE(100)));
    for (i = 0; i < 3; i++) {
        maps[i] = make_map();
        CHECK_OK(tls_map_switch(maps[i], NULL));
        CHECK_PTR(tls_get(key), NULL);
        CHECK_OK(tls_set(key, VALUE(i + 1)));
    }
    for (i = 0; i < 3; i++) {
        CHECK_OK(tls_map_switch(maps[i], NULL));
        CHECK_PTR(tls_get(key), VALUE(i + 1));
        CHECK_PTR((tls_get)(key), VALUE(i + 1));
        CHECK_PTR(tls_get_existing(key), VALUE(i + 1));
    }
    CHECK_UINT(test_stats().entries, 4);
    CHECK_UINT(test_stats().maps, 4);
    CHECK_OK(tls_swap(key, VALUE(30), &old));
    CHECK_PTR(old, VALUE(3));
    CHECK_OK(tls_map_switch(maps[1], NULL));
    CHECK_OK(tls_take(key, &old));
    CHECK_PTR(old, VALUE(2));
    CHECK_OK(tls_map_switch(maps[0], NULL));
    CHECK_OK(tls_remove_all());
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_REMOVED, test_thread());
    use_everything();
    CHECK_OK(tls_map_switch(NULL, NULL));
    CHECK_PTR(tls_get(key), VALUE(100));
    for (i = 0; i < 3; i++)
        CHECK_OK(tls_map_destroy(maps[i]));
    CHECK_UINT(ended.count, 2);
    CHECK_RECORD(&ended, 1, VALUE(30), TLS_REASON_MAP_DESTROYED, test_thread());
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 3);
}

static void
a_map_is_busy_while_a_thread_has_it_and_free_when_it_has_another(void)
{
    tls_key_t key = test_key_logged(&ended);
    tls_map_t *map = make_map();
    tls_map_t *previous = (tls_map_t *)VALUE(99);
    worker_t worker;

    test_log_clear(&ended);
    worker_start(&worker);
    CHECK_OK(on_worker(&worker, job_switch, map));
    CHECK_OK(worker_set(&worker, key, VALUE(1)));
    CHECK_CODE(tls_map_switch(map, &previous), TLS_ERR_BUSY);
    CHECK_PTR(previous, VALUE(99));
    CHECK_PTR(tls_map_current(), NULL);
    CHECK_CODE(tls_map_destroy(map), TLS_ERR_BUSY);
    CHECK_CODE(on_worker(&worker, job_destroy, map), TLS_ERR_BUSY);
    CHECK_UINT(ended.count, 0);
    CHECK_PTR(worker_get(&worker, key), VALUE(1));

    /* The value goes along. */
    CHECK_OK(on_worker(&worker, job_switch, NULL));
    CHECK_PTR(worker_get(&worker, key), NULL);
    switch_to(map, NULL);
    CHECK_PTR(tls_get(key), VALUE(1));
    CHECK_CODE(on_worker(&worker, job_switch, map), TLS_ERR_BUSY);
    CHECK_CODE(tls_map_destroy(map), TLS_ERR_BUSY);
    CHECK_OK(tls_set(key, VALUE(2)));
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_REPLACED, test_thread());

    switch_to(NULL, map);
    CHECK_OK(on_worker(&worker, job_destroy, map));
    CHECK_UINT(ended.count, 2);
    CHECK_RECORD(&ended, 1, VALUE(2), TLS_REASON_MAP_DESTROYED, worker.number);
    worker_stop(&worker);
    CHECK_OK(tls_key_release(key));
}

/* ---- Deaths meanwhile ---------------------------------------------------- */

static void
a_detached_map_hears_of_dead_keys_and_the_next_owner_ends_the_values(void)
{
    enum { DYING = 40 };
    tls_key_t keys[DYING];
    tls_key_t lasting = test_key_logged(&ended);
    tls_map_t *map = make_map();
    worker_t worker;
    size_t left = 99;
    size_t i;

    test_log_clear(&ended);
    switch_to(map, NULL);
    for (i = 0; i < DYING; i++) {
        keys[i] = test_key_logged(&ended);
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    }
    CHECK_OK(tls_set(lasting, VALUE(100)));
    switch_to(NULL, map);
    for (i = 0; i < DYING; i++)
        CHECK_OK(tls_key_release(keys[i]));
    CHECK_UINT(ended.count, 0); /* OWNER: not by the releasing thread */
    CHECK_UINT(tls_stale_count(), 0);
    CHECK_UINT(test_stats().stale, DYING);
    CHECK_CODE(tls_key_drain(keys[0], 0, &left), TLS_ERR_TIMEOUT);
    CHECK_UINT(left, 1);
    CHECK_UINT(tls_expunge_all_threads(), 0);

    worker_start(&worker);
    CHECK_OK(on_worker(&worker, job_switch, map));
    CHECK_UINT(worker_stale_count(&worker), DYING);
    CHECK_UINT(worker_expunge_some(&worker, 3), 3);
    CHECK_UINT(worker_stale_count(&worker), DYING - 3);
    CHECK_UINT(worker_expunge(&worker), DYING - 3);
    CHECK_UINT(ended.count, DYING);
    for (i = 0; i < DYING; i++)
        CHECK_RECORD(&ended, i, ended.records[i].value, TLS_REASON_KEY_DEAD, worker.number);
    CHECK_OK(tls_key_drain(keys[0], 0, NULL));
    CHECK_PTR(worker_get(&worker, lasting), VALUE(100));
    worker_stop(&worker); /* leaves the map */

    CHECK_OK(tls_key_release(lasting));
    CHECK_UINT(test_stats().stale, 1);
    CHECK_OK(tls_map_destroy(map));
    CHECK_UINT(ended.count, DYING + 1);
    CHECK_RECORD(&ended, DYING, VALUE(100), TLS_REASON_KEY_DEAD, test_thread());
    CHECK_UINT(ended.freed, DYING + 1);
}

static void
a_release_ends_the_value_of_the_current_map_and_leaves_the_threads_own(void)
{
    tls_key_t key = test_key_logged(&ended);
    tls_map_t *map = make_map();

    test_log_clear(&ended);
    CHECK_OK(tls_set(key, VALUE(1)));
    switch_to(map, NULL);
    CHECK_OK(tls_set(key, VALUE(2)));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(2), TLS_REASON_KEY_DEAD, test_thread());
    CHECK_UINT(tls_stale_count(), 0);
    CHECK_UINT(tls_expunge(), 0);
    switch_to(NULL, map);
    CHECK_UINT(tls_stale_count(), 1);
    CHECK_UINT(tls_expunge(), 1);
    CHECK_RECORD(&ended, 1, VALUE(1), TLS_REASON_KEY_DEAD, test_thread());
    CHECK_UINT(ended.freed, 1);
    CHECK_OK(tls_map_destroy(map));
}

static void
a_release_ends_any_values_in_detached_maps_at_once(void)
{
    tls_key_options_t options = test_options();
    tls_map_t *map = make_map();
    tls_key_t key;
    size_t destroyed = 99;

    test_log_clear(&ended);
    options.destroy = test_log_destroy;
    options.user = &ended;
    options.user_free = test_log_free;
    options.reclaim = TLS_RECLAIM_ANY;
    key = test_key_from(&options);
    switch_to(map, NULL);
    CHECK_OK(tls_set(key, VALUE(1)));
    switch_to(NULL, map);
    CHECK_OK(tls_key_purge(key, &destroyed));
    CHECK_UINT(destroyed, 1);
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_PURGED, test_thread());
    switch_to(map, NULL);
    CHECK_PTR(tls_get(key), NULL);
    CHECK_OK(tls_set(key, VALUE(2)));
    switch_to(NULL, map);
    CHECK_OK(tls_key_release(key));
    CHECK_RECORD(&ended, 1, VALUE(2), TLS_REASON_KEY_DEAD, test_thread());
    CHECK_UINT(ended.freed, 1);
    CHECK_UINT(test_stats().stale, 0);
    CHECK_OK(tls_map_destroy(map));
    CHECK_UINT(ended.count, 2);
}

/* ---- Seen by others ------------------------------------------------------ */

typedef struct visited {
    size_t detached;
    size_t attached;
    uint64_t thread;
} visited_t;

static int
note_visit(void *value, uint64_t thread, void *argument)
{
    visited_t *visited = (visited_t *)argument;

    CHECK(value != NULL);
    if (thread == 0) {
        visited->detached++;
    } else {
        visited->attached++;
        visited->thread = thread;
    }
    return 0;
}

static visited_t
visit(tls_key_t key)
{
    visited_t visited;

    memset(&visited, 0, sizeof(visited));
    CHECK_OK(tls_for_each(key, note_visit, &visited));
    return visited;
}

static void
visitors_are_told_thread_0_for_maps_that_no_thread_is_in(void)
{
    tls_key_options_t options = test_options();
    tls_map_t *map = make_map();
    visited_t taken;
    tls_key_t key;
    uint64_t here;

    options.flags = TLS_KEY_ENUMERABLE;
    key = test_key_from(&options);
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_UINT(visit(key).attached, 1);
    here = visit(key).thread;
    switch_to(map, NULL);
    /* The thread's own map is nobody's while it is in another. */
    CHECK_UINT(visit(key).attached, 0);
    CHECK_UINT(visit(key).detached, 1);
    CHECK_OK(tls_set(key, VALUE(2)));
    CHECK_UINT(visit(key).attached, 1);
    CHECK_UINT(visit(key).detached, 1);
    CHECK_UINT(visit(key).thread, here);
    switch_to(NULL, map);
    CHECK_UINT(visit(key).attached, 1);
    CHECK_UINT(visit(key).detached, 1);
    memset(&taken, 0, sizeof(taken));
    CHECK_OK(tls_scrape(key, note_visit, &taken));
    CHECK_UINT(taken.detached, 1);
    CHECK_UINT(taken.attached, 1);
    CHECK_OK(tls_map_destroy(map));
    CHECK_OK(tls_key_release(key));
}

/* ---- What is the thread's, not the map's --------------------------------- */

static size_t hook_runs;
static size_t notices;
static tls_map_t *map_in_hook;

static void
count_hook(void *argument)
{
    (void)argument;
    map_in_hook = tls_map_current();
    test_count_up(&hook_runs);
}

static void
count_notice(void *argument)
{
    (void)argument;
    test_count_up(&notices);
}

typedef struct story {
    tls_map_t *map;
    tls_key_t own;
    tls_key_t moving;
} story_t;

static void
job_begin_story(void *argument)
{
    story_t *story = (story_t *)argument;

    CHECK_OK(tls_set(story->own, VALUE(1)));
    CHECK_OK(tls_thread_on_stale(count_notice, NULL));
    switch_to(story->map, NULL);
    CHECK_OK(tls_set(story->moving, VALUE(2)));
    CHECK_OK(tls_at_thread_exit(count_hook, NULL));
}

static void
hooks_and_notices_stay_the_threads_and_its_end_leaves_the_map(void)
{
    story_t story;
    worker_t worker;

    test_log_clear(&ended);
    hook_runs = 0;
    notices = 0;
    map_in_hook = (tls_map_t *)VALUE(99);
    story.map = make_map();
    story.own = test_key_logged(&ended);
    story.moving = test_key_logged(&ended);
    worker_start(&worker);
    worker_do(&worker, job_begin_story, &story);
    CHECK_OK(tls_key_release(story.own));
    CHECK_UINT(test_count(&notices), 1); /* the thread's own map */
    CHECK_OK(on_worker(&worker, job_switch, NULL));
    CHECK_UINT(worker_expunge(&worker), 1);
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_KEY_DEAD, worker.number);
    CHECK_UINT(hook_runs, 0);
    CHECK_OK(on_worker(&worker, job_switch, story.map));
    worker_stop(&worker);
    CHECK_UINT(hook_runs, 1);
    CHECK_PTR(map_in_hook, NULL); /* hooks run in the thread's own map */

    /* The map and its value have outlived the thread. */
    CHECK_UINT(ended.count, 1);
    switch_to(story.map, NULL);
    CHECK_PTR(tls_get(story.moving), VALUE(2));
    CHECK_OK(tls_key_release(story.moving));
    CHECK_UINT(ended.count, 2);
    CHECK_UINT(notices, 1);
    switch_to(NULL, story.map);
    CHECK_OK(tls_map_destroy(story.map));
}

static void
detaching_leaves_the_map_as_the_threads_end_does(void)
{
    tls_key_t key = test_key_logged(&ended);
    tls_map_t *map = make_map();

    test_log_clear(&ended);
    CHECK_OK(tls_set(key, VALUE(1)));
    switch_to(map, NULL);
    CHECK_OK(tls_set(key, VALUE(2)));
    CHECK_OK(tls_thread_detach());
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_DETACHED, test_thread());
    CHECK_PTR(tls_map_current(), NULL);
    switch_to(map, NULL);
    CHECK_PTR(tls_get(key), VALUE(2));
    switch_to(NULL, map);
    CHECK_OK(tls_map_destroy(map));
    CHECK_OK(tls_key_release(key));
}

/* ---- A task that has switched, and whose scope's end ends the thread ----- */

static void
leave_thread(void *value, int reason, void *user)
{
    (void)value;
    (void)reason;
    (void)user;
    pthread_exit(NULL);
}

typedef struct leaving_task {
    tls_map_t *map;
    tls_key_t key;
} leaving_task_t;

static void
set_and_switch(void *argument)
{
    leaving_task_t *task = (leaving_task_t *)argument;

    CHECK_OK(tls_set(task->key, VALUE(1)));
    CHECK_OK(tls_map_switch(task->map, NULL));
}

static void *
run_leaving_task(void *argument)
{
    tls_task_t *task = NULL;

    CHECK_OK(tls_task_create(&task, set_and_switch, argument));
    tls_task_run(task);
    CHECK(0); /* its scope has ended, and with it the thread */
    return NULL;
}

static void
a_thread_that_ends_in_its_tasks_scope_leaves_the_map_that_the_task_has_switched_to(void)
{
    tls_key_options_t options = test_options();
    leaving_task_t task;

    options.destroy = leave_thread;
    CHECK_OK(tls_key_create(&task.key, &options));
    task.map = make_map();
    test_in_thread(run_leaving_task, &task);
    switch_to(task.map, NULL);
    switch_to(NULL, task.map);
    CHECK_OK(tls_map_destroy(task.map));
    CHECK_OK(tls_key_release(task.key));
}

int
main(void)
{
    RUN(null_is_the_threads_own_map_or_nothing_or_an_error);
    RUN(a_switch_attaches_the_thread_and_a_look_does_not);
    RUN(each_map_has_its_own_value_and_all_functions_mean_the_current_one);
    RUN(a_map_is_busy_while_a_thread_has_it_and_free_when_it_has_another);
    RUN(a_detached_map_hears_of_dead_keys_and_the_next_owner_ends_the_values);
    RUN(a_release_ends_the_value_of_the_current_map_and_leaves_the_threads_own);
    RUN(a_release_ends_any_values_in_detached_maps_at_once);
    RUN(visitors_are_told_thread_0_for_maps_that_no_thread_is_in);
    RUN(hooks_and_notices_stay_the_threads_and_its_end_leaves_the_map);
    RUN(detaching_leaves_the_map_as_the_threads_end_does);
    RUN(a_thread_that_ends_in_its_tasks_scope_leaves_the_map_that_the_task_has_switched_to);
    return test_finish();
}
