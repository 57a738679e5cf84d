// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making a key, and releasing it.

use core::mem::size_of;
use core::ptr::null;

use super::hooks;
use crate::error::{Error, Reason};
use crate::key::call::CallKind;
use crate::key::options::{Callbacks, KeyOptions};
use crate::key::slot::{KeySlot, Released};
use crate::key::{self, handle};
use crate::local::map::Map;
use crate::local::record::Record;
use crate::local::remote::{post_holders, Posted};
use crate::local::retire;
use crate::local::thread::Thread;
use crate::map::Entry;

/// [`create`] of a key with callbacks and nothing else, in the slot that the
/// thread's last key has left; if it has left one.
#[inline(always)]
pub fn create_again(thread: &Thread, callbacks: Callbacks) -> Option<u64> {
    let slot = thread.take_slot()?;
    let options = KeyOptions { callbacks, ..KeyOptions::DEFAULT };
    let made = key::registry().create_in(slot, &options).ok()?;
    thread.remember(made, slot);
    Some(made)
}

/// Makes a key with one reference, the caller's. Errors: `NoMemory`; `Limit` when
/// 2^32 - 2 slots are in use.
///
/// A thread that makes and ends keys in turn uses its own slot again and
/// again, without a look at the list that all threads share.
#[inline(always)]
pub fn create(thread: Option<&Thread>, options: &KeyOptions) -> Result<u64, Error> {
    let registry = key::registry();
    let slot = match thread.and_then(Thread::take_slot) {
        Some(slot) => slot,
        None => registry.acquire_slot()?,
    };
    let made = registry.create_in(slot, options).inspect_err(|_| registry.release_slot(slot))?;
    if let Some(thread) = thread {
        thread.remember(made, slot);
    }
    Ok(made)
}

/// Gives a reference back. The last one ends the key: the thread's own value is
/// destroyed before this returns; other maps that have one find it in their inbox.
/// Errors: `BadKey`, `DeadKey`.
#[inline(always)]
pub fn release(thread: &Thread, key: u64) -> Result<(), Error> {
    let Some((_, distance, map, record)) = Map::find_published(key) else {
        return release_shared(thread, key);
    };
    if Record::at(record).is_reachable() {
        return release_shared(thread, key);
    }
    let slot = Record::at(record).slot_at_hand();
    if !slot.release_last(handle::generation(key)) {
        return release_shared(thread, key);
    }
    if slot.seize_alone(Record::link_of(record)) {
        retire::retire_lone(thread, map, record, slot, distance / size_of::<Entry>());
    } else {
        retire_key(Some(thread), slot, key);
    }
    Ok(())
}

/// [`release`] of a key that others keep alive, or that has no value here.
#[inline(never)]
fn release_shared(thread: &Thread, key: u64) -> Result<(), Error> {
    let slot = thread.slot_of(key)?;
    if slot.release(handle::generation(key))? == Released::Dead {
        retire_key(Some(thread), slot, key);
    }
    Ok(())
}

/// [`release`] on a thread that has no values.
///
/// If callbacks have to be called, the thread is attached meanwhile, so that they
/// are counted, and so that the release is finished should one of them end the
/// thread. Without memory for that they are called all the same. Returns whether
/// `attach` was asked. Errors: as [`release`].
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
#[inline(never)]
pub(super) fn retire_key(thread: Option<&Thread>, slot: &'static KeySlot, key: u64) {
    slot.seize();
    finish_release(thread, slot, key);
}

fn finish_release(thread: Option<&Thread>, slot: &'static KeySlot, key: u64) {
    if let Some(thread) = thread {
        slot.call.begin(&thread.calls, CallKind::Release);
    }
    let is_held = |thread: &Thread| slot.pins() > 1 && thread.map().find(key).is_some();
    let has_own = thread.is_some_and(is_held);
    let called_back = post_all(thread, slot);
    if let Some(thread) = thread {
        destroy_own(thread, key, has_own && called_back);
        slot.call.end(&thread.calls);
    }
    retire::unpin(thread, slot);
}

/// Posts the holders of a dead key; wakes whom they want woken, and destroys the
/// values of an `ANY` key. Returns whether anybody was called.
pub(super) fn post_all(thread: Option<&Thread>, slot: &'static KeySlot) -> bool {
    let own = thread.map_or(null(), |thread| core::ptr::from_ref(thread.map()));
    let mut called_back = false;
    while let Some(posted) = post_holders(slot, own) {
        match posted {
            Posted::Wake(wakers) => hooks::wake(thread, wakers),
            Posted::Taken(value) => retire::destroy(thread, slot, value, Reason::KeyDead),
        }
        called_back = true;
    }
    called_back
}

/// Destroys the thread's own values of a dead key, those that scopes cover as well.
/// `called_back`: callbacks have run since the map was told.
fn destroy_own(thread: &Thread, key: u64, called_back: bool) {
    let map = thread.map();
    retire::drain(map);
    // An insert of a callback's may have swept the value out of the table, and below, of
    // what scopes have covered, the rest.
    let may_be_swept = called_back || map.depth() > 0;
    let swept = || may_be_swept.then(|| map.find_retired(key)).flatten();
    while let Some(record) = map.first_value_of(key).or_else(swept) {
        retire::retire(thread, map, record, None, Reason::KeyDead);
    }
}

/// Goes on with a release whose callback never returned.
pub(super) fn recover_release(thread: &Thread, slot: &'static KeySlot) {
    post_all(Some(thread), slot);
    slot.call.end(&thread.calls);
    retire::unpin(Some(thread), slot);
}

/// Goes on with the end of a key whose `user_free` never returned.
pub(super) fn recover_user_free(thread: &Thread, slot: &'static KeySlot) {
    slot.call.end(&thread.calls);
    retire::close(Some(thread), slot);
}
