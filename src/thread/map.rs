//! A map: the table, and the lists of its holder records.
//!
//! The two parts of a map have different rules. `mailbox` and `counters` are
//! atomics that other threads use; everything else is the owner's, in `Cell`s.
//! The table is reached through [`Map::with_table`] alone, for the length of a
//! closure that calls nobody.
//!
//! Everything is valid and empty when it is all zero.

use core::ffi::c_void;
use core::ptr::NonNull;

use super::inherit::Inherited;
use super::loops::Cursor;
use super::scopes::{Scopes, Shadow};
use crate::error::Error;
use crate::key::holder::{
    Holder, HolderList, HolderPointer, KeyLinks, Mailbox, OrderLinks, Place, Stand,
};
use crate::map::{Owner, Removed, ThreadLocalMap, View};
use crate::sys::block;
use crate::sys::sync::unwatched::AtomicU64;
use crate::sys::sync::{AtomicBool, Cell, InTurn, Ordering};

/// What the owner has counted; read by anybody, at any time.
///
/// One thread writes, so a load and a store make an increment. `Relaxed`:
/// they are for reports.
#[derive(Default)]
pub struct Counters {
    /// Entries in the table.
    pub entries: AtomicU64,
    /// Slots of the table.
    pub capacity: AtomicU64,
    /// Tables made anew or swept.
    pub rehashes: AtomicU64,
    /// Most slots that an insert has looked at.
    pub longest_probe: AtomicU64,
    /// Values ended because their key was dead.
    pub expunged: AtomicU64,
    /// Destroy callbacks called.
    pub destroyed: AtomicU64,
    /// 1 while the end of the map's thread can't be seen.
    pub unwatched: AtomicU64,
}

/// Adds one to a counter that only this thread writes.
pub fn count(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// Whose a map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A thread's own.
    Thread = 0,
    /// One that threads switch to.
    Moving = 1,
    /// A captured context: no thread's.
    Context = 2,
}

/// One map.
#[repr(C)]
pub struct Map {
    /// Where releasers tell of dead keys.
    pub mailbox: Mailbox,
    /// For reports.
    pub counters: Counters,
    /// Links of the list of all maps, under its lock ([`super::stats`]).
    pub links: (Cell<*mut Map>, Cell<*mut Map>),
    /// Its number among all maps ever, under the same lock: the list is in
    /// falling order.
    pub number: Cell<u64>,
    /// Whose it is.
    pub kind: Cell<Kind>,
    pub(super) table: InTurn<ThreadLocalMap<HolderPointer>>,
    /// The table's count of changes that the counters know of.
    changes: Cell<u64>,
    /// The hot slot shows this map's table.
    pub(super) shown: Cell<bool>,
    /// A thread has this map: it has switched to it, or it is its own.
    attached: AtomicBool,
    /// Records of the entries that were set outside of any scope, in the order
    /// of first set: in the table, or set aside.
    order: HolderList<OrderLinks>,
    /// Scopes that are open, each with the records of its own entries.
    pub(super) scopes: Scopes,
    /// Records of entries that a context captures.
    pub(super) inherited: Inherited,
    /// Out of the table, value not ended yet.
    pub(super) condemned: HolderList<OrderLinks>,
    /// A callback is running for these, or ran and did not return.
    pub(super) ending: HolderList<OrderLinks>,
    /// Taken from the mailbox; `place` is [`Place::Stale`].
    stale: HolderList<KeyLinks>,
    pub(super) spare: Cell<*mut Holder>,
    pub(super) spare_count: Cell<usize>,
    pub(super) cursors: Cell<*const Cursor>,
    /// Records of keys whose values other threads may reach. While there is
    /// one, the table is changed under the mailbox's lock only.
    pub(super) reachable: Cell<usize>,
    /// Ends that are put off until nobody visits the value.
    pub(super) put_off: Cell<usize>,
    /// The table is being changed, further out on this stack.
    pub(super) busy: Cell<bool>,
}

/// The map's answers to its table.
pub(super) struct Keeper<'a>(&'a Map);

