/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What latency.c measures among: a thread with very many values, many of them stale. */
#ifndef PATHS_FILLED_H
#define PATHS_FILLED_H

#include <stddef.h>
#include <stdint.h>

#include <threadlocalmap.h>

#define LIVE 1000000
#define STALE 100000
#define NEW 700000     /* more than the table has room for before it grows */
#define SHARED 5000    /* keys that many threads have a value of */
#define SHARERS 100

/* The live ones in an arbitrary order, keys that this thread has no value of, and keys that SHARERS other
 * threads have values of. */
extern tls_key_t live_keys[LIVE], new_keys[NEW], shared_keys[SHARED];
extern char filled_values[2];

/* LIVE and STALE values of the calling thread. The stale ones are every 11th, and another thread has released
 * their keys. Every value has a destroy callback. */
void filled_make(void);

/* Before filled_make(). */
void filled_make_new_keys(void);
void filled_share_keys(uint32_t reclaim);

/* The calling thread's table, and how many slots it has. */
const void *filled_table(void);
size_t filled_capacity(void);

#endif
