/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * N13: a process forks again and again while its threads are anywhere inside
 * the library: making, setting, releasing, expunging, visiting, ending. Each
 * child uses every function and leaves. Nothing waits for a thread that is not
 * there, and nothing that a thread had half done is seen.
 */
#include "everything.h"
#include "forking.h"

#include <sched.h>

#define THREADS 4
#define SHARED 8
#define GROUP 10
/* In each of the six programs that are made of this source. */
#define FORKS 1000
/* Far longer than any child takes; then SIGALRM ends it, and the test. */
#define WATCHDOG 60

static size_t begun;
static size_t turns;
static int stop;
static size_t made;
static size_t ended;

/* Keys that all threads use; each slot's is exchanged under its mutex. The
 * mutexes are never wanted in a child. */
static struct {
    pthread_mutex_t mutex;
    tls_key_t key;
} shared[SHARED];

static tls_key_t kept; /* under which every thread has its own number */

static void
count_end(void *value, int reason, void *user)
{
    (void)value;
    (void)reason;
    (void)user;
    test_count_up(&ended);
}

static tls_key_t
make_key(size_t at)
{
    tls_key_options_t options = test_options();

    options.destroy = count_end;
    options.reclaim = at % 2 == 0 ? TLS_RECLAIM_OWNER : TLS_RECLAIM_ANY;
    options.flags = at % 4 < 2 ? 0 : TLS_KEY_ENUMERABLE;
    options.name = at % 3 == 0 ? "shared" : NULL;
    return test_key_from(&options);
}

static tls_key_t
hold_key(size_t at)
{
    tls_key_t key;

    pthread_mutex_lock(&shared[at].mutex);
    key = shared[at].key;
    CHECK_OK(tls_key_retain(key));
    pthread_mutex_unlock(&shared[at].mutex);
    return key;
}

static void
exchange_key(size_t at)
{
    tls_key_t key = make_key(at);
    tls_key_t old;

    pthread_mutex_lock(&shared[at].mutex);
    old = shared[at].key;
    shared[at].key = key;
    pthread_mutex_unlock(&shared[at].mutex);
    CHECK_OK(tls_key_release(old));
}

static void
set_counted(tls_key_t key)
{
    CHECK_OK(tls_set(key, VALUE(1 + test_count_up(&made))));
}

static int
look(void *value, uint64_t thread, void *argument)
{
    (void)thread;
    (void)argument;
    CHECK(value != NULL);
    return 0;
}

static void
use_shared(size_t turn)
{
    size_t at = turn % SHARED;
    tls_key_t key = hold_key(at);

    set_counted(key);
    set_counted(key);
    if (at % 4 >= 2) {
        int code = tls_for_each(key, look, NULL);

        CHECK(code == TLS_OK || code == TLS_ERR_BUSY);
    }
    if (turn % 3 == 0)
        CHECK_OK(tls_remove(key));
    CHECK_OK(tls_key_release(key));
    if (turn % 5 == 0)
        exchange_key(at);
    tls_expunge();
    test_count_up(&turns);
}

static void *
use_and_end(void *argument)
{
    size_t turn = (size_t)(uintptr_t)argument;
    size_t i;

    for (i = 0; i < 3; i++)
        use_shared(turn + i);
    return NULL;
}

/* Half of the threads go on, the other half start threads that end at once. */
static void *
use_until_stopped(void *argument)
{
    size_t number = (size_t)(uintptr_t)argument;
    size_t turn;

    test_count_up(&begun);
    for (turn = number * 3; !__atomic_load_n(&stop, __ATOMIC_ACQUIRE); turn++) {
        if (number % 2 == 0) {
            CHECK_OK(tls_set(kept, VALUE(number + 1)));
            use_shared(turn);
        } else {
            test_in_thread(use_and_end, VALUE(turn));
        }
    }
    return NULL;
}

/* The forking thread's values are here, the others' are not; all works, on
 * this thread and on new ones, and the shared keys are whole. */
static void
look_around_and_leave(void)
{
    size_t i;

    alarm(WATCHDOG);
    CHECK_PTR(tls_get(kept), VALUE(99));
    CHECK_UINT(test_stats().maps, 1);
    use_everything();
    for (i = 0; i < SHARED; i++)
        if (tls_key_is_live(shared[i].key)) {
            CHECK_OK(tls_set(shared[i].key, VALUE(5)));
            CHECK_OK(tls_key_release(shared[i].key));
        }
    CHECK_PTR(tls_get(kept), VALUE(99));
    CHECK_OK(tls_thread_detach());
    CHECK_UINT(test_stats().entries, 0);
    CHECK_UINT(test_stats().stale, 0);
    CHECK_UINT(test_stats().dead_keys, 0);
    _exit(0);
}

/* The children of a group run at the same time: they wait for a processor most
 * of the time, as the threads never sleep. */
static void
fork_a_group(void)
{
    pid_t children[GROUP];
    size_t i;

    for (i = 0; i < GROUP; i++) {
        size_t before = test_count(&turns);

        children[i] = fork_checked();
        if (children[i] == 0)
            look_around_and_leave();
        /* Or every fork would find the threads where the last one did. */
        while (test_count(&turns) == before)
            sched_yield();
    }
    for (i = 0; i < GROUP; i++)
        wait_for_child(children[i]);
}

static void
a_fork_may_come_at_any_moment(void)
{
    size_t groups = test_scaled(FORKS / GROUP, 2);
    pthread_t threads[THREADS];
    size_t i;

    kept = test_key();
    for (i = 0; i < SHARED; i++) {
        CHECK_INT(pthread_mutex_init(&shared[i].mutex, NULL), 0);
        shared[i].key = make_key(i);
    }
    CHECK_OK(tls_set(kept, VALUE(99)));
    for (i = 0; i < THREADS; i++)
        threads[i] = test_start(use_until_stopped, VALUE(i));
    while (test_count(&begun) < THREADS)
        sched_yield();
    for (i = 0; i < groups; i++)
        fork_a_group();
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (i = 0; i < THREADS; i++)
        test_join(threads[i]);
    for (i = 0; i < SHARED; i++)
        CHECK_OK(tls_key_release(shared[i].key));
    CHECK_OK(tls_key_release(kept));
    tls_expunge();
    CHECK_UINT(ended, made);
}

int
main(void)
{
    if (forks_are_left_out())
        return 0;
    RUN(a_fork_may_come_at_any_moment);
    return test_finish();
}
