/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Values of the calling thread: set, get, swap, take, remove. */
#include "test.h"

static test_log_t ended;
static size_t inits;

static int
init_to_100(void **value, void *user)
{
    (void)user;
    test_count_up(&inits);
    *value = VALUE(100);
    return 0;
}

static tls_key_t
key_with_init(void)
{
    tls_key_options_t options = test_options();

    options.init = init_to_100;
    inits = 0;
    return test_key_from(&options);
}

/* T04: get, set, get, remove, get. */
static void
remove_brings_the_initial_value_back(void)
{
    tls_key_t key = key_with_init();

    CHECK_PTR(tls_get(key), VALUE(100));
    CHECK_OK(tls_set(key, VALUE(200)));
    CHECK_PTR(tls_get(key), VALUE(200));
    CHECK_UINT(inits, 1);
    CHECK_OK(tls_remove(key));
    CHECK_PTR(tls_get_existing(key), NULL);
    CHECK_PTR(tls_get(key), VALUE(100));
    CHECK_UINT(inits, 2);
    CHECK_OK(tls_key_release(key));
}

/* T12: NULL is a value, and not the same as no value. */
static void
null_is_a_value(void)
{
    tls_key_t key = key_with_init();
    void *value = VALUE(1);

    CHECK_OK(tls_set(key, NULL));
    CHECK_PTR(tls_get(key), NULL);
    CHECK_PTR(tls_get_existing(key), NULL);
    CHECK_OK(tls_try_get(key, &value));
    CHECK_PTR(value, NULL);
    CHECK_UINT(inits, 0);

    CHECK_OK(tls_remove(key));
    CHECK_OK(tls_try_get(key, &value));
    CHECK_PTR(value, VALUE(100));
    CHECK_UINT(inits, 1);
    CHECK_OK(tls_key_release(key));
}

static void *
look_for_absent_values(void *argument)
{
    tls_key_t key = *(tls_key_t *)argument;
    tls_stats_t before = test_stats();
    tls_stats_t after;
    void *value = VALUE(1);

    CHECK_PTR(tls_get_existing(key), NULL);
    CHECK_PTR((tls_get_existing)(key), NULL);
    CHECK_CODE(tls_take(key, &value), TLS_ERR_ABSENT);
    CHECK_PTR(value, VALUE(1));
    CHECK_OK(tls_remove(key));
    CHECK_OK(tls_remove_all());
    CHECK_UINT(tls_stale_count(), 0);
    CHECK_UINT(tls_expunge(), 0);
    CHECK_UINT(tls_expunge_some(8), 0);
    after = test_stats();
    CHECK_UINT(after.entries, before.entries);
    CHECK_UINT(after.maps, before.maps);
    CHECK_UINT(after.capacity, before.capacity);
    CHECK_UINT(after.bytes, before.bytes);
    return NULL;
}

/* T13: looking for what is not there initialises nothing and makes nothing. */
static void
a_fresh_key_is_absent(void)
{
    tls_key_t key = key_with_init();

    test_in_thread(look_for_absent_values, &key);
    look_for_absent_values(&key);
    CHECK_UINT(inits, 0);
    CHECK_OK(tls_key_release(key));
}

static void *
look_for_absent_values_without_init(void *argument)
{
    tls_key_t key = *(tls_key_t *)argument;
    tls_stats_t before = test_stats();
    void *value = VALUE(1);

    CHECK_PTR(tls_get(key), NULL);
    CHECK_PTR((tls_get)(key), NULL);
    CHECK_CODE(tls_try_get(key, &value), TLS_ERR_ABSENT);
    CHECK_PTR(value, VALUE(1));
    CHECK_UINT(test_stats().maps, before.maps);
    CHECK_UINT(test_stats().entries, before.entries);
    return NULL;
}

static void
without_init_an_absent_value_stays_absent(void)
{
    tls_key_t key = test_key();

    test_in_thread(look_for_absent_values_without_init, &key);
    look_for_absent_values_without_init(&key);
    CHECK_OK(tls_key_release(key));
}

/* T14: swap and take hand the old value over, undestroyed. */
static void
swap_and_take_hand_over(void)
{
    tls_key_t key;
    void *old = VALUE(9);

    test_log_clear(&ended);
    key = test_key_logged(&ended);
    CHECK_OK(tls_swap(key, VALUE(1), &old));
    CHECK_PTR(old, NULL);
    CHECK_OK(tls_swap(key, VALUE(2), &old));
    CHECK_PTR(old, VALUE(1));
    CHECK_OK(tls_swap(key, NULL, &old));
    CHECK_PTR(old, VALUE(2));
    CHECK_OK(tls_swap(key, VALUE(3), &old));
    CHECK_PTR(old, NULL);
    CHECK_OK(tls_take(key, &old));
    CHECK_PTR(old, VALUE(3));
    CHECK_CODE(tls_take(key, &old), TLS_ERR_ABSENT);
    CHECK_PTR(old, VALUE(3));

    CHECK_OK(tls_set(key, NULL));
    CHECK_OK(tls_take(key, &old));
    CHECK_PTR(old, NULL);
    CHECK_UINT(ended.count, 0);
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 0);
}

