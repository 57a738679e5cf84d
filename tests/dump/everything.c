/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Prints a report of everything that a report can have, and nothing else: see
 * tests/dump.rs, which says what must be in it.
 */
#include "worker.h"

static void
end_value(void *value, int reason, void *user)
{
    (void)value;
    (void)reason;
    (void)user;
}

static int
copy_value(void *value, void **copy, void *user)
{
    (void)user;
    *copy = value;
    return 0;
}

static tls_key_t
named_key(const char *name)
{
    tls_key_options_t options = test_options();

    options.name = name;
    options.destroy = end_value;
    options.copy = copy_value;
    options.flags = TLS_KEY_INHERIT;
    return test_key_from(&options);
}

static int
print(const char *bytes, size_t length, void *file)
{
    return fwrite(bytes, 1, length, (FILE *)file) != length;
}

int
main(void)
{
    static const char *const odd_names[] = {
        "say \"it\" in C:\\temp", "line\nline\ttab\x01\x7f", "caf\xc3\xa9 \xf0\x9f\x92\xa7", "\xff and \xc3",
    };
    tls_key_t odd[sizeof(odd_names) / sizeof(odd_names[0])];
    tls_key_t layered = named_key("layered");
    tls_key_t dead = named_key("dead");
    tls_key_t unnamed = test_key();
    tls_context_t *context = NULL;
    tls_map_t *map = NULL;
    tls_scope_t scope;
    worker_t worker;
    size_t i;

    for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        odd[i] = named_key(odd_names[i]);
    worker_start(&worker);
    CHECK_OK(worker_set(&worker, dead, VALUE(1)));
    CHECK_OK(worker_set(&worker, layered, VALUE(2)));
    CHECK_OK(tls_key_release(dead));
    CHECK_OK(tls_set(unnamed, NULL));
    CHECK_OK(tls_set(layered, VALUE(0xabc)));
    CHECK_OK(tls_context_capture(&context));
    CHECK_OK(tls_scope_begin(&scope, NULL));
    CHECK_OK(tls_set(layered, VALUE(0xdef)));
    CHECK_OK(tls_map_create(&map));
    CHECK_OK(tls_map_switch(map, NULL));
    CHECK_OK(tls_set(unnamed, VALUE(3)));
    CHECK_OK(tls_map_switch(NULL, NULL));

    CHECK_OK(tls_dump(print, stdout));

    CHECK_OK(tls_scope_end(scope));
    CHECK_OK(tls_map_destroy(map));
    tls_context_free(context);
    worker_stop(&worker);
    for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        CHECK_OK(tls_key_release(odd[i]));
    CHECK_OK(tls_key_release(layered));
    CHECK_OK(tls_key_release(unnamed));
    return test_finish();
}
