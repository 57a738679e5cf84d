// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `ThreadLocalMap`: one open-addressing table, for one thread.
//!
//! # The problem
//!
//! A thread keeps values under any number of keys that come and go. A look-up
//! must be one compare; memory must follow the *live* keys; and an entry whose
//! key has died must be found and given back for destruction, without a thread
//! of our own and without a pause that grows with the table.
//!
//! # The idea
//!
//! The JDK's `ThreadLocalMap`, in its own terms (Knuth, volume 3, section 6.4,
//! Algorithm L with deletion by moving entries back). Linear probing in a
//! power-of-two table. An entry never keeps its key alive; when the key has
//! died the entry is *stale*, and it is expunged when a walk steps on it, by
//! a bounded sweep after each insert, and altogether before the table doubles.
//!
//! ```text
//!   entries:  0     1     2     3     4     5     6     7      mask = 7
//!           +-----+-----+-----+-----+-----+-----+-----+-----+
//!     key   |  K  |     |     |  A  |  B  |  S  |  C  |  D  |  S: stale
//!     value |  k  |     |     |  a  |  b  |  s  |  c  |  d  |
//!           +-----+-----+-----+-----+-----+-----+-----+-----+
//!     home     7     -     -     3     3     4     3     7     = key / 16 & mask
//!                             ^-------------- run ----------------^
//!   records: r0    -     -    r3    r4    r5    r6    r7       (same memory, behind)
//!
//!   K's home is 7: the run goes on around the end of the table.
//!   Expunging S: C (home 3) moves back to 5; D (home 7) stays.
//! ```
//!
//! A key's home is its bits from the fifth on (an entry has 16 bytes, so they
//! are a distance in bytes as they stand). Handles are made so that these bits
//! are already the high bits of a golden-ratio product (`crate::key::handle`).
//!
//! # What is better than in the JDK
//!
//! * Keys spaced by a power of two do not cluster (the JDK masks the product's
//!   low bits: 75 probes at a spacing of 256; here 2).
//! * The table shrinks after a mass removal.
//! * Setting a key again after its removal allocates nothing.
//! * A removal moves entries instead of re-inserting them, one at a time, each
//!   first to its new place and then from its old one. So a signal handler
//!   that looks a key up in the middle still finds it.
//!
//! # Invariants
//!
//! `tests/map.rs` asserts them after every operation.
//!
//! 1. The capacity is a power of two, at least [`INITIAL_CAPACITY`] (or there
//!    is no table yet, and nothing is allocated).
//! 2. From a key's home to its entry there is no empty entry: it is reachable.
//! 3. No key stands twice.
//! 4. `size` is the number of entries, stale and vacated ones included, and below
//!    the capacity, so that every walk ends at an empty entry.
//! 5. An empty entry's value is null (see [`Entry`]).
//! 6. The stale entries are exactly those that the owner says are stale, as
//!    many as it says.
//!
//! # What it does not know
//!
//! No globals, no threads, no C. Whether a key is dead is asked of the
//! [`Owner`], which is also handed what was expunged, and told when the table
//! has moved. Between two calls of the map's functions the table is whole, so
//! the owner may run anybody's code then; inside it must not.

mod expunge;
mod resize;
mod table;

use core::ffi::c_void;
use core::mem::size_of;

pub use crate::sys::block::{Entry, View};
pub use crate::sys::memory::OutOfMemory;
pub use resize::Rebuilt;
pub use table::find;
pub(crate) use table::record_at;

use table::Table;

/// Capacity of a thread's first table.
pub const INITIAL_CAPACITY: usize = if cfg!(modelled) { 4 } else { 16 };

/// No table is made smaller than this: tasks that set some ten or hundred values and remove
/// them, again and again, would have it grow and shrink each time.
const LEAST_SHRUNK: usize = if cfg!(modelled) { INITIAL_CAPACITY } else { 256 };

/// An insert that looks at more entries has the table grow. In a large table, where some
/// walk is always long, it takes a longer one.
const fn longest_walk(capacity: usize) -> usize {
    if capacity <= 1 << 16 {
        48
    } else {
        128
    }
}

/// An entry that has left the table: its value is the receiver's to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Removed<R> {
    pub key: u64,
    pub value: *mut c_void,
    pub record: R,
}

