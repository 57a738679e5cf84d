//! Draining: waiting until nobody has a value under a key any more.
//!
//! For the owner of a plugin: once this has come to its end, no code of the
//! plugin will be called for the key again, and it can be unloaded.

use crate::error::Error;
use crate::key::{self, handle};
use crate::local::retire;
use crate::local::thread::Thread;
use crate::sys::block;
use crate::sys::waiters::{self, cancellation_point, now};

/// Waits until no map and no context has a value under the key, dead or alive, and
/// every callback for it has returned; the thread's stale values are destroyed first.
/// Returns how many still have one: 0, unless the time has passed. Errors: `BadKey`;
/// `Reentrant` inside a callback, which might be waiting for itself.
pub fn drain(thread: Option<&Thread>, key: u64, milliseconds: i32) -> Result<u32, Error> {
    let slot = key::find(key)?;
    let generation = handle::generation(key);
    slot.check_past(generation)?;
    if block::is_in_callback() {
        return Err(Error::Reentrant);
    }
    if let Some(thread) = thread {
        retire::expunge(thread, thread.map(), usize::MAX);
    }
    let end = match milliseconds {
        ..0 => i64::MAX,
        _ => now().saturating_add(i64::from(milliseconds) * 1_000_000),
    };
    loop {
        let left = slot.outstanding(generation);
        let time = now();
        if left == 0 || time >= end {
            return Ok(left);
        }
        waiters::wait_until(end.min(time.saturating_add(waiters::PATIENCE)));
        // Here, with no lock held and nothing counted.
        cancellation_point();
    }
}
