//! Expunging: ending the values whose keys have died.

use super::destroy::{end_condemned, end_value};
use super::map::{count, Map};
use super::record::{self, ThreadRecord};
use super::SLOW_PATH_BUDGET;
use crate::error::Reason;
use crate::sys::block;

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
    let budget = budget.min(map.mailbox.stale.load(crate::sys::sync::Ordering::Relaxed));
    expunge_at_most(thread, map, budget)
}

fn expunge_at_most(thread: &ThreadRecord, map: &Map, budget: usize) -> usize {
    let mut ended = 0;
    while ended < budget {
        let Some(holder) = map.first_stale() else { break };
        map.withdraw_stale(holder);
        // SAFETY: This thread owns the map; the record is in its stale list.
        let fields = unsafe { holder.as_ref() };
        if !fields.in_table.get() {
            // Its value is being made or ended further out on this stack.
            continue;
        }
        map.take_out(fields.handle.get());
        count(&map.counters.expunged);
        end_value(thread, map, holder, Reason::KeyDead);
        ended += 1;
    }
    ended
}

/// What a slow path does for the dead before its own work: learn of them.
pub(super) fn before_slow_path(map: &Map) {
    map.take_mail();
}

/// What a slow path does for the dead after its own work: end the values that
/// the table gave up, and a bounded number of others.
pub(super) fn after_slow_path(thread: &ThreadRecord, map: &Map) {
    end_condemned(thread, map);
    if map.first_stale().is_some() {
        expunge_at_most(thread, map, SLOW_PATH_BUDGET);
    }
}
