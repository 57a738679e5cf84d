/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A thread_local table from an object's address to this thread's value for it, as programs often
 * have it.
 *
 * The worker that finishes a document removes its own entry; no function can remove the others'. When
 * malloc() returns the dead document's address for a new one, the other workers find the old buffer
 * under it, with the dead document's count in it. */
#include "store.h"

#include <stdlib.h>

struct slot {
    const void *address; /* NULL: free */
    struct scratch *scratch;
};

/* Linear probing; never more than half full; entries are removed with a backward shift. */
static _Thread_local struct {
    struct slot *slots;
    size_t capacity, count;
} table;

static size_t home(const void *address) {
    return (size_t)(((uint64_t)(uintptr_t)address * 0x9E3779B97F4A7C15u) >> 20) &
           (table.capacity - 1);
}

static struct slot *find(const void *address) {
    size_t at = home(address);
    while (table.slots[at].address != NULL && table.slots[at].address != address)
        at = (at + 1) & (table.capacity - 1);
    return &table.slots[at];
}

static int make_room(void) {
    if (table.count * 2 < table.capacity) return 0;
    struct slot *old = table.slots;
    size_t old_capacity = table.capacity, capacity = old_capacity == 0 ? 16 : old_capacity * 2;
    struct slot *slots = calloc(capacity, sizeof *slots);
    if (slots == NULL) return -1;
    table.slots = slots;
    table.capacity = capacity;
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i].address != NULL) *find(old[i].address) = old[i];
    free(old);
    return 0;
}

static int begin(struct document *document) {
    (void)document; /* its address is the key */
    return 0;
}

static struct scratch *borrow(struct document *document) {
    if (make_room() != 0) return NULL;
    struct slot *slot = find(document);
    if (slot->address != NULL) return slot->scratch;
    struct scratch *scratch = scratch_new();
    if (scratch == NULL) return NULL;
    *slot = (struct slot){.address = document, .scratch = scratch};
    table.count++;
    return scratch;
}

static void give_back(struct document *document, struct scratch *scratch) {
    (void)document;
    (void)scratch;
}

static void finish(struct document *document) {
    if (table.capacity == 0) return;
    struct slot *slot = find(document);
    if (slot->address == NULL) return;
    scratch_free(slot->scratch);
    table.count--;
    size_t hole = (size_t)(slot - table.slots), mask = table.capacity - 1;
    for (size_t at = (hole + 1) & mask; table.slots[at].address != NULL; at = (at + 1) & mask) {
        if (((at - home(table.slots[at].address)) & mask) < ((at - hole) & mask)) continue;
        table.slots[hole] = table.slots[at];
        hole = at;
    }
    table.slots[hole] = (struct slot){0};
}

static void worker_exit(void) {
    for (size_t i = 0; i < table.capacity; i++)
        if (table.slots[i].address != NULL) scratch_free(table.slots[i].scratch);
    free(table.slots);
}

const struct store store_thread_local = {
    .name = "thread_local",
    .begin = begin,
    .borrow = borrow,
    .give_back = give_back,
    .finish = finish,
    .worker_exit = worker_exit,
};
