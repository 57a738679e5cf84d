/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What plugin.c exports, and how a program finds it. */
#ifndef PLUGIN_H
#define PLUGIN_H

#include <threadlocalmap.h>

int plugin_make_key(tls_key_t *key, uint32_t reclaim, size_t *count);
int plugin_set(tls_key_t key);
void *plugin_get(tls_key_t key);
int plugin_release(tls_key_t key);
int plugin_hook(tls_key_t owner, uint32_t when, size_t *count);
const void *plugin_library(void);

#endif /* PLUGIN_H */
