/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Threads that visit, set, take and capture at the same time, and share nothing
 * but what the library's locks order, and the number of those who look at a value:
 * under ThreadSanitizer a lock that is not taken shows. To that end values come and
 * end in turn; meanwhile nothing is deferred, and each key loses one value only, its
 * own thread's.
 */
#include "worker.h"

#include <sched.h>

#define WORKERS 4

static worker_t workers[WORKERS];
static tls_key_t keys[WORKERS];

/* Stays, so that the owner comes by. */
static int
look(void *value, uint64_t thread, void *argument)
{
    CHECK(value != NULL);
    CHECK(thread != 0);
    ++*(size_t *)argument;
    sched_yield();
    return 0;
}

static void
visit_all(void)
{
    size_t i;

    for (i = 0; i < WORKERS; i++) {
        size_t seen = 0;

        CHECK_OK(tls_for_each(keys[i], look, &seen));
        CHECK_AT_LEAST(seen, WORKERS - 1);
        CHECK_AT_MOST(seen, WORKERS);
    }
}

/* The same pointer again replaces nothing, so it may be visited. */
static void
do_all(void *argument)
{
    tls_key_t own = *(tls_key_t *)argument;
    void *value = tls_get(own);
    void *taken = NULL;
    tls_context_t *context = NULL;
    int code;
    int i;

    for (i = 0; i < 3; i++) {
        visit_all();
        CHECK_OK(tls_set(own, value));
        CHECK_OK(tls_context_capture(&context));
        tls_context_free(context);
    }
    while ((code = tls_take(own, &taken)) == TLS_ERR_BUSY)
        CHECK_OK(tls_set(own, value));
    CHECK_OK(code);
    CHECK_PTR(taken, value);
    visit_all();
}

static void
threads_visit_set_and_take_at_once(void)
{
    tls_key_options_t options = test_options();
    size_t i, j;

    options.flags = TLS_KEY_ENUMERABLE;
    for (i = 0; i < WORKERS; i++) {
        worker_start(&workers[i]);
        keys[i] = test_key_from(&options);
    }
    for (i = 0; i < WORKERS; i++)
        for (j = 0; j < WORKERS; j++)
            CHECK_OK(worker_set(&workers[j], keys[i], VALUE(j + 1)));
    visit_all();
    for (i = 0; i < WORKERS; i++)
        worker_begin(&workers[i], do_all, &keys[i]);
    for (i = 0; i < WORKERS; i++)
        worker_wait(&workers[i]);
    for (i = 0; i < WORKERS; i++)
        worker_stop(&workers[i]);
    for (i = 0; i < WORKERS; i++)
        CHECK_OK(tls_key_release(keys[i]));
}

int
main(void)
{
    size_t rounds = test_scaled(100, 10);
    size_t i;

    for (i = 0; i < rounds; i++)
        RUN(threads_visit_set_and_take_at_once);
    return test_finish();
}
