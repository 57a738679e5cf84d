//! Making a key, and releasing it.

use core::ptr::null;

use super::destroy::{end_value, obligation_met, slot_of};
use super::map::count;
use super::record;
use crate::error::{Error, Reason};
use crate::key::holder::HolderPointer;
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
pub fn create(options: &KeyOptions) -> Result<u64, Error> {
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
    if let (Some(holder), Some((position, _))) = (burial.standing, own) {
        map.take_out_at(position);
        count(&map.counters.expunged);
        end_value(thread, map, holder, Reason::KeyDead);
    }
    if burial.owed {
        obligation_met(Some(thread), slot);
    }
    Ok(())
}

/// The slot of a standing record's key.
fn slot_of_record(holder: HolderPointer) -> &'static KeySlot {
    // SAFETY: The calling thread's map has just said that it stands there.
    slot_of(unsafe { holder.as_ref() })
}

/// [`release`] on a thread that has no values.
fn release_unattached(key: u64) -> Result<(), Error> {
    let slot = key::find(key)?;
    if slot.release(handle::generation(key))? == Released::Dead {
        // With no record of its own, a burial always owes.
        slot.bury(null(), None);
        obligation_met(None, slot);
    }
    Ok(())
}
