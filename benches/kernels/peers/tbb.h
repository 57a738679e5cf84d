/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* enumerable_thread_specific of oneTBB; `tbb.cpp`, `tbb_key.cpp` and `tbb_malloc.cpp` define its kind.
 * It keeps the value itself, not a pointer to it. A thread cannot remove its own value. */
#include <new>
#include <type_traits>

#include <tbb/enumerable_thread_specific.h>
#include <tbb/version.h>

#include "peer.h"

static uint64_t destroyed;

namespace {

/* A word that counts when it is destroyed. */
struct Counted {
    uint64_t word = 0;
    Counted() = default;
    Counted(uint64_t value) : word(value) {}
    Counted(Counted &&other) noexcept : word(other.word) { other.word = 0; }
    Counted &operator=(Counted &&other) noexcept {
        if (word) destroyed++;
        word = other.word;
        other.word = 0;
        return *this;
    }
    ~Counted() {
        if (word) destroyed++;
    }
};

template <class T>
using Values = tbb::enumerable_thread_specific<T, TBB_ALLOCATOR<T>, TBB_KIND>;
using Plain = Values<uint64_t>;
using Counting = Values<Counted>;

Plain &plain(uint64_t key) { return *reinterpret_cast<Plain *>(key & ~uint64_t(1)); }
Counting &counting(uint64_t key) { return *reinterpret_cast<Counting *>(key & ~uint64_t(1)); }

inline uint64_t word(void *value) { return reinterpret_cast<uint64_t>(value); }

inline void *tbb_read(uint64_t key) { return reinterpret_cast<void *>(plain(key).local()); }
inline void tbb_write(uint64_t key, void *value) { plain(key).local() = word(value); }
inline void tbb_write_over(uint64_t key, void *value) { counting(key).local() = Counted(word(value)); }
inline void tbb_end(uint64_t key) { delete &counting(key); }
inline uint64_t tbb_total_of(uint64_t key) {
    return plain(key).combine([](uint64_t one, uint64_t other) { return one + other; });
}

inline void *tbb_life(void *value) {
    Plain values;
    values.local() = word(value);
    return reinterpret_cast<void *>(values.local());
}

/* The lowest bit of a handle is the type of the object. */
int make(uint64_t *keys, size_t made, int flags) {
    for (size_t i = 0; i < made; i++)
        keys[i] = flags & BENCH_COUNTING ? reinterpret_cast<uint64_t>(new Counting) | 1
                                         : reinterpret_cast<uint64_t>(new Plain);
    return 0;
}

void unmake(const uint64_t *keys, size_t made) {
    for (size_t i = 0; i < made; i++)
        if (keys[i] & 1)
            delete &counting(keys[i]);
        else
            delete &plain(keys[i]);
}

} // namespace

extern "C" {
PEER_READS(tbb)
PEER_FILLS(tbb)
PEER_SETS(tbb)
PEER_REPLACES(tbb)
PEER_LIVES(tbb)
PEER_ENDS(tbb)
PEER_TOTALS(tbb, total)
KERNEL(tbb_fill_counting) {
    for (uint64_t i = 0; i < operations; i++) tbb_write_over(input->keys[i], VALUE_OF(i));
}

static const bench_kernel kernels[] = {
    LINES_READS(tbb) LINE(tbb, fill) LINE(tbb, fill_counting) LINE(tbb, set) LINE(tbb, replace) LINE(tbb, life)
    LINE(tbb, end) LINE(tbb, total) NO_MORE_LINES};
}

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
#define TBB_VERSION_TEXT TEXT(TBB_VERSION_MAJOR) "." TEXT(TBB_VERSION_MINOR)
