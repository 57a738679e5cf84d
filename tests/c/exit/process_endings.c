/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Every way in which a process can end while its threads are using the
 * library, each in a process of its own: this program runs itself once for
 * each. No value is destroyed by the process's end, and nothing crashes, waits
 * or complains.
 *
 * Not under a runner: it would have to run the children as well.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "forking.h"

#include <sched.h>
#include <time.h>

#define BUSY 3

static tls_key_t kept;    /* whose values nobody may destroy */
static tls_key_t churned; /* which the busy threads use */
static size_t begun;
static size_t turns;
static size_t destroyed_by_main;

static void
wait_for_count(const size_t *counter, size_t least)
{
    while (test_count(counter) < least)
        sched_yield();
}

static void
never_destroy(void *value, int reason, void *user)
{
    (void)value;
    (void)reason;
    (void)user;
    _exit(3);
}

static void
count_destroy(void *value, int reason, void *user)
{
    (void)value;
    (void)reason;
    test_count_up((size_t *)user);
}

static tls_key_t
key_with(tls_destroy_fn destroy, void *user)
{
    tls_key_options_t options = test_options();

    options.destroy = destroy;
    options.user = user;
    return test_key_from(&options);
}

/* Is somewhere in the library whenever the process ends. */
static void *
churn_for_ever(void *argument)
{
    CHECK_OK(tls_set(kept, VALUE(1)));
    test_count_up(&begun);
    for (;;) {
        tls_key_t key = test_key();

        CHECK_OK(tls_set(key, VALUE(1)));
        CHECK_OK(tls_set(churned, argument));
        CHECK_OK(tls_set(churned, &turns));
        CHECK_PTR(tls_get(kept), VALUE(1));
        CHECK_OK(tls_remove(churned));
        CHECK_OK(tls_key_release(key));
        tls_expunge();
        test_count_up(&turns);
    }
    return NULL;
}

static void *
sleep_for_ever(void *argument)
{
    CHECK_OK(tls_set(kept, argument));
    test_count_up(&begun);
    for (;;)
        pause();
    return NULL;
}

/* Threads that are detached go on while exit() runs its handlers (R11). */
static void
start_threads(void)
{
    static size_t ended_churned;
    size_t i;

    kept = key_with(never_destroy, NULL);
    churned = key_with(count_destroy, &ended_churned);
    CHECK_OK(tls_set(kept, VALUE(1)));
    for (i = 0; i < BUSY; i++)
        CHECK_INT(pthread_detach(test_start(churn_for_ever, VALUE(i + 1))), 0);
    test_start(sleep_for_ever, VALUE(1));
    wait_for_count(&begun, BUSY + 1);
}

/* The library works while the process ends, on the thread that ends it and on
 * the others. */
static void
work_at_the_end(void)
{
    tls_key_t key = test_key();

    wait_for_count(&turns, test_count(&turns) + 100);
    CHECK_PTR(tls_get(kept), VALUE(1));
    CHECK_OK(tls_set(key, VALUE(2)));
    CHECK_PTR(tls_get(key), VALUE(2));
    CHECK_OK(tls_key_release(key));
    puts("looked at the end");
}

/* ---- The ways ------------------------------------------------------------- */

static void
main_returns(void)
{
    CHECK_INT(atexit(work_at_the_end), 0);
}

static void *
call_exit(void *argument)
{
    CHECK_OK(tls_set(kept, VALUE(1)));
    exit(0);
    return argument;
}

static void
a_worker_calls_exit(void)
{
    CHECK_INT(atexit(work_at_the_end), 0);
    test_in_thread(call_exit, NULL);
}

static void *
call_immediate_exit(void *argument)
{
    CHECK_OK(tls_set(kept, VALUE(1)));
    _exit(0);
    return argument;
}

static void
a_worker_calls_immediate_exit(void)
{
    test_in_thread(call_immediate_exit, NULL);
}

static void *
call_quick_exit(void *argument)
{
    CHECK_OK(tls_set(kept, VALUE(1)));
    quick_exit(0);
    return argument;
}

static void
a_worker_calls_quick_exit(void)
{
    CHECK_INT(at_quick_exit(work_at_the_end), 0);
    test_in_thread(call_quick_exit, NULL);
}

