/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Handles: live, dead, never given out, and references to keys. */
#include "worker.h"

static test_log_t ended;
static test_log_t ended_too;

static void
check_refused(tls_key_t key, int code)
{
    char name[4] = "###";
    void *value = VALUE(77);

    CHECK(!tls_key_is_live(key));
    CHECK_CODE(tls_key_retain(key), code);
    CHECK_CODE(tls_key_release(key), code);
    CHECK_CODE(tls_key_name(key, name, sizeof(name)), code);
    CHECK_STR(name, "###");
    CHECK_CODE(tls_try_get(key, &value), code);
    CHECK_CODE(tls_swap(key, VALUE(1), &value), code);
    CHECK_CODE(tls_take(key, &value), code);
    CHECK_PTR(value, VALUE(77));
    CHECK_CODE(tls_set(key, VALUE(1)), code);
    CHECK_CODE(tls_set(key, NULL), code);
    CHECK_CODE(tls_remove(key), code);
}

static void
check_refused_and_empty(tls_key_t key, int code)
{
    check_refused(key, code);
    CHECK_PTR(tls_get(key), NULL);
    CHECK_PTR((tls_get)(key), NULL);
    CHECK_PTR(tls_get_existing(key), NULL);
    CHECK_PTR((tls_get_existing)(key), NULL);
}

static uint64_t
next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

typedef struct handle_check {
    tls_key_t key;
    int code;
} handle_check_t;

static void *
check_refused_in_thread(void *argument)
{
    handle_check_t *check = (handle_check_t *)argument;

    check_refused_and_empty(check->key, check->code);
    return NULL;
}

static void
check_refused_everywhere(tls_key_t key, int code)
{
    handle_check_t check;

    check.key = key;
    check.code = code;
    check_refused_and_empty(key, code);
    test_in_thread(check_refused_in_thread, &check);
}

/* 0 and what nobody was ever given: refused, before and after first use. */
static void
what_was_never_a_key_is_refused(void)
{
    uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
    tls_key_t key;
    int i;

    check_refused_everywhere(TLS_KEY_NONE, TLS_ERR_BAD_KEY);
    check_refused_everywhere(UINT64_MAX, TLS_ERR_BAD_KEY);
    check_refused_everywhere(1, TLS_ERR_BAD_KEY);
    check_refused_everywhere(UINT64_C(1) << 63, TLS_ERR_BAD_KEY);

    key = test_key();
    CHECK_OK(tls_set(key, VALUE(5)));
    check_refused_everywhere(TLS_KEY_NONE, TLS_ERR_BAD_KEY);
    for (i = 0; i < 10000; i++) {
        uint64_t made_up = next_random(&state);

        if (made_up != key)
            check_refused_and_empty(made_up, TLS_ERR_BAD_KEY);
    }
    CHECK_PTR(tls_get(key), VALUE(5));
    CHECK_OK(tls_key_release(key));
}

/* One bit off is another handle: never this key, never its value. */
static void
a_handle_with_a_flipped_bit_is_refused(void)
{
    tls_key_t keys[40];
    int i;
    int bit;

    for (i = 0; i < 40; i++) {
        keys[i] = test_key();
        CHECK_OK(tls_set(keys[i], VALUE(i + 1)));
    }
    for (i = 0; i < 40; i++) {
        for (bit = 0; bit < 64; bit++) {
            tls_key_t flipped = keys[i] ^ (UINT64_C(1) << bit);
            void *value = VALUE(77);
            int other;
            int code;

            for (other = 0; other < 40 && keys[other] != flipped; other++)
                continue;
            code = tls_try_get(flipped, &value);
            if (other < 40) {
                CHECK_OK(code);
                CHECK_PTR(value, VALUE(other + 1));
            } else {
                CHECK(code == TLS_ERR_BAD_KEY || code == TLS_ERR_DEAD_KEY);
                CHECK_PTR(value, VALUE(77));
                CHECK_PTR(tls_get(flipped), NULL);
                CHECK(!tls_key_is_live(flipped));
            }
        }
    }
    for (i = 0; i < 40; i++)
        CHECK_OK(tls_key_release(keys[i]));
}

