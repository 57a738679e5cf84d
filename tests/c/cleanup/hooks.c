/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tls_thread_hook(): hooks before and after a thread's values, wakers, and hooks that
 * belong to a key: none of them is called when the key has died, and who drains the key
 * waits for those that run.
 */
#include "forking.h"
#include "lives.h"
#include "worker.h"

#define MOST 64

/* What was called, in order: a letter each. */
static char called[MOST + 1];

static void
note(char letter)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    size_t length;

    pthread_mutex_lock(&lock);
    length = strlen(called);
    CHECK_AT_MOST(length, MOST - 1);
    called[length] = letter;
    pthread_mutex_unlock(&lock);
}

static void
note_letter(void *argument)
{
    note(*(const char *)argument);
}

static void
note_value(void *value, int reason, void *user)
{
    (void)reason;
    (void)user;
    note_letter(value);
}

static int
hook(uint32_t when, void (*function)(void *), const void *argument, tls_key_t owner)
{
    return test_hook(when, function, (void *)(uintptr_t)argument, owner);
}

static void
the_called_are(const char *expected)
{
    CHECK_STR(called, expected);
    memset(called, 0, sizeof(called));
}

/* ---- When --------------------------------------------------------------------------- */

static tls_key_t key;
static tls_key_t owner;

static void
register_some(void)
{
    CHECK_OK(hook(TLS_HOOK_AFTER_VALUES, note_letter, "y", TLS_KEY_NONE));
    CHECK_OK(hook(TLS_HOOK_BEFORE_VALUES, note_letter, "b", TLS_KEY_NONE));
    CHECK_OK(tls_set(key, (void *)(uintptr_t)"v"));
    CHECK_OK(tls_at_thread_exit(note_letter, (void *)(uintptr_t)"a"));
    CHECK_OK(hook(TLS_HOOK_AFTER_VALUES, note_letter, "x", owner));
}

static void *
end_with_hooks(void *argument)
{
    register_some();
    return argument;
}

static void
a_key_of_letters(void)
{
    tls_key_options_t options = test_options();

    options.destroy = note_value;
    key = test_key_from(&options);
    owner = test_key();
}

static void
hooks_run_before_and_after_the_values(void)
{
    a_key_of_letters();
    test_in_thread(end_with_hooks, NULL);
    the_called_are("abvxy");
    register_some();
    CHECK_OK(tls_thread_detach());
    the_called_are("abvxy");
    CHECK_OK(tls_thread_detach());
    the_called_are("");
    CHECK_OK(tls_key_release(key));
    CHECK_OK(tls_key_release(owner));
}

static void
what_is_wrong_is_refused(void)
{
    tls_hook_options_t options;
    tls_key_t dead = test_key();

    CHECK_OK(tls_key_release(dead));
    CHECK_CODE(tls_thread_hook(NULL), TLS_ERR_INVALID);
    CHECK_CODE(hook(TLS_HOOK_BEFORE_VALUES, NULL, NULL, TLS_KEY_NONE), TLS_ERR_INVALID);
    CHECK_CODE(hook(TLS_HOOK_ON_STALE, NULL, NULL, TLS_KEY_NONE), TLS_ERR_INVALID);
    CHECK_CODE(hook(3, note_letter, "!", TLS_KEY_NONE), TLS_ERR_INVALID);
    CHECK_CODE(hook(TLS_HOOK_AFTER_VALUES, note_letter, "!", dead), TLS_ERR_DEAD_KEY);
    CHECK_CODE(hook(TLS_HOOK_ON_STALE, note_letter, "!", dead), TLS_ERR_DEAD_KEY);
    CHECK_CODE(hook(TLS_HOOK_ON_STALE, note_letter, "!", 77), TLS_ERR_BAD_KEY);
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.fn = note_letter;
    options.flags = 1;
    CHECK_CODE(tls_thread_hook(&options), TLS_ERR_INVALID);
    options.flags = 0;
    options.size = sizeof(options) - 1;
    CHECK_CODE(tls_thread_hook(&options), TLS_ERR_INVALID);
    CHECK_UINT(test_stats().maps, 0); /* a call that fails attaches nobody */
    CHECK_OK(tls_thread_detach());
    the_called_are("");
}

/* ---- Hooks that do more ------------------------------------------------------------- */

static size_t left_to_set;

