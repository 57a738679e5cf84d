/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* tls_get as a program has it: the hit inlined from the header. */
#include <threadlocalmap.h>

#include "kernel.h"

KERNELS_OVER_KEYS(get, tls_get)
