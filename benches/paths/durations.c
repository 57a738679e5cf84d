/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "durations.h"

#include <stdlib.h>

#include "must.h"

static int by_size(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

/* Adds the durations of one repetition to `all`, and returns the longest. */
static uint32_t gather(const struct repetition *repetition, bool moved, uint32_t *all, struct durations *durations) {
    uint32_t longest = 0;
    for (size_t i = 0; i < repetition->calls; i++) {
        uint32_t nanoseconds = repetition->nanoseconds[i];
        if (repetition->moved[i] != moved)
            continue;
        all[durations->calls++] = nanoseconds;
        if (nanoseconds > longest)
            longest = nanoseconds;
        if (nanoseconds > durations->longest) {
            durations->longest = nanoseconds;
            durations->longest_at = i + 1;
        }
    }
    return longest;
}

struct durations durations_of(const struct repetition *repetitions, size_t count, bool moved) {
    struct durations durations = {0};
    uint32_t longest[MOST_REPETITIONS];
    size_t calls = 0;
    MUST(count <= MOST_REPETITIONS);
    for (size_t i = 0; i < count; i++)
        calls += repetitions[i].calls;
    uint32_t *all = malloc((calls + 1) * sizeof *all);
    MUST(all != NULL);
    for (size_t i = 0; i < count; i++)
        longest[i] = gather(&repetitions[i], moved, all, &durations);
    if (durations.calls > 0) {
        qsort(all, durations.calls, sizeof *all, by_size);
        qsort(longest, count, sizeof *longest, by_size);
        durations.median = all[durations.calls / 2];
        durations.p999 = all[durations.calls - 1 - durations.calls / 1000];
        durations.typical_longest = longest[count / 2];
    }
    free(all);
    return durations;
}
