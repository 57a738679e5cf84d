// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of a value: the one place that calls a destroy callback, and the only
//! one that ends an entry.
//!
//! ```text
//!   retire     an entry of the map goes: out of the table, then destroyed
//!   replaced   a value was exchanged for another: destroyed, its record stays
//!   expunge    stale entries: retired, up to a budget
//!   finish     a record whose value is gone leaves its key
//!   unpin      the last pin of a dead key: user_free, and the slot is free
//! ```
//!
//! The entry leaves the table before its callback runs, so no callback can find
//! the value that it destroys. The record leaves its key after, so the key's
//! `user` and its callbacks stay in place until the value has been destroyed.
//!
//! # Invariants
//!
//! 1. Whenever a callback runs, no lock is held, no list is half changed, and the
//!    value that it destroys is in no table.
//! 2. While a callback runs for a record, `pins` says so: the record stays, and so
//!    does its slot. If the thread ends inside it, the record is still in its
//!    map's `order`, and [`recover`] finishes it.
//! 3. Each value is handed to [`call_destroy`] once: its record is Destroying from
//!    before until it is free.

use core::ffi::c_void;
use core::iter::from_fn;
use core::ptr::NonNull;

use super::covering::TakenOut;
use super::map::{count, Map, SLOW_PATH_BUDGET};
use super::maps;
use super::pool::marks;
use super::record::{Location, Number, Record, RecordPointer, State};
use super::thread::Thread;
use crate::error::Reason;
use crate::key::call::CallKind;
use crate::key::holders::Departure;
use crate::key::slot::KeySlot;
use crate::key::{self, waiters};
use crate::sys::block;
use crate::sys::sync::Ordering;

type Slot = &'static KeySlot;

/// Calls a key's destroy callback, if there is one and the value is not null.
/// The caller keeps the slot as it is. Returns whether it has.
fn call_destroy(thread: Option<&Thread>, slot: &KeySlot, value: *mut c_void, reason: i32) -> bool {
    let callbacks = slot.callbacks();
    let Some(destroy) = callbacks.destroy.filter(|_| !value.is_null()) else { return false };
    // SAFETY: The key's maker promises a function that may be called with each
    // value stored under the key; invariants 1 and 3.
    let call = || unsafe { destroy(value, reason, callbacks.user) };
    match thread {
        Some(thread) => count(&thread.map().counters.destroyed),
        None => maps::count_destroyed(),
    }
    block::call_out(call);
    true
}

/// Destroys a value that is no map's any more. The caller keeps the slot.
#[inline(never)]
pub fn destroy(thread: Option<&Thread>, slot: &KeySlot, value: *mut c_void, reason: Reason) {
    if reason == Reason::KeyDead {
        match thread {
            Some(thread) => count(&thread.map().counters.expunged),
            None => maps::count_expunged(),
        }
    }
    call_destroy(thread, slot, value, reason as i32);
}

/// [`destroy`], for the reason that a visited value's owner had.
pub fn destroy_deferred(thread: &Thread, slot: &KeySlot, value: *mut c_void, reason: u8) {
    call_destroy(Some(thread), slot, value, i32::from(reason));
}

/// A callback that has [begun](Map::begin_callback) for a record has returned; it
/// may have removed the entry, or another thread taken it.
#[inline(always)]
fn end_callback(thread: &Thread, map: &Map, record: RecordPointer, slot: Slot) {
    let fields = Record::at(record);
    map.pinned.set(map.pinned.get() - 1);
    fields.pins.set(fields.pins.get() - 1);
    if fields.is_reachable() {
        finish_if_idle_slowly(thread, map, record, slot);
        // Last, because it may call back: the record may be another's by then.
        unpin(Some(thread), slot);
    } else if fields.state() == State::Destroying {
        finish_if_idle(thread, map, record, slot);
    }
}

/// Takes an entry of the map out, and destroys its value: now, or, if it is
/// visited, when nobody looks at it any more. A stale one is destroyed because
/// its key is dead. With false another thread has taken the value.
#[inline(never)]
pub fn retire(
    thread: &Thread,
    map: &Map,
    record: RecordPointer,
    position: Option<usize>,
    reason: Reason,
) -> bool {
    let fields = Record::at(record);
    if !fields.is_reachable() && fields.state() == State::Live {
        let position = position.or_else(|| map.find(fields.handle.get()));
        if position.is_some_and(|position| retire_simply(thread, map, record, position, reason)) {
            return true;
        }
    }
    let slot = fields.slot();
    let dead = is_dead(record, slot);
    let deferred = matches!(map.state_of(record), State::Deferred | State::Purged);
    let reason = match (deferred, dead) {
        (true, _) => i32::from(marks(record).reason.get()),
        (false, true) => Reason::KeyDead as i32,
        (false, false) => reason as i32,
    };
    map.withdraw_stale(record);
    match map.take_out(record, position, reason as u8) {
        TakenOut::Taken | TakenOut::Busy => false,
        TakenOut::Deferred => true,
        TakenOut::Out => {
            if reason == Reason::KeyDead as i32 {
                count(&map.counters.expunged);
            }
            destroy_taken_out(thread, map, record, slot, reason);
            true
        }
    }
}

