// SPDX-License-Identifier: MIT OR Apache-2.0
//! The calling thread's values: get, set, swap, take, remove.
//!
//! A hit needs the hot slot alone: no thread, no attachment, no lock. What it can't
//! do is handed back, and `capi` goes on with the thread: [`set_over`] and then
//! [`set`], [`hit`] and then [`get_absent`].
//!
//! # Init
//!
//! A get that finds nothing runs the key's init callback, with nothing held. It
//! may set other keys, read them, and even release this one. So the record of the
//! entry to come is reserved first: it keeps the key's options (and `user`) in
//! place until the value is stored. Records whose init runs are in a chain of the
//! map's: reading such a key again is an error and not an endless recursion.
//!
//! # What a call returns is alive
//!
//! Whatever may call back (the destruction of stale values, of a value that init
//! has replaced) comes before the look-up whose result is returned.

use core::ffi::c_void;
use core::iter::successors;
use core::mem::size_of;
use core::ptr::null_mut;

use super::scope;
use crate::error::{Error, Reason};
use crate::key::handle;
use crate::key::options::{Callbacks, Rules};
use crate::key::slot::KeySlot;
use crate::local::covering::{Exchanged, Found, TakenOut};
use crate::local::map::{count, Map};
use crate::local::pool::number_of;
use crate::local::record::{Location, Number, Record, RecordPointer, State};
use crate::local::retire;
use crate::local::thread::Thread;
use crate::map::{find, Entry, View};
use crate::sys::block;
use crate::sys::sync::Ordering;

#[inline(always)]
fn entry<'a>(view: View, distance: usize) -> &'a Entry {
    // SAFETY: The view is the hot slot's, the distance is masked or found by
    // `find`, and the borrow ends before anything can move the table.
    unsafe { view.entry(distance) }
}

/// The value under `key`, if it stands at its home.
#[inline(always)]
pub fn hit(key: u64) -> Option<*mut c_void> {
    let view = block::view();
    let home = entry(view, key as usize & view.mask);
    (home.key.load(Ordering::Relaxed) == key).then(|| home.value.load(Ordering::Relaxed))
}

/// The value under `key`, wherever it stands.
#[inline]
pub fn hit_anywhere(key: u64) -> Option<*mut c_void> {
    let view = block::whole_view();
    find(view, key).map(|distance| entry(view, distance).value.load(Ordering::Relaxed))
}

/// What became of a value that was to be stored over another one.
pub enum Over {
    /// It is stored.
    Stored,
    /// It is stored, and this value of the record is to be destroyed.
    Replaced(RecordPointer, *mut c_void),
    /// It can't be.
    Failed(Error),
    /// There is no value: see [`set`].
    Absent,
    /// That takes more than an exchange: see [`set`].
    Slow,
}

/// Stores a value over another one of the same scope that no other thread reaches.
#[inline(always)]
pub fn set_over(key: u64, value: *mut c_void) -> Over {
    let found = Map::find_published(key);
    let Some((view, distance, map, record)) = found else { return Over::Absent };
    let fields = Record::at(record);
    let rules = fields.rules.get();
    if rules.reachable() || fields.depth.get() != map.depth() {
        return Over::Slow;
    }
    if let Err(error) = fields.slot_at_hand().check_held() {
        return Over::Failed(error);
    }
    let stored = &entry(view, distance).value;
    let old = if rules.has_destroy() { stored.load(Ordering::Relaxed) } else { null_mut() };
    if old == value || old.is_null() {
        stored.store(value, Ordering::Relaxed);
        return Over::Stored;
    }
    if block::is_allocating() {
        // Inside the library's own allocation nothing may be destroyed.
        return Over::Failed(Error::Reentrant);
    }
    stored.store(value, Ordering::Relaxed);
    Over::Replaced(record, old)
}

/// Destroys what [`set_over`] has replaced.
#[inline]
pub fn destroy_replaced(thread: &Thread, record: RecordPointer, old: *mut c_void) {
    let map = thread.map();
    retire::replaced_unreached(thread, map, record, old);
}

/// [`set`] of a key of which [`set_over`] has just found nothing.
#[inline(always)]
pub fn set_absent(thread: &Thread, key: u64, value: *mut c_void) -> Result<(), Error> {
    let (slot, map) = (thread.slot_of(key)?, thread.map());
    let rules = slot.held_rules();
    if !thread.closing.get() && map.is_plain() && !(rules.reachable() || rules.inherits()) {
        if map.depth() > 0 {
            return set_in_scope(thread, map, slot, key, value);
        }
        if map.has_room() {
            return set_first(thread, map, slot, rules, key, value).map(|_| ());
        }
        return set_after_growing(thread, map, slot, key, value).map(|_| ());
    }
    set(thread, key, value)
}

