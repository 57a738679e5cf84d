//! Scopes: a task leaves its worker exactly as it has found it.
//!
//! # The idea
//!
//! A set inside a scope does not replace an outer value but hides it; so do a
//! remove and a take. When the scope ends, what was set in it is ended, the
//! youngest first, and what it has hidden is back. Both lists are the scope's
//! own ([`super::scopes`]): the cost is that of what the task has set, and
//! nothing for a task that has set nothing. Gets do not know of scopes at all.
//!
//! Values of `WORKER` keys are set as if there were no scope.
//!
//! # Invariants
//!
//! 1. An entry in the table was set in an open scope, or outside of any; at
//!    most one entry of a key is in the table, others are set aside.
//! 2. Whatever is set aside is back when its scope has ended, unless its key
//!    has died or another thread has taken its value.
//! 3. A scope's end calls back with the scope still open: what callbacks set
//!    ends with it, in at most [`EXIT_ROUNDS`] rounds.

use core::ffi::c_void;

use super::destroy::{end_condemned, end_replaced, finish_reaped, reserve_record};
use super::exit::{end_all, give_up};
use super::map::{record as fields, Map};
use super::record::{self, ThreadRecord};
use super::stale::{after_slow_path, before_slow_path};
use super::{exchange, EXIT_ROUNDS};
use crate::error::{Error, Reason};
use crate::key;
use crate::key::holder::{HolderPointer, Stand};

/// Opens a scope in the calling thread's map. Returns its id.
///
/// # Errors
///
/// [`Error::NoMemory`], [`Error::Exiting`]; [`Error::Limit`] at a depth of
/// 65,534; [`Error::Reentrant`] inside the allocator.
pub fn begin() -> Result<u64, Error> {
    let thread = record::attached()?;
    if thread.map().is_busy() {
        return Err(Error::Reentrant);
    }
    thread.map().open_scope()
}

/// Ends the innermost scope: ends what was set in it, and brings back what it
/// has hidden.
///
/// # Errors
///
/// [`Error::Busy`] for a scope that others are open in; [`Error::Reentrant`]
/// for one that is just ending, further out on this stack; [`Error::Invalid`]
/// for one that is not open in the calling thread's map.
pub fn end(id: u64) -> Result<(), Error> {
    let thread = record::current().ok_or(Error::Invalid)?;
    let map = thread.map();
    let depth = map.scopes.find(id).ok_or(Error::Invalid)?;
    let scope = map.scopes.at(depth).ok_or(Error::Invalid)?;
    if scope.ending.get() || map.is_busy() {
        return Err(Error::Reentrant);
    }
    if depth < map.scopes.depth() {
        return Err(Error::Busy);
    }
    end_innermost(thread, map, EXIT_ROUNDS);
    Ok(())
}

/// Ends a scope of the calling thread's map and those that are open in it;
/// nothing if it is not open there (any more).
pub(super) fn end_with_inner(thread: &ThreadRecord, map: &Map, id: u64) {
    let Some(depth) = map.scopes.find(id) else { return };
    while map.scopes.depth() >= depth {
        end_innermost(thread, map, EXIT_ROUNDS);
    }
}

/// Ends all scopes that are open in a map.
pub(super) fn end_every(thread: &ThreadRecord, map: &Map) {
    while map.scopes.depth() > 0 {
        end_innermost(thread, map, EXIT_ROUNDS);
    }
}

/// Ends the innermost scope, with at most so many rounds of callbacks; scopes
/// that these leave open get one round fewer each, so that it ends.
fn end_innermost(thread: &ThreadRecord, map: &Map, rounds: usize) {
    let depth = map.scopes.depth();
    if let Some(scope) = map.scopes.at(depth) {
        scope.ending.set(true);
    }
    for _ in 0..rounds {
        map.take_mail();
        if map.is_empty_at(depth) {
            break;
        }
        end_all(thread, map, depth, Reason::ScopeEnd);
        end_condemned(thread, map);
        while map.scopes.depth() > depth {
            end_innermost(thread, map, rounds - 1);
        }
    }
    if !map.is_empty_at(depth) {
        // A `user_free` may still run; what it would set, nobody would end.
        let was_closing = thread.closing.replace(true);
        give_up(thread, map, depth);
        thread.closing.set(was_closing);
    }
    while let Some(reaped) = map.bring_back() {
        if let Some(holder) = reaped {
            finish_reaped(thread, map, holder);
        }
    }
    map.close_scope();
    after_slow_path(thread, map);
}

