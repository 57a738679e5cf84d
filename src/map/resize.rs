// SPDX-License-Identifier: MIT OR Apache-2.0
//! Growing, shrinking, and the sweep before growing.
//!
//! | | when | to |
//! |---|---|---|
//! | grow | an insert would reach 2/3 of the capacity, and without the stale entries 1/2 is still reached | twice |
//! | keep | the same, but without the stale entries 1/2 is not reached | the same |
//! | spread | an insert has walked over more than 48 entries (128, above 65,536), and more than 1/4 of the capacity is in use | twice |
//! | shrink | at most 1/8 of the capacity is in use, above 256 | half, as often as that holds |
//!
//! So the doubling comes with the 10th, 21st, 42nd, 85th ... live entry, as in
//! the JDK, and between growing and shrinking lies a factor of four: a size
//! that swings around a limit does not make the table swing. (After *spread* it is a
//! factor of two, and only more long walks make the table grow again.) Keys that meet in
//! one table rarely meet in one of twice its size; those that always meet cost at most
//! four times the memory, and no more.
//!
//! All are one: a new table is *built beside* the one in use, without the
//! stale entries (the owner of a table that shrinks may keep them), and is then
//! *adopted*. Building reads only, so an owner whose
//! table other threads reach does it without a lock; adopting is short. The old
//! table is freed last. A shrink that finds no memory just does not happen, and
//! where there is no memory to grow the stale entries are expunged in place.

use super::table::Table;
use super::{OutOfMemory, Owner, ThreadLocalMap, INITIAL_CAPACITY, LEAST_SHRUNK};

/// A table that was built beside the one in use, or was in use before it.
pub struct Rebuilt<R: Copy>(Table<R>);

impl<R: Copy> ThreadLocalMap<R> {
    /// Builds a table without the stale entries, with room for one more. Errors:
    /// `OutOfMemory`.
    pub fn rebuilt(&self, owner: &impl Owner<R>) -> Result<Rebuilt<R>, OutOfMemory> {
        let sweeps = owner.has_stale();
        let is_stale = |position: usize| sweeps && self.is_stale(position, owner);
        let stays = |position: &usize| self.table.key(*position) != 0 && !is_stale(*position);
        // With nothing stale no record is looked at: in a large table each is far away.
        let staying = if sweeps { (0..self.capacity()).filter(stays).count() } else { self.size };
        let mut table = Table::allocate(self.capacity_for(staying)?)?;
        for position in (0..self.capacity()).filter(stays) {
            table.insert_absent(self.table.read(position));
        }
        Ok(Rebuilt(table))
    }

    /// Takes a rebuilt table into use; hands what is stale to the owner. Nothing
    /// has changed since it was built. Returns the old one, to be dropped.
    #[must_use]
    pub fn adopt(&mut self, rebuilt: Rebuilt<R>, owner: &mut impl Owner<R>) -> Rebuilt<R> {
        let old = core::mem::replace(&mut self.table, rebuilt.0);
        // With nothing stale this takes no time that grows with the table.
        let positions = if owner.has_stale() { old.capacity() } else { 0 };
        for position in 0..positions {
            if old.key(position) != 0 && owner.is_stale(old.record(position)) {
                self.size -= 1;
                owner.expunged(old.read(position));
            }
        }
        self.limit = limit_of(self.table.capacity());
        self.rehashes += 1;
        self.changes += 1;
        owner.moved(self.table.view());
        Rebuilt(old)
    }

    /// The capacity for so many entries and one more.
    fn capacity_for(&self, entries: usize) -> Result<usize, OutOfMemory> {
        let mut capacity = self.capacity().max(INITIAL_CAPACITY);
        let threshold = capacity * 2 / 3;
        let is_full = entries + 1 >= threshold - threshold / 4;
        if self.capacity() > 0 && (is_full || self.has_long_walks() && entries > capacity / 4) {
            return capacity.checked_mul(2).ok_or(OutOfMemory);
        }
        while capacity > LEAST_SHRUNK && entries <= capacity / 8 {
            capacity /= 2;
        }
        Ok(capacity)
    }

    /// Whether an insert since the table was made has found that its walks are long.
    const fn has_long_walks(&self) -> bool {
        self.limit == 0 && self.capacity() > 0
    }

    /// Expunges the stale entries where they are. Whether that has made room.
    pub fn make_room_in_place(&mut self, owner: &mut impl Owner<R>) -> Option<()> {
        if owner.has_stale() {
            self.expunge_stale_entries(owner);
        }
        // Walks that are long are better than no entry.
        self.limit = limit_of(self.capacity());
        self.has_room().then_some(())
    }

    /// Whether a [rebuilt](Self::rebuilt) table would be smaller.
    #[inline(always)]
    pub const fn can_shrink(&self) -> bool {
        self.size <= self.capacity() / 8 && self.capacity() > LEAST_SHRUNK
    }
}

/// How many entries a table may have before it is made anew: with one more, less than
/// 2/3 of it are in use.
const fn limit_of(capacity: usize) -> usize {
    (capacity * 2 / 3).saturating_sub(1)
}