/* Whatever other threads may do with its values. */
static void
a_taken_value_leaves_nothing_behind(void)
{
    static const uint32_t rules[][2] = {
        { TLS_RECLAIM_OWNER, 0 },
        { TLS_RECLAIM_OWNER, TLS_KEY_ENUMERABLE },
        { TLS_RECLAIM_ANY, 0 },
        { TLS_RECLAIM_ANY, TLS_KEY_ENUMERABLE },
    };
    tls_key_options_t options = test_options();
    void *old = NULL;
    tls_key_t taken;
    size_t i;

    for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        options.reclaim = rules[i][0];
        options.flags = rules[i][1];
        taken = test_key_from(&options);
        CHECK_OK(tls_set(taken, VALUE(1)));
        CHECK_OK(tls_take(taken, &old));
        CHECK_PTR(old, VALUE(1));
        CHECK_UINT(test_stats().entries, 0);
        CHECK_OK(tls_set(taken, VALUE(2)));
        CHECK_UINT(test_stats().entries, 1);
        CHECK_OK(tls_remove_all());
        CHECK_UINT(test_stats().entries, 0);
        CHECK_OK(tls_key_release(taken));
    }
}

static void
swap_and_take_never_run_init(void)
{
    tls_key_t key = key_with_init();
    void *old = VALUE(9);

    CHECK_CODE(tls_take(key, &old), TLS_ERR_ABSENT);
    CHECK_OK(tls_swap(key, VALUE(1), &old));
    CHECK_PTR(old, NULL);
    CHECK_OK(tls_take(key, &old));
    CHECK_PTR(old, VALUE(1));
    CHECK_UINT(inits, 0);
    CHECK_OK(tls_key_release(key));
}

static void *
count_entries(void *argument)
{
    tls_stats_t start = test_stats();
    tls_key_t made = key_with_init();
    tls_key_t plain = test_key();

    (void)argument;
    CHECK_UINT(test_stats().entries, start.entries);
    tls_get(made);
    CHECK_UINT(test_stats().entries, start.entries + 1);
    CHECK_OK(tls_set(plain, NULL));
    CHECK_UINT(test_stats().entries, start.entries + 2);
    CHECK_OK(tls_set(plain, VALUE(1)));
    CHECK_OK(tls_set(plain, VALUE(2)));
    CHECK_UINT(test_stats().entries, start.entries + 2);
    CHECK_OK(tls_remove(plain));
    CHECK_UINT(test_stats().entries, start.entries + 1);
    CHECK_OK(tls_remove(plain));
    CHECK_UINT(test_stats().entries, start.entries + 1);
    CHECK_OK(tls_set(plain, VALUE(3)));
    CHECK_OK(tls_remove_all());
    CHECK_UINT(test_stats().entries, start.entries);
    CHECK_OK(tls_key_release(made));
    CHECK_OK(tls_key_release(plain));
    return NULL;
}

/* T15: the number of entries after each operation. */
static void
entries_are_counted_exactly(void)
{
    test_in_thread(count_entries, NULL);
}

/* F05, BO2, BO4: who is replaced or removed is destroyed, with its own value
 * and the key's user pointer; the same pointer again and NULL never are. */
static void
replaced_and_removed_values_are_destroyed(void)
{
    unsigned here = test_thread();
    tls_key_t key;

    test_log_clear(&ended);
    key = test_key_logged(&ended);
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_UINT(ended.count, 0);
    CHECK_OK(tls_set(key, VALUE(2)));
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_REPLACED, here);
    CHECK_OK(tls_set(key, NULL));
    CHECK_UINT(ended.count, 2);
    CHECK_RECORD(&ended, 1, VALUE(2), TLS_REASON_REPLACED, here);
    CHECK_PTR(tls_get(key), NULL);

    CHECK_OK(tls_set(key, VALUE(3)));
    CHECK_OK(tls_remove(key));
    CHECK_UINT(ended.count, 3);
    CHECK_RECORD(&ended, 2, VALUE(3), TLS_REASON_REMOVED, here);

    CHECK_OK(tls_set(key, NULL));
    CHECK_OK(tls_remove(key));
    CHECK_OK(tls_set(key, NULL));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 3);
}

static void *
end_values_in_every_way(void *argument)
{
    tls_key_t *keys = (tls_key_t *)argument;
    int i;

    for (i = 0; i < 5; i++)
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    CHECK_OK(tls_set(keys[0], VALUE(7)));
    CHECK_OK(tls_remove(keys[1]));
    CHECK_OK(tls_key_release(keys[2]));
    CHECK_PTR(tls_get(keys[0]), VALUE(7));
    CHECK_PTR(tls_get(keys[1]), NULL);
    CHECK_PTR(tls_get(keys[3]), VALUE(4));
    return NULL;
}

