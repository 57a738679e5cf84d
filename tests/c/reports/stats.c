/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Each number of tls_stats, where it must change and where it must not. */
#include "worker.h"

static test_log_t ended;

static void
keys_and_dead_keys(void)
{
    tls_stats_t before = test_stats();
    worker_t worker;
    tls_key_t a = test_key();
    tls_key_t b = test_key();

    worker_start(&worker);
    CHECK_UINT(test_stats().keys, before.keys + 2);
    CHECK_OK(tls_key_retain(a));
    CHECK_UINT(test_stats().keys, before.keys + 2);
    CHECK_OK(tls_key_release(a));
    CHECK_UINT(test_stats().keys, before.keys + 2);

    /* Without a value a dead key is gone at once; with one it is not. */
    CHECK_OK(worker_set(&worker, b, VALUE(1)));
    CHECK_OK(tls_key_release(a));
    CHECK_OK(tls_key_release(b));
    CHECK_UINT(test_stats().keys, before.keys);
    CHECK_UINT(test_stats().dead_keys, before.dead_keys + 1);
    CHECK_UINT(worker_expunge(&worker), 1);
    CHECK_UINT(test_stats().dead_keys, before.dead_keys);
    worker_stop(&worker);
}

static void
maps_entries_and_capacity(void)
{
    tls_stats_t before = test_stats();
    tls_stats_t stats;
    worker_t workers[3];
    tls_key_t key = test_key();
    size_t i;

    for (i = 0; i < 3; i++)
        worker_start(&workers[i]);
    CHECK_UINT(test_stats().maps, before.maps);
    for (i = 0; i < 3; i++) {
        CHECK_OK(worker_set(&workers[i], key, VALUE(i + 1)));
        stats = test_stats();
        CHECK_UINT(stats.maps, before.maps + i + 1);
        CHECK_UINT(stats.entries, before.entries + i + 1);
        CHECK_UINT(stats.capacity, before.capacity + 16 * (i + 1));
        CHECK_AT_LEAST(stats.bytes, before.bytes + 16 * 16 * (i + 1));
        CHECK_UINT(stats.unwatched, 0);
    }
    CHECK_OK(worker_detach(&workers[0]));
    worker_stop(&workers[1]);
    stats = test_stats();
    CHECK_UINT(stats.maps, before.maps + 1);
    CHECK_UINT(stats.entries, before.entries + 1);
    CHECK_UINT(stats.capacity, before.capacity + 16);
    worker_stop(&workers[0]);
    worker_stop(&workers[2]);
    CHECK_UINT(test_stats().maps, before.maps);
    CHECK_UINT(test_stats().entries, before.entries);
    CHECK_OK(tls_key_release(key));
}

static void
stale_and_expunged(void)
{
    tls_stats_t before = test_stats();
    worker_t worker;
    tls_key_t keys[6];
    int i;

    test_log_clear(&ended);
    worker_start(&worker);
    for (i = 0; i < 6; i++) {
        keys[i] = test_key_logged(&ended);
        CHECK_OK(worker_set(&worker, keys[i], VALUE(i + 1)));
    }
    for (i = 0; i < 5; i++)
        CHECK_OK(tls_key_release(keys[i]));
    CHECK_UINT(test_stats().stale, before.stale + 5);
    CHECK_UINT(test_stats().entries, before.entries + 6);
    CHECK_UINT(test_stats().expunged, before.expunged);
    CHECK_UINT(worker_expunge_some(&worker, 2), 2);
    CHECK_UINT(test_stats().stale, before.stale + 3);
    CHECK_UINT(test_stats().entries, before.entries + 4);
    CHECK_UINT(test_stats().expunged, before.expunged + 2);
    /* Those that the thread's end destroys were stale as well; the sixth was
     * not. What has happened stays counted when the thread is gone. */
    worker_stop(&worker);
    CHECK_UINT(test_stats().stale, before.stale);
    CHECK_UINT(test_stats().expunged, before.expunged + 5);
    CHECK_UINT(test_stats().destroyed, before.destroyed + 6);
    CHECK_UINT(ended.count, 6);
    CHECK_OK(tls_key_release(keys[5]));
}