/// [`set_absent`], where scopes are open: something may hide or be hidden.
#[inline(never)]
fn set_in_scope(
    thread: &Thread,
    map: &Map,
    slot: &'static KeySlot,
    key: u64,
    value: *mut c_void,
) -> Result<(), Error> {
    if !map.is_home_free(key) {
        return set(thread, key, value);
    }
    let record = set_after_growing(thread, map, slot, key, value)?;
    if !Record::at(record).rules.get().worker() {
        Record::at(record).depth.set(map.depth());
    }
    Ok(())
}

/// The first value of a key, of which nothing is in the map; with room for it.
#[inline(always)]
fn set_first(
    thread: &Thread,
    map: &Map,
    slot: &'static KeySlot,
    rules: Rules,
    key: u64,
    value: *mut c_void,
) -> Result<RecordPointer, Error> {
    let (record, number) = map.new_record(slot, key, rules)?;
    // SAFETY: A new record is in no list, and filled in.
    if !unsafe { slot.link_alone(Record::link_of(record)) } {
        return set_among_others(thread, map, record, value);
    }
    Record::at(record).location.set(Location::Linked);
    if slot.check(handle::generation(key)).is_err() {
        return Err(refuse(thread, map, record, true));
    }
    map.insert_absent((record, number), key, value);
    Ok(record)
}

/// Goes on with [`set_first`] where other threads have values of the key.
#[inline(never)]
fn set_among_others(
    thread: &Thread,
    map: &Map,
    record: RecordPointer,
    value: *mut c_void,
) -> Result<RecordPointer, Error> {
    link(thread, map, record)?;
    map.insert_absent((record, number_of(record)), Record::at(record).handle.get(), value);
    Ok(record)
}

/// [`set_first`], after making room if there is none. (A model keeps no record, so it always comes here.)
#[inline(never)]
fn set_after_growing(
    thread: &Thread,
    map: &Map,
    slot: &'static KeySlot,
    key: u64,
    value: *mut c_void,
) -> Result<RecordPointer, Error> {
    let rules = slot.rules(handle::generation(key))?;
    if !map.has_room_in_slabs() {
        map.ensure_first()?;
    }
    set_first(thread, map, slot, rules, key, value)
}

/// Stores `value`; destroys the one that it replaces, unless it is the same. Errors:
/// `BadKey`, `DeadKey`, `NoMemory`, `Exiting`.
#[inline(never)]
pub fn set(thread: &Thread, key: u64, value: *mut c_void) -> Result<(), Error> {
    let slot = crate::key::live(key)?;
    thread.check_open()?;
    let map = thread.map();
    if needs_flush(map) {
        retire::flush(thread, map);
        slot.check(handle::generation(key))?;
    }
    // The same pointer again is not covered: it would be destroyed twice.
    if map.depth() > 0 && map.is_outer_value(key, value) {
        return Ok(());
    }
    put(thread, map, slot, key, value, None).map(|_| ())
}

/// Whether [`retire::flush`] would do anything.
#[inline(always)]
fn needs_flush(map: &Map) -> bool {
    !map.inbox.is_empty() || map.has_stale_to_flush()
}

/// A record for an entry to come, linked to its live key. Errors: `NoMemory`, `DeadKey`.
fn reserve(thread: &Thread, map: &Map, slot: &KeySlot, key: u64) -> Result<RecordPointer, Error> {
    // Right if the link finds the key alive, and of no interest if it does not.
    let (record, _) = map.new_record(slot, key, slot.held_rules())?;
    link(thread, map, record).map(|()| record)
}

/// Links a new record to its key; or gives it back. Errors: `DeadKey`.
fn link(thread: &Thread, map: &Map, record: RecordPointer) -> Result<(), Error> {
    let fields = Record::at(record);
    let generation = handle::generation(fields.handle.get());
    // SAFETY: A new record is in no list, and filled in.
    if let Err(entered) = unsafe { fields.slot().link(generation, Record::link_of(record)) } {
        return Err(refuse(thread, map, record, entered));
    }
    fields.location.set(Location::Linked);
    Ok(())
}

