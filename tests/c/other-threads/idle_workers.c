/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Keys whose values only their own thread may end, on threads that sleep: a
 * notice wakes them, and tls_key_drain waits until they are done.
 */
#include "worker.h"

#include <sched.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define WORKERS 4

static test_log_t ended;

/* ---- Waking ------------------------------------------------------------------ */

/* A pool's sleepers, as a pool would write them. It belongs to the pool, not
 * to a thread: a notice may be on its way when a thread ends. */
typedef struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work;
    int event;       /* an eventfd, or -1: the condition variable is used */
    size_t ready;    /* workers that sleep or are about to */
    size_t signals;  /* calls of notify */
    bool stopping;
    tls_key_t keys[2];
    pthread_t threads[WORKERS];
    unsigned numbers[WORKERS];
    size_t started;
} pool_t;

static void
wake_by_condition(void *argument)
{
    pool_t *pool = (pool_t *)argument;

    pthread_mutex_lock(&pool->lock);
    pool->signals++;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

static void
wake_by_event(void *argument)
{
    pool_t *pool = (pool_t *)argument;
    uint64_t one = 1;

    test_count_up(&pool->signals);
    CHECK_INT(write(pool->event, &one, sizeof(one)), sizeof(one));
}

static void
begin_work(pool_t *pool, void (*notify)(void *))
{
    size_t at = test_count_up(&pool->started) - 1;

    pool->numbers[at] = test_thread();
    CHECK_OK(tls_thread_on_stale(notify, pool));
    CHECK_OK(tls_set(pool->keys[0], VALUE(at + 1)));
    CHECK_OK(tls_set(pool->keys[1], VALUE(at + 1)));
}

static void *
sleep_on_condition(void *argument)
{
    pool_t *pool = (pool_t *)argument;

    begin_work(pool, wake_by_condition);
    pthread_mutex_lock(&pool->lock);
    test_count_up(&pool->ready);
    pthread_cond_broadcast(&pool->work);
    while (!pool->stopping) {
        if (tls_stale_count() > 0) {
            pthread_mutex_unlock(&pool->lock);
            tls_expunge();
            pthread_mutex_lock(&pool->lock);
        } else {
            pthread_cond_wait(&pool->work, &pool->lock);
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static void *
sleep_on_event(void *argument)
{
    pool_t *pool = (pool_t *)argument;

    begin_work(pool, wake_by_event);
    test_count_up(&pool->ready);
    while (!__atomic_load_n(&pool->stopping, __ATOMIC_ACQUIRE)) {
        uint64_t count;

        CHECK_INT(read(pool->event, &count, sizeof(count)), sizeof(count));
        tls_expunge();
    }
    return NULL;
}

static void
start_pool(pool_t *pool, void *(*body)(void *), size_t workers)
{
    size_t i;

    test_log_clear(&ended);
    memset(pool, 0, sizeof(*pool));
    CHECK_INT(pthread_mutex_init(&pool->lock, NULL), 0);
    CHECK_INT(pthread_cond_init(&pool->work, NULL), 0);
    pool->event = eventfd(0, 0);
    CHECK(pool->event >= 0);
    for (i = 0; i < 2; i++)
        pool->keys[i] = test_key_logged(&ended);
    for (i = 0; i < workers; i++)
        pool->threads[i] = test_start(body, pool);
    while (test_count(&pool->ready) < workers)
        sched_yield();
}

static void
stop_pool(pool_t *pool, void (*wake)(void *), size_t workers)
{
    size_t i;

    pthread_mutex_lock(&pool->lock);
    __atomic_store_n(&pool->stopping, true, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&pool->lock);
    wake(pool);
    for (i = 0; i < workers; i++)
        test_join(pool->threads[i]);
    close(pool->event);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
}

/* T46, N17: nobody gives the workers anything to do; that a key has died is
 * enough, and each ends its own value. */
static void
check_waking(void *(*body)(void *), void (*wake)(void *), size_t workers)
{
    static pool_t pool;
    size_t left = 99;
    size_t i;
    int k;

    start_pool(&pool, body, workers);
    for (k = 0; k < 2; k++) {
        CHECK_OK(tls_key_release(pool.keys[k]));
        CHECK_OK(tls_key_drain(pool.keys[k], -1, &left));
        CHECK_UINT(left, 0);
        CHECK_UINT(ended.count, workers * (size_t)(k + 1));
        CHECK_UINT(ended.freed, k + 1);
        CHECK_AT_LEAST(test_count(&pool.signals), workers);
    }
    for (i = 0; i < ended.count; i++)
        CHECK_RECORD(&ended, i, ended.records[i].value, TLS_REASON_KEY_DEAD,
                     pool.numbers[(size_t)ended.records[i].value - 1]);
    stop_pool(&pool, wake, workers);
}

static void
a_notice_wakes_a_worker_on_a_condition_variable(void)
{
    check_waking(sleep_on_condition, wake_by_condition, WORKERS);
}

static void
a_notice_wakes_a_worker_on_an_eventfd(void)
{
    check_waking(sleep_on_event, wake_by_event, 1);
}

/* ---- Notices -------------------------------------------------------------------- */

static size_t wakes;
static unsigned notice_thread;

static void
count_notice(void *argument)
{
    CHECK_PTR(argument, &wakes);
    notice_thread = test_thread();
    test_count_up(&wakes);
    tls_expunge(); /* may call anything */
    test_stats();
}

static void
job_ask_for_notice(void *argument)
{
    (void)argument;
    CHECK_OK(tls_thread_on_stale(count_notice, &wakes));
}

static void
job_ask_for_none(void *argument)
{
    (void)argument;
    CHECK_OK(tls_thread_on_stale(NULL, NULL));
}

static void
set_and_release(worker_t *worker)
{
    tls_key_t key = test_key_logged(&ended);

    CHECK_OK(worker_set(worker, key, VALUE(1)));
    CHECK_OK(tls_key_release(key));
}

static void
a_notice_comes_when_the_first_value_is_stale(void)
{
    tls_key_t keys[3];
    worker_t worker;
    size_t i;

    test_log_clear(&ended);
    wakes = 0;
    worker_start(&worker);
    worker_do(&worker, job_ask_for_notice, NULL);
    for (i = 0; i < 3; i++) {
        keys[i] = test_key_logged(&ended);
        CHECK_OK(worker_set(&worker, keys[i], VALUE(i + 1)));
    }
    for (i = 0; i < 3; i++)
        CHECK_OK(tls_key_release(keys[i]));
    CHECK_UINT(wakes, 1); /* the inbox was empty once */
    CHECK_UINT(notice_thread, test_thread());
    CHECK_UINT(worker_expunge(&worker), 3);
    set_and_release(&worker);
    CHECK_UINT(wakes, 2);
    CHECK_UINT(tls_expunge_all_threads(), 0); /* tells it once more */
    CHECK_AT_LEAST(wakes, 3);
    worker_do(&worker, job_ask_for_none, NULL);
    CHECK_UINT(worker_expunge(&worker), 1);
    wakes = 0;
    set_and_release(&worker);
    tls_expunge_all_threads();
    CHECK_UINT(wakes, 0);
    /* One is stale: it comes at once, on this thread, which expunges there. */
    worker_do(&worker, job_ask_for_notice, NULL);
    CHECK_UINT(wakes, 1);
    CHECK_UINT(worker_expunge(&worker), 0);
    CHECK_OK(worker_detach(&worker)); /* the notice ends with it */
    set_and_release(&worker);
    CHECK_UINT(wakes, 1);
    worker_stop(&worker);
    CHECK_UINT(ended.count, 6);
    CHECK_UINT(ended.freed, 6);
}

static void
job_release(void *argument)
{
    CHECK_OK(tls_key_release(((worker_call_t *)argument)->key));
}

/* The caller's own stale values end here, the others' where they belong. */
static void
expunging_all_threads_ends_what_it_may(void)
{
    tls_key_t key;
    worker_t owner;
    worker_t releaser;

    test_log_clear(&ended);
    worker_start(&owner);
    worker_start(&releaser);
    key = test_key_logged(&ended);
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(worker_set(&owner, key, VALUE(2)));
    worker_call(&releaser, job_release, key, NULL, 0);
    CHECK_UINT(tls_stale_count(), 1);
    CHECK_UINT(tls_expunge_all_threads(), 1);
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_KEY_DEAD, test_thread());
    CHECK_UINT(worker_stale_count(&owner), 1);
    CHECK_UINT(worker_expunge(&owner), 1);
    CHECK_RECORD(&ended, 1, VALUE(2), TLS_REASON_KEY_DEAD, owner.number);
    CHECK_UINT(ended.freed, 1);
    worker_stop(&owner);
    worker_stop(&releaser);
}

/* ---- Drain ---------------------------------------------------------------------- */

static void
a_drain_counts_and_gives_up_in_time(void)
{
    worker_t workers[3];
    size_t left = 99;
    tls_key_t key;
    size_t i;

    test_log_clear(&ended);
    key = test_key_logged(&ended);
    CHECK_OK(tls_key_drain(key, 0, &left)); /* a live key, and nobody */
    CHECK_UINT(left, 0);
    for (i = 0; i < 3; i++) {
        worker_start(&workers[i]);
        CHECK_OK(worker_set(&workers[i], key, VALUE(i + 1)));
        CHECK_CODE(tls_key_drain(key, 0, &left), TLS_ERR_TIMEOUT);
        CHECK_UINT(left, i + 1);
    }
    CHECK_CODE(tls_key_drain(key, 5, NULL), TLS_ERR_TIMEOUT);
    CHECK_OK(worker_remove(&workers[0], key));
    CHECK_CODE(tls_key_drain(key, 5, &left), TLS_ERR_TIMEOUT);
    CHECK_UINT(left, 2);
    CHECK_OK(tls_key_release(key));
    CHECK_CODE(tls_key_drain(key, 5, &left), TLS_ERR_TIMEOUT);
    CHECK_UINT(left, 2);
    CHECK_UINT(worker_expunge(&workers[1]), 1);
    CHECK_CODE(tls_key_drain(key, 0, &left), TLS_ERR_TIMEOUT);
    CHECK_UINT(left, 1);
    worker_stop(&workers[2]); /* ends its value */
    CHECK_OK(tls_key_drain(key, 0, &left));
    CHECK_UINT(left, 0);
    CHECK_OK(tls_key_drain(key, -1, NULL));
    CHECK_UINT(ended.freed, 1);
    left = 99;
    CHECK_CODE(tls_key_drain(TLS_KEY_NONE, 0, &left), TLS_ERR_BAD_KEY);
    CHECK_CODE(tls_key_drain(~(tls_key_t)0, -1, &left), TLS_ERR_BAD_KEY);
    CHECK_UINT(left, 99);
    worker_stop(&workers[0]);
    worker_stop(&workers[1]);
}

static void
drain_in_callback(void *value, int reason, void *user)
{
    size_t left = 99;

    (void)value;
    (void)reason;
    CHECK_CODE(tls_key_drain(*(tls_key_t *)user, -1, &left), TLS_ERR_REENTRANT);
    CHECK_UINT(left, 99);
    test_count_up(&ended.count);
}

static void
a_callback_does_not_wait_for_itself(void)
{
    tls_key_options_t options = test_options();
    tls_key_t key;

    test_log_clear(&ended);
    options.destroy = drain_in_callback;
    options.user = &key;
    key = test_key_from(&options);
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_set(key, VALUE(2)));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 2);
}

/* One step of the end of a value, held up until the test lets it go on. */
static pthread_barrier_t arrived;
static pthread_barrier_t go_on;
static size_t finished;

static void
slow_destroy(void *value, int reason, void *user)
{
    (void)value;
    (void)reason;
    (void)user;
    pthread_barrier_wait(&arrived);
    pthread_barrier_wait(&go_on);
    test_count_up(&finished);
}

static void
slow_free(void *user)
{
    slow_destroy(NULL, 0, user);
}

static void *
set_and_end(void *argument)
{
    CHECK_OK(tls_set(*(tls_key_t *)argument, VALUE(1)));
    return NULL;
}

static void *
let_go_on(void *argument)
{
    struct timespec pause = { 0, 20000000 };

    nanosleep(&pause, NULL); /* the drain is most likely waiting by then */
    pthread_barrier_wait(&go_on);
    return argument;
}

/* Code that still runs is waited for: dlclose may come after. */
static void
a_drain_waits_for_callbacks_that_are_running(void)
{
    tls_key_options_t options = test_options();
    pthread_t threads[2];
    tls_key_t key;
    size_t left = 99;

    CHECK_INT(pthread_barrier_init(&arrived, NULL, 2), 0);
    CHECK_INT(pthread_barrier_init(&go_on, NULL, 2), 0);
    options.destroy = slow_destroy;
    options.user_free = slow_free;
    key = test_key_from(&options);
    finished = 0;
    threads[0] = test_start(set_and_end, &key);
    pthread_barrier_wait(&arrived); /* in the callback, at the thread's end */
    CHECK_OK(tls_key_release(key));
    CHECK_CODE(tls_key_drain(key, 0, &left), TLS_ERR_TIMEOUT);
    CHECK_UINT(left, 1);
    pthread_barrier_wait(&go_on);
    pthread_barrier_wait(&arrived); /* in user_free */
    CHECK_CODE(tls_key_drain(key, 5, &left), TLS_ERR_TIMEOUT);
    CHECK_UINT(finished, 1);
    threads[1] = test_start(let_go_on, NULL);
    CHECK_OK(tls_key_drain(key, -1, &left));
    CHECK_UINT(left, 0);
    CHECK_UINT(finished, 2);
    test_join(threads[0]);
    test_join(threads[1]);
    pthread_barrier_destroy(&arrived);
    pthread_barrier_destroy(&go_on);
}

int
main(void)
{
    RUN(a_notice_wakes_a_worker_on_a_condition_variable);
    RUN(a_notice_wakes_a_worker_on_an_eventfd);
    RUN(a_notice_comes_when_the_first_value_is_stale);
    RUN(expunging_all_threads_ends_what_it_may);
    RUN(a_drain_counts_and_gives_up_in_time);
    RUN(a_callback_does_not_wait_for_itself);
    RUN(a_drain_waits_for_callbacks_that_are_running);
    return test_finish();
}
