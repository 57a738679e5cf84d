// SPDX-License-Identifier: MIT OR Apache-2.0
//! A map: the table, its records by age, and its inbox.
//!
//! # The idea
//!
//! ```text
//!   table    key -> value, record        what is found
//!   order    record, record, -, record   every record that is not free, by age;
//!                                        `-`: one that has gone
//!   stale    0 0 1 0 ...                 a bit for each place: its key is known to have died
//!   inbox    link --> link               keys that have died, as others tell
//! ```
//!
//! `order` is what the end of a thread goes along, the youngest first, and what
//! its exit finds everything in, whatever was cut off. Loops over it go by index:
//! callbacks may add records behind, which the loop does not come to, and take
//! out any. Indices stay while a loop runs ([`Map::loops`]).
//!
//! # Invariants
//!
//! 1. The inbox and the counters are for all threads; everything else is the
//!    owner's. While the map has a record that other threads reach, its table and
//!    the states of such records change with the map's lock only.
//! 2. An entry of the table is a live one, or a vacated word: an entry whose
//!    value another thread has taken, or a record that hides what it covers.
//! 3. A table is grown beside the lock, and shown with it ([`Map::make_room`]).
//! 4. A record is in `order` from its reservation until it is free, at the place
//!    that `position` says.
//!
//! Everything is valid and empty when it is all zero.

use core::ffi::c_void;

use super::inbox::Inbox;
use super::pool::{marks, number_of, Pool};
use super::record::{Location, Number, Numbered, Record, RecordPointer, State};
use super::stale::Stale;
use crate::error::Error;
use crate::key::options::Rules;
use crate::key::slot::KeySlot;
use crate::map::{find, record_at, Owner, Removed, ThreadLocalMap, View};
use crate::sys::array::Array;
use crate::sys::block;
use crate::sys::memory::OutOfMemory;
use crate::sys::sync::untracked::AtomicU64;
use crate::sys::sync::{AtomicBool, Cell, InTurn, Ordering};

/// Most stale values that a call destroys that is not there for destroying. A thread that
/// only sets and misses then stays ahead of any number of deaths, and no single call is
/// long.
pub const SLOW_PATH_BUDGET: usize = 8;

/// How often a table is built again beside the lock when other threads take
/// values meanwhile, before it is built with the lock.
const ATTEMPTS: usize = 3;

/// What the owner has counted; read by anybody, at any time. One thread writes, so a load
/// and a store make an increment. `Relaxed`: they are for reports.
pub struct Counters {
    /// Values in the map: found, covered, or given up by the table and stale.
    pub entries: AtomicU64,
    /// Slots of the table.
    pub capacity: AtomicU64,
    /// Tables made anew or swept.
    pub rehashes: AtomicU64,
    /// Most slots that an insert has looked at.
    pub longest_probe: AtomicU64,
    /// Values destroyed because their key was dead.
    pub expunged: AtomicU64,
    /// Destroy callbacks called.
    pub destroyed: AtomicU64,
    /// 1 while the end of the map's thread can't be seen.
    pub untracked: AtomicU64,
}

/// Adds one to a counter that only this thread writes.
#[inline(always)]
pub fn count(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// Subtracts one from a counter that only this thread writes.
#[inline(always)]
pub(super) fn count_down(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
}

/// Whose a map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A thread's own.
    Thread = 0,
    /// One that threads switch to.
    Moving = 1,
}

/// One open scope.
#[derive(Clone, Copy)]
pub struct Scope {
    /// The number that it was begun with.
    pub id: u64,
    /// How many records there were.
    pub start: u32,
    /// Its end has begun: nobody else may end it.
    pub ending: bool,
}

