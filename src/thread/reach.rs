//! Values that other threads reach: `ANY` keys, and enumerable ones.
//!
//! # The problem
//!
//! With `TLS_RECLAIM_ANY` the thread that releases a key ends all threads'
//! values; a purge does so while the key lives; a visit looks at them while
//! their threads run. The owner's get must stay what it is: two loads and a
//! compare, without a lock and without waiting.
//!
//! # The idea
//!
//! ```text
//!   key's lock      who is a holder; visitors; what is put off
//!     map's lock    the table, as soon as the map has one reachable record:
//!                   the owner moves entries, others vacate them
//! ```
//!
//! *Reaping*: with both locks, the value is taken out of the owner's table, and
//! a word is left in its place that no look-up finds. The record goes into the
//! map's mailbox, uncounted, so that the owner clears the entry away. The value
//! is the reaper's, and is ended with no lock held, one at a time: nothing has
//! to be allocated, and a release can't fail.
//!
//! *Visiting*: with both locks the value is read and its record marked; then
//! the visitor is called with no lock held. Meanwhile the owner may do what it
//! likes: a value that it replaces or removes is *put off*, and ends when the
//! last visitor has left it: on the owner, when it next expunges; on the
//! visitor, if the key allows any thread, or if the owner has gone.
//!
//! # Invariants
//!
//! 1. Who visits has a reference to the key: so no key dies while a value of
//!    it is visited.
//! 2. A record with visitors stays in its key's list: so a visitor finds the
//!    next one, whatever has happened meanwhile.
//! 3. A record with visitors is reaped by nobody: purging and taking are
//!    refused while the key is visited, and pass over a value that is visited
//!    by somebody who came after they had begun.

use core::cell::Cell;
use core::ffi::c_void;
use core::ptr::{null_mut, NonNull};

use super::destroy::{end_replaced, obligation_met, reserve_record, slot_of};
use super::keys::{self, notify};
use super::map::Map;
use super::record::{self, ThreadRecord};
use super::{stats, wait};
use crate::error::{Error, Reason};
use crate::key;
use crate::key::holder::{Holder, HolderList, HolderPointer, KeyLinks, Mailbox, Notice};
use crate::key::holders::has_vanished;
use crate::key::options::Rules;
use crate::key::slot::KeySlot;
use crate::sys::memory;
use crate::sys::sync::Ordering;

/// What a visit calls with each value.
pub type Visit = unsafe extern "C" fn(value: *mut c_void, thread: u64, argument: *mut c_void);

fn fields<'a>(holder: HolderPointer) -> &'a Holder {
    // SAFETY: The callers have it from a list, under its lock, or own it.
    unsafe { holder.as_ref() }
}

/// Runs a callback, counted if the thread is attached.
fn call_out(thread: Option<&ThreadRecord>, callback: impl FnOnce()) {
    match thread {
        Some(thread) => thread.call_out(callback),
        None => callback(),
    }
}

/// Ends a value of a key that keeps its callbacks in place meanwhile.
fn end(thread: Option<&ThreadRecord>, slot: &KeySlot, value: *mut c_void, reason: i32) {
    let callbacks = slot.callbacks();
    if let Some(destroy) = callbacks.destroy.filter(|_| !value.is_null()) {
        stats::count_destroyed();
        // SAFETY: The key's maker promises a function that may be called with
        // each value, on any thread that the key allows; no lock is held.
        call_out(thread, || unsafe { destroy(value, reason, callbacks.user) });
    }
}

/// What one step under the key's lock has found.
enum Step {
    /// Nothing left.
    Done,
    /// A record that needs nothing more.
    Next,
    /// A value that is the caller's now.
    Reaped(Reaped),
    /// Somebody is to be told of mail.
    Told(Notice),
}

/// A value that was reaped.
struct Reaped {
    value: *mut c_void,
    thread: u64,
    /// The record's obligation is the reaper's to meet, and not its owner's.
    settled: bool,
}

