//! The one place where a value's life ends.

use core::ffi::c_void;

use super::map::{count, Map};
use super::record::ThreadRecord;
use crate::error::{Error, Reason};
use crate::key::holder::{Holder, HolderPointer, Place};
use crate::key::holders::Unlinked;
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
pub(super) fn reserve_record(
    thread: &ThreadRecord,
    map: &Map,
    slot: &KeySlot,
    key: u64,
) -> Result<HolderPointer, Error> {
    let holder = map.new_record(slot, key)?;
    // SAFETY: A new record is in no list, and filled in.
    let linked = unsafe { slot.link(handle::generation(key), holder) };
    match linked {
        Ok(()) => Ok(holder),
        Err(Unlinked::Free(error)) => {
            map.give_back(holder);
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
fn call(thread: &ThreadRecord, map: &Map, holder: &Holder, value: *mut c_void, reason: Reason) {
    let callbacks = slot_of(holder).callbacks();
    let Some(destroy) = callbacks.destroy.filter(|_| !value.is_null()) else { return };
    count(&map.counters.destroyed);
    holder.callbacks.set(holder.callbacks.get() + 1);
    thread.call_out(|| {
        // SAFETY: The key's maker promises a function that may be called with
        // each value stored under the key; invariant 3 of the parent module.
        unsafe { destroy(value, reason as i32, callbacks.user) }
    });
    holder.callbacks.set(holder.callbacks.get() - 1);
}

/// Ends the value of a record that has left the table and is in no list by
/// age; then finishes the record.
pub(super) fn end_value(thread: &ThreadRecord, map: &Map, holder: HolderPointer, reason: Reason) {
    // SAFETY: This thread owns the map, and nobody frees a record before it is
    // finished, below.
    let fields = unsafe { holder.as_ref() };
    map.begin_ending(holder);
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
    call(thread, map, fields, old, Reason::Replaced);
    // The callback may have removed the entry, or the key may have died.
    if !fields.in_table.get() {
        finish_if_idle(thread, map, holder);
    }
}

/// Finishes a record in `ending` unless a callback further out still uses it.
fn finish_if_idle(thread: &ThreadRecord, map: &Map, holder: HolderPointer) {
    // SAFETY: As in `end_value`.
    if unsafe { holder.as_ref() }.callbacks.get() == 0 {
        map.end_ending(holder);
        finish(thread, map, holder);
    }
}

/// Finishes a record that is in no list by age: it leaves its key, or meets
/// the obligation that it stands for if the key is dead.
pub(super) fn finish(thread: &ThreadRecord, map: &Map, holder: HolderPointer) {
    // SAFETY: As in `end_value`.
    let fields = unsafe { holder.as_ref() };
    let slot = slot_of(fields);
    if fields.place.get() == Place::Listed {
        // SAFETY: It was linked to this slot, and this thread owns the map.
        if unsafe { slot.unlink(holder) } {
            map.give_back(holder);
            return;
        }
        // The key has died: then the record is in the mailbox, and must come
        // out of it before its memory can serve another.
        map.take_mail();
    }
    map.withdraw_stale(holder);
    map.give_back(holder);
    obligation_met(Some(thread), slot);
}

/// Meets one obligation of a dead key; the last one ends the key's `user` and
/// frees its slot.
pub(super) fn obligation_met(thread: Option<&ThreadRecord>, slot: &'static KeySlot) {
    if !slot.obligation_met() {
        return;
    }
    if let Some((user_free, user)) = slot.user_free() {
        // SAFETY: The key's maker promises a function that may be called once
        // with `user`; no lock is held and every list is whole.
        let call = || unsafe { user_free(user) };
        match thread {
            Some(thread) => thread.call_out(call),
            None => call(),
        }
    }
    // SAFETY: The last obligation was met above, by this thread.
    let free = unsafe { key::registry().recycle(slot) };
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
        count(&map.counters.expunged);
        end_value(thread, map, holder, Reason::KeyDead);
    }
}
