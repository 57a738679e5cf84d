/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The init callback: what tls_get makes when there is no value yet. */
#include "test.h"

#define THREADS 500

static test_log_t ended;
static tls_key_t own;    /* the key whose init is running */
static tls_key_t others[100];
static size_t inits;

static tls_key_t
key_with_init(tls_init_fn init)
{
    tls_key_options_t options = test_options();

    test_log_clear(&ended);
    inits = 0;
    options.init = init;
    options.destroy = test_log_destroy;
    options.user = &ended;
    options.user_free = test_log_free;
    return test_key_from(&options);
}

static int
init_next_number(void **value, void *user)
{
    CHECK_PTR(user, &ended);
    *value = VALUE(test_count_up(&inits));
    return 0;
}

static void *
get_twice(void *argument)
{
    void *first = tls_get(own);

    (void)argument;
    CHECK_PTR(tls_get(own), first);
    CHECK_PTR((tls_get)(own), first);
    return first;
}

/* T03: once per thread, however often the value is read. */
static void
init_runs_once_per_thread(void)
{
    static bool seen[THREADS + 1];
    pthread_t threads[THREADS];
    size_t count = test_scaled(THREADS, 20);
    size_t i;

    own = key_with_init(init_next_number);
    for (i = 0; i < count; i++)
        threads[i] = test_start(get_twice, NULL);
    for (i = 0; i < count; i++) {
        uintptr_t number = (uintptr_t)test_join(threads[i]);

        CHECK_AT_LEAST(number, 1);
        CHECK_AT_MOST(number, count);
        CHECK(!seen[number]);
        seen[number] = true;
    }
    CHECK_UINT(inits, count);
    CHECK_UINT(ended.count, count);
    CHECK_OK(tls_key_release(own));
    CHECK_UINT(ended.freed, 1);
}

static int
init_sets_another_key(void **value, void *user)
{
    (void)user;
    CHECK_OK(tls_set(others[0], VALUE(2)));
    *value = VALUE(1);
    return 0;
}

static void *
first_access_of_the_thread(void *argument)
{
    uint64_t maps = test_stats().maps;

    (void)argument;
    CHECK_PTR(tls_get(own), VALUE(1));
    CHECK_PTR(tls_get(others[0]), VALUE(2));
    CHECK_UINT(test_stats().maps, maps + 1);
    return NULL;
}

/* T06: init sets another key as the thread's very first access. */
static void
init_may_set_another_key(void)
{
    others[0] = test_key();
    own = key_with_init(init_sets_another_key);
    test_in_thread(first_access_of_the_thread, NULL);
    CHECK_OK(tls_key_release(own));
    CHECK_OK(tls_key_release(others[0]));
}

/* T07: initialising is not setting: nothing is replaced, nothing destroyed. */
static void
initialising_destroys_nothing(void)
{
    uint64_t destroyed = test_stats().destroyed;

    own = key_with_init(init_next_number);
    CHECK_PTR(tls_get(own), VALUE(1));
    CHECK_PTR(tls_get(own), VALUE(1));
    CHECK_UINT(ended.count, 0);
    CHECK_UINT(test_stats().destroyed, destroyed);
    CHECK_OK(tls_key_release(own));
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_KEY_DEAD, test_thread());
}

static int
init_null(void **value, void *user)
{
    (void)user;
    test_count_up(&inits);
    *value = NULL;
    return 0;
}

/* T08: an init that makes NULL has made it; it is not asked again. */
static void
a_null_from_init_is_stored(void)
{
    void *value = VALUE(1);

    own = key_with_init(init_null);
    CHECK_PTR(tls_get(own), NULL);
    CHECK_PTR(tls_get(own), NULL);
    CHECK_OK(tls_try_get(own, &value));
    CHECK_PTR(value, NULL);
    CHECK_UINT(inits, 1);
    CHECK_OK(tls_key_release(own));
    CHECK_UINT(ended.count, 0);
}

static int
init_reads_its_own_key(void **value, void *user)
{
    void *found = VALUE(9);

    (void)user;
    CHECK_CODE(tls_try_get(own, &found), TLS_ERR_REENTRANT);
    CHECK_PTR(found, VALUE(9));
    CHECK_PTR(tls_get(own), NULL);
    CHECK_PTR((tls_get)(own), NULL);
    CHECK_PTR(tls_get_existing(own), NULL);
    CHECK_CODE(tls_take(own, &found), TLS_ERR_ABSENT);
    CHECK_OK(tls_remove(own));
    test_count_up(&inits);
    *value = VALUE(1);
    return 0;
}

