// SPDX-License-Identifier: MIT OR Apache-2.0
//! An array that grows, of memory that may run out.
//!
//! Owners keep their records by age, their open scopes, the keys of a capture and the
//! notes of a report in it. Growing is a call of its own ([`Array::reserve`]), so that
//! what must not fail later can be provided for now. Nothing is freed by dropping it: a
//! callback may never return, and then its frame is gone.
//!
//! All zero is an empty array.

use core::mem::size_of;
use core::ptr::{null_mut, NonNull};

use super::memory::{self, OutOfMemory};
use super::sync::Cell;

const INITIAL_ROOM: u32 = 8;

/// An array of copies of `T`. One thread at a time uses it.
pub struct Array<T: Copy> {
    items: Cell<*mut T>,
    length: Cell<u32>,
    room: Cell<u32>,
}

impl<T: Copy> Array<T> {
    /// Nothing in it; allocates nothing.
    pub const fn new() -> Self {
        Self { items: Cell::new(null_mut()), length: Cell::new(0), room: Cell::new(0) }
    }

    /// How many items there are.
    pub fn len(&self) -> u32 {
        self.length.get()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the next [`push`](Self::push) needs no memory.
    pub fn has_room(&self) -> bool {
        self.length.get() < self.room.get()
    }

    /// Makes sure that there is room for `more` items. Errors: `OutOfMemory`; the array
    /// is as it was.
    pub fn reserve(&self, more: u32) -> Result<(), OutOfMemory> {
        self.reserve_guarded(more, |exchange| exchange())
    }

    /// [`reserve`](Self::reserve) of an array that other threads read with a lock: `guard`
    /// runs what it is given with that. Memory is allocated and freed outside of it.
    pub fn reserve_guarded(
        &self,
        more: u32,
        guard: impl FnOnce(&dyn Fn()),
    ) -> Result<(), OutOfMemory> {
        let length = self.length.get();
        let wanted = length.checked_add(more).ok_or(OutOfMemory)?;
        if wanted <= self.room.get() {
            return Ok(());
        }
        let room = self.room_for(wanted);
        let bytes = (room as usize).checked_mul(size_of::<T>()).ok_or(OutOfMemory)?;
        let larger = memory::allocate_bytes(bytes)?.cast::<T>().as_ptr();
        if length > 0 {
            // SAFETY: Both have room for as many, and lie apart.
            unsafe { core::ptr::copy_nonoverlapping(self.items.get(), larger, length as usize) };
        }
        let (old, old_room) = (self.items.get(), self.room.get());
        guard(&|| {
            self.items.set(larger);
            self.room.set(room);
        });
        // SAFETY: Made here with this room; nobody reads it any more.
        unsafe { Self::free_items(old, old_room) };
        Ok(())
    }

    /// The room that the array has, or will have when it has grown for so many items.
    pub fn room_for(&self, items: u32) -> u32 {
        match self.room.get() {
            room if items <= room => room,
            room => room.saturating_mul(2).max(items).max(INITIAL_ROOM),
        }
    }

    /// Takes the items of another array over, which is empty then. This one has no memory.
    pub fn take(&self, other: &Self) {
        debug_assert!(self.items.get().is_null());
        self.items.set(other.items.replace(null_mut()));
        self.length.set(other.length.replace(0));
        self.room.set(other.room.replace(0));
    }

    /// Adds an item. The caller has [reserved](Self::reserve) room for it.
    pub fn push(&self, item: T) {
        debug_assert!(self.has_room(), "reserve was not called");
        let length = self.length.get();
        // SAFETY: Below the room.
        unsafe { self.items.get().add(length as usize).write(item) };
        self.length.set(length + 1);
    }

    /// The item at an index, if there is one.
    pub fn get(&self, index: u32) -> Option<T> {
        // SAFETY: Below the length, so written.
        (index < self.length.get()).then(|| unsafe { self.items.get().add(index as usize).read() })
    }

    /// The item at an index.
    /// Safety: the index is below the length.
    #[inline(always)]
    pub(crate) unsafe fn get_unchecked(&self, index: usize) -> T {
        debug_assert!(index < self.length.get() as usize);
        // SAFETY: The caller: below the length, so written.
        unsafe { self.items.get().add(index).read() }
    }

    /// The items that are there now; those that go meanwhile are not met.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        (0..self.len()).map_while(|index| self.get(index))
    }

    /// Exchanges the item at an index below the length.
    pub fn set(&self, index: u32, item: T) {
        debug_assert!(index < self.length.get());
        // SAFETY: Below the length.
        unsafe { self.items.get().add(index as usize).write(item) };
    }

    /// Takes the last item out.
    pub fn pop(&self) -> Option<T> {
        let last = self.get(self.length.get().checked_sub(1)?)?;
        self.truncate(self.length.get() - 1);
        Some(last)
    }

    /// Takes the first items out; the others move up.
    pub fn remove_first(&self, number: u32) {
        // SAFETY: The slice is used here and now.
        unsafe { self.as_mut_slice() }.copy_within(number as usize.., 0);
        self.truncate(self.len() - number);
    }

    /// Forgets the items from an index on.
    pub fn truncate(&self, length: u32) {
        debug_assert!(length <= self.length.get());
        self.length.set(length);
    }

    /// The items, for as long as nobody changes the array.
    ///
    /// # Safety
    ///
    /// Nothing is pushed, set or freed while the slice is in use.
    #[allow(clippy::mut_from_ref)] // the caller's premise
    pub unsafe fn as_mut_slice(&self) -> &mut [T] {
        let first = NonNull::new(self.items.get()).unwrap_or(NonNull::dangling());
        // SAFETY: So many are written; the caller: nobody else uses them.
        unsafe { core::slice::from_raw_parts_mut(first.as_ptr(), self.length.get() as usize) }
    }

    /// Forgets all items, and frees the memory.
    pub fn free(&self) {
        self.length.set(0);
        let room = self.room.replace(0);
        // SAFETY: `reserve` allocated it with this room.
        unsafe { Self::free_items(self.items.replace(null_mut()), room) };
    }

    /// Gives the memory of an array back; null is nothing.
    /// Safety: allocated with this room, and not used again.
    unsafe fn free_items(items: *mut T, room: u32) {
        if let Some(items) = NonNull::new(items) {
            // SAFETY: The caller.
            unsafe { memory::free_bytes(items.cast(), room as usize * size_of::<T>()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_is_there_in_order_until_it_is_taken_out() {
        let array = Array::new();
        for number in 0..100u64 {
            array.reserve(1).expect("there is memory");
            array.push(number);
        }
        assert!((0..100).all(|index| array.get(index) == Some(u64::from(index))));
        array.set(10, 7);
        assert_eq!(array.pop(), Some(99));
        assert_eq!((array.len(), array.get(10), array.get(99)), (99, Some(7), None));
        array.free();
        assert!(array.is_empty() && array.pop().is_none());
    }

    #[test]
    fn room_that_cannot_be_had_is_an_error_and_changes_nothing() {
        let array = Array::<[u64; 512]>::new();
        assert!(array.reserve(u32::MAX).is_err());
        assert!(!array.has_room() && array.is_empty());
    }
}
