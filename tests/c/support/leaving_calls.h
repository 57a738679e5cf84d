/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Calls whose callback ends the calling thread: pthread_exit, or a cancellation
 * point with a cancellation pending. Each is made on a thread of its own, which
 * is `leaver`; on other threads the same callbacks return.
 */
#ifndef LEAVING_CALLS_H
#define LEAVING_CALLS_H

#include "later.h"
#include "worker.h"

typedef struct kind {
    const char *name;
    uint32_t reclaim;
    uint32_t flags;
} kind_t;

static const kind_t kinds[] = {
    {"owner", TLS_RECLAIM_OWNER, 0},
    {"any", TLS_RECLAIM_ANY, 0},
    {"enumerable", TLS_RECLAIM_OWNER, TLS_KEY_ENUMERABLE},
    {"any enumerable", TLS_RECLAIM_ANY, TLS_KEY_ENUMERABLE},
    {"worker", TLS_RECLAIM_OWNER, TLS_KEY_WORKER},
    {"inherit", TLS_RECLAIM_OWNER, TLS_KEY_INHERIT},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What varies; the test sets it first. */
static bool by_cancellation;
static const kind_t *kind;

static __thread bool has_left;
static tls_key_t own, own_init, own_init_outer, own_copy;
static worker_t other; /* a thread that has values, too */

/* Ends the calling thread from inside a callback, once. */
static void
leave(void)
{
    if (has_left)
        return;
    has_left = true;
    if (by_cancellation) {
        CHECK_INT(pthread_cancel(pthread_self()), 0);
        pthread_testcancel();
    }
    pthread_exit(PTHREAD_CANCELED);
}

/* ---- Callbacks that leave ----------------------------------------------- */

static pthread_t leaver;

static void
leave_if_asked(void)
{
    if (pthread_equal(pthread_self(), leaver))
        leave();
}

static void
destroy_and_leave(void *value, int reason, void *user)
{
    life_destroy(value, reason, user);
    leave_if_asked();
}

static int
init_and_leave(void **value, void *user)
{
    CHECK_OK(life_set(later_keys[0]));
    leave_if_asked();
    return life_init(value, user);
}

static int
init_that_gets(void **value, void *user)
{
    tls_get(own_init);
    return life_init(value, user);
}

static int
copy_and_leave(void *value, void **copy, void *user)
{
    CHECK_OK(life_set(later_keys[5]));
    leave_if_asked();
    return life_copy(value, copy, user);
}

static void
free_and_leave(void *user)
{
    (void)user;
    leave_if_asked();
}

static void
leave_with(void *argument)
{
    (void)argument;
    leave_if_asked();
}

static int
visit_and_leave(void *value, uint64_t thread, void *argument)
{
    (void)value;
    (void)thread;
    (void)argument;
    leave_if_asked();
    return 0;
}

static int
take_and_leave(void *value, uint64_t thread, void *argument)
{
    later_take(value, thread, argument);
    leave_if_asked();
    return 0;
}

static void
look_and_leave(tls_key_t key, void *value, void *argument)
{
    later_look(key, value, argument);
    leave_if_asked();
}

static int
write_and_leave(const char *bytes, size_t length, void *argument)
{
    leave_if_asked();
    return later_write(bytes, length, argument);
}

/* ---- The calls ------------------------------------------------------------ */

static void
replace(void)
{
    CHECK_OK(life_set(own));
    tls_set(own, life());
}

static void
remove_one(void)
{
    CHECK_OK(life_set(own));
    tls_remove(own);
}

static void
remove_all(void)
{
    CHECK_OK(life_set(own));
    CHECK_OK(life_set(later_keys[0]));
    tls_remove_all();
}

static void
detach(void)
{
    CHECK_OK(life_set(own));
    tls_thread_detach();
}

/* The main thread's reference is given back here. */
static void
release(void)
{
    CHECK_OK(life_set(own));
    tls_key_release(own);
}

static void
job_release_own(void *argument)
{
    (void)argument;
    CHECK_OK(tls_key_release(own));
}

static void
expunge(void)
{
    CHECK_OK(life_set(own));
    worker_do(&other, job_release_own, NULL);
    tls_expunge();
}

/* The value is stale, and a get that misses may find it. */
static void
get_another(void)
{
    CHECK_OK(tls_remove(later_keys[6]));
    CHECK_OK(life_set(own));
    worker_do(&other, job_release_own, NULL);
    tls_get(later_keys[6]);
    tls_expunge();
}

static void
end_scope(void)
{
    tls_scope_t outer, inner;

    CHECK_OK(tls_scope_begin(&outer, NULL));
    CHECK_OK(life_set(later_keys[2]));
    CHECK_OK(tls_scope_begin(&inner, NULL));
    CHECK_OK(life_set(own));
    CHECK_OK(life_set(later_keys[0]));
    tls_scope_end(inner);
    tls_remove(own);
}

/* The thread leaves the map to others, and the main thread destroys it. */
static void
destroy_map(void)
{
    tls_map_t *map, *previous;

    CHECK_OK(tls_map_create(&map));
    CHECK_OK(tls_map_switch(map, &previous));
    CHECK_OK(life_set(own));
    CHECK_OK(life_set(later_keys[0]));
    CHECK_OK(tls_map_switch(previous, NULL));
    later_leave_map(map);
    tls_map_destroy(map);
}

static void
purge(void)
{
    CHECK_OK(life_set(own));
    if (tls_key_purge(own, NULL) == TLS_ERR_INVALID)
        tls_remove(own);
}

/* A context has a copy of a value of an INHERIT key, and is freed. */
static void
free_context(void)
{
    tls_context_t *context;

    CHECK_OK(life_set(own));
    CHECK_OK(tls_context_capture(&context));
    tls_context_free(context);
    tls_remove(own);
}

static void
get(void)
{
    tls_get(own_init);
}

static void
get_nested(void)
{
    tls_get(own_init_outer);
}

static void
get_inside_a_scope(void)
{
    tls_scope_t scope;

    CHECK_OK(tls_scope_begin(&scope, NULL));
    later_set_keys();
    tls_get(own_init_outer);
}

static void
capture(void)
{
    tls_context_t *context;

    CHECK_OK(life_set(own_copy));
    tls_context_capture(&context);
}

static void
create_task(void)
{
    tls_task_t *task;

    CHECK_OK(life_set(own_copy));
    tls_task_create(&task, leave_with, NULL);
}

static tls_context_t *waiting_context;

static void
job_capture(void *argument)
{
    (void)argument;
    CHECK_OK(life_set(own_copy));
    CHECK_OK(tls_context_capture(&waiting_context));
}

static void
begin_scope(void)
{
    tls_scope_t scope;

    worker_do(&other, job_capture, NULL);
    tls_scope_begin(&scope, waiting_context);
}

static void
run_task(void)
{
    tls_task_t *task;

    CHECK_OK(tls_task_create(&task, leave_with, NULL));
    tls_task_run(task);
}

static void
free_user(void)
{
    tls_key_options_t options = test_options();
    tls_key_t key;

    options.destroy = life_destroy;
    options.user_free = free_and_leave;
    options.user = &options;
    key = test_key_from(&options);
    CHECK_OK(life_set(key));
    tls_key_release(key);
}

static void
run_hooks(void)
{
    CHECK_OK(tls_at_thread_exit(later_hook, NULL));
    CHECK_OK(tls_at_thread_exit(leave_with, NULL));
    tls_thread_detach();
}

static void
visit(void)
{
    CHECK_OK(life_set(later_keys[2]));
    tls_for_each(later_keys[2], visit_and_leave, NULL);
}

static void
scrape(void)
{
    CHECK_OK(life_set(later_keys[3]));
    tls_scrape(later_keys[3], take_and_leave, NULL);
}

static void
look_at_own(void)
{
    tls_for_each_local(look_and_leave, NULL);
}

static void
dump(void)
{
    tls_dump(write_and_leave, NULL);
}

static void
job_be_woken(void *argument)
{
    CHECK_OK(tls_thread_on_stale(leave_with, NULL));
    CHECK_OK(life_set(*(tls_key_t *)argument));
}

static void
wake_other(void)
{
    tls_key_t key = life_key(TLS_RECLAIM_OWNER, 0, NULL);

    worker_do(&other, job_be_woken, &key);
    tls_key_release(key);
}

/* init captures, and the copy callback ends the thread, all in a scope. */
static int
init_that_captures(void **value, void *user)
{
    tls_context_t *context;

    if (tls_context_capture(&context) == TLS_OK)
        tls_context_free(context);
    return life_init(value, user);
}

static tls_key_t own_init_captures;

static void
destroy_that_gets(void *value, int reason, void *user)
{
    life_destroy(value, reason, user);
    tls_get(own_init_captures);
}

static tls_key_t own_destroy_gets;

/* A scope's end calls destroy, which gets, whose init captures, whose copy
 * callback ends the thread. */
static void
nest(void)
{
    tls_scope_t scope;

    CHECK_OK(life_set(own_copy));
    CHECK_OK(tls_scope_begin(&scope, NULL));
    CHECK_OK(life_set(later_keys[0]));
    CHECK_OK(life_set(own_destroy_gets));
    tls_scope_end(scope);
}

typedef struct call {
    const char *name;
    void (*make)(void);
} call_t;

static const call_t destroying[] = {
    {"replace", replace},         {"remove", remove_one},
    {"remove all", remove_all},   {"detach", detach},
    {"release", release},          {"expunge", expunge},
    {"get another", get_another},  {"end a scope", end_scope},
    {"destroy a map", destroy_map}, {"purge", purge},
    {"free a context", free_context},
};

static const call_t calling[] = {
    {"get", get},
    {"get, nested", get_nested},
    {"get in a scope", get_inside_a_scope},
    {"capture", capture},
    {"create a task", create_task},
    {"begin a scope", begin_scope},
    {"run a task", run_task},
    {"user_free", free_user},
    {"hook", run_hooks},
    {"for_each", visit},
    {"scrape", scrape},
    {"for_each_local", look_at_own},
    {"dump", dump},
    {"waker", wake_other},
    {"nested", nest},
};

/* ---- The keys ------------------------------------------------------------ */

static tls_key_t
leaving_key(uint32_t reclaim, uint32_t flags, tls_destroy_fn destroy,
            tls_init_fn init, tls_copy_fn copy)
{
    tls_key_options_t options = test_options();

    options.destroy = destroy;
    options.init = init;
    options.copy = copy;
    options.reclaim = reclaim;
    options.flags = flags;
    return test_key_from(&options);
}

static void
release_if_live(tls_key_t key)
{
    life_key_is_drained(key);
    if (tls_key_is_live(key))
        CHECK_OK(tls_key_release(key));
    life_key_is_drained(key);
}

static void
make_leaving_keys(void)
{
    bool inherits = (kind->flags & TLS_KEY_INHERIT) != 0;

    worker_start(&other);
    later_make_keys();
    own = leaving_key(kind->reclaim, kind->flags, destroy_and_leave, NULL,
                      inherits ? life_copy : NULL);
    own_init = leaving_key(TLS_RECLAIM_OWNER, 0, life_destroy, init_and_leave, NULL);
    own_init_outer = leaving_key(TLS_RECLAIM_ANY, 0, life_destroy, init_that_gets, NULL);
    own_copy = leaving_key(TLS_RECLAIM_OWNER, TLS_KEY_INHERIT, life_destroy, NULL,
                           copy_and_leave);
    own_init_captures =
        leaving_key(TLS_RECLAIM_OWNER, 0, life_destroy, init_that_captures, NULL);
    own_destroy_gets =
        leaving_key(TLS_RECLAIM_OWNER, 0, destroy_that_gets, NULL, NULL);
}

/* Every value has ended, and nothing is left of the thread. */
static void
release_leaving_keys(void)
{
    tls_context_free(waiting_context);
    waiting_context = NULL;
    later_end_maps();
    worker_stop(&other);
    CHECK_UINT(test_stats().maps, 0);
    CHECK_UINT(test_stats().entries, 0);
    CHECK_UINT(test_stats().leaked, 0);
    CHECK_UINT(test_stats().contexts, 0);
    release_if_live(own);
    release_if_live(own_init);
    release_if_live(own_init_outer);
    release_if_live(own_copy);
    release_if_live(own_init_captures);
    release_if_live(own_destroy_gets);
    later_release_keys();
}

#endif /* LEAVING_CALLS_H */
