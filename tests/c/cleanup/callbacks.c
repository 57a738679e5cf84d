/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Destroy callbacks that use the library: every function, the own key too. */
#include "acting_key.h"

/* ---- Setting the own key again ---------------------------------------- */

/* On removal, what the callback sets is there afterwards. */
static void
a_value_set_while_its_predecessor_is_removed_stays(void)
{
    prepare(set_the_next_value_up_to_4);
    CHECK_OK(tls_set(own, VALUE(1)));
    CHECK_OK(tls_remove(own));
    CHECK_UINT(ended.count, 1);
    CHECK_PTR(tls_get(own), VALUE(2));
    act = NULL;
    CHECK_OK(tls_key_release(own));
    CHECK_UINT(ended.count, 2);
}

/* On replacement, the callback's value replaces the one that replaced. */
static void
a_value_set_while_its_predecessor_is_replaced_wins(void)
{
    prepare(set_the_next_value_up_to_4);
    CHECK_OK(tls_set(own, VALUE(1)));
    CHECK_OK(tls_set(own, VALUE(10)));
    /* 1 ends and sets 2, so 10 ends; 10 sets nothing. */
    CHECK_UINT(ended.count, 2);
    CHECK_PTR(ended.records[0].value, VALUE(1));
    CHECK_PTR(ended.records[1].value, VALUE(10));
    CHECK_PTR(tls_get(own), VALUE(2));
    act = NULL;
    CHECK_OK(tls_key_release(own));
    CHECK_UINT(ended.count, 3);
}

/* The key is dead when its value is destroyed for it: it takes no new one. */
static void
set_is_refused(void *value, int reason)
{
    (void)value;
    CHECK_INT(reason, TLS_REASON_KEY_DEAD);
    CHECK_CODE(tls_set(own, VALUE(2)), TLS_ERR_DEAD_KEY);
    CHECK_CODE(tls_key_retain(own), TLS_ERR_DEAD_KEY);
    CHECK_CODE(tls_key_release(own), TLS_ERR_DEAD_KEY);
    CHECK_PTR(tls_get(own), NULL);
}

static void
a_dying_key_takes_no_value(void)
{
    prepare(set_is_refused);
    CHECK_OK(tls_set(own, VALUE(1)));
    CHECK_OK(tls_key_release(own));
    CHECK_UINT(ended.count, 1);
    CHECK_UINT(ended.freed, 1);
}

/* ---- What a callback sees --------------------------------------------- */

static void
see_the_table_as_it_will_be(void *value, int reason)
{
    void *found = VALUE(99);

    if (reason == TLS_REASON_REPLACED) {
        CHECK_PTR(tls_get(own), VALUE((uintptr_t)value + 1));
        CHECK_OK(tls_try_get(own, &found));
        CHECK_PTR(found, VALUE((uintptr_t)value + 1));
    } else {
        CHECK_PTR(tls_get(own), NULL);
        CHECK_PTR(tls_get_existing(own), NULL);
        CHECK_CODE(tls_try_get(own, &found), TLS_ERR_ABSENT);
        CHECK_CODE(tls_take(own, &found), TLS_ERR_ABSENT);
        CHECK_OK(tls_remove(own));
    }
}

static void
a_callback_sees_the_table_without_its_value(void)
{
    prepare(see_the_table_as_it_will_be);
    CHECK_OK(tls_set(own, VALUE(1)));
    CHECK_OK(tls_set(own, VALUE(2)));
    CHECK_OK(tls_remove(own));
    CHECK_OK(tls_set(own, VALUE(3)));
    CHECK_OK(tls_remove_all());
    test_in_thread(set_own_in_thread, VALUE(4));
    test_in_thread(set_own_and_detach, VALUE(5));
    CHECK_UINT(ended.count, 5);
    CHECK_OK(tls_key_release(own));
}

/* ---- Every function, from inside -------------------------------------- */

