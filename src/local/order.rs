// SPDX-License-Identifier: MIT OR Apache-2.0
//! A map's records by age.
//!
//! ```text
//!   order    record, record, -, record, record    the youngest last; `-`: a gap
//!                               ^ scope.start: what was set in the innermost scope
//! ```
//!
//! An array, so that a loop over it can call back: it goes by index. What callbacks
//! add stands behind its beginning, and what they take out leaves a gap. Gaps at the
//! end are forgotten, and others closed when the array is full; neither while a loop
//! is in progress ([`Map::loops`]). Of those that are known stale the places are in a set as
//! well ([`super::stale`]).

use super::map::{Map, Scope};
use super::pool::number_of;
use super::record::{Location, Number, Record, RecordPointer, State};
use super::stale::Set;
use crate::key::holders::mark_posted;
use crate::sys::memory::OutOfMemory;
use crate::sys::sync::Ordering;

impl Map {
    /// Makes sure that a record can be entered. There is room for a quarter more
    /// records than there are; where it is used up by gaps, they are closed, unless
    /// a loop is in progress. So setting again what was removed needs no memory.
    #[inline(always)]
    pub fn reserve_order(&self) -> Result<(), OutOfMemory> {
        if self.order.has_room() {
            return Ok(());
        }
        self.reserve_order_slowly()
    }

    #[cold]
    fn reserve_order_slowly(&self) -> Result<(), OutOfMemory> {
        let used = self.used.get() + 1;
        if self.loops.get() == 0 && used + used / 4 <= self.order.len() {
            self.close_gaps();
            return Ok(());
        }
        self.reserve_places(1 + used / 4)
    }

    /// Makes sure that so many more records can be entered. Errors: `OutOfMemory`.
    pub fn reserve_places(&self, more: u32) -> Result<(), OutOfMemory> {
        let wanted = self.order.len().checked_add(more).ok_or(OutOfMemory)?;
        self.stale.reserve(self.order.room_for(wanted))?;
        self.order.reserve(more)
    }

    fn close_gaps(&self) {
        let mut to = 0;
        let mut scope = 0;
        for from in 0..self.order.len() {
            self.move_starts(&mut scope, from, to);
            let Some(record) = self.in_order(from) else { continue };
            self.order.set(to, number_of(record));
            Record::at(record).position.set(to);
            if Record::at(record).location.get() == Location::Stale {
                self.stale.remove(set_of(record), from);
                self.stale.insert(set_of(record), to);
            }
            to += 1;
        }
        self.move_starts(&mut scope, self.order.len(), to);
        self.order.truncate(to);
    }

    /// Scopes that begin at an old index begin at a new one.
    fn move_starts(&self, scope: &mut u32, from: u32, to: u32) {
        while let Some(open) = self.scopes.get(*scope).filter(|open| open.start == from) {
            self.scopes.set(*scope, Scope { start: to, ..open });
            *scope += 1;
        }
    }

    /// Enters a record as the youngest. There is room.
    #[inline(always)]
    pub(super) fn enlist(&self, record: RecordPointer, number: Number) {
        Record::at(record).position.set(self.order.len());
        self.order.push(number);
        self.used.set(self.used.get() + 1);
    }

    pub(super) fn delist(&self, record: RecordPointer) {
        self.order.set(Record::at(record).position.get(), Number::NONE);
        self.used.set(self.used.get() - 1);
        self.trim();
    }

    /// [`delist`](Self::delist) of the youngest record, where there is no gap before it,
    /// and no loop or scope goes by its place; its number. With `None` nothing was done.
    #[inline(always)]
    pub(super) fn delist_youngest(&self, record: RecordPointer) -> Option<Number> {
        let position = Record::at(record).position.get();
        let gap = position > 0 && self.order.get(position - 1) == Some(Number::NONE);
        let free = self.loops.get() == 0 && self.scopes.is_empty();
        if gap || !free || position + 1 != self.order.len() {
            return None;
        }
        self.used.set(self.used.get() - 1);
        // SAFETY: The last one's position.
        let number = unsafe { self.order.get_unchecked(position as usize) };
        self.order.truncate(position);
        Some(number)
    }

    /// Makes a record the youngest. There is room.
    pub fn make_youngest(&self, record: RecordPointer) {
        let position = Record::at(record).position.get();
        // Alone behind a scope that was opened since, it is not in its part yet.
        let start = self.innermost_scope().map_or(0, |scope| scope.start);
        if position + 1 != self.order.len() || position < start {
            self.delist(record);
            self.enlist(record, number_of(record));
        }
    }

