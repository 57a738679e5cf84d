/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A key whose destroy callback does what a test says (prepare), and some other
 * keys for it to do it with.
 */
#ifndef ACTING_KEY_H
#define ACTING_KEY_H

#include "test.h"

#define OTHERS 40

/* The key whose callback is under test, and what that callback does. */
static tls_key_t own;
static tls_key_t others[OTHERS];
static void (*act)(void *value, int reason);

static test_log_t ended;
static test_log_t ended_others;

static inline void
log_and_act(void *value, int reason, void *user)
{
    test_log_destroy(value, reason, user);
    if (act != NULL)
        act(value, reason);
}

static inline void
prepare(void (*action)(void *value, int reason))
{
    tls_key_options_t options = test_options();

    test_log_clear(&ended);
    test_log_clear(&ended_others);
    act = action;
    options.destroy = log_and_act;
    options.user = &ended;
    options.user_free = test_log_free;
    own = test_key_from(&options);
}

static inline void
make_others(int count)
{
    int i;

    for (i = 0; i < count; i++)
        others[i] = test_key_logged(&ended_others);
}

static inline void
release_others(int count)
{
    int i;

    for (i = 0; i < count; i++)
        CHECK_OK(tls_key_release(others[i]));
}

static inline void *
set_own_in_thread(void *argument)
{
    CHECK_OK(tls_set(own, argument));
    return NULL;
}

static inline void *
set_own_and_detach(void *argument)
{
    uint64_t maps = test_stats().maps;

    CHECK_OK(tls_set(own, argument));
    CHECK_OK(tls_thread_detach());
    CHECK_UINT(test_stats().maps, maps);
    CHECK_PTR(tls_get(own), NULL);
    return NULL;
}

static inline void
set_the_next_value_up_to_4(void *value, int reason)
{
    (void)reason;
    if ((uintptr_t)value < 4)
        CHECK_OK(tls_set(own, VALUE((uintptr_t)value + 1)));
}

#endif /* ACTING_KEY_H */