/// Gives a record back whose key has died before it was linked, or before it was
/// `entered`. Returns what is to be said.
#[cold]
#[inline(never)]
fn refuse(thread: &Thread, map: &Map, record: RecordPointer, entered: bool) -> Error {
    let fields = Record::at(record);
    let (slot, generation) = (fields.slot(), handle::generation(fields.handle.get()));
    if entered {
        fields.location.set(Location::Linked);
        discard(thread, map, record);
    } else {
        map.free_record(record);
    }
    slot.check(generation).err().unwrap_or(Error::DeadKey)
}

/// Gives a reserved record back that gets no value.
fn discard(thread: &Thread, map: &Map, record: RecordPointer) {
    let fields = Record::at(record);
    map.guarded_if(fields.is_reachable(), || fields.become_state(State::Destroying));
    retire::finish(Some(thread), map, record, fields.slot());
}

/// Stores a value, whatever there is of its key. `made`: a record that was
/// reserved for it; on failure it still is. Returns whether a destroy callback has
/// run after it was stored. Errors: `NoMemory`, `DeadKey`.
#[inline(never)]
pub(super) fn put(
    thread: &Thread,
    map: &Map,
    slot: &'static KeySlot,
    key: u64,
    value: *mut c_void,
    made: Option<RecordPointer>,
) -> Result<bool, Error> {
    loop {
        let exchanged = map.exchange(key, value, true);
        if let Exchanged::Over(..) | Exchanged::Replaced(..) = exchanged {
            if let Some(made) = made {
                discard(thread, map, made);
            }
            if let Exchanged::Replaced(record, old) = exchanged {
                retire::replaced(thread, map, record, slot, old);
            }
            return Ok(matches!(exchanged, Exchanged::Replaced(..)));
        }
        let record = match made {
            Some(made) => made,
            None => reserve(thread, map, slot, key)?,
        };
        let done = match exchanged {
            Exchanged::Visited(old) => {
                map.replace_visited(slot, old, record, value, Reason::Replaced as u8)
            }
            _ => map.ensure_insert().map_err(Error::from).map(|()| {
                if made.is_some() {
                    make_newest(slot, record);
                }
                wait_for_looks(slot, record);
                map.insert(record, value).is_ok()
            }),
        };
        match done {
            Ok(true) => return Ok(false),
            // Another thread has taken the value, or has left it, meanwhile.
            Ok(false) if made.is_none() => discard(thread, map, record),
            Ok(false) => {}
            Err(error) => {
                if made.is_none() {
                    discard(thread, map, record);
                }
                return Err(error);
            }
        }
    }
}

/// A record that was reserved before its value was made gets it now: a visit that
/// is past another value of this thread, which has gone since, must not come to it.
fn make_newest(slot: &KeySlot, record: RecordPointer) {
    // The visit that has marked the other one has begun before its mark, which this
    // thread has seen with the map's lock.
    if slot.visits() > 0 && Record::at(record).is_reachable() {
        // SAFETY: Linked by `reserve`; this thread owns it.
        slot.with_holders(|holders| unsafe { holders.make_newest(Record::link_of(record)) });
    }
}

/// Waits while somebody looks at all values of the key at one instant, in which this one
/// is not. Who begins to look after this finds the record in the list, and marks its map,
/// so that the insert waits.
fn wait_for_looks(slot: &KeySlot, record: RecordPointer) {
    if Record::at(record).rules.get().enumerable() {
        slot.with_holders(|_| ());
    }
}

/// Stores a value that a callback has made, under the record that was reserved
/// for it; or destroys it. Errors: as [`put`]: the value was destroyed.
fn store(
    thread: &Thread,
    map: &Map,
    record: RecordPointer,
    value: *mut c_void,
) -> Result<bool, Error> {
    let fields = Record::at(record);
    let (slot, key) = (fields.slot(), fields.handle.get());
    let live = slot.check(handle::generation(key));
    let stored = live.and_then(|()| put(thread, map, slot, key, value, Some(record)));
    if let Err(error) = stored {
        let dead = error == Error::DeadKey;
        map.guarded_if(fields.is_reachable(), || {
            fields.value.set(value);
            fields.become_state(State::Destroying);
        });
        if dead {
            count(&map.counters.expunged);
        }
        let reason = if dead { Reason::KeyDead } else { Reason::Removed };
        retire::destroy_taken_out(thread, map, record, slot, reason as i32);
    }
    stored
}