/// Whether an entry was set outside of the innermost scope, which therefore
/// hides it rather than change it.
pub(super) fn is_outer(map: &Map, holder: HolderPointer) -> bool {
    let fields = fields(holder);
    !fields.rules.get().worker() && fields.depth.get() < map.scopes.depth()
}

/// Hides an outer value, as if there were none. `false`: it has been reaped.
///
/// # Errors
///
/// [`Error::NoMemory`].
pub(super) fn hide(map: &Map, holder: HolderPointer) -> Result<bool, Error> {
    let shadow = map.scopes.new_shadow()?;
    let hidden = map.set_aside(holder, shadow);
    if !hidden {
        map.scopes.give_back(shadow);
    }
    Ok(hidden)
}

/// Hides an outer value behind another.
fn shadow(
    thread: &ThreadRecord,
    map: &Map,
    holder: HolderPointer,
    value: *mut c_void,
) -> Result<(), Error> {
    before_slow_path(map)?;
    let key = fields(holder).handle.get();
    let slot = key::live(key)?;
    let shadow = map.scopes.new_shadow()?;
    let reserved = reserve_record(thread, map, slot, key);
    let new = reserved.inspect_err(|_| map.scopes.give_back(shadow))?;
    if !map.set_aside(holder, shadow) {
        // Another thread has taken the outer value: there is none to hide.
        map.scopes.give_back(shadow);
    }
    // Reserving may have moved the table, but called nobody. Where the entry
    // was reaped its word is in the way of no look-up.
    map.insert(new, value);
    after_slow_path(thread, map);
    Ok(())
}

/// A set over a standing value that takes more than an exchange: an outer one,
/// one of a worker's, one that other threads reach. `false`: it has been reaped,
/// so there is none.
///
/// # Errors
///
/// As [`set`](super::values::set).
pub(super) fn set(holder: HolderPointer, value: *mut c_void) -> Result<bool, Error> {
    let thread = record::attached()?;
    let map = thread.map();
    if is_outer(map, holder) {
        if outer_value(map, holder) == Some(value) {
            return Ok(true);
        }
        return shadow(thread, map, holder, value).map(|()| true);
    }
    if fields(holder).rules.get().reachable() {
        return exchange::set(thread, holder, value).map(|set| set.is_some());
    }
    let Some(position) = map.find(fields(holder).handle.get()) else { return Ok(false) };
    let old = map.replace_value(position, value);
    if old != value {
        end_replaced(thread, map, holder, old);
    }
    Ok(true)
}

fn outer_value(map: &Map, holder: HolderPointer) -> Option<*mut c_void> {
    if fields(holder).rules.get().reachable() {
        return map.peek(holder);
    }
    map.find(fields(holder).handle.get()).map(|position| map.value_at(position))
}

/// A swap or a take of an outer value, which stays its scope's own: hides it
/// behind `value`, or behind nothing.
///
/// # Errors
///
/// [`Error::NoMemory`], [`Error::DeadKey`].
pub(super) fn cover(holder: HolderPointer, value: Option<*mut c_void>) -> Result<(), Error> {
    let thread = record::attached()?;
    match value {
        Some(value) => shadow(thread, thread.map(), holder, value),
        None => hide(thread.map(), holder).map(|_| ()),
    }
}

/// Hides every outer value of the innermost scope, and makes sure first that it
/// can.
///
/// # Errors
///
/// [`Error::NoMemory`]: then nothing is hidden.
pub(super) fn hide_outer(map: &Map) -> Result<(), Error> {
    hide_all(map, || (0..map.scopes.depth()).flat_map(|depth| map.order_at(depth).iter()))
}

/// [`hide_outer`] of `INHERIT` keys' values. Looks at no others.
///
/// # Errors
///
/// As [`hide_outer`].
pub(super) fn hide_inherited(map: &Map) -> Result<(), Error> {
    hide_all(map, || (0..map.inherited.len()).filter_map(|index| map.inherited.get(index)))
}

/// Hides the outer values among some. Setting aside leaves all lists of entries
/// as they are.
fn hide_all<Holders: Iterator<Item = HolderPointer>>(
    map: &Map,
    some: impl Fn() -> Holders,
) -> Result<(), Error> {
    let hides = |holder: &HolderPointer| {
        is_outer(map, *holder) && fields(*holder).stand.get() == Stand::Table
    };
    map.scopes.provide_shadows(some().filter(hides).count())?;
    for holder in some().filter(hides) {
        hide(map, holder)?;
    }
    Ok(())
}
