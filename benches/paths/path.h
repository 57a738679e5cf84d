/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a path is: a named function that does one operation of the library again and again, and what
 * there has to be before it begins.
 *
 * Its name is that of the function: so callgrind tells its instructions. It is run with `operations`
 * and with twice as many. What the two need at their beginning and at their end is the same, so
 * the difference is `operations` operations, loop included.
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
    unsigned parts;         /* what one operation is done for (holders, values): the number is that of one. 0: 1 */
    bool on_new_threads;    /* each operation is the first on its thread */
    bool unattached;        /* the thread that runs the path has no map */
    /* What is there before: */
    const tls_key_options_t *options;
    unsigned keys;          /* how many; EACH: one for each operation */
    unsigned holders;       /* other threads that have a value under each of them */
    bool valued;            /* the thread that runs the path has one, too */
    bool dead;              /* another thread has released them */
};

#define EACH (~0u)

/* The paths, with one without a name at their end: values.c, tasks.c, keys.c, threads.c. */
extern const struct path value_paths[], task_paths[], key_paths[], thread_paths[];

/* The keys that were made before (paths.c), and two values to be set in turn. */
#define MOST_KEYS 4000
extern tls_key_t keys[MOST_KEYS];
extern size_t key_count;
extern char values[2];

/* A destroy callback that does nothing, and keys that have it. */
void destroy_nothing(void *value, int reason, void *user);
#define DESTROYED .size = sizeof(tls_key_options_t), .destroy = destroy_nothing

/* BODY(name) { ... } is a loop over `operations`; PATH(name, body) a function of that name that is only
 * this loop. Each has a comment of its own, or the compiler would take those that are alike for one; and
 * something after the loop, or it would jump into the library's last function and not come back. */
#define BODY(name) static inline __attribute__((always_inline)) void name(uint64_t operations)
#define PATH(name, body)                                              \
    static __attribute__((noinline)) void name(uint64_t operations) { \
        __asm__ volatile("# " #name);                                 \
        body(operations);                                             \
        __asm__ volatile("");                                         \
    }

/* The compiler must have the result, and must believe that all memory may have changed. */
#define USED(result) __asm__ volatile("" : : "r"(result) : "memory")

#define IS(function) .name = #function, .run = function

#endif
