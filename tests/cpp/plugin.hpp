// SPDX-License-Identifier: MIT OR Apache-2.0
/* What the plug-in of unload.cpp and unload_plain.c gives out: plugin.cpp, compiled as g++ does without
 * any flags for symbols. Of C and of C++. */
#ifndef PLUGIN_HPP
#define PLUGIN_HPP

#include <stddef.h>

struct plugin_functions {
    void (*use)(void);            /* of everything in the header, on the calling thread */
    size_t (*expunge)(void);      /* on a thread that has used it */
    size_t (*drain)(int timeout); /* how many threads still have values */
    int (*alive)(void);           /* values */
};

#ifdef __cplusplus
extern "C"
#endif
const struct plugin_functions *plugin(void);

#endif