/// Reaps a record of the list, or leaves it.
fn reap_first(list: &HolderList<KeyLinks>, holder: HolderPointer, dead: bool) -> Option<Reaped> {
    if fields(holder).visitors.get() > 0 {
        return None;
    }
    // SAFETY: In the list, and the lock is held.
    let map = unsafe { Map::of(holder) };
    let value = map.reap(holder)?;
    let thread = map.mailbox.owner.load(Ordering::Relaxed);
    let settled = !map.owes(holder);
    if settled || dead {
        // SAFETY: In the list, and the lock is held.
        unsafe { list.remove(holder) };
        fields(holder).orphaned.set(true);
        // SAFETY: Just orphaned, and the lock is held. Nothing is left to end,
        // so nobody is told.
        unsafe { map.mailbox.put(holder, false) };
    }
    // Else it stays where it is, because the live key's callbacks are in use:
    // its owner takes it out when they have returned.
    Some(Reaped { value, thread, settled })
}

/// Goes on with the burial of an `ANY` key: ends all values that stand.
pub(super) fn bury_all(thread: Option<&ThreadRecord>, slot: &'static KeySlot) {
    loop {
        match slot.with_holders(bury_first) {
            Step::Done => return,
            Step::Next => {}
            Step::Told(notice) => notify(thread, notice),
            Step::Reaped(reaped) => {
                if reaped.settled {
                    // Never the last: the burial itself is another.
                    obligation_met(thread, slot);
                }
                stats::count_expunged();
                end(thread, slot, reaped.value, Reason::KeyDead as i32);
            }
        }
    }
}

fn bury_first(list: &HolderList<KeyLinks>) -> Step {
    let Some(holder) = list.first() else { return Step::Done };
    if !has_vanished(fields(holder)) {
        if let Some(reaped) = reap_first(list, holder, true) {
            return Step::Reaped(reaped);
        }
    }
    // Being made or ended by its owner, who will hear of the death; or of a
    // map that is not here.
    // SAFETY: In the list, and the lock is held.
    unsafe { list.remove(holder) };
    if has_vanished(fields(holder)) {
        return Step::Next;
    }
    fields(holder).orphaned.set(true);
    // SAFETY: As above.
    let mailbox = &unsafe { Map::of(holder) }.mailbox;
    let record = fields(holder);
    let counted = record.deferred.get() == 0 && !record.reaped.get();
    // Looked at before: once the record is in the mailbox, the map's thread may
    // take it out and end, and the map with it.
    let notice = mailbox.notice();
    // SAFETY: Just orphaned, and the lock is held.
    let first = unsafe { mailbox.put(holder, counted) };
    notice.filter(|_| first).map_or(Step::Next, Step::Told)
}

/// A visit of all values of a key, by the calling thread: it has a reference
/// to the key, and counts as a visit of it. Lives on the stack, in a chain, so
/// that the child of a fork knows which visits are its own.
pub struct Visiting {
    thread: &'static ThreadRecord,
    slot: &'static KeySlot,
    /// The record whose value is being visited, or null.
    at: Cell<*mut Holder>,
    outer: *const Visiting,
}

impl Visiting {
    /// Runs `work` as a visit of the key, if its rules are as `allowed` says,
    /// and, with `alone`, nobody else visits it.
    fn run<T>(
        key: u64,
        alone: bool,
        allowed: impl Fn(Rules) -> bool,
        work: impl FnOnce(&Self) -> T,
    ) -> Result<T, Error> {
        let thread = record::attached()?;
        key::retain(key)?;
        let slot = key::find(key)?;
        let begun = slot.with_holders(|_| {
            if !allowed(slot.rules()) {
                return Err(Error::Invalid);
            }
            if alone && slot.visits().get() > 0 {
                return Err(Error::Busy);
            }
            slot.visits().set(slot.visits().get() + 1);
            Ok(())
        });
        let result = begun.map(|()| {
            let outer = thread.visiting_keys.get();
            let visiting = Self { thread, slot, at: Cell::new(null_mut()), outer };
            thread.visiting_keys.set(&raw const visiting);
            let result = work(&visiting);
            thread.visiting_keys.set(outer);
            slot.with_holders(|_| slot.visits().set(slot.visits().get() - 1));
            result
        });
        keys::release(key)?;
        wait::changed();
        result
    }
}

impl ThreadRecord {
    /// Runs `visit` for each visit of this thread: the key's slot, and the
    /// record whose value is being visited, or null.
    pub(super) fn for_each_visit(&self, visit: impl Fn(&KeySlot, *mut Holder)) {
        let mut next = self.visiting_keys.get();
        // SAFETY: A visit leaves the chain before its stack goes; where a
        // visitor never returned, the thread's exit clears the chain.
        while let Some(frame) = unsafe { next.as_ref() } {
            visit(frame.slot, frame.at.get());
            next = frame.outer;
        }
    }
}

