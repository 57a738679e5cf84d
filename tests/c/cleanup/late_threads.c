/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Destructors of other pthread keys that use the library, in each of the C
 * library's four passes over a thread's destructors. What is set there ends,
 * or is refused with TLS_ERR_EXITING, on every thread that used the library
 * before it began to end; whichever pthread key is the older one. On a thread
 * that first uses the library in the last pass, its end can't be seen: what is
 * not refused there stays, and stays counted.
 */
#include "lives.h"

#define PASSES 4 /* PTHREAD_DESTRUCTOR_ITERATIONS of glibc and of musl */

typedef enum before {
    NOTHING,
    ATTACHED,
    HAS_A_VALUE,
    HAD_A_VALUE,
    HAS_A_HOOK,
    DETACHED,
    ON_A_MOVED_MAP
} before_t;

static const char *const before_names[] = {
    "never used before", "attached before", "has a value",   "had a value",
    "has a hook",        "detached before", "on a moved map"};

typedef enum use {
    SETS,
    SWAPS,
    GETS,       /* a value that init makes */
    ADDS_HOOKS,
    OPENS_A_SCOPE,
    RUNS_A_TASK
} use_t;

static const char *const use_names[] = {"sets",       "swaps",         "gets",
                                        "adds hooks", "opens a scope", "runs a task"};

/* What varies; main() sets it before each test. */
static before_t before;
static use_t use;
static int from, to;        /* the passes in which it is used */
static bool theirs_is_older;
static uint32_t reclaim, flags;

static pthread_key_t theirs;
static tls_key_t key, key_with_init;
static tls_map_t *map;
static size_t refused;
static __thread int pass;

static int
checked(int code)
{
    if (code != TLS_OK) {
        CHECK(code == TLS_ERR_EXITING);
        test_count_up(&refused);
    }
    return code;
}

static void
set_a_value(void *argument)
{
    (void)argument;
    checked(life_set(key));
}

static void
hook(void *argument)
{
    life_end(argument);
}

static void
use_it(void)
{
    tls_scope_t scope;
    tls_task_t *task;
    void *value, *old;

    switch (use) {
    case SETS:
        checked(life_set(key));
        break;
    case SWAPS:
        value = life();
        old = NULL;
        life_end(checked(tls_swap(key, value, &old)) == TLS_OK ? old : value);
        break;
    case GETS:
        checked(tls_try_get(key_with_init, &value));
        checked(tls_remove(key_with_init));
        checked(tls_try_get(key_with_init, &value));
        break;
    case ADDS_HOOKS:
        value = life();
        if (checked(tls_at_thread_exit(hook, value)) != TLS_OK)
            life_end(value);
        break;
    case OPENS_A_SCOPE:
        if (checked(tls_scope_begin(&scope, NULL)) == TLS_OK)
            checked(life_set(key));
        break;
    case RUNS_A_TASK:
        if (checked(tls_task_create(&task, set_a_value, NULL)) == TLS_OK)
            tls_task_run(task);
        break;
    }
}

static void
end_theirs(void *argument)
{
    pass++;
    if (pass >= from && pass <= to)
        use_it();
    if (pass < PASSES)
        CHECK_INT(pthread_setspecific(theirs, argument), 0);
}

static void *
live(void *argument)
{
    CHECK_INT(pthread_setspecific(theirs, VALUE(1)), 0);
    switch (before) {
    case NOTHING:
        break;
    case ATTACHED:
        CHECK_OK(tls_thread_attach());
        break;
    case HAS_A_VALUE:
        CHECK_OK(life_set(key));
        break;
    case HAD_A_VALUE:
        CHECK_OK(life_set(key));
        CHECK_OK(tls_remove(key));
        break;
    case HAS_A_HOOK:
        CHECK_OK(tls_at_thread_exit(hook, life()));
        break;
    case DETACHED:
        CHECK_OK(life_set(key));
        CHECK_OK(tls_thread_detach());
        break;
    case ON_A_MOVED_MAP:
        CHECK_OK(tls_map_switch(map, NULL));
        CHECK_OK(life_set(key));
        break;
    }
    return argument;
}

