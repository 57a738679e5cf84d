/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Numbers that are no good: sizes of structures that end inside a member, and
 * handles that were never keys. All functions give them the same error, and no
 * number that was never a key finds a value, in a signal handler neither, that
 * has come in the middle of a change of the table.
 */
#include "lives.h"

#include <signal.h>
#include <sys/time.h>

/* ---- Sizes ------------------------------------------------------------------- */

#define END(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

static const size_t option_ends[] = {
    END(tls_key_options_t, size),      END(tls_key_options_t, name),
    END(tls_key_options_t, destroy),   END(tls_key_options_t, init),
    END(tls_key_options_t, copy),      END(tls_key_options_t, user),
    END(tls_key_options_t, user_free), END(tls_key_options_t, reclaim),
    END(tls_key_options_t, flags)};

static bool
is_an_end(size_t size, const size_t *ends, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (ends[i] == size)
            return true;
    return false;
}

static void
options_end_where_a_member_ends(void)
{
    union {
        tls_key_options_t options;
        unsigned char bytes[2 * sizeof(tls_key_options_t)];
    } given;
    size_t count = sizeof(option_ends) / sizeof(option_ends[0]);
    tls_key_t last = TLS_KEY_NONE;
    size_t size;

    for (size = 0; size <= sizeof(given); size++) {
        bool right = size >= sizeof(given.options) || is_an_end(size, option_ends, count);
        tls_key_t key = TLS_KEY_NONE;

        memset(&given, 0, sizeof(given));
        given.options.size = size;
        given.options.name = "a name";
        CHECK_CODE(tls_key_create(&key, &given.options), right ? TLS_OK : TLS_ERR_INVALID);
        CHECK((key != TLS_KEY_NONE) == right);
        if (right)
            CHECK_OK(tls_key_release(key));
    }
    memset(&given, 0, sizeof(given));
    given.options.size = sizeof(given);
    given.bytes[sizeof(given) - 1] = 1;
    CHECK_CODE(tls_key_create(&last, &given.options), TLS_ERR_INVALID);
}

static void
stats_end_where_a_member_ends(void)
{
    union {
        tls_stats_t stats;
        unsigned char bytes[2 * sizeof(tls_stats_t)];
    } taken;
    size_t size, i;

    for (size = 0; size <= sizeof(taken); size++) {
        /* A size_t, then numbers of 64 bits. */
        bool right = size >= sizeof(taken.stats) ||
                     (size >= sizeof(size_t) && (size - sizeof(size_t)) % 8 == 0);

        memset(&taken, 0xee, sizeof(taken));
        taken.stats.size = size;
        CHECK_CODE(tls_stats(&taken.stats), right ? TLS_OK : TLS_ERR_INVALID);
        CHECK_UINT(taken.stats.size, size);
        for (i = right ? size : sizeof(size_t); i < sizeof(taken); i++)
            if (i >= sizeof(size_t))
                CHECK_UINT(taken.bytes[i], 0xee);
        for (i = sizeof(taken.stats); right && i < size; i++)
            CHECK_UINT(taken.bytes[i], 0);
    }
}

/* ---- Handles ------------------------------------------------------------------ */

static int
visit(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    (void)argument;
    return 0;
}

/* Every function that takes a handle gives this answer. */
static void
check_answer(tls_key_t key, int code)
{
    char name[8];
    void *old = NULL;
    size_t number = 99;

    CHECK_CODE(tls_set(key, VALUE(1)), code);
    CHECK_CODE(tls_swap(key, VALUE(1), &old), code);
    CHECK_CODE(tls_take(key, &old), code);
    CHECK_CODE(tls_remove(key), code);
    CHECK_CODE(tls_try_get(key, &old), code);
    CHECK_CODE(tls_key_retain(key), code);
    CHECK_CODE(tls_key_release(key), code);
    CHECK_CODE(tls_key_name(key, name, sizeof(name)), code);
    CHECK_CODE(tls_key_purge(key, &number), code);
    CHECK_CODE(tls_for_each(key, visit, NULL), code);
    CHECK_CODE(tls_scrape(key, visit, NULL), code);
    CHECK(!tls_key_is_live(key));
    CHECK_PTR(tls_get(key), NULL);
    CHECK_PTR((tls_get)(key), NULL);
    CHECK_PTR(tls_get_existing(key), NULL);
    CHECK_PTR((tls_get_existing)(key), NULL);
    CHECK_PTR(old, NULL);
    CHECK_CODE(tls_key_drain(key, 0, &number),
               code == TLS_ERR_BAD_KEY ? TLS_ERR_BAD_KEY : TLS_OK);
}

/* As a handle has it: 4 bits of the generation, 32 of the place, 28 more. */
static tls_key_t
with_generation(tls_key_t key, uint64_t generation)
{
    return (key & UINT64_C(0xffffffff0)) | (generation >> 4) << 36 | (generation & 15);
}

static uint64_t
generation_of(tls_key_t key)
{
    return (key >> 36) << 4 | (key & 15);
}

