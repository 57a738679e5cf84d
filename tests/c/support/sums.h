/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The sum of all threads' values of a key, by a visit.
 */
#ifndef SUMS_H
#define SUMS_H

#include "test.h"

typedef struct sum {
    size_t values;
    size_t total;
} sum_t;

static inline int
add(void *value, uint64_t thread, void *argument)
{
    sum_t *sum = (sum_t *)argument;

    CHECK(thread != 0);
    sum->values++;
    sum->total += (size_t)value;
    return 0;
}

static inline sum_t
sum_of(tls_key_t of)
{
    sum_t sum = { 0, 0 };

    CHECK_OK(tls_for_each(of, add, &sum));
    return sum;
}

#endif
