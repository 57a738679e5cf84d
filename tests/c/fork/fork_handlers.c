/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The program's own fork handlers (pthread_atfork) call the library, in the
 * forking process and in the child; and they take the program's locks, which
 * other threads have while they call the library. Nothing waits for ever, in
 * whichever order the handlers were registered, and the child has the forking
 * thread's values.
 */
#include "later.h"
#include "worker.h"

#include <signal.h>

typedef enum moment {
    PREPARE,
    PARENT,
    CHILD
} moment_t;

static const char *const moment_names[] = {"prepare", "parent", "child"};

/* What varies; main() sets it before each test. */
static moment_t moment;
static void (*use)(void);
static bool registered_first;  /* before the first call of the library */
static bool fork_in_a_callback;

static size_t armed, uses;
static worker_t other;
static tls_key_t doomed, released_elsewhere, shared;

static void
use_at(moment_t now)
{
    if (test_count(&armed) == 0 || now != moment)
        return;
    test_count_up(&uses);
    use();
}

static void
prepare(void)
{
    use_at(PREPARE);
}

static void
parent(void)
{
    use_at(PARENT);
}

static void
child(void)
{
    use_at(CHILD);
}

/* ---- What handlers do ------------------------------------------------------ */

static void
stats(void)
{
    CHECK_AT_LEAST(test_stats().maps, 1);
}

static void
set(void)
{
    CHECK_OK(life_set(shared));
    CHECK_OK(life_set(doomed));
}

static void
release(void)
{
    CHECK_OK(tls_key_release(doomed));
}

static void
attach(void)
{
    CHECK_OK(tls_thread_attach());
}

static void
get(void)
{
    CHECK(tls_get(shared) != NULL);
    CHECK(tls_get(later_keys[6]) != NULL);
}

static void
drain(void)
{
    size_t left = 0;
    int code = tls_key_drain(shared, 1, &left);

    CHECK(code == TLS_ERR_TIMEOUT || code == TLS_ERR_REENTRANT);
}

static void
visit(void)
{
    CHECK_OK(tls_for_each(later_keys[2], later_visit, NULL));
    CHECK_OK(tls_for_each(later_keys[3], later_visit, NULL));
}

static void
scrape_and_purge(void)
{
    CHECK_OK(tls_scrape(later_keys[2], later_take, NULL));
    CHECK_OK(tls_key_purge(later_keys[3], NULL));
}

static void
expunge(void)
{
    tls_expunge();
    tls_expunge_all_threads();
}

static void
detach(void)
{
    int code = tls_thread_detach();

    CHECK(code == TLS_OK || code == TLS_ERR_REENTRANT);
}

static void
dump(void)
{
    CHECK_OK(tls_dump(later_write, NULL));
}

static void
make_and_release(void)
{
    tls_key_t key = life_key(TLS_RECLAIM_ANY, TLS_KEY_ENUMERABLE, NULL);
    char name[4];

    CHECK_OK(life_set(key));
    CHECK_OK(tls_key_name(key, name, sizeof(name)));
    CHECK_OK(tls_key_retain(key));
    CHECK_OK(tls_key_release(key));
    CHECK_OK(tls_key_release(key));
}

static void
run_a_task(void)
{
    later_use_scopes_and_tasks();
}

static void
change_maps(void)
{
    later_use_maps();
}

static void *
use_in_a_thread(void *argument)
{
    later_set_keys();
    return argument;
}

/* A handler may wait for a thread that uses the library. */
static void
start_a_thread(void)
{
    test_in_thread(use_in_a_thread, NULL);
}

typedef struct call {
    const char *name;
    void (*use)(void);
} call_t;

static const call_t calls[] = {
    {"stats", stats},           {"set", set},
    {"release", release},       {"attach", attach},
    {"get", get},               {"drain", drain},
    {"for_each", visit},        {"scrape and purge", scrape_and_purge},
    {"expunge", expunge},       {"detach", detach},
    {"dump", dump},             {"make a key", make_and_release},
    {"run a task", run_a_task}, {"maps", change_maps},
    {"everything", later_use_everything},
    {"start a thread", start_a_thread},
};

/* ---- The story --------------------------------------------------------------- */

static void
job_set_all(void *argument)
{
    (void)argument;
    later_set_keys();
    CHECK_OK(life_set(shared));
    CHECK_OK(life_set(doomed));
}

static void
job_release_elsewhere(void *argument)
{
    (void)argument;
    CHECK_OK(tls_key_release(released_elsewhere));
}

/* The child's thread has its values; they end with it. */
static void
finish_child(void)
{
    bool was_released = use == release && moment != PARENT;

    alarm(APART_PATIENCE);
    CHECK_CODE(tls_key_release(doomed), was_released ? TLS_ERR_DEAD_KEY : TLS_OK);
    tls_expunge();
    later_use_values();
    tls_remove_all();
    CHECK_UINT(tls_stale_count(), 0);
    if (fork_in_a_callback)
        _exit(0); /* the rest is refused there */
    life_key_is_drained(doomed);
    life_key_is_drained(shared);
    later_end_maps();
    CHECK_UINT(test_stats().entries, 0);
    CHECK_OK(tls_key_release(shared));
    CHECK_UINT(test_stats().keys, LATER_KEYS);
    CHECK_UINT(test_stats().dead_keys, 0);
    _exit(0);
}