/* T09: an init that reads its own key gets an error, not an endless descent. */
static void
init_may_not_read_its_own_key(void)
{
    own = key_with_init(init_reads_its_own_key);
    CHECK_PTR(tls_get(own), VALUE(1));
    CHECK_UINT(inits, 1);
    CHECK_OK(tls_remove(own));
    CHECK_PTR(tls_get(own), VALUE(1));
    CHECK_UINT(inits, 2);
    CHECK_OK(tls_key_release(own));
}

static void *result_of_init;
static void *set_by_init;

static int
init_sets_its_own_key(void **value, void *user)
{
    void *found = NULL;

    (void)user;
    test_count_up(&inits);
    CHECK_OK(tls_set(own, set_by_init));
    /* Now there is a value, and reading it is fine. */
    CHECK_PTR(tls_get(own), set_by_init);
    CHECK_OK(tls_try_get(own, &found));
    CHECK_PTR(found, set_by_init);
    *value = result_of_init;
    return 0;
}

/* T10: of what init sets and what it returns, the returned value wins. */
static void
what_init_returns_wins_over_what_it_set(void)
{
    uint64_t entries = test_stats().entries;

    set_by_init = VALUE(1);
    result_of_init = VALUE(2);
    own = key_with_init(init_sets_its_own_key);
    CHECK_PTR(tls_get(own), VALUE(2));
    CHECK_PTR(tls_get(own), VALUE(2));
    CHECK_UINT(inits, 1);
    CHECK_UINT(test_stats().entries, entries + 1);
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_REPLACED, test_thread());

    /* The same pointer both ways is one value. */
    result_of_init = VALUE(1);
    CHECK_OK(tls_remove(own));
    CHECK_UINT(ended.count, 2);
    CHECK_PTR(tls_get(own), VALUE(1));
    CHECK_UINT(ended.count, 2);
    CHECK_OK(tls_key_release(own));
    CHECK_UINT(ended.count, 3);
}

static int failures_left;

static int
init_fails_at_first(void **value, void *user)
{
    (void)user;
    test_count_up(&inits);
    *value = VALUE(7);
    return failures_left-- > 0 ? 1 : 0;
}

/* T11: a failed init stores nothing and is tried again by the next get. */
static void
a_failed_init_stores_nothing(void)
{
    uint64_t entries = test_stats().entries;
    void *value = VALUE(1);

    failures_left = 3;
    own = key_with_init(init_fails_at_first);
    CHECK_CODE(tls_try_get(own, &value), TLS_ERR_INIT);
    CHECK_PTR(value, VALUE(1));
    CHECK_PTR(tls_get(own), NULL);
    CHECK_PTR((tls_get)(own), NULL);
    CHECK_PTR(tls_get_existing(own), NULL);
    CHECK_UINT(test_stats().entries, entries);
    CHECK_UINT(inits, 3);

    CHECK_OK(tls_try_get(own, &value));
    CHECK_PTR(value, VALUE(7));
    CHECK_UINT(inits, 4);
    CHECK_UINT(ended.count, 0);
    CHECK_OK(tls_key_release(own));
    CHECK_UINT(ended.count, 1);
}

static int
init_sets_and_fails(void **value, void *user)
{
    (void)user;
    CHECK_OK(tls_set(own, VALUE(1)));
    *value = VALUE(2);
    return -1;
}

/* Whatever becomes of the value that a failing init has set itself, it ends
 * once, and the value that was not stored never does. */
static void
what_a_failed_init_has_set_ends_once(void)
{
    void *value = VALUE(9);

    own = key_with_init(init_sets_and_fails);
    CHECK_CODE(tls_try_get(own, &value), TLS_ERR_INIT);
    CHECK_PTR(value, VALUE(9));
    CHECK_OK(tls_key_release(own));
    CHECK_UINT(ended.count, 1);
    CHECK_PTR(ended.records[0].value, VALUE(1));
    CHECK_UINT(ended.freed, 1);
}

static int
init_sets_many(void **value, void *user)
{
    int i;

    (void)user;
    for (i = 0; i < 100; i++)
        CHECK_OK(tls_set(others[i], VALUE(i + 1)));
    *value = VALUE(1000);
    return 0;
}

static void *
get_one_of_many(void *argument)
{
    int i;

    (void)argument;
    CHECK_PTR(tls_get(own), VALUE(1000));
    CHECK_PTR(tls_get(own), VALUE(1000));
    for (i = 0; i < 100; i++)
        CHECK_PTR(tls_get(others[i]), VALUE(i + 1));
    return NULL;
}

