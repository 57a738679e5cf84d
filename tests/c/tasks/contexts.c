/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a context takes along, and what of it is there in a scope that is begun
 * with it. Keys that die, threads and callbacks have their own programs.
 */
#include "copying_key.h"

#include "worker.h"

#define KEYS 4

static copying_t counts;
static test_log_t ended;
static tls_key_t keys[KEYS];
static worker_t worker;
static tls_context_t *context;

static tls_scope_t
begin(tls_context_t *with)
{
    tls_scope_t scope = 0;

    CHECK_OK(tls_scope_begin(&scope, with));
    return scope;
}

static void
prepare(void)
{
    size_t i;

    CHECK_OK(tls_thread_detach());
    memset(&counts, 0, sizeof(counts));
    test_log_clear(&ended);
    context = NULL;
    for (i = 0; i < KEYS; i++)
        keys[i] = copying_key(&counts);
    worker_start(&worker);
}

static void
finish(void)
{
    size_t i;

    tls_context_free(context);
    worker_stop(&worker);
    for (i = 0; i < KEYS; i++)
        CHECK_OK(tls_key_release(keys[i]));
    CHECK_UINT(copying_alive(&counts), 0);
    CHECK_UINT(counts.freed, KEYS);
    CHECK_UINT(test_stats().contexts, 0);
    CHECK_UINT(test_stats().entries, 0);
    CHECK_UINT(test_stats().dead_keys, 0);
}

/* What the worker has under the four keys, as one number of four digits: the
 * last of each. */
static size_t
digits(void)
{
    size_t sum = 0;
    size_t i;

    for (i = 0; i < KEYS; i++)
        sum = sum * 10 + copying_get(keys[i]) % 10;
    return sum;
}

/* ---- On another thread --------------------------------------------------------- */

static void
job_set_own(void *argument)
{
    (void)argument;
    copying_set(&counts, keys[1], 7);
    copying_set(&counts, keys[2], 8);
}

static void
job_use_context(void *argument)
{
    tls_scope_t scope = begin(context);

    (void)argument;
    CHECK_UINT(copying_get(keys[0]), 2001); /* the copy of a copy */
    CHECK_UINT(copying_get(keys[1]), 2002);
    CHECK_UINT(digits(), 1200);
    CHECK_CODE(tls_try_get(keys[2], &argument), TLS_ERR_ABSENT); /* T57, T59 */
    copying_set(&counts, keys[1], 5);
    copying_set(&counts, keys[3], 6); /* T58 */
    CHECK_UINT(digits(), 1506);
    CHECK_OK(tls_scope_end(scope));
    CHECK_UINT(digits(), 780);
    CHECK_CODE(tls_try_get(keys[3], &argument), TLS_ERR_ABSENT);
}

/* T56, T57, T58: captured here, used there, twice; both are as before. */
static void
captured_values_are_there_and_the_workers_own_are_back_after(void)
{
    prepare();
    copying_set(&counts, keys[0], 1);
    copying_set(&counts, keys[1], 2);
    worker_do(&worker, job_set_own, NULL);
    CHECK_OK(tls_context_capture(&context));
    CHECK_UINT(test_stats().contexts, 1);
    CHECK_UINT(test_stats().entries, 6);
    worker_do(&worker, job_use_context, NULL);
    worker_do(&worker, job_use_context, NULL);
    CHECK_UINT(copying_get(keys[0]), 1);
    CHECK_UINT(copying_get(keys[1]), 2);
    CHECK_UINT(counts.ended[TLS_REASON_SCOPE_END], 6);
    tls_context_free(context);
    context = NULL;
    CHECK_UINT(counts.ended[TLS_REASON_REMOVED], 2);
    CHECK_UINT(test_stats().entries, 4);
    finish();
}

/* T52, T53: it has what was there when it was captured. */
static void
what_is_set_or_removed_later_is_not_in_it(void)
{
    tls_scope_t scope;

    prepare();
    copying_set(&counts, keys[0], 1);
    copying_set(&counts, keys[1], 2);
    CHECK_OK(tls_context_capture(&context));
    copying_set(&counts, keys[0], 5);
    CHECK_OK(tls_remove(keys[1]));
    copying_set(&counts, keys[2], 6);
    scope = begin(context);
    CHECK_UINT(digits(), 1200);
    CHECK_OK(tls_scope_end(scope));
    CHECK_UINT(digits(), 5060);
    finish();
}

/* T63: the thread that has captured it runs it. */
static void
used_where_it_was_captured_it_changes_nothing(void)
{
    tls_scope_t scope;

    prepare();
    copying_set(&counts, keys[0], 1);
    copying_set(&counts, keys[1], 2);
    CHECK_OK(tls_context_capture(&context));
    scope = begin(context);
    CHECK_UINT(copying_get(keys[0]), 2001);
    copying_set(&counts, keys[0], 9);
    CHECK_OK(tls_scope_end(scope));
    CHECK_UINT(copying_get(keys[0]), 1);
    CHECK_UINT(copying_get(keys[1]), 2);
    finish();
}

