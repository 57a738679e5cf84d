/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Values that are numbered as they are made, and each of which must end once:
 * by its destroy callback, or in the hands of the one who took it.
 */
#ifndef LIVES_H
#define LIVES_H

#include "apart.h"

#define LIVES 1000000

static size_t lives_made;
static size_t lives_ends[LIVES + 1];

/* A new value. */
static inline void *
life(void)
{
    size_t number = test_count_up(&lives_made);

    CHECK_AT_MOST(number, LIVES);
    return VALUE(number);
}

/* Ends a value that the caller has in its hands. NULL is none. */
static inline void
life_end(void *value)
{
    size_t number = (size_t)(uintptr_t)value;

    if (value == NULL)
        return;
    CHECK_AT_MOST(number, test_count(&lives_made));
    CHECK_UINT(test_count_up(&lives_ends[number]), 1);
}

static inline void
life_destroy(void *value, int reason, void *user)
{
    (void)user;
    CHECK(reason >= TLS_REASON_REPLACED && reason <= TLS_REASON_MAP_DESTROYED);
    CHECK(value != NULL);
    life_end(value);
}

static inline int
life_init(void **value, void *user)
{
    (void)user;
    *value = life();
    return 0;
}

static inline int
life_copy(void *value, void **copy, void *user)
{
    (void)user;
    CHECK_UINT(test_count(&lives_ends[(size_t)(uintptr_t)value]), 0);
    *copy = life();
    return 0;
}

/* Sets a new value; if that is refused, the value is the caller's to end. */
static inline int
life_set(tls_key_t key)
{
    void *value = life();
    int code = tls_set(key, value);

    if (code != TLS_OK)
        life_end(value);
    return code;
}

static inline bool
life_is_over(const void *value)
{
    return test_count(&lives_ends[(size_t)(uintptr_t)value]) != 0;
}

static inline size_t
lives_ended(void)
{
    size_t ended = 0;
    size_t i;

    for (i = 1; i <= lives_made; i++)
        ended += lives_ends[i];
    return ended;
}

/* Every value has ended, once. */
static inline void
lives_check(void)
{
    size_t i;

    for (i = 1; i <= lives_made; i++)
        if (lives_ends[i] != 1)
            test_fail(__FILE__, __LINE__, __func__,
                      "value %zu of %zu has ended %zu times", i, lives_made,
                      lives_ends[i]);
}

/* A key whose values are lives, with these flags. */
static inline tls_key_t
life_key(uint32_t reclaim, uint32_t flags, tls_init_fn init)
{
    tls_key_options_t options = test_options();

    options.destroy = life_destroy;
    options.copy = (flags & TLS_KEY_INHERIT) != 0 ? life_copy : NULL;
    options.init = init;
    options.reclaim = reclaim;
    options.flags = flags;
    return test_key_from(&options);
}

/* Nobody has a value under the key, and nobody will be called for it. */
static inline void
life_key_is_drained(tls_key_t key)
{
    size_t left = 99;

    CHECK_OK(tls_key_drain(key, 0, &left));
    CHECK_UINT(left, 0);
}

#endif /* LIVES_H */
