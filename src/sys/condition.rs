//! Waiting for somebody else, with an end to it.

use core::cell::UnsafeCell;

use super::lock::Lock;

/// A condition that threads wait for under a [`Lock`].
pub struct Condition(UnsafeCell<libc::pthread_cond_t>);

// SAFETY: The C library: a condition variable exists to be used by many
// threads.
unsafe impl Sync for Condition {}

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;

/// Nanoseconds on the clock that [`Condition::wait_until`] goes by.
#[must_use]
pub fn now() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: The C library: this clock always exists; `time` is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut time) };
    time.tv_sec.saturating_mul(SECOND).saturating_add(time.tv_nsec)
}

impl Condition {
    /// A condition that nobody waits for.
    #[must_use]
    pub const fn new() -> Self {
        Self(UnsafeCell::new(libc::PTHREAD_COND_INITIALIZER))
    }

    /// Gives `lock` back, waits for [`notify_all`](Self::notify_all) or the
    /// time, and takes the lock again. May return for no reason.
    ///
    /// # Safety
    ///
    /// The calling thread has `lock`, and all waiters use the same one.
    pub unsafe fn wait_until(&self, lock: &Lock, nanoseconds: i64) {
        let time = libc::timespec { tv_sec: nanoseconds / SECOND, tv_nsec: nanoseconds % SECOND };
        // SAFETY: The caller has the lock; both were initialised statically.
        unsafe { libc::pthread_cond_timedwait(self.0.get(), lock.raw(), &time) };
    }

    /// Wakes all waiters.
    pub fn notify_all(&self) {
        // SAFETY: Initialised statically.
        unsafe { libc::pthread_cond_broadcast(self.0.get()) };
    }
}

impl Default for Condition {
    fn default() -> Self {
        Self::new()
    }
}