static void
set_once_more(void *argument)
{
    int code = tls_set(key, (void *)(uintptr_t)"v");

    note_letter(argument);
    if (code != TLS_OK) {
        CHECK_CODE(code, TLS_ERR_EXITING);
        note('!');
        return;
    }
    if (left_to_set-- > 1)
        CHECK_OK(hook(TLS_HOOK_AFTER_VALUES, set_once_more, argument, TLS_KEY_NONE));
}

static void *
set_in_hooks(void *argument)
{
    CHECK_OK(tls_set(key, (void *)(uintptr_t)"u"));
    CHECK_OK(hook(TLS_HOOK_AFTER_VALUES, set_once_more, "x", TLS_KEY_NONE));
    return argument;
}

static void
what_a_later_hook_sets_ends_in_a_round_of_its_own(void)
{
    a_key_of_letters();
    left_to_set = 1;
    test_in_thread(set_in_hooks, NULL);
    the_called_are("uxv");
    left_to_set = 3;
    test_in_thread(set_in_hooks, NULL);
    the_called_are("uxvxvxv");
    CHECK_UINT(test_stats().leaked, 0);
    /* After the fourth round its value is given up, and what still comes is called, and can
     * store nothing. */
    left_to_set = 5;
    test_in_thread(set_in_hooks, NULL);
    the_called_are("uxvxvxvxx!");
    CHECK_UINT(test_stats().leaked, 1);
    CHECK_OK(tls_key_release(key));
    CHECK_OK(tls_key_release(owner));
}

static size_t registered;

/* As long as it can be: a value and a hook more in each round. */
static void
destroy_and_register(void *value, int reason, void *user)
{
    (void)reason;
    (void)user;
    note('v');
    if (tls_set(key, value) == TLS_OK && tls_at_thread_exit(note_letter, (void *)(uintptr_t)"b") == TLS_OK)
        registered++;
}

static void *
set_a_value(void *argument)
{
    CHECK_OK(tls_set(key, VALUE(1)));
    return argument;
}

static void
every_hook_that_was_registered_is_called(void)
{
    tls_key_options_t options = test_options();

    options.destroy = destroy_and_register;
    key = test_key_from(&options);
    test_in_thread(set_a_value, NULL);
    CHECK_UINT(registered, 4);
    the_called_are("vbvbvbvb");
    CHECK_UINT(test_stats().leaked, 1);
    CHECK_OK(tls_key_release(key));
}

static void
leave_in_hook(void *argument)
{
    note_letter(argument);
    pthread_exit(NULL);
}

static void *
leave_in_every_hook(void *argument)
{
    CHECK_OK(tls_set(key, (void *)(uintptr_t)"v"));
    CHECK_OK(hook(TLS_HOOK_BEFORE_VALUES, leave_in_hook, "b", TLS_KEY_NONE));
    CHECK_OK(hook(TLS_HOOK_BEFORE_VALUES, leave_in_hook, "a", owner));
    CHECK_OK(hook(TLS_HOOK_AFTER_VALUES, leave_in_hook, "y", owner));
    CHECK_OK(hook(TLS_HOOK_AFTER_VALUES, leave_in_hook, "x", TLS_KEY_NONE));
    return argument;
}

static void
a_hook_may_end_the_thread(void)
{
    a_key_of_letters();
    test_in_thread(leave_in_every_hook, NULL);
    the_called_are("abvxy");
    CHECK_OK(tls_key_release(key));
    CHECK_OK(tls_key_release(owner));
    life_key_is_drained(owner);
}

static void
release_the_owner(void *argument)
{
    note_letter(argument);
    CHECK_OK(tls_key_release(owner));
}

static void *
release_the_owner_in_its_hook(void *argument)
{
    CHECK_OK(hook(TLS_HOOK_BEFORE_VALUES, note_letter, "!", owner));
    CHECK_OK(hook(TLS_HOOK_AFTER_VALUES, note_letter, "!", owner));
    CHECK_OK(hook(TLS_HOOK_BEFORE_VALUES, release_the_owner, "a", owner));
    return argument;
}

static void
note_freed(void *user)
{
    note_letter(user);
}

static tls_key_t
key_with_user_free(const char *letter)
{
    tls_key_options_t options = test_options();

    options.user = (void *)(uintptr_t)letter;
    options.user_free = note_freed;
    return test_key_from(&options);
}