/// One map.
#[repr(C)]
pub struct Map {
    /// The part that other threads use. The first field.
    pub inbox: Inbox,
    /// For reports.
    pub counters: Counters,
    /// Links of the list of all maps, and its number there ([`super::maps`]).
    pub links: (Cell<*mut Map>, Cell<*mut Map>),
    /// Its number among all maps ever, with the lock of that list.
    pub number: Cell<u64>,
    table: InTurn<Table>,
    /// How many values other threads have taken. With the map's lock.
    pub(super) takes: Cell<u32>,
    /// Whose it is.
    pub kind: Cell<Kind>,
    /// The hot slot shows this map's table.
    published: Cell<bool>,
    /// A thread has this map: it has switched to it, or it is its own.
    attached: AtomicBool,
    /// The table's count of changes that the counters know of.
    changes: Cell<u64>,
    /// See the module's text.
    pub order: Array<Number>,
    /// Records in `order`.
    pub(super) used: Cell<u32>,
    /// Loops over `order` that are in progress.
    pub loops: Cell<u32>,
    /// The scopes that are open, each in the one before it.
    pub scopes: Array<Scope>,
    /// Scopes that were ever begun in this map.
    pub(super) scopes_begun: Cell<u64>,
    /// Values that a context captures, those that scopes cover as well.
    pub inherited: Cell<u32>,
    /// The places in `order` of records that are known stale.
    pub(super) stale: Stale,
    /// Where records come from.
    pub pool: Pool,
    /// Records of keys whose values other threads may reach.
    reachable: Cell<u32>,
    /// Goes up whenever the owner takes a value out, hides or replaces one.
    pub removals: Cell<u32>,
    /// Callbacks that run for its records.
    pub pinned: Cell<u32>,
    /// Reserved records whose init callback runs, the innermost first; by `covers`.
    pub initialising: Cell<Number>,
}

/// The table of a map.
pub type Table = ThreadLocalMap<Number>;

/// The map's answers to its table.
pub struct TableOwner<'a> {
    map: &'a Map,
    budget: usize,
}

impl Owner<Number> for TableOwner<'_> {
    #[inline(always)]
    fn is_stale(&self, record: Number) -> bool {
        let record = || Record::at(self.map.pool.at(record));
        // Of a live key: a placeholder, if it is here at all.
        let is_placeholder = |state| matches!(state, State::Deferred | State::Purged);
        let is_it = |record: &Record| {
            record.location.get() == Location::Stale && !is_placeholder(record.state())
        };
        self.budget > 0 && is_it(record())
    }

    fn has_stale(&self) -> bool {
        self.budget > 0 && self.map.has_stale()
    }

    fn expunged(&mut self, entry: Removed<Number>) {
        self.budget = self.budget.saturating_sub(1);
        self.map.retire_swept(self.map.pool.at(entry.record), entry.value);
    }

    fn moved(&mut self, view: View) {
        if self.map.published.get() {
            block::set_view(view);
        }
    }
}

impl Map {
    /// Runs `work` on the table, then brings the counters up to date. At most
    /// `budget` stale entries are given up meanwhile.
    #[inline(always)]
    pub fn with_table<T>(
        &self,
        budget: usize,
        work: impl FnOnce(&mut Table, &mut TableOwner<'_>) -> T,
    ) -> T {
        let locks = self.has_reachable();
        if locks {
            self.acquire();
        }
        // SAFETY: This thread owns the map; closures call only the table
        // and the records, and `TableOwner` does not touch the table; other
        // threads read it with the lock. So this `&mut` is alone.
        let table = unsafe { &mut *self.table.write() };
        let result = work(table, &mut TableOwner { map: self, budget });
        if locks {
            // SAFETY: Taken above.
            unsafe { self.inbox.lock.release() };
        }
        if self.table().changes() != self.changes.get() {
            self.count_changes();
        }
        result
    }

    /// The table, to be changed in a way that changes nothing of its counts but the size.
    /// Safety: no other thread [reaches](Self::has_reachable) the map, and nothing but
    /// the table is used while the reference is.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)] // the caller's premise
    pub(super) unsafe fn own_table(&self) -> &mut Table {
        debug_assert!(!self.has_reachable());
        // SAFETY: This thread owns the map; the caller.
        unsafe { &mut *self.table.write() }
    }

    #[cold]
    fn count_changes(&self) {
        let table = self.table();
        self.changes.set(table.changes());
        self.counters.capacity.store(table.capacity() as u64, Ordering::Relaxed);
        self.counters.rehashes.store(table.rehashes(), Ordering::Relaxed);
        self.counters.longest_probe.store(table.longest_probe() as u64, Ordering::Relaxed);
    }

    /// The record of a key's entry in the table that the hot slot shows: the calling
    /// thread's. Where it stands there, and whose table that is.
    #[inline(always)]
    pub fn find_published<'a>(key: u64) -> Option<(View, usize, &'a Self, RecordPointer)> {
        let view = block::view();
        let distance = find(view, key)?;
        // SAFETY: An entry was found, so `publish` has put a map there, and its table.
        let (map, number) = unsafe { (&*(block::map() as *const Self), record_at(view, distance)) };
        let record = map.pool.at(number);
        // A made-up number may be the word of a vacated entry.
        (Record::at(record).handle.get() == key).then_some((view, distance, map, record))
    }

