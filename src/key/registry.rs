// SPDX-License-Identifier: MIT OR Apache-2.0
//! All slots of the process: found by index, taken and given back.
//!
//! ```text
//!   first:          slots 0 .. 63          in the registry itself
//!   chunks:  [0] -> slots 64 .. 79         made when first needed: four as large as
//!            ...                           all before them together, then four of
//!            [3] -> slots 112 .. 127       twice the size, and so on;
//!            [4] -> slots 128 .. 159       never moved and never freed
//!            ...
//!   issued:  how many slots have ever been in use
//!   free:    tag | index + 1  -> slot.next_free -> ... -> 0
//! ```
//!
//! Slots never move, so a handle leads to its slot without a lock, and a
//! thread that was delayed in the middle of the free list reads a stale link
//! at worst, never freed memory. The *tag* goes up with every change of the
//! list's head, so that such a thread's compare-exchange fails.
//!
//! The latest freed slot is used first: ids stay dense and warm.

use core::mem::size_of;
use core::ptr::null_mut;

use super::options::KeyOptions;
use super::slot::KeySlot;
use super::{handle, name};
use crate::error::Error;
use crate::sys::memory;
use crate::sys::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sys::sync::{AtomicPtr, AtomicU32, AtomicU64};

/// Slots in the registry itself; every four chunks double what there is. A program
/// with fewer keys allocates nothing for them.
const FIRST_SLOTS: u32 = 64;
/// Four chunks of 16, of 32, ... of 2^29: with the first slots all of 2^32.
const CHUNKS: usize = 4 * 26;
/// One less than 2^32 - 1, because the free list stores index + 1.
const MOST_SLOTS: u32 = u32::MAX - 1;

/// The slots of a process.
pub struct Registry {
    first: [KeySlot; FIRST_SLOTS as usize],
    chunks: [AtomicPtr<KeySlot>; CHUNKS],
    issued: AtomicU32,
    free: AtomicU64,
}

/// The chunk of a slot behind the first ones, the chunk's size, and the slot's
/// offset in it.
const fn locate(index: u32) -> (usize, u32, u32) {
    let size_bits = index.ilog2() - 2;
    let (size, fours) = (1 << size_bits, size_bits + 2 - FIRST_SLOTS.ilog2());
    // The two bits behind the highest say which of the four.
    (4 * fours as usize + (index >> size_bits) as usize - 4, size, index % size)
}

impl Registry {
    /// A registry without slots.
    pub const fn new() -> Self {
        Self {
            first: [const { KeySlot::new() }; FIRST_SLOTS as usize],
            chunks: [const { AtomicPtr::new(null_mut()) }; CHUNKS],
            issued: AtomicU32::new(0),
            free: AtomicU64::new(0),
        }
    }

    /// The slot with an index below `issued`.
    #[inline]
    pub fn slot(&self, index: u32) -> &KeySlot {
        match self.first.get(index as usize) {
            Some(slot) => slot,
            None => self.slot_in_chunk(index),
        }
    }

    #[inline(never)]
    fn slot_in_chunk(&self, index: u32) -> &KeySlot {
        let (chunk, _, offset) = locate(index);
        // Acquire: with the Release that published the zeroed chunk.
        let slots = self.chunks[chunk].load(Acquire);
        debug_assert!(!slots.is_null());
        // SAFETY: Layout: an index below `issued` has its chunk, which is as
        // large as `locate` says and lives as long as the registry.
        unsafe { &*slots.add(offset as usize) }
    }

    /// The slot that a handle names, whatever its state. Errors: `BadKey` for a number
    /// that was never a key.
    pub fn find(&self, key: u64) -> Result<&KeySlot, Error> {
        let index = handle::index(key);
        // Acquire: with the Release in `fresh`: below it, the chunk is there.
        if handle::generation(key) < handle::FIRST_GENERATION || index >= self.issued.load(Acquire)
        {
            return Err(Error::BadKey);
        }
        Ok(self.slot(index))
    }

