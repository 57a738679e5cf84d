/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A plugin: a shared object with a key whose callbacks are in it. When it is
 * unloaded, so are they.
 */
#include "plugin.h"

#include <stdlib.h>

static size_t *ended;

static void
end_value(void *value, int reason, void *user)
{
    (void)reason;
    free(value);
    __atomic_add_fetch((size_t *)user, 1, __ATOMIC_SEQ_CST);
}

static void
end_key(void *user)
{
    /* What belongs to the plugin is read once more. */
    if (user != ended)
        abort();
}

int
plugin_make_key(tls_key_t *key, uint32_t reclaim, size_t *count)
{
    tls_key_options_t options = { 0 };

    ended = count;
    options.size = sizeof(options);
    options.destroy = end_value;
    options.user = count;
    options.user_free = end_key;
    options.reclaim = reclaim;
    return tls_key_create(key, &options);
}

int
plugin_set(tls_key_t key)
{
    void *value = malloc(1);
    int code = tls_set(key, value);

    if (code != TLS_OK)
        free(value);
    return code;
}

void *
plugin_get(tls_key_t key)
{
    return tls_get(key);
}

int
plugin_release(tls_key_t key)
{
    return tls_key_release(key);
}

static void
count_hook(void *argument)
{
    __atomic_add_fetch((size_t *)argument, 1, __ATOMIC_SEQ_CST);
}

int
plugin_hook(tls_key_t owner, uint32_t when, size_t *count)
{
    tls_hook_options_t options = { 0 };

    options.size = sizeof(options);
    options.when = when;
    options.fn = count_hook;
    options.arg = count;
    options.owner = owner;
    return tls_thread_hook(&options);
}

/* Which copy of the library the plugin uses. */
const void *
plugin_library(void)
{
    return (const void *)tls_version_string();
}