static tls_key_t dies_in_init;

static int
release_and_make(void **value, void *user)
{
    (void)user;
    CHECK_OK(tls_key_release(dies_in_init));
    *value = VALUE(1);
    return 0;
}

/* What init made is destroyed because its key is dead, and never was stale. */
static void
expunged_where_a_key_dies_in_its_init(void)
{
    tls_stats_t before = test_stats();
    tls_key_options_t options = test_options();

    test_log_clear(&ended);
    options.init = release_and_make;
    options.destroy = test_log_destroy;
    options.user = &ended;
    dies_in_init = test_key_from(&options);
    CHECK(tls_get(dies_in_init) == NULL);
    CHECK_UINT(ended.count, 1);
    CHECK_UINT(ended.records[0].reason, TLS_REASON_KEY_DEAD);
    CHECK_UINT(test_stats().destroyed, before.destroyed + 1);
    CHECK_UINT(test_stats().expunged, before.expunged + 1);
}

static void *
set_and_detach(void *argument)
{
    CHECK_OK(tls_set(*(tls_key_t *)argument, VALUE(9)));
    CHECK_OK(tls_thread_detach());
    return NULL;
}

static void *
set_and_end(void *argument)
{
    CHECK_OK(tls_set(*(tls_key_t *)argument, VALUE(9)));
    return NULL;
}

/* Every destroy callback is counted, whatever the reason; values that are
 * handed over, and NULL, are not. */
static void
destroyed(void)
{
    uint64_t before = test_stats().destroyed;
    tls_key_t key;
    void *old;

    test_log_clear(&ended);
    key = test_key_logged(&ended);
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_swap(key, VALUE(2), &old));
    CHECK_OK(tls_take(key, &old));
    CHECK_OK(tls_set(key, NULL));
    CHECK_OK(tls_set(key, VALUE(3)));
    CHECK_UINT(test_stats().destroyed, before);

    CHECK_OK(tls_set(key, VALUE(4)));
    CHECK_UINT(test_stats().destroyed, before + 1);
    CHECK_OK(tls_remove(key));
    CHECK_UINT(test_stats().destroyed, before + 2);
    CHECK_OK(tls_set(key, VALUE(5)));
    CHECK_OK(tls_remove_all());
    CHECK_UINT(test_stats().destroyed, before + 3);
    test_in_thread(set_and_detach, &key);
    CHECK_UINT(test_stats().destroyed, before + 4);
    test_in_thread(set_and_end, &key);
    CHECK_UINT(test_stats().destroyed, before + 5);
    CHECK_OK(tls_set(key, VALUE(6)));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(test_stats().destroyed, before + 6);
    CHECK_UINT(ended.count, 6);
}

/* Whatever happens and is undone leaves the memory where it was. */
static void
bytes_come_back(void)
{
    tls_key_options_t options = test_options();
    tls_key_t keys[100];
    uint64_t bytes = 0;
    int round;
    int i;

    options.name = "a name takes memory as well";
    for (round = 0; round < 10; round++) {
        for (i = 0; i < 100; i++) {
            keys[i] = test_key_from(&options);
            CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
        }
        if (round > 0)
            CHECK_AT_LEAST(test_stats().bytes, bytes + 100);
        for (i = 0; i < 100; i++)
            CHECK_OK(tls_key_release(keys[i]));
        CHECK_OK(tls_thread_detach());
        if (round == 0)
            bytes = test_stats().bytes;
        CHECK_UINT(test_stats().bytes, bytes);
    }
}

/* All that a thread and its values take. */
static void
values_take_few_bytes(void)
{
    static const struct {
        int values;
        uint64_t each;
        uint64_t thread;
    } bars[] = {{10, 56, 1536}, {1000, 100, 512}};
    static tls_key_t keys[1000];
    uint64_t bytes;
    size_t i;
    int j;

    for (j = 0; j < 1000; j++)
        keys[j] = test_key();
    for (i = 0; i < 2; i++) {
        CHECK_OK(tls_thread_detach());
        bytes = test_stats().bytes;
        for (j = 0; j < bars[i].values; j++)
            CHECK_OK(tls_set(keys[j], VALUE(j + 1)));
        CHECK_AT_MOST(test_stats().bytes - bytes,
                      bars[i].thread + bars[i].each * (uint64_t)bars[i].values);
    }
    for (j = 0; j < 1000; j++)
        CHECK_OK(tls_key_release(keys[j]));
}

