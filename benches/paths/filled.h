/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A thread with very many values, many of them stale, for latency.c. */
#ifndef PATHS_FILLED_H
#define PATHS_FILLED_H

#include <stddef.h>
#include <stdint.h>

#include <threadlocalmap.h>

#define LIVE 1000000
#define STALE 100000
#define NEW 700000     /* more than fit into the table before it grows */
#define SHARED 5000    /* keys of which many threads have a value */
#define SHARERS 100

/* The live keys in an arbitrary order, keys of which this thread has no value, and keys of which SHARERS
 * other threads have values. */
extern tls_key_t live_keys[LIVE], new_keys[NEW], shared_keys[SHARED];
extern char filled_values[2];

/* Makes LIVE values of live keys and STALE stale values of the calling thread. Every 11th value is stale:
 * another thread has released its key. Every value has a destroy callback. */
void filled_make(void);

/* These are called before filled_make(). */
void filled_make_new_keys(void);
void filled_share_keys(uint32_t reclaim);

/* The address of the calling thread's table, and the number of its slots. */
const void *filled_table(void);
size_t filled_capacity(void);

#endif
