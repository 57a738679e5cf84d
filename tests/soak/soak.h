/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A soak: everything that a long-lived process does with the library, all at once, for as long as
 * it has to. Nothing may be left, nothing may grow.
 *
 * Each party (objects.c, threads.c, forks.c, reloads.c) is a few threads that go on until
 * soak_stops(). What they store are values (value.c), which are counted when they are made and when
 * they are destroyed. main.c starts the parties, takes a sample now and then (record.c), and checks. */
#ifndef SOAK_H
#define SOAK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <threadlocalmap.h>

#include "../../examples/pool/pool.h"

/* ---- What everybody shares ------------------------------------------------------------------ */

struct soak {
    atomic_bool stop;
    _Atomic uint64_t made, destroyed; /* values */
    _Atomic uint64_t tasks, objects, churned, threads, forks, reloads;
    struct pool *pool;      /* its workers expunge after each task */
    struct pool *lazy_pool; /* its workers expunge one stale value after each task */
};
extern struct soak soak;

bool soak_stops(void);

/* Says what is wrong, once, and lets all parties end. The first sentence decides the result. */
void soak_wrong(const char *sentence, ...) __attribute__((format(printf, 1, 2)));
bool soak_went_wrong(void);

/* True for TLS_OK; else it says which call gave which error. */
bool soak_ok(const char *call, int result);

void soak_nap(unsigned milliseconds);


/* ---- Values --------------------------------------------------------------------------------- */

struct value;

/* NULL: no memory, which has been said. `number` tells whose it is. */
struct value *value_make(uint64_t number);
bool value_is(struct value *value, uint64_t number);
/* By the thread that has it, or that visits it. */
void value_use(struct value *value);
void value_end(struct value *value);
/* A destroy callback. */
void value_destroy(void *value, int reason, void *user);

/* ---- Parties: each starts its threads, and joins them after soak_stops() --------------------- */

void objects_start(void);
void objects_join(void);
void threads_start(void);
void threads_join(void);
void forks_start(void);
void forks_join(void);
void reloads_start(const char *plugin);
void reloads_join(void);

#endif
