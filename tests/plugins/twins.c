/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Opens two plugins, each with a static copy of the library, so that the symbols
 * of both are for everybody ("global") or not ("local"). Whether the two share
 * one copy or have one each, a copy has all of its own state: what is set
 * through one plugin is found and ended through it, stays counted where it is,
 * and the keys drain.
 */
/* The program has no library: it makes no call of its own. */
#define TLS_NO_INLINE
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "twin.h"

#define ROUNDS 20

#define CHECK(condition)                                                      \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);   \
            abort();                                                          \
        }                                                                     \
    } while (0)

static const twin_t *twins[2];
static tls_key_t keys[2];

static void *
value_of(size_t number)
{
    return (void *)(number + 5);
}

/* Both copies on one thread, whose end ends the values of both. */
static void *
use_both(void *argument)
{
    size_t i;

    for (i = 0; i < 2; i++)
        CHECK(twins[i]->set(keys[i], value_of(i)) == TLS_OK);
    for (i = 0; i < 2; i++)
        CHECK(twins[i]->get(keys[i]) == value_of(i));
    for (i = 0; i < 2; i++)
        CHECK(twins[i]->run_in_scope(keys[i], value_of(i + 10)) == TLS_OK);
    for (i = 0; i < 2; i++)
        CHECK(twins[i]->get(keys[i]) == value_of(i));
    return argument;
}

int
main(int count, char **arguments)
{
    int mode = RTLD_NOW;
    size_t crossed[2];
    size_t i, round;

    CHECK(count == 4);
    mode |= strcmp(arguments[3], "global") == 0 ? RTLD_GLOBAL : RTLD_LOCAL;
    for (i = 0; i < 2; i++) {
        void *object = dlopen(arguments[1 + i], mode);

        if (object == NULL)
            fprintf(stderr, "%s\n", dlerror());
        CHECK(object != NULL);
        twins[i] = (const twin_t *)dlsym(object, "twin_functions");
        CHECK(twins[i] != NULL);
    }
    CHECK(twins[0] != twins[1]);
    for (i = 0; i < 2; i++) {
        keys[i] = twins[i]->make_key();
        CHECK(keys[i] != TLS_KEY_NONE);
    }
    /* A key of one is none of the other's, or both are one. */
    for (i = 0; i < 2; i++) {
        int code = twins[1 - i]->set(keys[i], value_of(i + 20));

        CHECK(code == TLS_OK || code == TLS_ERR_BAD_KEY);
        CHECK(twins[i]->get(keys[i]) == (code == TLS_OK ? value_of(i + 20) : NULL));
        crossed[i] = code == TLS_OK; /* replaced below */
    }
    for (round = 0; round < ROUNDS; round++) {
        pthread_t thread;

        CHECK(pthread_create(&thread, NULL, use_both, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        for (i = 0; i < 2; i++) /* one in a scope, one at the end */
            CHECK(twins[i]->count_destroyed() == 2 * (round + 1));
    }
    use_both(NULL);
    for (i = 0; i < 2; i++) {
        size_t left = 99;

        CHECK(twins[i]->release(keys[i]) == TLS_OK);
        CHECK(twins[i]->count_destroyed() == 2 * (ROUNDS + 1) + crossed[i]);
        CHECK(twins[i]->drain(keys[i], &left) == TLS_OK);
        CHECK(left == 0);
        if (i == 0)
            CHECK(twins[1]->get(keys[1]) == value_of(1));
    }
    for (i = 0; i < 2; i++) {
        tls_stats_t stats;

        memset(&stats, 0, sizeof(stats));
        stats.size = sizeof(stats);
        CHECK(twins[i]->detach() == TLS_OK);
        CHECK(twins[i]->stats(&stats) == TLS_OK);
        CHECK(stats.keys == 0 && stats.maps == 0 && stats.entries == 0);
        CHECK(stats.dead_keys == 0 && stats.stale == 0);
    }
    return 0;
}
