// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scopes: what a set finds, and how an outer value is covered and comes back.
//!
//! # The idea
//!
//! A value that is set inside a scope does not replace an outer one: its record
//! *covers* the outer record. It takes over that record's place in the table, and
//! points to it; the scope's end puts it back. So coming back needs no memory and
//! can't fail, and the covered record stays in its key's list, where the key's
//! death, a visit or a taker finds it.
//!
//! ```text
//!   table   [ ... | C: value c | ... ]              depth
//!                   C --covers--> B --covers--> A     2, 1, 0
//!                                 value b       value a
//!
//!   removed inside the scope:
//!   table   [ ... | vacated    | ... ]
//!                   P --covers--> A                   P: no value, it hides A
//! ```
//!
//! A record that hides what it covers is a *placeholder*: its entry is a vacated
//! word, which no look-up finds. Any record becomes one when its value goes and
//! it covers another: Destroying, Deferred, Taken, Purged and at last Absent. An outer
//! value that is removed inside a scope gets an Absent record of its own.
//!
//! # Invariants
//!
//! 1. All records of one key in one map hang together by `covers`, from the one
//!    that has the place in the table: each was set in a scope further out.
//! 2. All but the first are Covered, or placeholders that cover another.
//! 3. A placeholder that covers nothing any more is freed, or has left the
//!    table and is freed when its value is gone.
//! 4. What a scope's records cover is back when it has ended.

use core::ffi::c_void;
use core::ptr::null_mut;

use super::map::{count, count_down, Map, Scope, Table, SLOW_PATH_BUDGET};
use super::pool::{marks, number_of};
use super::record::{Number, Numbered, Record, RecordPointer, State};
use crate::error::Error;
use crate::map::Entry;
use crate::sys::memory::OutOfMemory;

/// The most scopes that may be open in a map.
const MOST_SCOPES: u32 = u16::MAX as u32 - 1;

/// What there is of a key in the map, as seen from the innermost scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A value of this scope, or of a worker.
    Own(RecordPointer),
    /// A value of an outer scope, or what hides one there.
    Outer(RecordPointer),
    /// No value: this scope hides an outer one.
    Hidden(RecordPointer),
}

/// What became of an entry that was to be taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakenOut {
    /// The record has the value, which is the caller's to destroy or hand over.
    Out,
    /// Somebody visits the value: it is destroyed later.
    Deferred,
    /// Another thread has taken the value.
    Taken,
    /// Somebody visits the value, and nothing was done.
    Busy,
}

/// What became of a value that was to be exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchanged {
    /// It is stored under this record, and this is what was there, to be handed over.
    Over(RecordPointer, *mut c_void),
    /// It is stored under this record, and this is what was there, to be destroyed:
    /// the callback has [begun](Map::begin_callback).
    Replaced(RecordPointer, *mut c_void),
    /// Somebody visits the value that is there under this record.
    Visited(RecordPointer),
    /// This scope has no value of the key.
    No,
}

impl Map {
    /// Whether a record's value would be covered, and not replaced, by a set now.
    #[inline(always)]
    pub fn is_outer(&self, record: RecordPointer) -> bool {
        let fields = Record::at(record);
        fields.depth.get() < self.depth() && !fields.rules.get().worker()
    }

    /// What there is of a key, and where. Clears entries that were taken.
    #[inline(never)]
    fn locate(&self, table: &mut Table, key: u64) -> (usize, Found) {
        if let Some(position) = table.get_entry(key) {
            let record = self.pool.at(table.record(position));
            let outer = self.is_outer(record);
            return (position, if outer { Found::Outer(record) } else { Found::Own(record) });
        }
        if !self.has_reachable() && self.depth() == 0 {
            return (0, Found::Nothing);
        }
        while let Some(position) = self.vacated_place_of(table, key) {
            let record = self.pool.at(table.record(position));
            if Record::at(record).covers.get() == Number::NONE {
                // Taken or purged, and not drained yet.
                table.remove_at(position);
                continue;
            }
            let outer = self.is_outer(record);
            return (position, if outer { Found::Outer(record) } else { Found::Hidden(record) });
        }
        (0, Found::Nothing)
    }

