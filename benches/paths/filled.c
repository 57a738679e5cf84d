/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "filled.h"

#include "holders.h"
#include "must.h"

tls_key_t live_keys[LIVE], new_keys[NEW], shared_keys[SHARED];
char filled_values[2];

static tls_key_t stale_keys[STALE];
static uint64_t destroyed;

static void count_destroyed(void *value, int reason, void *user) {
    (void)value, (void)reason, (void)user;
    __atomic_fetch_add(&destroyed, 1, __ATOMIC_RELAXED);
}

static tls_key_t make_key(uint32_t reclaim) {
    tls_key_options_t options = {.size = sizeof options, .destroy = count_destroyed, .reclaim = reclaim};
    tls_key_t key = TLS_KEY_NONE;
    MUST(tls_key_create(&key, &options) == TLS_OK);
    return key;
}

static void release_stale_keys(void) {
    for (size_t i = 0; i < STALE; i++)
        MUST(tls_key_release(stale_keys[i]) == TLS_OK);
}

/* Gives the same order in each run. */
static void shuffle(tls_key_t *keys, size_t count) {
    uint64_t state = 1;
    for (size_t i = count - 1; i > 0; i--) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        size_t other = (state >> 33) % (i + 1);
        tls_key_t key = keys[i];
        keys[i] = keys[other];
        keys[other] = key;
    }
}

void filled_make(void) {
    size_t live = 0, stale = 0;
    while (live < LIVE || stale < STALE) {
        tls_key_t key = make_key(TLS_RECLAIM_OWNER);
        MUST(tls_set(key, filled_values) == TLS_OK);
        if ((live + stale) % 11 == 10)
            stale_keys[stale++] = key;
        else
            live_keys[live++] = key;
    }
    shuffle(live_keys, LIVE);
    holders_do(1, release_stale_keys);
    MUST(tls_stale_count() == STALE);
}

void filled_make_new_keys(void) {
    for (size_t i = 0; i < NEW; i++)
        new_keys[i] = make_key(TLS_RECLAIM_OWNER);
}

static void set_shared_keys(void) {
    for (size_t i = 0; i < SHARED; i++)
        MUST(tls_set(shared_keys[i], filled_values) == TLS_OK);
}

void filled_share_keys(uint32_t reclaim) {
    for (size_t i = 0; i < SHARED; i++)
        shared_keys[i] = make_key(reclaim);
    holders_do(SHARERS, set_shared_keys);
}

/* The hot slot, as threadlocalmap.h describes it: the address of the table, and a mask in bytes, with 16 bytes for
 * each slot. */
static const size_t *hot_slot(void) {
    return (const size_t *)((const char *)__builtin_thread_pointer() + tls_hot_offset_v1());
}

const void *filled_table(void) {
    return (const void *)*(const volatile size_t *)hot_slot();
}

size_t filled_capacity(void) {
    return hot_slot()[1] / 16 + 1;
}
