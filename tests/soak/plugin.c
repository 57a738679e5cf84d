/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A plugin, as a program would load it: linked with the shared library, and unloaded for real. */
#include "plugin.h"

#include <stdatomic.h>

static const struct plugin_host *the_host;
static tls_key_t the_key;
static atomic_int freed;

static void destroy(void *value, int reason, void *user) {
    (void)reason;
    if (user != &the_key) the_host->wrong("a plugin's callback got another user");
    the_host->end(value);
}

static void user_free(void *user) {
    (void)user;
    atomic_fetch_add(&freed, 1);
}

static int begin(const struct plugin_host *host, uint32_t reclaim, tls_key_t *key) {
    the_host = host;
    tls_key_options_t options = {0};
    options.size = sizeof options;
    options.name = "plugin";
    options.destroy = destroy;
    options.user = &the_key;
    options.user_free = user_free;
    options.reclaim = reclaim;
    int result = tls_key_create(&the_key, &options);
    *key = the_key;
    return result;
}

static void task(void *argument, size_t index) {
    (void)argument;
    if (index % 2 == 0 && tls_get(the_key) != NULL) return;
    void *value = the_host->make(the_key);
    if (value == NULL) return;
    if (tls_set(the_key, value) != TLS_OK) {
        the_host->wrong("a plugin could not store a value");
        the_host->end(value);
    }
}

static int user_freed(void) { return atomic_load(&freed); }

extern const struct plugin plugin;
const struct plugin plugin = {.begin = begin, .task = task, .user_freed = user_freed};