/// Whether a live key has an init callback. Errors: `BadKey`, `DeadKey`.
pub fn makes_values(key: u64) -> Result<bool, Error> {
    let slot = crate::key::find(key)?;
    slot.rules(handle::generation(key)).map(|rules| rules.has_init())
}

/// The value that a live key's init callback makes for this thread. Errors: `Absent` if
/// the key has none, or if a callback has removed the value since; `Init`, `Reentrant`,
/// `NoMemory`, `Exiting`; `BadKey`, `DeadKey`.
pub fn get_absent(thread: &Thread, key: u64) -> Result<*mut c_void, Error> {
    let slot = crate::key::live(key)?;
    let map = thread.map();
    retire::flush(thread, map);
    let rules = slot.rules(handle::generation(key))?;
    if let Some(position) = map.find_after_miss(key) {
        return Ok(map.table().value(position));
    }
    if !rules.has_init() {
        return Err(Error::Absent);
    }
    thread.check_open()?;
    if is_initialising(map, key) {
        return Err(Error::Reentrant);
    }
    let (value, called_back) = initialise(thread, map, slot, key)?;
    let Some(removals) = called_back else { return Ok(value) };
    if let Some(position) = map.find(key) {
        return Ok(map.table().value(position));
    }
    slot.check(handle::generation(key))?;
    // Taken by another thread, which might have come after this call; or removed by
    // the callback.
    if removals == removals_of(thread, map) {
        Ok(value)
    } else {
        Err(Error::Absent)
    }
}

/// Goes up whenever this thread removes, hides or replaces a value of the map, or takes
/// values of whatever map.
fn removals_of(thread: &Thread, map: &Map) -> u32 {
    map.removals.get().wrapping_add(thread.takes.get())
}

/// Makes a value and stores it. If a destroy callback has run since: what
/// [`removals_of`] was before that.
fn initialise(
    thread: &Thread,
    map: &Map,
    slot: &KeySlot,
    key: u64,
) -> Result<(*mut c_void, Option<u32>), Error> {
    let record = reserve(thread, map, slot, key)?;
    // Before the callback, so that a call without memory changes nothing.
    map.ensure_insert().inspect_err(|_| discard(thread, map, record))?;
    let fields = Record::at(record);
    fields.covers.set(map.initialising.replace(number_of(record)));
    let made = run_init(slot.callbacks());
    debug_assert_eq!(map.initialising.get(), number_of(record));
    map.initialising.set(fields.covers.replace(Number::NONE));
    let value = made.inspect_err(|_| discard(thread, map, record))?;
    let before = removals_of(thread, map);
    let called_back = store(thread, map, record, value)?;
    // It has replaced one itself, then.
    Ok((value, called_back.then_some(before.wrapping_add(1))))
}

fn run_init(callbacks: Callbacks) -> Result<*mut c_void, Error> {
    let init = callbacks.init.ok_or(Error::Absent)?;
    let mut value = null_mut();
    // SAFETY: The key's maker promises a function that may be called on any
    // thread; `value` is this frame's.
    let failed = block::call_out(|| unsafe { init(&mut value, callbacks.user) });
    (failed == 0).then_some(value).ok_or(Error::Init)
}

/// Whether the init callback of `key` is running for the map.
fn is_initialising(map: &Map, key: u64) -> bool {
    // All are Reserved; where a callback never returned, the thread's exit clears it.
    let at = |number| map.pool.find(number).map(Record::at);
    successors(at(map.initialising.get()), |record| at(record.covers.get()))
        .any(|record| record.handle.get() == key)
}

/// Stores `value` and hands the old one over, undestroyed; null if none. Errors: as
/// [`set`]; `Busy` while the old one is visited.
pub fn swap(thread: &Thread, key: u64, value: *mut c_void) -> Result<*mut c_void, Error> {
    let slot = crate::key::live(key)?;
    thread.check_open()?;
    let map = thread.map();
    match map.exchange(key, value, false) {
        Exchanged::Over(_, old) | Exchanged::Replaced(_, old) => {
            map.count_removal();
            return Ok(old);
        }
        Exchanged::Visited(_) => return Err(Error::Busy),
        Exchanged::No => {}
    }
    if needs_flush(map) {
        retire::flush(thread, map);
        slot.check(handle::generation(key))?;
        // A callback above may have set the key.
        if let Found::Own(_) = map.look_up(key) {
            return swap(thread, key, value);
        }
    }
    put(thread, map, slot, key, value, None).map(|_| null_mut())
}

