/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The calls that use structures of the library, for the Rust code of the
 * benchmark. So only the header defines these structures. */
#include <stdint.h>
#include <threadlocalmap.h>

static void count(void *value, int reason, void *user) {
    (void)value;
    (void)reason;
    ++*(uint64_t *)user;
}

/* A key whose destroy callback only adds one to a counter. It is used on one
 * thread only, so the increment is not atomic. */
int bench_counting_key(tls_key_t *key, uint64_t *destroyed);
int bench_counting_key(tls_key_t *key, uint64_t *destroyed) {
    tls_key_options_t options = {0};
    options.size = sizeof options;
    options.destroy = count;
    options.user = destroyed;
    return tls_key_create(key, &options);
}

/* A key whose value is captured by a context, without a copy callback. */
int bench_inherited_key(tls_key_t *key);
int bench_inherited_key(tls_key_t *key) {
    tls_key_options_t options = {0};
    options.size = sizeof options;
    options.flags = TLS_KEY_INHERIT;
    return tls_key_create(key, &options);
}

struct bench_stats {
    uint64_t keys, maps, entries, stale, destroyed, longest_probe, capacity, bytes;
};

int bench_stats(struct bench_stats *out);
int bench_stats(struct bench_stats *out) {
    tls_stats_t stats = {0};
    stats.size = sizeof stats;
    int result = tls_stats(&stats);
    if (result != TLS_OK) return result;
    out->keys = stats.keys;
    out->maps = stats.maps;
    out->entries = stats.entries;
    out->stale = stats.stale;
    out->destroyed = stats.destroyed;
    out->longest_probe = stats.longest_probe;
    out->capacity = stats.capacity;
    out->bytes = stats.bytes;
    return TLS_OK;
}
