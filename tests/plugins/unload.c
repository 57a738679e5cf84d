/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * T73: a plugin goes away while threads that had its values go on.
 *
 *     unload PLUGIN    plugin.c, as a shared object
 *
 * Its key is released and drained first. After that nothing of the library's
 * leads into the plugin: it is unmapped, and the one who called into it would crash.
 */
#include "loading.h"
#include "plugin.h"

#define WORKERS 3

static const char *path;

static struct {
    void *object;
    int (*make_key)(tls_key_t *, uint32_t, size_t *);
    int (*set)(tls_key_t);
    int (*hook)(tls_key_t, uint32_t, size_t *);
} plugin;

static worker_t workers[WORKERS];
static tls_key_t key;
static tls_key_t own; /* the program's */
static test_log_t ended_own;
static size_t ended;

static void
load(uint32_t reclaim)
{
    plugin.object = open_object(path);
    find_function(plugin.object, "plugin_make_key", &plugin.make_key);
    find_function(plugin.object, "plugin_set", &plugin.set);
    find_function(plugin.object, "plugin_hook", &plugin.hook);
    ended = 0;
    CHECK_OK(plugin.make_key(&key, reclaim, &ended));
}

static void
unload(void)
{
    close_object(plugin.object);
    CHECK(!is_mapped(path));
}

static void
job_plugin_set(void *argument)
{
    (void)argument;
    CHECK_OK(plugin.set(key));
}

static void
start_workers(void)
{
    size_t i;

    test_log_clear(&ended_own);
    own = test_key_logged(&ended_own);
    for (i = 0; i < WORKERS; i++) {
        worker_start(&workers[i]);
        CHECK_OK(worker_set(&workers[i], own, VALUE(i + 1)));
    }
}

static void
stop_workers(void)
{
    size_t i;

    for (i = 0; i < WORKERS; i++)
        worker_stop(&workers[i]);
    CHECK_OK(tls_key_release(own));
    CHECK_UINT(ended_own.count, WORKERS);
}

static void
set_everywhere(void)
{
    size_t i;

    for (i = 0; i < WORKERS; i++)
        worker_do(&workers[i], job_plugin_set, NULL);
    CHECK_OK(plugin.set(key));
}

/* Everything that could lead to the plugin's callbacks. */
static void
use_the_library_without_the_plugin(void)
{
    size_t i;

    CHECK_CODE(tls_set(key, VALUE(1)), TLS_ERR_DEAD_KEY);
    CHECK_PTR(tls_get(key), NULL);
    for (i = 0; i < WORKERS; i++) {
        CHECK_PTR(worker_get(&workers[i], key), NULL);
        CHECK_UINT(worker_expunge(&workers[i]), 0);
        CHECK_PTR(worker_get(&workers[i], own), VALUE(i + 1));
    }
    CHECK_UINT(tls_expunge_all_threads(), 0);
}

/* While a worker has a value, draining says so, and the plugin must stay. */
static void
owners_expunge_before_the_plugin_goes(void)
{
    size_t rounds = test_scaled(200, 5);
    size_t round;
    size_t left = 99;
    size_t i;

    start_workers();
    for (round = 0; round < rounds; round++) {
        load(TLS_RECLAIM_OWNER);
        set_everywhere();
        CHECK_OK(tls_key_release(key));
        CHECK_UINT(ended, 1); /* the releaser's */
        CHECK_CODE(tls_key_drain(key, 0, &left), TLS_ERR_TIMEOUT);
        CHECK_UINT(left, WORKERS);
        for (i = 0; i < WORKERS; i++)
            CHECK_UINT(worker_expunge(&workers[i]), 1);
        CHECK_OK(tls_key_drain(key, -1, &left));
        CHECK_UINT(left, 0);
        CHECK_UINT(ended, WORKERS + 1);
        unload();
        use_the_library_without_the_plugin();
    }
    stop_workers();
}

