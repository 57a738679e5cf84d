// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table's memory: entries, and behind them the numbers of the owner's records.
//!
//! ```text
//!   one allocation, zeroed:
//!   +--------------------------+---------------------+
//!   | Entry[capacity], 16 each | R[capacity]         |
//!   +--------------------------+---------------------+
//!   ^ table                    ^ table + capacity
//! ```
//!
//! Hits touch only the first part: four entries share a cache line.
//!
//! # The order of stores
//!
//! A signal handler on the owning thread may look a key up between any two stores. So an
//! entry is written value first and key last; cleared key first and value last; and one
//! that changes from one key to another is [`Entry::reserved`] in between, so that no key
//! is ever seen with another key's value, and no number that is not a key is seen with
//! any. The compiler is kept from reordering them; the processor does not reorder a
//! thread's stores before its own handler's eyes.

use core::ffi::c_void;
use core::marker::PhantomData;
use core::mem::{align_of, size_of};
use core::ptr::NonNull;

use super::{Entry, OutOfMemory, Removed, View};
use crate::sys::memory;
use crate::sys::sync::{compiler_fence, Ordering};

/// Looks `key` up where `view` points: its distance from the first entry, in bytes, if it
/// has an entry. Reads entries only, so a signal handler may call it on its own thread's
/// hot slot at any moment.
#[inline(always)]
pub fn find(view: View, key: u64) -> Option<usize> {
    let mut distance = key as usize & view.mask;
    loop {
        // SAFETY: Masked. The view is the hot slot's or the map's own, and the
        // entry is looked at here and now.
        let entry = unsafe { view.entry(distance) };
        match entry.key.load(Ordering::Relaxed) {
            found if found == key && key != 0 => return Some(distance),
            0 => return None,
            _ => distance = (distance + size_of::<Entry>()) & view.mask,
        }
    }
}

/// The memory of one table.
pub(super) struct Table<R: Copy> {
    entries: *mut Entry,
    capacity: usize,
    records: PhantomData<R>,
}

impl<R: Copy> Table<R> {
    pub(super) const fn none() -> Self {
        Self { entries: core::ptr::null_mut(), capacity: 0, records: PhantomData }
    }

    /// A table of `capacity` empty entries, a power of two.
    pub(super) fn allocate(capacity: usize) -> Result<Self, OutOfMemory> {
        const { assert!(align_of::<R>() <= size_of::<Entry>()) };
        debug_assert!(capacity.is_power_of_two());
        debug_assert!(capacity > 1, "`Entry::reserved` has another home than its own");
        let bytes = capacity.checked_mul(Self::SLOT).ok_or(OutOfMemory)?;
        let entries = memory::allocate_bytes(bytes)?.cast().as_ptr();
        Ok(Self { entries, capacity, records: PhantomData })
    }

    /// Bytes that one slot takes in both parts.
    const SLOT: usize = size_of::<Entry>() + size_of::<R>();

    pub(super) const fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn view(&self) -> View {
        if self.capacity == 0 {
            return View::empty();
        }
        View::new(self.entries, self.capacity)
    }

    /// Where a walk for `key` starts.
    pub(super) const fn home(&self, key: u64) -> usize {
        (key as usize / size_of::<Entry>()) & (self.capacity - 1)
    }

    pub(super) const fn next(&self, position: usize) -> usize {
        (position + 1) & (self.capacity - 1)
    }

    pub(super) const fn previous(&self, position: usize) -> usize {
        position.wrapping_sub(1) & (self.capacity - 1)
    }