static void
a_hook_may_release_its_owner(void)
{
    owner = key_with_user_free("f");
    test_in_thread(release_the_owner_in_its_hook, NULL);
    the_called_are("af");
    life_key_is_drained(owner);
}

/* ---- Owners ------------------------------------------------------------------------- */

static void
hooks_of_a_dead_owner_are_not_called(void)
{
    a_key_of_letters();
    register_some();
    CHECK_OK(tls_key_release(owner));
    CHECK_OK(tls_key_drain(owner, 0, NULL));
    CHECK_OK(tls_thread_detach());
    the_called_are("abvy");
    CHECK_OK(tls_key_release(key));
}

/* A thread of a pool, on which plug-ins come and go. */
static void
hooks_of_dead_owners_take_no_memory(void)
{
    size_t before = 0;
    uint32_t when;
    size_t i;

    for (i = 0; i < 5000; i++) {
        owner = test_key();
        for (when = TLS_HOOK_BEFORE_VALUES; when <= TLS_HOOK_ON_STALE; when++)
            CHECK_OK(hook(when, note_letter, "!", owner));
        CHECK_OK(tls_key_release(owner));
        if (i == 100)
            before = test_stats().bytes;
    }
    CHECK_AT_MOST(test_stats().bytes, before + 4096);
    CHECK_OK(tls_thread_detach());
    the_called_are("");
}

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool in_hook, may_go;
} gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false };

static void
wait_in_hook(void *argument)
{
    note_letter(argument);
    pthread_mutex_lock(&gate.lock);
    gate.in_hook = true;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.may_go)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    note('.');
}

static void *
end_with_a_hook_that_waits(void *argument)
{
    CHECK_OK(hook(*(uint32_t *)argument, wait_in_hook, "a", owner));
    return NULL;
}

