// SPDX-License-Identifier: MIT OR Apache-2.0
//! The words that two threads may touch, named once.
//!
//! Every other module imports them from here, so that a build for a model
//! checker (`--cfg modelled`, `sys::modelled`) replaces them in one place.
//! There each of them is watched, the plain cells too: which of two threads
//! comes first must be settled by an atomic or a lock.

pub use core::sync::atomic::{compiler_fence, Ordering};

#[cfg(not(modelled))]
pub use core::cell::Cell;
#[cfg(not(modelled))]
pub use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU16, AtomicU32, AtomicU64, AtomicU8, AtomicUsize,
};

#[cfg(modelled)]
pub use super::modelled::{
    AtomicBool, AtomicPtr, AtomicU16, AtomicU32, AtomicU64, AtomicU8, AtomicUsize, Cell,
};

/// The same words, for what no model checker needs to see: numbers that
/// nothing is decided by, and words that one thread alone touches.
pub mod untracked {
    pub use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};
}

/// Cells of one thread, or of the one who has a lock, that a report may read at any time:
/// it sees what one has or had. They cost their owner what a [`Cell`] costs. To a model
/// checker, which plays no reports, they are cells.
macro_rules! reported {
    ($($name:ident: $type:ty, $atomic:ident;)*) => { $(
        #[cfg(modelled)]
        #[doc = concat!("A `", stringify!($type), "` that reports may read.")]
        #[repr(transparent)]
        pub struct $name(Cell<$type>);
        #[cfg(not(modelled))]
        #[doc = concat!("A `", stringify!($type), "` that reports may read.")]
        #[repr(transparent)]
        pub struct $name($atomic);

        impl $name {
            /// What it has. For the owner, or with the lock.
            #[inline(always)]
            #[cfg_attr(modelled, track_caller)]
            pub fn get(&self) -> $type {
                #[cfg(modelled)]
                return self.0.get();
                // SAFETY: Nobody changes it meanwhile: the caller is the owner, or has the
                // lock. (A plain load, which can be joined to others.)
                #[cfg(not(modelled))]
                unsafe {
                    self.0.as_ptr().read()
                }
            }

            /// What it has, or had. For reports.
            pub fn glance(&self) -> $type {
                #[cfg(modelled)]
                return self.0.get();
                // Relaxed: a hint.
                #[cfg(not(modelled))]
                self.0.load(Ordering::Relaxed)
            }

            /// Changes it. As [`get`](Self::get).
            #[inline(always)]
            #[cfg_attr(modelled, track_caller)]
            pub fn set(&self, value: $type) {
                #[cfg(modelled)]
                return self.0.set(value);
                #[cfg(not(modelled))]
                self.0.store(value, Ordering::Relaxed);
            }
        }
    )* };
}

reported! {
    ReportedU8: u8, AtomicU8;
    ReportedU64: u64, AtomicU64;
}

/// Memory that is read and changed in turn by threads that are ordered by other
/// means: an `UnsafeCell` whose uses say which of the two they are.
#[repr(transparent)]
pub struct InTurn<T>(core::cell::UnsafeCell<T>);

impl<T> InTurn<T> {
    /// With this in it.
    pub const fn new(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }

    /// To be read.
    #[inline(always)]
    #[cfg_attr(modelled, track_caller)]
    pub fn read(&self) -> *const T {
        #[cfg(modelled)]
        super::modelled::reads(self.0.get() as usize);
        self.0.get()
    }

    /// To be changed.
    #[inline(always)]
    #[cfg_attr(modelled, track_caller)]
    pub fn write(&self) -> *mut T {
        #[cfg(modelled)]
        super::modelled::writes(self.0.get() as usize);
        self.0.get()
    }
}
