/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* tls_get as a call of the exported function, as from another language. */
#define TLS_NO_INLINE
#include <threadlocalmap.h>

#include "kernel.h"

KERNELS_OVER_KEYS(get_exported, tls_get)
