/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A library with another table than that of 0.1.0: it has no hot slot of layout 1. Loaded before ours,
 * it answers in its place, as a later version of ours would. The program makes the exported calls.
 */
#include <stddef.h>

ptrdiff_t tlm_hot_offset_v1(void);
ptrdiff_t tls_hot_offset_v1(void);

ptrdiff_t tlm_hot_offset_v1(void) { return 0; }
ptrdiff_t tls_hot_offset_v1(void) { return 0; }
