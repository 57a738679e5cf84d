// SPDX-License-Identifier: MIT OR Apache-2.0
//! A captured context: an array of handles and copied values.
//!
//! A context belongs to no thread. After the capture it changes no more until it is
//! freed, so any number of threads may read it. Each of its values has a pin of its key's
//! slot: the key's callbacks stay, its `user_free` waits, and a drain counts it.

use core::ffi::c_void;
use core::mem::offset_of;
use core::ptr::NonNull;

use crate::key::call::Call;
use crate::key::handle;
use crate::key::slot::KeySlot;
use crate::sys::array::Array;
use crate::sys::sync::Cell;

/// What a task does.
pub type TaskFunction = unsafe extern "C" fn(argument: *mut c_void);

/// A captured value: the copy, its key, and the key's slot, which it has a pin of.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Item {
    pub key: u64,
    pub value: *mut c_void,
    pub slot: &'static KeySlot,
}

impl Item {
    /// Whether its key has died.
    pub fn is_stale(&self) -> bool {
        self.slot.check(handle::generation(self.key)).is_err()
    }
}

/// A captured context. All zero: nothing in it.
#[repr(C)]
pub struct Context {
    /// Links of the list of all contexts ([`super::maps`]), which has it from the
    /// end of its capture until its values go.
    pub links: (Cell<*mut Context>, Cell<*mut Context>),
    /// As a map's.
    pub number: Cell<u64>,
    /// In the chain of the thread that makes or frees it.
    pub call: Call,
    /// What was captured, the oldest first.
    pub items: Array<Item>,
    /// While it is made: the keys to capture, the oldest first.
    pub keys: Array<u64>,
    /// While it is made: a pin for the value that is being copied.
    pub copying: Cell<*const KeySlot>,
    /// While it is made: the key that is kept alive while its value is copied.
    pub joined: Cell<*const KeySlot>,
    /// While it is made: the record that is marked meanwhile.
    pub marked: Cell<*mut super::record::Record>,
    /// What a task does in it, if it is a task's.
    pub function: Cell<Option<TaskFunction>>,
    /// What with.
    pub argument: Cell<*mut c_void>,
}

/// A context that somebody has.
pub type ContextPointer = NonNull<Context>;

impl Context {
    /// The context whose [`call`](Self::call) this is.
    pub fn of_call(call: &Call) -> ContextPointer {
        call.part_of(offset_of!(Self, call))
    }

    /// How many values it has, and how many of them are stale. With the lock of
    /// the list of contexts.
    pub fn count(&self) -> (u64, u64) {
        let stale = self.items.iter().filter(Item::is_stale).count();
        (u64::from(self.items.len()), stale as u64)
    }

    /// How many values of a key it has. As [`count`](Self::count).
    pub fn count_of(&self, key: u64) -> usize {
        self.items.iter().filter(|item| item.key == key).count()
    }
}