/// The record behind a pointer that one of the map's lists or its table had.
pub(super) fn record<'a>(holder: HolderPointer) -> &'a Holder {
    // SAFETY: Invariant 2 of the parent module: records in lists and tables
    // are not freed, and all their fields that an owner uses are cells.
    unsafe { holder.as_ref() }
}

impl Owner<HolderPointer> for Keeper<'_> {
    fn is_stale(&self, holder: HolderPointer) -> bool {
        record(holder).place.get() == Place::Stale
    }

    fn has_stale(&self) -> bool {
        !self.0.stale.is_empty()
    }

    fn expunged(&mut self, entry: Removed<HolderPointer>) {
        self.0.left_table(entry.record, entry.value);
        self.0.withdraw_stale(entry.record);
        // SAFETY: It has just left `order`; the caller of the table owns it.
        unsafe { self.0.condemned.push_back(entry.record) };
    }

    fn moved(&mut self, view: View) {
        if self.0.shown.get() {
            block::set_view(view);
        }
    }
}

impl Map {
    /// Runs `work` on the table, then brings the counters up to date.
    #[inline(always)]
    pub(super) fn with_table<T>(
        &self,
        work: impl FnOnce(&mut ThreadLocalMap<HolderPointer>, &mut Keeper<'_>) -> T,
    ) -> T {
        let work = || {
            // SAFETY: This thread owns the map; the closures of this module
            // call only the table, and `Keeper` does not touch it; other
            // threads read it under the lock. So this `&mut` is alone.
            work(unsafe { &mut *self.table.write() }, &mut Keeper(self))
        };
        self.busy.set(true);
        let result = match self.reachable.get() {
            0 => work(),
            _ => self.mailbox.lock.with(work),
        };
        self.busy.set(false);
        let table = self.table();
        let entries = table.size() + table.promised();
        self.counters.entries.store(entries as u64, Ordering::Relaxed);
        if table.changes() != self.changes.get() {
            self.count_changes(table);
        }
        result
    }

    #[cold]
    fn count_changes(&self, table: &ThreadLocalMap<HolderPointer>) {
        self.changes.set(table.changes());
        self.counters.capacity.store(table.capacity() as u64, Ordering::Relaxed);
        self.counters.rehashes.store(table.rehashes(), Ordering::Relaxed);
        self.counters.longest_probe.store(table.longest_probe() as u64, Ordering::Relaxed);
    }

    /// The table, to look at.
    pub(super) fn table(&self) -> &ThreadLocalMap<HolderPointer> {
        // SAFETY: This thread owns the map; whoever changes the table does so
        // in `with_table`, whose closures do not come here.
        unsafe { &*self.table.read() }
    }

    /// Becomes the calling thread's.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] if another thread has it.
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

    /// Shows this map's table in the calling thread's hot slot.
    /// `thread` is the number that the OS shows for it.
    pub fn show(&self, thread: u64) {
        self.shown.set(true);
        self.mailbox.owner.store(thread, Ordering::Relaxed);
        block::set_depth(usize::from(self.scopes.depth()));
        block::set_stale(&raw const self.mailbox.stale);
        block::set_view(self.table().view());
    }

    /// Shows the depth of scopes to the sets of the calling thread.
    pub(super) fn show_depth(&self) {
        if self.shown.get() {
            block::set_depth(usize::from(self.scopes.depth()));
        }
    }

    /// Another map is about to be shown in its place.
    pub(super) fn step_back(&self) {
        self.shown.set(false);
        self.mailbox.owner.store(0, Ordering::Relaxed);
    }

    /// Shows the empty table in the calling thread's hot slot.
    pub fn hide(&self) {
        self.step_back();
        block::set_view(View::empty());
        block::set_stale(core::ptr::null());
        block::set_depth(0);
    }

    /// Makes room for one more entry; see [`ThreadLocalMap::reserve`].
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`].
    #[inline(always)]
    pub fn reserve(&self) -> Result<(), Error> {
        if self.table().has_room() {
            return Ok(());
        }
        self.with_table(|table, keeper| table.reserve(keeper)).map_err(Error::from)
    }

    /// Puts a reserved record's entry into the table. Needs no memory after
    /// [`reserve`](Self::reserve).
    #[inline(always)]
    pub fn insert(&self, holder: HolderPointer, value: *mut c_void) {
        let fields = record(holder);
        let key = fields.handle.get();
        let rules = fields.rules.get();
        let depth = if rules.worker() { 0 } else { self.scopes.depth() };
        fields.depth.set(depth);
        // A worker's value goes by itself in any scope, as others in their own.
        fields.plain_at.set(if rules.reachable() { Holder::NEVER } else { depth });
        if rules.inherits() {
            self.inherited.push(holder);
        }
        // SAFETY: A reserved record is in no list by these links.
        unsafe { self.order_at(depth).push_back(holder) };
        self.with_table(|table, keeper| {
            fields.stand.set(Stand::Table);
            let replaced = table.set(key, value, holder, keeper);
            debug_assert!(replaced.is_none(), "the caller has looked the key up");
        });
    }

    /// Where a key's entry stands.
    #[must_use]
    pub fn find(&self, key: u64) -> Option<usize> {
        self.table().get_entry(key)
    }

    /// Walks to where a key is not, expunging on the way.
    pub fn find_after_miss(&self, key: u64) -> Option<usize> {
        self.with_table(|table, keeper| table.get_entry_after_miss(key, keeper))
    }

    /// The record at a position that `find` returned.
    #[must_use]
    pub fn record_at(&self, position: usize) -> HolderPointer {
        self.table().record(position)
    }

    /// The value at a position that `find` returned.
    #[must_use]
    pub fn value_at(&self, position: usize) -> *mut c_void {
        self.table().value(position)
    }

    /// The value of a record's entry that no other thread reaches, in the table
    /// or set aside.
    #[must_use]
    pub(super) fn value_of(&self, holder: HolderPointer) -> Option<*mut c_void> {
        let fields = record(holder);
        match fields.stand.get() {
            Stand::Out => None,
            Stand::Table => {
                let position = self.table().position_of(fields.handle.get(), holder)?;
                Some(self.value_at(position))
            }
            // SAFETY: Set aside, so its `value` leads to the scope's note.
            Stand::Aside => Some(unsafe { &*fields.value.get().cast::<Shadow>() }.value.get()),
        }
    }

    /// Exchanges the value at a position that `find` returned.
    pub fn replace_value(&self, position: usize, value: *mut c_void) -> *mut c_void {
        self.with_table(|table, _| table.replace_value(position, value))
    }

    /// Takes a key's entry out of the table. Its record is then in no list by
    /// age, and has the value.
    pub fn take_out(&self, key: u64) -> Option<HolderPointer> {
        self.find(key).map(|position| self.take_out_at(position))
    }

    /// Takes the entry at a position that `find` returned out of the table.
    #[inline(always)]
    pub fn take_out_at(&self, position: usize) -> HolderPointer {
        self.with_table(|table, keeper| {
            let removed = table.remove_at(position, keeper);
            keeper.0.left_table(removed.record, removed.value);
            removed.record
        })
    }

    /// Takes a record's entry out: of the table, or of what is set aside.
    pub fn take_out_record(&self, holder: HolderPointer) {
        match record(holder).stand.get() {
            Stand::Out => {}
            Stand::Aside => self.drop_aside(holder),
            Stand::Table => self.clear_out(holder),
        }
    }

    /// Takes the entry of a record out of the table, also if its value has been
    /// [withdrawn](Self::withdraw_value).
    pub(super) fn clear_out(&self, holder: HolderPointer) {
        let position = self.table().position_of(record(holder).handle.get(), holder);
        if let Some(position) = position {
            self.take_out_at(position);
        }
    }

    #[inline(always)]
    fn left_table(&self, holder: HolderPointer, value: *mut c_void) {
        record(holder).stand.set(Stand::Out);
        self.left(holder, value);
    }

    /// An entry that was in the table, or set aside, is in neither any more.
    #[inline(always)]
    pub(super) fn left(&self, holder: HolderPointer, value: *mut c_void) {
        let fields = record(holder);
        fields.value.set(value);
        self.mend_cursors(holder);
        if fields.rules.get().inherits() {
            self.inherited.remove(holder);
        }
        if fields.rules.get().reachable() && fields.reaped.get() {
            self.mailbox.reaped.fetch_sub(1, Ordering::Relaxed);
        }
        // SAFETY: Invariant 2: an entry has its record in the list of its depth.
        unsafe { self.order_at(fields.depth.get()).remove(holder) };
    }

    /// The records of the entries that were set at a depth of scopes, by age.
    pub(super) fn order_at(&self, depth: u16) -> &HolderList<OrderLinks> {
        self.scopes.order(depth).unwrap_or(&self.order)
    }

    /// Takes everything from the mailbox: those entries are now known stale.
    pub fn take_mail(&self) {
        let mut next = self.mailbox.take();
        while let Some(holder) = NonNull::new(next) {
            let fields = record(holder);
            next = fields.next.get();
            fields.place.set(Place::Stale);
            // SAFETY: Orphaned, so out of the key's list, and out of the
            // mailbox now: in no list by these links.
            unsafe { self.stale.push_back(holder) };
        }
    }

    /// The record that is known stale for the longest time.
    #[must_use]
    pub fn first_stale(&self) -> Option<HolderPointer> {
        self.stale.first()
    }

    /// A record of a dead key that is known stale, and whose value is nobody's
    /// to end yet.
    #[must_use]
    pub fn find_stale(&self, key: u64) -> Option<HolderPointer> {
        let is_it = |holder: &HolderPointer| {
            record(*holder).handle.get() == key && record(*holder).stand.get() != Stand::Out
        };
        self.stale.iter().find(is_it)
    }

    /// Whether the table has given up entries whose values are still to end.
    #[inline]
    pub(super) fn has_condemned(&self) -> bool {
        !self.condemned.is_empty()
    }

    /// The record that was condemned first.
    #[must_use]
    pub fn first_condemned(&self) -> Option<HolderPointer> {
        let holder = self.condemned.first()?;
        // SAFETY: It is in this list.
        unsafe { self.condemned.remove(holder) };
        Some(holder)
    }

    /// A stale entry that nobody is going to look for any more.
    pub fn withdraw_stale(&self, holder: HolderPointer) {
        if record(holder).place.get() != Place::Stale {
            return;
        }
        record(holder).place.set(Place::Orphaned);
        // SAFETY: `Stale` means that it is in this list.
        unsafe { self.stale.remove(holder) };
        if !self.is_reaped(holder) {
            self.mailbox.stale.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The first record whose callback is running, or whose end is put off, of
    /// which `is_it` is true.
    #[must_use]
    pub fn find_ending(&self, is_it: impl Fn(HolderPointer) -> bool) -> Option<HolderPointer> {
        self.ending.iter().find(|holder| is_it(*holder))
    }

    /// Whether the table is being changed further out on this stack: by an
    /// allocator or a signal handler that calls this library.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.busy.get()
    }

    /// Puts a record, which is in no list by age, where an exit finds it.
    pub fn begin_ending(&self, holder: HolderPointer) {
        // SAFETY: The caller: in no list by these links.
        unsafe { self.ending.push_back(holder) };
    }

    /// Undoes [`begin_ending`](Self::begin_ending).
    pub fn end_ending(&self, holder: HolderPointer) {
        // SAFETY: The caller: it is in this list.
        unsafe { self.ending.remove(holder) };
    }

    /// A record whose callback did not return.
    #[must_use]
    pub fn first_ending(&self) -> Option<HolderPointer> {
        self.ending.first()
    }

    /// Whether nothing was set at a depth of scopes and is still there.
    #[must_use]
    pub fn is_empty_at(&self, depth: u16) -> bool {
        self.order_at(depth).is_empty()
    }

    /// Whether it has never had an entry, a scope, or somebody to be told.
    pub(super) fn was_never_used(&self) -> bool {
        self.table().capacity() == 0
            && self.scopes.depth() == 0
            && self.ending.is_empty()
            && self.mailbox.is_empty()
            && self.mailbox.notice().is_none()
    }

    /// Whether a thread has it.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        self.attached.load(Ordering::Relaxed)
    }
}
