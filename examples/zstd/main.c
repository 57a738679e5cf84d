/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* zstd contexts: one for each dictionary and thread that uses it.
 *
 * A store of small records compresses each family of them with a dictionary that was trained on
 * the family. Any worker may work on any family. A context (hundreds of KiB) refers to its
 * dictionary, and must be freed before it: when a family is dropped, each worker's context for it
 * must be freed, and then the dictionary, without stopping the workers.
 *
 *     zstd [FOLDER]     its files are the records (default: this repository) */
#include "../pool/document.h"
#include "../things/keep.h"
#include "../things/work.h"
#include "../things/ledger.h"
#include "context.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { THREADS = 4, FAMILIES = 24, PARTS = 32, SAMPLE_BYTES = 2048 };
#define TEXT_BYTES ((size_t)4 * 1024 * 1024)

struct family {
    const struct way *way;
    struct keep contexts;
    struct dictionary *dictionary;
    const char *bytes; /* a part of the text */
    size_t size;
};

static char *text; /* all files, end to end */
static size_t text_bytes;

/* The last context was freed. */
static void free_family(void *object) {
    struct family *family = object;
    dictionary_free(family->dictionary);
    free(family);
}

static void *make_context(void *object) {
    struct family *family = object;
    return context_new(family->dictionary);
}

static void destroy_context(void *thing) { context_free(thing); }

static const struct kind contexts = {
    .name = "zstd context",
    .make = make_context,
    .destroy = destroy_context,
    .over = free_family,
};

static struct dictionary *train(const char *bytes, size_t size) {
    size_t count = size / SAMPLE_BYTES;
    size_t *sizes = malloc((count + 1) * sizeof *sizes);
    if (sizes == NULL) return NULL;
    for (size_t i = 0; i < count; i++) sizes[i] = SAMPLE_BYTES;
    struct dictionary *dictionary = dictionary_train(bytes, sizes, (unsigned)count);
    free(sizes);
    return dictionary;
}

static void *open_family(unsigned number, const struct way *way) {
    struct family *family = calloc(1, sizeof *family);
    if (family == NULL) return NULL;
    family->way = way;
    family->contexts = (struct keep){.kind = &contexts, .object = family};
    family->size = text_bytes / FAMILIES;
    family->bytes = text + number * family->size;
    family->dictionary = train(family->bytes, family->size);
    if (family->dictionary == NULL || way->open(&family->contexts) != 0) {
        free_family(family);
        return NULL;
    }
    return family;
}

static bool pack(void *object, size_t index) {
    struct family *family = object;
    struct context *context = family->way->mine(&family->contexts);
    size_t size = family->size / PARTS;
    return context != NULL && context_pack(context, family->bytes + index * size, size);
}

static bool close_family(void *object) {
    struct family *family = object;
    family->way->close(&family->contexts);
    return true;
}

/* Adds the file to the text, or the part of it that fits. */
static bool read_file(const char *path) {
    FILE *in = fopen(path, "rb");
    if (in == NULL) return false;
    text_bytes += fread(text + text_bytes, 1, TEXT_BYTES - text_bytes, in);
    fclose(in);
    return true;
}

static void nothing(size_t files) { (void)files; }

static bool read_text(const char *folder) {
    struct files files;
    int error = files_find(&files, folder, nothing);
    text = malloc(TEXT_BYTES);
    if (error != 0 || text == NULL) {
        fprintf(stderr, "zstd: cannot read the folder %s: %s\n", folder, strerror(error));
        return false;
    }
    for (size_t i = 0; i < files.count && text_bytes < TEXT_BYTES; i++)
        read_file(files.list[i].path);
    files_free(&files);
    if (text_bytes / FAMILIES >= (size_t)16 * SAMPLE_BYTES) return true;
    fprintf(stderr, "zstd: %s has too little text for %d families: give a folder with a MiB\n",
            folder, FAMILIES);
    return false;
}

int main(int count, char **arguments) {
    char title[300];
    if (!read_text(count > 1 ? arguments[1] : ".")) return WORK_FAILED;
    snprintf(title, sizeof title,
             "zstd %s: %zu KiB of files in %d families, each with a dictionary, used by %d\n"
             "threads; a context for each thread and dictionary",
             ZSTD_versionString(), text_bytes / 1024, FAMILIES, THREADS);
    struct plan plan = {
        .title = title,
        .things = "contexts",
        .owner = "zstd",
        .threads = THREADS,
        .objects = FAMILIES,
        .tasks = PARTS,
        .open = open_family,
        .task = pack,
        .close = close_family,
        .bytes = counted_bytes,
    };
    int status = work(&plan);
    if (packed_out() > 0)
        printf("\n  compressed and back: %llu KiB to %llu KiB, in both runs together\n",
               packed_in() / 1024, packed_out() / 1024);
    free(text);
    return status;
}
