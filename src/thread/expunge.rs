//! Stale values: expunging them, and waking those who can.

use core::ffi::c_void;

use super::keys::wake;
use crate::error::Error;
use crate::local::inbox::Waker;
use crate::local::maps;
use crate::local::retire;
use crate::local::thread::Thread;

/// Destroys the thread's stale values, and has the owners of all others woken.
/// Returns how many it has destroyed.
pub fn expunge_all_threads(thread: Option<&Thread>) -> usize {
    let destroyed = thread.map_or(0, |thread| retire::expunge(thread, thread.map(), usize::MAX));
    let mut last = u64::MAX;
    while let Some((number, waker)) = maps::next_with_stale(last) {
        last = number;
        wake(waker);
    }
    destroyed
}

/// Has `notify` called whenever the thread's inbox becomes non-empty. Errors:
/// `Exiting`.
pub fn on_stale(
    thread: &Thread,
    notify: Option<unsafe extern "C" fn(argument: *mut c_void)>,
    argument: *mut c_void,
) -> Result<(), Error> {
    thread.check_open()?;
    thread.own_map().inbox.set_waker(Waker { notify, argument });
    Ok(())
}
