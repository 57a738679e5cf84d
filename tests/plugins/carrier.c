/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A plugin that brings a static copy of the library of its own, and exports
 * the functions of it that reopen.c asks for. */
#include <threadlocalmap.h>

typedef void (*function_t)(void);

extern const function_t carrier_functions[];

const function_t carrier_functions[] = {
    (function_t)tls_key_create, (function_t)tls_key_release, (function_t)(tls_get),
    (function_t)tls_set,        (function_t)tls_expunge,     (function_t)tls_thread_detach,
    (function_t)tls_stats,
};
