/* A pool of threads works on objects that it shares, once with each way to keep things; then the
 * two are compared. What is counted is judged for this library only: its exit status. */
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
    /* A new object, with what it keeps opened in this way. NULL: it was reported. */
    void *(*open)(unsigned number, const struct way *way);
    /* On a worker. false: something is wrong, and was reported. */
    bool (*task)(void *object, size_t index);
    /* On the worker that did the object's last task. */
    bool (*close)(void *object);
    /* The library's own count of the bytes that it has taken. */
    size_t (*bytes)(void);
    /* Whether it has memory for each thread, beside the things, until the thread ends. */
    bool bytes_of_threads;
};

/* Runs it in both ways and prints the table; WORK_*. */
int work(const struct plan *plan);

#endif
