/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* GPrivate of GLib. It is meant for static variables, cannot be destroyed, and keeps a pthread key for
 * ever; many of them would leave no keys for the other peers of this run. So this file finds the
 * pthread key of each and deletes it: glibc gives out the lowest free number. */
#include <glib.h>
#include <pthread.h>
#include <stdlib.h>

#include "peer.h"

static uint64_t destroyed;

static void count(gpointer value) {
    (void)value;
    destroyed++;
}

struct private {
    GPrivate private;
    pthread_key_t key;
};

static inline GPrivate *at(uint64_t key) { return &((struct private *)key)->private; }

static inline void *glib_read(uint64_t key) { return g_private_get(at(key)); }
static inline void glib_write(uint64_t key, void *value) { g_private_set(at(key), value); }
static inline void glib_write_over(uint64_t key, void *value) { g_private_replace(at(key), value); }
static inline void glib_unset(uint64_t key) { g_private_set(at(key), NULL); }

static int make(uint64_t *keys, size_t made, int flags) {
    const GPrivate plain = G_PRIVATE_INIT(NULL), counting = G_PRIVATE_INIT(count);
    for (size_t i = 0; i < made; i++) {
        struct private *one = malloc(sizeof *one);
        if (!one || pthread_key_create(&one->key, NULL) != 0) return 1;
        pthread_key_delete(one->key);
        one->private = flags & BENCH_COUNTING ? counting : plain;
        g_private_set(&one->private, NULL); /* takes the number of that key */
        pthread_key_t next;
        if (pthread_key_create(&next, NULL) != 0) return 1;
        pthread_key_delete(next);
        if (next == one->key) return 1; /* it took another number */
        keys[i] = (uint64_t)(uintptr_t)one;
    }
    return 0;
}

static void unmake(const uint64_t *keys, size_t made) {
    for (size_t i = 0; i < made; i++) {
        struct private *one = (struct private *)(uintptr_t)keys[i];
        pthread_key_delete(one->key);
        free(one);
    }
}

PEER_READS(glib)
PEER_FILLS(glib)
PEER_SETS(glib)
PEER_REPLACES(glib)
PEER_FIRSTS(glib)

static const struct bench_kernel kernels[] = {
    LINES_READS(glib) LINE(glib, fill) LINE(glib, set) LINE(glib, replace) LINE(glib, first) NO_MORE_LINES};

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
PEER(glib) = {"glib", "GLib GPrivate",
              TEXT(GLIB_MAJOR_VERSION) "." TEXT(GLIB_MINOR_VERSION) "." TEXT(GLIB_MICRO_VERSION),
              1000, make, unmake, kernels, &destroyed};
