/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Shared objects that a test program opens, looks into and closes. */
#ifndef LOADING_H
#define LOADING_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "../c/support/worker.h"

#include <dlfcn.h>
#include <link.h>

static inline void *
open_object(const char *path)
{
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (object == NULL)
        test_fail(__FILE__, __LINE__, __func__, "dlopen: %s", dlerror());
    return object;
}

static inline void
close_object(void *object)
{
    CHECK_INT(dlclose(object), 0);
}

/* Finds a function. ISO C has no conversion for it, POSIX promises this one. */
static inline void
find_function(void *object, const char *name, void *function)
{
    void *address = dlsym(object, name);

    CHECK(address != NULL);
    memcpy(function, &address, sizeof(address));
}

static inline int
compare_path(struct dl_phdr_info *info, size_t size, void *path)
{
    (void)size;
    return info->dlpi_name != NULL && strcmp(info->dlpi_name, (const char *)path) == 0;
}

/* Whether the process has it mapped, asked in two ways that must agree. */
static inline bool
is_mapped(const char *path)
{
    char copy[4096];
    void *object = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    bool mapped = object != NULL;

    if (mapped)
        close_object(object);
    CHECK(strlen(path) < sizeof(copy));
    strcpy(copy, path);
    CHECK_INT(dl_iterate_phdr(compare_path, copy) != 0, mapped);
    return mapped;
}

#endif /* LOADING_H */