    /// A slot that no key is in: the caller's, for [`create_in`](Self::create_in) or
    /// [`release_slot`](Self::release_slot). Errors: `NoMemory`, `Limit`.
    pub fn acquire_slot(&self) -> Result<&KeySlot, Error> {
        self.pop_free().map_or_else(|| self.fresh(), Ok).map(|index| self.slot(index))
    }

    /// Makes a key with one reference in a free slot that the caller has. Errors:
    /// `NoMemory`; the slot is then still the caller's.
    #[inline(always)]
    pub fn create_in(&self, slot: &KeySlot, options: &KeyOptions) -> Result<u64, Error> {
        // SAFETY: The caller of the C API: the name is null or terminated.
        let name = unsafe { name::copy(options.name) }?;
        // SAFETY: The caller alone has the slot; the name was just made.
        Ok(unsafe { slot.open(options, name) })
    }

    fn fresh(&self) -> Result<u32, Error> {
        let mut issued = self.issued.load(Relaxed);
        loop {
            if issued >= MOST_SLOTS {
                return Err(Error::Limit);
            }
            self.ensure_chunk(issued)?;
            // Release: the one who sees the larger count sees the chunk.
            match self.issued.compare_exchange_weak(issued, issued + 1, Release, Relaxed) {
                Ok(_) => {
                    // SAFETY: This thread alone has got this index.
                    unsafe { self.slot(issued).number(issued) };
                    return Ok(issued);
                }
                Err(now) => issued = now,
            }
        }
    }

    fn ensure_chunk(&self, index: u32) -> Result<(), Error> {
        if index < FIRST_SLOTS {
            return Ok(());
        }
        let (chunk, size, _) = locate(index);
        if !self.chunks[chunk].load(Acquire).is_null() {
            return Ok(());
        }
        let bytes = size as usize * size_of::<KeySlot>();
        let made = memory::allocate_bytes(bytes)?;
        // Release: the one who sees the pointer sees zeroed slots. Acquire on
        // failure: this thread then uses the winner's.
        let published =
            self.chunks[chunk].compare_exchange(null_mut(), made.cast().as_ptr(), Release, Acquire);
        if published.is_err() {
            // SAFETY: Another thread was first; nobody has seen ours.
            unsafe { memory::free_bytes(made, bytes) };
        }
        Ok(())
    }

    fn pop_free(&self) -> Option<u32> {
        // Acquire: with the Release in `release_slot`: the slot's last user is
        // through with it.
        let mut head = self.free.load(Acquire);
        loop {
            let index = (head as u32).checked_sub(1)?;
            let next = self.slot(index).next_free.load(Relaxed);
            // If the slot was taken and given back since, `next` may be
            // wrong, but then the tag has changed and this fails.
            let next = Self::head(head, next);
            match self.free.compare_exchange_weak(head, next, Acquire, Acquire) {
                Ok(_) => return Some(index),
                Err(now) => head = now,
            }
        }
    }

    /// Puts a recycled slot on the list of free ones.
    pub fn release_slot(&self, slot: &KeySlot) {
        let mut head = self.free.load(Relaxed);
        loop {
            slot.next_free.store(head as u32, Relaxed);
            let first = Self::head(head, slot.index() + 1);
            // Release: with the Acquire in `pop_free`, which also goes through
            // every later exchange (they are all read-modify-writes).
            match self.free.compare_exchange_weak(head, first, Release, Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// The list's next head: the next tag over another first slot.
    const fn head(old: u64, first: u32) -> u64 {
        (((old >> 32) as u32).wrapping_add(1) as u64) << 32 | first as u64
    }

    /// All slots that have ever served a key.
    pub fn slots(&self) -> impl Iterator<Item = &KeySlot> {
        let issued = self.issued.load(Acquire);
        (0..issued).map(|index| self.slot(index))
    }

    /// How many keys are alive, and how many are dead but not forgotten.
    pub fn count(&self) -> (u64, u64) {
        self.slots()
            .map(KeySlot::count)
            .fold((0, 0), |sum, (live, dead)| (sum.0 + u64::from(live), sum.1 + u64::from(dead)))
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
