/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How large a thread's table is, and when that changes. */
#include "worker.h"

#define KEYS 5000

static tls_key_t keys[KEYS];
static test_log_t ended;

static void
make_keys(size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        keys[i] = test_key();
}

static void
release_keys(size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        CHECK_OK(tls_key_release(keys[i]));
}

/* Slots of the only attached thread's table. */
static uint64_t
capacity(void)
{
    return test_stats().capacity;
}

static void *
insert_and_watch(void *argument)
{
    static const size_t doubling[] = { 10, 21, 42, 85, 170, 341, 682, 1365 };
    uint64_t expected = 16;
    size_t next = 0;
    size_t i;

    (void)argument;
    for (i = 1; i <= 1500; i++) {
        CHECK_OK(tls_set(keys[i - 1], VALUE(i)));
        if (next < sizeof(doubling) / sizeof(doubling[0]) && i == doubling[next]) {
            expected *= 2;
            next++;
        }
        CHECK_UINT(capacity(), expected);
        /* Setting again, and setting NULL, is no insert. */
        CHECK_OK(tls_set(keys[i - 1], NULL));
        CHECK_OK(tls_set(keys[i - 1], VALUE(i)));
        CHECK_UINT(capacity(), expected);
    }
    CHECK_UINT(next, sizeof(doubling) / sizeof(doubling[0]));
    for (i = 1; i <= 1500; i++)
        CHECK_PTR(tls_get(keys[i - 1]), VALUE(i));
    return NULL;
}

/* T22: 16 slots first, doubled by the 10th, 21st, 42nd ... live entry. */
static void
the_table_doubles_at_two_thirds(void)
{
    make_keys(1500);
    test_in_thread(insert_and_watch, NULL);
    CHECK_UINT(capacity(), 0);
    release_keys(1500);
}

static void *
fill_and_remove(void *argument)
{
    size_t count = *(size_t *)argument;
    uint64_t largest;
    size_t i;

    for (i = 0; i < count; i++)
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    largest = capacity();
    CHECK_AT_LEAST(largest, count);

    /* All but three go; those stay where they can be found. */
    for (i = 0; i < count; i++)
        if (i != 5 && i != count / 2 && i != count - 1)
            CHECK_OK(tls_remove(keys[i]));
    /* A smaller one would grow again with the next task. */
    CHECK_UINT(capacity(), 256);
    CHECK_PTR(tls_get(keys[5]), VALUE(6));
    CHECK_PTR(tls_get(keys[count / 2]), VALUE(count / 2 + 1));
    CHECK_PTR(tls_get(keys[count - 1]), VALUE(count));
    CHECK_PTR(tls_get(keys[6]), NULL);

    /* And it grows again. */
    for (i = 0; i < count; i++)
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    CHECK_UINT(capacity(), largest);
    CHECK_OK(tls_remove_all());
    CHECK_UINT(capacity(), 256);
    for (i = 0; i < count; i++)
        CHECK_PTR(tls_get(keys[i]), NULL);
    return NULL;
}

/* T24: after a mass removal the table is small again, its values intact. */
static void
the_table_shrinks_after_mass_removal(void)
{
    size_t count = 1000;

    make_keys(count);
    test_in_thread(fill_and_remove, &count);
    release_keys(count);
}

/* F38: past 4096 entries in one thread, there and back. */
static void
thousands_of_entries_in_one_thread(void)
{
    size_t count = KEYS;

    make_keys(count);
    test_in_thread(fill_and_remove, &count);
    release_keys(count);
}

/* A size that swings around a threshold does not make the table swing. */
static void *
swing(void *argument)
{
    uint64_t rehashes;
    size_t i;

    (void)argument;
    for (i = 0; i < 21; i++)
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    CHECK_UINT(capacity(), 64);
    rehashes = test_stats().rehashes;
    for (i = 0; i < 1000; i++) {
        CHECK_OK(tls_remove(keys[20]));
        CHECK_OK(tls_remove(keys[19]));
        CHECK_OK(tls_set(keys[19], VALUE(20)));
        CHECK_OK(tls_set(keys[20], VALUE(21)));
    }
    CHECK_UINT(capacity(), 64);
    CHECK_UINT(test_stats().rehashes, rehashes);
    return NULL;
}

