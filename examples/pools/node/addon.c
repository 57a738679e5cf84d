/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A Node add-on in several workers: what belongs to a worker is a value of its thread, and work in
 * libuv's pool leaves nothing in the pool's threads.
 *
 * Each worker loads the add-on for itself, and Node unloads it when the last one has ended, before
 * that worker's thread ends. So a cleanup hook ends the thread's values while the code is there.
 */
#include <node_api.h>
#include <pthread.h>
#include <stdlib.h>
#include <threadlocalmap_uv.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the next four */
static int environments;
static int made, ended;
static tls_key_t connection; /* one for each worker */
static tls_key_t scratch;    /* one for each task in libuv's pool */

static void count(int *number)
{
    pthread_mutex_lock(&lock);
    *number += 1;
    pthread_mutex_unlock(&lock);
}

static int make_value(void **value, void *user)
{
    (void)user;
    *value = malloc(100);
    if (*value == NULL) return 1;
    count(&made);
    return 0;
}

static void end_value(void *value, int reason, void *user)
{
    (void)reason, (void)user;
    free(value);
    count(&ended);
}

static int first_environment(void)
{
    tls_key_options_t options = {.size = sizeof options, .init = make_value, .destroy = end_value};
    int code = TLS_OK;

    pthread_mutex_lock(&lock);
    if (environments == 0) {
        code = tls_key_create(&connection, &options);
        if (code == TLS_OK && (code = tls_key_create(&scratch, &options)) != TLS_OK)
            tls_key_release(connection);
    }
    if (code == TLS_OK) environments++;
    pthread_mutex_unlock(&lock);
    return code;
}

/* On the worker's thread, before it ends. */
static void end_environment(void *arg)
{
    (void)arg;
    tls_remove(connection); /* this worker's; the key lives on if there are other workers */
    pthread_mutex_lock(&lock);
    const bool last = --environments == 0;
    const tls_key_t keys[] = {connection, scratch}; /* the next first environment makes new ones */
    pthread_mutex_unlock(&lock);
    for (int i = 0; last && i < 2; i++) {
        tls_key_release(keys[i]);
        tls_key_drain(keys[i], -1, NULL); /* no end_value() runs any more, on any thread */
    }
}

struct job {
    tls_uv_work_t work;
    napi_env env;
    napi_deferred deferred;
    bool worked;
};

static void work(uv_work_t *request) /* on a thread of libuv's pool */
{
    struct job *job = (struct job *)(void *)request;
    job->worked = tls_get(scratch) != NULL;
}

static void worked(uv_work_t *request, int status) /* on the worker's loop */
{
    struct job *job = (struct job *)(void *)request;
    napi_handle_scope scope;
    napi_value result;

    if (napi_open_handle_scope(job->env, &scope) != napi_ok) abort();
    if (napi_get_boolean(job->env, status == 0 && job->worked, &result) != napi_ok) abort();
    if (napi_resolve_deferred(job->env, job->deferred, result) != napi_ok) abort();
    napi_close_handle_scope(job->env, scope);
    free(job);
}

/* work(): a promise. */
static napi_value start_work(napi_env env, napi_callback_info info)
{
    struct job *job = calloc(1, sizeof *job);
    uv_loop_t *loop;
    napi_value promise;

    (void)info;
    if (job == NULL) return NULL;
    job->env = env;
    if (napi_create_promise(env, &job->deferred, &promise) != napi_ok) abort();
    if (napi_get_uv_event_loop(env, &loop) != napi_ok) abort();
    if (tls_uv_queue_work(loop, &job->work, work, worked) != 0) abort();
    return promise;
}

/* connected(): whether this worker has its connection. */
static napi_value connected(napi_env env, napi_callback_info info)
{
    napi_value result;

    (void)info;
    if (napi_get_boolean(env, tls_get(connection) != NULL, &result) != napi_ok) abort();
    return result;
}

/* left(): how many values were made and are not ended. */
static napi_value left(napi_env env, napi_callback_info info)
{
    napi_value result;

    (void)info;
    pthread_mutex_lock(&lock);
    const int number = made - ended;
    pthread_mutex_unlock(&lock);
    if (napi_create_int32(env, number, &result) != napi_ok) abort();
    return result;
}

static void add(napi_env env, napi_value exports, const char *name, napi_callback function)
{
    napi_value value;

    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, function, NULL, &value) != napi_ok ||
        napi_set_named_property(env, exports, name, value) != napi_ok)
        abort();
}

NAPI_MODULE_INIT()
{
    const int code = first_environment();

    if (code != TLS_OK) {
        napi_throw_error(env, NULL, tls_strerror(code));
        return NULL;
    }
    if (napi_add_env_cleanup_hook(env, end_environment, NULL) != napi_ok) abort();
    add(env, exports, "work", start_work);
    add(env, exports, "connected", connected);
    add(env, exports, "left", left);
    return exports;
}