static void
call_everything(void *value, int reason)
{
    tls_key_t made = test_key_logged(&ended_others);
    size_t before = ended_others.count;
    void *old = NULL;
    char name[8];
    int i;

    (void)value;
    CHECK_OK(tls_set(made, VALUE(1)));
    CHECK_OK(tls_set(made, VALUE(2)));
    CHECK_OK(tls_swap(made, VALUE(3), &old));
    CHECK_PTR(old, VALUE(2));
    CHECK_OK(tls_take(made, &old));
    CHECK_PTR(old, VALUE(3));
    CHECK_OK(tls_set(made, VALUE(4)));
    CHECK_OK(tls_remove(made));
    CHECK_OK(tls_set(made, VALUE(5)));
    CHECK_OK(tls_key_name(made, name, sizeof(name)));
    CHECK_OK(tls_key_retain(made));
    CHECK_OK(tls_key_release(made));
    CHECK_UINT(ended_others.count, before + 2);
    CHECK_OK(tls_key_release(made));
    CHECK_UINT(ended_others.count, before + 3);
    CHECK_CODE(tls_set(made, VALUE(6)), TLS_ERR_DEAD_KEY);

    tls_expunge();
    tls_expunge_some(4);
    CHECK_UINT(tls_stale_count(), 0);
    CHECK_OK(tls_thread_attach());
    CHECK_CODE(tls_thread_detach(), TLS_ERR_REENTRANT);
    CHECK_UINT(test_stats().size, sizeof(tls_stats_t));

    /* The table grows and shrinks under the one who called us. */
    for (i = 0; i < OTHERS; i++)
        CHECK_OK(tls_set(others[i], VALUE(i + 1)));
    for (i = 0; i < OTHERS; i++)
        CHECK_PTR(tls_get(others[i]), VALUE(i + 1));
    for (i = 0; i < OTHERS; i++)
        CHECK_OK(tls_remove(others[i]));
    if (reason != TLS_REASON_THREAD_EXIT && reason != TLS_REASON_DETACHED)
        CHECK_OK(tls_remove_all());
}

static void *
end_own_in_every_way(void *argument)
{
    (void)argument;
    CHECK_OK(tls_set(own, VALUE(1)));
    CHECK_OK(tls_set(own, VALUE(2)));
    CHECK_OK(tls_thread_detach());
    CHECK_OK(tls_set(own, VALUE(3)));
    CHECK_OK(tls_remove(own));
    CHECK_OK(tls_set(own, VALUE(4)));
    CHECK_OK(tls_remove_all());
    CHECK_OK(tls_set(own, VALUE(5)));
    return NULL;
}

static void
a_callback_may_call_every_function(void)
{
    size_t i;

    prepare(call_everything);
    make_others(OTHERS);
    test_in_thread(end_own_in_every_way, NULL);
    CHECK_OK(tls_set(own, VALUE(6)));
    CHECK_OK(tls_key_release(own));
    /* 1 is replaced by 2, which remove_all inside the callback then removes. */
    CHECK_UINT(ended.count, 6);
    for (i = 0; i < 6; i++)
        CHECK_PTR(ended.records[i].value, VALUE(i + 1));
    CHECK_INT(ended.records[0].reason, TLS_REASON_REPLACED);
    CHECK_INT(ended.records[1].reason, TLS_REASON_REMOVED);
    CHECK_INT(ended.records[2].reason, TLS_REASON_REMOVED);
    CHECK_INT(ended.records[3].reason, TLS_REASON_REMOVED);
    CHECK_INT(ended.records[4].reason, TLS_REASON_THREAD_EXIT);
    CHECK_INT(ended.records[5].reason, TLS_REASON_KEY_DEAD);
    CHECK_UINT(ended.freed, 1);
    release_others(OTHERS);
    CHECK_UINT(ended_others.freed, OTHERS + 6);
}

static void
remove_all_again(void *value, int reason)
{
    (void)value;
    (void)reason;
    CHECK_OK(tls_remove_all());
    tls_expunge();
}

/* A remove_all inside a remove_all: each value still ends once. */
static void
remove_all_may_nest(void)
{
    int i;

    prepare(remove_all_again);
    make_others(OTHERS);
    for (i = 0; i < OTHERS; i++) {
        if (i == OTHERS / 2)
            CHECK_OK(tls_set(own, VALUE(1000)));
        CHECK_OK(tls_set(others[i], VALUE(i + 1)));
    }
    CHECK_OK(tls_remove_all());
    CHECK_UINT(ended.count, 1);
    CHECK_UINT(ended_others.count, OTHERS);
    for (i = 0; i < OTHERS; i++)
        CHECK_PTR(ended_others.records[i].value, VALUE(OTHERS - i));
    CHECK_OK(tls_key_release(own));
    release_others(OTHERS);
    CHECK_UINT(ended_others.count, OTHERS);
}

static void
set_two_others(void *value, int reason)
{
    (void)value;
    (void)reason;
    CHECK_OK(tls_set(others[0], VALUE(100)));
    CHECK_OK(tls_set(others[1], VALUE(101)));
}

