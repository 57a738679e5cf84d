/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Somebody else's pthread keys, whose destructors use the library while the
 * thread ends: before and after the library's own cleanup, in every pass.
 *
 * The C library calls the destructors in the order in which the keys were
 * made, and makes up to four passes while there are values.
 */
#include "test.h"

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define PASSES 4

static test_log_t ended;
static tls_key_t key;
static tls_key_t key_with_init;

static pthread_key_t before; /* made before the library made its own */
static pthread_key_t after;  /* made after it */

/* What tls_set answered in each pass. */
static int codes_before[PASSES];
static int codes_after[PASSES];

static int
init_to_900(void **value, void *user)
{
    (void)user;
    *value = VALUE(900);
    return 0;
}

static uintptr_t first_pass; /* the destructors do nothing before this one */

/* The value under a foreign key is the number of the pass to come. */
static void
use_the_library(pthread_key_t foreign, uintptr_t pass, int *codes, uintptr_t base)
{
    void *value = VALUE(77);
    int code;

    if (pass < first_pass) {
        CHECK_INT(pthread_setspecific(foreign, VALUE(pass + 1)), 0);
        return;
    }
    code = tls_set(key, VALUE(base + pass));
    codes[pass - 1] = code;
    if (code == TLS_OK) {
        CHECK_PTR(tls_get(key), VALUE(base + pass));
        CHECK_PTR(tls_get(key_with_init), VALUE(900));
    } else {
        /* After the last pass there is nothing, and nothing can be made. */
        CHECK_PTR(tls_get(key), NULL);
        CHECK_PTR((tls_get)(key), NULL);
        CHECK_PTR(tls_get(key_with_init), NULL);
        CHECK_PTR(tls_get_existing(key), NULL);
        CHECK_CODE(tls_try_get(key, &value), TLS_ERR_ABSENT);
        CHECK_CODE(tls_try_get(key_with_init, &value), TLS_ERR_EXITING);
        CHECK_CODE(tls_swap(key, VALUE(1), &value), TLS_ERR_EXITING);
        CHECK_CODE(tls_take(key, &value), TLS_ERR_ABSENT);
        CHECK_PTR(value, VALUE(77));
        CHECK_CODE(tls_thread_attach(), TLS_ERR_EXITING);
        CHECK_OK(tls_remove(key));
        CHECK_OK(tls_remove_all());
        CHECK_OK(tls_thread_detach());
        CHECK_UINT(tls_stale_count(), 0);
        CHECK_UINT(tls_expunge(), 0);
    }
    if (pass < PASSES)
        CHECK_INT(pthread_setspecific(foreign, VALUE(pass + 1)), 0);
}

static void
destroy_before(void *value)
{
    use_the_library(before, (uintptr_t)value, codes_before, 100);
}

static void
destroy_after(void *value)
{
    use_the_library(after, (uintptr_t)value, codes_after, 200);
}

static void
do_nothing(void *argument)
{
    (void)argument;
}

static void *
arm_both(void *argument)
{
    CHECK_OK(tls_set(key, argument));
    CHECK_INT(pthread_setspecific(before, VALUE(1)), 0);
    CHECK_INT(pthread_setspecific(after, VALUE(1)), 0);
    return NULL;
}

static void *
arm_after(void *argument)
{
    CHECK_INT(pthread_setspecific(after, argument), 0);
    return NULL;
}

static void *
arm_before(void *argument)
{
    CHECK_INT(pthread_setspecific(before, argument), 0);
    return NULL;
}

static void *
detach_and_arm_both(void *argument)
{
    arm_both(argument);
    CHECK_OK(tls_thread_detach());
    return NULL;
}

static void
start(void)
{
    int i;

    first_pass = 1;
    for (i = 0; i < PASSES; i++)
        codes_before[i] = codes_after[i] = 1;
    test_log_clear(&ended);
    key = test_key_logged(&ended);
}

/* Every value that was accepted has ended once; none that was refused has. */
static void
finish_and_check(size_t others)
{
    size_t accepted = others;
    size_t i;
    size_t j;

    for (i = 0; i < PASSES; i++)
        accepted += (codes_before[i] == TLS_OK) + (codes_after[i] == TLS_OK);
    CHECK_UINT(ended.count, accepted);
    for (i = 0; i < ended.count; i++)
        for (j = 0; j < i; j++)
            CHECK(ended.records[i].value != ended.records[j].value);
    CHECK_UINT(test_stats().leaked, 0);
    CHECK_UINT(test_stats().maps, 0);
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.freed, 1);
}

/* As long as a pass is still to come, values are taken and end in it; after
 * the last one they are refused, because nobody would ever end them. */
