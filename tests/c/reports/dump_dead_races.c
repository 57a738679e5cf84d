/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Reports and looks at holders, of dead keys too, while the slabs of records that they go
 * over come and go: threads set many values, drop them, let keys die, move between maps,
 * detach and attach.
 */
#include "worker.h"

#include <fcntl.h>
#include <unistd.h>

enum { OWNERS = 2, KEYS = 200 };

static test_log_t ended;
static size_t made;
static bool stop;
static int nowhere;

/* One that dies now and then, with values of all owners. */
static tls_key_t shared;
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;

static tls_key_t
new_key(size_t turn)
{
    tls_key_options_t options = test_options();

    options.destroy = test_log_destroy;
    options.user = &ended;
    options.name = "raced";
    options.flags = turn % 3 == 0 ? TLS_KEY_EXPLICIT : 0;
    options.reclaim = turn % 5 == 0 ? TLS_RECLAIM_ANY : TLS_RECLAIM_OWNER;
    return test_key_from(&options);
}

static tls_key_t
borrow_shared(void)
{
    tls_key_t key;

    pthread_mutex_lock(&shared_lock);
    key = shared;
    CHECK_OK(tls_key_retain(key));
    pthread_mutex_unlock(&shared_lock);
    return key;
}

static void
replace_shared(size_t turn)
{
    tls_key_t old;

    pthread_mutex_lock(&shared_lock);
    old = shared;
    shared = new_key(turn);
    pthread_mutex_unlock(&shared_lock);
    CHECK_OK(tls_key_release(old));
}

static void
store(tls_key_t key)
{
    CHECK_OK(tls_set(key, VALUE(1)));
    test_count_up(&made);
}

static void *
own_values(void *argument)
{
    size_t turns = test_scaled(400, 6);
    tls_key_t keys[KEYS];
    tls_map_t *map = NULL;
    tls_key_t key;
    size_t turn;
    size_t i;

    for (turn = 0; turn < turns; turn++) {
        size_t number = turn % 4 == 0 ? KEYS : KEYS / 10;

        CHECK_OK(tls_map_create(&map));
        if (turn % 2 == 0)
            CHECK_OK(tls_map_switch(map, NULL));
        key = borrow_shared();
        store(key);
        CHECK_OK(tls_key_release(key));
        for (i = 0; i < number; i++) {
            keys[i] = new_key(turn + i);
            store(keys[i]);
        }
        CHECK_OK(tls_map_switch(NULL, NULL));
        for (i = 0; i < number; i++)
            CHECK_OK(tls_key_release(keys[(i * 7) % number]));
        replace_shared(turn);
        tls_expunge();
        CHECK_OK(tls_map_destroy(map));
        if (turn % 3 == 0)
            CHECK_OK(tls_thread_detach());
    }
    return argument;
}

static int
count_values(uint64_t map, uint64_t thread, size_t values, void *argument)
{
    (void)map;
    (void)thread;
    CHECK_AT_LEAST(values, 1);
    *(size_t *)argument += values;
    return 0;
}

static int
drop(const char *bytes, size_t length, void *argument)
{
    (void)bytes;
    (void)length;
    (void)argument;
    return 0;
}

static void *
look_all_the_time(void *argument)
{
    size_t *looks = (size_t *)argument;
    tls_key_t key;
    size_t values;

    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
        values = 0;
        key = borrow_shared();
        CHECK_OK(tls_for_each_holder(key, count_values, &values));
        CHECK_OK(tls_key_release(key));
        CHECK_OK(tls_for_each_holder(key, count_values, &values));
        CHECK_OK(++*looks % 2 == 0 ? tls_dump(drop, NULL) : tls_dump_fd(nowhere));
    }
    return NULL;
}

static void
looks_while_records_come_and_go_lose_nothing(void)
{
    pthread_t owners[OWNERS];
    pthread_t looker;
    size_t looks = 0;
    size_t i;

    nowhere = open("/dev/null", O_WRONLY);
    CHECK(nowhere >= 0);
    shared = new_key(1);
    looker = test_start(look_all_the_time, &looks);
    for (i = 0; i < OWNERS; i++)
        owners[i] = test_start(own_values, NULL);
    for (i = 0; i < OWNERS; i++)
        test_join(owners[i]);
    __atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
    test_join(looker);
    CHECK_AT_LEAST(looks, 1);
    CHECK_OK(tls_key_release(shared));
    CHECK_UINT(ended.count, made);
    close(nowhere);
}

int
main(void)
{
    RUN(looks_while_records_come_and_go_lose_nothing);
    return test_finish();
}
