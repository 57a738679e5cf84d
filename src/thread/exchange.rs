//! What an owner does to a value of its own that other threads may reach.
//!
//! Every change is made under the map's lock, and under the key's as well if
//! the value may be visited: then it is put off until the visitors have left
//! it. Each step may find that the value has been reaped meanwhile; the caller
//! then goes on as if there had been none.

use core::ffi::c_void;
use core::ptr::null_mut;

use super::destroy::{end_replaced, reserve_record, slot_of};
use super::map::Map;
use super::reach::fields;
use super::record::ThreadRecord;
use super::visit;
use crate::error::{Error, Reason};
use crate::key::holder::{HolderPointer, Stand};
use crate::key::slot::KeySlot;

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
    if !fields(holder).rules.get().enumerable() {
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
    if fields(holder).stand.get() != Stand::Out {
        map.take_out_record(holder);
        map.begin_ending(holder);
    } else {
        visit::forget_put_off(map, holder);
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
    map.take_out_withdrawn(holder);
    Ok(Some(value))
}