/// Takes every standing value of a live key, and hands each to `receive`.
/// Returns how many.
fn take_each(visiting: &Visiting, receive: impl Fn(*mut c_void, u64)) -> usize {
    let mut taken = 0;
    // Values that threads set meanwhile are not waited for: a record that
    // can't be reaped goes to the end of the list, and each comes once.
    let mut left = visiting.slot.with_holders(|list| list.iter().count());
    while left > 0 {
        left -= 1;
        let reaped = visiting.slot.with_holders(|list| {
            let holder = list.first()?;
            if has_vanished(fields(holder)) {
                // SAFETY: In the list, and the lock is held.
                unsafe { list.remove(holder) };
                return None;
            }
            let reaped = reap_first(list, holder, false);
            if reaped.as_ref().is_none_or(|reaped| !reaped.settled) {
                // SAFETY: As above.
                unsafe {
                    list.remove(holder);
                    list.push_back(holder);
                }
            }
            reaped
        });
        if let Some(reaped) = reaped {
            taken += 1;
            receive(reaped.value, reaped.thread);
        }
    }
    taken
}

/// Ends every thread's value of a live `ANY` key, now. Returns how many.
///
/// # Errors
///
/// [`Error::Invalid`] for another key; [`Error::Busy`] while it is visited;
/// [`Error::BadKey`], [`Error::DeadKey`].
pub fn purge(key: u64) -> Result<usize, Error> {
    Visiting::run(
        key,
        true,
        |rules| rules.any,
        |visiting| {
            take_each(visiting, |value, _| {
                end(Some(visiting.thread), visiting.slot, value, Reason::Purged as i32);
            })
        },
    )
}

/// Takes every thread's value of an enumerable key out, undestroyed, and hands
/// each to `take`.
///
/// # Errors
///
/// As [`purge`], for an enumerable key.
#[allow(clippy::not_unsafe_ptr_arg_deref)] // nothing here dereferences it
pub fn scrape(key: u64, take: Visit, argument: *mut c_void) -> Result<(), Error> {
    Visiting::run(
        key,
        true,
        |rules| rules.enumerable,
        |visiting| {
            take_each(visiting, |value, owner| {
                // SAFETY: The caller promises a function that may be called with
                // each value; no lock is held.
                visiting.thread.call_out(|| unsafe { take(value, owner, argument) });
            });
        },
    )
}

/// Calls `visit` with every thread's value of an enumerable key.
///
/// # Errors
///
/// [`Error::Invalid`] for another key; [`Error::BadKey`], [`Error::DeadKey`],
/// [`Error::NoMemory`], [`Error::Exiting`].
#[allow(clippy::not_unsafe_ptr_arg_deref)] // nothing here dereferences it
pub fn for_each(key: u64, visit: Visit, argument: *mut c_void) -> Result<(), Error> {
    Visiting::run(
        key,
        false,
        |rules| rules.enumerable,
        |visiting| loop {
            let slot = visiting.slot;
            let last = NonNull::new(visiting.at.get());
            let (found, left) = slot.with_holders(|list| {
                let (found, left) = step(list, last);
                // With the lock, so that a fork finds the marks and this alike.
                visiting.at.set(found.map_or(null_mut(), |(holder, ..)| holder.as_ptr()));
                (found, left)
            });
            finish_left(Some(visiting.thread), slot, left);
            let Some((_, value, owner)) = found else { break };
            // SAFETY: The caller promises a function that may be called with each
            // value; no lock is held, and the record's mark keeps the value alive.
            visiting.thread.call_out(|| unsafe { visit(value, owner, argument) });
        },
    )
}

/// Marks the next standing value after `last`, and takes `last`'s mark back.
fn step(
    list: &HolderList<KeyLinks>,
    last: Option<HolderPointer>,
) -> (Option<(HolderPointer, *mut c_void, u64)>, Left) {
    let mut next = match last {
        Some(last) => NonNull::new(fields(last).next.get()),
        None => list.first(),
    };
    let mut found = None;
    while let Some(holder) = next {
        next = NonNull::new(fields(holder).next.get());
        if has_vanished(fields(holder)) {
            continue;
        }
        // SAFETY: In the list, and the lock is held.
        let map = unsafe { Map::of(holder) };
        if let Some(value) = map.peek(holder) {
            fields(holder).visitors.set(fields(holder).visitors.get() + 1);
            found = Some((holder, value, map.mailbox.owner.load(Ordering::Relaxed)));
            break;
        }
    }
    (found, last.map_or(Left::Nothing, |last| leave(list, last)))
}

