/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* This library as a C program has it: the hit inlined from the header. Compiled into the program,
 * and with -fPIC into a shared object. */
#include "ours.h"

PEER(ours) = {"ours", "ours in C", TLS_VERSION_STRING, 0, ours_make, ours_unmake, ours_kernels, &destroyed};
