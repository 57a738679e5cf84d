/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* MUST(condition) prints the condition and ends the program if it is false. */
#ifndef PATHS_MUST_H
#define PATHS_MUST_H

#include <stdio.h>
#include <stdlib.h>

#define MUST(condition)                                                                   \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                                      \
        }                                                                                 \
    } while (0)

#endif