    fn vacated_place_of(&self, table: &Table, key: u64) -> Option<usize> {
        table.find_vacated(key, |number| Record::at(self.pool.at(number)).handle.get() == key)
    }

    /// The place that a key's records have in the table.
    fn place_of(&self, table: &Table, key: u64) -> Option<usize> {
        table.get_entry(key).or_else(|| self.vacated_place_of(table, key))
    }

    /// What there is of a key.
    pub fn look_up(&self, key: u64) -> Found {
        self.with_table(0, |table, _| self.locate(table, key).1)
    }

    /// Exchanges this scope's value of a key, if it has one that nobody visits.
    /// With `destroys` the old one is to be destroyed, unless it is the same.
    pub fn exchange(&self, key: u64, value: *mut c_void, destroys: bool) -> Exchanged {
        self.with_table(0, |table, _| {
            let (position, Found::Own(record)) = self.locate(table, key) else {
                return Exchanged::No;
            };
            let visited = marks(record).are_there();
            if visited && table.value(position) != value {
                return Exchanged::Visited(record);
            }
            let old = table.replace_value(position, value);
            if destroys && old != value && !old.is_null() {
                // With the lock: another thread may end the key the next moment.
                self.begin_callback(record);
                return Exchanged::Replaced(record, old);
            }
            Exchanged::Over(record, old)
        })
    }

    /// Whether an outer value of a key is this one.
    pub fn is_outer_value(&self, key: u64, value: *mut c_void) -> bool {
        self.with_table(0, |table, _| {
            let (position, found) = self.locate(table, key);
            let outer = matches!(found, Found::Outer(_)) && table.word(position) == key;
            outer && table.value(position) == value
        })
    }

    /// The innermost record of a key that has a value.
    pub fn first_value_of(&self, key: u64) -> Option<RecordPointer> {
        self.first_value_outside_of(u32::MAX, key)
    }

    /// The innermost record of a key that has a value, of those at a lower depth.
    pub fn first_value_outside_of(&self, depth: u32, key: u64) -> Option<RecordPointer> {
        self.with_table(0, |table, _| {
            let mut record = self.pool.at(table.record(self.place_of(table, key)?));
            let is_it = |record: &Record| {
                let has_value = matches!(record.state(), State::Live | State::Covered);
                has_value && u32::from(record.depth.get()) < depth
            };
            while !is_it(Record::at(record)) {
                record = self.pool.find(Record::at(record).covers.get())?;
            }
            Some(record)
        })
    }

    /// A callback is about to run for a record, which keeps its slot.
    #[inline(always)]
    pub fn begin_callback(&self, record: RecordPointer) {
        self.begin_callback_unreached(record);
        if Record::at(record).is_reachable() {
            // Another thread may end the entry, and the key, meanwhile.
            Record::at(record).slot().pin();
        }
    }

    /// [`begin_callback`](Self::begin_callback), where no other thread reaches the record.
    #[inline(always)]
    pub fn begin_callback_unreached(&self, record: RecordPointer) {
        let fields = Record::at(record);
        fields.pins.set(fields.pins.get() + 1);
        self.pinned.set(self.pinned.get() + 1);
    }

    /// Makes sure that [`insert`](Self::insert) of a reserved record needs no memory.
    /// Callbacks may have used up what its reservation provided.
    #[inline(never)]
    pub fn ensure_insert(&self) -> Result<(), OutOfMemory> {
        self.reserve_order()?;
        self.make_room()
    }

    /// Stores a value under a reserved record; there is memory for it. What
    /// there is of the key is nothing, outer or hidden: with anything else the
    /// record stays reserved, and that is returned.
    #[inline(never)]
    pub fn insert(&self, record: RecordPointer, value: *mut c_void) -> Result<(), RecordPointer> {
        let number = number_of(record);
        let fields = Record::at(record);
        let key = fields.handle.get();
        let inserted = self.with_table(SLOW_PATH_BUDGET, |table, owner| {
            let (position, found) = self.locate(table, key);
            match found {
                Found::Own(own) => return Err(own),
                Found::Nothing => {
                    let replaced = table.set(key, value, number, owner);
                    debug_assert!(replaced.is_none(), "nothing was found");
                }
                Found::Outer(outer) => self.cover(outer, record, table.value(position)),
                Found::Hidden(placeholder) => self.take_over(placeholder, record),
            }
            if found != Found::Nothing {
                table.substitute(position, key, value, number);
            }
            let worker = fields.rules.get().worker();
            fields.depth.set(if worker { 0 } else { self.depth() });
            fields.become_state(State::Live);
            Ok(())
        });
        if inserted.is_ok() {
            self.make_youngest(record);
            self.entry_came(record);
        }
        inserted
    }

