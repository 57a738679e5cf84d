/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The order of ends: what was set later depends on what was set before, so of all
 * that is stale when a call begins, the youngest ends first, on whatever
 * threads and in whatever order the keys were released, and however often the owner has looked meanwhile.
 */
#include "apart.h"
#include "worker.h"

#define VALUES 300

static test_log_t ended;
static tls_key_t keys[VALUES];
static tls_key_t spare[VALUES]; /* live, and never stale */
static bool is_stale[VALUES], has_ended[VALUES];
static size_t seen; /* records of the log that were looked at */
static unsigned int seed;
static worker_t owner, releasers[3];

static size_t
draw(size_t below)
{
    seed = seed * 1103515245u + 12345u;
    return (seed >> 8) % below;
}

static void
begin(uint32_t flags)
{
    tls_key_options_t options = test_options();
    size_t i;

    test_log_clear(&ended);
    seen = 0;
    options.destroy = test_log_destroy;
    options.user = &ended;
    options.flags = flags;
    for (i = 0; i < VALUES; i++) {
        keys[i] = test_key_from(&options);
        spare[i] = test_key();
        is_stale[i] = has_ended[i] = false;
    }
    worker_start(&owner);
    for (i = 0; i < 3; i++)
        worker_start(&releasers[i]);
}

static void
finish(void)
{
    size_t i;

    for (i = 0; i < VALUES; i++) {
        if (tls_key_is_live(keys[i]))
            CHECK_OK(tls_key_release(keys[i]));
        CHECK_OK(tls_key_release(spare[i]));
    }
    worker_stop(&owner);
    for (i = 0; i < 3; i++)
        worker_stop(&releasers[i]);
    CHECK_UINT(ended.count, VALUES);
}

/* Value i is VALUE(i + 1); some other values stand between them. */
static void
set_values(void *argument)
{
    size_t i;

    (void)argument;
    for (i = 0; i < VALUES; i++) {
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
        if (i % 3 == 0)
            CHECK_OK(tls_set(spare[i], VALUE(1)));
        if (i % 7 == 0)
            CHECK_OK(tls_remove(spare[i / 7 * 3]));
    }
}

static void
release_one(void *key)
{
    CHECK_OK(tls_key_release(*(tls_key_t *)key));
}

static void
have_released(size_t count)
{
    size_t i;

    while (count > 0) {
        i = draw(VALUES);
        if (is_stale[i])
            continue;
        worker_do(&releasers[draw(3)], release_one, &keys[i]);
        is_stale[i] = true;
        count--;
    }
}

/* Each record of the log from `seen` on is of the youngest value that was stale and
 * had not ended before it. */
static void
check_the_youngest_have_ended(void)
{
    size_t youngest;

    for (; seen < ended.count; seen++) {
        size_t i = (size_t)(uintptr_t)ended.records[seen].value - 1;

        for (youngest = VALUES - 1; !is_stale[youngest] || has_ended[youngest]; youngest--)
            CHECK_AT_LEAST(youngest, 1);
        CHECK_UINT(i, youngest);
        has_ended[i] = true;
    }
}

/* ---- What ends them -------------------------------------------------------------------- */

static void
by_expunge(void *argument)
{
    (void)argument;
    tls_expunge();
    CHECK_UINT(tls_stale_count(), 0);
}

static void
by_a_few(void *argument)
{
    (void)argument;
    tls_expunge_some(1 + draw(7));
}

static void
by_misses(void *argument)
{
    tls_key_t unset = test_key();

    (void)argument;
    CHECK_PTR(tls_get(unset), NULL);
    CHECK_OK(tls_key_release(unset));
}

static void
by_sets(void *argument)
{
    size_t i = draw(VALUES);

    (void)argument;
    CHECK_OK(tls_remove(spare[i]));
    CHECK_OK(tls_set(spare[i], VALUE(1)));
}

static void
by_a_scope(void *argument)
{
    tls_scope_t scope;

    (void)argument;
    CHECK_OK(tls_scope_begin(&scope, NULL));
    CHECK_OK(tls_scope_end(scope));
}

static void
by_remove_all(void *argument)
{
    (void)argument;
    CHECK_OK(tls_remove_all());
}

static void
by_detach(void *argument)
{
    (void)argument;
    CHECK_OK(tls_thread_detach());
}

typedef struct way {
    const char *name;
    void (*job)(void *argument);
    bool ends_all; /* the live ones as well */
} way_t;

static const way_t ways[] = {
    { "expunge", by_expunge, false },       { "expunge_some", by_a_few, false },
    { "misses", by_misses, false },         { "sets", by_sets, false },
    { "scope ends", by_a_scope, false },    { "remove_all", by_remove_all, true },
    { "detach", by_detach, true },
};

static const way_t *way;
static uint32_t flags;

static void
the_youngest_of_all_that_is_stale_ends_first(void)
{
    size_t left = VALUES;
    size_t count;

    begin(flags);
    worker_do(&owner, set_values, NULL);
    for (seed = 7; left > 0; left -= count) {
        count = 1 + draw(60);
        count = count < left ? count : left;
        have_released(count);
        /* The owner looks, and ends some of them, or none. */
        worker_do(&owner, way->ends_all ? by_a_few : way->job, NULL);
        check_the_youngest_have_ended();
        if (way->ends_all && left < VALUES / 2)
            break;
    }
    if (way->ends_all) {
        size_t i;

        for (i = 0; i < VALUES; i++)
            is_stale[i] = true; /* the live ones end in the same order */
        worker_do(&owner, way->job, NULL);
        check_the_youngest_have_ended();
        CHECK_UINT(ended.count, VALUES);
    }
    finish();
}

