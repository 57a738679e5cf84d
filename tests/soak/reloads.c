/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A plugin that is loaded, used by both pools, and unloaded, again and again.
 *
 * Its key is released while workers still have values under it, whose callbacks are the plugin's
 * code. tls_key_drain says when they are all destroyed; then the code goes, and if a callback were
 * still to come, the process would crash. */
#include "soak.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

#include "plugin.h"

enum { TASKS = 24, DRAINED_AFTER = 60000, LOOK_EVERY = 200, PAUSE = 20 /* ms */ };

static pthread_t reloader;
static const char *path;
static _Atomic unsigned tasks_left;
static void (*plugin_task)(void *argument, size_t index);

static void *make(uint64_t number) { return value_make(number); }
static void end(void *value) { value_end(value); }
static void wrong(const char *sentence) { soak_wrong("%s", sentence); }
static const struct plugin_host host = {.make = make, .end = end, .wrong = wrong};

static void task(void *argument, size_t index) {
    plugin_task(argument, index);
    atomic_fetch_add(&soak.tasks, 1);
    atomic_fetch_sub(&tasks_left, 1);
}

/* At the end of the soak the workers get no more tasks, and one that sleeps expunges nothing: they
 * are asked to, as often as the lazy ones need. */
static int drain(tls_key_t key, size_t *left) {
    for (int waited = 0;; waited += LOOK_EVERY) {
        int result = tls_key_drain(key, LOOK_EVERY, left);
        if (result != TLS_ERR_TIMEOUT || waited >= DRAINED_AFTER) return result;
        if (!soak_stops()) continue;
        pool_drain(soak.pool);
        pool_drain(soak.lazy_pool);
    }
}

static bool use(const struct plugin *plugin, uint32_t reclaim) {
    tls_key_t key = TLS_KEY_NONE;
    if (!soak_ok("a plugin's tls_key_create", plugin->begin(&host, reclaim, &key))) return false;
    plugin_task = plugin->task;
    atomic_store(&tasks_left, TASKS);
    for (size_t index = 0; index < TASKS; index++)
        pool_submit(index % 3 == 0 ? soak.lazy_pool : soak.pool, task, NULL, index);
    while (atomic_load(&tasks_left) > 0) soak_nap(1);
    if (!soak_ok("tls_key_release", tls_key_release(key))) return false;
    size_t left = 0;
    int result = drain(key, &left);
    if (result == TLS_ERR_TIMEOUT) {
        soak_wrong("%zu threads still had a plugin's value after %d s", left, DRAINED_AFTER / 1000);
        return false;
    }
    if (!soak_ok("tls_key_drain", result)) return false;
    if (plugin->user_freed() == 1) return true;
    soak_wrong("a plugin's user_free ran %d times before its key was drained", plugin->user_freed());
    return false;
}

static bool reload(uint32_t reclaim) {
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct plugin *plugin = object != NULL ? dlsym(object, "plugin") : NULL;
    if (plugin == NULL) {
        soak_wrong("the plugin can't be loaded: %s", dlerror());
        return false;
    }
    /* After a failure it stays: its callbacks may still be called. */
    if (!use(plugin, reclaim)) return false;
    if (dlclose(object) != 0) {
        soak_wrong("the plugin can't be unloaded: %s", dlerror());
        return false;
    }
    if (dlopen(path, RTLD_NOW | RTLD_NOLOAD) != NULL) {
        soak_wrong("the plugin is still loaded after dlclose: a reload would be none");
        return false;
    }
    atomic_fetch_add(&soak.reloads, 1);
    return true;
}

static void *go_on_reloading(void *argument) {
    (void)argument;
    for (uint32_t turn = 0; !soak_stops() && reload(turn % 2); turn++) soak_nap(PAUSE);
    return NULL;
}

void reloads_start(const char *plugin) {
    path = plugin;
    if (pthread_create(&reloader, NULL, go_on_reloading, NULL) != 0) abort();
}

void reloads_join(void) { pthread_join(reloader, NULL); }
