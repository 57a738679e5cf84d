/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Who still has values of a dead key: in a report, and one by one after a drain
 * whose time was up. And how long ago the key died, in deaths.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "reports.h"
#include "worker.h"

#include <sys/syscall.h>

static test_log_t ended;

static int
copy_value(void *value, void **copy, void *user)
{
    (void)user;
    *copy = value;
    return 0;
}

static tls_key_t
key_with(uint32_t flags, uint32_t reclaim)
{
    tls_key_options_t options = test_options_logged(&ended);

    options.flags = flags;
    options.copy = (flags & TLS_KEY_INHERIT) != 0 ? copy_value : NULL;
    options.reclaim = reclaim;
    return test_key_from(&options);
}

/* ---- Holders, noted ----------------------------------------------------------- */

enum { MOST = 400 };

typedef struct holders {
    size_t calls;
    size_t values;
    size_t stop_at; /* the call that wants no more; 0: none */
    uint64_t maps[MOST];
    uint64_t threads[MOST];
} holders_t;

static int
note_holder(uint64_t map, uint64_t thread, size_t values, void *argument)
{
    holders_t *holders = (holders_t *)argument;
    size_t i;

    CHECK(holders->calls < MOST);
    CHECK_AT_LEAST(values, 1);
    for (i = 0; i < holders->calls; i++)
        CHECK(holders->maps[i] != map);
    holders->maps[holders->calls] = map;
    holders->threads[holders->calls] = thread;
    holders->values += values;
    holders->calls++;
    return holders->calls == holders->stop_at ? 77 : 0;
}

static holders_t
holders_of(tls_key_t key)
{
    holders_t holders;

    memset(&holders, 0, sizeof(holders));
    CHECK_OK(tls_for_each_holder(key, note_holder, &holders));
    CHECK_INT(values_reported(key), holders.values == 0 ? -1 : (int)holders.values);
    return holders;
}

static void
job_number(void *argument)
{
    *(uint64_t *)argument = (uint64_t)syscall(SYS_gettid);
}

/* ---- Threads ---------------------------------------------------------------- */

static void
threads_are_named_until_they_have_destroyed_their_values(void)
{
    tls_key_t key = key_with(TLS_KEY_EXPLICIT, TLS_RECLAIM_OWNER);
    tls_key_t missed = test_key();
    worker_t workers[2];
    uint64_t numbers[2];
    holders_t holders;
    size_t left = 0;
    size_t i;

    test_log_clear(&ended);
    workers_start_with_values(workers, 2, key);
    for (i = 0; i < 2; i++)
        worker_do(&workers[i], job_number, &numbers[i]);
    CHECK_UINT(holders_of(key).calls, 2);
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(holders_of(key).calls, 2);

    /* A miss drains the inbox; what is of an EXPLICIT key stays. */
    CHECK_PTR(worker_get(&workers[0], missed), NULL);
    CHECK_INT(values_reported(key), 2);
    CHECK_CODE(tls_key_drain(key, 1, &left), TLS_ERR_TIMEOUT);
    CHECK_UINT(left, 2);
    holders = holders_of(key);
    CHECK_UINT(holders.calls, 2);
    CHECK_UINT(holders.values, 2);
    CHECK(holders.maps[0] > holders.maps[1]); /* the latest first */
    CHECK_UINT(holders.threads[0], numbers[1]);
    CHECK_UINT(holders.threads[1], numbers[0]);

    CHECK_UINT(worker_expunge(&workers[0]), 1);
    holders = holders_of(key);
    CHECK_UINT(holders.calls, 1);
    CHECK_UINT(holders.threads[0], numbers[1]);
    worker_stop(&workers[1]);
    CHECK_UINT(holders_of(key).calls, 0);
    CHECK_UINT(ended.freed, 1);
    worker_stop(&workers[0]);
    CHECK_OK(tls_key_release(missed));
}

