// SPDX-License-Identifier: MIT OR Apache-2.0
/* The default of oneTBB: no pthread key, and one hash table for each object. */
#include <memory>

#define TBB_ALLOCATOR tbb::cache_aligned_allocator
#define TBB_KIND tbb::ets_no_key
#undef BENCH_PLACE
#define BENCH_PLACE tbb
#include "tbb.h"

extern "C" {
PEER(tbb) = {"tbb", "oneTBB ets_no_key", TBB_VERSION_TEXT, 0, make, unmake, kernels, &destroyed};
}
