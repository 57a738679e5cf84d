/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What must hold, or the program's figures mean nothing: it says what did not, and ends. */
#ifndef PATHS_MUST_H
#define PATHS_MUST_H

#include <stdio.h>
#include <stdlib.h>

#define MUST(condition)                                                                   \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            fprintf(stderr, "%s:%d: it is not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                                      \
        }                                                                                 \
    } while (0)

#endif
