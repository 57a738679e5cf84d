/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Keys by the million that come and go: everything stays small and exact. */
#include "worker.h"

static size_t destroyed;

static void
count_destroyed(void *value, int reason, void *user)
{
    (void)value;
    (void)reason;
    test_count_up((size_t *)user);
}

static tls_key_t
counted_key(void)
{
    tls_key_options_t options = test_options();

    options.destroy = count_destroyed;
    options.user = &destroyed;
    return test_key_from(&options);
}

/* T16: new key, set, set NULL, drop: 1,100,000 times. */
static void
set_to_null_and_dropped(void)
{
    size_t count = test_scaled(1100000, 2000);
    uint64_t bytes = 0;
    size_t i;

    destroyed = 0;
    for (i = 0; i < count; i++) {
        tls_key_t key = counted_key();

        CHECK_OK(tls_set(key, VALUE(i + 1)));
        CHECK_OK(tls_set(key, NULL));
        CHECK_OK(tls_key_release(key));
        if (i == 1000)
            bytes = test_stats().bytes;
    }
    CHECK_UINT(destroyed, count);
    CHECK_UINT(test_stats().bytes, bytes);
    CHECK_UINT(test_stats().capacity, 16);
}

/* T17: 2,000,000 keys made, set and dropped on one thread: its table stays at
 * its minimum and memory where it was. */
static void
made_set_and_dropped_on_one_thread(void)
{
    size_t count = test_scaled(2000000, 2000);
    uint64_t bytes = 0;
    size_t i;

    destroyed = 0;
    for (i = 0; i < count; i++) {
        tls_key_t key = counted_key();

        CHECK_OK(tls_set(key, VALUE(i + 1)));
        CHECK_OK(tls_key_release(key));
        if (i % 1000 == 0) {
            CHECK_UINT(test_stats().capacity, 16);
            CHECK_UINT(test_stats().stale, 0);
            if (i == 1000)
                bytes = test_stats().bytes;
        }
    }
    CHECK_UINT(destroyed, count);
    CHECK_UINT(test_stats().bytes, bytes);
    CHECK_UINT(test_stats().capacity, 16);
}

/* The same while a few keys live long: they are undisturbed (T30: a hot key is
 * removed and set again as if nothing had happened before). */
static void
long_lived_keys_are_undisturbed(void)
{
    size_t count = test_scaled(1000000, 2000);
    tls_key_t kept[5];
    uint64_t rehashes;
    size_t i;

    for (i = 0; i < 5; i++) {
        kept[i] = counted_key();
        CHECK_OK(tls_set(kept[i], VALUE(i + 1)));
    }
    rehashes = test_stats().rehashes;
    for (i = 0; i < count; i++) {
        tls_key_t key = counted_key();

        CHECK_PTR(tls_get(key), NULL);
        CHECK_OK(tls_set(key, VALUE(100)));
        CHECK_PTR(tls_get(kept[i % 5]), VALUE(i % 5 + 1));
        CHECK_OK(tls_key_release(key));
    }
    CHECK_UINT(test_stats().capacity, 16);
    CHECK_UINT(test_stats().rehashes, rehashes);

    for (i = 0; i < 1000; i++) {
        CHECK_OK(tls_remove(kept[0]));
        CHECK_PTR(tls_get(kept[0]), NULL);
        CHECK_OK(tls_set(kept[0], VALUE(1)));
        CHECK_PTR(tls_get(kept[0]), VALUE(1));
    }
    CHECK_UINT(test_stats().rehashes, rehashes);
    CHECK_AT_MOST(test_stats().longest_probe, 9);
    for (i = 0; i < 5; i++)
        CHECK_OK(tls_key_release(kept[i]));
}

/* ---- N15: objects at the same addresses, a worker that lives long --------- */

#define OBJECTS 64

typedef struct object {
    tls_key_t key;
} object_t;

static object_t objects[OBJECTS];

static void
see_nothing_and_set(void *argument)
{
    int i;

    (void)argument;
    for (i = 0; i < OBJECTS; i++) {
        CHECK_PTR(tls_get(objects[i].key), NULL);
        CHECK_OK(tls_set(objects[i].key, &objects[i]));
    }
    for (i = 0; i < OBJECTS; i++)
        CHECK_PTR(tls_get(objects[i].key), &objects[i]);
}

/* A million objects are made and destroyed at 64 addresses by one thread, and
 * used by another that never ends: it always starts with nothing, and neither
 * table nor memory grows, although it never calls tls_expunge. */
static void
a_long_lived_worker_starts_empty_with_every_object(void)
{
    size_t rounds = test_scaled(1000000 / OBJECTS, 20);
    uint64_t bytes = 0;
    worker_t worker;
    size_t round;
    int i;

    destroyed = 0;
    worker_start(&worker);
    for (round = 0; round < rounds; round++) {
        for (i = 0; i < OBJECTS; i++)
            objects[i].key = counted_key();
        worker_do(&worker, see_nothing_and_set, NULL);
        for (i = 0; i < OBJECTS; i++)
            CHECK_OK(tls_key_release(objects[i].key));
        CHECK_AT_MOST(test_stats().stale, 2 * OBJECTS);
        CHECK_AT_MOST(test_stats().capacity, 16 + 512);
        if (round == 10)
            bytes = test_stats().bytes;
        if (round > 10)
            CHECK_AT_MOST(test_stats().bytes, 2 * bytes);
    }
    worker_stop(&worker);
    CHECK_UINT(destroyed, rounds * OBJECTS);
}

int
main(void)
{
    RUN(set_to_null_and_dropped);
    RUN(made_set_and_dropped_on_one_thread);
    RUN(long_lived_keys_are_undisturbed);
    RUN(a_long_lived_worker_starts_empty_with_every_object);
    return test_finish();
}
