//! Waiting until nobody has a value under a key any more.
//!
//! For the owner of a plugin: once this has come to its end, no code of the
//! plugin will be called for the key again, and it can be unloaded.
//!
//! Whoever ends a value would have to tell the waiters, at the cost of a fence
//! in a path that must be short, for something that happens once in a day. So
//! the word that says that there are waiters is looked at without any order:
//! a wake-up can be missed, and a waiter looks for itself every 10 ms.

use super::record;
use super::stale::expunge;
use crate::error::Error;
use crate::key::{self, handle};
use crate::sys::condition::{cancellation_point, now, Condition};
use crate::sys::lock::Lock;
use crate::sys::sync::{AtomicU32, Ordering};

/// How long a waiter relies on being woken, in nanoseconds.
const PATIENCE: i64 = 10_000_000;

static LOCK: Lock = Lock::new();
static CHANGED: Condition = Condition::new();
/// `Relaxed`: see the module's text.
static WAITERS: AtomicU32 = AtomicU32::new(0);

/// A record has left its key, or a key has come to its end.
#[inline]
pub(super) fn changed() {
    if WAITERS.load(Ordering::Relaxed) != 0 {
        wake();
    }
}

#[cold]
fn wake() {
    LOCK.with(|| CHANGED.notify_all());
}

/// Waits until no map has a value under the key, dead or alive, and every
/// callback for it has returned; the calling thread's stale values are ended
/// first. Returns how many maps still have one: 0, unless the time was up.
///
/// # Errors
///
/// [`Error::BadKey`]; [`Error::Reentrant`] inside a callback, which might be
/// waiting for itself.
pub fn drain(key: u64, milliseconds: i32) -> Result<u32, Error> {
    let slot = key::find(key)?;
    let generation = handle::generation(key);
    if generation > slot.generation() {
        return Err(Error::BadKey);
    }
    if record::current().is_some_and(|thread| thread.callback_depth.get() > 0) {
        return Err(Error::Reentrant);
    }
    expunge();
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
        wait_until(end.min(time.saturating_add(PATIENCE)));
        // Here, with no lock held and nothing counted.
        cancellation_point();
    }
}

fn wait_until(time: i64) {
    WAITERS.fetch_add(1, Ordering::Relaxed);
    LOCK.with(|| {
        // SAFETY: The lock is held, and the only one used with it.
        unsafe { CHANGED.wait_until(&LOCK, time) };
    });
    WAITERS.fetch_sub(1, Ordering::Relaxed);
}

/// Takes the lock over the waiting, for a fork.
pub(super) fn lock_for_fork() {
    LOCK.acquire();
}

/// Gives the lock over the waiting back.
///
/// # Safety
///
/// The calling thread has it from [`lock_for_fork`], in this process or in the
/// one that it was forked from.
pub(super) unsafe fn unlock_after_fork() {
    // SAFETY: The caller's premise.
    unsafe { LOCK.release() };
}

/// In a forked process: those who waited are not here.
pub(super) fn forget_waiters() {
    WAITERS.store(0, Ordering::Relaxed);
}