/* The table is made, grown and moved while a tls_get is under way. */
static void
init_may_grow_the_table(void)
{
    int i;

    for (i = 0; i < 100; i++)
        others[i] = test_key();
    own = key_with_init(init_sets_many);
    test_in_thread(get_one_of_many, NULL);
    CHECK_OK(tls_key_release(own));
    for (i = 0; i < 100; i++)
        CHECK_OK(tls_key_release(others[i]));
}

static int
init_reads_the_next_key(void **value, void *user)
{
    size_t at = (size_t)((tls_key_t *)user - others);
    void *next = NULL;

    /* The last one reads the first, whose init is still running. */
    if (at + 1 < 100)
        CHECK_OK(tls_try_get(others[at + 1], &next));
    else
        CHECK_CODE(tls_try_get(others[0], &next), TLS_ERR_REENTRANT);
    *value = VALUE((uintptr_t)next + 1);
    return 0;
}

/* Inits that need each other: a chain of 100, and its end bites its head. */
static void
inits_may_nest(void)
{
    int i;

    for (i = 0; i < 100; i++) {
        tls_key_options_t options = test_options();

        options.init = init_reads_the_next_key;
        options.user = &others[i];
        others[i] = test_key_from(&options);
    }
    CHECK_PTR(tls_get(others[0]), VALUE(100));
    for (i = 0; i < 100; i++) {
        CHECK_PTR(tls_get(others[i]), VALUE(100 - i));
        CHECK_OK(tls_key_release(others[i]));
    }
}

static int
init_releases_its_own_key(void **value, void *user)
{
    (void)user;
    CHECK_OK(tls_key_release(own));
    CHECK_UINT(ended.freed, 0); /* user_free comes after the last callback */
    *value = VALUE(1);
    return 0;
}

/* The key dies while its init runs: the new value still ends, once. */
static void
a_value_made_for_a_key_that_died_meanwhile_is_destroyed(void)
{
    void *value = VALUE(9);

    own = key_with_init(init_releases_its_own_key);
    CHECK_CODE(tls_try_get(own, &value), TLS_ERR_DEAD_KEY);
    CHECK_PTR(value, VALUE(9));
    tls_expunge();
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_KEY_DEAD, test_thread());
    CHECK_UINT(ended.freed, 1);
    CHECK_UINT(ended.count_at_free, 1);
    CHECK_PTR(tls_get(own), NULL);
}

static int
init_detaches(void **value, void *user)
{
    (void)user;
    CHECK_CODE(tls_thread_detach(), TLS_ERR_REENTRANT);
    *value = VALUE(1);
    return 0;
}

static void
init_may_not_detach(void)
{
    own = key_with_init(init_detaches);
    CHECK_PTR(tls_get(own), VALUE(1));
    CHECK_OK(tls_key_release(own));
}

static pthread_barrier_t both_in_init;

static int
init_waits_for_the_other_thread(void **value, void *user)
{
    (void)user;
    pthread_barrier_wait(&both_in_init);
    *value = VALUE(test_count_up(&inits));
    return 0;
}

static void *
get_own(void *argument)
{
    (void)argument;
    return tls_get(own);
}

/* REENTRANT is about one thread: two threads run one init at the same time,
 * and neither waits for the other inside the library. */
static void
two_threads_run_init_at_the_same_time(void)
{
    pthread_t other;
    void *here;
    void *there;

    CHECK_INT(pthread_barrier_init(&both_in_init, NULL, 2), 0);
    own = key_with_init(init_waits_for_the_other_thread);
    other = test_start(get_own, NULL);
    here = tls_get(own);
    there = test_join(other);
    CHECK(here != there);
    CHECK_UINT((uintptr_t)here + (uintptr_t)there, 1 + 2);
    CHECK_OK(tls_key_release(own));
    CHECK_UINT(ended.count, 2);
    pthread_barrier_destroy(&both_in_init);
}

int
main(void)
{
    RUN(init_runs_once_per_thread);
    RUN(init_may_set_another_key);
    RUN(initialising_destroys_nothing);
    RUN(a_null_from_init_is_stored);
    RUN(init_may_not_read_its_own_key);
    RUN(what_init_returns_wins_over_what_it_set);
    RUN(a_failed_init_stores_nothing);
    RUN(what_a_failed_init_has_set_ends_once);
    RUN(init_may_grow_the_table);
    RUN(inits_may_nest);
    RUN(a_value_made_for_a_key_that_died_meanwhile_is_destroyed);
    RUN(init_may_not_detach);
    RUN(two_threads_run_init_at_the_same_time);
    return test_finish();
}
