/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The durations of calls in several repetitions, and the results that are printed. */
#ifndef PATHS_DURATIONS_H
#define PATHS_DURATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MOST_REPETITIONS 9

/* All calls of a repetition, in their order. */
struct repetition {
    size_t calls;
    uint32_t *nanoseconds;
    bool *moved; /* the call has rebuilt the thread's table */
    size_t capacity_before, capacity_after; /* of the table, in slots: at the first call and after the last */
};

/* `longest` is the longest call of all repetitions. `typical_longest` is the median of the longest calls of
 * the repetitions. */
struct durations {
    size_t calls;
    uint64_t median, p999, longest, typical_longest;
    size_t longest_at; /* the number of that call in its repetition; the first is 1 */
};

/* The results for the calls that have rebuilt the table (`moved`), or for all others. */
struct durations durations_of(const struct repetition *repetitions, size_t count, bool moved);

#endif
