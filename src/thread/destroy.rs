//! The one place where a value's life ends.

use core::ffi::c_void;

use super::map::{count, Map};
use super::record::ThreadRecord;
use super::{exchange, visit, wait};
use crate::error::{Error, Reason};
use crate::key::holder::{Holder, HolderPointer, Place, Stand};
use crate::key::holders::{Departure, Unlinked};
use crate::key::slot::KeySlot;
use crate::key::{self, handle};

/// The slot of a holder record's key.
pub(super) fn slot_of(holder: &Holder) -> &'static KeySlot {
    // SAFETY: Slots live for ever, and this one serves the record's key until
    // the record is finished.
    unsafe { &*holder.slot.get() }
}

/// Room in the table for one more entry, and its record: linked to the live
/// key that it is to stand under.
///
/// # Errors
///
/// [`Error::NoMemory`], [`Error::DeadKey`].
#[inline(always)]
pub(super) fn reserve_record(
    thread: &ThreadRecord,
    map: &Map,
    slot: &'static KeySlot,
    key: u64,
) -> Result<HolderPointer, Error> {
    let rules = slot.rules(handle::generation(key))?;
    let holder = map.new_record(slot, key, rules)?;
    // SAFETY: A new record is in no list, and filled in.
    let linked = unsafe { slot.link(handle::generation(key), holder) };
    match linked {
        Ok(()) => Ok(holder),
        Err(Unlinked::Free(error)) => {
            map.give_back(holder);
            Err(error)
        }
        Err(Unlinked::Counted(error)) => {
            map.give_back(holder);
            obligation_met(Some(thread), slot);
            Err(error)
        }
        Err(Unlinked::Orphaned(error)) => {
            finish(thread, map, holder);
            Err(error)
        }
    }
}

/// Calls the key's destroy callback, if there is one and the value is not
/// null. `holder` keeps the key's options in place meanwhile.
fn call(thread: &ThreadRecord, map: &Map, holder: &Holder, value: *mut c_void, reason: i32) {
    if value.is_null() {
        // Nothing to end; and where another thread has reaped the value, the
        // key may be over.
        return;
    }
    let callbacks = slot_of(holder).callbacks();
    let Some(destroy) = callbacks.destroy else { return };
    count(&map.counters.destroyed);
    holder.callbacks.set(holder.callbacks.get() + 1);
    thread.call_out(|| {
        // SAFETY: The key's maker promises a function that may be called with
        // each value stored under the key; invariant 3 of the parent module.
        unsafe { destroy(value, reason, callbacks.user) }
    });
    holder.callbacks.set(holder.callbacks.get() - 1);
}

/// Ends the value of a record that has left the table and is in no list by
/// age; then finishes the record.
#[inline(always)]
pub(super) fn end_value(thread: &ThreadRecord, map: &Map, holder: HolderPointer, reason: Reason) {
    // SAFETY: As in `end_ending_value`.
    let fields = unsafe { holder.as_ref() };
    if is_quiet(fields) {
        if fields.place.get() == Place::Orphaned {
            // Of a dead key, and in nobody's list any more. The record may be
            // freed by this, so its slot is asked for before.
            let slot = slot_of(fields);
            map.give_back(holder);
            obligation_met(Some(thread), slot);
        } else {
            finish(thread, map, holder);
        }
        return;
    }
    end_loud_value(thread, map, holder, reason);
}

/// [`end_value`] of a value that somebody has to do with.
#[inline(never)]
fn end_loud_value(thread: &ThreadRecord, map: &Map, holder: HolderPointer, reason: Reason) {
    map.begin_ending(holder);
    if !visit::put_off(map, holder, reason) {
        end_ending_value(thread, map, holder, reason as i32);
    }
}

/// Whether a value ends without anybody being called, and nobody else can have
/// to do with it.
#[inline]
fn is_quiet(fields: &Holder) -> bool {
    let rules = fields.rules.get();
    !rules.reachable() && fields.callbacks.get() == 0 && {
        fields.value.get().is_null() || slot_of(fields).callbacks().destroy.is_none()
    }
}

/// [`end_value`] of a record that is in `ending`.
pub(super) fn end_ending_value(
    thread: &ThreadRecord,
    map: &Map,
    holder: HolderPointer,
    reason: i32,
) {
    // SAFETY: This thread owns the map, and nobody frees a record before it is
    // finished, below.
    let fields = unsafe { holder.as_ref() };
    call(thread, map, fields, fields.value.get(), reason);
    finish_if_idle(thread, map, holder);
}

