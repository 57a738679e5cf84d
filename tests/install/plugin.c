/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A shared object that is loaded at run time and has the static library inside. */
#include <threadlocalmap.h>

size_t plugin_stale(void);

size_t
plugin_stale(void)
{
    return tls_stale_count();
}
