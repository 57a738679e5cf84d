/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* tls_get in C: the hit is inlined from the header. */
#include <threadlocalmap.h>

#include "kernel.h"

KERNELS_OVER_KEYS(get, tls_get)