/// Ends a value that another one has replaced in a standing entry.
pub(super) fn end_replaced(
    thread: &ThreadRecord,
    map: &Map,
    holder: HolderPointer,
    old: *mut c_void,
) {
    // SAFETY: As in `end_value`: `callbacks` keeps it from being finished.
    let fields = unsafe { holder.as_ref() };
    call(thread, map, fields, old, Reason::Replaced as i32);
    if fields.rules.get().reachable() {
        exchange::end_replacing(map, holder);
    }
    // The callback may have removed the entry, or the key may have died; a
    // value whose end is put off keeps its record.
    if fields.stand.get() == Stand::Out && fields.deferred.get() == 0 {
        finish_if_idle(thread, map, holder);
    }
}

/// Finishes a record in `ending` unless a callback further out still uses it.
pub(super) fn finish_if_idle(thread: &ThreadRecord, map: &Map, holder: HolderPointer) {
    // SAFETY: As in `end_value`.
    if unsafe { holder.as_ref() }.callbacks.get() == 0 {
        map.end_ending(holder);
        finish(thread, map, holder);
    }
}

/// Finishes a record that is in no list by age: it leaves its key, or meets
/// the obligation that it stands for if the key is dead.
pub(super) fn finish(thread: &ThreadRecord, map: &Map, holder: HolderPointer) {
    finish_for(Some(thread), map, holder);
}

/// [`finish`] on a thread that may not be attached.
pub(super) fn finish_for(thread: Option<&ThreadRecord>, map: &Map, holder: HolderPointer) {
    // SAFETY: As in `end_value`.
    let fields = unsafe { holder.as_ref() };
    let slot = slot_of(fields);
    if map.is_reaped(holder) && !map.owes(holder) {
        // Whoever reaped it has met its obligation. It is in the mailbox, or
        // has been in it.
        if fields.place.get() == Place::Listed {
            exchange::take_mail_of(map, slot);
        }
        map.withdraw_stale(holder);
        map.give_back(holder);
        return;
    }
    if fields.place.get() == Place::Listed {
        // SAFETY: It was linked to this slot, and this thread owns the map.
        match unsafe { slot.unlink(holder) } {
            Departure::Left => {
                map.give_back(holder);
                wait::changed();
                return;
            }
            Departure::Counted => {}
            // It is in the mailbox, and must come out of it before its memory
            // can serve another.
            Departure::Orphaned => map.take_mail(),
        }
    }
    map.withdraw_stale(holder);
    map.give_back(holder);
    obligation_met(thread, slot);
}

/// Finishes a record that has left the table, and whose value another thread
/// has reaped.
pub(super) fn finish_reaped(thread: &ThreadRecord, map: &Map, holder: HolderPointer) {
    map.begin_ending(holder);
    finish_if_idle(thread, map, holder);
}

/// Meets one obligation of a dead key; the last one ends the key's `user` and
/// frees its slot.
#[inline(always)]
pub(super) fn obligation_met(thread: Option<&ThreadRecord>, slot: &'static KeySlot) {
    if !slot.obligation_met() {
        return;
    }
    if slot.user_free().is_some() {
        free_user(thread, slot);
    }
    end_key(thread, slot);
}

/// Calls the `user_free` of a key whose last obligation was met.
#[cold]
fn free_user(thread: Option<&ThreadRecord>, slot: &'static KeySlot) {
    if let Some((user_free, user)) = slot.user_free() {
        // SAFETY: The key's maker promises a function that may be called once
        // with `user`; no lock is held and every list is whole.
        let call = || unsafe { user_free(user) };
        match thread {
            Some(thread) => {
                thread.begin_last_call(slot);
                thread.call_out(call);
                thread.end_last_call(slot);
            }
            None => call(),
        }
    }
}

/// Frees the slot of a key that is over.
#[inline(always)]
pub(super) fn end_key(thread: Option<&ThreadRecord>, slot: &'static KeySlot) {
    // SAFETY: The last obligation was met by this thread, and `user_free` has
    // run, as far as it ever will.
    let free = unsafe { key::registry().recycle(slot) };
    wait::changed();
    // The thread keeps one for its next key; what it kept before goes back.
    let unkept = match thread {
        Some(thread) if !thread.closing.get() => thread.exchange_spare_slot(free),
        _ => free,
    };
    if let Some(slot) = unkept {
        key::registry().give_back(slot);
    }
}

/// Ends every value that the table has given up in this call.
pub(super) fn end_condemned(thread: &ThreadRecord, map: &Map) {
    while let Some(holder) = map.first_condemned() {
        if map.is_reaped(holder) {
            finish_reaped(thread, map, holder);
            continue;
        }
        count(&map.counters.expunged);
        end_value(thread, map, holder, Reason::KeyDead);
    }
}
