//! Making a key, and releasing it.

use core::ptr::null;

use super::destroy::{end_value, obligation_met, slot_of};
use super::map::count;
use super::record::{self, ThreadRecord};
use super::{fork, reach, stale};
use crate::error::{Error, Reason};
use crate::key::holder::{HolderPointer, Notice};
use crate::key::options::KeyOptions;
use crate::key::slot::{KeySlot, Released};
use crate::key::{self, handle};

/// Makes a key with one reference, the caller's.
///
/// A thread that makes and ends keys in turn uses its own slot again and
/// again, without a look at the list that all threads share.
///
/// # Errors
///
/// [`Error::NoMemory`]; [`Error::Limit`] when 2^32 - 2 slots are in use.
#[inline(always)]
pub fn create(options: &KeyOptions) -> Result<u64, Error> {
    fork::protect()?;
    let Some(thread) = record::current() else { return key::registry().create(options) };
    let slot = match thread.exchange_spare_slot(None) {
        Some(slot) => slot,
        None => key::registry().free_slot()?,
    };
    let made = key::registry().create_in(slot, options);
    match made {
        Ok(key) => thread.remember(key, slot),
        Err(_) => key::registry().give_back(slot),
    }
    made
}

/// Gives a reference back. The last one ends the key: the calling thread's own
/// value is destroyed before this returns; other maps that have one are told.
///
/// # Errors
///
/// [`Error::BadKey`], [`Error::DeadKey`].
pub fn release(key: u64) -> Result<(), Error> {
    let Some(thread) = record::current() else { return release_unattached(key) };
    let map = thread.map();
    let own = map.find(key).map(|position| (position, map.record_at(position)));
    let slot = match own {
        // Its record knows the slot: no need to work it out of the handle.
        Some((_, holder)) => slot_of_record(holder),
        None => key::find(key)?,
    };
    if slot.release(handle::generation(key))? == Released::Live {
        return Ok(());
    }
    let burial = slot.bury(&raw const map.mailbox, own.map(|(_, holder)| holder));
    if !burial.lonely {
        thread.begin_burial(slot);
    }
    if let (Some(holder), Some((position, _))) = (burial.standing, own) {
        // Before anything is called: the position is still right.
        map.take_out_at(position);
        count(&map.counters.expunged);
        end_value(thread, map, holder, Reason::KeyDead);
    }
    if !burial.lonely {
        tell(Some(thread), slot);
        if burial.hidden {
            stale::end_hidden(thread, map, key);
        }
        thread.end_burial(slot);
    }
    if burial.owed {
        obligation_met(Some(thread), slot);
    }
    Ok(())
}

/// Tells the other maps that have a value, and whom they want to be told; or
/// ends their values, if the key allows it.
pub(super) fn tell(thread: Option<&ThreadRecord>, slot: &'static KeySlot) {
    if slot.is_any() {
        reach::bury_all(thread, slot);
    }
    while let Some(notice) = slot.post() {
        notify(thread, notice);
    }
}

impl ThreadRecord {
    /// From here on the burial of `slot` is known to be this thread's, should
    /// the thread end, or the process fork, in a callback. Burials that lie
    /// one in the other form a chain, through the slots themselves.
    pub(super) fn begin_burial(&self, slot: &'static KeySlot) {
        slot.set_burial_link(self.burials.get());
        self.burials.set(slot);
    }

    /// Undoes [`begin_burial`](Self::begin_burial), the latest first.
    pub(super) fn end_burial(&self, slot: &'static KeySlot) {
        self.burials.set(slot.burial_link());
    }

    /// As [`begin_burial`](Self::begin_burial), while the key's `user_free`
    /// runs.
    pub(super) fn begin_last_call(&self, slot: &'static KeySlot) {
        slot.set_burial_link(self.last_calls.get());
        self.last_calls.set(slot);
    }

    /// Undoes [`begin_last_call`](Self::begin_last_call), the latest first.
    pub(super) fn end_last_call(&self, slot: &'static KeySlot) {
        self.last_calls.set(slot.burial_link());
    }

    /// Keys whose `user_free` runs on this thread.
    pub(super) fn for_each_last_call(&self, visit: impl Fn(&'static KeySlot)) {
        for_each_linked(self.last_calls.get(), visit);
    }

    /// Keys that this thread is burying.
    pub(super) fn for_each_burial(&self, visit: impl Fn(&'static KeySlot)) {
        for_each_linked(self.burials.get(), visit);
    }
}

/// Walks a chain of slots; `visit` may take the slot out of it.
fn for_each_linked(first: *const KeySlot, visit: impl Fn(&'static KeySlot)) {
    let mut next = first;
    // SAFETY: Slots live for ever.
    while let Some(slot) = unsafe { next.as_ref() } {
        next = slot.burial_link();
        visit(slot);
    }
}

/// Calls whom a map wants to be told that it has mail.
pub(super) fn notify(thread: Option<&ThreadRecord>, notice: Notice) {
    let Some(function) = notice.notify else { return };
    // SAFETY: Whoever registered it promises that any thread may call it with
    // this argument; no lock is held.
    let call = || unsafe { function(notice.argument) };
    match thread {
        Some(thread) => thread.call_out(call),
        None => call(),
    }
}

/// The slot of a standing record's key.
fn slot_of_record(holder: HolderPointer) -> &'static KeySlot {
    // SAFETY: The calling thread's map has just said that it stands there.
    slot_of(unsafe { holder.as_ref() })
}

/// [`release`] on a thread that has no values.
///
/// If callbacks have to be called, the thread is attached meanwhile, so that they
/// are counted, and so that the burial is finished should one of them end the
/// thread. Without memory for that they are called all the same.
fn release_unattached(key: u64) -> Result<(), Error> {
    let slot = key::find(key)?;
    if slot.release(handle::generation(key))? == Released::Live {
        return Ok(());
    }
    // With no record of its own, a burial always owes.
    let burial = slot.bury(null(), None);
    let quiet = burial.lonely && slot.user_free().is_none();
    let thread = if quiet { None } else { record::attached().ok() };
    if let Some(thread) = thread {
        thread.begin_burial(slot);
    }
    tell(thread, slot);
    if let Some(thread) = thread {
        thread.end_burial(slot);
    }
    obligation_met(thread, slot);
    if thread.is_some() {
        record::detach_if_unused();
    }
    Ok(())
}
