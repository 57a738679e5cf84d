//! The entries of a map that a context captures: those of `INHERIT` keys.
//!
//! A capture must not look at all entries of a thread, only at these. They are
//! in an array of their own: a handful, and those of a task come last and go
//! first, so that a removal, which looks from the end, finds them at once.

use core::mem::size_of;
use core::ptr::{null_mut, NonNull};

use crate::key::holder::HolderPointer;
use crate::sys::memory::{self, OutOfMemory};
use crate::sys::sync::Cell;

/// Room in the first array.
const INITIAL_ROOM: usize = 8;

/// Records of entries of `INHERIT` keys, the oldest first. All zero: none.
pub(super) struct Inherited {
    records: Cell<*mut HolderPointer>,
    length: Cell<usize>,
    room: Cell<usize>,
}

impl Inherited {
    /// Makes sure that the next [`push`](Self::push) needs no memory.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`].
    pub(super) fn reserve(&self) -> Result<(), OutOfMemory> {
        if self.length.get() < self.room.get() {
            return Ok(());
        }
        let room = (self.room.get() * 2).max(INITIAL_ROOM);
        let bytes = room.checked_mul(size_of::<HolderPointer>()).ok_or(OutOfMemory)?;
        let larger = memory::allocate_bytes(bytes)?.cast::<HolderPointer>().as_ptr();
        if self.length.get() > 0 {
            // SAFETY: Both arrays have room for as many; they are apart.
            unsafe {
                core::ptr::copy_nonoverlapping(self.records.get(), larger, self.length.get());
            }
        }
        self.release();
        self.records.set(larger);
        self.room.set(room);
        Ok(())
    }

    /// Adds the youngest. The caller has [reserved](Self::reserve) room.
    pub(super) fn push(&self, holder: HolderPointer) {
        debug_assert!(self.length.get() < self.room.get(), "reserve was not called");
        // SAFETY: Below the room of the array.
        unsafe { self.records.get().add(self.length.get()).write(holder) };
        self.length.set(self.length.get() + 1);
    }

    /// Takes one out, wherever it is.
    pub(super) fn remove(&self, holder: HolderPointer) {
        let length = self.length.get();
        let Some(at) = (0..length).rev().find(|at| self.get(*at) == Some(holder)) else { return };
        for next in at + 1..length {
            // SAFETY: Both are below the length.
            unsafe {
                let moved = self.records.get().add(next).read();
                self.records.get().add(next - 1).write(moved);
            }
        }
        self.length.set(length - 1);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.length.get()
    }

    /// The one at an index, from the oldest on.
    pub(super) fn get(&self, index: usize) -> Option<HolderPointer> {
        if index >= self.length.get() {
            return None;
        }
        // SAFETY: Below the length, so written.
        Some(unsafe { self.records.get().add(index).read() })
    }

    fn release(&self) {
        if let Some(records) = NonNull::new(self.records.replace(null_mut())) {
            let bytes = self.room.replace(0) * size_of::<HolderPointer>();
            // SAFETY: `reserve` allocated it with this size; it is given up.
            unsafe { memory::free_bytes(records.cast(), bytes) };
        }
    }

    /// Frees the array of a map without entries.
    pub(super) fn release_memory(&self) {
        self.length.set(0);
        self.release();
    }
}
