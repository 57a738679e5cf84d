// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a program has registered for a thread: hooks of its end, and wakers.
//!
//! A hook is the thread's alone. Of wakers there is a list that never changes.
//!
//! # The problem
//!
//! A thread that releases a key wakes the owners of its values. It calls their wakers
//! without a lock, and by then the owner may have registered others, or ended.
//!
//! # The idea
//!
//! Registering makes a new list and puts it in the old one's place. The one who wakes
//! takes a share of the list with the map's lock, and drops it when it has called all.
//!
//! # Invariants
//!
//! 1. A list is filled before it is shown, and is not changed after.
//! 2. The map has a share of the list that it shows, and each who wakes one of the list
//!    that it found. The one who drops the last share frees the list.

use core::ffi::c_void;
use core::mem::offset_of;
use core::ptr::NonNull;

use crate::key::call::Call;
use crate::key::slot::KeySlot;
use crate::sys::array::Array;
use crate::sys::memory::{self, OutOfMemory};
use crate::sys::sync::{AtomicU32, Cell, Ordering};

/// A function that was registered, what it is called with, and the key that it belongs
/// to, or 0.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Hook {
    pub function: unsafe extern "C" fn(argument: *mut c_void),
    pub argument: *mut c_void,
    pub owner: u64,
}

/// A hook of a thread's end that waits; `None` when it was called.
#[derive(Clone, Copy)]
pub struct Waiting {
    /// What to call.
    pub hook: Option<Hook>,
    /// For the call of one that belongs to a key: memory may have run out by then.
    pub call: Option<NonNull<HookCall>>,
}

/// A call of hooks that belong to keys, in its thread's chain. All zero: none yet.
#[repr(C)]
pub struct HookCall {
    /// Its place in the chain.
    pub call: Call,
    /// The slot of the key whose hook runs, which has a pin for it; or null.
    pub owner: Cell<*const KeySlot>,
    /// A share of the wakers that are called, and how many were; null for a hook of a
    /// thread's end.
    pub wakers: Cell<*const Wakers>,
    /// See above.
    pub called: Cell<u32>,
}

impl HookCall {
    /// The one whose node in the chain of calls this is.
    pub(crate) fn of_call(call: &Call) -> NonNull<Self> {
        call.part_of(offset_of!(Self, call))
    }
}

/// One to be woken.
#[derive(Clone, Copy)]
pub struct Waker {
    /// What to call.
    pub hook: Hook,
    /// The next of this kind takes its place.
    pub replaceable: bool,
}

/// A list of wakers. All zero: empty, and nobody has a share.
pub struct Wakers {
    shares: AtomicU32,
    list: Array<Waker>,
}

/// A share of a list.
pub struct Share(NonNull<Wakers>);

impl Share {
    /// A list of these, `most` at most, with the caller's share. Errors: `OutOfMemory`.
    pub fn new(most: u32, wakers: impl Iterator<Item = Waker>) -> Result<Self, OutOfMemory> {
        let memory = memory::allocate::<Wakers>()?;
        // SAFETY: Just allocated, all zero, which is a valid one.
        let made = unsafe { memory.as_ref() };
        // Relaxed: nobody else has seen it.
        made.shares.store(1, Ordering::Relaxed);
        let share = Self(memory);
        match made.list.reserve(most) {
            Ok(()) => wakers.for_each(|waker| made.list.push(waker)),
            Err(error) => {
                share.drop_share();
                return Err(error);
            }
        }
        Ok(share)
    }

    fn list(&self) -> &Wakers {
        // SAFETY: It is there for as long as there is a share.
        unsafe { self.0.as_ref() }
    }

    /// Another share.
    pub fn share(&self) -> Self {
        // Relaxed: the caller has a share, and hands the new one on by its own means.
        self.list().shares.fetch_add(1, Ordering::Relaxed);
        Self(self.0)
    }

    /// The waker at an index.
    pub fn get(&self, index: u32) -> Option<Waker> {
        self.list().list.get(index)
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.list().list.len()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Waker> + Clone + '_ {
        (0..self.list().list.len()).filter_map(|index| self.get(index))
    }

    /// Drops the share.
    pub fn drop_share(self) {
        // AcqRel: what the others have read comes before the free.
        if self.list().shares.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.list().list.free();
            // SAFETY: `new` allocated it, and nobody has a share.
            unsafe { memory::free(self.0) };
        }
    }

    /// As a pointer, which [`from_pointer`](Self::from_pointer) takes back.
    pub fn into_pointer(self) -> *const Wakers {
        self.0.as_ptr()
    }

    /// The share that this pointer was, or none of null.
    ///
    /// # Safety
    ///
    /// It came from [`into_pointer`](Self::into_pointer), and is taken back once.
    pub unsafe fn from_pointer(pointer: *const Wakers) -> Option<Self> {
        NonNull::new(pointer.cast_mut()).map(Self)
    }
}
