// SPDX-License-Identifier: MIT OR Apache-2.0
/* This library in C++: tls::thread_local_ptr. A handle is the address of the object. */
#include <threadlocalmap.hpp>

#include "peer.h"

static uint64_t destroyed;

namespace {

struct Value {
    static void operator delete(void *) { destroyed++; }
};
using Pointer = tls::thread_local_ptr<Value>;

Pointer &at(uint64_t key) { return *reinterpret_cast<Pointer *>(key); }

inline void *ours_cpp_read(uint64_t key) { return at(key).get(); }
inline void ours_cpp_write(uint64_t key, void *value) { at(key).reset(static_cast<Value *>(value)); }
inline void ours_cpp_write_over(uint64_t key, void *value) { ours_cpp_write(key, value); }
inline void ours_cpp_unset(uint64_t key) { at(key).reset(); }

inline void *ours_cpp_life(void *value) {
    Pointer pointer(nullptr);
    pointer.reset(static_cast<Value *>(value));
    return pointer.get();
}

int make(uint64_t *keys, size_t count, int flags) {
    for (size_t i = 0; i < count; i++) {
        Pointer *made = flags & BENCH_COUNTING ? new Pointer() : new Pointer(nullptr);
        keys[i] = reinterpret_cast<uint64_t>(made);
    }
    return 0;
}

void unmake(const uint64_t *keys, size_t count) {
    for (size_t i = 0; i < count; i++) delete &at(keys[i]);
}

} // namespace

extern "C" {
PEER_READS(ours_cpp)
PEER_FILLS(ours_cpp)
PEER_SETS(ours_cpp)
PEER_REPLACES(ours_cpp)
PEER_FIRSTS(ours_cpp)
PEER_LIVES(ours_cpp)

static const bench_kernel kernels[] = {
    LINES_READS(ours_cpp) LINE(ours_cpp, fill) LINE(ours_cpp, set) LINE(ours_cpp, replace)
    LINE(ours_cpp, first) LINE(ours_cpp, life) NO_MORE_LINES};

PEER(ours_cpp) = {"ours-cpp", "threadlocalmap in C++", TLS_VERSION_STRING, 0, make, unmake, kernels, &destroyed};
}
