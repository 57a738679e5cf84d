/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "store.h"

#include <stdint.h>

struct options {
    const struct store *store;
    unsigned threads;
    uint64_t repeat, documents, chunk_bytes, limit_bytes;
    const char *samples, *json; /* files to write, or NULL */
    const char *folder;
};

/* If an option is wrong, reports it and ends the program; so does --help. */
struct options options_parse(int count, char **arguments);

#endif
