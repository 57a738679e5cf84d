/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What reloads.c and the plugin know of one another. The plugin is code that comes and goes: its
 * key's callbacks are in it. */
#ifndef SOAK_PLUGIN_H
#define SOAK_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <threadlocalmap.h>

/* What the host counts for the plugin: nothing of it may be left when it goes. */
struct plugin_host {
    void *(*make)(uint64_t number);
    void (*end)(void *value);
    void (*wrong)(const char *sentence);
};

/* `plugin`, the plugin's one exported symbol. */
struct plugin {
    int (*begin)(const struct plugin_host *host, uint32_t reclaim, tls_key_t *key);
    void (*task)(void *argument, size_t index); /* on any worker */
    int (*user_freed)(void);
};

#endif
