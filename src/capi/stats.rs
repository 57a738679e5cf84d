//! What the library holds and has done.

use core::ffi::c_int;

use super::{code, given, versioned, write_sized};
use crate::thread::fork;
use crate::thread::stats::collect;

/// What the library holds now and has done so far, in the whole process.
///
/// Numbers that other threads are changing are each right for some instant
/// during the call.
#[repr(C)]
#[derive(Clone, Copy, Default)]
#[allow(non_camel_case_types)]
pub struct tls_stats_t {
    /// sizeof(tls_stats_t), so that the structure can grow. Set it first.
    pub size: usize,
    /// Live keys.
    pub keys: u64,
    /// Dead keys with a value that is not destroyed yet.
    pub dead_keys: u64,
    /// Attached threads, and maps of tls_map_create().
    pub maps: u64,
    /// Values in all maps and contexts, stale and hidden ones included.
    pub entries: u64,
    /// Stale values.
    pub stale: u64,
    /// Values ended because their key was dead, ever.
    pub expunged: u64,
    /// Destroy callbacks called, ever, for any reason.
    pub destroyed: u64,
    /// Values given up after the fourth round of a thread's end, ever.
    pub leaked: u64,
    /// Tables made, made anew, or swept in full, ever.
    pub rehashes: u64,
    /// Most slots that an insert has looked at, ever.
    pub longest_probe: u64,
    /// Slots in all tables.
    pub capacity: u64,
    /// Bytes of memory that the library has allocated.
    pub bytes: u64,
    /// Attached threads whose end can't be seen (no pthread key left).
    pub unwatched: u64,
    /// Captured contexts that are not freed, those of waiting tasks included.
    pub contexts: u64,
    /// Tasks that ran without a scope, ever, for want of memory.
    pub unscoped: u64,
}

versioned!(tls_stats_t:
    size, keys, dead_keys, maps, entries, stale, expunged, destroyed, leaked, rehashes,
    longest_probe, capacity, bytes, unwatched, contexts, unscoped,
);

/// Tells what the library holds now and has done so far.
///
/// stats: its `size` is set by the caller; that many bytes are filled, what
/// this version does not know with zeros.
///
/// Threads: any. Blocks: for as long as a thread takes to attach. Cost: O(keys
/// that ever lived at once + attached threads). Signals: not safe.
/// Returns TLS_OK; TLS_ERR_INVALID (stats is NULL, or its size
/// is too small or ends inside a member).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_stats(stats: *mut tls_stats_t) -> c_int {
    if let Err(error) = given(stats) {
        return error.number();
    }
    fork::check();
    let now = collect();
    let filled = tls_stats_t {
        size: 0, // the caller's stays
        keys: now.keys,
        dead_keys: now.dead_keys,
        maps: now.maps,
        entries: now.entries,
        stale: now.stale,
        expunged: now.expunged,
        destroyed: now.destroyed,
        leaked: now.leaked,
        rehashes: now.rehashes,
        longest_probe: now.longest_probe,
        capacity: now.capacity,
        bytes: now.bytes,
        unwatched: now.untracked,
        contexts: now.contexts,
        unscoped: now.unscoped,
    };
    // SAFETY: Not null; the caller: as many bytes as it says.
    code(unsafe { write_sized(stats, &filled) })
}
