//! Values that other threads take: `ANY` keys, and enumerable ones.
//!
//! # The problem
//!
//! With `TLS_RECLAIM_ANY` the thread that releases a key ends all threads'
//! values; a purge does so while the key lives; a scrape takes them; a visit
//! looks at them while their threads run. The owner's get must stay what it is:
//! two loads and a compare, without a lock and without waiting.
//!
//! # The idea
//!
//! ```text
//!   key's lock      who is a holder; visitors; what is put off
//!     map's lock    the table, as soon as the map has one reachable record:
//!                   the owner moves entries, others vacate them
//! ```
//!
//! *Reaping*: with both locks, the value is taken out of the owner's table, and
//! a word is left in its place that no look-up finds. The record goes into the
//! map's mailbox, uncounted, so that the owner clears the entry away. The value
//! is the reaper's, and is ended with no lock held, one at a time: nothing has
//! to be allocated, and a release can't fail.
//!
//! Who visits is in [`super::visit`], what the owner does in
//! [`super::exchange`].
//!
//! # Invariants
//!
//! 1. Who goes over all values has a reference to the key: so no key dies
//!    while a value of it is visited or taken.
//! 2. Who takes values is alone with the key ([`crate::key::visits`]): so no
//!    value is reaped that is visited, and nobody walks the list while it is
//!    turned.
//! 3. A record that was reaped is never looked up in its slot by its owner: the
//!    slot may serve another key by then. (What of the key the owner needs is
//!    in the record: [`Holder::rules`].)

use core::ffi::c_void;

use super::keys::notify;
use super::map::Map;
use super::record::ThreadRecord;
use super::stats;
use super::visit::{Visit, Visiting};
use crate::error::{Error, Reason};
use crate::key::holder::{Holder, HolderList, HolderPointer, KeyLinks, Notice};
use crate::key::holders::has_vanished;
use crate::key::options::Rules;
use crate::key::slot::KeySlot;
use crate::sys::sync::Ordering;

pub(super) fn fields<'a>(holder: HolderPointer) -> &'a Holder {
    // SAFETY: The callers have it from a list, under its lock, or own it.
    unsafe { holder.as_ref() }
}

/// Runs a callback, counted if the thread is attached.
pub(super) fn call_out(thread: Option<&ThreadRecord>, callback: impl FnOnce()) {
    match thread {
        Some(thread) => thread.call_out(callback),
        None => callback(),
    }
}

/// Ends a value of a key that keeps its callbacks in place meanwhile.
pub(super) fn end(thread: Option<&ThreadRecord>, slot: &KeySlot, value: *mut c_void, reason: i32) {
    let callbacks = slot.callbacks();
    if let Some(destroy) = callbacks.destroy.filter(|_| !value.is_null()) {
        stats::count_destroyed();
        // SAFETY: The key's maker promises a function that may be called with
        // each value, on any thread that the key allows; no lock is held.
        call_out(thread, || unsafe { destroy(value, reason, callbacks.user) });
    }
}

/// What one step under the key's lock has found.
enum Step {
    /// Nothing left.
    Done,
    /// A record that needs nothing more.
    Next,
    /// A value that is the caller's now.
    Reaped(Reaped),
    /// Somebody is to be told of mail.
    Told(Notice),
}

/// A value that was reaped.
struct Reaped {
    value: *mut c_void,
    thread: u64,
    /// The record's obligation is the reaper's to meet, and not its owner's.
    settled: bool,
}

/// Reaps a record of the list, or leaves it.
fn reap_first(list: &HolderList<KeyLinks>, holder: HolderPointer, dead: bool) -> Option<Reaped> {
    debug_assert_eq!(fields(holder).visitors.get(), 0, "2: nobody visits meanwhile");
    // SAFETY: In the list, and the lock is held.
    let map = unsafe { Map::of(holder) };
    let value = map.reap(holder)?;
    let thread = map.mailbox.owner.load(Ordering::Relaxed);
    let settled = !map.owes(holder);
    if settled || dead {
        // SAFETY: In the list, and the lock is held.
        unsafe { list.remove(holder) };
        fields(holder).orphaned.set(true);
        // SAFETY: Just orphaned, and the lock is held. Nothing is left to end,
        // so nobody is told.
        unsafe { map.mailbox.put(holder, false) };
    }
    // Else it stays where it is, because the live key's callbacks are in use:
    // its owner takes it out when they have returned.
    Some(Reaped { value, thread, settled })
}