    /// The table, to look at.
    #[inline(always)]
    pub fn table(&self) -> &Table {
        // SAFETY: This thread owns the map, or has its lock; the one who changes the
        // table does so in `with_table`, whose closures do not come here.
        unsafe { &*self.table.read() }
    }

    /// Makes sure that the table has room for one more entry. No lock is held while
    /// memory is allocated and entries are copied.
    #[inline(always)]
    pub fn make_room(&self) -> Result<(), OutOfMemory> {
        if self.table().has_room() {
            return Ok(());
        }
        self.rebuild(usize::MAX).or_else(|error| {
            self.with_table(usize::MAX, |table, owner| table.make_room_in_place(owner)).ok_or(error)
        })
    }

    /// Lets the table shrink if little of it is in use. No stale entry is given up:
    /// what a release has just posted to its own thread is found there.
    #[inline(always)]
    pub fn shrink_if_large(&self) {
        if self.table().can_shrink() {
            // Without memory for the smaller table the larger one serves on.
            let _ = self.rebuild(0);
        }
    }

    /// Makes the table anew. `budget`: 0 keeps the stale entries, `usize::MAX` gives
    /// them all up.
    #[inline(never)]
    fn rebuild(&self, budget: usize) -> Result<(), OutOfMemory> {
        for _ in 0..ATTEMPTS {
            let seen = self.guarded_if(self.has_reachable(), || self.takes.get());
            let rebuilt = self.table().rebuilt(&TableOwner { map: self, budget })?;
            let old = self.with_table(budget, |table, owner| {
                // A value that was taken meanwhile may stand in the new table.
                (self.takes.get() == seen).then(|| table.adopt(rebuilt, owner))
            });
            if old.is_some() {
                return Ok(());
            }
        }
        self.with_table(budget, |table, owner| {
            table.rebuilt(owner).map(|rebuilt| table.adopt(rebuilt, owner))
        })
        .map(|_| ())
    }

    /// Becomes the calling thread's. Errors: `Busy` if another thread has it.
    pub fn attach(&self) -> Result<(), Error> {
        // Acquire: with the Release in `detach`: the last owner is done.
        self.attached
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .map_or(Err(Error::Busy), |_| Ok(()))
    }

    /// Becomes nobody's.
    pub fn detach(&self) {
        self.attached.store(false, Ordering::Release);
    }

    /// Whether a thread has it.
    pub fn is_attached(&self) -> bool {
        self.attached.load(Ordering::Relaxed)
    }

    /// Shows this map's table in the calling thread's hot slot.
    /// `thread` is the number that the OS shows for it.
    pub fn publish(&self, thread: u64) {
        self.published.set(true);
        self.inbox.owner.store(thread, Ordering::Relaxed);
        block::set_map(core::ptr::from_ref(self) as usize);
        block::set_stale(&raw const self.inbox.stale);
        block::set_view(self.table().view());
    }

    /// Whether the hot slot shows it.
    pub fn is_published(&self) -> bool {
        self.published.get()
    }

    /// Another map is about to be published in its place.
    pub fn unpublish(&self) {
        self.published.set(false);
        self.inbox.owner.store(0, Ordering::Relaxed);
    }

    /// Shows the empty table in the calling thread's hot slot.
    pub fn publish_nothing(&self) {
        self.unpublish();
        block::set_view(View::empty());
        block::set_stale(core::ptr::null());
        block::set_map(0);
    }

    /// How many scopes are open.
    #[inline(always)]
    pub fn depth(&self) -> u16 {
        self.scopes.len() as u16
    }

    /// Whether no other thread reaches it, and nothing is stale (counted before posted).
    #[inline(always)]
    pub fn is_plain(&self) -> bool {
        !self.has_reachable() && self.inbox.stale.load(Ordering::Relaxed) == 0
    }