/* T64: one copy for each value at a capture, and one more at each use. */
static void
each_value_is_copied_once_at_each_step(void)
{
    prepare();
    copying_set(&counts, keys[0], 1);
    copying_set(&counts, keys[1], 2);
    CHECK_OK(tls_set(keys[2], NULL));
    CHECK_OK(tls_context_capture(&context));
    CHECK_UINT(counts.copies, 2);
    CHECK_OK(tls_scope_end(begin(context)));
    CHECK_UINT(counts.copies, 4);
    CHECK_OK(tls_scope_end(begin(context)));
    CHECK_UINT(counts.copies, 6);
    CHECK_UINT(counts.ended[TLS_REASON_SCOPE_END], 4);
    finish();
}

/* ---- Unset, NULL and set ----------------------------------------------------------- */

static size_t inits;

static int
init(void **value, void *user)
{
    (void)user;
    inits++;
    *value = copying_object(&counts, 9);
    return 0;
}

/* T59, T60. */
static void
unset_null_and_set_are_three_things(void)
{
    tls_key_options_t options = copying_options(&counts);
    void *value = VALUE(77);
    tls_scope_t scope;
    tls_key_t with_init;

    prepare();
    options.init = init;
    options.user_free = NULL;
    with_init = test_key_from(&options);
    inits = 0;
    copying_set(&counts, keys[0], 1);
    CHECK_OK(tls_set(keys[1], NULL));
    CHECK_OK(tls_context_capture(&context));
    CHECK_UINT(inits, 0);
    /* The other way round where it is used. */
    CHECK_OK(tls_set(keys[0], NULL));
    copying_set(&counts, keys[1], 2);
    copying_set(&counts, keys[2], 3);
    CHECK_UINT(copying_get(with_init), 9);
    CHECK_UINT(inits, 1);
    scope = begin(context);
    CHECK_UINT(copying_get(keys[0]), 2001);
    CHECK_OK(tls_try_get(keys[1], &value));
    CHECK_PTR(value, NULL);
    CHECK_CODE(tls_try_get(keys[2], &value), TLS_ERR_ABSENT);
    CHECK_PTR(tls_get_existing(with_init), NULL);
    CHECK_UINT(inits, 1);
    CHECK_UINT(copying_get(with_init), 9);
    CHECK_UINT(inits, 2);
    CHECK_OK(tls_scope_end(scope));
    CHECK_OK(tls_try_get(keys[0], &value));
    CHECK_PTR(value, NULL);
    CHECK_UINT(digits(), 230);
    CHECK_UINT(copying_get(with_init), 9);
    CHECK_UINT(inits, 2);
    CHECK_OK(tls_key_release(with_init));
    finish();
}

/* T54, T68: which keys are taken along is the key's choice; whether those that
 * are missing are cleared is the scope's: with an empty context or without one. */
static void
only_inherited_keys_are_taken_along_and_cleared(void)
{
    tls_key_t other;
    tls_scope_t scope;

    prepare();
    other = test_key_logged(&ended);
    CHECK_OK(tls_context_capture(&context)); /* an empty one */
    CHECK_UINT(test_stats().contexts, 1);
    copying_set(&counts, keys[0], 1);
    CHECK_OK(tls_set(other, VALUE(1)));
    scope = begin(NULL);
    CHECK_UINT(digits(), 1000);
    CHECK_OK(tls_scope_end(scope));
    scope = begin(context);
    CHECK_UINT(digits(), 0);
    CHECK_PTR(tls_get(other), VALUE(1));
    CHECK_OK(tls_scope_end(scope));
    CHECK_UINT(digits(), 1000);
    CHECK_UINT(counts.copies, 0);
    tls_context_free(context);
    CHECK_OK(tls_context_capture(&context)); /* without `other` */
    CHECK_UINT(test_stats().entries, 3);
    CHECK_OK(tls_key_release(other));
    CHECK_UINT(ended.count, 1);
    finish();
}

static void
without_copy_and_destroy_the_pointer_is_captured(void)
{
    tls_key_options_t options = test_options();
    tls_key_t plain;
    tls_key_t none = 77;
    tls_scope_t scope;

    prepare();
    options.flags = TLS_KEY_INHERIT;
    plain = test_key_from(&options);
    CHECK_OK(tls_set(plain, VALUE(1)));
    CHECK_OK(tls_context_capture(&context));
    CHECK_OK(tls_set(plain, VALUE(2)));
    scope = begin(context);
    CHECK_PTR(tls_get(plain), VALUE(1));
    CHECK_OK(tls_scope_end(scope));
    CHECK_PTR(tls_get(plain), VALUE(2));
    CHECK_OK(tls_key_release(plain));

    options.destroy = test_log_destroy;
    CHECK_CODE(tls_key_create(&none, &options), TLS_ERR_INVALID);
    options.copy = copying_copy;
    options.flags = TLS_KEY_INHERIT | TLS_KEY_WORKER;
    CHECK_CODE(tls_key_create(&none, &options), TLS_ERR_INVALID);
    CHECK_UINT(none, 77);
    CHECK_CODE(tls_context_capture(NULL), TLS_ERR_INVALID);
    CHECK_UINT(test_stats().contexts, 1);
    tls_context_free(NULL);
    finish();
}