/// What the last visitor of a value has to do after it.
enum Left {
    Nothing,
    /// The owner is to end the value.
    Told(Option<Notice>),
    /// The visitor ends the value; the record is the owner's.
    End(*mut c_void, u8),
    /// The visitor ends the value, and frees the record.
    EndAndFree(*mut c_void, u8, HolderPointer),
}

/// Takes a visitor's mark back.
fn leave(list: &HolderList<KeyLinks>, holder: HolderPointer) -> Left {
    let record = fields(holder);
    record.visitors.set(record.visitors.get() - 1);
    let reason = record.deferred.get();
    if record.visitors.get() > 0 || reason == 0 {
        return Left::Nothing;
    }
    if record.abandoned.get() {
        // SAFETY: In the list, and the lock is held.
        unsafe { list.remove(holder) };
        return Left::EndAndFree(record.value.get(), reason, holder);
    }
    // SAFETY: In the list, and the lock is held.
    let mailbox = &unsafe { Map::of(holder) }.mailbox;
    if !slot_of(record).rules().any {
        // The owner finds it among those it has put off.
        mailbox.stale.fetch_add(1, Ordering::Relaxed);
        return Left::Told(mailbox.notice());
    }
    let value = record.value.get();
    let owes = mailbox.lock.with(|| {
        record.reaped.set(true);
        record.owes.set(record.replacing.get() > 0);
        record.owes.get()
    });
    if !owes {
        // SAFETY: In the list, and the lock is held.
        unsafe { list.remove(holder) };
        record.orphaned.set(true);
        // SAFETY: Just orphaned, and the lock is held.
        unsafe { mailbox.put(holder, false) };
    }
    Left::End(value, reason)
}

fn finish_left(thread: Option<&ThreadRecord>, slot: &KeySlot, left: Left) {
    match left {
        Left::Nothing => {}
        Left::Told(notice) => notice.into_iter().for_each(|notice| notify(thread, notice)),
        Left::End(value, reason) => end(thread, slot, value, i32::from(reason)),
        Left::EndAndFree(value, reason, holder) => {
            end(thread, slot, value, i32::from(reason));
            // SAFETY: Its map has given it up, and it is in no list.
            unsafe { memory::free(holder) };
        }
    }
}

/// Puts the end of a value off if somebody visits it. Its record has left the
/// table, and is in `ending`.
pub(super) fn put_off(map: &Map, holder: HolderPointer, reason: Reason) -> bool {
    let record = fields(holder);
    let slot = slot_of(record);
    if !record.reachable.get() || !slot.rules().enumerable || map.is_reaped(holder) {
        return false;
    }
    slot.with_holders(|_| {
        let visited = record.visitors.get() > 0;
        if visited {
            record.deferred.set(reason as u8);
            map.put_off().set(map.put_off().get() + 1);
        }
        visited
    })
}

/// A value whose end was put off and which nobody visits any more; with the
/// reason, and with whether a burial has put its record into the mailbox. (It
/// has been counted as stale once: by its last visitor.)
pub(super) fn take_put_off(map: &Map) -> Option<(HolderPointer, u8, bool)> {
    if map.put_off().get() == 0 {
        return None;
    }
    let taken = Cell::new((0, false));
    let found = map.find_ending(|holder| {
        let record = fields(holder);
        record.deferred.get() != 0
            && slot_of(record).with_holders(|_| {
                let left = record.visitors.get() == 0 && !record.reaped.get();
                if left {
                    taken.set((record.deferred.replace(0), record.orphaned.get()));
                }
                left
            })
    })?;
    map.put_off().set(map.put_off().get() - 1);
    let (reason, orphaned) = taken.get();
    Some((found, reason, orphaned))
}

/// The map is going: leaves every value whose end is put off to its visitors.
pub(super) fn abandon(map: &Map, holder: HolderPointer) -> bool {
    /// What stands for the map of a record whose map is gone.
    static GONE: Mailbox = Mailbox::new();
    let record = fields(holder);
    if record.deferred.get() == 0 {
        return false;
    }
    let slot = slot_of(record);
    let visited = slot.with_holders(|_| {
        let visited = record.visitors.get() > 0;
        if visited {
            record.abandoned.set(true);
            record.mailbox.set(&raw const GONE);
        }
        visited
    });
    if visited {
        map.forget_record();
    }
    visited
}

