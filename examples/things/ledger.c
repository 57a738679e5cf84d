/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ledger.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ledger books;
static unsigned edition = 1;

static _Thread_local struct {
    unsigned edition, number;
} self;

/* The calling thread's number. Call it with the lock held. */
static unsigned own_number(void) {
    if (self.edition != edition) {
        if (books.threads == LEDGER_THREADS) abort();
        self.edition = edition;
        self.number = books.threads++;
    }
    return self.number;
}

unsigned ledger_made(void) {
    pthread_mutex_lock(&lock);
    unsigned maker = own_number();
    books.made[maker]++;
    pthread_mutex_unlock(&lock);
    return maker;
}

void ledger_destroyed(unsigned maker) {
    pthread_mutex_lock(&lock);
    if (maker == own_number())
        books.destroyed[maker]++;
    else
        books.destroyed_elsewhere++;
    pthread_mutex_unlock(&lock);
}

struct ledger ledger_read(void) {
    pthread_mutex_lock(&lock);
    struct ledger copy = books;
    pthread_mutex_unlock(&lock);
    return copy;
}

void ledger_open(void) {
    pthread_mutex_lock(&lock);
    books = (struct ledger){0};
    edition++;
    pthread_mutex_unlock(&lock);
}

uint64_t ledger_total(const uint64_t numbers[LEDGER_THREADS]) {
    uint64_t total = 0;
    for (unsigned i = 0; i < LEDGER_THREADS; i++) total += numbers[i];
    return total;
}

uint64_t ledger_alive(const struct ledger *ledger) {
    return ledger_total(ledger->made) - ledger_total(ledger->destroyed) -
           ledger->destroyed_elsewhere;
}

static atomic_size_t bytes;

void *counted_malloc(size_t size) { return counted_realloc(NULL, size); }

void *counted_realloc(void *memory, size_t size) {
    size_t before = malloc_usable_size(memory);
    void *moved = realloc(memory, size > 0 ? size : 1);
    if (moved != NULL) {
        atomic_fetch_add(&bytes, malloc_usable_size(moved));
        atomic_fetch_sub(&bytes, before);
    }
    return moved;
}

void counted_free(void *memory) {
    atomic_fetch_sub(&bytes, malloc_usable_size(memory));
    free(memory);
}

size_t counted_bytes(void) { return atomic_load(&bytes); }
