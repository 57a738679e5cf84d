// SPDX-License-Identifier: MIT OR Apache-2.0
/* boost::thread_specific_ptr. A handle is the address of the object. The destructor of an object does
 * not destroy other threads' values, so this peer has no release of keys. */
#include <boost/thread/tss.hpp>
#include <boost/version.hpp>

#include "peer.h"

static uint64_t destroyed;

namespace {

struct Value {};
using Pointer = boost::thread_specific_ptr<Value>;

void count(Value *) { destroyed++; }

Pointer &at(uint64_t key) { return *reinterpret_cast<Pointer *>(key); }

inline void *boost_read(uint64_t key) { return at(key).get(); }
inline void boost_write(uint64_t key, void *value) { at(key).reset(static_cast<Value *>(value)); }
inline void boost_write_over(uint64_t key, void *value) { boost_write(key, value); }
inline void boost_unset(uint64_t key) { at(key).release(); }

inline void *boost_life(void *value) {
    Pointer pointer(nullptr);
    pointer.reset(static_cast<Value *>(value));
    return pointer.get();
}

int make(uint64_t *keys, size_t made, int flags) {
    for (size_t i = 0; i < made; i++)
        keys[i] = reinterpret_cast<uint64_t>(new Pointer(flags & BENCH_COUNTING ? count : nullptr));
    return 0;
}

void unmake(const uint64_t *keys, size_t made) {
    for (size_t i = 0; i < made; i++) delete &at(keys[i]);
}

} // namespace

extern "C" {
PEER_READS(boost)
PEER_FILLS(boost)
PEER_SETS(boost)
PEER_REPLACES(boost)
PEER_FIRSTS(boost)
PEER_LIVES(boost)

static const bench_kernel kernels[] = {
    LINES_READS(boost) LINE(boost, fill) LINE(boost, set) LINE(boost, replace) LINE(boost, first)
    LINE(boost, life) NO_MORE_LINES};

PEER(boost) = {"boost", "boost::thread_specific_ptr", BOOST_LIB_VERSION, 0, make, unmake, kernels, &destroyed};
}
