// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting: until nobody has a value under a key any more, or until nobody looks at
//! the thread's own.
//!
//! The first is for the owner of a plugin: once it has come to its end, no code of the
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
    let mut left = 0;
    let _ = wait(milliseconds, || {
        left = slot.outstanding(generation);
        (left == 0).then_some(())
    });
    Ok(left)
}

/// Does what is refused while the thread's value is visited, as soon as it is not.
/// Errors: `Timeout`; `Reentrant` inside a callback, which might
/// be the visitor; what else `attempt` says.
pub fn when_unvisited<T>(
    milliseconds: i32,
    mut attempt: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    if block::is_in_callback() {
        return Err(Error::Reentrant);
    }
    let done = wait(milliseconds, || match attempt() {
        Err(Error::Busy) => None,
        other => Some(other),
    });
    done.unwrap_or(Err(Error::Timeout))
}

/// Calls `look` until it has an answer, or the time has passed; for ever if that is
/// negative. Between the calls the thread waits, and can be cancelled.
fn wait<T>(milliseconds: i32, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = match milliseconds {
        ..0 => i64::MAX,
        _ => now().saturating_add(i64::from(milliseconds) * 1_000_000),
    };
    loop {
        if let Some(answer) = look() {
            return Some(answer);
        }
        let time = now();
        if time >= end {
            return None;
        }
        waiters::wait_until(end.min(time.saturating_add(waiters::PATIENCE)));
        // Here, with no lock held and nothing counted.
        cancellation_point();
    }
}
