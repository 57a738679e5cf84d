/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The files of a folder, and a document: one file being worked on by several workers at once. */
#ifndef DOCUMENT_H
#define DOCUMENT_H

#include "scratch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <threadlocalmap.h>
#include <time.h>

struct file {
    char *path;
    uint64_t words; /* counted by one thread, without thread-locals: the correct number */
    uint64_t size;
    struct timespec modified;
};

struct files {
    struct file *list;
    size_t count, capacity;
    size_t unreadable;
    uint64_t words;
    void (*progress)(size_t files); /* called for every file found */
};

/* All regular files below `folder`, in the order of their names. Hidden files are left out, and so
 * are folders with a CACHEDIR.TAG, such as cargo's target folder. Returns 0 or an errno. */
int files_find(struct files *files, const char *folder, void (*progress)(size_t files));
void files_free(struct files *files);

struct document {
    uint64_t serial; /* from 1; no two documents of a run have the same */
    const struct file *file;
    int descriptor;
    atomic_size_t chunks_left;
    union {
        tls_key_t tls;
        pthread_key_t pthread;
    } key;
    bool keyless;           /* the system had no key left */
    uint64_t worker_words[]; /* the words that each worker has counted so far */
};

/* Words that begin in the chunk of `size` bytes at `offset`. `text` has room for it and one byte
 * before it. Returns false if the file could not be read. */
bool document_count(int descriptor, uint64_t offset, size_t size, char *text, uint64_t *words);

#endif
