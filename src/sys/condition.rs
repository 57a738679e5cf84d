//! Waiting for somebody else, with an end to it.

use core::cell::UnsafeCell;
use core::ffi::c_int;

use super::lock::Lock;

/// The number of "not now" in `pthread_setcancelstate`, in glibc and musl.
const CANCEL_DISABLE: c_int = 1;

// POSIX; the libc crate does not have them on Linux.
extern "C" {
    fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
    fn pthread_testcancel();
}

/// Ends the calling thread here if it has been cancelled and lets it happen
/// (POSIX, `pthread_testcancel`). The caller has no lock.
pub fn cancellation_point() {
    if cfg!(modelled) {
        // No thread of a model is cancelled.
        return;
    }
    // SAFETY: The C library: no requirement.
    unsafe { pthread_testcancel() };
}

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
    /// Not a point where the thread can be cancelled: POSIX would end it with
    /// the lock held, for ever.
    ///
    /// # Safety
    ///
    /// The calling thread has `lock`, and all waiters use the same one.
    pub unsafe fn wait_until(&self, lock: &Lock, nanoseconds: i64) {
        #[cfg(modelled)]
        {
            // SAFETY: The caller has it.
            unsafe { lock.release() };
            super::modelled::yield_now();
            return lock.acquire();
        }
        let time = libc::timespec { tv_sec: nanoseconds / SECOND, tv_nsec: nanoseconds % SECOND };
        let mut before = 0;
        // SAFETY: The C library: a valid state; `before` is ours.
        unsafe { pthread_setcancelstate(CANCEL_DISABLE, &mut before) };
        // SAFETY: The caller has the lock; both were initialised statically.
        unsafe { libc::pthread_cond_timedwait(self.0.get(), lock.raw(), &time) };
        // SAFETY: The C library: the state that was; null: nobody asks.
        unsafe { pthread_setcancelstate(before, core::ptr::null_mut()) };
    }

    /// Wakes all waiters.
    pub fn notify_all(&self) {
        if cfg!(modelled) {
            // Those who wait look again whenever they get their turn.
            return;
        }
        // SAFETY: Initialised statically.
        unsafe { libc::pthread_cond_broadcast(self.0.get()) };
    }
}

impl Default for Condition {
    fn default() -> Self {
        Self::new()
    }
}
