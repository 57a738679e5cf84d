/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Threads end, in every way, while others do everything that can be done to
 * all threads' values of the same key: visit, take, purge, drain, release.
 * The one who wins, each value ends once or is taken once.
 */
#include "test.h"

#include <sched.h>

#define SPAWNERS 3

/* A value's life. Its memory is given back when it is over, so that the one who
 * touches it later is seen by valgrind and AddressSanitizer. */
enum { LIVING = 1, ENDED = 2 };

typedef struct value {
    int state;
} value_t;

static size_t made;
static size_t ended;
static size_t taken;
static size_t keys_made;
static size_t keys_freed;
static int stop;

/* The key; the one who wants it takes a reference, under the mutex. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static tls_key_t key;
static uint32_t reclaim;

static value_t *
new_value(void)
{
    value_t *value = (value_t *)malloc(sizeof(*value));

    CHECK(value != NULL);
    value->state = LIVING;
    test_count_up(&made);
    return value;
}

static void
free_value(value_t *value)
{
    CHECK_INT(__atomic_exchange_n(&value->state, ENDED, __ATOMIC_ACQ_REL), LIVING);
    free(value);
}

static void
end_value(void *pointer, int reason, void *user)
{
    value_t *value = (value_t *)pointer;

    (void)reason;
    (void)user;
    free_value(value);
    test_count_up(&ended);
}

static void
end_key(void *user)
{
    (void)user;
    test_count_up(&keys_freed);
}

static void
make_key(void)
{
    tls_key_options_t options = test_options();

    options.destroy = end_value;
    options.user_free = end_key;
    options.reclaim = reclaim;
    options.flags = TLS_KEY_ENUMERABLE;
    key = test_key_from(&options);
    keys_made++;
}

static tls_key_t
hold_key(void)
{
    tls_key_t now;

    pthread_mutex_lock(&mutex);
    now = key;
    CHECK_OK(tls_key_retain(now));
    pthread_mutex_unlock(&mutex);
    return now;
}

/* ---- Threads that end ------------------------------------------------------ */

static void
set_and_let_go(tls_key_t now)
{
    CHECK_OK(tls_set(now, new_value()));
    CHECK_OK(tls_key_release(now)); /* perhaps the last one */
}

static void *
set_and_return(void *argument)
{
    set_and_let_go(hold_key());
    return argument;
}

static void *
set_and_exit(void *argument)
{
    set_and_let_go(hold_key());
    pthread_exit(argument);
    return NULL;
}

static void *
set_and_detach(void *argument)
{
    set_and_let_go(hold_key());
    CHECK_OK(tls_thread_detach());
    set_and_let_go(hold_key());
    return argument;
}

/* Cancelled already: it ends at the first cancellation point. */
static void *
set_and_be_cancelled(void *argument)
{
    set_and_let_go(hold_key());
    CHECK_INT(pthread_cancel(pthread_self()), 0);
    pthread_testcancel();
    CHECK(!"a cancelled thread goes on");
    return argument;
}

static void *(*const endings[])(void *) = {
    set_and_return,
    set_and_exit,
    set_and_detach,
    set_and_be_cancelled,
};

static void *
spawn_until_stopped(void *argument)
{
    size_t turn = (size_t)(uintptr_t)argument;

    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
        test_in_thread(endings[turn++ % 4], NULL);
    return NULL;
}

/* ---- What is done to them ---------------------------------------------------- */

static int
look(void *pointer, uint64_t thread, void *argument)
{
    (void)thread;
    (void)argument;
    CHECK_INT(__atomic_load_n(&((value_t *)pointer)->state, __ATOMIC_ACQUIRE), LIVING);
    return 0;
}

static int
take(void *pointer, uint64_t thread, void *argument)
{
    (void)thread;
    (void)argument;
    free_value((value_t *)pointer);
    test_count_up(&taken);
    return 0;
}

/* How often each has been done, and not been told that another one is busy
 * with the key. */
static size_t visits;
static size_t scrapes;
static size_t purges;
static size_t drains;

static void
count_if_done(int code, size_t *counter)
{
    if (code != TLS_ERR_BUSY) {
        CHECK_OK(code);
        test_count_up(counter);
    }
}

static void
visit(tls_key_t now)
{
    count_if_done(tls_for_each(now, look, NULL), &visits);
}

static void
scrape(tls_key_t now)
{
    count_if_done(tls_scrape(now, take, NULL), &scrapes);
}

static void
purge(tls_key_t now)
{
    count_if_done(tls_key_purge(now, NULL), &purges);
}

static void
exchange_and_drain(tls_key_t now)
{
    tls_key_t old;
    size_t left = 99;
    bool mine;
    int code;

    pthread_mutex_lock(&mutex);
    old = key;
    mine = old == now;
    if (mine)
        make_key();
    pthread_mutex_unlock(&mutex);
    if (mine)
        CHECK_OK(tls_key_release(old));
    code = tls_key_drain(now, 0, &left);
    CHECK_CODE(code, left == 0 ? TLS_OK : TLS_ERR_TIMEOUT);
    test_count_up(&drains);
}

static void (*const ops[])(tls_key_t) = { visit, scrape, purge, exchange_and_drain };

static void *
do_until_stopped(void *argument)
{
    size_t turn = (size_t)(uintptr_t)argument;

    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
        tls_key_t now = hold_key();

        ops[turn++ % 4](now);
        CHECK_OK(tls_key_release(now));
        tls_expunge();
    }
    return NULL;
}

/* T43, F25, N12: all at once. */
static void
run_races(uint32_t how)
{
    size_t least = test_scaled(12000, 60);
    pthread_t spawners[SPAWNERS];
    pthread_t doers[2];
    size_t left = 99;
    size_t i;

    visits = scrapes = purges = drains = 0;
    made = ended = taken = keys_made = keys_freed = 0;
    stop = 0;
    reclaim = how;
    make_key();
    for (i = 0; i < SPAWNERS; i++)
        spawners[i] = test_start(spawn_until_stopped, VALUE(i));
    for (i = 0; i < 2; i++)
        doers[i] = test_start(do_until_stopped, VALUE(i));
    while (test_count(&made) < least || test_count(&visits) == 0 || test_count(&scrapes) == 0 ||
           test_count(&purges) == 0 || test_count(&drains) == 0)
        sched_yield();
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (i = 0; i < SPAWNERS; i++)
        test_join(spawners[i]);
    for (i = 0; i < 2; i++)
        test_join(doers[i]);
    CHECK_OK(tls_key_release(key));
    CHECK_OK(tls_key_drain(key, -1, &left));
    CHECK_UINT(left, 0);
    CHECK_UINT(ended + taken, made);
    CHECK_UINT(keys_freed, keys_made);
}

static void
threads_end_while_anything_is_done_to_their_values(void)
{
    run_races(TLS_RECLAIM_OWNER);
    run_races(TLS_RECLAIM_ANY);
}

int
main(void)
{
    RUN(threads_end_while_anything_is_done_to_their_values);
    return test_finish();
}
