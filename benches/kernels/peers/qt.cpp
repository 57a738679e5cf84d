// SPDX-License-Identifier: MIT OR Apache-2.0
/* QThreadStorage of Qt, with pointers, which it deletes. A handle is the address of the object. The
 * destructor of an object does not destroy other threads' values, so this peer has no release of
 * keys. A thread must remove its own value before the object is destroyed. */
#include <QThreadStorage>
#include <QtGlobal>

#include "peer.h"

static uint64_t destroyed;

namespace {

struct Value {
    static void operator delete(void *) { destroyed++; }
};
using Storage = QThreadStorage<Value *>;

Storage &at(uint64_t key) { return *reinterpret_cast<Storage *>(key); }

inline void *qt_read(uint64_t key) { return at(key).localData(); }
inline void qt_write(uint64_t key, void *value) { at(key).setLocalData(static_cast<Value *>(value)); }
inline void qt_write_over(uint64_t key, void *value) { qt_write(key, value); }
inline void qt_unset(uint64_t key) { at(key).setLocalData(nullptr); }

inline void *qt_life(void *value) {
    Storage storage;
    storage.setLocalData(static_cast<Value *>(value));
    value = storage.localData();
    storage.setLocalData(nullptr);
    return value;
}

int make(uint64_t *keys, size_t made, int) {
    for (size_t i = 0; i < made; i++) keys[i] = reinterpret_cast<uint64_t>(new Storage);
    return 0;
}

void unmake(const uint64_t *keys, size_t made) {
    for (size_t i = 0; i < made; i++) {
        if (at(keys[i]).hasLocalData()) qt_unset(keys[i]);
        delete &at(keys[i]);
    }
}

} // namespace

extern "C" {
PEER_READS(qt)
PEER_FILLS(qt)
PEER_REPLACES(qt)
PEER_FIRSTS(qt)
PEER_LIVES(qt)

static const bench_kernel kernels[] = {
    LINES_READS(qt) LINE(qt, fill) LINE(qt, replace) LINE(qt, first) LINE(qt, life) NO_MORE_LINES};

PEER(qt) = {"qt", "QThreadStorage", QT_VERSION_STR, 20000, make, unmake, kernels, &destroyed};
}
