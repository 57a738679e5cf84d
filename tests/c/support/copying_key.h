/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Keys whose values a context takes along: numbered objects on the heap, of
 * which a copy has its original's number plus 1000. All are counted; who reads
 * one that has been freed is seen by valgrind.
 */
#ifndef COPYING_KEY_H
#define COPYING_KEY_H

#include "test.h"

typedef struct copying {
    size_t copies;            /* calls of the copy callback */
    size_t failing;           /* which of them fails; 0: none */
    size_t made;              /* objects */
    size_t ended[9];          /* by reason */
    size_t freed;             /* calls of user_free */
    void (*before)(void);     /* called by the copy callback, first */
} copying_t;

static inline void *
copying_object(copying_t *copying, size_t number)
{
    size_t *object = (size_t *)malloc(sizeof(*object));

    CHECK(object != NULL);
    *object = number;
    test_count_up(&copying->made);
    return object;
}

static inline int
copying_copy(void *value, void **copy, void *user)
{
    copying_t *copying = (copying_t *)user;

    CHECK(value != NULL);
    if (copying->before != NULL)
        copying->before();
    if (test_count_up(&copying->copies) == copying->failing)
        return 1;
    *copy = copying_object(copying, *(size_t *)value + 1000);
    return 0;
}

static inline void
copying_destroy(void *value, int reason, void *user)
{
    copying_t *copying = (copying_t *)user;

    CHECK(reason >= 1 && reason <= 8);
    test_count_up(&copying->ended[reason]);
    free(value);
}

static inline void
copying_free(void *user)
{
    test_count_up(&((copying_t *)user)->freed);
}

static inline size_t
copying_ended(const copying_t *copying)
{
    size_t sum = 0;
    size_t i;

    for (i = 1; i <= 8; i++)
        sum += test_count(&copying->ended[i]);
    return sum;
}

/* Objects that nobody has ended. */
static inline size_t
copying_alive(const copying_t *copying)
{
    return test_count(&copying->made) - copying_ended(copying);
}

static inline tls_key_options_t
copying_options(copying_t *copying)
{
    tls_key_options_t options = test_options();

    options.destroy = copying_destroy;
    options.copy = copying_copy;
    options.user = copying;
    options.user_free = copying_free;
    options.flags = TLS_KEY_INHERIT;
    return options;
}

static inline tls_key_t
copying_key(copying_t *copying)
{
    tls_key_options_t options = copying_options(copying);

    return test_key_from(&options);
}

static inline void
copying_set(copying_t *copying, tls_key_t key, size_t number)
{
    CHECK_OK(tls_set(key, copying_object(copying, number)));
}

/* The number of the calling thread's value; 0: there is none. */
static inline size_t
copying_get(tls_key_t key)
{
    size_t *object = (size_t *)tls_get(key);

    return object != NULL ? *object : 0;
}

#endif /* COPYING_KEY_H */
