/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What twins.c calls of a plugin that has a copy of the library of its own. */
#ifndef TWIN_H
#define TWIN_H

#include <threadlocalmap.h>

typedef struct twin {
    tls_key_t (*make_key)(void);
    int (*set)(tls_key_t key, void *value);
    void *(*get)(tls_key_t key);
    size_t (*count_destroyed)(void);
    int (*stats)(tls_stats_t *stats);
    int (*drain)(tls_key_t key, size_t *left);
    int (*release)(tls_key_t key);
    int (*run_in_scope)(tls_key_t key, void *value);
    int (*detach)(void);
} twin_t;

extern const twin_t twin_functions;

#endif /* TWIN_H */
