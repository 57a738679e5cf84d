/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* This library in C without inlining: every get is a call, as from another language. */
#define TLS_NO_INLINE
#undef BENCH_PLACE
#define BENCH_PLACE exported
#include "ours.h"

PEER(ours) = {"ours-exported", "threadlocalmap in C (call)", TLS_VERSION_STRING, 0,
              ours_make, ours_unmake, ours_kernels, &destroyed};