/* exit() inside a callback: the call of the library never returns. */
static void
exit_instead_of_destroying(void *value, int reason, void *user)
{
    (void)value;
    (void)reason;
    (void)user;
    exit(0);
}

static void
a_destroy_callback_calls_exit(void)
{
    tls_key_t key = key_with(exit_instead_of_destroying, NULL);

    CHECK_INT(atexit(work_at_the_end), 0);
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_key_release(key));
}

static void *
set_and_end(void *argument)
{
    CHECK_OK(tls_set(kept, VALUE(1)));
    CHECK_OK(tls_set(*(tls_key_t *)argument, VALUE(1)));
    return NULL;
}

/* The same in the cleanup of a thread that ends. */
static void
the_end_of_a_thread_calls_exit(void)
{
    tls_key_t key = key_with(exit_instead_of_destroying, NULL);

    CHECK_INT(atexit(work_at_the_end), 0);
    test_in_thread(set_and_end, &key);
}

/* ---- The main thread ends first -------------------------------------------- */

static pthread_t main_thread;

/* Ends when the main thread has, and the process with it. */
static void *
outlive_the_main_thread(void *argument)
{
    CHECK_OK(tls_set(*(tls_key_t *)argument, VALUE(2)));
    CHECK_INT(pthread_join(main_thread, NULL), 0);
    CHECK_UINT(test_count(&destroyed_by_main), 1);
    return NULL;
}

static void
both_have_ended(void)
{
    CHECK_UINT(test_count(&destroyed_by_main), 2);
    puts("looked at the end");
}

static void
the_main_thread_ends_before_the_others(void)
{
    static tls_key_t key;

    key = key_with(count_destroy, &destroyed_by_main);
    CHECK_INT(atexit(both_have_ended), 0);
    CHECK_OK(tls_set(key, VALUE(1)));
    main_thread = pthread_self();
    CHECK_INT(pthread_detach(test_start(outlive_the_main_thread, &key)), 0);
    pthread_exit(NULL);
}

/* ---- Running them ---------------------------------------------------------- */

typedef struct way {
    const char *name;
    void (*end)(void);
    bool with_threads;
    bool with_handlers; /* says so when it has looked at the end */
} way_t;

static const way_t ways[] = {
    { "main_returns", main_returns, true, true },
    { "a_worker_calls_exit", a_worker_calls_exit, true, true },
    { "a_worker_calls_immediate_exit", a_worker_calls_immediate_exit, true, false },
    { "a_worker_calls_quick_exit", a_worker_calls_quick_exit, true, true },
    { "a_destroy_callback_calls_exit", a_destroy_callback_calls_exit, true, true },
    { "the_end_of_a_thread_calls_exit", the_end_of_a_thread_calls_exit, true, true },
    { "the_main_thread_ends_before_the_others", the_main_thread_ends_before_the_others, false,
      true },
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

static int
end_in_this_way(const char *name)
{
    size_t i;

    for (i = 0; i < WAYS; i++)
        if (strcmp(ways[i].name, name) == 0) {
            if (ways[i].with_threads)
                start_threads();
            ways[i].end();
            return 0; /* main's, while the threads run */
        }
    test_fail(__FILE__, __LINE__, __func__, "no way %s", name);
}

/* Runs this program again, its output into a pipe, and reads that. */
static void
run_way(const way_t *way)
{
    char output[256] = "";
    size_t length = 0;
    ssize_t got;
    int ends[2];
    pid_t child;

    puts(way->name);
    CHECK_INT(pipe(ends), 0);
    child = fork_checked();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl("/proc/self/exe", "process_endings", way->name, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    while ((got = read(ends[0], output + length, sizeof(output) - 1 - length)) > 0)
        length += (size_t)got;
    close(ends[0]);
    wait_for_child(child);
    CHECK_INT(strstr(output, "looked at the end") != NULL, way->with_handlers);
}

int
main(int count, char **arguments)
{
    size_t rounds = test_scaled(5, 1);
    size_t round;
    size_t i;

    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    if (count == 2)
        return end_in_this_way(arguments[1]);
    if (forks_are_left_out())
        return 0;
    for (round = 0; round < rounds; round++)
        for (i = 0; i < WAYS; i++)
            run_way(&ways[i]);
    return 0;
}
