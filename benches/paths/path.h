/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Defines paths. A path is a named function that repeats one operation of the library, with the keys and
 * values that it needs.
 *
 * A path has the name of its function, by which callgrind counts its instructions. It is run with
 * `operations` and with twice as many. Both runs have the same work at the beginning and at the end, so
 * the difference is the cost of `operations` operations, with the loop.
 */
#ifndef PATHS_PATH_H
#define PATHS_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <threadlocalmap.h>

struct path {
    const char *name;
    void (*run)(uint64_t operations);
    uint64_t operations;
    unsigned parts;         /* how many holders or values an operation has: the result is for one of them. 0: 1 */
    bool on_new_threads;    /* each operation is the first on its thread */
    bool unattached;        /* the thread that runs the path has no map */
    /* Made before the run: */
    const tls_key_options_t *options;
    unsigned keys;          /* how many keys; EACH: one for each operation */
    unsigned holders;       /* other threads that have a value under each key */
    bool valued;            /* the thread that runs the path has a value, too */
    bool dead;              /* another thread has released the keys */
};

#define EACH (~0u)

/* The paths of values.c, tasks.c, keys.c and threads.c. A path without a name ends each table. */
extern const struct path value_paths[], task_paths[], key_paths[], thread_paths[];

/* The keys, which paths.c makes before the run, and two values that are set in turn. */
#define MOST_KEYS 4000
extern tls_key_t keys[MOST_KEYS];
extern size_t key_count;
extern char values[2];

/* A destroy callback that does nothing, and keys that have it. */
void destroy_nothing(void *value, int reason, void *user);
#define DESTROYED .size = sizeof(tls_key_options_t), .destroy = destroy_nothing

/* BODY(name) { ... } is a loop over `operations`. PATH(name, body) is a function of that name that has only
 * this loop. Each function has its own assembler comment, because the compiler would merge equal functions.
 * The empty statement after the loop prevents a tail call of the library's function. */
#define BODY(name) static inline __attribute__((always_inline)) void name(uint64_t operations)
#define PATH(name, body)                                              \
    static __attribute__((noinline)) void name(uint64_t operations) { \
        __asm__ volatile("# " #name);                                 \
        body(operations);                                             \
        __asm__ volatile("");                                         \
    }

/* The compiler must have the result in a register, and must assume that all memory may have changed. */
#define USED(result) __asm__ volatile("" : : "r"(result) : "memory")

#define IS(function) .name = #function, .run = function

#endif
