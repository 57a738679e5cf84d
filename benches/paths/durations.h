/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How long calls took, in several repetitions, and what is printed of them. */
#ifndef PATHS_DURATIONS_H
#define PATHS_DURATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MOST_REPETITIONS 9

/* Every call of a repetition, in their order. */
struct repetition {
    size_t calls;
    uint32_t *nanoseconds;
    bool *moved; /* the call has made the thread's table anew */
    size_t capacity_before, capacity_after; /* of the table, in slots: at the first call and after the last */
};

/* `longest` is that of all repetitions; `typical_longest` the median of the longest of each. */
struct durations {
    size_t calls;
    uint64_t median, p999, longest, typical_longest;
    size_t longest_at; /* which call of its repetition that was; the first is 1 */
};

/* Of the calls of all repetitions that have made the table anew, or of all others. */
struct durations durations_of(const struct repetition *repetitions, size_t count, bool moved);

#endif