    /// [`insert`](Self::insert) of a record of a key of which there is nothing, in a
    /// map that [is plain](Self::is_plain).
    #[inline(always)]
    pub fn insert_absent(&self, (record, number): Numbered, key: u64, value: *mut c_void) {
        Record::at(record).become_state(State::Live);
        count(&self.counters.entries);
        // SAFETY: The map is plain.
        if !unsafe { self.own_table() }.insert_at_home(key, value, number) {
            self.insert_off_home(key, value, number);
        }
    }

    #[inline(never)]
    fn insert_off_home(&self, key: u64, value: *mut c_void, number: Number) {
        self.with_table(SLOW_PATH_BUDGET, |table, owner| {
            let replaced = table.set(key, value, number, owner);
            debug_assert!(replaced.is_none(), "nothing was found");
        });
    }

    /// [`take_out`](Self::take_out) of a live entry, in a map that no other thread reaches,
    /// if that is simple. With false nothing was done. With `LAST` it is simple for the last
    /// entry of a run only that no context captures, and shorter.
    #[inline(always)]
    pub fn take_out_simply<const LAST: bool>(&self, record: RecordPointer, at: usize) -> bool {
        let fields = Record::at(record);
        let captured = LAST && fields.rules.get().inherits();
        if self.has_reachable() || fields.covers.get() != Number::NONE || captured {
            return false;
        }
        // SAFETY: As asked above.
        let table = unsafe { self.own_table() };
        let taken = if LAST { table.remove_last_of_run(at) } else { table.remove_simply(at) };
        let Some(value) = taken else { return false };
        fields.value.set(value);
        if LAST {
            count_down(&self.counters.entries);
        } else {
            self.entry_went(record);
        }
        fields.become_state(State::Destroying);
        true
    }

    /// A record covers what has stood at its place.
    fn cover(&self, outer: RecordPointer, record: RecordPointer, value: *mut c_void) {
        let fields = Record::at(outer);
        if fields.state() == State::Live {
            fields.value.set(value);
            fields.become_state(State::Covered);
        }
        Record::at(record).covers.set(number_of(outer));
    }

    /// A record covers what a placeholder has covered.
    fn take_over(&self, placeholder: RecordPointer, record: RecordPointer) {
        let covered = Record::at(placeholder).covers.replace(Number::NONE);
        Record::at(record).covers.set(covered);
        if Record::at(placeholder).state() == State::Absent {
            self.free_placeholder(placeholder);
        }
    }

    /// Hides an outer value of a key from the innermost scope.
    pub fn hide_outer(&self, key: u64) -> Result<(), OutOfMemory> {
        let placeholder = self.new_placeholder(key)?;
        let hidden = self.with_table(0, |table, _| {
            let (position, found) = self.locate(table, key);
            // What hides it in an outer scope hides it here.
            let is_value = table.word(position) == key;
            let Found::Outer(outer) = found else { return false };
            if is_value {
                self.cover(outer, placeholder, table.value(position));
                let number = number_of(placeholder);
                table.substitute(position, Entry::vacated(key), null_mut(), number);
            }
            is_value
        });
        if hidden {
            self.count_removal();
        } else {
            self.free_record(placeholder);
        }
        Ok(())
    }