/// [`retire`] of the only entry of a key that has just died, at this position: the
/// key's own pin is the record's now.
#[inline(always)]
pub fn retire_lone(thread: &Thread, map: &Map, record: RecordPointer, slot: Slot, position: usize) {
    let fields = Record::at(record);
    if !map.take_out_simply::<true>(record, position) {
        fields.location.set(Location::Pinned);
        retire(thread, map, record, Some(position), Reason::KeyDead);
        return;
    }
    count(&map.counters.expunged);
    if is_trivial(record) {
        finish_dead(thread, map, record, slot);
    } else {
        fields.location.set(Location::Pinned);
        map.begin_callback_unreached(record);
        destroy_for(thread, map, record, slot, fields.value.get(), Reason::KeyDead as i32);
    }
}

/// Whether a record's key has died: even if the map has not been told, as inside the release
/// that is still on its way. Until the record leaves its key the slot serves no other.
#[inline(always)]
fn is_dead(record: RecordPointer, slot: Slot) -> bool {
    let fields = Record::at(record);
    fields.is_known_dead()
        || fields.location.get() == Location::Linked && slot.check_held().is_err()
}

/// [`retire`] of the live entry at this position, which no other thread reaches, if that
/// is simple. With false nothing was done.
fn retire_simply(t: &Thread, map: &Map, record: RecordPointer, at: usize, reason: Reason) -> bool {
    let fields = Record::at(record);
    let slot = fields.slot_at_hand();
    let dead = is_dead(record, slot);
    if !take_out_simply(map, record, at) {
        return false;
    }
    if dead {
        map.withdraw_stale(record);
        count(&map.counters.expunged);
    }
    let reason = if dead { Reason::KeyDead } else { reason };
    destroy_taken_out(t, map, record, slot, reason as i32);
    true
}

/// Takes the live entry at this position out, for the thread that removes it, if that is
/// simple: the record has the value then. With false nothing was done.
#[inline(never)]
pub fn take_out_simply(map: &Map, record: RecordPointer, position: usize) -> bool {
    let taken = map.take_out_simply::<false>(record, position);
    if taken {
        map.count_removal();
    }
    taken
}

/// Destroys the value of a record that was [taken out](take_out_simply).
#[inline(always)]
pub fn destroy_removed(t: &Thread, map: &Map, record: RecordPointer, slot: Slot) {
    if is_trivial(record) {
        finish_removed(t, map, record, slot);
    } else {
        destroy_with_callback(t, map, record, slot, Reason::Removed as i32);
    }
}

/// Finishes a record whose value is gone: of a key that was not known dead, and that no
/// other thread reaches.
#[inline(always)]
pub fn finish_removed(thread: &Thread, map: &Map, record: RecordPointer, slot: Slot) {
    let fields = Record::at(record);
    // SAFETY: It is linked to this slot, if it is at all, and this thread owns the map.
    let left = || unsafe { slot.leave_alone(Record::link_of(record)) };
    if fields.pins.get() > 0 || fields.location.get() != Location::Linked || !left() {
        return finish_if_idle_slowly(thread, map, record, slot);
    }
    if !map.free_youngest(record) {
        map.release_record(record);
    }
    waiters::wake();
}

/// [`finish_removed`], as a call.
#[inline(never)]
fn finish_linked(thread: &Thread, map: &Map, record: RecordPointer, slot: Slot) {
    finish_removed(thread, map, record, slot);
}

/// Whether there is nothing to call for a record's value.
#[inline(always)]
fn is_trivial(record: RecordPointer) -> bool {
    let fields = Record::at(record);
    !fields.rules.get().has_destroy() || fields.value.get().is_null()
}

/// Destroys the value of a record that was taken out.
pub fn destroy_taken_out(t: &Thread, map: &Map, record: RecordPointer, slot: Slot, reason: i32) {
    if is_trivial(record) {
        finish_if_idle(t, map, record, slot);
    } else {
        destroy_with_callback(t, map, record, slot, reason);
    }
}

#[inline(never)]
fn destroy_with_callback(t: &Thread, map: &Map, record: RecordPointer, slot: Slot, reason: i32) {
    map.begin_callback(record);
    destroy_for(t, map, record, slot, Record::at(record).value.get(), reason);
}

/// Destroys a value that another one has replaced in an entry. The callback has
/// [begun](Map::begin_callback).
#[inline]
pub fn replaced(t: &Thread, map: &Map, record: RecordPointer, slot: Slot, old: *mut c_void) {
    map.count_removal();
    destroy_for(t, map, record, slot, old, Reason::Replaced as i32);
}

