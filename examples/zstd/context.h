/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A thread's zstd contexts for one dictionary: to compress with it, and back. */
#ifndef CONTEXT_H
#define CONTEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Trained on some files; all threads read it. */
struct dictionary;

/* Returns NULL after an error. `sizes` are of `count` samples that lie in `samples` end to end. */
struct dictionary *dictionary_train(const char *samples, const size_t *sizes, unsigned count);
void dictionary_free(struct dictionary *dictionary);

/* Refers to its dictionary, and must be freed before it. */
struct context;

struct context *context_new(const struct dictionary *dictionary);
void context_free(struct context *context);

/* Compresses and decompresses the bytes, and compares. Adds to the two counts of bytes. */
bool context_pack(struct context *context, const char *bytes, size_t size);

/* Of all contexts. */
unsigned long long packed_in(void), packed_out(void);

#endif
