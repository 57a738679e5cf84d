// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scopes and tasks: a worker is after a task as it was before.
//!
//! A set inside a scope does not replace an outer value but covers it; so do a
//! remove and a take ([`crate::local::covering`]). When the scope ends, what was
//! set in it is destroyed, the youngest first, and what it has covered is back: the
//! cost is that of what was set, and nothing for a scope in which nothing was.
//! Values of `WORKER` keys are set as if there were no scope.
//!
//! # Invariants
//!
//! 1. A scope's end calls back with the scope still open: what callbacks set is
//!    destroyed with it, in at most [`EXIT_ROUNDS`] rounds. Scopes that they leave
//!    open get one round fewer each, so a chain of them ends.
//! 2. A scope ends in the map in which it was begun.

use core::ptr::NonNull;

use super::EXIT_ROUNDS;
use crate::error::{Error, Reason};
use crate::local::covering::TakenOut;
use crate::local::map::Map;
use crate::local::maps;
use crate::local::record::{Location, Record, RecordPointer, State};
use crate::local::retire;
use crate::local::thread::Thread;
use crate::sys::block;

/// Opens a scope in the thread's map. Returns its id. Errors: `NoMemory`, `Exiting`;
/// `Limit` at a depth of 65,534.
pub fn begin(thread: &Thread) -> Result<u64, Error> {
    thread.check_open()?;
    thread.map().open_scope()
}

/// Ends the innermost scope: destroys what was set in it, and brings back what it has
/// covered. Errors: `Busy` for a scope that others are open in; `Reentrant` for one
/// that is just ending, further out on this stack; `Invalid` for one that is not open
/// in the thread's map.
pub fn end(thread: &Thread, id: u64) -> Result<(), Error> {
    let map = thread.map();
    let depth = map.scope_depth(id).ok_or(Error::Invalid)?;
    let ending = map.scopes.get(u32::from(depth) - 1).is_some_and(|scope| scope.ending);
    if ending {
        return Err(Error::Reentrant);
    }
    if depth < map.depth() {
        return Err(Error::Busy);
    }
    end_innermost(thread, map, EXIT_ROUNDS);
    retire::flush(thread, map);
    Ok(())
}

/// Ends a scope of a map and those that are open in it; nothing if it is not open
/// there (any more).
pub(super) fn end_with_inner(thread: &Thread, map: &Map, id: u64) {
    let Some(depth) = map.scope_depth(id) else { return };
    while map.depth() >= depth {
        end_innermost(thread, map, EXIT_ROUNDS);
    }
}

pub(super) fn end_every(thread: &Thread, map: &Map) {
    while map.depth() > 0 {
        end_innermost(thread, map, EXIT_ROUNDS);
    }
}

/// Ends the innermost scope, with at most so many rounds of callbacks.
fn end_innermost(thread: &Thread, map: &Map, rounds: usize) {
    let (depth, Some(scope)) = (map.depth(), map.innermost_scope()) else { return };
    map.set_ending(true);
    let start = || map.innermost_scope().map_or(scope.start, |scope| scope.start);
    let is_its = |record: &Record| record.depth.get() == depth;
    // A round that calls nothing leaves nothing.
    let is_over = (0..rounds).any(|_| {
        retire::drain(map);
        let some = end_values(thread, map, start(), Reason::ScopeEnd, &is_its);
        let has_inner = map.depth() > depth;
        while map.depth() > depth {
            end_innermost(thread, map, rounds - 1);
        }
        !some && !has_inner
    });
    if !is_over {
        leak_values(thread, map, start(), &is_its);
    }
    map.close_scope();
}

/// Whether a record has a value to end: one of the map's, or one whose end was deferred,
/// and that nobody visits any more.
fn is_due(map: &Map, record: RecordPointer) -> bool {
    let state = map.state_of(record);
    let drained = Record::at(record).location.get() == Location::Stale;
    state.has_value() || matches!(state, State::Deferred | State::Purged) && drained
}

/// Retires all values that are in a map now, from a place by age on, and that
/// `which` is true of, the youngest first. Whether there was any.
pub(super) fn end_values(
    thread: &Thread,
    map: &Map,
    start: u32,
    reason: Reason,
    which: &dyn Fn(&Record) -> bool,
) -> bool {
    let mut some = false;
    map.for_each_youngest_first(start, |record| {
        if which(Record::at(record)) && is_due(map, record) {
            some = true;
            retire::retire(thread, map, record, None, reason);
        }
    });
    some
}

/// What the rounds have left: values that set themselves again and again. They
/// are given up, and counted.
pub(super) fn leak_values(thread: &Thread, map: &Map, start: u32, which: &dyn Fn(&Record) -> bool) {
    // A `user_free` may still run; what it would set, nobody would end.
    let was_closing = thread.closing.replace(true);
    map.for_each_youngest_first(start, |record| {
        let fields = Record::at(record);
        if !which(fields) || !map.state_of(record).has_value() {
            return;
        }
        map.withdraw_stale(record);
        if map.take_out(record, None, Reason::ThreadExit as u8) == TakenOut::Out {
            if !fields.value.replace(core::ptr::null_mut()).is_null() {
                maps::count_leaked();
            }
            retire::finish_if_idle(thread, map, record, fields.slot());
        }
    });
    thread.closing.set(was_closing);
}

/// Hides the outer values that `which` is true of from the innermost scope, and makes
/// sure first that it can. Errors: `NoMemory`: then nothing is hidden.
pub(super) fn hide_all(map: &Map, which: impl Fn(&Record) -> bool) -> Result<(), Error> {
    let hides = |record: &Record| {
        which(record) && !record.rules.get().worker() && record.depth.get() < map.depth()
    };
    let mut number = 0;
    map.for_each_youngest_first(0, |record| {
        number += u32::from(hides(Record::at(record)) && map.state_of(record) == State::Live);
    });
    map.reserve_records(number)?;
    map.reserve_places(number)?;
    let mut hidden = Ok(());
    map.for_each_youngest_first(0, |record| {
        let fields = Record::at(record);
        if hides(fields) && map.state_of(record) == State::Live && hidden.is_ok() {
            hidden = map.hide_outer(fields.handle.get());
        }
    });
    hidden.map_err(Error::from)
}

/// Ends the scope of a task that has returned, in the map in which it was begun,
/// with those that the task has left open; and expunges.
pub fn end_of_task(thread: &Thread, id: u64) {
    let map = thread.map();
    if map.scope_depth(id).is_some() {
        end_with_inner(thread, map, id);
    } else {
        end_elsewhere(thread, id);
    }
    retire::expunge(thread, thread.map(), usize::MAX);
}

fn end_elsewhere(thread: &Thread, id: u64) {
    if block::is_in_callback() {
        return;
    }
    let own = thread.own_map();
    if own.scope_depth(id).is_some() {
        thread.with_map(None, || end_with_inner(thread, own, id));
    } else if let Some(map) = maps::attach_of_scope(id) {
        // A map that threads switch to, and that no other thread has.
        thread.with_map(Some(NonNull::from(map)), || end_with_inner(thread, map, id));
        map.detach();
    }
}
