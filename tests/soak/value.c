/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Values: counted, and marked, so that one that is destroyed twice or used afterwards is noticed. */
#include "soak.h"

#include <stdlib.h>

enum { ALIVE = 0x5afe, GONE = 0xdead };

struct value {
    _Atomic unsigned mark;
    _Atomic unsigned uses;
    uint64_t number;
    char bytes[40];
};

struct value *value_make(uint64_t number) {
    struct value *value = calloc(1, sizeof *value);
    if (value == NULL) {
        soak_wrong("there was no memory for a value");
        return NULL;
    }
    atomic_store(&value->mark, ALIVE);
    value->number = number;
    atomic_fetch_add(&soak.made, 1);
    return value;
}

bool value_is(struct value *value, uint64_t number) {
    if (atomic_load(&value->mark) != ALIVE) {
        soak_wrong("a value was found that had been destroyed");
        return false;
    }
    if (value->number != number) {
        soak_wrong("under key %llu was the value of key %llu", (unsigned long long)number,
                   (unsigned long long)value->number);
        return false;
    }
    return true;
}

void value_use(struct value *value) {
    if (atomic_load(&value->mark) != ALIVE) soak_wrong("a value was used that had been destroyed");
    atomic_fetch_add(&value->uses, 1);
}

void value_end(struct value *value) {
    if (atomic_exchange(&value->mark, GONE) != ALIVE) {
        soak_wrong("a value was destroyed twice");
        return;
    }
    atomic_fetch_add(&soak.destroyed, 1);
    free(value);
}

void value_destroy(void *value, int reason, void *user) {
    (void)reason;
    (void)user;
    value_end(value);
}
