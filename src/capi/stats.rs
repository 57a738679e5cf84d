// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the library holds and has done.

use core::ffi::c_int;

use super::{code, versioned, write_sized};
use crate::error::Error;
use crate::local::maps;
pub use crate::local::stats::tls_stats_t;
use crate::sys::block;
use crate::thread::fork;

versioned!(tls_stats_t:
    size, keys, dead_keys, maps, entries, stale, expunged, destroyed, leaked, rehashes,
    longest_probe, capacity, bytes, unwatched, contexts, unscoped,
);

/// Fills a structure with what the library holds now and has done so far.
///
/// The cost is O(keys that ever lived at once + attached threads).
///
/// @param[in,out] stats The structure, with its `size` set. That many bytes are filled; bytes that
///   this version does not know are filled with zeros.
///
/// Threads: any. Blocks: for as long as a thread takes to attach. Runs: nothing. Signals: not safe.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_INVALID stats is NULL, or its size is less than 8 or ends inside a member.
/// @retval TLS_ERR_REENTRANT Called inside a visitor of tls_for_each_locked().
/// @since 0.1.0
#[unsafe(export_name = "tlm_stats")]
pub unsafe extern "C" fn tls_stats(stats: *mut tls_stats_t) -> c_int {
    if stats.is_null() {
        return Error::Invalid.number();
    }
    if block::is_locked() {
        return Error::Reentrant.number();
    }
    fork::check();
    // SAFETY: Not null; the caller: as many bytes as it says.
    code(unsafe { write_sized(stats, &maps::collect()) })
}
