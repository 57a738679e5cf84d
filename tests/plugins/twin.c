/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A plugin with a static copy of the library, to be opened beside another one.
 * Its functions are reached through a table of its own, so that it does not
 * depend on how symbols are bound; the calls in it do. */
#include <threadlocalmap.h>

#include "twin.h"

static tls_key_t key;
static size_t destroyed;

static void
destroy(void *value, int reason, void *user)
{
    (void)value;
    (void)reason;
    (void)user;
    __atomic_add_fetch(&destroyed, 1, __ATOMIC_SEQ_CST);
}

static tls_key_t
make_key(void)
{
    tls_key_options_t options = {0};

    options.size = sizeof(options);
    options.flags = TLS_KEY_ENUMERABLE;
    options.destroy = destroy;
    return tls_key_create(&key, &options) == TLS_OK ? key : TLS_KEY_NONE;
}

static int
set(tls_key_t of, void *value)
{
    return tls_set(of, value);
}

static void *
get(tls_key_t of)
{
    return tls_get(of);
}

static size_t
count_destroyed(void)
{
    return __atomic_load_n(&destroyed, __ATOMIC_SEQ_CST);
}

static int
stats(tls_stats_t *filled)
{
    return tls_stats(filled);
}

static int
drain(tls_key_t of, size_t *left)
{
    return tls_key_drain(of, 2000, left);
}

static int
release(tls_key_t of)
{
    return tls_key_release(of);
}

static int
run_in_scope(tls_key_t of, void *value)
{
    tls_scope_t scope;
    int code = tls_scope_begin(&scope, NULL);

    if (code == TLS_OK)
        code = tls_set(of, value);
    return code == TLS_OK ? tls_scope_end(scope) : code;
}

static int
detach(void)
{
    return tls_thread_detach();
}

const twin_t twin_functions = {make_key, set,   get,          count_destroyed, stats,
                               drain,    release, run_in_scope, detach};
