/* Where a document's per-thread scratch buffers are kept: the one thing in which the three
 * variants of this program differ. Everything else is the same code. */
#ifndef STORE_H
#define STORE_H

#include "document.h"
#include "scratch.h"

struct store {
    const char *name;
    /* A document begins. 0, or an error was reported. */
    int (*begin)(struct document *document);
    /* The calling worker's buffer for this document; made when there is none. NULL: no memory. */
    struct scratch *(*borrow)(struct document *document);
    /* The worker has finished a chunk. */
    void (*give_back)(struct document *document, struct scratch *scratch);
    /* The document is done, says the worker that finished its last chunk. Other workers have
     * buffers for it too, and sleep, or work on something else. */
    void (*finish)(struct document *document);
    /* On a worker after each task, and at its end. NULL: this variant has nothing to do there. */
    void (*after_task)(void);
    void (*worker_exit)(void);
    /* Slots in all tables now. NULL: cannot be known. */
    unsigned long long (*slots)(void);
};

extern const struct store store_tls;          /* a key of this library for each document */
extern const struct store store_pthread;      /* a pthread key for each document, deleted with it */
extern const struct store store_pthread_kept; /* ... never deleted, so that its destructor runs */
extern const struct store store_thread_local; /* a thread_local table from address to buffer */

#endif