/* ---- Scopes, contexts, tasks and maps that move -------------------------- */

static int
copy_value(void *value, void **copy, void *user)
{
    (void)user;
    *copy = value;
    return 0;
}

static void
do_nothing(void *argument)
{
    (void)argument;
}

#define CHECK_HOLDS(before, more_maps, more_entries, more_contexts)           \
    do {                                                                      \
        CHECK_UINT(test_stats().maps, (before).maps + (more_maps));           \
        CHECK_UINT(test_stats().entries, (before).entries + (more_entries));  \
        CHECK_UINT(test_stats().contexts, (before).contexts + (more_contexts)); \
    } while (0)

static void
hidden_captured_and_moving_values_are_counted(void)
{
    tls_key_options_t options = test_options();
    tls_stats_t before;
    tls_context_t *context = NULL;
    tls_task_t *task = NULL;
    tls_map_t *map = NULL;
    tls_scope_t scope;
    tls_key_t key;

    options.copy = copy_value;
    options.flags = TLS_KEY_INHERIT;
    key = test_key_from(&options);
    CHECK_OK(tls_thread_attach());
    before = test_stats();
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_HOLDS(before, 0, 1, 0);
    CHECK_OK(tls_scope_begin(&scope, NULL));
    CHECK_HOLDS(before, 0, 1, 0);
    CHECK_OK(tls_set(key, VALUE(2)));
    CHECK_HOLDS(before, 0, 2, 0); /* one is hidden */
    CHECK_OK(tls_context_capture(&context));
    CHECK_HOLDS(before, 0, 3, 1);
    CHECK_OK(tls_task_create(&task, do_nothing, NULL));
    CHECK_HOLDS(before, 0, 4, 2);
    CHECK_OK(tls_map_create(&map));
    CHECK_HOLDS(before, 1, 4, 2);
    CHECK_OK(tls_map_switch(map, NULL));
    tls_task_run(task);
    CHECK_HOLDS(before, 1, 3, 1);
    CHECK_OK(tls_set(key, VALUE(3)));
    CHECK_HOLDS(before, 1, 4, 1);
    CHECK_OK(tls_map_switch(NULL, NULL));
    CHECK_OK(tls_scope_end(scope));
    CHECK_HOLDS(before, 1, 3, 1);

    /* The key dies: stale where it is hidden, captured, or nobody's. */
    CHECK_OK(tls_key_release(key));
    CHECK_HOLDS(before, 1, 2, 1);
    CHECK_UINT(test_stats().stale, before.stale + 2);
    CHECK_UINT(test_stats().dead_keys, before.dead_keys + 1);
    CHECK_OK(tls_map_destroy(map));
    CHECK_HOLDS(before, 0, 1, 1);
    CHECK_UINT(test_stats().stale, before.stale + 1);
    tls_context_free(context);
    CHECK_HOLDS(before, 0, 0, 0);
    CHECK_UINT(test_stats().stale, before.stale);
    CHECK_UINT(test_stats().dead_keys, before.dead_keys);
    CHECK_UINT(test_stats().expunged, before.expunged + 3);
    CHECK_UINT(test_stats().destroyed, before.destroyed);
    CHECK_UINT(test_stats().unscoped, before.unscoped);
}

int
main(void)
{
    RUN(hidden_captured_and_moving_values_are_counted);
    RUN(keys_and_dead_keys);
    RUN(maps_entries_and_capacity);
    RUN(stale_and_expunged);
    RUN(expunged_where_a_key_dies_in_its_init);
    RUN(destroyed);
    RUN(bytes_come_back);
    RUN(values_take_few_bytes);
    return test_finish();
}