/// [`replaced`], where no other thread reaches the record, and with the callback to begin.
#[inline(always)]
pub fn replaced_unreached(t: &Thread, map: &Map, record: RecordPointer, old: *mut c_void) {
    let (fields, slot) = (Record::at(record), Record::at(record).slot_at_hand());
    map.begin_callback_unreached(record);
    map.count_removal();
    call_destroy(Some(t), slot, old, Reason::Replaced as i32);
    map.pinned.set(map.pinned.get() - 1);
    fields.pins.set(fields.pins.get() - 1);
    if fields.state() != State::Live {
        // The callback has removed the entry.
        finish_if_idle_slowly(t, map, record, slot);
    }
}

#[inline(never)]
fn destroy_for(
    thread: &Thread,
    map: &Map,
    record: RecordPointer,
    slot: Slot,
    value: *mut c_void,
    reason: i32,
) {
    call_destroy(Some(thread), slot, value, reason);
    end_callback(thread, map, record, slot);
}

/// Runs `call` with a value that was taken out of this record, which is finished after.
pub fn hand_over(thread: &Thread, map: &Map, record: RecordPointer, call: impl FnOnce()) {
    let slot = Record::at(record).slot();
    map.begin_callback(record);
    call();
    end_callback(thread, map, record, slot);
}

/// Finishes a record whose value is gone, unless a callback further out still
/// runs for it.
#[inline(always)]
pub fn finish_if_idle(thread: &Thread, map: &Map, record: RecordPointer, slot: Slot) {
    let fields = Record::at(record);
    let is_simple = !fields.is_reachable()
        && fields.state() == State::Destroying
        && fields.covers.get() == Number::NONE;
    match fields.location.get() {
        Location::Pinned if is_simple => finish_dead(thread, map, record, slot),
        Location::Linked if is_simple => finish_linked(thread, map, record, slot),
        _ => finish_if_idle_slowly(thread, map, record, slot),
    }
}

/// [`finish_if_idle`] of a record that is Destroying, and Pinned as soon as somebody looks:
/// of a dead key that no other thread reaches.
#[inline(always)]
fn finish_dead(thread: &Thread, map: &Map, record: RecordPointer, slot: Slot) {
    let fields = Record::at(record);
    if fields.pins.get() > 0 {
        fields.location.set(Location::Pinned);
        return;
    }
    if !map.free_youngest(record) {
        fields.location.set(Location::Pinned);
        return finish(Some(thread), map, record, slot);
    }
    if thread.has_place_for_slot() && !waiters::are_there() && slot.close_if_bare() {
        thread.keep_slot(slot);
    } else {
        unpin(Some(thread), slot);
    }
}

#[inline(never)]
fn finish_if_idle_slowly(thread: &Thread, map: &Map, record: RecordPointer, slot: Slot) {
    let fields = Record::at(record);
    if fields.pins.get() > 0 {
        return;
    }
    match map.state_of(record) {
        State::Destroying => finish(Some(thread), map, record, slot),
        State::Taken if fields.location.get() == Location::Dropped => map.release_record(record),
        _ => {}
    }
}

/// Finishes a record: it leaves its key, and then its map.
#[inline(never)]
pub fn finish(thread: Option<&Thread>, map: &Map, record: RecordPointer, slot: Slot) {
    let fields = Record::at(record);
    if fields.location.get() == Location::Linked {
        // SAFETY: It was linked to this slot, and this thread owns the map.
        match unsafe { slot.leave(Record::link_of(record)) } {
            Departure::Left => {
                map.release_record(record);
                waiters::wake();
                return;
            }
            Departure::Counted => {}
            // It is in the inbox, and must come out before it can serve another.
            Departure::Posted => drain(map),
        }
    }
    map.withdraw_stale(record);
    map.release_record(record);
    unpin(thread, slot);
}

/// Drops a pin; the last one of a dead key calls its `user_free`, and frees its slot.
#[inline(never)]
pub fn unpin(thread: Option<&Thread>, slot: Slot) {
    if !slot.unpin() {
        return;
    }
    if slot.user_free().is_some() {
        free_user(thread, slot);
    }
    close(thread, slot);
}

/// Calls the `user_free` of a key whose last pin was dropped.
#[cold]
#[inline(never)]
fn free_user(thread: Option<&Thread>, slot: Slot) {
    let Some((user_free, user)) = slot.user_free() else { return };
    // SAFETY: The key's maker promises a function that may be called once with
    // `user`; no lock is held and every list is whole.
    let call = || unsafe { user_free(user) };
    if let Some(thread) = thread {
        slot.call.begin(&thread.calls, CallKind::UserFree);
    }
    block::call_out(call);
    if let Some(thread) = thread {
        slot.call.end(&thread.calls);
    }
}