static void
the_hook_runs(void)
{
    pthread_mutex_lock(&gate.lock);
    while (!gate.in_hook)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static void
let_it_go(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.may_go = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static uint32_t when_it_waits;

static void
who_drains_the_owner_waits_for_a_hook(void)
{
    pthread_t thread;
    size_t left = 0;

    owner = key_with_user_free("f");
    thread = test_start(end_with_a_hook_that_waits, &when_it_waits);
    the_hook_runs();
    CHECK_CODE(tls_key_drain(owner, 0, &left), TLS_ERR_TIMEOUT);
    CHECK_UINT(left, 1);
    CHECK_OK(tls_key_release(owner));
    CHECK_CODE(tls_key_drain(owner, 20, &left), TLS_ERR_TIMEOUT);
    CHECK_UINT(left, 1);
    let_it_go();
    CHECK_OK(tls_key_drain(owner, -1, NULL));
    the_called_are("a.f");
    test_join(thread);
}

static void
fork_in_hook(void *argument)
{
    pid_t child;

    note_letter(argument);
    child = fork_checked();
    if (child == 0) {
        CHECK_OK(tls_key_release(owner));
        note('r');
        return;
    }
    wait_for_child(child);
}

static void *
end_with_a_hook_that_forks(void *argument)
{
    pid_t parent = getpid();

    CHECK_OK(hook(TLS_HOOK_BEFORE_VALUES, note_letter, "b", owner));
    CHECK_OK(hook(TLS_HOOK_BEFORE_VALUES, fork_in_hook, "a", owner));
    CHECK_OK(tls_thread_detach());
    if (getpid() != parent) {
        life_key_is_drained(owner);
        the_called_are("arf");
        _exit(0);
    }
    return argument;
}

static void
the_child_of_a_fork_in_a_hook_drains_the_owner(void)
{
    owner = key_with_user_free("f");
    test_in_thread(end_with_a_hook_that_forks, NULL);
    the_called_are("ab");
    CHECK_OK(tls_key_release(owner));
    the_called_are("f");
}

/* ---- Wakers ------------------------------------------------------------------------- */

static worker_t sleeper;

static void
job_register_wakers(void *argument)
{
    (void)argument;
    CHECK_OK(hook(TLS_HOOK_ON_STALE, note_letter, "a", TLS_KEY_NONE));
    CHECK_OK(hook(TLS_HOOK_ON_STALE, note_letter, "b", owner));
    CHECK_OK(tls_thread_on_stale(note_letter, (void *)(uintptr_t)"!"));
    CHECK_OK(tls_thread_on_stale(note_letter, (void *)(uintptr_t)"c"));
    CHECK_OK(hook(TLS_HOOK_ON_STALE, note_letter, "d", TLS_KEY_NONE));
}

static void
job_set(void *argument)
{
    (void)argument;
    CHECK_OK(life_set(key));
}

static void
job_set_two(void *argument)
{
    tls_key_t *keys = (tls_key_t *)argument;

    CHECK_OK(life_set(keys[0]));
    CHECK_OK(life_set(keys[1]));
}

static void
job_expunge(void *argument)
{
    (void)argument;
    CHECK_UINT(tls_expunge(), 1);
}

static void
job_short_form_off(void *argument)
{
    (void)argument;
    CHECK_OK(tls_thread_on_stale(NULL, NULL));
}

static void
release_and_have_it_expunge(const char *expected)
{
    key = life_key(TLS_RECLAIM_OWNER, 0, NULL);
    worker_do(&sleeper, job_set, NULL);
    CHECK_OK(tls_key_release(key));
    the_called_are(expected);
    worker_do(&sleeper, job_expunge, NULL);
}

/* The inbox is not empty when the second one comes. */
static void
release_two(const char *expected)
{
    tls_key_t keys[2];

    keys[0] = life_key(TLS_RECLAIM_OWNER, 0, NULL);
    keys[1] = life_key(TLS_RECLAIM_OWNER, 0, NULL);
    worker_do(&sleeper, job_set_two, keys);
    CHECK_OK(tls_key_release(keys[0]));
    CHECK_OK(tls_key_release(keys[1]));
    the_called_are(expected);
}

static void
have_all_wakers_called(void)
{
    owner = test_key();
    worker_start(&sleeper);
    worker_do(&sleeper, job_register_wakers, NULL);
    release_and_have_it_expunge("abcd");
    worker_do(&sleeper, job_short_form_off, NULL);
    release_and_have_it_expunge("abd");
    CHECK_OK(tls_key_release(owner));
    release_and_have_it_expunge("ad");
    CHECK_OK(tls_key_drain(owner, 0, NULL));
    release_two("ad");
    worker_stop(&sleeper);
    lives_check();
}

static void
all_wakers_of_a_thread_are_called(void)
{
    uint64_t bytes;

    have_all_wakers_called();
    CHECK_OK(tls_thread_detach());
    bytes = test_stats().bytes;
    have_all_wakers_called();
    CHECK_OK(tls_thread_detach());
    CHECK_UINT(test_stats().bytes, bytes);
}

static void
job_register_late(void *argument)
{
    (void)argument;
    CHECK_UINT(tls_stale_count(), 1);
    CHECK_OK(hook(TLS_HOOK_ON_STALE, note_letter, "a", owner));
    the_called_are("a");
    CHECK_OK(tls_thread_on_stale(note_letter, (void *)(uintptr_t)"b"));
    the_called_are("b");
    CHECK_UINT(tls_expunge(), 1);
    CHECK_OK(hook(TLS_HOOK_ON_STALE, note_letter, "!", owner));
    the_called_are("");
}

static void
a_waker_that_comes_late_is_told_at_once(void)
{
    owner = test_key();
    key = life_key(TLS_RECLAIM_OWNER, 0, NULL);
    worker_start(&sleeper);
    worker_do(&sleeper, job_set, NULL);
    CHECK_OK(tls_key_release(key));
    worker_do(&sleeper, job_register_late, NULL);
    worker_stop(&sleeper);
    CHECK_OK(tls_key_release(owner));
    lives_check();
}

static void
job_register_one_that_waits(void *argument)
{
    (void)argument;
    CHECK_OK(hook(TLS_HOOK_ON_STALE, wait_in_hook, "a", owner));
}

static void *
release_the_key(void *argument)
{
    CHECK_OK(tls_key_release(key));
    return argument;
}

static void
who_drains_the_owner_waits_for_a_waker(void)
{
    pthread_t releaser;
    size_t left = 0;

    owner = key_with_user_free("f");
    key = life_key(TLS_RECLAIM_OWNER, 0, NULL);
    worker_start(&sleeper);
    worker_do(&sleeper, job_register_one_that_waits, NULL);
    worker_do(&sleeper, job_set, NULL);
    releaser = test_start(release_the_key, NULL);
    the_hook_runs();
    CHECK_OK(tls_key_release(owner));
    /* The thread that it wakes may go. */
    worker_stop(&sleeper);
    CHECK_CODE(tls_key_drain(owner, 20, &left), TLS_ERR_TIMEOUT);
    CHECK_UINT(left, 1);
    let_it_go();
    CHECK_OK(tls_key_drain(owner, -1, NULL));
    test_join(releaser);
    the_called_are("a.f");
    lives_check();
}

static void
job_register_leavers(void *argument)
{
    (void)argument;
    CHECK_OK(hook(TLS_HOOK_ON_STALE, leave_in_hook, "a", owner));
    CHECK_OK(hook(TLS_HOOK_ON_STALE, leave_in_hook, "b", TLS_KEY_NONE));
    CHECK_OK(hook(TLS_HOOK_ON_STALE, note_letter, "c", owner));
}

/* The one who releases ends in each waker, and has a value of its own. */
static void *
release_and_leave(void *argument)
{
    CHECK_OK(life_set(key));
    CHECK_OK(tls_key_release(key));
    return argument;
}

static void
a_waker_may_end_the_releasing_thread(void)
{
    owner = test_key();
    key = life_key(TLS_RECLAIM_OWNER, 0, NULL);
    worker_start(&sleeper);
    worker_do(&sleeper, job_register_leavers, NULL);
    worker_do(&sleeper, job_set, NULL);
    test_in_thread(release_and_leave, NULL);
    the_called_are("abc");
    worker_do(&sleeper, job_expunge, NULL);
    life_key_is_drained(key);
    CHECK_OK(tls_key_release(owner));
    life_key_is_drained(owner);
    worker_stop(&sleeper);
    lives_check();
}

static tls_key_t second;

static void
release_another(void *argument)
{
    note_letter(argument);
    if (second != TLS_KEY_NONE) {
        tls_key_t released = second;

        second = TLS_KEY_NONE;
        CHECK_OK(tls_key_release(released));
        CHECK_OK(tls_key_release(owner));
    }
}

static void
job_register_a_releaser(void *argument)
{
    (void)argument;
    CHECK_OK(hook(TLS_HOOK_ON_STALE, release_another, "a", owner));
    CHECK_OK(hook(TLS_HOOK_ON_STALE, note_letter, "!", owner));
    CHECK_OK(hook(TLS_HOOK_ON_STALE, note_letter, "b", TLS_KEY_NONE));
}

static void
a_waker_may_release_keys_and_its_owner(void)
{
    tls_key_t keys[2];

    owner = test_key();
    keys[0] = life_key(TLS_RECLAIM_OWNER, 0, NULL);
    keys[1] = life_key(TLS_RECLAIM_OWNER, 0, NULL);
    worker_start(&sleeper);
    worker_do(&sleeper, job_register_a_releaser, NULL);
    worker_do(&sleeper, job_set_two, keys);
    second = keys[1];
    CHECK_OK(tls_key_release(keys[0]));
    the_called_are("ab");
    life_key_is_drained(owner);
    worker_stop(&sleeper);
    lives_check();
}

int
main(void)
{
    static const char *const times[] = { "(before)", "(after)" };

    RUN_APART(hooks_run_before_and_after_the_values);
    RUN_APART(what_is_wrong_is_refused);
    RUN_APART(what_a_later_hook_sets_ends_in_a_round_of_its_own);
    RUN_APART(every_hook_that_was_registered_is_called);
    RUN_APART(a_hook_may_end_the_thread);
    RUN_APART(a_hook_may_release_its_owner);
    RUN_APART(hooks_of_a_dead_owner_are_not_called);
    RUN_APART(hooks_of_dead_owners_take_no_memory);
    for (when_it_waits = 0; when_it_waits < 2; when_it_waits++)
        RUN_APART_AS(who_drains_the_owner_waits_for_a_hook, times[when_it_waits]);
    if (!forks_are_left_out())
        RUN_APART(the_child_of_a_fork_in_a_hook_drains_the_owner);
    RUN_APART(all_wakers_of_a_thread_are_called);
    RUN_APART(a_waker_that_comes_late_is_told_at_once);
    RUN_APART(who_drains_the_owner_waits_for_a_waker);
    RUN_APART(a_waker_may_end_the_releasing_thread);
    RUN_APART(a_waker_may_release_keys_and_its_owner);
    return apart_finish();
}