static void
a_number_that_was_never_a_key_is_a_bad_key_everywhere(void)
{
    static const uint64_t generations[] = {
        0, 1, 2, 15, 16, 17, 20, 31, 100, 1000, 1000000, UINT64_C(0xffffffff)};
    tls_key_t live = test_key();
    tls_key_t dead = test_key();
    tls_key_t again;
    size_t i;
    int bit;

    CHECK_OK(tls_set(live, VALUE(1)));
    CHECK_OK(tls_key_release(dead));
    check_answer(dead, TLS_ERR_DEAD_KEY);
    again = test_key();
    for (i = 0; i < sizeof(generations) / sizeof(generations[0]); i++) {
        uint64_t generation = generations[i];

        if (with_generation(live, generation) != live)
            check_answer(with_generation(live, generation), TLS_ERR_BAD_KEY);
    }
    check_answer(with_generation(live, generation_of(live) + 1), TLS_ERR_BAD_KEY);
    check_answer(with_generation(live, generation_of(live) - 1), TLS_ERR_BAD_KEY);
    for (i = 0; i < 4096; i++)
        check_answer((tls_key_t)i, TLS_ERR_BAD_KEY);
    for (bit = 4; bit < 36; bit++) /* places that no key has */
        if (bit > 10)
            check_answer(live ^ (tls_key_t)1 << bit, TLS_ERR_BAD_KEY);
    check_answer(UINT64_MAX, TLS_ERR_BAD_KEY);
    CHECK_PTR(tls_get(live), VALUE(1));
    CHECK_OK(tls_key_release(live));
    CHECK_OK(tls_key_release(again));
}

static void *
purge(void *argument)
{
    CHECK_OK(tls_key_purge(*(tls_key_t *)argument, NULL));
    return NULL;
}

/* Another thread has taken values out of this thread's table; what stands in
 * their entries is no key, either. */
static void
what_stands_where_a_value_was_taken_out_is_a_bad_key(void)
{
    tls_key_t keys[10];
    size_t i;

    for (i = 0; i < 10; i++) {
        keys[i] = life_key(TLS_RECLAIM_ANY, 0, NULL);
        CHECK_OK(life_set(keys[i]));
    }
    for (i = 0; i < 10; i += 2)
        test_in_thread(purge, &keys[i]);
    for (i = 0; i < 10; i++) {
        uint64_t word = keys[i] & UINT64_C(0xffffffff0);
        uint64_t low;

        for (low = 0; low < 16; low++)
            check_answer(word | low, TLS_ERR_BAD_KEY);
    }
    for (i = 1; i < 10; i += 2)
        CHECK(tls_get(keys[i]) != NULL);
    for (i = 0; i < 10; i++)
        CHECK_OK(tls_key_release(keys[i]));
    lives_check();
}

/* ---- In a signal handler -------------------------------------------------------- */

#define FILLED 40

static size_t signals, found;
static pthread_t reader;

/* The words that may stand in an entry which is no key's. */
static void
look_for_what_was_never_a_key(int number)
{
    tls_key_t word;

    (void)number;
    if (!pthread_equal(pthread_self(), reader))
        return;
    for (word = 0; word < 64; word++)
        if (tls_get_existing(word) != NULL || (tls_get_existing)(word) != NULL)
            test_count_up(&found);
    /* A low bit, and the place of any key. */
    for (word = 0; word < 64; word++)
        if (tls_get_existing(word << 4 | 1) != NULL ||
            (tls_get_existing)(word << 4 | 1) != NULL)
            test_count_up(&found);
    test_count_up(&signals);
}

/* The table of a thread with one key, and with as many as fit. */
static void
no_such_number_finds_a_value_in_a_signal_handler(void)
{
    size_t least = test_scaled(20000, 50);
    struct sigaction action;
    struct itimerval interval;
    tls_key_t keys[FILLED];
    size_t turn, i;

    CHECK_OK(tls_thread_attach());
    reader = pthread_self();
    memset(&action, 0, sizeof(action));
    action.sa_handler = look_for_what_was_never_a_key;
    CHECK_INT(sigaction(SIGUSR1, &action, NULL), 0);
    CHECK_INT(sigaction(SIGALRM, &action, NULL), 0);
    memset(&interval, 0, sizeof(interval));
    interval.it_interval.tv_usec = 53;
    interval.it_value.tv_usec = 53;
    for (i = 0; i < FILLED; i++)
        keys[i] = test_key();
    CHECK_INT(setitimer(ITIMER_REAL, &interval, NULL), 0);
    for (turn = 0; test_count(&signals) < least && test_count(&found) == 0; turn++) {
        size_t last = turn % 8 == 0 ? FILLED : 6;

        for (i = 0; i < last; i++)
            CHECK_OK(tls_set(keys[i], VALUE(0x1234)));
        for (i = 0; i < last; i++)
            CHECK_OK(tls_remove(keys[turn % 2 ? i : last - 1 - i]));
    }
    memset(&interval, 0, sizeof(interval));
    CHECK_INT(setitimer(ITIMER_REAL, &interval, NULL), 0);
    CHECK_UINT(test_count(&found), 0);
    for (i = 0; i < FILLED; i++)
        CHECK_OK(tls_key_release(keys[i]));
}

int
main(void)
{
    RUN_APART(options_end_where_a_member_ends);
    RUN_APART(stats_end_where_a_member_ends);
    RUN_APART(a_number_that_was_never_a_key_is_a_bad_key_everywhere);
    RUN_APART(what_stands_where_a_value_was_taken_out_is_a_bad_key);
    RUN_APART(no_such_number_finds_a_value_in_a_signal_handler);
    return apart_finish();
}