/// The one who keeps a map: answers what the map cannot know. None of these may use the
/// map, or run code that could.
pub trait Owner<R: Copy> {
    /// Whether the entry with this record is stale, and may be expunged now.
    fn is_stale(&self, record: R) -> bool;
    /// Whether any entry is: with false there is nothing to sweep for.
    fn has_stale(&self) -> bool;
    /// Takes over a stale entry that the map has expunged.
    fn expunged(&mut self, entry: Removed<R>);
    /// The table has moved, and the old one is about to be freed.
    fn moved(&mut self, view: View);
}

/// The entries of one thread. `R` is what the owner keeps for each entry beside the key
/// and the value.
pub struct ThreadLocalMap<R: Copy> {
    table: Table<R>,
    size: usize,
    /// The table is made anew before more entries than this.
    limit: usize,
    longest_probe: usize,
    rehashes: u64,
    changes: u64,
}

impl<R: Copy> ThreadLocalMap<R> {
    /// A map without entries. Allocates nothing.
    pub const fn new() -> Self {
        Self { table: Table::none(), size: 0, limit: 0, longest_probe: 0, rehashes: 0, changes: 0 }
    }

    /// Entries, stale ones included.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Slots of the table: 0 before the first insert.
    pub const fn capacity(&self) -> usize {
        self.table.capacity()
    }

    /// The most entries that any insert has looked at to find its place.
    pub const fn longest_probe(&self) -> usize {
        self.longest_probe
    }

    /// How often the table was swept in full or made anew.
    pub const fn rehashes(&self) -> u64 {
        self.rehashes
    }

    /// Goes up whenever the capacity, [`rehashes`](Self::rehashes) or
    /// [`longest_probe`](Self::longest_probe) may have changed.
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// Where a look-up starts.
    pub fn view(&self) -> View {
        self.table.view()
    }

    /// The position of `key`'s entry: at its home, or after it in the run. Expunges
    /// nothing; stale entries are found like all others.
    pub fn get_entry(&self, key: u64) -> Option<usize> {
        find(self.table.view(), key).map(|distance| distance / size_of::<Entry>())
    }

    /// The position of the entry with this record, in the run of `key`'s home.
    pub fn position_of(&self, key: u64, record: R) -> Option<usize>
    where
        R: PartialEq,
    {
        let mut run = (self.size > 0).then(|| self.table.run(self.table.home(key)))?;
        run.find(|position| self.table.record(*position) == record)
    }

    /// Takes the value of the entry at a position out, and leaves the entry,
    /// unfindable, for [`remove_at`](Self::remove_at). Other threads may call
    /// this under a lock that excludes all other changes.
    pub fn vacate(&self, position: usize) -> *mut c_void {
        self.table.vacate(position)
    }

    /// [`vacate`](Self::vacate) that leaves the value, which its owner is to destroy.
    pub fn hide(&self, position: usize) {
        self.table.hide(position);
    }

    /// Gives the entry at a position another record, and the word and value that
    /// go with it: a key, or [`Entry::vacated`] and null.
    pub fn substitute(&mut self, position: usize, word: u64, value: *mut c_void, record: R) {
        self.table.write(position, word, value, record);
    }

    /// The word at a position: a key, or what [`vacate`](Self::vacate) left.
    pub fn word(&self, position: usize) -> u64 {
        self.table.key(position)
    }

    /// The first entry of a vacated word in the run of `key`'s home, whose record
    /// `is_it` is true of.
    pub fn find_vacated(&self, key: u64, is_it: impl Fn(R) -> bool) -> Option<usize> {
        let (word, table) = (Entry::vacated(key), &self.table);
        let mut run = (self.size > 0).then(|| table.run(table.home(key)))?;
        run.find(|at| table.key(*at) == word && is_it(table.record(*at)))
    }

    /// Looks for a key that does not stand at its home, and expunges the stale entries
    /// that the walk steps on. The shape of a miss: the walk has to look at them anyway.
    pub fn get_entry_after_miss(&mut self, key: u64, owner: &mut impl Owner<R>) -> Option<usize> {
        if self.size == 0 {
            return None;
        }
        let mut position = self.table.home(key);
        loop {
            match self.table.key(position) {
                0 => return None,
                found if found == key => return Some(position),
                // What the gap pulled in stands here now: look at it again.
                _ if self.is_stale(position, owner) => {
                    self.expunge_stale_entry(position, owner);
                }
                _ => position = self.table.next(position),
            }
        }
    }

    /// The value at a position that a look-up returned.
    pub fn value(&self, position: usize) -> *mut c_void {
        self.table.value(position)
    }

