/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * N12, R10: a mutex of the user's is held around a call of the library on one
 * thread, and wanted by a callback on another. That deadlocks where a library
 * calls back with a lock of its own held, or waits for callbacks.
 */
#include "test.h"

#define THREADS 8

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static __thread bool has_mutex;
static tls_key_t key; /* under the mutex */
static size_t stored;
static size_t ended;
static size_t keys_made;
static size_t keys_freed;
static int stop;

static void
lock(void)
{
    CHECK_INT(pthread_mutex_lock(&mutex), 0);
    has_mutex = true;
}

static void
unlock(void)
{
    has_mutex = false;
    CHECK_INT(pthread_mutex_unlock(&mutex), 0);
}

/* As a flusher does: all of its thread's state is under the mutex. */
static void
end_under_mutex(void *value, int reason, void *user)
{
    bool had = has_mutex;

    (void)value;
    (void)reason;
    (void)user;
    if (!had)
        lock();
    ended++;
    if (!had)
        unlock();
}

static void
free_under_mutex(void *user)
{
    bool had = has_mutex;

    (void)user;
    if (!had)
        lock();
    keys_freed++;
    if (!had)
        unlock();
}

static void
notice_under_mutex(void *argument)
{
    bool had = has_mutex;

    if (!had)
        lock();
    ++*(size_t *)argument;
    if (!had)
        unlock();
}

static int
visit_under_mutex(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    (void)argument;
    CHECK(has_mutex);
    tls_expunge();
    return 0;
}

static void
make_key(uint32_t reclaim)
{
    tls_key_options_t options = test_options();

    options.destroy = end_under_mutex;
    options.user_free = free_under_mutex;
    options.reclaim = reclaim;
    options.flags = TLS_KEY_ENUMERABLE;
    key = test_key_from(&options);
    keys_made++;
}

static size_t notices;

/* The callbacks of its sets, of its expunge and of its end want the mutex. */
static void *
use_shortly(void *argument)
{
    tls_key_t now;
    int i;

    CHECK_OK(tls_thread_on_stale(notice_under_mutex, &notices));
    for (i = 0; i < 4; i++) {
        lock();
        now = key;
        CHECK_OK(tls_key_retain(now));
        unlock();
        CHECK_OK(tls_set(now, VALUE(1)));
        CHECK_OK(tls_set(now, VALUE(2)));
        test_count_up(&stored);
        test_count_up(&stored);
        tls_expunge();
        CHECK_OK(tls_key_release(now));
    }
    return argument;
}

static void *
spawn_until_stopped(void *argument)
{
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
        test_in_thread(use_shortly, NULL);
    return argument;
}

static void
check_mutex(uint32_t reclaim)
{
    size_t rounds = test_scaled(2000, 20);
    pthread_t threads[THREADS];
    size_t i;

    stored = ended = keys_made = keys_freed = 0;
    stop = 0;
    make_key(reclaim);
    for (i = 0; i < THREADS; i++)
        threads[i] = test_start(spawn_until_stopped, NULL);
    for (i = 0; i < rounds; i++) {
        tls_key_t old;

        lock();
        CHECK_OK(tls_for_each(key, visit_under_mutex, NULL));
        if (reclaim == TLS_RECLAIM_ANY)
            CHECK_OK(tls_key_purge(key, NULL));
        tls_expunge();
        tls_expunge_all_threads();
        old = key;
        make_key(reclaim);
        CHECK_OK(tls_key_release(old));
        unlock();
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (i = 0; i < THREADS; i++)
        test_join(threads[i]);
    lock();
    CHECK_OK(tls_key_release(key));
    unlock();
    tls_expunge();
    CHECK_UINT(ended, stored);
    CHECK_UINT(keys_freed, keys_made);
}

static void
a_mutex_may_be_held_and_wanted(void)
{
    check_mutex(TLS_RECLAIM_OWNER);
    check_mutex(TLS_RECLAIM_ANY);
}

int
main(void)
{
    RUN(a_mutex_may_be_held_and_wanted);
    return test_finish();
}
