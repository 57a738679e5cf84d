//! The end of a thread: hooks, then values, in rounds.
//!
//! ```text
//!   round 1   hooks, last in first out      values, the youngest first
//!   round 2   hooks that round 1 added      values that round 1 set
//!   ...       at most 4 rounds, as POSIX has it for pthread keys
//!   after     what is left is given up: not destroyed, counted as leaked
//! ```
//!
//! A thread may end inside one of our callbacks (`pthread_exit`, cancellation).
//! The stack is gone then, but every record is in a list: those in `condemned`
//! still get their callback, those in `ending` had theirs.

use core::cell::Cell;
use core::ffi::c_void;
use core::ptr::{null_mut, NonNull};

use super::destroy::{end_condemned, end_key, end_value, finish, finish_reaped, obligation_met};
use super::map::{count, Map};
use super::record::ThreadRecord;
use super::{keys, record, scope, stale, stats, visit, EXIT_ROUNDS};
use crate::error::{Error, Reason};
use crate::key::{self, holder::HolderPointer, holder::Place};
use crate::sys::memory;

/// What a cleanup hook is.
pub type HookFunction = unsafe extern "C" fn(argument: *mut c_void);

/// A cleanup hook that waits for the thread's end.
pub struct Hook {
    function: Cell<Option<HookFunction>>,
    argument: Cell<*mut c_void>,
    older: Cell<*mut Hook>,
}

/// Registers a hook for the calling thread's end.
///
/// # Errors
///
/// [`Error::NoMemory`], [`Error::Exiting`]; [`Error::Limit`] on a thread whose
/// end can't be seen.
pub fn at_thread_exit(function: HookFunction, argument: *mut c_void) -> Result<(), Error> {
    let thread = record::attached()?;
    thread.watch()?;
    let hook = memory::allocate::<Hook>()?;
    // SAFETY: Just allocated, all zero, which is a valid `Hook`.
    let fields = unsafe { hook.as_ref() };
    fields.function.set(Some(function));
    fields.argument.set(argument);
    fields.older.set(thread.hooks.replace(hook.as_ptr()));
    Ok(())
}

/// Runs the hooks that are there now, the latest first.
fn run_hooks(thread: &ThreadRecord) {
    // Out of the list one at a time, so that a hook that never returns leaves
    // the others; but what this round's hooks add waits for the next round.
    let mut next = thread.hooks.replace(null_mut());
    while let Some(hook) = NonNull::new(next) {
        // SAFETY: In the list, so whole; this thread's alone.
        let fields = unsafe { hook.as_ref() };
        next = fields.older.get();
        let (function, argument) = (fields.function.get(), fields.argument.get());
        thread.hooks_of_round.set(next);
        // SAFETY: `at_thread_exit` allocated it; it is in no list any more.
        unsafe { memory::free(hook) };
        if let Some(function) = function {
            // SAFETY: Whoever registered it promises that it may be called
            // once with this argument on this thread.
            thread.call_out(|| unsafe { function(argument) });
        }
    }
}

/// Ends all values that were set at a depth of scopes and are there now, the
/// youngest first.
pub(super) fn end_all(thread: &ThreadRecord, map: &Map, depth: u16, reason: Reason) {
    end_all_of(thread, map, depth, reason, |_| true);
}

/// [`end_all`] of those that `which` is true of.
pub(super) fn end_all_of(
    thread: &ThreadRecord,
    map: &Map,
    depth: u16,
    reason: Reason,
    which: impl Fn(HolderPointer) -> bool,
) {
    map.from_youngest(depth, |holder| {
        // SAFETY: In the map's list by age, so whole; this thread's map.
        let fields = unsafe { holder.as_ref() };
        if !which(holder) {
            return;
        }
        map.take_out_record(holder);
        if map.is_reaped(holder) {
            finish_reaped(thread, map, holder);
            return;
        }
        let dead = fields.place.get() != Place::Listed;
        map.withdraw_stale(holder);
        if dead {
            count(&map.counters.expunged);
        }
        end_value(thread, map, holder, if dead { Reason::KeyDead } else { reason });
    });
}