    /// Steps from one position forward to another, around the end if need be.
    pub(super) const fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & (self.capacity - 1)
    }

    /// The positions from one on, up to the end of its run.
    pub(super) fn run(&self, position: usize) -> impl Iterator<Item = usize> + '_ {
        let from = core::iter::successors(Some(position), |position| Some(self.next(*position)));
        from.take_while(|position| self.key(*position) != 0)
    }

    fn entry(&self, position: usize) -> &Entry {
        debug_assert!(position < self.capacity);
        // SAFETY: Layout: positions come from `home`, `next` and `previous`,
        // whose mask keeps them below the capacity.
        unsafe { &*self.entries.add(position) }
    }

    fn record_place(&self, position: usize) -> *mut R {
        debug_assert!(position < self.capacity);
        // SAFETY: Layout: the records start where the entries end, inside the
        // same allocation (see the picture above).
        unsafe { self.entries.add(self.capacity).cast::<R>().add(position) }
    }

    pub(super) fn key(&self, position: usize) -> u64 {
        self.entry(position).key.load(Ordering::Relaxed)
    }

    pub(super) fn value(&self, position: usize) -> *mut c_void {
        self.entry(position).value.load(Ordering::Relaxed)
    }

    pub(super) fn set_value(&self, position: usize, value: *mut c_void) {
        self.entry(position).value.store(value, Ordering::Relaxed);
    }

    pub(super) fn record(&self, position: usize) -> R {
        debug_assert_ne!(self.key(position), 0, "an empty entry has no record");
        // SAFETY: Layout: `write` filled the record of every entry in use.
        unsafe { *self.record_place(position) }
    }

    pub(super) fn read(&self, at: usize) -> Removed<R> {
        Removed { key: self.key(at), value: self.value(at), record: self.record(at) }
    }

    /// Fills an entry, whatever it held.
    pub(super) fn write(&mut self, position: usize, key: u64, value: *mut c_void, record: R) {
        if self.key(position) != key {
            return self.fill(position, key, value, record);
        }
        self.set_value(position, value);
        // SAFETY: Layout: the place is inside the allocation, `R` is `Copy`,
        // and `&mut self` says that nobody else writes records.
        unsafe { self.record_place(position).write(record) };
    }

    /// Fills an entry that was not this key's.
    #[inline(always)]
    pub(super) fn fill(&mut self, position: usize, key: u64, value: *mut c_void, record: R) {
        let (entry, place) = (self.entry(position), self.record_place(position));
        entry.key.store(Entry::reserved(position), Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        // SAFETY: As in `write`.
        unsafe { place.write(record) };
        entry.value.store(value, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        entry.key.store(key, Ordering::Relaxed);
    }

    /// Takes an entry's value, and leaves a word that no look-up finds but
    /// that keeps its home. For other threads than the owner, too, if they
    /// have the lock under which the owner moves entries: a look-up of the
    /// owner's sees the entry as it was, or as it is, or its key with null.
    pub(super) fn vacate(&self, position: usize) -> *mut c_void {
        let entry = self.entry(position);
        let key = entry.key.load(Ordering::Relaxed);
        // The value first: a signal handler must not find it under the word.
        let value = entry.value.swap(core::ptr::null_mut(), Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        entry.key.store(Entry::vacated(key), Ordering::Relaxed);
        value
    }

    /// [`vacate`](Self::vacate) that leaves the value: a look-up of the owner's that has
    /// just found the key gets it still.
    pub(super) fn hide(&self, position: usize) {
        let key = &self.entry(position).key;
        key.store(Entry::vacated(key.load(Ordering::Relaxed)), Ordering::Relaxed);
    }

    /// Makes an entry unfindable, but keeps walks going over it.
    pub(super) fn close(&mut self, position: usize) {
        self.entry(position).key.store(Entry::reserved(position), Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
    }

    /// Empties an entry. Nothing may need it to be reached.
    pub(super) fn clear(&mut self, position: usize) {
        let entry = self.entry(position);
        entry.value.store(core::ptr::null_mut(), Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        entry.key.store(0, Ordering::Relaxed);
    }

    /// Copies an entry to a place that its walk passes, then leaves the old
    /// copy behind for the caller to overwrite or clear.
    pub(super) fn copy(&mut self, from: usize, to: usize) {
        let Removed { key, value, record } = self.read(from);
        self.write(to, key, value, record);
    }

    /// Fills the first empty entry of `key`'s run; says where.
    #[inline(always)]
    pub(super) fn insert_absent(&mut self, entry: Removed<R>) -> usize {
        let mut position = self.home(entry.key);
        while self.key(position) != 0 {
            position = self.next(position);
        }
        self.write(position, entry.key, entry.value, entry.record);
        position
    }
}

impl<R: Copy> Drop for Table<R> {
    fn drop(&mut self) {
        let bytes = self.capacity * Self::SLOT;
        if let Some(entries) = NonNull::new(self.entries) {
            // SAFETY: `allocate` made it with the same number of bytes; this
            // is the only `Table` that has it.
            unsafe { memory::free_bytes(entries.cast(), bytes) };
        }
    }
}

/// The owner's record at a distance that [`find`] returned for this view.
///
/// Safety: `view` is that of a [`ThreadLocalMap<R>`](super::ThreadLocalMap), and
/// the entry at `distance` is in use.
#[inline(always)]
pub(crate) unsafe fn record_at<R: Copy>(view: View, distance: usize) -> R {
    let position = distance / size_of::<Entry>();
    // SAFETY: Layout: see the picture in the module's text; the caller says that the table is
    // one of `R` and that the record was written.
    unsafe { *view.table.byte_add(view.mask).add(1).cast::<R>().add(position) }
}