static void
make_their_key(void)
{
    CHECK_INT(pthread_key_create(&theirs, end_theirs), 0);
}

static void
start(void)
{
    if (theirs_is_older)
        make_their_key();
    key = life_key(reclaim, flags, NULL);
    key_with_init = life_key(reclaim, flags, life_init);
    CHECK_OK(tls_map_create(&map));
    CHECK_OK(tls_thread_attach());
    CHECK_OK(tls_thread_detach());
    if (!theirs_is_older)
        make_their_key();
}

static void
what_is_set_is_ended_or_refused(void)
{
    start();
    test_in_thread(live, NULL);
    CHECK_OK(tls_map_destroy(map));
    CHECK_OK(tls_thread_detach());
    lives_check();
    CHECK_UINT(test_stats().maps, 0);
    CHECK_UINT(test_stats().entries, 0);
    CHECK_UINT(test_stats().leaked, 0);
    life_key_is_drained(key);
    life_key_is_drained(key_with_init);
    CHECK_OK(tls_key_release(key));
    CHECK_OK(tls_key_release(key_with_init));
    life_key_is_drained(key);
    life_key_is_drained(key_with_init);
}

/* What the header says: what is not ended stays, and stays counted. */
static void
what_stays_is_counted(void)
{
    size_t stays, left = 99, left_with_init = 99;
    tls_stats_t stats;

    start();
    test_in_thread(live, NULL);
    CHECK_OK(tls_map_destroy(map));
    CHECK_OK(tls_thread_detach());
    stats = test_stats();
    stays = lives_made - lives_ended();
    printf("passes %d to %d, %s key first: %zu refused, %zu of %zu values stay\n",
           from, to, theirs_is_older ? "their" : "this library's", refused, stays,
           lives_made);
    CHECK_UINT(stats.entries, use == ADDS_HOOKS ? 0 : stays);
    CHECK_AT_MOST(stats.maps, 1);
    CHECK_AT_MOST(stays, stats.maps * lives_made);
    if (tls_key_drain(key, 0, &left) == TLS_OK)
        CHECK_UINT(left, 0);
    if (tls_key_drain(key_with_init, 0, &left_with_init) == TLS_OK)
        CHECK_UINT(left_with_init, 0);
    CHECK_AT_MOST(left + left_with_init, 2);
    if (use != ADDS_HOOKS)
        CHECK_UINT(left + left_with_init > 0, stays > 0);
    /* In every pass but the last there is a later one, which ends all. */
    if (to < PASSES || theirs_is_older)
        lives_check();
    fflush(stdout);
    _exit(0);
}

static void
run_all_passes(void)
{
    char variant[128];
    int i;

    for (i = 0; i < 2; i++) {
        theirs_is_older = i != 0;
        for (from = 1; from <= PASSES; from++)
            for (to = from; to <= PASSES; to++) {
                snprintf(variant, sizeof(variant), "(%s, %s in passes %d to %d, %s)",
                         before_names[before], use_names[use], from, to,
                         theirs_is_older ? "their key is older" : "their key is younger");
                if (before == NOTHING)
                    RUN_APART_AS(what_stays_is_counted, variant);
                else
                    RUN_APART_AS(what_is_set_is_ended_or_refused, variant);
            }
    }
}

int
main(void)
{
    if (getenv("THREADLOCALMAP_TEST_SCALE") != NULL) {
        puts("not run: a runner is set, and these tests need processes");
        return 0;
    }
    for (before = NOTHING; before <= ON_A_MOVED_MAP; before = (before_t)(before + 1)) {
        for (use = SETS; use <= RUNS_A_TASK; use = (use_t)(use + 1))
            run_all_passes();
        use = SETS;
        reclaim = TLS_RECLAIM_ANY;
        flags = TLS_KEY_ENUMERABLE;
        run_all_passes();
        reclaim = TLS_RECLAIM_OWNER;
        flags = TLS_KEY_WORKER;
        run_all_passes();
        flags = 0;
    }
    return apart_finish();
}
