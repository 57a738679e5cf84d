/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A million live keys, all with a value in one thread and some in another. */
#include "worker.h"

static size_t destroyed;
static size_t freed;

static void
count_destroyed(void *value, int reason, void *user)
{
    (void)value;
    CHECK_INT(reason, TLS_REASON_KEY_DEAD);
    CHECK_PTR(user, &destroyed);
    test_count_up(&destroyed);
}

static void
count_freed(void *user)
{
    CHECK_PTR(user, &destroyed);
    test_count_up(&freed);
}

/* Slots of a table that had so many entries and has none now. */
static size_t
shrunk_table_of(size_t entries)
{
    size_t slots = 16;

    while (entries + 1 >= slots * 2 / 3)
        slots *= 2;
    return slots < 256 ? slots : 256;
}

static void
a_million_live_keys(void)
{
    size_t count = test_scaled(1000000, 10000);
    tls_key_t *keys = (tls_key_t *)malloc(count * sizeof(*keys));
    tls_key_options_t options = test_options();
    tls_stats_t stats;
    worker_t worker;
    size_t in_worker = 0;
    size_t i;

    CHECK(keys != NULL);
    options.destroy = count_destroyed;
    options.user = &destroyed;
    options.user_free = count_freed;
    worker_start(&worker);
    for (i = 0; i < count; i++) {
        keys[i] = test_key_from(&options);
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
        if (i % 1000 == 0) {
            CHECK_OK(worker_set(&worker, keys[i], VALUE(i + 2)));
            in_worker++;
        }
    }
    stats = test_stats();
    CHECK_UINT(stats.keys, count);
    CHECK_UINT(stats.dead_keys, 0);
    CHECK_UINT(stats.entries, count + in_worker);
    CHECK_AT_MOST(stats.capacity, 4 * count);
    for (i = 0; i < count; i++)
        CHECK_PTR(tls_get(keys[i]), VALUE(i + 1));
    for (i = 0; i < count; i += 1000)
        CHECK_PTR(worker_get(&worker, keys[i]), VALUE(i + 2));
    CHECK_PTR(worker_get(&worker, keys[1]), NULL);

    /* All die: the worker's values wait for it, the others end at once. */
    for (i = 0; i < count; i++)
        CHECK_OK(tls_key_release(keys[i]));
    CHECK_UINT(destroyed, count);
    stats = test_stats();
    CHECK_UINT(stats.keys, 0);
    CHECK_UINT(stats.dead_keys, in_worker);
    CHECK_UINT(stats.stale, in_worker);
    CHECK_UINT(worker_stale_count(&worker), in_worker);
    CHECK_UINT(worker_expunge(&worker), in_worker);
    CHECK_UINT(destroyed, count + in_worker);
    CHECK_UINT(freed, count);
    CHECK_UINT(test_stats().capacity, 256 + shrunk_table_of(in_worker));
    for (i = 0; i < count; i++)
        CHECK_CODE(tls_set(keys[i], VALUE(1)), TLS_ERR_DEAD_KEY);
    worker_stop(&worker);
    free(keys);
}

int
main(void)
{
    RUN(a_million_live_keys);
    return test_finish();
}
