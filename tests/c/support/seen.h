/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A visitor that notes which small values it has seen, and how often. */
#ifndef SEEN_H
#define SEEN_H

#include "test.h"

/* One hexadecimal digit for each value, in the size_t that argument points at. */
static inline int
seen_add(void *value, uint64_t thread, void *argument)
{
    CHECK(thread != 0);
    *(size_t *)argument += (size_t)1 << (4 * (size_t)value);
    return 0;
}

#endif /* SEEN_H */
