/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Where a document's scratch buffers are kept, one for each thread. The variants of this program
 * differ in this only. */
#ifndef STORE_H
#define STORE_H

#include "document.h"
#include "scratch.h"

struct store {
    const char *name;
    /* A document begins. Returns 0, or another number after reporting an error. */
    int (*begin)(struct document *document);
    /* The calling worker's buffer for this document, which is made if there is none. NULL if
     * memory runs out. */
    struct scratch *(*borrow)(struct document *document);
    /* The worker has finished a chunk. */
    void (*give_back)(struct document *document, struct scratch *scratch);
    /* Called by the worker that has finished the document's last chunk. Other workers have buffers
     * for it too, and sleep, or work on other documents. */
    void (*finish)(struct document *document);
    /* Called on a worker after each task, and at its end. It may be NULL. */
    void (*after_task)(void);
    void (*worker_exit)(void);
    /* Returns the number of slots in all tables. NULL if this variant can't know it. */
    unsigned long long (*slots)(void);
};

extern const struct store store_tls;          /* a key of this library for each document */
extern const struct store store_pthread;      /* a pthread key for each document, deleted with it */
extern const struct store store_pthread_kept; /* ... never deleted, so that its destructor runs */
extern const struct store store_thread_local; /* a thread_local table from address to buffer */

#endif
