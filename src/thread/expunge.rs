// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stale values: expunging them, and waking those who can.

use super::hooks;
use crate::local::maps;
use crate::local::retire;
use crate::local::thread::Thread;

/// Destroys the thread's stale values, and has the owners of all others woken.
/// Returns how many it has destroyed.
pub fn expunge_all_threads(thread: Option<&Thread>) -> usize {
    let destroyed = thread.map_or(0, |thread| retire::expunge(thread, thread.map(), usize::MAX));
    wake_owners(thread);
    destroyed
}

/// Calls the wakers of every map that has stale values.
pub(super) fn wake_owners(thread: Option<&Thread>) {
    let mut last = u64::MAX;
    while let Some((number, wakers)) = maps::next_with_stale(last) {
        last = number;
        hooks::wake(thread, wakers);
    }
}
