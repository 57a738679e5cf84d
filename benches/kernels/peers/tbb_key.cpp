// SPDX-License-Identifier: MIT OR Apache-2.0
/* oneTBB with a pthread key for each object. */
#include <memory>

#define TBB_ALLOCATOR tbb::cache_aligned_allocator
#define TBB_KIND tbb::ets_key_per_instance
#undef BENCH_PLACE
#define BENCH_PLACE tbb_key
#include "tbb.h"

extern "C" {
PEER(tbb) = {"tbb-key", "oneTBB ets_key_per_instance", TBB_VERSION_TEXT, 1000, make, unmake, kernels, &destroyed};
}
