/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A key of this library for each object. Closing the object releases the key: the things that other
 * workers have for it are stale from that moment, and each worker destroys its own after its
 * current task. The object's memory goes with the last of them. */
#include "keep.h"

#include <stdio.h>

static int make(void **value, void *user) {
    struct keep *keep = user;
    *value = keep->kind->make(keep->object);
    return *value != NULL ? 0 : -1;
}

static void drop(void *value, int reason, void *user) {
    struct keep *keep = user;
    (void)reason;
    keep->kind->destroy(value);
}

static void over(void *user) {
    struct keep *keep = user;
    keep->kind->over(keep->object);
}

static int open_keep(struct keep *keep) {
    tls_key_options_t options = {
        .size = sizeof options,
        .name = keep->kind->name,
        .init = make,
        .destroy = drop,
        .user = keep,
        .user_free = over,
    };
    int error = tls_key_create(&keep->key.tls, &options);
    if (error != TLS_OK) fprintf(stderr, "tls_key_create: %s\n", tls_strerror(error));
    return error;
}

static void *mine(struct keep *keep) { return tls_get(keep->key.tls); }

static void close_keep(struct keep *keep) { tls_key_release(keep->key.tls); }

static void after_task(void) {
    if (tls_stale_count() != 0) tls_expunge();
}

const struct way way_tls = {
    .name = "this library",
    .open = open_keep,
    .mine = mine,
    .close = close_keep,
    .after_task = after_task,
};
