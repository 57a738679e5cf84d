/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* This library in C, with the hit inlined from the header. This file is compiled into the program, and
 * with -fPIC into a shared object. */
#include "ours.h"

PEER(ours) = {"ours", "threadlocalmap in C", TLS_VERSION_STRING, 0, ours_make, ours_unmake, ours_kernels, &destroyed};