/* Set in a scope, covered, hidden: each is a value. */
static void
values_that_scopes_cover_count(void)
{
    tls_key_t key = key_with(0, TLS_RECLAIM_OWNER);
    tls_map_t *map = NULL;
    tls_scope_t scopes[2];
    holders_t holders;

    CHECK_OK(tls_map_create(&map));
    CHECK_OK(tls_map_switch(map, NULL));
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_scope_begin(&scopes[0], NULL));
    CHECK_OK(tls_set(key, VALUE(2)));
    CHECK_OK(tls_scope_begin(&scopes[1], NULL));
    CHECK_OK(tls_remove(key));
    CHECK_OK(tls_map_switch(NULL, NULL));
    holders = holders_of(key);
    CHECK_UINT(holders.calls, 1);
    CHECK_UINT(holders.values, 2);
    CHECK_OK(tls_key_release(key));
    /* A map that is attached to nobody. */
    holders = holders_of(key);
    CHECK_UINT(holders.calls, 1);
    CHECK_UINT(holders.values, 2);
    CHECK_UINT(holders.threads[0], 0);
    CHECK_OK(tls_map_destroy(map));
    CHECK_UINT(holders_of(key).calls, 0);
}

static void
a_context_is_a_holder(void)
{
    tls_key_t key = key_with(TLS_KEY_INHERIT, TLS_RECLAIM_OWNER);
    tls_context_t *contexts[2] = { NULL, NULL };
    holders_t holders;

    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_context_capture(&contexts[0]));
    CHECK_OK(tls_context_capture(&contexts[1]));
    CHECK_UINT(holders_of(key).calls, 3);
    CHECK_OK(tls_remove(key));
    CHECK_OK(tls_key_release(key));
    holders = holders_of(key);
    CHECK_UINT(holders.calls, 2);
    CHECK_UINT(holders.threads[0], 0);
    CHECK_INT(deaths_reported(key), 0);
    tls_context_free(contexts[0]);
    CHECK_UINT(holders_of(key).calls, 1);
    tls_context_free(contexts[1]);
    CHECK_UINT(holders_of(key).calls, 0);
}

/* More than are noted at a time; each once, with maps and contexts among each other. */
static void
any_number_of_maps_is_named(void)
{
    enum { MAPS = 300, CONTEXTS = 40 };
    static tls_map_t *maps[MAPS];
    static tls_context_t *contexts[CONTEXTS];
    tls_key_t key = key_with(TLS_KEY_INHERIT, TLS_RECLAIM_OWNER);
    holders_t holders;
    size_t i;

    CHECK_OK(tls_set(key, VALUE(MAPS + 1)));
    for (i = 0; i < MAPS; i++) {
        if (i % (MAPS / CONTEXTS + 1) == 0)
            CHECK_OK(tls_context_capture(&contexts[i / (MAPS / CONTEXTS + 1)]));
        CHECK_OK(tls_map_create(&maps[i]));
        CHECK_OK(tls_map_switch(maps[i], NULL));
        CHECK_OK(tls_set(key, VALUE(i + 1)));
        CHECK_OK(tls_map_switch(NULL, NULL));
    }
    holders = holders_of(key);
    CHECK_UINT(holders.calls, MAPS + (MAPS - 1) / (MAPS / CONTEXTS + 1) + 2);
    CHECK_OK(tls_key_release(key));
    holders.calls = holders_of(key).calls;
    CHECK_UINT(holders.calls, MAPS + (MAPS - 1) / (MAPS / CONTEXTS + 1) + 1);
    for (i = 0; i < MAPS; i++)
        CHECK_OK(tls_map_destroy(maps[i]));
    for (i = 0; i < CONTEXTS; i++)
        if (contexts[i] != NULL)
            tls_context_free(contexts[i]);
    CHECK_UINT(holders_of(key).calls, 0);
}

/* ---- The visitor ----------------------------------------------------------------- */