/// Frees the slot of a key that is over. The thread keeps one for its next key.
pub fn close(thread: Option<&Thread>, slot: Slot) {
    // SAFETY: The last pin was dropped by this thread, and `user_free` has run,
    // as far as it ever will.
    let free = unsafe { slot.close() };
    waiters::wake();
    match thread.filter(|thread| thread.has_place_for_slot()) {
        Some(thread) if free => thread.keep_slot(slot),
        None if free => key::registry().release_slot(slot),
        _ => {}
    }
}

/// Empties the inbox of the owner's map: learns which keys have died, and clears
/// away what other threads have taken. Calls nobody.
#[inline(always)]
pub fn drain(map: &Map) {
    if !map.inbox.is_empty() {
        drain_posted(map);
    }
}

#[inline(never)]
fn drain_posted(map: &Map) {
    let mut next = map.inbox.take();
    while let Some(record) = NonNull::new(next).map(Record::of) {
        let fields = Record::at(record);
        next = fields.link.next.load(Ordering::Relaxed);
        let look = || (fields.state(), marks(record).are_there());
        let (state, visited) = map.guarded_if(fields.is_reachable(), look);
        match state {
            State::Live | State::Covered | State::Retired => map.enter_stale(record),
            State::Deferred if !visited => map.enter_stale(record),
            State::Purged if !visited => {
                map.clear_purged(record);
                map.enter_stale(record);
            }
            State::Taken => {
                map.clear_taken(record);
                fields.location.set(Location::Dropped);
                if fields.pins.get() == 0 {
                    map.release_record(record);
                }
            }
            // Its value is being made or destroyed, or looked at by a capture:
            // nobody has to expunge it.
            _ => {
                fields.location.set(Location::Pinned);
                map.inbox.stale.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

/// Destroys at most `budget` of a map's stale values; returns how many.
///
/// Those whose keys die meanwhile on other threads are left for the next call:
/// it ends whatever others do.
pub fn expunge(thread: &Thread, map: &Map, budget: usize) -> usize {
    expunge_youngest(thread, map, budget, false)
}

fn expunge_youngest(thread: &Thread, map: &Map, budget: usize, flushes: bool) -> usize {
    drain(map);
    let most = budget.min(map.inbox.stale.load(Ordering::Relaxed));
    let stale = from_fn(|| map.youngest_stale(flushes)).take(most);
    stale.filter(|record| retire(thread, map, *record, None, Reason::KeyDead)).count()
}

/// What a slow path does for the dead before its own work: destroys a bounded
/// number of stale values. Not inside a callback of another one's.
#[inline(always)]
pub fn flush(thread: &Thread, map: &Map) {
    drain(map);
    if map.has_stale_to_flush() && !thread.flushing.get() {
        flush_some(thread, map);
    }
}

#[inline(never)]
fn flush_some(thread: &Thread, map: &Map) {
    thread.flushing.set(true);
    expunge_youngest(thread, map, SLOW_PATH_BUDGET, true);
    thread.flushing.set(false);
}

/// Brings order into what callbacks that never returned have left in a map.
pub fn recover(thread: &Thread, map: &Map) {
    map.loops.set(0);
    map.initialising.set(Number::NONE);
    map.forget_endings();
    drain(map);
    let is_unfinished = |state| matches!(state, State::Reserved | State::Destroying);
    if map.pinned.get() == 0 && !map.records().any(|record| is_unfinished(map.state_of(record))) {
        return;
    }
    recover_records(thread, map);
    while map.pinned.get() > 0 {
        // A `user_free` has set what is visited: the old record has gone up past the loop.
        recover_records(thread, map);
    }
}

fn recover_records(thread: &Thread, map: &Map) {
    let mut index = map.order.len();
    while index > 0 {
        index -= 1;
        if let Some(record) = map.in_order(index) {
            recover_record(thread, map, record);
        }
        // What a `user_free` has added is whole.
        index = index.min(map.order.len());
    }
}

fn recover_record(thread: &Thread, map: &Map, record: RecordPointer) {
    let fields = Record::at(record);
    let pins = fields.pins.replace(0);
    // One by one: a `user_free` below may end the thread once more.
    map.pinned.set(map.pinned.get() - u32::from(pins));
    let (reachable, slot) = (fields.is_reachable(), fields.slot());
    match map.state_of(record) {
        // Its value was never made; or is gone.
        State::Reserved => {
            fields.covers.set(Number::NONE);
            map.guarded_if(reachable, || fields.become_state(State::Destroying));
            finish(Some(thread), map, record, slot);
        }
        _ => finish_if_idle(thread, map, record, slot),
    }
    if reachable {
        // A callback that ran had a pin of it.
        (0..pins).for_each(|_| unpin(Some(thread), slot));
    }
}
