/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the library asks of the system: one pthread key for the whole process,
 * made on first use; no thread, and no thread-local destructors.
 *
 * The program's own definitions of these functions take the place of the C
 * library's, count, and pass the call on.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "interpose.h"

#include "worker.h"

static size_t keys_made;
static size_t threads_made;
static size_t destructors_registered;

EXPORT int
pthread_key_create(pthread_key_t *key, void (*destructor)(void *)) NOEXCEPT
{
    int (*real)(pthread_key_t *, void (*)(void *));

    test_count_up(&keys_made);
    find_next(&real, "pthread_key_create");
    return real(key, destructor);
}

EXPORT int
pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
               void *(*body)(void *), void *argument) NOEXCEPT
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

    test_count_up(&threads_made);
    find_next(&real, "pthread_create");
    return real(thread, attributes, body, argument);
}

/* What C++ and Rust register the destructors of their thread locals with. */
EXPORT int
__cxa_thread_atexit_impl(void (*destructor)(void *), void *object, void *module) NOEXCEPT
{
    int (*real)(void (*)(void *), void *, void *);

    test_count_up(&destructors_registered);
    find_next(&real, "__cxa_thread_atexit_impl");
    return real(destructor, object, module);
}

static test_log_t ended;

static void
hook(void *argument)
{
    test_count_up((size_t *)argument);
}

static int
init_to_1(void **value, void *user)
{
    (void)user;
    *value = VALUE(1);
    return 0;
}

static size_t hooks;

static void *
use_much(void *argument)
{
    tls_key_options_t options = test_options();
    tls_key_t keys[100];
    void *old;
    int i;

    (void)argument;
    options.name = "key";
    options.init = init_to_1;
    CHECK_OK(tls_thread_attach());
    CHECK_OK(tls_at_thread_exit(hook, &hooks));
    for (i = 0; i < 100; i++) {
        keys[i] = i % 2 == 0 ? test_key_logged(&ended) : test_key_from(&options);
        tls_get(keys[i]);
        CHECK_OK(tls_set(keys[i], VALUE(i + 2)));
        CHECK_OK(tls_swap(keys[i], VALUE(i + 3), &old));
    }
    for (i = 0; i < 100; i++)
        CHECK_OK(tls_key_release(keys[i]));
    tls_expunge();
    test_stats();
    return NULL;
}

static void
nothing_happens_at_load(void)
{
    CHECK_UINT(keys_made, 0);
    CHECK_UINT(threads_made, 0);
    CHECK_UINT(destructors_registered, 0);
    CHECK_UINT(test_stats().bytes, 0);
}

static void
one_os_key_serves_all_keys_and_threads(void)
{
    worker_t workers[4];
    tls_key_t key = test_key_logged(&ended);
    size_t i;

    for (i = 0; i < 4; i++) {
        worker_start(&workers[i]);
        CHECK_OK(worker_set(&workers[i], key, VALUE(i + 1)));
    }
    for (i = 0; i < 10; i++)
        test_in_thread(use_much, NULL);
    use_much(NULL);
    CHECK_OK(tls_key_release(key));
    for (i = 0; i < 4; i++)
        worker_stop(&workers[i]);
    CHECK_UINT(hooks, 10);
    CHECK_OK(tls_thread_detach());
    CHECK_UINT(hooks, 11);

    CHECK_UINT(keys_made, 1);
    CHECK_UINT(threads_made, 4 + 10);
    CHECK_UINT(destructors_registered, 0);
}

int
main(void)
{
    RUN(nothing_happens_at_load);
    RUN(one_os_key_serves_all_keys_and_threads);
    return test_finish();
}
