/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Paths that make, release, visit and purge keys, with values of other threads. */
#include "path.h"

static const tls_key_options_t owner = {DESTROYED};
static const tls_key_options_t any = {DESTROYED, .reclaim = TLS_RECLAIM_ANY};
static const tls_key_options_t visited = {DESTROYED, .flags = TLS_KEY_ENUMERABLE};

static inline __attribute__((always_inline)) void
live_alone(uint64_t operations, const tls_key_options_t *options) {
    for (uint64_t done = 0; done < operations; done++) {
        tls_key_t key = TLS_KEY_NONE;
        USED(tls_key_create(&key, options));
        USED(tls_set(key, values));
        void *value = tls_get(key);
        USED(value);
        USED(tls_key_release(key));
    }
}

/* Create, set, get and release on one thread. */
BODY(live) { live_alone(operations, NULL); }
BODY(live_destroyed) { live_alone(operations, &owner); }
PATH(lone_key, live)
PATH(lone_key_with_destroy, live_destroyed)

BODY(create_and_release) {
    for (uint64_t done = 0; done < operations; done++) {
        tls_key_t key = TLS_KEY_NONE;
        USED(tls_key_create(&key, NULL));
        USED(tls_key_release(key));
    }
}
PATH(key_without_values, create_and_release)

BODY(retain_and_release) {
    for (uint64_t done = 0; done < operations; done++) {
        USED(tls_key_retain(*keys));
        USED(tls_key_release(*keys));
    }
}
PATH(retain_and_release_not_the_last, retain_and_release)

BODY(release) {
    for (uint64_t done = 0; done < operations; done++)
        USED(tls_key_release(keys[done]));
}
PATH(release_owner_a_holder_of_1, release)
PATH(release_owner_a_holder_of_1_on_an_unattached_thread, release)
PATH(release_owner_a_holder_of_10, release)
PATH(release_owner_a_holder_of_100, release)
PATH(release_any_a_holder_of_1, release)
PATH(release_any_a_holder_of_10, release)
PATH(release_any_a_holder_of_100, release)

BODY(purge) {
    for (uint64_t done = 0; done < operations; done++)
        USED(tls_key_purge(keys[done], NULL));
}
PATH(purge_any_a_holder_of_10, purge)
PATH(purge_enumerable_a_holder_of_10, purge)

BODY(set_and_purge) {
    for (uint64_t done = 0; done < operations; done++) {
        USED(tls_set(*keys, values));
        USED(tls_key_purge(*keys, NULL));
    }
}
PATH(first_set_and_purge_any, set_and_purge)
PATH(first_set_and_purge_enumerable, set_and_purge)

static int count_one(void *value, uint64_t thread, void *argument) {
    (void)value, (void)thread;
    ++*(uint64_t *)argument;
    return 0;
}

BODY(visit) {
    uint64_t met = 0;
    for (uint64_t done = 0; done < operations; done++)
        USED(tls_for_each(*keys, count_one, &met));
}
PATH(for_each_a_thread_of_10, visit)
PATH(for_each_a_thread_of_100, visit)

BODY(visit_locked) {
    uint64_t met = 0;
    for (uint64_t done = 0; done < operations; done++)
        USED(tls_for_each_locked(*keys, count_one, &met));
}
PATH(for_each_locked_a_thread_of_10, visit_locked)
PATH(for_each_locked_a_thread_of_100, visit_locked)

#define HELD_BY(count) .holders = count, .parts = count

const struct path key_paths[] = {
    {IS(lone_key), .operations = 1000},
    {IS(lone_key_with_destroy), .operations = 1000},
    {IS(key_without_values), .operations = 1000},
    {IS(retain_and_release_not_the_last), .operations = 1000, .keys = 1},
    {IS(first_set_and_purge_any), .operations = 1000, .keys = 1, .options = &any},
    {IS(first_set_and_purge_enumerable), .operations = 1000, .keys = 1, .options = &visited},
    {IS(release_owner_a_holder_of_1), .operations = 100, .keys = EACH, HELD_BY(1), .options = &owner},
    {IS(release_owner_a_holder_of_1_on_an_unattached_thread), .operations = 100, .keys = EACH, HELD_BY(1),
     .options = &owner, .unattached = true},
    {IS(release_any_a_holder_of_1), .operations = 100, .keys = EACH, HELD_BY(1), .options = &any},
    {IS(release_owner_a_holder_of_10), .operations = 100, .keys = EACH, HELD_BY(10), .options = &owner},
    {IS(release_any_a_holder_of_10), .operations = 100, .keys = EACH, HELD_BY(10), .options = &any},
    {IS(purge_any_a_holder_of_10), .operations = 100, .keys = EACH, HELD_BY(10), .options = &any},
    {IS(purge_enumerable_a_holder_of_10), .operations = 100, .keys = EACH, HELD_BY(10), .options = &visited},
    {IS(for_each_a_thread_of_10), .operations = 100, .keys = 1, HELD_BY(10), .options = &visited},
    {IS(for_each_locked_a_thread_of_10), .operations = 100, .keys = 1, HELD_BY(10), .options = &visited},
    {IS(release_owner_a_holder_of_100), .operations = 20, .keys = EACH, HELD_BY(100), .options = &owner},
    {IS(release_any_a_holder_of_100), .operations = 20, .keys = EACH, HELD_BY(100), .options = &any},
    {IS(for_each_a_thread_of_100), .operations = 20, .keys = 1, HELD_BY(100), .options = &visited},
    {IS(for_each_locked_a_thread_of_100), .operations = 20, .keys = 1, HELD_BY(100), .options = &visited},
    {0},
};
