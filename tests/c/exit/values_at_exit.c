/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A process that ends while its main thread has many values, of all kinds. Nothing is
 * destroyed then, and to a leak checker (make check runs this under valgrind and under
 * LeakSanitizer) everything is still reachable by pointers to its start: the values, and
 * what the library has allocated for them.
 */
#include "test.h"

#define KEYS 600

static tls_key_t keys[KEYS];

static int
copy(void *value, void **result, void *user)
{
    (void)user;
    *result = value;
    return 0;
}

static void
set_all(void)
{
    size_t i;

    for (i = 0; i < KEYS; i++) {
        void *value = malloc(16);

        CHECK(value != NULL);
        CHECK_OK(tls_set(keys[i], value));
    }
}

static void
leave_values_of_all_kinds_behind(void)
{
    static const uint32_t flags[] = { 0, TLS_KEY_ENUMERABLE, TLS_KEY_WORKER, TLS_KEY_INHERIT };
    tls_scope_t scope;
    size_t i;

    for (i = 0; i < KEYS; i++) {
        tls_key_options_t options = test_options();

        options.flags = flags[i % 4];
        options.copy = flags[i % 4] == TLS_KEY_INHERIT ? copy : NULL;
        options.reclaim = i % 8 < 4 ? TLS_RECLAIM_OWNER : TLS_RECLAIM_ANY;
        keys[i] = test_key_from(&options);
    }
    for (i = 0; i < KEYS; i++)
        if (flags[i % 4] == TLS_KEY_WORKER)
            CHECK_OK(tls_set(keys[i], NULL));
    CHECK_OK(tls_scope_begin(&scope, NULL));
    set_all();
    CHECK_UINT(test_stats().leaked, 0);
}

int
main(void)
{
    RUN(leave_values_of_all_kinds_behind);
    return 0;
}
