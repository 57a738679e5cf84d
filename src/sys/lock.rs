// SPDX-License-Identifier: MIT OR Apache-2.0
//! A lock that can stand in a `static` and that tools understand.
//!
//! A `pthread_mutex_t` of the default kind. Every critical section in this
//! library is a few loads and stores: none allocates, calls a user's callback
//! or takes a second lock but in the order that `docs/architecture.md` gives.

use core::cell::{Cell, UnsafeCell};

/// How long somebody who only looks waits for locks.
pub enum Patience {
    /// Until each is free.
    Endless,
    /// So many times, for all locks together, until the others have had their turn. Those
    /// who have a lock may be stopped for ever, or be this very thread, in the middle.
    Turns(Cell<u32>),
}

impl Patience {
    /// For a report that waits for nobody: some milliseconds.
    pub const fn little() -> Self {
        Self::Turns(Cell::new(2_000))
    }
}

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

    /// [`with`](Self::with), if the lock can be had.
    pub fn with_patience<R>(&self, patience: &Patience, critical: impl FnOnce() -> R) -> Option<R> {
        let Patience::Turns(turns) = patience else { return Some(self.with(critical)) };
        while !self.try_acquire() {
            turns.set(turns.get().checked_sub(1)?);
            // SAFETY: The C library: no requirement. (Nobody is cancelled there, unlike
            // in a sleep: another lock may be held.) By number, like `write`: one symbol less.
            unsafe { libc::syscall(libc::SYS_sched_yield) };
        }
        let result = critical();
        // SAFETY: This thread locked it above.
        unsafe { self.release() };
        Some(result)
    }

    /// Takes the lock if it is free. In glibc and musl this is one compare-exchange of the
    /// lock's word, and may interrupt any other use of the lock.
    fn try_acquire(&self) -> bool {
        // Everybody in a model gives locks back.
        #[cfg(modelled)]
        {
            self.acquire();
            return true;
        }
        // SAFETY: Layout: as in `acquire`.
        #[cfg(not(modelled))]
        unsafe {
            libc::pthread_mutex_trylock(self.0.get()) == 0
        }
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
