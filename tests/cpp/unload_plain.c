/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A program in C, where libstdc++ comes and goes with the plug-in: the plug-in is unmapped, too. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "plugin.hpp"

int main(int count, char **arguments)
{
    int unmapped = 0;
    if (count != 2) return 2;
    for (int round = 0; round < 100; round++) {
        void *library = dlopen(arguments[1], RTLD_NOW);
        if (library == NULL) return fprintf(stderr, "%s\n", dlerror()), 1;
        const struct plugin_functions *(*get)(void);
        *(void **)&get = dlsym(library, "plugin");
        if (get == NULL) return 1;
        get()->use();
        if (get()->drain(10000) != 0) return fprintf(stderr, "values are left\n"), 1;
        if (dlclose(library) != 0) return 1;
        library = dlopen(arguments[1], RTLD_NOW | RTLD_NOLOAD);
        unmapped += library == NULL;
        if (library != NULL) dlclose(library);
    }
    printf("unmapped %d of 100 in a program in C\n", unmapped);
    return unmapped != 100;
}
