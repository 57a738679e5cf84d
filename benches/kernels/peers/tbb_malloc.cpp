// SPDX-License-Identifier: MIT OR Apache-2.0
/* The default of oneTBB, but with the C library's allocator, which reports how many bytes are allocated. */
#include <memory>

#define TBB_ALLOCATOR std::allocator
#define TBB_KIND tbb::ets_no_key
#undef BENCH_PLACE
#define BENCH_PLACE tbb_malloc
#include "tbb.h"

extern "C" {
PEER(tbb) = {"tbb-malloc", "oneTBB ets_no_key (malloc)", TBB_VERSION_TEXT, 0, make, unmake, kernels, &destroyed};
}
