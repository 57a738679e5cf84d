//! Waiting for somebody else, with an end to it.

use core::cell::UnsafeCell;
use core::ffi::c_int;

use super::lock::Lock;
use super::sync::untracked::AtomicBool;
use super::sync::Ordering;

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
    // No thread of a model is cancelled.
    if !cfg!(modelled) {
        // SAFETY: The C library: no requirement.
        unsafe { pthread_testcancel() };
    }
}

/// A condition that threads wait for under a [`Lock`].
///
/// It goes by the monotonic clock, so that nobody who sets the clock of the day
/// makes a wait longer or shorter. A `pthread_cond_t` learns of its clock from
/// an attribute, which no static initialiser takes: so the first who waits makes
/// it, with the lock held. Until then nobody waits, and there is nobody to wake.
pub struct Condition {
    /// `condition` was made. Written under the lock.
    made: AtomicBool,
    condition: UnsafeCell<libc::pthread_cond_t>,
}

// SAFETY: The C library: a condition variable exists to be used by many
// threads.
unsafe impl Sync for Condition {}

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;

/// Nanoseconds on the clock that [`Condition::wait_until`] goes by.
pub fn now() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: The C library: this clock always exists; `time` is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec.saturating_mul(SECOND).saturating_add(time.tv_nsec)
}

impl Condition {
    /// A condition that nobody waits for.
    pub const fn new() -> Self {
        let condition = UnsafeCell::new(libc::PTHREAD_COND_INITIALIZER);
        Self { made: AtomicBool::new(false), condition }
    }

    /// Makes the condition variable. Safety: the calling thread has the lock.
    unsafe fn make(&self) {
        let mut attributes = core::mem::MaybeUninit::<libc::pthread_condattr_t>::uninit();
        // SAFETY: The C library: it initialises the attributes and then the
        // condition variable, which nobody uses yet. With these arguments none
        // of the four calls fails, in glibc and in musl.
        unsafe {
            libc::pthread_condattr_init(attributes.as_mut_ptr());
            libc::pthread_condattr_setclock(attributes.as_mut_ptr(), libc::CLOCK_MONOTONIC);
            libc::pthread_cond_init(self.condition.get(), attributes.as_ptr());
            libc::pthread_condattr_destroy(attributes.as_mut_ptr());
        }
        self.made.store(true, Ordering::Release);
    }

    /// In a forked process: nobody waits, the one who did in the process that it was
    /// forked from. The condition variable still counts those, and who wakes it
    /// would wait for them; so it is made anew at the next wait. No other thread
    /// of this process has used it.
    pub fn reset(&self) {
        self.made.store(false, Ordering::Relaxed);
    }

    /// Gives `lock` back, waits for [`notify_all`](Self::notify_all) or the
    /// time, and takes the lock again. May return for no reason.
    ///
    /// Not a point where the thread can be cancelled: POSIX would end it with
    /// the lock held, for ever.
    ///
    /// # Safety
    ///
    /// The calling thread has `lock`, and all who wait or wake use the same one.
    pub unsafe fn wait_until(&self, lock: &Lock, nanoseconds: i64) {
        #[cfg(modelled)]
        {
            // SAFETY: The caller has it.
            unsafe { lock.release() };
            super::modelled::yield_now();
            return lock.acquire();
        }
        if !self.made.load(Ordering::Relaxed) {
            // SAFETY: The caller has the lock.
            unsafe { self.make() };
        }
        let time = libc::timespec { tv_sec: nanoseconds / SECOND, tv_nsec: nanoseconds % SECOND };
        let mut before = 0;
        // SAFETY: The C library: a valid state; `before` is ours.
        unsafe { pthread_setcancelstate(CANCEL_DISABLE, &mut before) };
        // SAFETY: The caller has the lock; the condition variable was made.
        unsafe { libc::pthread_cond_timedwait(self.condition.get(), lock.raw(), &time) };
        // SAFETY: The C library: the state that was; null: nobody asks.
        unsafe { pthread_setcancelstate(before, core::ptr::null_mut()) };
    }

    /// Wakes all waiters. The calling thread has the lock that they wait under.
    pub fn notify_all(&self) {
        // In a model, those who wait look again whenever they get their turn.
        if !cfg!(modelled) && self.made.load(Ordering::Acquire) {
            // SAFETY: It was made, and stays where it is.
            unsafe { libc::pthread_cond_broadcast(self.condition.get()) };
        }
    }
}