/* In a map that no thread has. */
static tls_map_t *map;

static void
job_set_in_map(void *argument)
{
    CHECK_OK(tls_map_create(&map));
    CHECK_OK(tls_map_switch(map, NULL));
    set_values(argument);
    CHECK_OK(tls_map_switch(NULL, NULL));
}

static void
a_map_that_is_destroyed_ends_the_youngest_first(void)
{
    size_t i;

    begin(flags);
    worker_do(&owner, job_set_in_map, NULL);
    have_released(VALUES / 3);
    CHECK_OK(tls_map_destroy(map));
    for (i = 0; i < VALUES; i++)
        is_stale[i] = true;
    check_the_youngest_have_ended();
    CHECK_UINT(ended.count, VALUES);
    finish();
}

/* What a callback releases is the youngest at once; what it sets is not stale. */
static tls_key_t dependent;

static void
release_in_destroy(void *value, int reason, void *user)
{
    test_log_destroy(value, reason, user);
    if (dependent != TLS_KEY_NONE) {
        tls_key_t key = dependent;

        dependent = TLS_KEY_NONE;
        CHECK_OK(tls_key_release(key));
    }
}

static void
what_a_callback_releases_ends_in_it(void)
{
    tls_key_options_t options = test_options();
    tls_key_t first;
    tls_key_t second;

    test_log_clear(&ended);
    options.destroy = release_in_destroy;
    options.user = &ended;
    dependent = test_key_from(&options);
    first = test_key_from(&options);
    second = test_key_from(&options);
    CHECK_OK(tls_set(first, VALUE(1)));
    CHECK_OK(tls_set(dependent, VALUE(2)));
    CHECK_OK(tls_set(second, VALUE(3)));
    worker_start(&releasers[0]);
    worker_do(&releasers[0], release_one, &second);
    worker_do(&releasers[0], release_one, &first);
    CHECK_UINT(tls_expunge(), 2);
    worker_stop(&releasers[0]);
    CHECK_UINT(ended.count, 3);
    CHECK_PTR(ended.records[0].value, VALUE(3));
    CHECK_PTR(ended.records[1].value, VALUE(2));
    CHECK_PTR(ended.records[2].value, VALUE(1));
}

/* ---- Values whose end a visitor has deferred ------------------------------------------- */

enum ending { THREAD_END, DETACH, REMOVE_ALL, SCOPE_END, MAP_END, ENDINGS };

static enum ending ending;

static int
remove_it(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    CHECK_OK(tls_remove(*(tls_key_t *)argument));
    return 0;
}

static void *
end_three_values(void *argument)
{
    tls_scope_t scope = 0;
    tls_map_t *map = NULL;
    size_t i;

    if (ending == SCOPE_END)
        CHECK_OK(tls_scope_begin(&scope, NULL));
    if (ending == MAP_END) {
        CHECK_OK(tls_map_create(&map));
        CHECK_OK(tls_map_switch(map, NULL));
    }
    for (i = 0; i < 3; i++)
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    CHECK_OK(tls_for_each(keys[1], remove_it, &keys[1]));
    CHECK_UINT(ended.count, 0);
    CHECK_UINT(tls_stale_count(), 1);
    switch (ending) {
    case DETACH: CHECK_OK(tls_thread_detach()); break;
    case REMOVE_ALL: CHECK_OK(tls_remove_all()); break;
    case SCOPE_END: CHECK_OK(tls_scope_end(scope)); break;
    case MAP_END:
        CHECK_OK(tls_map_switch(NULL, NULL));
        CHECK_OK(tls_map_destroy(map));
        break;
    default: return argument;
    }
    CHECK_UINT(ended.count, 3);
    return argument;
}

static void
a_deferred_value_ends_in_its_turn(void)
{
    tls_key_options_t options = test_options_logged(&ended);
    size_t i;

    test_log_clear(&ended);
    options.flags = TLS_KEY_ENUMERABLE;
    for (i = 0; i < 3; i++)
        keys[i] = test_key_from(&options);
    test_in_thread(end_three_values, NULL);
    CHECK_UINT(ended.count, 3);
    for (i = 0; i < 3; i++) {
        CHECK_PTR(ended.records[i].value, VALUE(3 - i));
        if (i == 1)
            CHECK_INT(ended.records[i].reason, TLS_REASON_REMOVED);
        CHECK_OK(tls_key_release(keys[i]));
    }
}

int
main(void)
{
    static const uint32_t all_flags[] = { 0, TLS_KEY_ENUMERABLE, TLS_KEY_WORKER };
    char variant[80];
    size_t f;
    size_t i;

    for (f = 0; f < sizeof(all_flags) / sizeof(all_flags[0]); f++) {
        flags = all_flags[f];
        for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
            way = &ways[i];
            snprintf(variant, sizeof(variant), "(%s, flags %u)", way->name, (unsigned)flags);
            RUN_APART_OF_DOZENS(the_youngest_of_all_that_is_stale_ends_first, variant);
        }
        snprintf(variant, sizeof(variant), "(flags %u)", (unsigned)flags);
        RUN_APART_AS(a_map_that_is_destroyed_ends_the_youngest_first, variant);
    }
    RUN_APART(what_a_callback_releases_ends_in_it);
    for (i = 0; i < ENDINGS; i++) {
        static const char *const names[] = { "(thread)", "(detach)", "(remove_all)", "(scope)",
                                             "(map)" };

        ending = (enum ending)i;
        RUN_APART_AS(a_deferred_value_ends_in_its_turn, names[i]);
    }
    return apart_finish();
}
