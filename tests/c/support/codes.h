/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Notes which codes the library's functions are seen to return. tests/codes.rs
 * includes it in front of each program of the suite, with a macro for each
 * function that returns a code:
 *
 *     #define tls_set(...) codes_note("tls_set", (tls_set)(__VA_ARGS__))
 *
 * What is new in this process is appended, as a line "tls_set -1", to the file
 * that the environment variable THREADLOCALMAP_CODES names: at once, because
 * programs end in many ways, and without memory of the allocator, which some of
 * them replace.
 */
#ifndef CODES_H
#define CODES_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <threadlocalmap.h>

#define CODES_MOST 512

/* Hashes of what was noted; the odd one that is missed is noted again. */
static unsigned codes_noted[CODES_MOST];

static inline unsigned
codes_hash(const char *function, int code)
{
    unsigned hash = 2166136261u ^ (unsigned)-code;

    for (; *function != '\0'; function++)
        hash = (hash ^ (unsigned char)*function) * 16777619u;
    return hash | 1u;
}

static inline int
codes_note(const char *function, int code)
{
    unsigned hash = codes_hash(function, code);
    unsigned *place = &codes_noted[(hash >> 8) % CODES_MOST];
    const char *path;
    char line[64];
    int file, before = errno;

    if (__atomic_exchange_n(place, hash, __ATOMIC_RELAXED) == hash)
        return code;
    path = getenv("THREADLOCALMAP_CODES");
    if (path == NULL)
        return code;
    snprintf(line, sizeof(line), "%s %d\n", function, code);
    file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (file >= 0) {
        if (write(file, line, strlen(line)) < 0)
            abort();
        close(file);
    }
    errno = before;
    return code;
}

#endif /* CODES_H */