/* T44: a second release is an error, in any thread, however late. */
static void
a_dead_handle_is_refused_for_ever(void)
{
    tls_key_t dead;
    tls_key_t later[100];
    int i;

    test_log_clear(&ended);
    dead = test_key_logged(&ended);
    CHECK_OK(tls_set(dead, VALUE(1)));
    CHECK(tls_key_is_live(dead));
    CHECK_OK(tls_key_release(dead));
    CHECK_UINT(ended.count, 1);
    check_refused_everywhere(dead, TLS_ERR_DEAD_KEY);

    /* The slot is used again, by keys of later generations. */
    for (i = 0; i < 100; i++) {
        tls_key_t key = test_key();

        CHECK(key != dead);
        CHECK_OK(tls_key_release(key));
    }
    for (i = 0; i < 100; i++) {
        later[i] = test_key();
        CHECK(later[i] != dead);
        CHECK_OK(tls_set(later[i], VALUE(i + 2)));
    }
    check_refused_everywhere(dead, TLS_ERR_DEAD_KEY);
    for (i = 0; i < 100; i++) {
        CHECK_PTR(tls_get(later[i]), VALUE(i + 2));
        CHECK_OK(tls_key_release(later[i]));
    }
    check_refused_everywhere(dead, TLS_ERR_DEAD_KEY);
    CHECK_UINT(ended.count, 1);
    CHECK_UINT(ended.freed, 1);
}

/* The holder itself may still read the undestroyed value, by tls_get alone;
 * it can neither take it nor change it, and it ends once. */
static void
a_holder_of_a_dead_key_is_refused_too(void)
{
    worker_t worker;
    tls_key_t key;
    handle_check_t check;

    test_log_clear(&ended);
    key = test_key_logged(&ended);
    worker_start(&worker);
    CHECK_OK(worker_set(&worker, key, VALUE(1)));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 0);

    check.key = key;
    check.code = TLS_ERR_DEAD_KEY;
    CHECK_UINT(worker_stale_count(&worker), 1);
    CHECK_CODE(worker_try_get(&worker, key), TLS_ERR_DEAD_KEY);
    CHECK_CODE(worker_set(&worker, key, VALUE(2)), TLS_ERR_DEAD_KEY);
    CHECK_CODE(worker_remove(&worker, key), TLS_ERR_DEAD_KEY);
    {
        void *read = worker_get(&worker, key);

        CHECK(read == NULL || read == VALUE(1));
        CHECK((read == NULL) == (ended.count == 1));
    }
    worker_expunge(&worker);
    CHECK_PTR(worker_get(&worker, key), NULL);
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_KEY_DEAD, worker.number);
    worker_stop(&worker);
    test_in_thread(check_refused_in_thread, &check);
    CHECK_UINT(ended.count, 1);
    CHECK_UINT(ended.freed, 1);
}

typedef struct object {
    tls_key_t key;
} object_t;

/* T31, BO6: a new object at the address of a dead one, whose key has the slot
 * of the dead one's key, starts without a value in every thread. */
static void
a_new_object_at_an_old_address_starts_empty(void)
{
    object_t object;
    tls_key_t old;
    worker_t worker;
    int i;

    test_log_clear(&ended);
    worker_start(&worker);
    object.key = test_key_logged(&ended);
    for (i = 1; i <= 50; i++) {
        CHECK_PTR(tls_get(object.key), NULL);
        CHECK_PTR(worker_get(&worker, object.key), NULL);
        CHECK_OK(tls_set(object.key, VALUE(i)));
        CHECK_OK(worker_set(&worker, object.key, VALUE(1000 + i)));
        old = object.key;
        CHECK_OK(tls_key_release(old));
        object.key = test_key_logged(&ended);
        CHECK(object.key != old);
        CHECK_CODE(worker_try_get(&worker, old), TLS_ERR_DEAD_KEY);
    }
    CHECK_OK(tls_key_release(object.key));
    worker_stop(&worker);
    CHECK_UINT(ended.count, 2 * 50);
    CHECK_UINT(ended.freed, 51);
}

/* K02: the key dies and its slot is used again before the holder looks: the
 * new key is empty there, and its callback never sees the old value. */
static void
a_new_keys_callback_never_gets_an_old_keys_value(void)
{
    worker_t worker;
    tls_key_t old;
    tls_key_t young;

    test_log_clear(&ended);
    test_log_clear(&ended_too);
    worker_start(&worker);
    old = test_key_logged(&ended);
    CHECK_OK(worker_set(&worker, old, VALUE(1)));
    CHECK_OK(tls_key_release(old));
    young = test_key_logged(&ended_too);
    CHECK_PTR(worker_get(&worker, young), NULL);
    worker_stop(&worker);
    CHECK_UINT(ended.count, 1);
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_KEY_DEAD, worker.number);
    CHECK_UINT(ended_too.count, 0);
    CHECK_OK(tls_key_release(young));
    CHECK_UINT(ended_too.count, 0);
}