static int
release_in_visit(uint64_t map, uint64_t thread, size_t values, void *argument)
{
    holders_t *holders = (holders_t *)argument;

    CHECK_CODE(tls_thread_detach(), TLS_ERR_REENTRANT);
    CHECK_OK(note_holder(map, thread, values, argument));
    if (holders->calls == 1)
        CHECK_OK(tls_key_release(holders->threads[MOST - 1]));
    return 0;
}

static void
a_visitor_may_stop_and_may_call_everything(void)
{
    tls_key_t key = key_with(0, TLS_RECLAIM_OWNER);
    worker_t workers[3];
    holders_t holders;

    memset(&holders, 0, sizeof(holders));
    workers_start_with_values(workers, 3, key);
    holders.stop_at = 2;
    CHECK_INT(tls_for_each_holder(key, note_holder, &holders), 77);
    CHECK_UINT(holders.calls, 2);
    memset(&holders, 0, sizeof(holders));
    holders.threads[MOST - 1] = key;
    CHECK_OK(tls_for_each_holder(key, release_in_visit, &holders));
    CHECK_UINT(holders.calls, 3);
    CHECK(!tls_key_is_live(key));
    workers_stop(workers, 3);
}

static int
end_in_visit(uint64_t map, uint64_t thread, size_t values, void *argument)
{
    (void)map;
    (void)thread;
    (void)values;
    pthread_exit(argument);
}

static void *
visit_and_end(void *key)
{
    CHECK_OK(tls_set(*(tls_key_t *)key, VALUE(9)));
    tls_for_each_holder(*(tls_key_t *)key, end_in_visit, key);
    return NULL;
}

static void
a_visitor_may_end_its_thread(void)
{
    tls_key_t key = key_with(0, TLS_RECLAIM_OWNER);
    uint64_t bytes;

    CHECK_OK(tls_set(key, VALUE(1)));
    bytes = test_stats().bytes;
    CHECK_PTR(test_in_thread(visit_and_end, &key), &key);
    CHECK_UINT(test_stats().bytes, bytes);
    CHECK_UINT(holders_of(key).calls, 1);
    CHECK_OK(tls_key_release(key));
}

static void
what_is_no_key_has_no_holders(void)
{
    tls_key_t key = test_key();
    holders_t holders;

    memset(&holders, 0, sizeof(holders));
    CHECK_CODE(tls_for_each_holder(key, NULL, NULL), TLS_ERR_INVALID);
    CHECK_CODE(tls_for_each_holder(TLS_KEY_NONE, note_holder, &holders), TLS_ERR_BAD_KEY);
    CHECK_CODE(tls_for_each_holder(~(tls_key_t)0, note_holder, &holders), TLS_ERR_BAD_KEY);
    CHECK_OK(tls_for_each_holder(key, note_holder, &holders));
    CHECK_OK(tls_key_release(key));
    CHECK_OK(tls_for_each_holder(key, note_holder, &holders));
    CHECK_UINT(holders.calls, 0);
}

/* ---- Deaths ---------------------------------------------------------------------- */

static int deaths_in_callback;
static int values_in_callback;

static void
look_while_it_is_destroyed(void *value, int reason, void *user)
{
    (void)value;
    (void)reason;
    deaths_in_callback = deaths_reported(*(tls_key_t *)user);
    values_in_callback = values_reported(*(tls_key_t *)user);
}

