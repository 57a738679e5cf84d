/* Who made what, and who destroyed it: the books of the things that threads keep. */
#ifndef LEDGER_H
#define LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LEDGER_THREADS = 32 };

struct ledger {
    uint64_t made[LEDGER_THREADS];      /* by each thread */
    uint64_t destroyed[LEDGER_THREADS]; /* by the thread that had made it */
    uint64_t destroyed_elsewhere;       /* by another one */
    unsigned threads;
};

/* A thing was made by the calling thread: what to keep in it, for the other function. */
unsigned ledger_made(void);

/* The thing that `maker` made is destroyed, by the calling thread. */
void ledger_destroyed(unsigned maker);

/* What the books say now. They are opened anew: threads that come later are counted from 0. */
struct ledger ledger_read(void);
void ledger_open(void);

uint64_t ledger_total(const uint64_t numbers[LEDGER_THREADS]);
uint64_t ledger_alive(const struct ledger *ledger);

/* The library's own allocator, where it lets one bring one's own: the C library's, counted. */
void *counted_malloc(size_t size);
void *counted_realloc(void *memory, size_t size);
void counted_free(void *memory);
size_t counted_bytes(void); /* that are taken now */

#endif