/* Values that any thread may end have ended when the release returns. */
static void
a_release_ends_all_before_the_plugin_goes(void)
{
    size_t rounds = test_scaled(200, 5);
    size_t round;
    size_t left = 99;

    start_workers();
    for (round = 0; round < rounds; round++) {
        load(TLS_RECLAIM_ANY);
        set_everywhere();
        CHECK_OK(tls_key_release(key));
        CHECK_OK(tls_key_drain(key, -1, &left));
        CHECK_UINT(left, 0);
        CHECK_UINT(ended, WORKERS + 1);
        unload();
        use_the_library_without_the_plugin();
    }
    stop_workers();
}

static pthread_barrier_t have_values;

static void *
set_and_end(void *argument)
{
    CHECK_OK(plugin.set(key));
    pthread_barrier_wait(&have_values);
    return argument;
}

/* Nobody expunges: the threads end, at the moment of the release and the
 * draining. The last of their callbacks has returned when the drain does. */
static void
threads_end_while_the_plugin_is_drained(void)
{
    size_t rounds = test_scaled(200, 5);
    pthread_t threads[WORKERS];
    size_t left = 99;
    size_t round;
    size_t i;

    CHECK_INT(pthread_barrier_init(&have_values, NULL, WORKERS + 1), 0);
    for (round = 0; round < rounds; round++) {
        load(round % 2 == 0 ? TLS_RECLAIM_OWNER : TLS_RECLAIM_ANY);
        for (i = 0; i < WORKERS; i++)
            threads[i] = test_start(set_and_end, NULL);
        pthread_barrier_wait(&have_values);
        CHECK_OK(tls_key_release(key));
        CHECK_OK(tls_key_drain(key, -1, &left));
        CHECK_UINT(left, 0);
        CHECK_UINT(test_count(&ended), WORKERS);
        unload();
        for (i = 0; i < WORKERS; i++)
            test_join(threads[i]);
    }
    pthread_barrier_destroy(&have_values);
}

static size_t hooked;

static void
job_register_hooks(void *argument)
{
    uint32_t when;

    (void)argument;
    for (when = TLS_HOOK_BEFORE_VALUES; when <= TLS_HOOK_ON_STALE; when++)
        CHECK_OK(plugin.hook(key, when, &hooked));
}

/* It is woken, and ends, with hooks of a plug-in that may have gone. */
static void
end_and_start_again(worker_t *worker)
{
    tls_key_t of_another = test_key();

    CHECK_OK(worker_set(worker, of_another, VALUE(1)));
    CHECK_OK(tls_key_release(of_another));
    worker_stop(worker);
    worker_start(worker);
}

/* The plug-in's key is the owner of its hooks: of these, too, nothing is left. */
static void
hooks_go_with_the_plugin(void)
{
    size_t rounds = test_scaled(50, 5);
    size_t round;
    size_t i;

    start_workers();
    for (round = 0; round < rounds; round++) {
        load(TLS_RECLAIM_OWNER);
        hooked = 0;
        for (i = 0; i < WORKERS; i++)
            worker_do(&workers[i], job_register_hooks, NULL);
        end_and_start_again(&workers[0]);
        CHECK_UINT(hooked, 3);
        CHECK_OK(tls_key_release(key));
        CHECK_OK(tls_key_drain(key, -1, NULL));
        unload();
        for (i = 0; i < WORKERS; i++)
            end_and_start_again(&workers[i]);
        CHECK_UINT(hooked, 3);
    }
    for (i = 0; i < WORKERS; i++)
        worker_stop(&workers[i]);
    CHECK_OK(tls_key_release(own));
}

int
main(int count, char **arguments)
{
    CHECK_INT(count, 2);
    path = arguments[1];
    RUN(owners_expunge_before_the_plugin_goes);
    RUN(a_release_ends_all_before_the_plugin_goes);
    RUN(threads_end_while_the_plugin_is_drained);
    RUN(hooks_go_with_the_plugin);
    return test_finish();
}
