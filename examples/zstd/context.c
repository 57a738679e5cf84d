/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* For ZSTD_customMem: contexts whose memory is counted. */
#define ZSTD_STATIC_LINKING_ONLY
#include "context.h"
#include "../things/ledger.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zdict.h>
#include <zstd.h>

enum { LEVEL = 3, DICTIONARY_BYTES = 16 * 1024, BLOCK_BYTES = 8 * 1024 };

struct dictionary {
    ZSTD_CDict *compress;
    ZSTD_DDict *decompress;
};

struct context {
    unsigned maker;
    ZSTD_CCtx *compress;
    ZSTD_DCtx *decompress;
    char *packed, *unpacked; /* a block's */
};

static atomic_ullong bytes_in, bytes_out;

unsigned long long packed_in(void) { return atomic_load(&bytes_in); }
unsigned long long packed_out(void) { return atomic_load(&bytes_out); }

static void *allocate(void *opaque, size_t size) {
    (void)opaque;
    return counted_malloc(size);
}

static void release(void *opaque, void *memory) {
    (void)opaque;
    counted_free(memory);
}

static const ZSTD_customMem counted = {.customAlloc = allocate, .customFree = release};

struct dictionary *dictionary_train(const char *samples, const size_t *sizes, unsigned count) {
    static char trained[DICTIONARY_BYTES];
    size_t size = ZDICT_trainFromBuffer(trained, sizeof trained, samples, sizes, count);
    if (ZDICT_isError(size)) {
        fprintf(stderr, "zstd: cannot train a dictionary: %s\n", ZDICT_getErrorName(size));
        return NULL;
    }
    struct dictionary *dictionary = calloc(1, sizeof *dictionary);
    if (dictionary == NULL) return NULL;
    dictionary->compress =
        ZSTD_createCDict_advanced(trained, size, ZSTD_dlm_byCopy, ZSTD_dct_auto,
                                  ZSTD_getCParams(LEVEL, BLOCK_BYTES, size), counted);
    dictionary->decompress =
        ZSTD_createDDict_advanced(trained, size, ZSTD_dlm_byCopy, ZSTD_dct_auto, counted);
    if (dictionary->compress != NULL && dictionary->decompress != NULL) return dictionary;
    dictionary_free(dictionary);
    return NULL;
}

void dictionary_free(struct dictionary *dictionary) {
    if (dictionary == NULL) return;
    ZSTD_freeCDict(dictionary->compress);
    ZSTD_freeDDict(dictionary->decompress);
    free(dictionary);
}

struct context *context_new(const struct dictionary *dictionary) {
    struct context *context = calloc(1, sizeof *context);
    if (context == NULL) return NULL;
    context->maker = ledger_made();
    context->compress = ZSTD_createCCtx_advanced(counted);
    context->decompress = ZSTD_createDCtx_advanced(counted);
    context->packed = counted_malloc(ZSTD_compressBound(BLOCK_BYTES));
    context->unpacked = counted_malloc(BLOCK_BYTES);
    if (context->compress != NULL && context->decompress != NULL && context->packed != NULL &&
        context->unpacked != NULL &&
        !ZSTD_isError(ZSTD_CCtx_refCDict(context->compress, dictionary->compress)) &&
        !ZSTD_isError(ZSTD_DCtx_refDDict(context->decompress, dictionary->decompress)))
        return context;
    fprintf(stderr, "zstd: cannot make a context\n");
    context_free(context);
    return NULL;
}

void context_free(struct context *context) {
    ZSTD_freeCCtx(context->compress);
    ZSTD_freeDCtx(context->decompress);
    counted_free(context->packed);
    counted_free(context->unpacked);
    ledger_destroyed(context->maker);
    free(context);
}

static bool pack_block(struct context *context, const char *bytes, size_t size) {
    size_t packed = ZSTD_compress2(context->compress, context->packed,
                                   ZSTD_compressBound(BLOCK_BYTES), bytes, size);
    if (ZSTD_isError(packed)) {
        fprintf(stderr, "zstd: cannot compress: %s\n", ZSTD_getErrorName(packed));
        return false;
    }
    size_t back = ZSTD_decompressDCtx(context->decompress, context->unpacked, BLOCK_BYTES,
                                      context->packed, packed);
    if (ZSTD_isError(back) || back != size || memcmp(context->unpacked, bytes, size) != 0) {
        fprintf(stderr, "zstd: what was compressed does not come back: %s\n",
                ZSTD_getErrorName(back));
        return false;
    }
    atomic_fetch_add(&bytes_in, size);
    atomic_fetch_add(&bytes_out, packed);
    return true;
}

bool context_pack(struct context *context, const char *bytes, size_t size) {
    for (size_t at = 0; at < size; at += BLOCK_BYTES) {
        size_t left = size - at;
        if (!pack_block(context, bytes + at, left < BLOCK_BYTES ? left : BLOCK_BYTES)) return false;
    }
    return true;
}
