// SPDX-License-Identifier: MIT OR Apache-2.0
//! A call of this library that is calling back, in its thread's chain.
//!
//! A callback may never return: its thread may end inside it, or the process
//! may fork. The frames between are gone then, or are another process's. So what
//! such a call has still to do is not in its frame. Each call in progress is a node
//! of one chain, the innermost first, and the node is part of what the call is
//! about: the slot that is released, the visit, the context. The thread's exit
//! recovers the chain in one loop, and so does the child of a fork.
//!
//! ```text
//!   thread.calls --> [UserFree: slot 7] --outer--> [Visit] --outer--> [Release: slot 3] --> null
//! ```
//!
//! (A destroy or an init callback is not in the chain: the state of its record
//! says that it runs. Hooks that wait are in their own list.)

use core::ptr::NonNull;

use crate::sys::sync::Cell;

/// What a call in progress does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CallKind {
    /// Releases the last reference of a key: other maps are to be woken.
    Release = 0,
    /// Runs the key's `user_free`: the slot is to be closed.
    UserFree = 1,
    /// Goes over all values of a key.
    Visit = 2,
    /// Makes or frees a context.
    Context = 3,
    /// Runs a hook, or wakes.
    Hook = 4,
    /// Looks at all values of a key at one instant: locks are held.
    Locked = 5,
}

/// A node of the chain. All zero: in no chain.
#[repr(C)]
pub struct Call {
    outer: Cell<*const Call>,
    kind: Cell<CallKind>,
}

impl Call {
    /// Enters the chain as the innermost call.
    pub fn begin(&self, chain: &Cell<*const Call>, kind: CallKind) {
        self.kind.set(kind);
        self.outer.set(chain.get());
        chain.set(self);
    }

    /// Leaves the chain: the innermost call.
    pub fn end(&self, chain: &Cell<*const Call>) {
        debug_assert!(core::ptr::eq(chain.get(), self), "calls end in the reverse order");
        chain.set(self.outer.get());
    }

    /// What it does.
    pub fn kind(&self) -> CallKind {
        self.kind.get()
    }

    /// The next call further out on the same thread.
    pub fn outer(&self) -> *const Call {
        self.outer.get()
    }

    /// What this call is part of, if it is so many bytes behind the start of a `T`.
    pub(crate) fn part_of<T>(&self, offset: usize) -> NonNull<T> {
        let whole = core::ptr::from_ref(self).wrapping_byte_sub(offset);
        // SAFETY: It is part of one, so not null.
        unsafe { NonNull::new_unchecked(whole.cast_mut().cast()) }
    }
}