static void
deaths_that_leave_values_are_counted(void)
{
    tls_key_options_t options = test_options();
    tls_key_t keys[4];
    tls_key_t lone;
    worker_t worker;
    size_t i;

    worker_start(&worker);
    for (i = 0; i < 4; i++) {
        keys[i] = key_with(TLS_KEY_EXPLICIT, TLS_RECLAIM_OWNER);
        CHECK_OK(worker_set(&worker, keys[i], VALUE(1)));
        CHECK_INT(deaths_reported(keys[i]), -1);
    }
    for (i = 0; i < 4; i++) {
        CHECK_OK(tls_key_release(keys[i]));
        CHECK_INT(deaths_reported(keys[i]), 0);
        CHECK_INT(deaths_reported(keys[0]), (int)i);
        /* Keys that leave nothing. */
        lone = test_key();
        CHECK_OK(tls_key_release(lone));
        lone = test_key();
        CHECK_OK(tls_set(lone, VALUE(2)));
        CHECK_OK(tls_key_release(lone));
    }
    CHECK_INT(deaths_reported(keys[1]), 2);
    /* The same for keys that were looked at, which die with a lock. */
    for (i = 0; i < 3; i++) {
        options.reclaim = i == 0 ? TLS_RECLAIM_OWNER : TLS_RECLAIM_ANY;
        lone = test_key_from(&options);
        CHECK_OK(tls_set(lone, VALUE(2)));
        if (i == 2)
            CHECK_OK(worker_set(&worker, lone, VALUE(2)));
        CHECK_INT(deaths_reported(lone), -1);
        CHECK_OK(tls_key_release(lone));
    }
    CHECK_INT(deaths_reported(keys[1]), 2);
    options.reclaim = TLS_RECLAIM_OWNER;

    /* It dies with its only value, which is just being destroyed: nobody else has one. */
    options.destroy = look_while_it_is_destroyed;
    options.user = &lone;
    lone = test_key_from(&options);
    CHECK_OK(tls_set(lone, VALUE(3)));
    CHECK_OK(tls_key_release(lone));
    CHECK_INT(deaths_in_callback, -1);
    CHECK_INT(values_in_callback, 0);
    worker_stop(&worker);

    /* The slots serve other keys, whose deaths are others. */
    for (i = 0; i < 4; i++) {
        lone = test_key_from(&options);
        CHECK_OK(tls_set(lone, VALUE(3)));
        deaths_in_callback = 0;
        CHECK_OK(tls_key_release(lone));
        CHECK_INT(deaths_in_callback, -1);
    }
}

/* ---- Slabs that come and go -------------------------------------------------- */

enum { HIDDEN = 300 };

static void
job_release_all(void *keys)
{
    test_release_keys((const tls_key_t *)keys, HIDDEN);
}

/* What hides a value goes when the value does, with the map's lock held where other
 * threads reach the map: and with the last one of a slab the slab. */
static void
slabs_go_while_the_map_is_locked(void)
{
    static tls_key_t keys[HIDDEN];
    tls_key_t any = key_with(0, TLS_RECLAIM_ANY);
    tls_scope_t scope;
    worker_t worker;
    uint64_t bytes;
    size_t i;

    worker_start(&worker);
    CHECK_OK(tls_set(any, VALUE(1)));
    for (i = 0; i < HIDDEN; i++) {
        keys[i] = test_key();
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    }
    CHECK_OK(tls_scope_begin(&scope, NULL));
    for (i = 0; i < HIDDEN; i++)
        CHECK_OK(tls_remove(keys[i]));
    CHECK_INT(values_reported(keys[7]), 1);
    bytes = test_stats().bytes;
    worker_do(&worker, job_release_all, keys);
    CHECK_INT(values_reported(keys[7]), 1);
    CHECK_INT(values_reported(any), 1);
    CHECK_UINT(tls_expunge(), HIDDEN);
    CHECK_AT_MOST(test_stats().bytes, bytes - HIDDEN * 64); /* of two records each, one at least */
    CHECK_INT(values_reported(any), 1);
    CHECK_OK(tls_scope_end(scope));
    CHECK_OK(tls_key_release(any));
    worker_stop(&worker);
}

int
main(void)
{
    RUN(threads_are_named_until_they_have_destroyed_their_values);
    RUN(values_that_scopes_cover_count);
    RUN(a_context_is_a_holder);
    RUN(any_number_of_maps_is_named);
    RUN(a_visitor_may_stop_and_may_call_everything);
    RUN(a_visitor_may_end_its_thread);
    RUN(what_is_no_key_has_no_holders);
    RUN(deaths_that_leave_values_are_counted);
    RUN(slabs_go_while_the_map_is_locked);
    return test_finish();
}