    /// Gives a record the place of another, which gets that of the first.
    pub fn exchange_positions(&self, one: RecordPointer, other: RecordPointer) {
        debug_assert!([one, other].iter().all(|at| !Record::at(*at).is_known_dead()));
        let position = Record::at(one).position.get();
        let position = Record::at(other).position.replace(position);
        Record::at(one).position.set(position);
        self.order.set(position, number_of(one));
        self.order.set(Record::at(other).position.get(), number_of(other));
    }

    /// Forgets gaps at the end, but none that a loop or a scope goes by.
    fn trim(&self) {
        if self.loops.get() > 0 {
            return;
        }
        let least = self.innermost_scope().map_or(0, |scope| scope.start);
        let mut length = self.order.len();
        while length > least && self.order.get(length - 1) == Some(Number::NONE) {
            length -= 1;
        }
        self.order.truncate(length);
    }

    /// The record at an index by age; `None` for a gap.
    pub fn in_order(&self, index: u32) -> Option<RecordPointer> {
        self.order.get(index).and_then(|number| self.pool.find(number))
    }

    /// Runs `visit` for each record that is there now, from an index on, the
    /// youngest first. It may do anything to the map.
    pub fn for_each_youngest_first(&self, start: u32, mut visit: impl FnMut(RecordPointer)) {
        self.loops.set(self.loops.get() + 1);
        for index in (start..self.order.len()).rev() {
            if let Some(record) = self.in_order(index) {
                visit(record);
            }
        }
        self.loops.set(self.loops.get() - 1);
        self.trim();
    }

    /// Every record that is not free, the oldest first. Nothing is changed meanwhile.
    pub fn records(&self) -> impl Iterator<Item = RecordPointer> + '_ {
        self.order.iter().filter_map(|number| self.pool.find(number))
    }
}

/// In which set of stale records it is, if it is stale.
fn set_of(record: RecordPointer) -> Set {
    match Record::at(record).rules.get().explicit() {
        true => Set::Explicit,
        false => Set::Usual,
    }
}

/// Records that are known stale ([`super::stale`]). While one is, it keeps its place.
impl Map {
    /// Whether there is any.
    #[inline(always)]
    pub fn has_stale(&self) -> bool {
        !(self.stale.is_empty(Set::Usual) && self.stale.is_empty(Set::Explicit))
    }

    /// Whether there is one that slow paths may end.
    #[inline(always)]
    pub fn has_stale_to_flush(&self) -> bool {
        !self.stale.is_empty(Set::Usual)
    }

    /// The youngest; of those that slow paths may end, if only they are wanted.
    pub fn youngest_stale(&self, flushes: bool) -> Option<RecordPointer> {
        let explicit = if flushes { None } else { self.stale.youngest(Set::Explicit) };
        self.stale.youngest(Set::Usual).max(explicit).and_then(|place| self.in_order(place))
    }

    /// In the child of a fork: no record is known stale.
    pub fn forget_stale(&self) {
        self.stale.forget();
    }

    /// Enters a record that was drained.
    pub fn enter_stale(&self, record: RecordPointer) {
        mark_posted(Record::link_of(record));
        Record::at(record).location.set(Location::Stale);
        self.stale.insert(set_of(record), Record::at(record).position.get());
    }

    /// A record of a key that is known stale, and that the table has given up.
    pub fn find_retired(&self, key: u64) -> Option<RecordPointer> {
        let is_its = |record: &RecordPointer| {
            Record::at(*record).handle.get() == key && self.state_of(*record) == State::Retired
        };
        let places = self.stale.iter(Set::Usual).chain(self.stale.iter(Set::Explicit));
        places.filter_map(|place| self.in_order(place)).find(is_its)
    }

    /// Takes a record out, if it is there: its value is on its way to its destroy callback.
    #[inline(always)]
    pub fn withdraw_stale(&self, record: RecordPointer) {
        if Record::at(record).location.get() == Location::Stale {
            self.remove_stale(record);
        }
    }

    #[inline(never)]
    fn remove_stale(&self, record: RecordPointer) {
        self.stale.remove(set_of(record), Record::at(record).position.get());
        Record::at(record).location.set(Location::Pinned);
        self.inbox.stale.fetch_sub(1, Ordering::Relaxed);
    }
}
