/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* This library as another language has it: every get is a call. */
#define TLS_NO_INLINE
#undef BENCH_PLACE
#define BENCH_PLACE exported
#include "ours.h"

PEER(ours) = {"ours-exported", "ours in C, exported", TLS_VERSION_STRING, 0,
              ours_make, ours_unmake, ours_kernels, &destroyed};