/// Where a value is that the thread can remove in a few steps: an entry of the map that is
/// published, of this scope, which no other thread reaches. Errors: `DeadKey`.
#[inline(always)]
fn find_simple(
    key: u64,
) -> Result<Option<(usize, &'static Map, RecordPointer, &'static KeySlot)>, Error> {
    let Some((_, distance, map, record)) = Map::find_published(key) else { return Ok(None) };
    let fields = Record::at(record);
    if fields.is_reachable() || fields.depth.get() != map.depth() {
        return Ok(None);
    }
    let slot = fields.slot_at_hand();
    slot.check_held()?;
    Ok(Some((distance / size_of::<Entry>(), map, record, slot)))
}

/// Removes the value and hands it over, undestroyed; hides one that was set
/// outside of the scope that is open, and hands null over. Errors: `Absent`; `Busy` while
/// it is visited; `NoMemory` when hiding; `BadKey`, `DeadKey`.
#[inline]
pub fn take(thread: Option<&Thread>, key: u64) -> Result<*mut c_void, Error> {
    if let (Some(thread), Some((position, map, record, slot))) = (thread, find_simple(key)?) {
        if retire::take_out_simply(map, record, position) {
            let value = Record::at(record).value.replace(null_mut());
            retire::finish_removed(thread, map, record, slot);
            return Ok(value);
        }
    }
    take_slowly(thread, key)
}

/// [`take`], whatever there is of the key.
#[inline(never)]
fn take_slowly(thread: Option<&Thread>, key: u64) -> Result<*mut c_void, Error> {
    crate::key::live(key)?;
    let thread = thread.ok_or(Error::Absent)?;
    let map = thread.map();
    match map.look_up(key) {
        Found::Nothing | Found::Hidden(_) => Err(Error::Absent),
        Found::Outer(outer) if map.state_of(outer) != State::Live => Err(Error::Absent),
        Found::Outer(_) => {
            map.hide_outer(key)?;
            Ok(null_mut())
        }
        Found::Own(record) => match map.take_out(record, None, 0) {
            TakenOut::Busy => Err(Error::Busy),
            TakenOut::Out => {
                let fields = Record::at(record);
                let value = fields.value.replace(null_mut());
                retire::finish_if_idle(thread, map, record, fields.slot());
                Ok(value)
            }
            TakenOut::Taken | TakenOut::Deferred => Err(Error::Absent),
        },
    }
}

/// Removes the value and destroys it; hides one that was set outside of the scope that is
/// open. No value is no error. Errors: `BadKey`, `DeadKey`; `NoMemory` when hiding.
#[inline]
pub fn remove(thread: Option<&Thread>, key: u64) -> Result<(), Error> {
    if let (Some(thread), Some((position, map, record, slot))) = (thread, find_simple(key)?) {
        if retire::take_out_simply(map, record, position) {
            retire::destroy_removed(thread, map, record, slot);
            return Ok(());
        }
    }
    remove_slowly(thread, key)
}

/// [`remove`], whatever there is of the key.
#[inline(never)]
fn remove_slowly(thread: Option<&Thread>, key: u64) -> Result<(), Error> {
    crate::key::live(key)?;
    let Some(thread) = thread else { return Ok(()) };
    let map = thread.map();
    match map.look_up(key) {
        Found::Nothing | Found::Hidden(_) => {}
        Found::Outer(_) => map.hide_outer(key)?,
        Found::Own(record) => {
            retire::retire(thread, map, record, None, Reason::Removed);
        }
    }
    Ok(())
}

/// Removes and destroys all of the thread's values, the youngest first; hides
/// those that were set outside of the scope that is open. What callbacks set
/// meanwhile stays. Errors: `NoMemory` when hiding; nothing has changed then.
pub fn remove_all(thread: &Thread) -> Result<(), Error> {
    let map = thread.map();
    retire::drain(map);
    let depth = map.depth();
    let start = map.innermost_scope().map_or(0, |scope| scope.start);
    if depth > 0 {
        scope::hide_all(map, |_| true)?;
    }
    scope::end_values(thread, map, start, Reason::Removed, &|record| {
        record.depth.get() == depth && !record.rules.get().worker() || depth == 0
    });
    if depth > 0 {
        // A worker's values are in no scope.
        scope::end_values(thread, map, 0, Reason::Removed, &|record| record.rules.get().worker());
    }
    Ok(())
}