/* BO3: a key without a destroy callback; its values just go. */
static void
without_destroy_values_just_go(void)
{
    tls_key_t keys[5];
    int i;

    for (i = 0; i < 5; i++)
        keys[i] = test_key();
    test_in_thread(end_values_in_every_way, keys);
    CHECK_OK(tls_key_release(keys[0]));
    CHECK_OK(tls_key_release(keys[1]));
    CHECK_OK(tls_key_release(keys[3]));
    CHECK_OK(tls_key_release(keys[4]));
}

/* Every bit of a pointer is kept: the library marks nothing in it. */
static void
any_bits_are_a_value(void)
{
    tls_key_t key = test_key();
    uintptr_t patterns[] = { 1, 2, 3, 7, UINTPTR_MAX, UINTPTR_MAX - 1,
                             (uintptr_t)1 << (sizeof(void *) * 8 - 1) };
    size_t i;
    void *value;

    for (i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        CHECK_OK(tls_set(key, (void *)patterns[i]));
        CHECK_PTR(tls_get(key), (void *)patterns[i]);
        CHECK_OK(tls_try_get(key, &value));
        CHECK_PTR(value, (void *)patterns[i]);
        CHECK_OK(tls_swap(key, NULL, &value));
        CHECK_PTR(value, (void *)patterns[i]);
    }
    CHECK_OK(tls_key_release(key));
}

/* The macros over the inlined hit and the exported functions are one thing. */
static void
inlined_and_exported_calls_agree(void)
{
    void *(*get)(tls_key_t) = tls_get;
    void *(*get_existing)(tls_key_t) = tls_get_existing;
    size_t (*stale_count)(void) = tls_stale_count;
    tls_key_t keys[40];
    int i;

    for (i = 0; i < 40; i++) {
        keys[i] = test_key();
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    }
    for (i = 0; i < 40; i++) {
        CHECK_PTR(tls_get(keys[i]), VALUE(i + 1));
        CHECK_PTR((tls_get)(keys[i]), VALUE(i + 1));
        CHECK_PTR(get(keys[i]), VALUE(i + 1));
        CHECK_PTR(tls_get_existing(keys[i]), VALUE(i + 1));
        CHECK_PTR((tls_get_existing)(keys[i]), VALUE(i + 1));
        CHECK_PTR(get_existing(keys[i]), VALUE(i + 1));
    }
    CHECK_UINT(tls_stale_count(), 0);
    CHECK_UINT((tls_stale_count)(), 0);
    CHECK_UINT(stale_count(), 0);
    for (i = 0; i < 40; i++)
        CHECK_OK(tls_key_release(keys[i]));
}

/* A macro that evaluated its argument twice would get two keys here. */
static void
an_argument_is_evaluated_once(void)
{
    tls_key_t keys[2];
    int i = 0;

    keys[0] = test_key();
    keys[1] = test_key();
    CHECK_OK(tls_set(keys[0], VALUE(1)));
    CHECK_PTR(tls_get(keys[i++]), VALUE(1));
    CHECK_INT(i, 1);
    CHECK_PTR(tls_get(keys[i++]), NULL);
    CHECK_INT(i, 2);
    i = 0;
    CHECK_PTR(tls_get_existing(keys[i++]), VALUE(1));
    CHECK_INT(i, 1);
    CHECK_OK(tls_key_release(keys[0]));
    CHECK_OK(tls_key_release(keys[1]));
}

/* More than a thread keeps records of for its next entries: the rest are given
 * back to the allocator, which valgrind watches. */
static void
keys_without_callbacks_die_in_numbers(void)
{
    tls_key_t keys[80];
    tls_stats_t before = test_stats();
    size_t i;

    for (i = 0; i < 80; i++) {
        keys[i] = test_key();
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    }
    for (i = 0; i < 80; i++)
        CHECK_OK(tls_key_release(keys[i]));
    CHECK_UINT(test_stats().entries, before.entries);
    CHECK_UINT(test_stats().expunged, before.expunged + 80);
}

int
main(void)
{
    RUN(remove_brings_the_initial_value_back);
    RUN(null_is_a_value);
    RUN(a_fresh_key_is_absent);
    RUN(without_init_an_absent_value_stays_absent);
    RUN(swap_and_take_hand_over);
    RUN(a_taken_value_leaves_nothing_behind);
    RUN(swap_and_take_never_run_init);
    RUN(entries_are_counted_exactly);
    RUN(replaced_and_removed_values_are_destroyed);
    RUN(without_destroy_values_just_go);
    RUN(any_bits_are_a_value);
    RUN(inlined_and_exported_calls_agree);
    RUN(an_argument_is_evaluated_once);
    RUN(keys_without_callbacks_die_in_numbers);
    return test_finish();
}
