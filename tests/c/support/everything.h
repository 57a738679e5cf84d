/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Every function of the library, used once and checked: for processes and
 * moments in which nothing may have broken.
 */
#ifndef EVERYTHING_H
#define EVERYTHING_H

#include "test.h"

typedef struct everything {
    size_t destroyed;
    size_t freed;
    size_t hooks;
    size_t seen;     /* values that a visit was called with */
    size_t notified;
    tls_key_t key;
} everything_t;

static inline void
everything_destroy(void *value, int reason, void *user)
{
    (void)value;
    (void)reason;
    test_count_up(&((everything_t *)user)->destroyed);
}

static inline int
everything_init(void **value, void *user)
{
    (void)user;
    *value = VALUE(7);
    return 0;
}

static inline void
everything_free(void *user)
{
    test_count_up(&((everything_t *)user)->freed);
}

static inline void
everything_hook(void *argument)
{
    test_count_up(&((everything_t *)argument)->hooks);
}

static inline void
everything_notify(void *argument)
{
    test_count_up(&((everything_t *)argument)->notified);
}

static inline int
everything_visit(void *value, uint64_t thread, void *argument)
{
    CHECK(value != NULL);
    CHECK(thread != 0);
    test_count_up(&((everything_t *)argument)->seen);
    return 0;
}

static inline void *
everything_in_a_thread(void *argument)
{
    everything_t *all = (everything_t *)argument;

    CHECK_OK(tls_thread_on_stale(everything_notify, all));
    CHECK_OK(tls_at_thread_exit(everything_hook, all));
    CHECK_OK(tls_set(all->key, VALUE(2)));
    return NULL;
}

/* The values of one thread, and a key's life. */
static inline void
everything_of_one_thread(everything_t *all)
{
    tls_key_t key = all->key;
    void *value = NULL;
    char name[16];

    CHECK_PTR(tls_get_existing(key), NULL);
    CHECK_PTR(tls_get(key), VALUE(7));
    CHECK_PTR((tls_get)(key), VALUE(7));
    CHECK_OK(tls_try_get(key, &value));
    CHECK_OK(tls_set(key, VALUE(8))); /* ends 7 */
    CHECK_OK(tls_swap(key, VALUE(9), &value));
    CHECK_PTR(value, VALUE(8));
    CHECK_OK(tls_take(key, &value));
    CHECK_PTR(value, VALUE(9));
    CHECK_OK(tls_set(key, VALUE(10)));
    CHECK_OK(tls_remove(key)); /* ends 10 */
    CHECK_OK(tls_key_retain(key));
    CHECK_OK(tls_key_release(key));
    CHECK(tls_key_is_live(key));
    CHECK_OK(tls_key_name(key, name, sizeof(name)));
    CHECK_STR(name, "everything");
    CHECK_UINT(all->destroyed, 2);
}

/* A key's values on all threads. Leaves a value of the calling thread. */
static inline void
everything_of_all_threads(everything_t *all, size_t notified)
{
    tls_key_t key = all->key;
    size_t number = 99;

    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_for_each(key, everything_visit, all));
    CHECK_UINT(all->seen, 1);
    test_join(test_start(everything_in_a_thread, all)); /* ends 2 */
    CHECK_UINT(all->hooks, 1);
    CHECK_UINT(all->destroyed, 3);
    CHECK_OK(tls_key_purge(key, &number)); /* ends 1 */
    CHECK_UINT(number, 1);
    CHECK_OK(tls_set(key, VALUE(3)));
    CHECK_OK(tls_scrape(key, everything_visit, all));
    CHECK_UINT(all->seen, 2);
    CHECK_OK(tls_key_drain(key, 0, &number));
    CHECK_UINT(number, 0);
    CHECK_UINT(all->notified, notified);
    CHECK_OK(tls_set(key, VALUE(4)));
}

/* Uses everything on the calling thread; the library has neither more nor
 * less afterwards. */
static inline void
use_everything(void)
{
    everything_t all;
    tls_key_options_t options = test_options();
    tls_stats_t before = test_stats();
    size_t left = 99;

    memset(&all, 0, sizeof(all));
    options.name = "everything";
    options.destroy = everything_destroy;
    options.init = everything_init;
    options.user = &all;
    options.user_free = everything_free;
    options.reclaim = TLS_RECLAIM_ANY;
    options.flags = TLS_KEY_ENUMERABLE;
    all.key = test_key_from(&options);
    everything_of_one_thread(&all);
    everything_of_all_threads(&all, 0);
    CHECK_OK(tls_key_release(all.key)); /* ends 4 */
    CHECK_UINT(all.destroyed, 5);
    CHECK_UINT(all.freed, 1);
    CHECK_CODE(tls_key_release(all.key), TLS_ERR_DEAD_KEY);
    CHECK_OK(tls_key_drain(all.key, -1, &left));
    CHECK_UINT(left, 0);
    tls_expunge();
    tls_expunge_some(1);
    CHECK_UINT(tls_stale_count(), 0);
    tls_expunge_all_threads();
    CHECK_OK(tls_thread_attach());
    CHECK_UINT(test_stats().keys, before.keys);
    CHECK_UINT(test_stats().dead_keys, before.dead_keys);
}

#endif /* EVERYTHING_H */
