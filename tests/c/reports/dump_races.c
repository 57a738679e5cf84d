/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Reports while other threads set, remove, release and end: the one who has the
 * sole value of a key is entered where all can see it just then, and still every
 * value is destroyed exactly once, and every user_free runs once.
 */
#include "worker.h"

enum { THREADS = 3, PLACES = 8 };

static size_t made;      /* values */
static size_t destroyed;
static size_t keys_made;
static size_t keys_freed;
static bool stop;

static void
count_destroy(void *value, int reason, void *user)
{
    size_t *alive = (size_t *)value;

    (void)reason;
    (void)user;
    CHECK_UINT(__atomic_exchange_n(alive, 0, __ATOMIC_SEQ_CST), 1);
    free(alive);
    test_count_up(&destroyed);
}

static void
count_free(void *user)
{
    CHECK_PTR(user, &keys_freed);
    test_count_up(&keys_freed);
}

static void *
new_value(void)
{
    size_t *value = (size_t *)malloc(sizeof(*value));

    CHECK(value != NULL);
    *value = 1;
    test_count_up(&made);
    return value;
}

static tls_key_t
new_key(size_t number)
{
    tls_key_options_t options = test_options();
    tls_key_t key;

    options.name = "raced";
    options.destroy = count_destroy;
    options.user = &keys_freed;
    options.user_free = count_free;
    options.reclaim = number % 4 == 0 ? TLS_RECLAIM_ANY : TLS_RECLAIM_OWNER;
    key = test_key_from(&options);
    test_count_up(&keys_made);
    return key;
}

/* Keys that all threads use. Each thread has a reference while it does. */
static tls_key_t shelf[PLACES];
static pthread_mutex_t shelf_lock = PTHREAD_MUTEX_INITIALIZER;

static tls_key_t
borrow(size_t place)
{
    tls_key_t key;

    pthread_mutex_lock(&shelf_lock);
    key = shelf[place];
    CHECK_OK(tls_key_retain(key));
    pthread_mutex_unlock(&shelf_lock);
    return key;
}

static void
replace(size_t place, size_t number)
{
    tls_key_t key = new_key(number);
    tls_key_t old;

    pthread_mutex_lock(&shelf_lock);
    old = shelf[place];
    shelf[place] = key;
    pthread_mutex_unlock(&shelf_lock);
    CHECK_OK(tls_key_release(old));
}

static void
store(tls_key_t key)
{
    void *value = new_value();

    CHECK_OK(tls_set(key, value));
}

static void *
use_keys(void *argument)
{
    size_t rounds = test_scaled(60000, 600);
    uint64_t random = (uint64_t)(uintptr_t)argument;
    size_t i;

    for (i = 0; i < rounds; i++) {
        size_t place = (size_t)(random >> 33) % PLACES;
        tls_key_t key = borrow(place);

        random = random * 6364136223846793005u + 1442695040888963407u;
        switch ((random >> 40) % 8) {
        case 0:
            CHECK_OK(tls_remove(key));
            break;
        case 1:
            replace(place, i);
            break;
        case 2:
            tls_expunge();
            break;
        case 3:
            if ((random >> 50) % 64 == 0)
                CHECK_OK(tls_thread_detach());
            break;
        default:
            store(key);
        }
        CHECK_OK(tls_key_release(key));
    }
    return NULL;
}

static int
ignore(const char *bytes, size_t length, void *argument)
{
    (void)bytes;
    *(size_t *)argument += length;
    return 0;
}

static void *
dump_all_the_time(void *argument)
{
    size_t length = 0;
    size_t *dumps = (size_t *)argument;

    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
        CHECK_OK(tls_dump(ignore, &length));
        ++*dumps;
    }
    CHECK_AT_LEAST(length, *dumps);
    return NULL;
}

static void
reports_while_keys_live_and_die_lose_nothing(void)
{
    pthread_t threads[THREADS];
    pthread_t reporter;
    size_t dumps = 0;
    size_t i;

    for (i = 0; i < PLACES; i++)
        shelf[i] = new_key(i);
    reporter = test_start(dump_all_the_time, &dumps);
    for (i = 0; i < THREADS; i++)
        threads[i] = test_start(use_keys, VALUE(i + 1));
    for (i = 0; i < THREADS; i++)
        test_join(threads[i]);
    __atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
    test_join(reporter);
    CHECK_AT_LEAST(dumps, 1);
    for (i = 0; i < PLACES; i++)
        CHECK_OK(tls_key_release(shelf[i]));
    CHECK_UINT(destroyed, made);
    CHECK_UINT(keys_freed, keys_made);
}

int
main(void)
{
    RUN(reports_while_keys_live_and_die_lose_nothing);
    return test_finish();
}