/* remove_all removes what is there when it is called; what callbacks set
 * meanwhile stays. */
static void
what_callbacks_set_during_remove_all_stays(void)
{
    prepare(set_two_others);
    make_others(3);
    CHECK_OK(tls_set(others[2], VALUE(3)));
    CHECK_OK(tls_set(own, VALUE(1)));
    CHECK_OK(tls_remove_all());
    CHECK_UINT(ended.count, 1);
    CHECK_UINT(ended_others.count, 1);
    CHECK_PTR(ended_others.records[0].value, VALUE(3));
    CHECK_PTR(tls_get(own), NULL);
    CHECK_PTR(tls_get(others[0]), VALUE(100));
    CHECK_PTR(tls_get(others[1]), VALUE(101));
    act = NULL;
    CHECK_OK(tls_key_release(own));
    release_others(3);
    CHECK_UINT(ended_others.count, 3);
}

/* ---- Keys that die meanwhile ------------------------------------------ */

static void
release_own_and_others(void *value, int reason)
{
    (void)value;
    if (reason == TLS_REASON_REPLACED) {
        CHECK_OK(tls_key_release(own));
        CHECK_OK(tls_key_release(others[0]));
        CHECK_PTR(tls_get(others[0]), NULL);
    }
}

/* The callback for the old value releases its own key: so the new value ends
 * too, before that release returns; user_free still comes last. */
static void
a_callback_may_release_its_own_key(void)
{
    prepare(release_own_and_others);
    make_others(1);
    CHECK_OK(tls_set(others[0], VALUE(50)));
    CHECK_OK(tls_set(own, VALUE(1)));
    tls_set(own, VALUE(2));
    CHECK_PTR(tls_get(own), NULL);
    CHECK_UINT(ended.count, 2);
    CHECK_RECORD(&ended, 0, VALUE(1), TLS_REASON_REPLACED, test_thread());
    CHECK_RECORD(&ended, 1, VALUE(2), TLS_REASON_KEY_DEAD, test_thread());
    CHECK_UINT(ended.freed, 1);
    CHECK_UINT(ended.count_at_free, 2);
    CHECK_UINT(ended_others.count, 1);
    CHECK_CODE(tls_set(own, VALUE(3)), TLS_ERR_DEAD_KEY);
}

static size_t frees_seen_inside;

static void
release_own_then_look(void *value, int reason)
{
    (void)value;
    CHECK_INT(reason, TLS_REASON_REMOVED);
    CHECK_OK(tls_key_release(own));
    frees_seen_inside = ended.freed;
}

/* The user pointer is in the callback's hands: it must outlive the call even
 * when that call itself released the last reference. */
static void
user_free_waits_for_the_running_callback(void)
{
    prepare(release_own_then_look);
    CHECK_OK(tls_set(own, VALUE(1)));
    CHECK_OK(tls_remove(own));
    CHECK_UINT(ended.count, 1);
    CHECK_UINT(frees_seen_inside, 0);
    CHECK_UINT(ended.freed, 1);
}

/* ---- user_free is a callback too -------------------------------------- */

static void
free_and_use_the_library(void *user)
{
    tls_key_t key = test_key();

    CHECK_CODE(tls_thread_detach(), TLS_ERR_REENTRANT);
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_PTR(tls_get(key), VALUE(1));
    CHECK_OK(tls_key_release(key));
    test_count_up((size_t *)user);
}

static void
user_free_may_use_the_library(void)
{
    static size_t freed;
    tls_key_options_t options = test_options();
    tls_key_t key;

    options.user = &freed;
    options.user_free = free_and_use_the_library;
    key = test_key_from(&options);
    CHECK_OK(tls_set(key, VALUE(1)));
    CHECK_OK(tls_key_release(key));
    CHECK_UINT(freed, 1);
}

int
main(void)
{
    RUN(a_value_set_while_its_predecessor_is_removed_stays);
    RUN(a_value_set_while_its_predecessor_is_replaced_wins);
    RUN(a_dying_key_takes_no_value);
    RUN(a_callback_sees_the_table_without_its_value);
    RUN(a_callback_may_call_every_function);
    RUN(remove_all_may_nest);
    RUN(what_callbacks_set_during_remove_all_stays);
    RUN(a_callback_may_release_its_own_key);
    RUN(user_free_waits_for_the_running_callback);
    RUN(user_free_may_use_the_library);
    return test_finish();
}
