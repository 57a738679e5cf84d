/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the threads of the forking process were doing does not go on in the
 * child: nobody visits there, purges, captures or waits. The child's keys have
 * the references and values that its own thread knows of; they die when it
 * releases them, drain, and their user_free is called. Its waits are woken.
 */
#include "later.h"

/* What varies; main() sets it before each test. */
static uint32_t reclaim, flags;
static void (*keep_busy)(void);
static bool key_dies_first;

static tls_key_t key;
static size_t step, go, stop, freed;
static bool is_child;

static void
count_free(void *user)
{
    (void)user;
    test_count_up(&freed);
}

static tls_key_t
counted_key(void)
{
    tls_key_options_t options = test_options();

    options.destroy = life_destroy;
    options.copy = (flags & TLS_KEY_INHERIT) != 0 ? life_copy : NULL;
    options.user_free = count_free;
    options.user = &freed;
    options.reclaim = reclaim;
    options.flags = flags;
    return test_key_from(&options);
}

/* Runs check() in a child of this process. */
static void
in_a_child(void (*check)(void))
{
    pid_t process = fork();
    int status = 0;

    CHECK(process >= 0);
    if (process == 0) {
        alarm(APART_PATIENCE);
        is_child = true;
        check();
        _exit(0);
    }
    while (waitpid(process, &status, 0) != process)
        CHECK_INT(errno, EINTR);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}

/* ---- A value whose thread has ended, and that is visited ---------------------- */

static void *
set_and_end(void *argument)
{
    CHECK_OK(life_set(key));
    apart_set(&step, 1);
    apart_wait(&step, 2);
    return argument;
}

static int
stay(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    (void)argument;
    apart_set(&step, 2);
    apart_wait(&go, 1);
    return 0;
}

static void *
visit(void *argument)
{
    apart_wait(&step, 1);
    CHECK_OK(tls_for_each(key, stay, NULL));
    return argument;
}

/* Of a key that the child has no reference of, the user is the parent's to
 * free. */
static void
the_key_ends(void)
{
    life_key_is_drained(key);
    if (!key_dies_first)
        CHECK_OK(tls_key_release(key));
    life_key_is_drained(key);
    CHECK_AT_MOST(freed, 1);
    if (!key_dies_first || !is_child)
        CHECK_UINT(freed, 1);
    CHECK_UINT(test_stats().keys, 0);
    CHECK_UINT(test_stats().dead_keys, 0);
    CHECK_UINT(test_stats().entries, 0);
}

static void
a_visited_value_of_an_ended_thread_is_not_waited_for_in_a_child(void)
{
    pthread_t owner, visitor;

    key = counted_key();
    owner = test_start(set_and_end, NULL);
    visitor = test_start(visit, NULL);
    test_join(owner);
    if (key_dies_first)
        CHECK_OK(tls_key_release(key));
    in_a_child(the_key_ends);
    apart_set(&go, 1);
    test_join(visitor);
    the_key_ends();
    lives_check();
}

/* The visitor's own value, and one of a thread that lives on. */
static void *
set_and_stay(void *argument)
{
    CHECK_OK(life_set(key));
    apart_set(&step, 1);
    apart_wait(&go, 1);
    return argument;
}

static void
a_visited_value_of_another_thread_is_not_waited_for_in_a_child(void)
{
    pthread_t owner, visitor;

    key = counted_key();
    owner = test_start(set_and_stay, NULL);
    visitor = test_start(visit, NULL);
    apart_wait(&step, 2);
    if (key_dies_first)
        CHECK_OK(tls_key_release(key));
    in_a_child(the_key_ends);
    apart_set(&go, 1);
    test_join(owner);
    test_join(visitor);
    the_key_ends();
    lives_check();
}

/* ---- References that calls have taken for the time being ------------------------ */

static void
visit_shortly(void)
{
    CHECK_OK(tls_for_each(key, later_visit, NULL));
}

static void
scrape_shortly(void)
{
    CHECK_OK(tls_scrape(key, later_take, NULL));
    CHECK_OK(life_set(key));
}

static void
purge_shortly(void)
{
    CHECK_OK(tls_key_purge(key, NULL));
    CHECK_OK(life_set(key));
}

static void
capture_shortly(void)
{
    tls_context_t *context;

    CHECK_OK(tls_context_capture(&context));
    tls_context_free(context);
}

static void
run_a_task_shortly(void)
{
    tls_task_t *task;

    CHECK_OK(tls_task_create(&task, later_hook, NULL));
    tls_task_cancel(task);
}

static void
drain_shortly(void)
{
    CHECK_CODE(tls_key_drain(key, 0, NULL), TLS_ERR_TIMEOUT);
}

static void
dump_shortly(void)
{
    CHECK_OK(tls_dump(later_write, NULL));
}

static void *
be_busy(void *argument)
{
    CHECK_OK(life_set(key));
    apart_set(&step, 1);
    while (test_count(&stop) == 0 && lives_made < LIVES - 100)
        keep_busy();
    return argument;
}

static void
the_only_reference_is_the_last(void)
{
    CHECK(tls_key_is_live(key));
    CHECK_OK(tls_key_release(key));
    CHECK(!tls_key_is_live(key));
    if (test_stats().contexts > 0) {
        /* A captured context belongs to no thread: this process may free it. */
        size_t left = 0;

        CHECK_CODE(tls_key_drain(key, 0, &left), TLS_ERR_TIMEOUT);
        CHECK_UINT(left, test_stats().contexts);
        CHECK_UINT(freed, 0);
        return;
    }
    life_key_is_drained(key);
    CHECK_UINT(freed, 1);
}