/* Each reference must be released; the last one kills the key. */
static void
references_keep_a_key_alive(void)
{
    tls_key_t key;
    int i;

    test_log_clear(&ended);
    key = test_key_logged(&ended);
    CHECK_OK(tls_set(key, VALUE(1)));
    for (i = 0; i < 1000; i++)
        CHECK_OK(tls_key_retain(key));
    for (i = 0; i < 1000; i++) {
        CHECK_OK(tls_key_release(key));
        CHECK(tls_key_is_live(key));
    }
    CHECK_PTR(tls_get(key), VALUE(1));
    CHECK_UINT(ended.count, 0);
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(ended.count, 1);
    CHECK_CODE(tls_key_retain(key), TLS_ERR_DEAD_KEY);
    CHECK(!tls_key_is_live(key));
}

/* An entry holds no reference: the key is weak. */
static void
a_value_does_not_keep_its_key_alive(void)
{
    worker_t worker;
    tls_key_t key = test_key();

    worker_start(&worker);
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(worker_set(&worker, key, VALUE(2)));
    CHECK_OK(tls_key_release(key));
    CHECK(!tls_key_is_live(key));
    CHECK_CODE(worker_try_get(&worker, key), TLS_ERR_DEAD_KEY);
    worker_stop(&worker);
}

/* F13, BO5: an object made, used and destroyed again and again in one thread:
 * each value ends with its object, not later. */
static void
each_life_of_an_object_ends_its_value(void)
{
    unsigned here = test_thread();
    size_t i;

    test_log_clear(&ended);
    for (i = 0; i < 100; i++) {
        tls_key_t key = test_key_logged(&ended);

        CHECK_OK(tls_set(key, VALUE(i + 1)));
        CHECK_OK(tls_key_release(key));
        CHECK_UINT(ended.count, i + 1);
        CHECK_UINT(ended.freed, i + 1);
        CHECK_RECORD(&ended, i, VALUE(i + 1), TLS_REASON_KEY_DEAD, here);
    }
}

/* What stands in a table for a value that was taken from afar: the key's home,
 * and a bit that no handle has. Nobody is ever given it as a handle. */
static void
check_mark_is_no_handle(tls_key_t mark)
{
    void *old = VALUE(99);

    CHECK_CODE(tls_set(mark, VALUE(1)), TLS_ERR_BAD_KEY);
    CHECK_CODE(tls_swap(mark, VALUE(1), &old), TLS_ERR_BAD_KEY);
    CHECK_CODE(tls_take(mark, &old), TLS_ERR_BAD_KEY);
    CHECK_CODE(tls_remove(mark), TLS_ERR_BAD_KEY);
    CHECK_CODE(tls_try_get(mark, &old), TLS_ERR_BAD_KEY);
    CHECK_PTR(old, VALUE(99));
    CHECK_PTR(tls_get(mark), NULL);
}

static void
the_mark_of_a_value_that_was_taken_is_no_handle(void)
{
    tls_key_options_t options = test_options();
    tls_map_t *map = NULL;
    tls_scope_t scope;
    tls_key_t key;
    tls_key_t mark;
    size_t purged = 0;

    options.reclaim = TLS_RECLAIM_ANY;
    key = test_key_from(&options);
    mark = (key & UINT64_C(0xffffffff0)) | 1;
    CHECK_OK(tls_map_create(&map));
    CHECK_OK(tls_map_switch(map, NULL));
    CHECK_OK(tls_set(key, VALUE(5)));
    CHECK_OK(tls_map_switch(NULL, NULL));
    CHECK_OK(tls_key_purge(key, &purged)); /* from outside */
    CHECK_UINT(purged, 1);
    CHECK_OK(tls_map_switch(map, NULL));
    CHECK_OK(tls_scope_begin(&scope, NULL));
    check_mark_is_no_handle(mark);
    CHECK_PTR(tls_get(key), NULL); /* nor does it store for the key */
    CHECK_OK(tls_scope_end(scope));
    CHECK_OK(tls_set(key, VALUE(6)));
    CHECK_OK(tls_map_switch(NULL, NULL));
    CHECK_OK(tls_key_release(key));
    CHECK_OK(tls_map_switch(map, NULL));
    check_mark_is_no_handle(mark);
    CHECK_OK(tls_map_switch(NULL, NULL));
    CHECK_OK(tls_map_destroy(map));
}

int
main(void)
{
    RUN(the_mark_of_a_value_that_was_taken_is_no_handle);
    RUN(what_was_never_a_key_is_refused);
    RUN(a_handle_with_a_flipped_bit_is_refused);
    RUN(a_dead_handle_is_refused_for_ever);
    RUN(a_holder_of_a_dead_key_is_refused_too);
    RUN(a_new_object_at_an_old_address_starts_empty);
    RUN(a_new_keys_callback_never_gets_an_old_keys_value);
    RUN(references_keep_a_key_alive);
    RUN(a_value_does_not_keep_its_key_alive);
    RUN(each_life_of_an_object_ends_its_value);
    return test_finish();
}
