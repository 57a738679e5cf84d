/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A task takes its submitter's values along, and leaves its worker as it was. */
#include "pool.h"

#include <string.h>
#include <threadlocalmap.h>

static tls_key_t request; /* inherited: a task has its submitter's */
static tls_key_t cache;   /* the worker's: tasks share it */
static tls_key_t scratch; /* a task's own */

static int copy_string(void *value, void **copy, void *user)
{
    (void)user;
    *copy = strdup(value);
    return *copy == NULL;
}

static void free_value(void *value, int reason, void *user)
{
    (void)reason;
    printf("%s: frees its %s\n", pool_thread_name(), (char *)user);
    free(value);
}

static void make_key(tls_key_t *key, char *name, tls_copy_fn copy, uint32_t flags)
{
    tls_key_options_t options = {.size = sizeof options, .destroy = free_value, .user = name};
    options.copy = copy;
    options.flags = flags;
    must(tls_key_create(key, &options));
}

static void work(void *arg)
{
    (void)arg;
    printf("%s: works for %s%s\n", pool_thread_name(), (char *)tls_get(request),
           tls_get(cache) == NULL ? "" : ", and finds its cache");
    if (tls_get(cache) == NULL) must(tls_set(cache, malloc(1000)));
    must(tls_set(scratch, malloc(1000)));
}

static void submit(int worker)
{
    tls_task_t *task;
    must(tls_task_create(&task, work, NULL)); /* copies this thread's inherited values */
    pool_run(worker, tls_task_run, task);     /* scope, work(NULL), end of the scope, expunge */
}

int main(void)
{
    make_key(&request, "copy of the request", copy_string, TLS_KEY_INHERIT);
    make_key(&cache, "cache", NULL, TLS_KEY_WORKER);
    make_key(&scratch, "scratch memory", NULL, 0);
    pool_start();
    must(tls_set(request, strdup("request 1")));
    submit(0);
    must(tls_set(request, strdup("request 2")));
    submit(0);
    pool_stop();
    must(tls_key_release(request));
    must(tls_key_release(cache));
    must(tls_key_release(scratch));
    return 0;
}
