//! Making a key, and releasing it.

use core::ptr::null;

use crate::error::{Error, Reason};
use crate::key::call::CallKind;
use crate::key::options::KeyOptions;
use crate::key::slot::{KeySlot, Released};
use crate::key::{self, handle};
use crate::local::inbox::Waker;
use crate::local::record::{Location, Record};
use crate::local::remote::{post_holders, Posted};
use crate::local::retire;
use crate::local::thread::Thread;
use crate::sys::block;

/// Makes a key with one reference, the caller's.
///
/// A thread that makes and ends keys in turn uses its own slot again and
/// again, without a look at the list that all threads share.
///
/// # Errors
///
/// [`Error::NoMemory`]; [`Error::Limit`] when 2^32 - 2 slots are in use.
#[inline(always)]
pub fn create(thread: Option<&Thread>, options: &KeyOptions) -> Result<u64, Error> {
    let Some(thread) = thread else { return key::registry().create(options) };
    let slot = match thread.exchange_spare_slot(None) {
        Some(slot) => slot,
        None => key::registry().acquire_slot()?,
    };
    let made = key::registry().create_in(slot, options);
    match made {
        Ok(key) => thread.remember(key, slot),
        Err(_) => key::registry().release_slot(slot),
    }
    made
}

/// Gives a reference back. The last one ends the key: the thread's own value is
/// destroyed before this returns; other maps that have one find it in their inbox.
///
/// # Errors
///
/// [`Error::BadKey`], [`Error::DeadKey`].
#[inline(always)]
pub fn release(thread: &Thread, key: u64) -> Result<(), Error> {
    let map = thread.map();
    let position = map.find(key);
    let own = position.map(|position| map.table().record(position));
    // A made-up number may be the word of a vacated entry.
    let own = own.filter(|record| Record::at(*record).handle.get() == key);
    let slot = match own {
        // Its record knows the slot: no need to work it out of the handle.
        Some(record) => Record::at(record).slot(),
        None => thread.slot_of(key)?,
    };
    if slot.release(handle::generation(key))? == Released::Live {
        return Ok(());
    }
    if let Some(record) = own.filter(|record| slot.seize_alone(Record::link_of(*record))) {
        // The key's own pin is the record's now.
        Record::at(record).location.set(Location::Pinned);
        retire::retire_lone(thread, map, record, position);
        return Ok(());
    }
    retire_key(Some(thread), slot, key);
    Ok(())
}

/// [`release`] on a thread that has no values.
///
/// If callbacks have to be called, the thread is attached meanwhile, so that they
/// are counted, and so that the release is finished should one of them end the
/// thread. Without memory for that they are called all the same. Returns whether
/// `attach` was asked.
///
/// # Errors
///
/// As [`release`].
pub fn release_unattached(
    key: u64,
    attach: impl FnOnce() -> Option<&'static Thread>,
) -> Result<bool, Error> {
    let slot = key::find(key)?;
    if slot.release(handle::generation(key))? == Released::Live {
        return Ok(false);
    }
    slot.seize();
    if slot.pins() == 1 && slot.user_free().is_none() {
        // Nobody has a value, and nobody is called.
        retire::unpin(None, slot);
        return Ok(false);
    }
    finish_release(attach(), slot, key);
    Ok(true)
}

/// Ends a key that has just died: tells all maps that have a value of it, and
/// destroys what is this thread's.
pub(super) fn retire_key(thread: Option<&Thread>, slot: &'static KeySlot, key: u64) {
    slot.seize();
    finish_release(thread, slot, key);
}

fn finish_release(thread: Option<&Thread>, slot: &'static KeySlot, key: u64) {
    if let Some(thread) = thread {
        slot.call().begin(&thread.calls, CallKind::Release);
    }
    post_all(thread, slot);
    if let Some(thread) = thread {
        destroy_own(thread, key);
        slot.call().end(&thread.calls);
    }
    retire::unpin(thread, slot);
}

/// Posts the holders of a dead key; wakes whom they want woken, and destroys the
/// values of an `ANY` key.
pub(super) fn post_all(thread: Option<&Thread>, slot: &'static KeySlot) {
    let own = thread.map_or(null(), |thread| core::ptr::from_ref(thread.map()));
    loop {
        match post_holders(slot, own) {
            Posted::All => return,
            Posted::Wake(waker) => wake(waker),
            Posted::Taken(value) => retire::destroy(thread, slot, value, Reason::KeyDead),
        }
    }
}

/// Destroys the thread's own values of a dead key, those that scopes cover as
/// well.
fn destroy_own(thread: &Thread, key: u64) {
    let map = thread.map();
    retire::drain(map);
    // Of what scopes have covered, a callback's insert may have swept the rest.
    let swept = || (map.depth() > 0).then(|| map.find_retired(key)).flatten();
    while let Some(record) = map.first_value_of(key).or_else(swept) {
        retire::retire(thread, map, record, None, Reason::KeyDead);
    }
}

/// Calls whom a map wants to be woken.
pub(super) fn wake(waker: Waker) {
    let Some(function) = waker.notify else { return };
    // SAFETY: The one who registered it promises that any thread may call it with
    // this argument; no lock is held.
    block::call_out(|| unsafe { function(waker.argument) });
}

/// Goes on with a release whose callback never returned.
pub(super) fn recover_release(thread: &Thread, slot: &'static KeySlot) {
    post_all(Some(thread), slot);
    slot.call().end(&thread.calls);
    retire::unpin(Some(thread), slot);
}

/// Goes on with the end of a key whose `user_free` never returned.
pub(super) fn recover_user_free(thread: &Thread, slot: &'static KeySlot) {
    slot.call().end(&thread.calls);
    retire::close(Some(thread), slot);
}
