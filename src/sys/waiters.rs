// SPDX-License-Identifier: MIT OR Apache-2.0
//! Threads that wait until nobody has a value under a key any more, with an end to it.
//!
//! The one who ends a value would have to wake them, at the cost of a fence in a
//! path that must be short, for something that happens once in a day. So the
//! word that says that there are waiters is looked at without any order: a
//! wake-up can be missed, and a waiter looks for itself every 10 ms.
//!
//! Waits go by the monotonic clock, so that nobody who sets the clock of the day
//! makes one longer or shorter. A `pthread_cond_t` learns of its clock from an
//! attribute, which no static initialiser takes: so the first who waits makes it,
//! with the lock held. Until then nobody waits, and there is nobody to wake.

use core::cell::UnsafeCell;
use core::ffi::c_int;
use core::mem::MaybeUninit;

use super::lock::Lock;
use super::sync::untracked::AtomicBool;
use super::sync::{AtomicU32, Ordering};

struct Condition(UnsafeCell<libc::pthread_cond_t>);

// SAFETY: The C library: a condition variable exists to be used by many
// threads.
unsafe impl Sync for Condition {}

/// Over the condition variable.
static LOCK: Lock = Lock::new();
static CHANGED: Condition = Condition(UnsafeCell::new(libc::PTHREAD_COND_INITIALIZER));
/// `CHANGED` was made. With the lock.
static MADE: AtomicBool = AtomicBool::new(false);
/// `Relaxed`: see the module's text.
static WAITERS: AtomicU32 = AtomicU32::new(0);

/// How long a waiter relies on being woken, in nanoseconds.
pub const PATIENCE: i64 = 10_000_000;

const SECOND: i64 = 1_000_000_000;

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

/// Nanoseconds on the clock that [`wait_until`] goes by.
pub fn now() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: The C library: this clock always exists; `time` is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec.saturating_mul(SECOND).saturating_add(time.tv_nsec)
}

/// Whether anybody waits.
#[inline(always)]
pub fn are_there() -> bool {
    WAITERS.load(Ordering::Relaxed) != 0
}

/// A record has left its key, or a key is over.
#[inline(always)]
pub fn wake() {
    if are_there() {
        wake_all();
    }
}

#[cold]
fn wake_all() {
    LOCK.with(|| {
        // In a model, those who wait look again whenever they get their turn.
        if !cfg!(modelled) && MADE.load(Ordering::Relaxed) {
            // SAFETY: It was made, and stays where it is.
            unsafe { libc::pthread_cond_broadcast(CHANGED.0.get()) };
        }
    });
}

/// Waits to be woken, or for this time on the clock of [`now`]. May return for no
/// reason.
///
/// Not a point where the thread can be cancelled: POSIX would end it with the lock
/// held, for ever.
pub fn wait_until(time: i64) {
    WAITERS.fetch_add(1, Ordering::Relaxed);
    #[cfg(modelled)]
    super::modelled::yield_now();
    #[cfg(not(modelled))]
    LOCK.with(|| {
        if !MADE.load(Ordering::Relaxed) {
            make();
        }
        let time = libc::timespec { tv_sec: time / SECOND, tv_nsec: time % SECOND };
        let mut before = 0;
        // SAFETY: The C library: a valid state; `before` is ours.
        unsafe { pthread_setcancelstate(CANCEL_DISABLE, &mut before) };
        // SAFETY: The lock is held, and the only one used with it; it was made.
        unsafe { libc::pthread_cond_timedwait(CHANGED.0.get(), LOCK.raw(), &time) };
        // SAFETY: The C library: the state that was; null: nobody asks.
        unsafe { pthread_setcancelstate(before, core::ptr::null_mut()) };
    });
    WAITERS.fetch_sub(1, Ordering::Relaxed);
}

fn make() {
    let mut attributes = MaybeUninit::<libc::pthread_condattr_t>::uninit();
    // SAFETY: The C library: it initialises the attributes and then the condition
    // variable, which nobody uses yet. With these arguments none of the four calls
    // fails, in glibc and in musl.
    unsafe {
        libc::pthread_condattr_init(attributes.as_mut_ptr());
        libc::pthread_condattr_setclock(attributes.as_mut_ptr(), libc::CLOCK_MONOTONIC);
        libc::pthread_cond_init(CHANGED.0.get(), attributes.as_ptr());
        libc::pthread_condattr_destroy(attributes.as_mut_ptr());
    }
    MADE.store(true, Ordering::Relaxed);
}

/// In the child of a fork: those who waited are not there. The condition variable
/// still counts them, and who wakes it would wait for them; so it is made anew at the
/// next wait.
///
/// Safety: the calling thread is the only one of its process, and does not wait.
pub(crate) unsafe fn reset() {
    // SAFETY: The caller's premise.
    unsafe { LOCK.reset() };
    MADE.store(false, Ordering::Relaxed);
    WAITERS.store(0, Ordering::Relaxed);
}