static void
values_set_by_foreign_destructors_end_or_are_refused(void)
{
    int i;

    start();
    test_in_thread(arm_both, VALUE(1));
    for (i = 0; i < PASSES; i++) {
        CHECK_CODE(codes_before[i], TLS_OK);
        CHECK_CODE(codes_after[i], i < PASSES - 1 ? TLS_OK : TLS_ERR_EXITING);
    }
    finish_and_check(1);
}

/* The passes are counted also while nobody uses the library: what comes after
 * the last one is refused, what comes before it is taken. */
static void
quiet_passes_count_as_well(void)
{
    start();
    first_pass = PASSES;
    test_in_thread(arm_both, VALUE(1));
    CHECK_CODE(codes_before[PASSES - 1], TLS_OK);
    CHECK_CODE(codes_after[PASSES - 1], TLS_ERR_EXITING);
    finish_and_check(1);
}

/* The same on a thread that cleans up by hand before it ends. */
static void
foreign_destructors_may_attach_a_detached_thread_again(void)
{
    start();
    test_in_thread(detach_and_arm_both, VALUE(1));
    CHECK_CODE(codes_before[0], TLS_OK);
    CHECK_CODE(codes_after[0], TLS_OK);
    finish_and_check(1);
}

/* A thread whose first use of the library is in such a destructor. */
static void
the_first_use_may_be_in_a_foreign_destructor(void)
{
    start();
    /* One pass only: the value ends in that pass or in the next one. */
    test_in_thread(arm_before, VALUE(PASSES));
    CHECK_CODE(codes_before[PASSES - 1], TLS_OK);
    finish_and_check(0);

    start();
    test_in_thread(arm_after, VALUE(PASSES));
    CHECK_CODE(codes_after[PASSES - 1], TLS_OK);
    finish_and_check(0);
}

/* A key released by a foreign destructor on the ending thread. */
static tls_key_t dying;

static void
release_dying(void *value)
{
    (void)value;
    CHECK_OK(tls_key_release(dying));
}

static void *
arm_release(void *argument)
{
    CHECK_OK(tls_set(dying, VALUE(1)));
    CHECK_INT(pthread_setspecific(*(pthread_key_t *)argument, VALUE(1)), 0);
    return NULL;
}

static void
keys_may_be_released_by_foreign_destructors(void)
{
    pthread_key_t late;

    CHECK_INT(pthread_key_create(&late, release_dying), 0);
    test_log_clear(&ended);
    dying = test_key_logged(&ended);
    test_in_thread(arm_release, &late);
    CHECK_UINT(ended.count, 1);
    CHECK_INT(ended.records[0].reason, TLS_REASON_THREAD_EXIT);
    CHECK_UINT(ended.freed, 1);
    CHECK(!tls_key_is_live(dying));
    CHECK_INT(pthread_key_delete(late), 0);
}

/* The library has not seen the pass before its first use, so it takes the last one for
 * the last but one. The value is in the sums, and a drain finds it. In a process of its
 * own, because nobody can remove it. */
static void
a_value_of_the_last_pass_stays_if_the_first_use_was_in_a_pass(void)
{
    size_t left = 0;
    int status = 0;
    pid_t child = fork();

    CHECK(child >= 0);
    if (child != 0) {
        CHECK(waitpid(child, &status, 0) == child);
        CHECK_INT(status, 0);
        return;
    }
    start();
    test_in_thread(arm_after, VALUE(1));
    CHECK_CODE(codes_after[PASSES - 1], TLS_OK);
    CHECK_UINT(ended.count, PASSES - 1);
    CHECK_UINT(test_stats().maps, 1);
    CHECK_OK(tls_key_release(key));
    CHECK_CODE(tls_key_drain(key, 0, &left), TLS_ERR_TIMEOUT);
    CHECK_UINT(left, 1);
    CHECK_UINT(ended.freed, 0);
    fflush(stdout);
    _exit(0);
}

int
main(void)
{
    tls_key_options_t options = test_options();

    CHECK_INT(pthread_key_create(&before, destroy_before), 0);
    CHECK_OK(tls_at_thread_exit(do_nothing, NULL));
    CHECK_OK(tls_thread_detach());
    CHECK_INT(pthread_key_create(&after, destroy_after), 0);
    options.init = init_to_900;
    key_with_init = test_key_from(&options);

    RUN(values_set_by_foreign_destructors_end_or_are_refused);
    RUN(quiet_passes_count_as_well);
    RUN(foreign_destructors_may_attach_a_detached_thread_again);
    RUN(the_first_use_may_be_in_a_foreign_destructor);
    RUN(keys_may_be_released_by_foreign_destructors);
    RUN(a_value_of_the_last_pass_stays_if_the_first_use_was_in_a_pass);
    CHECK_OK(tls_key_release(key_with_init));
    return test_finish();
}
