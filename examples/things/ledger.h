/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Counts which thread has made and which has destroyed the things that threads keep. */
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

/* Counts a thing that the calling thread has made. Returns a number to keep in the thing. */
unsigned ledger_made(void);

/* Counts that the calling thread has destroyed a thing that `maker` has made. */
void ledger_destroyed(unsigned maker);

/* Returns the counts, and starts new ones: later threads are numbered from 0. */
struct ledger ledger_read(void);
void ledger_open(void);

uint64_t ledger_total(const uint64_t numbers[LEDGER_THREADS]);
uint64_t ledger_alive(const struct ledger *ledger);

/* An allocator for libraries that accept one: the C library's, with a count of the bytes. */
void *counted_malloc(size_t size);
void *counted_realloc(void *memory, size_t size);
void counted_free(void *memory);
size_t counted_bytes(void); /* that are allocated now */

#endif
