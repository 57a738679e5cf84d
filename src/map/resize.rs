//! Growing, shrinking, and the sweep before growing.
//!
//! | | when | to |
//! |---|---|---|
//! | grow | an insert would reach 2/3 of the capacity, and after a full sweep 1/2 is still reached | twice |
//! | shrink | a removal leaves at most 1/8 of the capacity, above the initial one | half, as often as that holds |
//!
//! So the doubling comes with the 10th, 21st, 42nd, 85th ... live entry, as in
//! the JDK, and between growing and shrinking lies a factor of four: a size
//! that swings around a limit does not make the table swing.
//!
//! A new table is filled completely before the owner is told; the old one is
//! freed after. A shrink that finds no memory just does not happen.

use super::table::Table;
use super::{OutOfMemory, Owner, ThreadLocalMap, INITIAL_CAPACITY};

impl<R: Copy> ThreadLocalMap<R> {
    /// Expunges every stale entry, then doubles the table unless that left a
    /// quarter of the threshold free.
    pub(super) fn rehash(&mut self, owner: &mut impl Owner<R>) -> Result<(), OutOfMemory> {
        self.rehashes += 1;
        self.changes += 1;
        self.expunge_stale_entries(owner);
        let threshold = self.set_threshold();
        if self.size + self.promised + 1 < threshold - threshold / 4 {
            return Ok(());
        }
        let doubled = self.capacity().checked_mul(2).ok_or(OutOfMemory)?;
        self.resize(doubled, owner)
    }

    /// Moves all entries to a table of `capacity`.
    pub(super) fn resize(
        &mut self,
        capacity: usize,
        owner: &mut impl Owner<R>,
    ) -> Result<(), OutOfMemory> {
        let mut larger = Table::allocate(capacity)?;
        for position in 0..self.table.capacity() {
            if self.table.key(position) != 0 {
                larger.insert_absent(self.table.read(position));
            }
        }
        self.rehashes += 1;
        self.changes += 1;
        let old = core::mem::replace(&mut self.table, larger);
        owner.moved(self.table.view());
        drop(old);
        Ok(())
    }

    /// Halves the table while at most an eighth of it is in use.
    #[inline(always)]
    pub(super) fn shrink(&mut self, owner: &mut impl Owner<R>) {
        if self.capacity() > INITIAL_CAPACITY {
            self.shrink_large(owner);
        }
    }

    #[inline(never)]
    fn shrink_large(&mut self, owner: &mut impl Owner<R>) {
        let mut capacity = self.capacity();
        while capacity > INITIAL_CAPACITY && self.size + self.promised <= capacity / 8 {
            capacity /= 2;
        }
        if capacity < self.capacity() {
            // Without memory for the smaller table the larger one serves on.
            let _ = self.resize(capacity, owner);
        }
    }
}