/// Ends everything that the thread has; afterwards its map is empty.
pub(super) fn end_thread(thread: &ThreadRecord, reason: Reason) {
    let map = thread.map();
    recover(thread, map);
    thread.requeue_hooks();
    thread.end_visits();
    thread.end_contexts();
    finish_burials(thread);
    scope::end_every(thread, map);
    for _ in 0..EXIT_ROUNDS {
        map.take_mail();
        if thread.has_no_hooks() && map.is_empty_at(0) {
            break;
        }
        run_hooks(thread);
        map.take_mail();
        scope::end_every(thread, map);
        end_all(thread, map, 0, reason);
        end_condemned(thread, map);
        scope::end_every(thread, map);
    }
    // A `user_free` may still run below; what it would set, nobody would end.
    thread.closing.set(true);
    give_up(thread, map, 0);
    settle_put_off(thread, map);
    thread.free_hooks();
    if let Some(slot) = thread.exchange_spare_slot(None) {
        key::registry().give_back(slot);
    }
}

/// Ends all values of a map that the thread has switched to.
pub(super) fn end_map(thread: &ThreadRecord, map: &Map, reason: Reason) {
    recover(thread, map);
    scope::end_every(thread, map);
    for _ in 0..EXIT_ROUNDS {
        map.take_mail();
        if map.is_empty_at(0) {
            break;
        }
        end_all(thread, map, 0, reason);
        end_condemned(thread, map);
        scope::end_every(thread, map);
    }
    let was_closing = thread.closing.replace(true);
    give_up(thread, map, 0);
    settle_put_off(thread, map);
    thread.closing.set(was_closing);
}

/// Brings order into what a callback that never returned has left in a map.
pub(super) fn recover(thread: &ThreadRecord, map: &Map) {
    map.forget_cursors();
    // A value was being replaced when the thread ended: its entry stands, and
    // nobody out there will finish its record any more.
    map.forget_callbacks();
    map.scopes.forget_endings();
    end_condemned(thread, map);
    while let Some(holder) = map.find_ending(is_left_over) {
        map.end_ending(holder);
        finish(thread, map, holder);
    }
}

/// Whether a record in `ending` is there because its callback never returned,
/// and not because its end is put off.
fn is_left_over(holder: HolderPointer) -> bool {
    // SAFETY: In the list, so whole; this thread's map.
    unsafe { holder.as_ref() }.deferred.get() == 0
}

/// Ends what was put off, and leaves to its visitors what is visited still.
fn settle_put_off(thread: &ThreadRecord, map: &Map) {
    while let Some(holder) = map.first_ending() {
        map.end_ending(holder);
        if visit::abandon(map, holder) {
            continue;
        }
        map.begin_ending(holder);
        if !stale::end_put_off(thread, map) {
            // Its last visitor, of a key that any thread may end values of,
            // has done so.
            map.end_ending(holder);
            finish(thread, map, holder);
        }
    }
}

/// What the rounds have left at a depth of scopes: values that set themselves
/// again and again.
pub(super) fn give_up(thread: &ThreadRecord, map: &Map, depth: u16) {
    map.from_youngest(depth, |holder| {
        // SAFETY: In the map's list by age, so whole; this thread's map.
        let fields = unsafe { holder.as_ref() };
        map.take_out_record(holder);
        if !fields.value.get().is_null() {
            stats::count_leaked();
        }
        finish(thread, map, holder);
    });
}

/// Goes on with burials whose callback did not return.
fn finish_burials(thread: &ThreadRecord) {
    thread.for_each_burial(|slot| {
        keys::tell(Some(thread), slot);
        thread.end_burial(slot);
        obligation_met(Some(thread), slot);
    });
    thread.for_each_last_call(|slot| {
        thread.end_last_call(slot);
        end_key(Some(thread), slot);
    });
}

impl ThreadRecord {
    fn has_no_hooks(&self) -> bool {
        self.hooks.get().is_null()
    }

    /// Puts the hooks of a round that was cut off in front of the others.
    fn requeue_hooks(&self) {
        let rest = self.hooks_of_round.replace(null_mut());
        let Some(mut oldest) = NonNull::new(rest) else { return };
        // SAFETY: Hooks of a list that this thread alone has.
        while let Some(older) = NonNull::new(unsafe { oldest.as_ref() }.older.get()) {
            oldest = older;
        }
        // SAFETY: The same list's last hook.
        unsafe { oldest.as_ref() }.older.set(self.hooks.replace(rest));
    }

    /// Frees hooks that no round is left for.
    fn free_hooks(&self) {
        while let Some(hook) = NonNull::new(self.hooks.get()) {
            // SAFETY: In the list, so whole; this thread's alone.
            self.hooks.set(unsafe { hook.as_ref() }.older.get());
            // SAFETY: `at_thread_exit` allocated it; it has left the list.
            unsafe { memory::free(hook) };
        }
    }
}
