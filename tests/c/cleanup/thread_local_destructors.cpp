// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * C++ objects that use the library while they are destroyed: thread_local ones
 * at the end of their thread, before the library's own cleanup; those of the
 * main thread and static ones at the end of the process, after which nothing
 * of the library's runs any more.
 */
#include "test.h"

#include <thread>

static test_log_t ended;
static tls_key_t key;
static tls_key_t dying;

/* What the process must have seen before it ends; checked by the last of the
 * static objects. */
static size_t destructors;

namespace {

/* Sets, gets, releases and expunges in its destructor. */
struct Uses {
    void *expected;

    ~Uses()
    {
        void *old = NULL;

        CHECK_PTR(tls_get(key), expected);
        CHECK_PTR((tls_get)(key), expected);
        CHECK_OK(tls_swap(key, VALUE(20), &old));
        CHECK_PTR(old, expected);
        if (dying != TLS_KEY_NONE)
            CHECK_OK(tls_key_release(dying));
        tls_expunge();
        test_count_up(&destructors);
    }
};

/* Detaches by hand, and then uses the library again. */
struct Detaches {
    ~Detaches()
    {
        CHECK_OK(tls_thread_detach());
        CHECK_PTR(tls_get(key), NULL);
        CHECK_OK(tls_set(key, VALUE(30)));
        test_count_up(&destructors);
    }
};

} // namespace

static void
start(void)
{
    test_log_clear(&ended);
    destructors = 0;
    key = test_key_logged(&ended);
}

static void
have_a_user(void)
{
    static thread_local Uses user = { NULL };

    CHECK_OK(tls_set(key, VALUE(10)));
    CHECK_OK(tls_set(dying, VALUE(11)));
    user.expected = VALUE(10);
}

/* F31. What the destructor stores ends in the thread's cleanup. */
static void
a_thread_local_object_may_use_the_library_in_its_destructor(void)
{
    start();
    dying = test_key_logged(&ended);
    std::thread(have_a_user).join();
    CHECK_UINT(destructors, 1);
    CHECK_UINT(ended.count, 2);
    CHECK_PTR(ended.records[0].value, VALUE(11));
    CHECK_INT(ended.records[0].reason, TLS_REASON_KEY_DEAD);
    CHECK_PTR(ended.records[1].value, VALUE(20));
    CHECK_INT(ended.records[1].reason, TLS_REASON_THREAD_EXIT);
    CHECK(!tls_key_is_live(dying));
    dying = TLS_KEY_NONE;
    CHECK_OK(tls_key_release(key));
}

static void
have_a_detacher(void)
{
    static thread_local Detaches detacher;

    (void)&detacher;
    CHECK_OK(tls_set(key, VALUE(10)));
}

static void
a_thread_local_object_may_detach_its_thread(void)
{
    start();
    std::thread(have_a_detacher).join();
    CHECK_UINT(destructors, 1);
    CHECK_UINT(ended.count, 2);
    CHECK_PTR(ended.records[0].value, VALUE(10));
    CHECK_INT(ended.records[0].reason, TLS_REASON_DETACHED);
    CHECK_PTR(ended.records[1].value, VALUE(30));
    CHECK_INT(ended.records[1].reason, TLS_REASON_THREAD_EXIT);
    CHECK_OK(tls_key_release(key));
}

/* ---- After the library's own pass ------------------------------------------ */

static pthread_key_t late;
static size_t late_codes;

/* Runs in the C library's last passes, with a thread_local object that is made
 * only there: glibc never destroys that one, whatever it would do, and loses
 * its own note of it. That is why this is left out under valgrind. */
static void
use_late(void *value)
{
    static thread_local Uses user = { NULL };
    uintptr_t pass = (uintptr_t)value;
    int code = tls_set(key, VALUE(100 + pass));

    (void)&user;
    CHECK(code == TLS_OK || code == TLS_ERR_EXITING);
    late_codes += code == TLS_OK;
    if (pass < 4)
        CHECK_INT(pthread_setspecific(late, VALUE(pass + 1)), 0);
}

static void
set_and_arm(void)
{
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_INT(pthread_setspecific(late, VALUE(1)), 0);
}

static void
thread_local_objects_made_after_the_cleanup_harm_nothing(void)
{
    if (getenv("THREADLOCALMAP_TEST_SCALE") != NULL)
        return;
    start();
    late_codes = 0;
    CHECK_INT(pthread_key_create(&late, use_late), 0);
    std::thread(set_and_arm).join();
    CHECK_AT_LEAST(late_codes, 1);
    CHECK_UINT(ended.count, 1 + late_codes);
    CHECK_UINT(test_stats().leaked, 0);
    CHECK_OK(tls_key_release(key));
    CHECK_INT(pthread_key_delete(late), 0);
}

/* ---- The end of the process -------------------------------------------------- */

namespace {

/* Made before everything, so destroyed after everything (R11). */
struct LooksLast {
    ~LooksLast()
    {
        CHECK_UINT(destructors, 1);
        CHECK_UINT(ended.count, 0);
        CHECK_PTR(tls_get(key), VALUE(20));
        CHECK_OK(tls_thread_detach());
        CHECK_UINT(ended.count, 1);
        CHECK_OK(tls_key_release(key));
        test_finish();
        puts("looked at the end");
    }
};

LooksLast looks_last;

} // namespace

static void
the_main_threads_objects_use_the_library_at_the_end_of_the_process(void)
{
    static thread_local Uses user = { NULL };

    start();
    CHECK_OK(tls_set(key, VALUE(10)));
    user.expected = VALUE(10);
}

int
main(void)
{
    RUN(a_thread_local_object_may_use_the_library_in_its_destructor);
    RUN(a_thread_local_object_may_detach_its_thread);
    RUN(thread_local_objects_made_after_the_cleanup_harm_nothing);
    RUN(the_main_threads_objects_use_the_library_at_the_end_of_the_process);
    return 0;
}
