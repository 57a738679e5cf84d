/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A pool of threads works on objects that it shares, once with each way to keep things, and compares
 * the two. The exit status depends on the counts of this library's way only. */
#ifndef WORK_H
#define WORK_H

#include "keep.h"

#include <stdbool.h>
#include <stddef.h>

enum { WORK_OK = 0, WORK_FAILED = 1, WORK_LEAKS = 3 };

struct plan {
    const char *title;   /* of the table */
    const char *things;  /* "connections" */
    const char *owner;   /* whose memory is counted: "SQLite" */
    unsigned threads, objects;
    size_t tasks; /* for each object */
    /* Makes an object that keeps its things in this way. NULL after an error. */
    void *(*open)(unsigned number, const struct way *way);
    /* Runs on a worker. Returns false after reporting an error. */
    bool (*task)(void *object, size_t index);
    /* On the worker that did the object's last task. */
    bool (*close)(void *object);
    /* Returns the library's own count of the bytes that it has allocated. */
    size_t (*bytes)(void);
    /* Whether the library keeps other memory for each thread until the thread ends. */
    bool bytes_of_threads;
};

/* Runs it in both ways and prints the table; WORK_*. */
int work(const struct plan *plan);

#endif
