/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Paths that get, set and remove values of the calling thread. */
#include "path.h"

BODY(get_first) {
    for (uint64_t done = 0; done < operations; done++) {
        void *value = tls_get(*keys);
        USED(value);
    }
}
PATH(get_hit_inlined_1_key, get_first)
PATH(get_miss, get_first)
PATH(get_of_a_dead_key, get_first)

BODY(get_all) {
    const size_t count = key_count;
    for (uint64_t done = 0; done < operations; done += count)
        for (size_t i = 0; i < count; i++) {
            void *value = tls_get(keys[i]);
            USED(value);
        }
}
PATH(get_hit_inlined_100_keys, get_all)

BODY(get_exported) {
    for (uint64_t done = 0; done < operations; done++) {
        void *value = (tls_get)(*keys);
        USED(value);
    }
}
PATH(get_hit_exported, get_exported)

BODY(init_and_remove) {
    for (uint64_t done = 0; done < operations; done++) {
        void *value = tls_get(*keys);
        USED(value);
        USED(tls_remove(*keys));
    }
}
PATH(get_miss_with_init_and_remove, init_and_remove)

/* Never sets the value that is already stored. */
BODY(set) {
    for (uint64_t done = 0; done < operations; done++)
        USED(tls_set(*keys, &values[done & 1]));
}
PATH(set_over, set)
PATH(set_over_with_destroy, set)

BODY(set_and_remove) {
    for (uint64_t done = 0; done < operations; done += key_count) {
        for (size_t i = 0; i < key_count; i++)
            USED(tls_set(keys[i], values));
        for (size_t i = 0; i < key_count; i++)
            USED(tls_remove(keys[i]));
    }
}
PATH(first_set_and_remove_1_key, set_and_remove)
PATH(first_set_and_remove_100_keys, set_and_remove)

BODY(set_and_take) {
    for (uint64_t done = 0; done < operations; done++) {
        void *value;
        USED(tls_set(*keys, values));
        USED(tls_take(*keys, &value));
    }
}
PATH(first_set_and_take, set_and_take)

BODY(expunge) {
    for (uint64_t done = 0; done < operations; done++)
        USED(tls_expunge());
}
PATH(expunge_nothing, expunge)

/* The number of stale values is the number of operations. */
BODY(expunge_all) {
    (void)operations;
    USED(tls_expunge());
}
PATH(expunge_a_stale_value, expunge_all)

BODY(expunge_eight_by_eight) {
    for (uint64_t done = 0; done < operations; done += 8)
        USED(tls_expunge_some(8));
}
PATH(expunge_some_8_a_stale_value, expunge_eight_by_eight)

static int init(void **value, void *user) {
    (void)user;
    *value = values;
    return 0;
}

static const tls_key_options_t destroyed = {DESTROYED};
static const tls_key_options_t made = {.size = sizeof made, .init = init};

const struct path value_paths[] = {
    {IS(get_hit_inlined_1_key), .operations = 1000, .keys = 1, .valued = true},
    {IS(get_hit_inlined_100_keys), .operations = 1000, .keys = 100, .valued = true},
    {IS(get_hit_exported), .operations = 1000, .keys = 1, .valued = true},
    {IS(get_miss), .operations = 1000, .keys = 1},
    {IS(get_miss_with_init_and_remove), .operations = 1000, .keys = 1, .options = &made},
    {IS(get_of_a_dead_key), .operations = 1000, .keys = 1, .dead = true},
    {IS(set_over), .operations = 1000, .keys = 1, .valued = true},
    {IS(set_over_with_destroy), .operations = 1000, .keys = 1, .valued = true, .options = &destroyed},
    {IS(first_set_and_remove_1_key), .operations = 1000, .keys = 1},
    {IS(first_set_and_remove_100_keys), .operations = 1000, .keys = 100},
    {IS(first_set_and_take), .operations = 1000, .keys = 1},
    {IS(expunge_nothing), .operations = 1000},
    {IS(expunge_a_stale_value), .operations = 1000, .keys = EACH, .valued = true, .dead = true, .options = &destroyed},
    {IS(expunge_some_8_a_stale_value), .operations = 1000, .keys = EACH, .valued = true, .dead = true,
     .options = &destroyed},
    {0},
};