/// [`set`](super::values::set) over a standing value of a reachable key.
/// `None`: it has been reaped, so there is no value any more.
pub(super) fn set(
    thread: &ThreadRecord,
    holder: HolderPointer,
    value: *mut c_void,
) -> Result<Option<()>, Error> {
    let map = thread.map();
    let slot = slot_of(fields(holder));
    if let Some(outcome) = exchange_unvisited(map, slot, holder, value, true) {
        return Ok(outcome.map(|old| end_unless_same(thread, map, holder, old, value)));
    }
    if map.peek(holder) == Some(value) {
        return Ok(Some(()));
    }
    // Somebody visits the old value: it keeps its record, and the new one gets
    // another.
    let new = reserve_record(thread, map, slot, fields(holder).handle.get())?;
    let deferred = slot.with_holders(|_| {
        map.substitute(holder, new, value)?;
        let visited = fields(holder).visitors.get() > 0;
        if visited {
            fields(holder).deferred.set(Reason::Replaced as u8);
            map.put_off().set(map.put_off().get() + 1);
        }
        Some(visited)
    });
    match deferred {
        Some(true) => map.begin_ending(holder),
        Some(false) => super::destroy::end_value(thread, map, holder, Reason::Replaced),
        None => super::destroy::finish(thread, map, new),
    }
    Ok(deferred.map(|_| ()))
}

/// Exchanges a value that nobody visits; `None` if somebody does.
fn exchange_unvisited(
    map: &Map,
    slot: &KeySlot,
    holder: HolderPointer,
    value: *mut c_void,
    ending: bool,
) -> Option<Option<*mut c_void>> {
    let exchange = || map.exchange(holder, value, ending);
    if !slot.rules().enumerable {
        return Some(exchange());
    }
    slot.with_holders(|_| (fields(holder).visitors.get() == 0).then(exchange))
}

fn end_unless_same(
    thread: &ThreadRecord,
    map: &Map,
    holder: HolderPointer,
    old: *mut c_void,
    value: *mut c_void,
) {
    let old = if old == value { null_mut() } else { old };
    end_replaced(thread, map, holder, old);
}

/// Takes the mail of a map of which a record was seen to be reaped.
///
/// The reaper says so under the map's lock, and puts the record into the
/// mailbox after that, under the key's lock: so that lock is waited for first.
pub(super) fn take_mail_of(map: &Map, slot: &KeySlot) {
    slot.with_holders(|_| ());
    map.take_mail();
}

/// A replaced value of a reachable key has ended. If the entry has been reaped
/// meanwhile, and left to this thread, it is cleared away.
pub(super) fn end_replacing(map: &Map, holder: HolderPointer) {
    if !map.end_replacing(holder) {
        return;
    }
    // A burial has put it into the mailbox; a purge has left it where it was.
    take_mail_of(map, slot_of(fields(holder)));
    map.withdraw_stale(holder);
    if fields(holder).in_table.get() {
        map.take_out_record(holder);
        map.begin_ending(holder);
    } else if fields(holder).deferred.replace(0) != 0 {
        // Its last visitor has ended the value.
        map.put_off().set(map.put_off().get() - 1);
    }
}

/// [`swap`](super::values::swap) of a standing value of a reachable key.
///
/// # Errors
///
/// [`Error::Busy`] while it is visited: it can't be handed over then.
pub(super) fn swap(
    thread: &ThreadRecord,
    holder: HolderPointer,
    value: *mut c_void,
) -> Result<Option<*mut c_void>, Error> {
    let slot = slot_of(fields(holder));
    exchange_unvisited(thread.map(), slot, holder, value, false).ok_or(Error::Busy)
}

/// Takes a standing entry of a reachable key out, to hand its value over: the
/// record is then to be finished. `None`: it has been reaped.
///
/// # Errors
///
/// [`Error::Busy`] while it is visited.
pub(super) fn take(map: &Map, holder: HolderPointer) -> Result<Option<*mut c_void>, Error> {
    let slot = slot_of(fields(holder));
    let withdraw = || map.withdraw_value(holder);
    let withdrawn = slot.with_holders(|_| (fields(holder).visitors.get() == 0).then(withdraw));
    let Some(value) = withdrawn.ok_or(Error::Busy)? else { return Ok(None) };
    map.take_out_record(holder);
    Ok(Some(value))
}
