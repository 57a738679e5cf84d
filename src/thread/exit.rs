// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of a thread: hooks, then values, in rounds.
//!
//! ```text
//!   round 1   hooks, last in first out      values, the youngest first
//!   round 2   hooks that round 1 added      values that round 1 set
//!   ...       at most 4 rounds, as POSIX has it for pthread keys
//!   after     what is left is given up: not destroyed, counted as leaked
//! ```
//!
//! A round that leaves nothing runs the hooks that come after the values; what these set
//! is ended in the next. When the rounds are over, hooks that are left are called all the
//! same, and can store nothing.
//!
//! A thread may end inside one of our callbacks (`pthread_exit`, cancellation).
//! The stack is gone then. But each call that was in progress is in the thread's
//! chain, and each record in its map's `order`, in a state that says how far it
//! has come: [`recover_calls`] and [`retire::recover`] finish them. If the thread is
//! cancelled in the middle of its own end, all of this begins again.

use super::hooks::{self, When};
use super::{context, keys, scope, visit, visit_locked, EXIT_ROUNDS};
use crate::error::Reason;
use crate::key;
use crate::key::call::CallKind;
use crate::key::slot::KeySlot;
use crate::local::contexts::Context;
use crate::local::map::Map;
use crate::local::record::{Location, Record, State};
use crate::local::retire;
use crate::local::thread::Thread;

/// Finishes the calls that were in progress when a callback ended the thread.
pub(super) fn recover_calls(thread: &Thread) {
    thread.chain().for_each(|call| match call.kind() {
        // SAFETY: A call of this kind is a slot's.
        CallKind::Release => keys::recover_release(thread, unsafe { KeySlot::of_call(call) }),
        // SAFETY: As above.
        CallKind::UserFree => keys::recover_user_free(thread, unsafe { KeySlot::of_call(call) }),
        CallKind::Visit => visit::recover(thread, call),
        CallKind::Context => context::recover(thread, Context::of_call(call)),
        CallKind::Hook => hooks::recover(thread, call),
        CallKind::Locked => visit_locked::recover(thread, call),
    });
}

/// Ends everything that the thread has; afterwards its map is empty.
pub(super) fn end_thread(thread: &Thread, reason: Reason) {
    let map = thread.map();
    retire::recover(thread, map);
    retire::drain(map);
    scope::end_every(thread, map);
    end_in_rounds(thread, map, reason, true);
    hooks::forget_all(thread);
    if let Some(slot) = thread.take_slot() {
        key::registry().release_slot(slot);
    }
}

/// Destroys all values of a map that the thread has switched to.
pub(super) fn end_map(thread: &Thread, map: &Map, reason: Reason) {
    retire::recover(thread, map);
    let was_closing = end_in_rounds(thread, map, reason, false);
    thread.closing.set(was_closing);
}

/// Ends the values of a map, and calls the thread's hooks if wanted; gives up what the
/// rounds leave. Returns whether the thread was closing before: it is now.
fn end_in_rounds(thread: &Thread, map: &Map, reason: Reason, hooks: bool) -> bool {
    let has_hooks = |when: When| hooks && !thread.hooks[when as usize].is_empty();
    let is_done = || !has_hooks(When::Before) && !has_anything(map);
    for _ in 0..EXIT_ROUNDS {
        if is_done() && !has_hooks(When::After) {
            break;
        }
        if hooks {
            hooks::run(thread, When::Before);
        }
        retire::drain(map);
        scope::end_every(thread, map);
        scope::end_values(thread, map, 0, reason, &|_| true);
        // Those that nobody visits any more.
        retire::expunge(thread, map, usize::MAX);
        scope::end_every(thread, map);
        if hooks && is_done() {
            hooks::run(thread, When::After);
        }
    }
    // A `user_free` may still run below; what it would set, nobody would end.
    let was_closing = thread.closing.replace(true);
    if hooks {
        hooks::run(thread, When::Before);
    }
    leak_rest(thread, map);
    if hooks {
        hooks::run(thread, When::After);
    }
    was_closing
}

/// Whether a map has a value or an open scope.
#[inline(never)]
fn has_anything(map: &Map) -> bool {
    retire::drain(map);
    map.depth() > 0
        || map.has_stale()
        || map.records().any(|record| map.state_of(record).has_value())
}

/// What the rounds have left. What is visited is left to its visitors.
#[inline(never)]
fn leak_rest(thread: &Thread, map: &Map) {
    scope::end_every(thread, map);
    scope::leak_values(thread, map, 0, &|_| true);
    retire::drain(map);
    retire::expunge(thread, map, usize::MAX);
    while let Some(record) = map.records().next() {
        let fields = Record::at(record);
        let slot = fields.slot();
        if map.leave_to_visitors(slot, record) {
            continue;
        }
        // Nobody looks at it any more: it is in the inbox, or was ended.
        slot.with_holders(|_| ());
        retire::drain(map);
        retire::expunge(thread, map, usize::MAX);
        let still_there = map.records().next() == Some(record);
        if still_there && map.state_of(record) == State::Taken {
            debug_assert_ne!(fields.location.get(), Location::Dropped);
            continue;
        }
        debug_assert!(!still_there, "{:?} is left", fields.state());
        if still_there {
            break;
        }
    }
}
