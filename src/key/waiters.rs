//! Threads that wait until nobody has a value under a key any more.
//!
//! The one who ends a value would have to wake them, at the cost of a fence in a
//! path that must be short, for something that happens once in a day. So the
//! word that says that there are waiters is looked at without any order: a
//! wake-up can be missed, and a waiter looks for itself every 10 ms.

use crate::sys::condition::Condition;
use crate::sys::lock::Lock;
use crate::sys::sync::{AtomicU32, Ordering};

static LOCK: Lock = Lock::new();
static CHANGED: Condition = Condition::new();
/// `Relaxed`: see the module's text.
static WAITERS: AtomicU32 = AtomicU32::new(0);

/// How long a waiter relies on being woken, in nanoseconds.
pub const PATIENCE: i64 = 10_000_000;

/// A record has left its key, or a key is over.
#[inline(always)]
pub fn wake() {
    if WAITERS.load(Ordering::Relaxed) != 0 {
        wake_all();
    }
}

#[cold]
fn wake_all() {
    LOCK.with(|| CHANGED.notify_all());
}

/// Waits to be woken, or for this time on the clock of
/// [`now`](crate::sys::condition::now). May return for no reason.
pub fn wait_until(time: i64) {
    WAITERS.fetch_add(1, Ordering::Relaxed);
    LOCK.with(|| {
        // SAFETY: The lock is held, and the only one used with it.
        unsafe { CHANGED.wait_until(&LOCK, time) };
    });
    WAITERS.fetch_sub(1, Ordering::Relaxed);
}

/// In the child of a fork: those who waited are not there.
///
/// # Safety
///
/// The calling thread is the only one of its process, and does not wait.
pub unsafe fn reset() {
    // SAFETY: The caller's premise.
    unsafe { LOCK.reset() };
    CHANGED.reset();
    WAITERS.store(0, Ordering::Relaxed);
}
