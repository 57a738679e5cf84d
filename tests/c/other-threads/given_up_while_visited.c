/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A key's destroy callback sets the key again in every round of an end (of a
 * thread, its detaching, a map, a scope), so that the last value is given up
 * after the fourth, while other threads visit that very value. It is counted in
 * tls_stats_t.leaked, its record stays as long as it is visited, and the key
 * drains.
 */
#include "lives.h"
#include "worker.h"

#define VISITORS 2

typedef enum end {
    THREAD_ENDS,
    THREAD_DETACHES,
    MAP_ENDS,
    SCOPE_ENDS
} end_t;

static const char *const end_names[] = {"thread", "detach", "map", "scope"};

/* What varies; main() sets it before each test. */
static end_t what_ends;
static uint32_t reclaim, flags;
static bool key_dies, thread_stays_inside;

static tls_key_t key;
static size_t rounds, met, go;
static void *last;

static void
destroy_and_set(void *value, int reason, void *user)
{
    life_destroy(value, reason, user);
    if (reason == TLS_REASON_REPLACED || reason == TLS_REASON_KEY_DEAD ||
        reason == TLS_REASON_REMOVED)
        return;
    if (test_count(&rounds) == 4)
        return;
    if (test_count_up(&rounds) == 4) {
        last = life();
        CHECK_OK(tls_set(key, last));
        apart_wait(&met, VISITORS);
    } else {
        CHECK_OK(life_set(key));
    }
}

static int
stay_with_the_last(void *value, uint64_t thread, void *argument)
{
    size_t *done = (size_t *)argument;

    (void)thread;
    if (value == NULL || value != last)
        return 0;
    test_count_up(&met);
    apart_wait(&go, 1);
    CHECK(!life_is_over(value));
    *done = 1;
    return 0;
}

static void *
visit_until_met(void *argument)
{
    size_t done = 0;
    int code = TLS_OK;

    apart_wait(&rounds, 4); /* earlier values end as any other */
    while (!done && code != TLS_ERR_DEAD_KEY) {
        code = tls_for_each(key, stay_with_the_last, &done);
        CHECK(code == TLS_OK || code == TLS_ERR_DEAD_KEY);
    }
    CHECK_UINT(done, 1);
    return argument;
}

static void *
end_it(void *argument)
{
    tls_scope_t scope;
    tls_map_t *map;

    switch (what_ends) {
    case THREAD_ENDS:
        CHECK_OK(life_set(key));
        break;
    case THREAD_DETACHES:
        CHECK_OK(life_set(key));
        CHECK_OK(tls_thread_detach());
        break;
    case MAP_ENDS:
        CHECK_OK(tls_map_create(&map));
        CHECK_OK(tls_map_switch(map, NULL));
        CHECK_OK(life_set(key));
        CHECK_OK(tls_map_switch(NULL, NULL));
        CHECK_OK(tls_map_destroy(map));
        break;
    case SCOPE_ENDS:
        CHECK_OK(tls_scope_begin(&scope, NULL));
        CHECK_OK(life_set(key));
        CHECK_OK(tls_scope_end(scope));
        break;
    }
    if (thread_stays_inside)
        apart_wait(&go, 1);
    return argument;
}

static void
a_value_that_is_given_up_stays_while_it_is_visited(void)
{
    tls_key_options_t options = test_options();
    pthread_t visitors[VISITORS];
    pthread_t thread;
    uint64_t leaked;
    size_t i;

    options.destroy = destroy_and_set;
    options.copy = life_copy;
    options.reclaim = reclaim;
    options.flags = TLS_KEY_ENUMERABLE | flags;
    key = test_key_from(&options);
    CHECK_OK(tls_key_retain(key));
    for (i = 0; i < VISITORS; i++)
        visitors[i] = test_start(visit_until_met, NULL);
    thread = test_start(end_it, NULL);
    apart_wait(&rounds, 4);
    apart_wait(&met, VISITORS);
    if (!thread_stays_inside)
        test_join(thread);
    if (key_dies) {
        CHECK_OK(tls_key_release(key));
        CHECK_OK(tls_key_release(key));
    }
    apart_set(&go, 1);
    for (i = 0; i < VISITORS; i++)
        test_join(visitors[i]);
    if (thread_stays_inside)
        test_join(thread);
    leaked = test_stats().leaked;
    CHECK_UINT(lives_ended() + leaked, lives_made);
    CHECK_AT_MOST(leaked, 1);
    CHECK_UINT(test_stats().entries, 0);
    CHECK_UINT(test_stats().maps, 0);
    life_key_is_drained(key);
    if (!key_dies) {
        CHECK_OK(tls_set(key, VALUE(LIVES)));
        CHECK_PTR(tls_get(key), VALUE(LIVES));
        lives_made = LIVES; /* that value ends as any other */
        rounds = 4;
        CHECK_OK(tls_remove(key));
        CHECK_OK(tls_key_release(key));
        CHECK_OK(tls_key_release(key));
    }
    life_key_is_drained(key);
}

int
main(void)
{
    static const uint32_t all_flags[] = {0, TLS_KEY_WORKER, TLS_KEY_INHERIT};
    char variant[128];
    int i;

    for (what_ends = THREAD_ENDS; what_ends <= SCOPE_ENDS; what_ends = (end_t)(what_ends + 1))
        for (i = 0; i < 24; i++) {
            reclaim = i & 1 ? TLS_RECLAIM_ANY : TLS_RECLAIM_OWNER;
            key_dies = (i & 2) != 0;
            thread_stays_inside = (i & 4) != 0;
            flags = all_flags[i / 8];
            if (what_ends == SCOPE_ENDS && flags == TLS_KEY_WORKER)
                continue; /* scopes leave these values alone */
            if (what_ends == THREAD_ENDS && thread_stays_inside)
                continue;
            snprintf(variant, sizeof(variant), "(%s, reclaim %u, flags %u%s%s)",
                     end_names[what_ends], (unsigned)reclaim, (unsigned)flags,
                     key_dies ? ", the key dies" : "",
                     thread_stays_inside ? ", the thread lives on" : "");
            RUN_APART_OF_DOZENS(a_value_that_is_given_up_stays_while_it_is_visited, variant);
        }
    return apart_finish();
}