/// Goes on with the burial of an `ANY` key: ends all values that stand.
pub(super) fn bury_all(thread: Option<&ThreadRecord>, slot: &'static KeySlot) {
    loop {
        match slot.with_holders(bury_first) {
            Step::Done => return,
            Step::Next => {}
            Step::Told(notice) => notify(thread, notice),
            Step::Reaped(reaped) => {
                if reaped.settled {
                    // Before the callback, which may never return.
                    let last = slot.obligation_met();
                    debug_assert!(!last, "the burial itself is another");
                }
                stats::count_expunged();
                end(thread, slot, reaped.value, Reason::KeyDead as i32);
            }
        }
    }
}

fn bury_first(list: &HolderList<KeyLinks>) -> Step {
    let Some(holder) = list.first() else { return Step::Done };
    if !has_vanished(fields(holder)) {
        if let Some(reaped) = reap_first(list, holder, true) {
            return Step::Reaped(reaped);
        }
    }
    // Being made or ended by its owner, who will hear of the death; or of a
    // map that is not here.
    // SAFETY: In the list, and the lock is held.
    unsafe { list.remove(holder) };
    if has_vanished(fields(holder)) {
        return Step::Next;
    }
    fields(holder).orphaned.set(true);
    // SAFETY: As above.
    let mailbox = &unsafe { Map::of(holder) }.mailbox;
    let record = fields(holder);
    let counted = record.deferred.get() == 0 && !record.reaped.get();
    // Looked at before: once the record is in the mailbox, the map's thread may
    // take it out and end, and the map with it.
    let notice = mailbox.notice();
    // SAFETY: Just orphaned, and the lock is held.
    let first = unsafe { mailbox.put(holder, counted) };
    notice.filter(|_| first).map_or(Step::Next, Step::Told)
}

/// Takes every standing value of a live key, and hands each to `receive`.
/// Returns how many.
fn take_each(slot: &KeySlot, receive: impl Fn(*mut c_void, u64)) -> usize {
    let mut taken = 0;
    // Values that threads set meanwhile are not waited for: a record that
    // can't be reaped goes to the end of the list, and each comes once.
    let mut left = slot.with_holders(|list| list.iter().count());
    while left > 0 {
        left -= 1;
        let reaped = slot.with_holders(|list| {
            let holder = list.first()?;
            if has_vanished(fields(holder)) {
                // SAFETY: In the list, and the lock is held.
                unsafe { list.remove(holder) };
                return None;
            }
            let reaped = reap_first(list, holder, false);
            if reaped.as_ref().is_none_or(|reaped| !reaped.settled) {
                // SAFETY: As above.
                unsafe {
                    list.remove(holder);
                    list.push_back(holder);
                }
            }
            reaped
        });
        if let Some(reaped) = reaped {
            taken += 1;
            receive(reaped.value, reaped.thread);
        }
    }
    taken
}

/// Ends every thread's value of a live `ANY` key, now. Returns how many.
///
/// # Errors
///
/// [`Error::Invalid`] for another key; [`Error::Busy`] while anybody else goes
/// over its values; [`Error::BadKey`], [`Error::DeadKey`], [`Error::NoMemory`],
/// [`Error::Exiting`].
pub fn purge(key: u64) -> Result<usize, Error> {
    Visiting::run(key, true, Rules::any, |thread, slot, _| {
        take_each(slot, |value, _| end(Some(thread), slot, value, Reason::Purged as i32))
    })
}

/// Takes every thread's value of an enumerable key out, undestroyed, and hands
/// each to `take`.
///
/// # Errors
///
/// As [`purge`], for an enumerable key.
#[allow(clippy::not_unsafe_ptr_arg_deref)] // nothing here dereferences it
pub fn scrape(key: u64, take: Visit, argument: *mut c_void) -> Result<(), Error> {
    Visiting::run(key, true, Rules::enumerable, |thread, slot, _| {
        take_each(slot, |value, owner| {
            // SAFETY: The caller promises a function that may be called with
            // each value; no lock is held.
            thread.call_out(|| unsafe { take(value, owner, argument) });
        });
    })
}