    /// Whether nothing stands at a key's home: nothing of the key then, hidden or not.
    pub fn is_home_free(&self, key: u64) -> bool {
        self.table().is_home_free(key)
    }

    /// Whether the next entry needs no memory, whatever its key.
    #[inline(always)]
    pub fn has_room(&self) -> bool {
        self.order.has_room() && self.pool.has_kept() && self.table().has_room()
    }

    /// [`has_room`](Self::has_room), if no record is kept.
    pub fn has_room_in_slabs(&self) -> bool {
        self.order.has_room() && self.pool.has_spare() && self.table().has_room()
    }

    /// The owner takes a value out, hides or replaces one: who has seen it before a
    /// callback must not hand it out after.
    #[inline(always)]
    pub fn count_removal(&self) {
        self.removals.set(self.removals.get().wrapping_add(1));
    }

    /// Whether any of its records is of a key that other threads reach.
    #[inline(always)]
    pub fn has_reachable(&self) -> bool {
        self.reachable.get() > 0
    }

    /// A record for an entry to come: reserved, filled in, in `order`, and not linked.
    /// There is memory for all that [`insert`](Self::insert) does but for the table.
    #[inline(always)]
    pub fn new_record(
        &self,
        slot: &KeySlot,
        key: u64,
        rules: Rules,
    ) -> Result<Numbered, OutOfMemory> {
        let made = self.enlisted(key, rules, State::Reserved)?;
        Record::at(made.0).keep_slot(slot);
        if rules.reachable() {
            self.reachable.set(self.reachable.get() + 1);
        }
        Ok(made)
    }

    #[inline(always)]
    fn enlisted(&self, key: u64, rules: Rules, state: State) -> Result<Numbered, OutOfMemory> {
        self.reserve_order()?;
        let (record, number) = self.pool.allocate(&self.inbox.lock)?;
        let fields = Record::at(record);
        fields.handle.set(key);
        fields.rules.set(rules);
        fields.become_state(state);
        self.enlist(record, number);
        Ok((record, number))
    }

    /// A record that hides a value of `key` in the innermost scope; see
    /// [`super::covering`].
    pub fn new_placeholder(&self, key: u64) -> Result<RecordPointer, OutOfMemory> {
        let (record, _) = self.enlisted(key, Rules::NONE, State::Absent)?;
        Record::at(record).depth.set(self.depth());
        Ok(record)
    }

    /// Provides for the first entry: a table and a record. With an error what there is
    /// stays for later.
    pub fn ensure_first(&self) -> Result<(), OutOfMemory> {
        self.reserve_records(1)?;
        self.ensure_insert()
    }

    /// Makes sure that so many records are spare.
    pub fn reserve_records(&self, number: u32) -> Result<(), OutOfMemory> {
        self.pool.reserve(number, &self.inbox.lock)
    }

    /// A record becomes free. It is in no table, no list and no chain of covered ones, and
    /// has left its key.
    #[inline(never)]
    pub fn free_record(&self, record: RecordPointer) {
        self.delist(record);
        self.leave_reach(record, State::Free);
        self.pool.free(record, Some(&self.inbox.lock));
    }

    /// [`free_record`](Self::free_record) of an Absent one, which nobody else reaches, in
    /// [`with_table`](Self::with_table).
    pub fn free_placeholder(&self, placeholder: RecordPointer) {
        self.delist(placeholder);
        self.leave_reach(placeholder, State::Free);
        // As `with_table` has it.
        let lock = (!self.has_reachable()).then_some(&self.inbox.lock);
        self.pool.free(placeholder, lock);
    }

    /// [`free_record`](Self::free_record) of the youngest one, which no other thread
    /// reaches. With false there is more to do, and nothing was done.
    #[inline(always)]
    pub fn free_youngest(&self, record: RecordPointer) -> bool {
        let number = if self.pool.has_kept() { None } else { self.delist_youngest(record) };
        let Some(number) = number else { return false };
        Record::at(record).become_state(State::Free);
        self.pool.keep((record, number));
        true
    }

    /// Runs `work` with the map's lock if a record is reachable.
    #[inline(always)]
    #[cfg_attr(modelled, track_caller)]
    pub fn guarded_if<T>(&self, reachable: bool, work: impl FnOnce() -> T) -> T {
        match reachable {
            true => self.inbox.lock.with(work),
            false => work(),
        }
    }

