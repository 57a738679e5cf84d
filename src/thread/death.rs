//! Releasing a key.

use core::ptr::null;

use super::destroy::{end_value, obligation_met};
use super::map::count;
use super::record;
use crate::error::{Error, Reason};
use crate::key;
use crate::key::slot::Released;

/// Gives a reference back. The last one ends the key: the calling thread's own
/// value is destroyed before this returns; other maps that have one are told.
///
/// # Errors
///
/// [`Error::BadKey`], [`Error::DeadKey`].
pub fn release(key: u64) -> Result<(), Error> {
    let (slot, released) = key::release(key)?;
    if released == Released::Live {
        return Ok(());
    }
    let thread = record::current();
    let mine = thread.map_or(null(), |thread| &raw const thread.map().mailbox);
    let burial = slot.bury(mine);
    if let (Some(thread), Some(holder)) = (thread, burial.standing) {
        let map = thread.map();
        map.take_out(key);
        count(&map.counters.expunged);
        end_value(thread, map, holder, Reason::KeyDead);
    }
    if burial.owed {
        obligation_met(thread, slot);
    }
    Ok(())
}
