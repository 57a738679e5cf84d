/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A pthread key for each document.
 *
 * pthread_key_delete() runs no destructors, and no function reaches another thread's value. If the
 * key is deleted when its document is finished, the other workers' values are leaked. If the key is
 * kept, so that destructors run when the workers end, the process runs out of keys (glibc has 1024).
 * Both ways are here. */
#include "store.h"
#include "meter.h"
#include "pool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int begin(struct document *document) {
    int error = pthread_key_create(&document->key.pthread, scratch_free);
    document->keyless = error != 0;
    if (error == EAGAIN) {
        /* Without a key, each chunk gets a buffer of its own. */
        if (atomic_fetch_add(&meter.keyless, 1) == 0)
            meter_note("no pthread key left (EAGAIN): from here on documents get none");
        return 0;
    }
    if (error != 0) fprintf(stderr, "pool: pthread_key_create: %s\n", strerror(error));
    return error;
}

static struct scratch *borrow(struct document *document) {
    struct scratch *scratch = NULL;
    if (!document->keyless) scratch = pthread_getspecific(document->key.pthread);
    if (scratch != NULL) return scratch;
    scratch = scratch_new();
    if (scratch == NULL) return NULL;
    if (document->keyless) {
        scratch->words = document->worker_words[pool_worker()];
    } else if (pthread_setspecific(document->key.pthread, scratch) != 0) {
        scratch_free(scratch);
        return NULL;
    }
    return scratch;
}

static void give_back(struct document *document, struct scratch *scratch) {
    if (document->keyless) scratch_free(scratch);
}

/* Only this worker's own buffer can be freed. */
static void free_own(struct document *document) {
    scratch_free(pthread_getspecific(document->key.pthread));
    pthread_setspecific(document->key.pthread, NULL);
}

static void finish_delete(struct document *document) {
    if (document->keyless) return;
    free_own(document);
    pthread_key_delete(document->key.pthread);
}

static void finish_keep(struct document *document) {
    if (!document->keyless) free_own(document);
}

const struct store store_pthread = {
    .name = "pthread",
    .begin = begin,
    .borrow = borrow,
    .give_back = give_back,
    .finish = finish_delete,
};

const struct store store_pthread_kept = {
    .name = "pthread-kept",
    .begin = begin,
    .borrow = borrow,
    .give_back = give_back,
    .finish = finish_keep,
};