    /// Where a record's entry is.
    #[inline(always)]
    pub fn state_of(&self, record: RecordPointer) -> State {
        let fields = Record::at(record);
        self.guarded_if(fields.is_reachable(), || fields.state())
    }

    /// Leaves a record to those who visit its value, if anybody does: the map is ending.
    /// With the key's lock and the map's.
    pub fn abandon(&self, record: RecordPointer) -> bool {
        if !marks(record).are_there() {
            return false;
        }
        self.pool.abandon(record);
        self.delist(record);
        marks(record).abandoned.set(true);
        self.reachable.set(self.reachable.get() - 1);
        true
    }

    /// A record becomes Free or Absent: other threads reach it no more.
    pub fn leave_reach(&self, record: RecordPointer, next: State) {
        let fields = Record::at(record);
        let reachable = fields.is_reachable();
        self.guarded_if(reachable, || fields.become_state(next));
        if reachable {
            fields.rules.set(Rules::NONE);
            marks(record).reason.set(0);
            self.reachable.set(self.reachable.get() - 1);
        }
    }

    /// An entry's value is in the map from now on.
    #[inline(always)]
    pub fn entry_came(&self, record: RecordPointer) {
        count(&self.counters.entries);
        if Record::at(record).rules.get().inherits() {
            self.inherited.set(self.inherited.get() + 1);
        }
    }

    /// An entry's value is not the map's any more.
    #[inline(always)]
    pub fn entry_went(&self, record: RecordPointer) {
        count_down(&self.counters.entries);
        if Record::at(record).rules.get().inherits() {
            self.inherited.set(self.inherited.get() - 1);
        }
    }

    /// Frees table and records of a map without entries.
    pub fn release_memory(&self) {
        debug_assert_eq!(self.used.get(), 0, "a record is in use");
        self.order.free();
        self.stale.free();
        self.scopes.free();
        self.pool.free_all();
        self.inbox.set_wakers(None);
        drop(self.with_table(0, |table, _| core::mem::replace(table, ThreadLocalMap::new())));
    }

    /// Whether it has never had an entry, a scope, or somebody to wake.
    pub fn was_never_used(&self) -> bool {
        self.table().capacity() == 0
            && self.scopes.is_empty()
            && self.used.get() == 0
            && self.inbox.is_empty()
            && self.inbox.has_no_wakers()
    }
}

/// Look-ups of the owner.
impl Map {
    /// Where a key's entry stands.
    #[inline(always)]
    pub fn find(&self, key: u64) -> Option<usize> {
        self.table().get_entry(key)
    }

    /// Where a record's entry stands.
    pub fn position_of(table: &Table, record: RecordPointer) -> Option<usize> {
        table.position_of(Record::at(record).handle.get(), number_of(record))
    }

    /// Where the entry of a Live record stands: the only one of its key that a look-up finds.
    #[inline(always)]
    pub fn position_of_live(table: &Table, record: RecordPointer) -> Option<usize> {
        let position = table.get_entry(Record::at(record).handle.get())?;
        debug_assert_eq!(table.record(position), number_of(record));
        Some(position)
    }

    /// Walks to where a key is not, giving up stale entries on the way.
    pub fn find_after_miss(&self, key: u64) -> Option<usize> {
        self.with_table(SLOW_PATH_BUDGET, |table, owner| table.get_entry_after_miss(key, owner))
    }

    /// The value of an entry that a look-up finds, or that a scope hides. With the map's
    /// lock, if other threads reach it.
    pub fn visible_value_of(&self, record: RecordPointer) -> Option<*mut c_void> {
        match Record::at(record).state() {
            State::Live | State::Covered => self.value_of(record),
            _ => None,
        }
    }

    /// The value of an entry, if the map has one. With the map's lock, if other
    /// threads reach it; they may ask, too.
    pub fn value_of(&self, record: RecordPointer) -> Option<*mut c_void> {
        let fields = Record::at(record);
        match fields.state() {
            State::Live => {
                Self::position_of_live(self.table(), record).map(|at| self.table().value(at))
            }
            State::Covered | State::Retired | State::Purged => Some(fields.value.get()),
            _ => None,
        }
    }
}
