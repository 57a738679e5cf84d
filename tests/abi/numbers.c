/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The sizes and numbers of version 0.1.0, which programs have compiled into them. Within a SONAME, a
 * line here changes only where a structure that says its size has got a new member at its end: then
 * its size. A new member, code or flag gets a line of its own.
 */
#include <stddef.h>
#include <stdint.h>
#include <threadlocalmap.h>

#ifdef __cplusplus
#define SAME(a, b) static_assert((a) == (b), #a " is not " #b)
#else
#define SAME(a, b) _Static_assert((a) == (b), #a " is not " #b)
#endif
#define AT(type, member, offset) SAME(offsetof(type, member), offset)

#if defined(__LP64__)
SAME(sizeof(tls_key_options_t), 64);
AT(tls_key_options_t, size, 0);
AT(tls_key_options_t, name, 8);
AT(tls_key_options_t, destroy, 16);
AT(tls_key_options_t, init, 24);
AT(tls_key_options_t, copy, 32);
AT(tls_key_options_t, user, 40);
AT(tls_key_options_t, user_free, 48);
AT(tls_key_options_t, reclaim, 56);
AT(tls_key_options_t, flags, 60);
SAME(sizeof(tls_hook_options_t), 40);
AT(tls_hook_options_t, size, 0);
AT(tls_hook_options_t, when, 8);
AT(tls_hook_options_t, flags, 12);
AT(tls_hook_options_t, fn, 16);
AT(tls_hook_options_t, arg, 24);
AT(tls_hook_options_t, owner, 32);
SAME(sizeof(tls_stats_t), 128);
AT(tls_stats_t, size, 0);
AT(tls_stats_t, keys, 8);
AT(tls_stats_t, dead_keys, 16);
AT(tls_stats_t, maps, 24);
AT(tls_stats_t, entries, 32);
AT(tls_stats_t, stale, 40);
AT(tls_stats_t, expunged, 48);
AT(tls_stats_t, destroyed, 56);
AT(tls_stats_t, leaked, 64);
AT(tls_stats_t, rehashes, 72);
AT(tls_stats_t, longest_probe, 80);
AT(tls_stats_t, capacity, 88);
AT(tls_stats_t, bytes, 96);
AT(tls_stats_t, unwatched, 104);
AT(tls_stats_t, contexts, 112);
AT(tls_stats_t, unscoped, 120);
#endif

SAME(sizeof(tls_key_t), 8);
SAME(sizeof(tls_scope_t), 8);

SAME(TLS_OK, 0);
SAME(TLS_ERR_BAD_KEY, -1);
SAME(TLS_ERR_DEAD_KEY, -2);
SAME(TLS_ERR_INVALID, -3);
SAME(TLS_ERR_NO_MEMORY, -4);
SAME(TLS_ERR_ABSENT, -5);
SAME(TLS_ERR_LIMIT, -6);
SAME(TLS_ERR_REENTRANT, -7);
SAME(TLS_ERR_INIT, -8);
SAME(TLS_ERR_EXITING, -9);
SAME(TLS_ERR_BUSY, -10);
SAME(TLS_ERR_TIMEOUT, -11);
SAME(TLS_ERR_UNSUPPORTED, -12);
SAME(TLS_KEY_NONE, 0);
SAME(TLS_REASON_REPLACED, 1);
SAME(TLS_REASON_REMOVED, 2);
SAME(TLS_REASON_KEY_DEAD, 3);
SAME(TLS_REASON_PURGED, 4);
SAME(TLS_REASON_SCOPE_END, 5);
SAME(TLS_REASON_THREAD_EXIT, 6);
SAME(TLS_REASON_DETACHED, 7);
SAME(TLS_REASON_MAP_DESTROYED, 8);
SAME(TLS_RECLAIM_OWNER, 0);
SAME(TLS_RECLAIM_ANY, 1);
SAME(TLS_KEY_ENUMERABLE, 1);
SAME(TLS_KEY_WORKER, 2);
SAME(TLS_KEY_INHERIT, 4);
SAME(TLS_KEY_EXPLICIT, 8);
SAME(TLS_HOOK_BEFORE_VALUES, 0);
SAME(TLS_HOOK_AFTER_VALUES, 1);
SAME(TLS_HOOK_ON_STALE, 2);