/* ---- Scopes in scopes ------------------------------------------------------------- */

/* What the scope hides is not taken along; nor is what it has removed. */
static void
a_capture_inside_a_scope_takes_what_is_visible(void)
{
    tls_scope_t scope;

    prepare();
    copying_set(&counts, keys[0], 1);
    copying_set(&counts, keys[1], 2);
    copying_set(&counts, keys[2], 3);
    scope = begin(NULL);
    copying_set(&counts, keys[0], 5);
    CHECK_OK(tls_remove(keys[1]));
    copying_set(&counts, keys[3], 6);
    CHECK_OK(tls_context_capture(&context));
    CHECK_UINT(counts.copies, 3);
    CHECK_OK(tls_scope_end(scope));
    CHECK_UINT(digits(), 1230);
    scope = begin(context);
    CHECK_UINT(digits(), 5036);
    CHECK_OK(tls_scope_end(scope));
    CHECK_UINT(digits(), 1230);
    finish();
}

static void
nested_scopes_may_have_different_contexts(void)
{
    tls_context_t *other = NULL;
    tls_scope_t scopes[3];

    prepare();
    copying_set(&counts, keys[0], 1);
    CHECK_OK(tls_context_capture(&context));
    CHECK_OK(tls_remove_all());
    copying_set(&counts, keys[1], 2);
    CHECK_OK(tls_context_capture(&other));
    copying_set(&counts, keys[2], 3);
    scopes[0] = begin(context);
    CHECK_UINT(digits(), 1000);
    scopes[1] = begin(other);
    CHECK_UINT(digits(), 200);
    copying_set(&counts, keys[0], 7);
    scopes[2] = begin(context);
    CHECK_UINT(digits(), 1000);
    CHECK_OK(tls_scope_end(scopes[2]));
    CHECK_UINT(digits(), 7200);
    CHECK_OK(tls_scope_end(scopes[1]));
    CHECK_UINT(digits(), 1000);
    CHECK_OK(tls_scope_end(scopes[0]));
    CHECK_UINT(digits(), 230);
    tls_context_free(other);
    finish();
}

static void
job_capture_again(void *argument)
{
    tls_context_t *again = NULL;
    tls_scope_t scope = begin(context);

    CHECK_OK(tls_context_capture(&again)); /* nothing was read */
    CHECK_OK(tls_scope_end(scope));
    *(tls_context_t **)argument = again;
}

/* T66: taken along by a thread that has never looked at it. */
static void
what_was_never_read_is_passed_on(void)
{
    tls_context_t *again = NULL;
    tls_scope_t scope;

    prepare();
    copying_set(&counts, keys[0], 1);
    CHECK_OK(tls_context_capture(&context));
    CHECK_OK(tls_remove(keys[0]));
    worker_do(&worker, job_capture_again, &again);
    scope = begin(again);
    CHECK_UINT(copying_get(keys[0]), 4001);
    CHECK_OK(tls_scope_end(scope));
    tls_context_free(again);
    finish();
}

/* A thousand values in a context, and where it is used a thousand others. */
static void
a_context_may_be_large(void)
{
    enum { MANY = 1000 };
    static tls_key_t many[2 * MANY];
    tls_scope_t scope;
    size_t i;

    prepare();
    for (i = 0; i < 2 * MANY; i++)
        many[i] = copying_key(&counts);
    for (i = 0; i < MANY; i++)
        copying_set(&counts, many[i], i + 1);
    CHECK_OK(tls_context_capture(&context));
    CHECK_OK(tls_remove_all());
    for (i = MANY / 2; i < 2 * MANY; i++)
        copying_set(&counts, many[i], i + 1);
    scope = begin(context);
    for (i = 0; i < 2 * MANY; i++)
        CHECK_UINT(copying_get(many[i]), i < MANY ? i + 2001 : 0);
    CHECK_OK(tls_scope_end(scope));
    for (i = 0; i < 2 * MANY; i++)
        CHECK_UINT(copying_get(many[i]), i >= MANY / 2 ? i + 1 : 0);
    for (i = 0; i < 2 * MANY; i++)
        CHECK_OK(tls_key_release(many[i]));
    tls_context_free(context);
    context = NULL;
    CHECK_UINT(counts.freed, 2 * MANY);
    counts.freed = 0;
    finish();
}

int
main(void)
{
    RUN(captured_values_are_there_and_the_workers_own_are_back_after);
    RUN(what_is_set_or_removed_later_is_not_in_it);
    RUN(used_where_it_was_captured_it_changes_nothing);
    RUN(each_value_is_copied_once_at_each_step);
    RUN(unset_null_and_set_are_three_things);
    RUN(only_inherited_keys_are_taken_along_and_cleared);
    RUN(without_copy_and_destroy_the_pointer_is_captured);
    RUN(a_capture_inside_a_scope_takes_what_is_visible);
    RUN(nested_scopes_may_have_different_contexts);
    RUN(what_was_never_read_is_passed_on);
    RUN(a_context_may_be_large);
    return test_finish();
}
