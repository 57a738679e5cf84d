//! A lock that can stand in a `static` and that tools understand.
//!
//! A `pthread_mutex_t` of the default kind. Every critical section in this
//! library is a few loads and stores: none allocates, calls a user's callback
//! or takes a second lock but in the order that `docs/architecture.md` gives.

use core::cell::UnsafeCell;

/// A mutual exclusion lock.
pub struct Lock(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: The C library: a pthread mutex exists to be used by many threads.
unsafe impl Sync for Lock {}
// SAFETY: Nothing in it belongs to the thread that made it; it is moved only
// while unused, before it stands in its static.
unsafe impl Send for Lock {}

impl Lock {
    /// A lock that nobody holds.
    pub const fn new() -> Self {
        Self(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER))
    }

    /// Runs `critical` while holding the lock.
    ///
    /// `critical` must not unwind and must not take this lock again.
    #[cfg_attr(modelled, track_caller)]
    pub fn with<R>(&self, critical: impl FnOnce() -> R) -> R {
        self.acquire();
        let result = critical();
        // SAFETY: This thread locked it above.
        unsafe { self.release() };
        result
    }

    /// The C library's lock, for [`super::waiters`].
    pub(super) fn raw(&self) -> *mut libc::pthread_mutex_t {
        self.0.get()
    }

    /// Takes the lock, to be given back by [`release`](Self::release).
    #[cfg_attr(modelled, track_caller)]
    pub fn acquire(&self) {
        #[cfg(modelled)]
        return super::modelled::acquire(self.raw() as usize);
        // SAFETY: Layout: the mutex was initialised in `new` and never moved
        // since its first use. The default kind fails only for a thread that
        // holds it already, which no caller here does.
        #[cfg(not(modelled))]
        unsafe {
            libc::pthread_mutex_lock(self.0.get());
        }
    }

    /// Makes the lock anew in the child of a fork: who had it is not there.
    ///
    /// Safety: the calling thread is the only one of its process, and does not have
    /// it.
    pub(crate) unsafe fn reset(&self) {
        // SAFETY: The caller: nobody else looks at it.
        unsafe { self.0.get().write(libc::PTHREAD_MUTEX_INITIALIZER) };
    }

    /// Gives the lock back.
    ///
    /// Safety: the calling thread has it.
    pub(crate) unsafe fn release(&self) {
        #[cfg(modelled)]
        return super::modelled::release(self.raw() as usize);
        // SAFETY: The caller's premise.
        #[cfg(not(modelled))]
        unsafe {
            libc::pthread_mutex_unlock(self.0.get());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn increments_under_the_lock_are_not_lost() {
        static LOCK: Lock = Lock::new();
        static COUNT: AtomicU64 = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        LOCK.with(|| {
                            let seen = COUNT.load(Ordering::Relaxed);
                            COUNT.store(seen + 1, Ordering::Relaxed);
                        });
                    }
                });
            }
        });
        assert_eq!(COUNT.load(Ordering::Relaxed), 4000);
    }
}
