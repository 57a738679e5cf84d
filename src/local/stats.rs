// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sums over all maps, as the header has them.
//!
//! One structure for those who add up and for C: its texts are the header's.

/// What the library holds now and has done so far, in the whole process.
///
/// Each number that other threads are changing is correct for some instant during the call.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(non_camel_case_types)]
pub struct tls_stats_t {
    /// Set it to sizeof(tls_stats_t) before the call; the structure can grow in later versions.
    pub size: usize,
    /// Live keys.
    pub keys: u64,
    /// Dead keys with a value that is not destroyed yet.
    pub dead_keys: u64,
    /// Attached threads, and maps made by tls_map_create().
    pub maps: u64,
    /// Values in all maps and contexts, stale and shadowed ones included. A value whose destruction
    /// waits for a visitor is in no map: it counts as `stale` after the visit.
    pub entries: u64,
    /// Stale values, and values in contexts whose key is dead.
    pub stale: u64,
    /// Values destroyed because their key was dead, ever.
    pub expunged: u64,
    /// Destroy callbacks called for any reason, ever.
    pub destroyed: u64,
    /// Values given up after the fourth round of a thread's end, ever.
    pub leaked: u64,
    /// Tables made, rebuilt or swept in full, ever.
    pub rehashes: u64,
    /// The largest number of slots that an insert has looked at, ever.
    pub longest_probe: u64,
    /// Slots in all tables.
    pub capacity: u64,
    /// Bytes of memory that the library has allocated.
    pub bytes: u64,
    /// Attached threads whose end can't be detected, because no pthread key was left.
    pub unwatched: u64,
    /// Captured contexts that are not freed, those of waiting tasks included.
    pub contexts: u64,
    /// Tasks that ran without a scope, ever.
    pub unscoped: u64,
}