    /// Takes an entry out. `position` says where it stands, if that is known. `reason`:
    /// why its value is destroyed, should it be visited; 0: a visited one stays.
    #[inline(never)]
    pub fn take_out(&self, record: RecordPointer, position: Option<usize>, reason: u8) -> TakenOut {
        let fields = Record::at(record);
        let taken = self.with_table(0, |table, _| {
            if reason == 0 && marks(record).are_there() {
                return TakenOut::Busy;
            }
            match fields.state() {
                State::Live => {
                    let position = position.or_else(|| Self::position_of_live(table, record));
                    fields.value.set(position.map_or(null_mut(), |at| table.value(at)));
                    if let Some(position) = position {
                        Self::leave_table(table, position, record);
                    }
                }
                State::Covered => self.uncover(table, record),
                State::Retired => {}
                State::Deferred if !marks(record).are_there() => {
                    debug_assert!(fields.is_known_dead(), "it was drained");
                    fields.become_state(State::Destroying);
                    return TakenOut::Out;
                }
                // Not one that was purged this moment: that is to be drained first.
                State::Purged if fields.is_known_dead() => {
                    self.entry_went(record);
                    fields.become_state(State::Destroying);
                    return TakenOut::Out;
                }
                state => {
                    debug_assert!(
                        matches!(state, State::Taken | State::Purged | State::Deferred),
                        "{state:?}"
                    );
                    return TakenOut::Taken;
                }
            }
            self.entry_went(record);
            self.count_removal();
            if fields.is_reachable() && marks(record).claim() {
                fields.become_state(State::Deferred);
                marks(record).reason.set(reason);
                return TakenOut::Deferred;
            }
            fields.become_state(State::Destroying);
            TakenOut::Out
        });
        self.shrink_if_large();
        taken
    }

    /// A record leaves the table, or stays as a placeholder.
    fn leave_table(table: &mut Table, position: usize, record: RecordPointer) {
        let fields = Record::at(record);
        if fields.covers.get() == Number::NONE {
            table.remove_at(position);
        } else {
            let word = Entry::vacated(fields.handle.get());
            table.substitute(position, word, null_mut(), number_of(record));
        }
    }

    /// Takes a record out of the chain of those that cover it, unless it is to stay there
    /// as a placeholder. Placeholders that have nothing to hide any more go, too.
    fn uncover(&self, table: &mut Table, record: RecordPointer) {
        let mut gone = record;
        while Record::at(gone).covers.get() == Number::NONE {
            let Some((position, [coverer, top])) = self.coverer_of(table, gone) else { return };
            Record::at(coverer).covers.set(Number::NONE);
            if gone != record && Record::at(gone).state() == State::Absent {
                self.free_placeholder(gone);
            }
            let state = Record::at(coverer).state();
            if state == State::Live || state == State::Covered {
                return;
            }
            if coverer == top {
                table.remove_at(position);
                if state == State::Absent {
                    self.free_placeholder(coverer);
                }
                return;
            }
            gone = coverer;
        }
    }

    /// The record that covers another, and the first of its key, with its position.
    fn coverer_of(&self, table: &Table, of: RecordPointer) -> Option<(usize, [RecordPointer; 2])> {
        let position = self.place_of(table, Record::at(of).handle.get())?;
        let top = self.pool.at(table.record(position));
        let mut coverer = top;
        loop {
            let covered = self.pool.find(Record::at(coverer).covers.get())?;
            if covered == of {
                return Some((position, [coverer, top]));
            }
            coverer = covered;
        }
    }

    /// The table has given up a stale entry: with its key all that it covers is dead.
    pub(super) fn retire_swept(&self, record: RecordPointer, value: *mut c_void) {
        let fields = Record::at(record);
        if fields.state() == State::Live {
            fields.value.set(value);
            fields.become_state(State::Retired);
        }
        let mut next = fields.covers.replace(Number::NONE);
        while let Some(covered) = self.pool.find(next) {
            let fields = Record::at(covered);
            next = fields.covers.replace(Number::NONE);
            match fields.state() {
                State::Covered => fields.become_state(State::Retired),
                State::Absent => self.free_placeholder(covered),
                _ => {}
            }
        }
    }

    /// The owner has learned that another thread has taken an entry's value: it
    /// goes, or stays as a placeholder.
    pub fn clear_taken(&self, record: RecordPointer) {
        self.with_table(0, |table, _| self.clear(table, record));
        // A deferred value, which its last visitor has taken, had gone before.
        if marks(record).reason.get() == 0 {
            self.entry_went(record);
            self.inbox.taken.fetch_sub(1, crate::sys::sync::Ordering::Relaxed);
        }
        self.shrink_if_large();
    }

