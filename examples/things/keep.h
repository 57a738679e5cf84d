/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Where an object keeps a thing for each thread that uses it: a connection, a context, a buffer.
 * There are two ways, and the two runs of an example differ in this only. */
#ifndef KEEP_H
#define KEEP_H

#include <pthread.h>
#include <threadlocalmap.h>

/* What is kept, and for what. */
struct kind {
    const char *name;
    void *(*make)(void *object);  /* on the thread that needs one; NULL after an error */
    void (*destroy)(void *thing); /* on the thread that has it */
    void (*over)(void *object);   /* the object was closed, and its last thing was destroyed */
};

/* A part of the object. */
struct keep {
    const struct kind *kind;
    void *object;
    union {
        tls_key_t tls;
        pthread_key_t pthread;
    } key;
};

struct way {
    const char *name;
    int (*open)(struct keep *keep); /* with the object; 0 on success */
    void *(*mine)(struct keep *keep); /* the calling thread's thing; made if there is none */
    void (*close)(struct keep *keep); /* when the object ends; other threads have things too */
    void (*after_task)(void);         /* on each worker; may be NULL */
};

extern const struct way way_tls;     /* a key of this library for each object */
extern const struct way way_pthread; /* a pthread key for each object, deleted with it */

#endif
