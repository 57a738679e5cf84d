/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A scratch buffer, which one thread needs while it counts the words of one document. */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define SCRATCH_BYTES ((size_t)64 * 1024)

struct scratch {
    uint64_t document; /* the serial number of the document it was made for; 0: not used yet */
    uint64_t words;    /* the words of that document that this thread has counted so far */
    pthread_t maker;
    char text[]; /* room for one chunk: the rest of SCRATCH_BYTES */
};
#define SCRATCH_TEXT_BYTES (SCRATCH_BYTES - offsetof(struct scratch, text))

struct scratch *scratch_new(void); /* NULL if memory runs out */
void scratch_free(void *scratch);  /* NULL is allowed */

#endif