    /// The owner has learned that another thread has purged an entry: it leaves the
    /// table, or stays there as a placeholder. The record waits for its end.
    pub fn clear_purged(&self, record: RecordPointer) {
        self.with_table(0, |table, _| self.clear(table, record));
        self.count_removal();
        self.shrink_if_large();
    }

    fn clear(&self, table: &mut Table, record: RecordPointer) {
        if Record::at(record).covers.get() != Number::NONE {
            return;
        }
        match Self::position_of(table, record) {
            Some(position) => drop(table.remove_at(position)),
            None => self.uncover(table, record),
        }
    }

    /// A record whose value is gone, and that has left its key, becomes free; or
    /// it hides what it covers until its scope ends.
    pub fn release_record(&self, record: RecordPointer) {
        let fields = Record::at(record);
        if fields.covers.get() == Number::NONE {
            return self.free_record(record);
        }
        self.leave_reach(record, State::Absent);
        fields.value.set(null_mut());
        fields.location.set(super::record::Location::Unlinked);
    }

    /// Opens a scope. Returns its id. Errors: `NoMemory`; `Limit` at a depth of 65,534.
    pub fn open_scope(&self) -> Result<u64, Error> {
        if self.scopes.len() >= MOST_SCOPES {
            return Err(Error::Limit);
        }
        self.scopes.reserve(1)?;
        // Never 0, and never a number of another map's: 2^40 scopes of a map
        // and 2^24 maps, before one comes again.
        let begun = self.scopes_begun.get() + 1;
        self.scopes_begun.set(begun);
        let id = (self.number.get() + 1) << 40 | begun & ((1 << 40) - 1);
        self.scopes.push(Scope { id, start: self.order.len(), ending: false });
        Ok(id)
    }

    /// The depth of the open scope with this id.
    pub fn scope_depth(&self, id: u64) -> Option<u16> {
        let is_it = |index: &u32| self.scopes.get(*index).is_some_and(|scope| scope.id == id);
        (0..self.scopes.len()).rev().find(is_it).map(|index| index as u16 + 1)
    }

    /// The innermost scope.
    pub fn innermost_scope(&self) -> Option<Scope> {
        self.scopes.get(self.scopes.len().checked_sub(1)?)
    }

    /// Says whether the end of the innermost scope has begun.
    pub fn set_ending(&self, ending: bool) {
        if let Some(scope) = self.innermost_scope() {
            self.scopes.set(self.scopes.len() - 1, Scope { ending, ..scope });
        }
    }

    /// Scopes whose end was cut off, with its thread, are as open as the others.
    pub fn forget_endings(&self) {
        for index in 0..self.scopes.len() {
            let Some(scope) = self.scopes.get(index) else { continue };
            self.scopes.set(index, Scope { ending: false, ..scope });
        }
    }

    /// Closes the innermost scope, in which no value is left: what it covers is back.
    pub fn close_scope(&self) {
        let (depth, Some(scope)) = (self.depth(), self.innermost_scope()) else { return };
        for index in (scope.start..self.order.len()).rev() {
            let Some(record) = self.in_order(index) else { continue };
            if Record::at(record).depth.get() == depth {
                self.restore(record);
            }
        }
        self.scopes.pop();
    }

    /// Puts what a placeholder hides back into its place.
    fn restore(&self, placeholder: RecordPointer) {
        let fields = Record::at(placeholder);
        let Some(covered) = self.pool.find(fields.covers.get()) else { return };
        self.with_table(0, |table, _| {
            fields.covers.set(Number::NONE);
            let key = fields.handle.get();
            let Some(position) = Self::position_of(table, placeholder) else { return };
            let (outer, number) = (Record::at(covered), number_of(covered));
            if outer.state() == State::Covered {
                let value = outer.keep_slot(outer.slot());
                outer.become_state(State::Live);
                table.substitute(position, key, value, number);
            } else {
                table.substitute(position, Entry::vacated(key), null_mut(), number);
            }
        });
        if self.state_of(placeholder) == State::Absent {
            self.free_record(placeholder);
        }
    }
}