static void
a_swinging_size_moves_nothing(void)
{
    make_keys(21);
    test_in_thread(swing, NULL);
    release_keys(21);
}

/* T23: what is stale goes before the table doubles, and makes room. */
static void
stale_entries_go_before_the_table_doubles(void)
{
    worker_t worker;
    size_t rehashes;
    size_t round;
    size_t i;

    test_log_clear(&ended);
    worker_start(&worker);
    for (i = 0; i < 4; i++) {
        keys[i] = test_key_logged(&ended);
        CHECK_OK(worker_set(&worker, keys[i], VALUE(i + 1)));
    }
    for (round = 0; round < 50; round++) {
        /* Nine entries, five of them stale: the tenth finds room, and no table is
         * made for it. */
        for (i = 4; i < 9; i++) {
            keys[i] = test_key_logged(&ended);
            CHECK_OK(worker_set(&worker, keys[i], VALUE(i + 1)));
        }
        CHECK_UINT(capacity(), 16);
        rehashes = test_stats().rehashes;
        for (i = 4; i < 9; i++)
            CHECK_OK(tls_key_release(keys[i]));
        keys[9] = test_key_logged(&ended);
        CHECK_OK(worker_set(&worker, keys[9], VALUE(10)));
        CHECK_UINT(capacity(), 16);
        CHECK_UINT(test_stats().rehashes, rehashes);
        CHECK_UINT(worker_stale_count(&worker), 0);
        for (i = 0; i < 4; i++)
            CHECK_PTR(worker_get(&worker, keys[i]), VALUE(i + 1));
        CHECK_PTR(worker_get(&worker, keys[9]), VALUE(10));
        CHECK_OK(tls_key_release(keys[9]));
    }
    worker_stop(&worker);
    CHECK_UINT(ended.count, 4 + 50 * 6);
    release_keys(4);
}

/* T18: rounds of more and more keys, all dropped by another thread, whose
 * slots the next round uses again. */
static void
rounds_of_keys_in_reused_slots(void)
{
    worker_t worker;
    size_t count;
    size_t i;

    test_log_clear(&ended);
    worker_start(&worker);
    for (count = 16; count <= 256; count *= 2) {
        for (i = 0; i < count; i++) {
            keys[i] = test_key_logged(&ended);
            CHECK_OK(worker_set(&worker, keys[i], VALUE(count + i)));
        }
        for (i = 0; i < count; i++)
            CHECK_PTR(worker_get(&worker, keys[i]), VALUE(count + i));
        release_keys(count);
    }
    worker_expunge(&worker);
    CHECK_UINT(capacity(), 256);
    worker_stop(&worker);
    CHECK_UINT(ended.count, 16 + 32 + 64 + 128 + 256);
    CHECK_UINT(ended.freed, ended.count);
}

static void *
use_one_late_key(void *argument)
{
    tls_stats_t before = test_stats();
    tls_stats_t after;

    CHECK_OK(tls_set(*(tls_key_t *)argument, VALUE(1)));
    after = test_stats();
    CHECK_UINT(after.capacity, before.capacity + 16);
    CHECK_UINT(after.entries, before.entries + 1);
    CHECK_AT_MOST(after.bytes, before.bytes + 1536);
    return NULL;
}

/* T33: a thread pays for the keys that it uses, not for those that exist. */
static void
one_late_key_of_many_costs_one_small_table(void)
{
    size_t count = 10000;
    tls_key_t *many = (tls_key_t *)malloc(count * sizeof(*many));
    size_t i;

    CHECK(many != NULL);
    for (i = 0; i < count; i++)
        many[i] = test_key();
    test_in_thread(use_one_late_key, &many[count - 1]);
    for (i = 0; i < count; i++)
        CHECK_OK(tls_key_release(many[i]));
    free(many);
}

int
main(void)
{
    RUN(the_table_doubles_at_two_thirds);
    RUN(the_table_shrinks_after_mass_removal);
    RUN(thousands_of_entries_in_one_thread);
    RUN(a_swinging_size_moves_nothing);
    RUN(stale_entries_go_before_the_table_doubles);
    RUN(rounds_of_keys_in_reused_slots);
    RUN(one_late_key_of_many_costs_one_small_table);
    return test_finish();
}
