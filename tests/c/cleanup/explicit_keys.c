/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * TLS_KEY_EXPLICIT: no call but those that are there for it destroys stale values, so
 * a destroy callback may take a lock that the callers of all others hold.
 */
#include "lives.h"
#include "worker.h"

#define KEYS 200

static tls_key_t keys[KEYS], plain[KEYS], live;
static bool locked; /* the caller holds the lock that destroy_locked() takes */
static size_t destroyed;

static void
destroy_locked(void *value, int reason, void *user)
{
    CHECK(!locked);
    destroyed++;
    life_destroy(value, reason, user);
}

static void
make(uint32_t flags)
{
    tls_key_options_t options = test_options();
    size_t i;

    options.destroy = destroy_locked;
    options.copy = (flags & TLS_KEY_INHERIT) != 0 ? life_copy : NULL;
    options.flags = TLS_KEY_EXPLICIT | flags;
    for (i = 0; i < KEYS; i++) {
        keys[i] = test_key_from(&options);
        plain[i] = test_key();
        CHECK_OK(life_set(keys[i]));
    }
    live = test_key_from(&options);
}

static void *
release_all(void *argument)
{
    test_release_keys(keys, KEYS);
    return argument;
}

static void
finish(void)
{
    size_t i;

    CHECK_OK(tls_key_release(live));
    for (i = 0; i < KEYS; i++) {
        life_key_is_drained(keys[i]);
        CHECK_OK(tls_key_release(plain[i]));
    }
    lives_check();
}

static void
call_everything_else(void)
{
    tls_scope_t scope;
    tls_context_t *context = NULL;
    tls_map_t *map = NULL;
    void *old = NULL;
    size_t i;

    for (i = 0; i < KEYS; i++) {
        CHECK_PTR(tls_get(plain[i]), NULL);
        CHECK_OK(tls_set(plain[i], VALUE(1)));
        CHECK_PTR((tls_get)(plain[i]), VALUE(1));
        CHECK_OK(tls_swap(plain[i], VALUE(2), &old));
        CHECK_OK(tls_take(plain[i], &old));
        CHECK_CODE(tls_try_get(plain[i], &old), TLS_ERR_ABSENT);
        CHECK_OK(tls_remove(plain[i]));
        CHECK_OK(tls_set(plain[i], VALUE(1)));
    }
    CHECK_PTR(tls_get(live), NULL);
    CHECK_OK(tls_scope_begin(&scope, NULL));
    CHECK_OK(tls_scope_end(scope));
    CHECK_OK(tls_context_capture(&context));
    tls_context_free(context);
    CHECK_OK(tls_map_create(&map));
    CHECK_OK(tls_map_switch(map, NULL));
    CHECK_OK(tls_map_switch(NULL, NULL));
    CHECK_OK(tls_map_destroy(map));
    CHECK_OK(tls_thread_attach());
    tls_stale_count();
}

static uint32_t flags;

static void
by_expunge(void)
{
    CHECK_UINT(tls_expunge(), KEYS);
}

static void
by_expunge_some(void)
{
    size_t i;

    for (i = 0; i < KEYS; i += 5)
        CHECK_UINT(tls_expunge_some(5), 5);
}

static void
by_all_threads(void)
{
    CHECK_UINT(tls_expunge_all_threads(), KEYS);
}

static void
by_detach(void)
{
    CHECK_OK(tls_thread_detach());
}

static void
by_remove_all(void)
{
    CHECK_OK(tls_remove_all());
}

static void (*end)(void);

static void
stale_values_wait_for_a_call_that_ends_them(void)
{
    make(flags);
    test_in_thread(release_all, NULL);
    locked = true;
    call_everything_else();
    CHECK_UINT(destroyed, 0);
    CHECK_UINT(tls_stale_count(), KEYS);
    locked = false;
    end();
    CHECK_UINT(destroyed, KEYS);
    CHECK_UINT(tls_stale_count(), 0);
    finish();
}

/* A scope ends what was set in it, and a thread's end everything. */
static void *
set_and_end(void *argument)
{
    tls_scope_t scope;

    CHECK_OK(tls_scope_begin(&scope, NULL));
    make(flags);
    test_in_thread(release_all, NULL);
    locked = true;
    call_everything_else();
    CHECK_UINT(destroyed, 0);
    locked = false;
    if (argument == NULL)
        CHECK_OK(tls_scope_end(scope));
    return NULL;
}

static void
scopes_and_threads_end_them(void)
{
    destroyed = 0;
    test_in_thread(set_and_end, NULL);
    CHECK_UINT(destroyed, KEYS);
    finish();
    destroyed = 0;
    test_in_thread(set_and_end, &destroyed);
    CHECK_UINT(destroyed, KEYS);
    finish();
}

/* What has to wait does not hold back what need not. */
static test_log_t ended;

static void *
release_both(void *argument)
{
    tls_key_t *both = (tls_key_t *)argument;

    CHECK_OK(tls_key_release(both[0]));
    CHECK_OK(tls_key_release(both[1]));
    return NULL;
}

static void
others_end_as_ever(void)
{
    tls_key_t both[2];

    make(0);
    test_in_thread(release_all, NULL);
    both[0] = test_key_logged(&ended);
    both[1] = test_key_logged(&ended);
    CHECK_OK(tls_set(both[0], VALUE(1)));
    CHECK_OK(tls_set(both[1], VALUE(2)));
    test_in_thread(release_both, both);
    CHECK_PTR(tls_get(live), NULL);
    CHECK_UINT(ended.count, 2);
    CHECK_PTR(ended.records[0].value, VALUE(2));
    CHECK_UINT(destroyed, 0);
    CHECK_UINT(tls_expunge(), KEYS);
    finish();
}

int
main(void)
{
    static const struct {
        const char *name;
        void (*end)(void);
    } ends[] = {
        { "expunge", by_expunge }, { "expunge_some", by_expunge_some },
        { "expunge_all_threads", by_all_threads }, { "detach", by_detach },
        { "remove_all", by_remove_all },
    };
    static const uint32_t all_flags[] = { 0, TLS_KEY_ENUMERABLE, TLS_KEY_WORKER,
                                          TLS_KEY_INHERIT | TLS_KEY_ENUMERABLE };
    char variant[80];
    size_t f;
    size_t i;

    for (f = 0; f < sizeof(all_flags) / sizeof(all_flags[0]); f++) {
        flags = all_flags[f];
        for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
            end = ends[i].end;
            snprintf(variant, sizeof(variant), "(%s, flags %u)", ends[i].name, (unsigned)flags);
            RUN_APART_OF_DOZENS(stale_values_wait_for_a_call_that_ends_them, variant);
        }
        snprintf(variant, sizeof(variant), "(flags %u)", (unsigned)flags);
        RUN_APART_OF_DOZENS(scopes_and_threads_end_them, variant);
    }
    RUN_APART(others_end_as_ever);
    return apart_finish();
}
