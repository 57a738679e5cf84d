/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * N01, N02, F21: the library itself is opened, used on threads that know
 * nothing of it, and closed before they end; again and again, while one worker
 * is alive all the time.
 *
 *     reopen OBJECT    a shared object that exports the library's functions
 *
 * The program is not linked with the library: it is there while it is open,
 * and, because threads that used it have yet to end, after that.
 */
#define TLS_NO_INLINE
#include "loading.h"

#include <unistd.h>

static struct {
    int (*key_create)(tls_key_t *, const tls_key_options_t *);
    int (*key_release)(tls_key_t);
    void *(*get)(tls_key_t);
    int (*set)(tls_key_t, void *);
    size_t (*expunge)(void);
    int (*thread_detach)(void);
    int (*stats)(tls_stats_t *);
} library;

static const char *path;
static tls_key_t key;
static size_t ended;
static pthread_barrier_t used;
static pthread_barrier_t closed;

static void *
open_library(void)
{
    void *object = open_object(path);

    find_function(object, "tls_key_create", &library.key_create);
    find_function(object, "tls_key_release", &library.key_release);
    find_function(object, "tls_get", &library.get);
    find_function(object, "tls_set", &library.set);
    find_function(object, "tls_expunge", &library.expunge);
    find_function(object, "tls_thread_detach", &library.thread_detach);
    find_function(object, "tls_stats", &library.stats);
    return object;
}

static void
end_value(void *value, int reason, void *user)
{
    (void)value;
    (void)reason;
    test_count_up((size_t *)user);
}

/* Threads that end after the library was closed. */
static void *
stay_until_closed(void *argument)
{
    pthread_barrier_wait(&used);
    pthread_barrier_wait(&closed);
    return argument;
}

static void *
get_only(void *argument)
{
    CHECK_PTR(library.get(key), NULL);
    return stay_until_closed(argument);
}

static void *
set_a_value(void *argument)
{
    CHECK_INT(library.set(key, VALUE(1)), TLS_OK);
    CHECK_PTR(library.get(key), VALUE(1));
    return stay_until_closed(argument);
}

static void *
set_and_detach(void *argument)
{
    CHECK_INT(library.set(key, VALUE(2)), TLS_OK);
    CHECK_INT(library.thread_detach(), TLS_OK);
    return stay_until_closed(argument);
}

static void *(*const bodies[])(void *) = { get_only, set_a_value, set_and_detach };
#define THREADS (sizeof(bodies) / sizeof(bodies[0]))

static void
job_set(void *argument)
{
    (void)argument;
    CHECK_INT(library.set(key, VALUE(3)), TLS_OK);
}

static void
job_expunge(void *argument)
{
    *(size_t *)argument = library.expunge();
}

/* Opens, uses, closes; then the threads end, and the key after that. */
static void
one_round(worker_t *worker)
{
    tls_key_options_t options = test_options();
    pthread_t threads[THREADS];
    void *object = open_library();
    size_t expunged = 0;
    size_t i;

    ended = 0;
    options.destroy = end_value;
    options.user = &ended;
    CHECK_INT(library.key_create(&key, &options), TLS_OK);
    worker_do(worker, job_set, NULL);
    for (i = 0; i < THREADS; i++)
        threads[i] = test_start(bodies[i], NULL);
    pthread_barrier_wait(&used);
    CHECK_UINT(ended, 1); /* of set_and_detach */
    close_object(object);
    CHECK(is_mapped(path));
    pthread_barrier_wait(&closed);
    for (i = 0; i < THREADS; i++)
        test_join(threads[i]);
    CHECK_UINT(ended, 2);
    CHECK_INT(library.key_release(key), TLS_OK);
    worker_do(worker, job_expunge, &expunged);
    CHECK_UINT(expunged, 1);
    CHECK_UINT(ended, 3);
}

/* What must stay as it is: the library's own count, the next pthread key that
 * the process would get, and memory. */
typedef struct holdings {
    tls_stats_t stats;
    pthread_key_t next_os_key;
    long pages;
} holdings_t;

static holdings_t
look_at_holdings(void)
{
    holdings_t now;
    FILE *statm = fopen("/proc/self/statm", "r");
    long size;

    now.stats.size = sizeof(now.stats);
    CHECK_INT(library.stats(&now.stats), TLS_OK);
    CHECK_INT(pthread_key_create(&now.next_os_key, NULL), 0);
    CHECK_INT(pthread_key_delete(now.next_os_key), 0);
    CHECK(statm != NULL);
    CHECK_INT(fscanf(statm, "%ld %ld", &size, &now.pages), 2);
    fclose(statm);
    return now;
}

static void
nothing_adds_up_while_the_library_is_opened_and_closed(void)
{
    size_t rounds = test_scaled(1000, 20);
    holdings_t before;
    holdings_t after;
    worker_t worker;
    size_t i;

    worker_start(&worker);
    for (i = 0; i < 10; i++)
        one_round(&worker);
    before = look_at_holdings();
    for (i = 10; i < rounds; i++)
        one_round(&worker);
    after = look_at_holdings();
    CHECK_UINT(after.stats.keys, 0);
    CHECK_UINT(after.stats.dead_keys, 0);
    CHECK_UINT(after.stats.maps, 1); /* the worker's */
    CHECK_UINT(after.stats.leaked, 0);
    CHECK_UINT(after.stats.bytes, before.stats.bytes);
    CHECK_UINT(after.next_os_key, before.next_os_key);
    /* A leak of 1 KiB a round would be 250 pages. */
    CHECK(after.pages - before.pages < 128);
    worker_stop(&worker);
    after = look_at_holdings();
    CHECK_UINT(after.stats.maps, 0);
}

int
main(int count, char **arguments)
{
    CHECK_INT(count, 2);
    path = arguments[1];
    CHECK_INT(pthread_barrier_init(&used, NULL, THREADS + 1), 0);
    CHECK_INT(pthread_barrier_init(&closed, NULL, THREADS + 1), 0);
    CHECK(!is_mapped(path));
    RUN(nothing_adds_up_while_the_library_is_opened_and_closed);
    return 0;
}
