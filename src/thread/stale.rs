//! Expunging: ending the values whose keys have died.

use super::destroy::{end_condemned, end_ending_value, end_value, finish_if_idle};
use super::map::{count, Map};
use super::record::{self, ThreadRecord};
use super::visit;
use super::SLOW_PATH_BUDGET;
use crate::error::{Error, Reason};
use crate::key::holder::{HolderPointer, Place, Stand};
use crate::sys::block;
use crate::sys::sync::Ordering;

/// Stale entries of the calling thread's map.
#[inline]
#[must_use]
pub fn stale_count() -> usize {
    block::stale_count()
}

/// Ends all of the calling thread's stale values; returns how many.
///
/// Those whose keys die meanwhile on other threads may be left for the next
/// call: it ends whatever others do.
#[inline]
pub fn expunge() -> usize {
    if block::stale_count() == 0 {
        return 0;
    }
    expunge_some(usize::MAX)
}

/// Ends at most `budget` of the calling thread's stale values.
#[cold]
#[inline(never)]
pub fn expunge_some(budget: usize) -> usize {
    let Some(thread) = record::current() else { return 0 };
    let map = thread.map();
    map.take_mail();
    // Deaths that other threads add meanwhile wait for the next call.
    let budget = budget.min(map.mailbox.stale.load(Ordering::Relaxed));
    expunge_at_most(thread, map, budget)
}

/// Ends a value whose visitors have left it, if there is one.
pub(super) fn end_put_off(thread: &ThreadRecord, map: &Map) -> bool {
    let Some((holder, reason, orphaned)) = visit::take_put_off(map) else { return false };
    // SAFETY: This thread owns the map; the record is in its list.
    let place = unsafe { holder.as_ref() }.place.get();
    // What a burial by another thread has put into the mailbox is withdrawn,
    // and subtracted, when it is finished.
    if !orphaned || place == Place::Orphaned {
        map.mailbox.stale.fetch_sub(1, Ordering::Relaxed);
    }
    end_ending_value(thread, map, holder, i32::from(reason));
    true
}

fn expunge_at_most(thread: &ThreadRecord, map: &Map, budget: usize) -> usize {
    let mut ended = 0;
    while ended < budget {
        if end_put_off(thread, map) {
            ended += 1;
            continue;
        }
        let Some(holder) = map.first_stale() else { break };
        map.withdraw_stale(holder);
        // SAFETY: This thread owns the map; the record is in its stale list.
        let fields = unsafe { holder.as_ref() };
        if map.is_reaped(holder) {
            clear_reaped(thread, map, holder);
            continue;
        }
        if fields.stand.get() == Stand::Out {
            // Its value is being made or ended further out on this stack.
            continue;
        }
        map.take_out_record(holder);
        count(&map.counters.expunged);
        end_value(thread, map, holder, Reason::KeyDead);
        ended += 1;
    }
    ended
}

/// Ends the values of a dead key that scopes of this map hide, or hid until a
/// callback ended the scope, for the thread that has released it.
pub(super) fn end_hidden(thread: &ThreadRecord, map: &Map, key: u64) {
    map.take_mail();
    while let Some(holder) = map.find_stale(key) {
        map.withdraw_stale(holder);
        if map.is_reaped(holder) {
            clear_reaped(thread, map, holder);
            continue;
        }
        map.take_out_record(holder);
        count(&map.counters.expunged);
        end_value(thread, map, holder, Reason::KeyDead);
    }
}

/// Clears away what another thread has left of an entry whose value it has
/// taken, or of a value that it has ended for its visitors.
fn clear_reaped(thread: &ThreadRecord, map: &Map, holder: HolderPointer) {
    // SAFETY: This thread owns the map; the record was in its stale list.
    let fields = unsafe { holder.as_ref() };
    if fields.stand.get() != Stand::Out {
        map.take_out_record(holder);
        map.begin_ending(holder);
    } else {
        visit::forget_put_off(map, holder);
    }
    // It may be in `ending` because a callback is running, further out.
    finish_if_idle(thread, map, holder);
}

/// What a slow path does for the dead before its own work: learn of them.
///
/// # Errors
///
/// [`Error::Reentrant`] when the table is being changed further out on this
/// stack: an allocator that keeps thread locals here has been called by a set.
pub(super) fn before_slow_path(map: &Map) -> Result<(), Error> {
    if map.is_busy() {
        return Err(Error::Reentrant);
    }
    map.take_mail();
    Ok(())
}

/// What a slow path does for the dead after its own work: end the values that
/// the table gave up, and a bounded number of others.
#[inline]
pub(super) fn after_slow_path(thread: &ThreadRecord, map: &Map) {
    if map.has_condemned() {
        end_condemned(thread, map);
    }
    if map.first_stale().is_some() {
        expunge_at_most(thread, map, SLOW_PATH_BUDGET);
    }
}