static void
a_child_has_no_reference_of_threads_that_are_not_there(void)
{
    size_t forks = test_scaled(200, 10);
    pthread_t thread;
    size_t i;

    key = counted_key();
    thread = test_start(be_busy, NULL);
    apart_wait(&step, 1);
    for (i = 0; i < forks; i++)
        in_a_child(the_only_reference_is_the_last);
    apart_set(&stop, 1);
    test_join(thread);
    the_only_reference_is_the_last();
    lives_check();
}

/* ---- Waits ------------------------------------------------------------------------- */

static tls_key_t awaited;
static size_t waiters;

static void *
wait_for_ever(void *argument)
{
    test_count_up(&step);
    tls_key_drain(key, -1, NULL);
    return argument;
}

static void *
wait_in_the_child(void *argument)
{
    size_t left = 99;

    apart_set(&step, 100);
    CHECK_OK(tls_key_drain(awaited, 10000, &left));
    CHECK_UINT(left, 0);
    return argument;
}

/* More wake-ups than a condition variable keeps apart in its two groups. */
static void
waits_are_woken(void)
{
    size_t round, i;

    for (round = 0; round < 6; round++) {
        pthread_t threads[2];

        awaited = life_key(TLS_RECLAIM_OWNER, 0, NULL);
        CHECK_OK(life_set(awaited));
        apart_set(&step, 0);
        for (i = 0; i < 2; i++)
            threads[i] = test_start(wait_in_the_child, NULL);
        apart_wait(&step, 100);
        for (i = 0; i < 20; i++) {
            tls_key_t other = life_key(TLS_RECLAIM_OWNER, 0, NULL);

            CHECK_OK(life_set(other));
            CHECK_OK(tls_remove(other));
            CHECK_OK(tls_key_release(other));
            apart_pause();
        }
        CHECK_OK(tls_remove(awaited));
        for (i = 0; i < 2; i++)
            test_join(threads[i]);
        CHECK_OK(tls_key_release(awaited));
    }
}

static void
a_wait_in_a_child_is_woken(void)
{
    pthread_t threads[4];
    size_t i;

    key = life_key(TLS_RECLAIM_OWNER, 0, NULL);
    CHECK_OK(life_set(key));
    for (i = 0; i < waiters; i++)
        threads[i] = test_start(wait_for_ever, NULL);
    apart_wait(&step, waiters);
    for (i = 0; i < 300; i++)
        apart_pause(); /* they wait by now, or are about to */
    in_a_child(waits_are_woken);
    waits_are_woken();
    CHECK_OK(tls_remove(key));
    for (i = 0; i < waiters; i++)
        test_join(threads[i]);
    CHECK_OK(tls_key_release(key));
}

typedef struct work {
    const char *name;
    void (*keep_busy)(void);
    uint32_t reclaim;
    uint32_t flags;
} work_t;

static const work_t works[] = {
    {"for_each", visit_shortly, TLS_RECLAIM_OWNER, TLS_KEY_ENUMERABLE},
    {"for_each, any", visit_shortly, TLS_RECLAIM_ANY, TLS_KEY_ENUMERABLE},
    {"scrape", scrape_shortly, TLS_RECLAIM_OWNER, TLS_KEY_ENUMERABLE},
    {"purge", purge_shortly, TLS_RECLAIM_ANY, 0},
    {"capture", capture_shortly, TLS_RECLAIM_OWNER, TLS_KEY_INHERIT},
    {"capture, any", capture_shortly, TLS_RECLAIM_ANY, TLS_KEY_INHERIT | TLS_KEY_ENUMERABLE},
    {"task", run_a_task_shortly, TLS_RECLAIM_OWNER, TLS_KEY_INHERIT},
    {"drain", drain_shortly, TLS_RECLAIM_OWNER, 0},
    {"dump", dump_shortly, TLS_RECLAIM_OWNER, TLS_KEY_ENUMERABLE},
};

int
main(void)
{
    char variant[64];
    size_t i;

    if (getenv("THREADLOCALMAP_TEST_SCALE") != NULL) {
        puts("not run: a runner is set, and these tests fork");
        return 0;
    }
    for (i = 0; i < 8; i++) {
        reclaim = i & 1 ? TLS_RECLAIM_ANY : TLS_RECLAIM_OWNER;
        flags = TLS_KEY_ENUMERABLE | (i & 2 ? TLS_KEY_INHERIT : 0);
        key_dies_first = (i & 4) != 0;
        snprintf(variant, sizeof(variant), "(reclaim %u, flags %u%s)", (unsigned)reclaim,
                 (unsigned)flags, key_dies_first ? ", the key dies first" : "");
        RUN_APART_AS(a_visited_value_of_an_ended_thread_is_not_waited_for_in_a_child, variant);
        RUN_APART_AS(a_visited_value_of_another_thread_is_not_waited_for_in_a_child, variant);
    }
    for (i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
        keep_busy = works[i].keep_busy;
        reclaim = works[i].reclaim;
        flags = works[i].flags;
        RUN_APART_AS(a_child_has_no_reference_of_threads_that_are_not_there, works[i].name);
    }
    for (waiters = 1; waiters <= 4; waiters++)
        RUN_APART(a_wait_in_a_child_is_woken);
    return apart_finish();
}
