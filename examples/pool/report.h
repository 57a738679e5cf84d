/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The result of a run, as a table, and as JSON to compare several runs. */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct report {
    const char *with;
    unsigned threads;
    uint64_t files, repeat;
    uint64_t submitted;       /* documents */
    uint64_t true_words;      /* of the documents that were finished */
    uint64_t alive_when_done; /* buffers: all documents finished, the pool still there */
    uint64_t alive_at_end;    /* the pool has ended too: these are leaked */
    uint64_t peak_rss_kib;
    double seconds;
    bool slots_known;
    bool stopped_early; /* at the memory limit */
};

void report_print(const struct report *report, FILE *out);
void report_json(const struct report *report, FILE *out);

#endif
