/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A key of this library for each document. When the document is finished, its key is released:
 * the buffers that other workers still have for it are stale from that moment, and each worker
 * frees its own after its current task. */
#include "store.h"

#include <errno.h>
#include <stdio.h>

static int make(void **value, void *user) {
    (void)user;
    *value = scratch_new();
    return *value != NULL ? 0 : ENOMEM;
}

static void drop(void *value, int reason, void *user) {
    (void)reason;
    (void)user;
    scratch_free(value);
}

static int begin(struct document *document) {
    tls_key_options_t options = {
        .size = sizeof options,
        .name = document->file->path,
        .init = make,
        .destroy = drop,
    };
    int error = tls_key_create(&document->key.tls, &options);
    if (error != TLS_OK) fprintf(stderr, "pool: tls_key_create: %s\n", tls_strerror(error));
    return error;
}

static struct scratch *borrow(struct document *document) { return tls_get(document->key.tls); }

static void give_back(struct document *document, struct scratch *scratch) {
    (void)document;
    (void)scratch;
}

static void finish(struct document *document) { tls_key_release(document->key.tls); }

static void after_task(void) {
    if (tls_stale_count() != 0) tls_expunge();
}

static unsigned long long slots(void) {
    tls_stats_t stats = {.size = sizeof stats};
    return tls_stats(&stats) == TLS_OK ? stats.capacity : 0;
}

const struct store store_tls = {
    .name = "tls",
    .begin = begin,
    .borrow = borrow,
    .give_back = give_back,
    .finish = finish,
    .after_task = after_task,
    .slots = slots,
};