static void
fork_once(void)
{
    pid_t process;
    int status = 0;

    apart_set(&armed, 1);
    process = fork();
    apart_set(&armed, 0);
    CHECK(process >= 0);
    CHECK_UINT(uses, moment == PREPARE || (moment == CHILD) == (process == 0));
    if (process == 0)
        finish_child();
    while (waitpid(process, &status, 0) != process)
        CHECK_INT(errno, EINTR);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}

static void
destroy_and_fork(void *value, int reason, void *user)
{
    life_destroy(value, reason, user);
    fork_once();
}

static void
a_fork_handler_may_call_the_library(void)
{
    tls_key_options_t options = test_options();
    tls_key_t forking;

    if (registered_first)
        CHECK_INT(pthread_atfork(prepare, parent, child), 0);
    later_make_keys();
    shared = life_key(TLS_RECLAIM_OWNER, 0, NULL);
    doomed = life_key(TLS_RECLAIM_ANY, 0, NULL);
    released_elsewhere = life_key(TLS_RECLAIM_OWNER, 0, NULL);
    later_set_keys();
    CHECK_OK(life_set(shared));
    CHECK_OK(life_set(doomed));
    CHECK_OK(life_set(released_elsewhere));
    worker_start(&other);
    worker_do(&other, job_set_all, NULL);
    worker_do(&other, job_release_elsewhere, NULL);
    if (!registered_first)
        CHECK_INT(pthread_atfork(prepare, parent, child), 0);
    if (fork_in_a_callback) {
        options.destroy = destroy_and_fork;
        forking = test_key_from(&options);
        CHECK_OK(life_set(forking));
        CHECK_OK(tls_remove(forking));
        CHECK_OK(tls_key_release(forking));
    } else {
        fork_once();
    }
    if (use != release || moment == CHILD)
        CHECK_OK(tls_key_release(doomed));
    CHECK_OK(tls_key_release(shared));
    worker_stop(&other);
    later_end_maps();
    later_release_keys();
}

/* ---- Handlers that take the program's lock ---------------------------------- */

static pthread_mutex_t program = PTHREAD_MUTEX_INITIALIZER;
static size_t rounds, stop;

static void
lock_program(void)
{
    pthread_mutex_lock(&program);
}

static void
unlock_program(void)
{
    pthread_mutex_unlock(&program);
}

/* Calls the library with the program's lock held. */
static void *
work(void *argument)
{
    while (test_count(&stop) == 0) {
        pthread_mutex_lock(&program);
        if (test_count(&lives_made) < LIVES - 10)
            use();
        pthread_mutex_unlock(&program);
        test_count_up(&rounds);
    }
    tls_remove_all();
    return argument;
}

static void
a_fork_handler_may_take_a_lock_that_is_held_over_calls(void)
{
    size_t forks = test_scaled(150, 20);
    pthread_t threads[2];
    size_t i;

    if (registered_first)
        CHECK_INT(pthread_atfork(lock_program, unlock_program, unlock_program), 0);
    later_make_keys();
    shared = life_key(TLS_RECLAIM_OWNER, 0, NULL);
    doomed = life_key(TLS_RECLAIM_ANY, 0, NULL);
    if (!registered_first)
        CHECK_INT(pthread_atfork(lock_program, unlock_program, unlock_program), 0);
    for (i = 0; i < 2; i++)
        threads[i] = test_start(work, NULL);
    apart_wait(&rounds, 2);
    for (i = 0; i < forks; i++) {
        pid_t process = fork();

        CHECK(process >= 0);
        if (process == 0)
            _exit(0);
        CHECK(waitpid(process, NULL, 0) == process);
    }
    apart_set(&stop, 1);
    for (i = 0; i < 2; i++)
        test_join(threads[i]);
    CHECK_OK(tls_key_release(shared));
    CHECK_OK(tls_key_release(doomed));
    later_release_keys();
}

int
main(void)
{
    char variant[128];
    size_t i;
    int order;

    if (getenv("THREADLOCALMAP_TEST_SCALE") != NULL) {
        puts("not run: a runner is set, and these tests fork");
        return 0;
    }
    for (order = 0; order < 4; order++) {
        registered_first = (order & 1) == 0;
        fork_in_a_callback = (order & 2) != 0;
        for (i = 0; i < 3 * sizeof(calls) / sizeof(calls[0]); i++) {
            moment = (moment_t)(i % 3);
            use = calls[i / 3].use;
            snprintf(variant, sizeof(variant), "(%s; %s, %s%s)", calls[i / 3].name,
                     moment_names[moment],
                     registered_first ? "registered first" : "registered late",
                     fork_in_a_callback ? ", in a callback" : "");
            RUN_APART_AS(a_fork_handler_may_call_the_library, variant);
        }
    }
    for (order = 0; order < 4; order++) {
        registered_first = (order & 1) == 0;
        use = order & 2 ? set : make_and_release;
        snprintf(variant, sizeof(variant), "(%s, %s)", order & 2 ? "set" : "make a key",
                 registered_first ? "registered first" : "registered late");
        RUN_APART_AS(a_fork_handler_may_take_a_lock_that_is_held_over_calls, variant);
    }
    return apart_finish();
}
