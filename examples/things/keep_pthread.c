/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A pthread key for each object. pthread_key_delete() calls no destructor, and no function reaches
 * another thread's value: the worker that closes the object destroys its own thing, and the other
 * workers' things are lost. */
#include "keep.h"

#include <stdio.h>
#include <string.h>

static int open_keep(struct keep *keep) {
    int error = pthread_key_create(&keep->key.pthread, keep->kind->destroy);
    if (error != 0) fprintf(stderr, "pthread_key_create: %s\n", strerror(error));
    return error;
}

static void *mine(struct keep *keep) {
    void *thing = pthread_getspecific(keep->key.pthread);
    if (thing != NULL) return thing;
    thing = keep->kind->make(keep->object);
    if (thing != NULL && pthread_setspecific(keep->key.pthread, thing) != 0) {
        keep->kind->destroy(thing);
        return NULL;
    }
    return thing;
}

static void close_keep(struct keep *keep) {
    void *own = pthread_getspecific(keep->key.pthread);
    pthread_key_delete(keep->key.pthread);
    if (own != NULL) keep->kind->destroy(own);
    keep->kind->over(keep->object);
}

const struct way way_pthread = {
    .name = "pthread keys",
    .open = open_keep,
    .mine = mine,
    .close = close_keep,
};