    /// The owner's record at a position that a look-up returned.
    pub fn record(&self, position: usize) -> R {
        self.table.record(position)
    }

    /// Exchanges the value at a position that a look-up returned.
    pub fn replace_value(&mut self, position: usize, value: *mut c_void) -> *mut c_void {
        let old = self.table.value(position);
        self.table.set_value(position, value);
        old
    }

    /// Whether the next [`set`](Self::set) leaves a third of the table free, and no walk
    /// is too long. If not, a [rebuilt](Self::rebuilt) one is [adopted](Self::adopt) before.
    pub const fn has_room(&self) -> bool {
        self.size < self.limit
    }

    /// Stores `value` under `key`; returns what it replaces. There is
    /// [room](Self::has_room). No key ever stands twice: a stale entry on the way is
    /// replaced only after the whole run was searched for the key.
    #[inline(never)]
    pub fn set(
        &mut self,
        key: u64,
        value: *mut c_void,
        record: R,
        owner: &mut impl Owner<R>,
    ) -> Option<Removed<R>> {
        debug_assert!(self.size + 1 < self.capacity(), "no room");
        let home = self.table.home(key);
        let mut position = home;
        loop {
            match self.table.key(position) {
                0 => break,
                found if found == key => {
                    let old = self.table.read(position);
                    self.table.write(position, key, value, record);
                    return Some(old);
                }
                _ if self.is_stale(position, owner) => {
                    return self.replace_stale_entry(key, value, record, position, owner);
                }
                _ => position = self.table.next(position),
            }
        }
        self.table.write(position, key, value, record);
        self.size += 1;
        self.note_probe(home, position);
        if owner.has_stale() {
            self.clean_some_slots(position, self.size, owner);
        }
        None
    }

    /// Whether nothing stands at a key's home.
    pub fn is_home_free(&self, key: u64) -> bool {
        self.size > 0 && self.table.key(self.table.home(key)) == 0
    }

    /// Stores `value` under `key`, of which there is no entry, at its home. With
    /// false that takes more, and nothing was done: see [`set`](Self::set).
    #[inline(always)]
    pub fn insert_at_home(&mut self, key: u64, value: *mut c_void, record: R) -> bool {
        debug_assert!(self.size + 1 < self.capacity(), "reserve was not called");
        let home = self.table.home(key);
        if self.table.key(home) != 0 || self.longest_probe == 0 {
            return false;
        }
        self.table.fill(home, key, value, record);
        self.size += 1;
        true
    }

    /// [`remove_last_of_run`](Self::remove_last_of_run), or else
    /// [`remove_at`](Self::remove_at). With `None` the table is to shrink, and nothing was
    /// done.
    #[inline(always)]
    pub fn remove_simply(&mut self, position: usize) -> Option<*mut c_void> {
        if self.shrinks_by_one() {
            return None;
        }
        let removed = self.remove_last_of_run(position);
        removed.or_else(|| Some(self.remove_at(position).value))
    }

    /// Whether the table is to shrink when one more entry goes.
    #[inline(always)]
    const fn shrinks_by_one(&self) -> bool {
        self.size <= self.capacity() / 8 + 1 && self.capacity() > LEAST_SHRUNK
    }

    /// [`remove_at`](Self::remove_at) of an entry that nothing stands behind, where
    /// the table stays as large as it is; returns its value. With `None` that takes
    /// more, and nothing was done.
    #[inline(always)]
    pub fn remove_last_of_run(&mut self, position: usize) -> Option<*mut c_void> {
        if self.shrinks_by_one() || self.table.key(self.table.next(position)) != 0 {
            return None;
        }
        let value = self.table.value(position);
        self.table.close(position);
        self.table.clear(position);
        self.size -= 1;
        Some(value)
    }

    fn is_stale(&self, position: usize, owner: &impl Owner<R>) -> bool {
        owner.is_stale(self.table.record(position))
    }

    /// Keeps the longest walk for the statistics; one that is too long makes the table
    /// grow before the next insert, if it is not large for its entries.
    #[inline(always)]
    fn note_probe(&mut self, home: usize, position: usize) {
        let looked_at = self.table.distance(home, position) + 1;
        if looked_at > self.longest_probe {
            self.longest_probe = looked_at;
            self.changes += 1;
        }
        if looked_at > longest_walk(self.capacity()) && self.size > self.capacity() / 4 {
            self.limit = 0;
        }
    }
}
