/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Counts of what was made and freed, and by which worker thread; and samples over time. The counting
 * of words does not depend on them. */
#ifndef METER_H
#define METER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Counted by all threads. */
struct meter {
    atomic_ullong made;            /* scratch buffers */
    atomic_ullong freed;           /* ... */
    atomic_ullong freed_elsewhere; /* by another thread than the one that made it */
    atomic_ullong peak;            /* most buffers alive at once */
    atomic_ullong stale;           /* a document got the buffer of another, dead one */
    atomic_ullong keyless;         /* documents that got no key, because the system had none left */
    atomic_ullong documents;       /* finished */
    atomic_ullong chunks;          /* counted */
    atomic_ullong words;           /* the sum of the documents' totals */
    atomic_ullong miscounted;      /* documents whose total is wrong */
    atomic_ullong changed;         /* documents that changed while the program ran */
    atomic_ullong peak_slots;      /* most slots in all tables of the library */
};
extern struct meter meter;

uint64_t meter_alive(void); /* buffers alive now */
void meter_made(void);
void meter_freed(bool elsewhere);
double meter_seconds(void); /* since meter_start */

/* Starts the thread that samples and shows the progress. `samples` (or NULL) gets CSV rows;
 * `slots` (or NULL) returns the number of table slots. */
int meter_start(const char *label, unsigned long long documents, FILE *samples,
                unsigned long long (*slots)(void));
void meter_stop(void);

/* One line on standard error, beside the progress. */
void meter_note(const char *text);

#endif
