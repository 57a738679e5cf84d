// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that another thread may do to a map: post, take, look.
//!
//! # The problem
//!
//! With `TLS_RECLAIM_ANY` the thread that releases a key destroys all threads'
//! values; a purge does so while the key lives; a scrape takes them; a visit
//! looks at them while their threads run. The owner's get must stay what it is:
//! two loads and a compare, without a lock and without waiting.
//!
//! # The idea
//!
//! The key's lock says who is a holder, and keeps each holder's map in place; the map's
//! lock guards the states of its reachable records and the table they are in. With both,
//! a value is *taken*: a word is left in its place that no look-up finds, and the record
//! goes to the owner's inbox, uncounted, to be cleared away. Or it is *looked at*: the
//! record is marked, and until the mark goes its value is neither destroyed nor taken.
//!
//! # Invariants
//!
//! 1. Lock order: the key's, then the map's.
//! 2. A record with a mark stays in its key's list, where it is, if the key
//!    lives: so the one who has marked it finds the next one.
//! 3. The one who goes over all values keeps the key alive; who takes values is alone
//!    with the key. So no key dies, and no value is taken, while it is visited. (A
//!    capture's mark does not keep the key alive: the value is left to its owner then.)
//! 4. A record whose value was taken is not looked up in its slot by its owner:
//!    the slot may serve another key by then.

use core::ffi::c_void;
use core::iter::{from_fn, successors};
use core::mem::offset_of;
use core::ptr::null_mut;

use super::hooks::Share;
use super::map::Map;
use super::pool::{self, marks, number_of, pool_of};
use super::record::{Number, Record, RecordPointer, State};
use crate::error::Error;
use crate::key::holders::{is_posted, Departure, Holders, LinkPointer};
use crate::key::slot::KeySlot;
use crate::sys::lock::Patience;
use crate::sys::sync::{compiler_fence, Ordering};

/// The map that a record belongs to; `None` if that has ended and left the record
/// to its visitors.
///
/// Safety: the record is in its key's list or chain, whose lock the caller has: so
/// the map can't end.
pub(crate) unsafe fn map_of<'a>(record: RecordPointer) -> Option<&'a Map> {
    let map = pool_of(record).wrapping_byte_sub(offset_of!(Map, pool)).cast::<Map>();
    // SAFETY: Layout: a pool is part of its map. The caller: it lives.
    (!marks(record).abandoned.get()).then(|| unsafe { &*map })
}

/// What one step of a release has found in a dead key's chain.
pub enum Posted {
    /// Somebody is to be woken.
    Wake(Share),
    /// A value of an `ANY` key, which is the caller's to destroy. Its pin is dropped.
    Taken(*mut c_void),
}

/// Goes on with the release of a dead key: posts its holders, until there is
/// something to do without a lock; `None`: all are posted. `own` is the calling
/// thread's map, or null: its values are posted like all others, but it is not woken.
pub fn post_holders(slot: &'static KeySlot, own: *const Map) -> Option<Posted> {
    let any = slot.held_rules().any();
    let posted = slot.with_holders(|holders| {
        from_fn(|| holders.next_dying()).find_map(|link| post_holder(slot, link, any, own))
    });
    if let Some(Posted::Taken(_)) = posted {
        // Before the callback, which may never return.
        let last = slot.unpin();
        debug_assert!(!last, "the key's own pin is another");
    }
    posted
}

/// Posts one. Returns what is to be done for it, if anything.
fn post_holder(slot: &KeySlot, link: LinkPointer, any: bool, own: *const Map) -> Option<Posted> {
    let record = Record::of(link);
    // SAFETY: Just taken out of the chain, and the lock is held.
    let map = unsafe { map_of(record) }?;
    let mine = core::ptr::eq(map, own);
    if any && !mine {
        if let Some(value) = map.take(record) {
            // SAFETY: In no list, and its key's lock is held.
            unsafe { map.inbox.post(link, false) };
            return Some(Posted::Taken(value));
        }
    }
    // Looked at before: once the link is posted, the map's thread may drain it
    // and end, and the map with it.
    let wakers = if mine { None } else { map.inbox.wakers() };
    if !mine {
        slot.number_death();
    }
    // SAFETY: As above.
    let first = unsafe { map.inbox.post(link, true) };
    if_first(wakers, first).map(Posted::Wake)
}

impl Map {
    /// How many values of a key the map has that are still to be destroyed, for a report;
    /// `None`: the map's lock can't be had. With the lock of the list that has the map.
    pub fn count_values(&self, key: u64, patience: &Patience) -> Option<usize> {
        self.inbox.lock.with_patience(patience, || {
            let mut number = 0;
            self.pool.for_each(|record, marks| {
                let is_one = record.value_key() == Some(key) && !marks.abandoned.get();
                number += usize::from(is_one);
            });
            number
        })
    }

    /// Takes a reachable entry's value, if it has one that nobody looks at. With
    /// the key's lock.
    fn take(&self, record: RecordPointer) -> Option<*mut c_void> {
        let fields = Record::at(record);
        self.inbox.lock.with(|| {
            if marks(record).are_there() {
                return None;
            }
            let position = match fields.state() {
                State::Live => Some(Self::position_of_live(self.table(), record)?),
                State::Covered => None,
                _ => return None,
            };
            // First the state: the child of a fork goes by it.
            fields.become_state(State::Taken);
            compiler_fence(Ordering::SeqCst);
            self.takes.set(self.takes.get().wrapping_add(1));
            self.inbox.taken.fetch_add(1, Ordering::Relaxed);
            Some(match position {
                Some(position) => self.table().vacate(position),
                None => fields.value.replace(null_mut()),
            })
        })
    }

    /// Has the owner end a reachable entry's value, if it has one: the entry is not found
    /// any more. With the key's lock. Returns whether the record is to be posted: else
    /// there was nothing, or the last of those who look at it posts it.
    fn purge(&self, record: RecordPointer, reason: u8) -> Purged {
        let fields = Record::at(record);
        self.inbox.lock.with(|| {
            let position = match fields.state() {
                State::Live => match Self::position_of_live(self.table(), record) {
                    None => return Purged::No,
                    position => position,
                },
                State::Covered => None,
                _ => return Purged::No,
            };
            // The child of a fork finds the value in the record, as soon as the state
            // says so; and it goes by the state.
            if let Some(position) = position {
                fields.value.set(self.table().value(position));
            }
            compiler_fence(Ordering::SeqCst);
            marks(record).reason.set(reason);
            fields.become_state(State::Purged);
            compiler_fence(Ordering::SeqCst);
            self.takes.set(self.takes.get().wrapping_add(1));
            if let Some(position) = position {
                self.table().hide(position);
            }
            match marks(record).claim() {
                false => Purged::Post,
                true => Purged::Visited,
            }
        })
    }

    /// Marks a reachable entry, if it has a value: that is not destroyed and not
    /// taken before [`unmark`]. With the key's lock, or by the owner.
    pub fn mark(&self, record: RecordPointer) -> Option<*mut c_void> {
        let fields = Record::at(record);
        self.inbox.lock.with(|| {
            if !matches!(fields.state(), State::Live | State::Covered) {
                return None;
            }
            let value = self.value_of(record)?;
            marks(record).add();
            Some(value)
        })
    }

    /// [`take`](Self::take), with a mark: the record stays in its key's list
    /// until [`unmark`].
    fn take_marked(&self, record: RecordPointer) -> Option<*mut c_void> {
        let value = self.take(record)?;
        marks(record).add_claimed();
        Some(value)
    }

    /// The OS's number of the thread that has the map, 0 for none.
    pub fn thread_number(&self) -> u64 {
        self.inbox.owner.load(Ordering::Relaxed)
    }
}

/// What the one who takes the last mark back has to do after it, with no lock.
pub enum Unmarked {
    /// Nothing.
    Done,
    /// The owner has a value to destroy, and may be to be woken.
    Posted(Option<Share>),
    /// Destroys the value, for this reason.
    Destroy(*mut c_void, u8),
    /// Destroys the value, and then frees the record, whose map has gone.
    DestroyAndFree(*mut c_void, u8, RecordPointer),
}

/// Takes a mark back. With the key's lock.
pub fn unmark(slot: &KeySlot, holders: &Holders, record: RecordPointer) -> Unmarked {
    let fields = Record::at(record);
    // SAFETY: Marked, so in the list, or the calling thread's own.
    let Some(map) = (unsafe { map_of(record) }) else {
        return unmark_abandoned(holders, record);
    };
    let link = Record::link_of(record);
    let any = fields.rules.get().any();
    let mut value = null_mut();
    if !marks(record).remove() {
        return Unmarked::Done;
    }
    let claimed = map.inbox.lock.with(|| {
        marks(record).clear();
        match fields.state() {
            State::Deferred if any => {
                value = fields.value.replace(null_mut());
                fields.become_state(State::Taken);
                State::Deferred
            }
            state => state,
        }
    });
    debug_assert!(matches!(claimed, State::Deferred | State::Taken | State::Purged));
    // A dead key has pinned it; a live one has it in its list.
    // SAFETY: Marked, and the lock is held.
    let pinned = is_posted(link) || unsafe { holders.remove(link) } == Departure::Counted;
    let reason = marks(record).reason.get();
    if claimed == State::Taken || any {
        if pinned {
            let last = slot.unpin();
            debug_assert!(!last, "the release that is on its way has another");
        }
        // SAFETY: In no list, and its key's lock is held.
        unsafe { map.inbox.post(link, false) };
        return if any && claimed == State::Deferred {
            Unmarked::Destroy(value, reason)
        } else {
            Unmarked::Done
        };
    }
    if !pinned {
        slot.pin();
    }
    let wakers = map.inbox.wakers();
    // SAFETY: As above.
    let first = unsafe { map.inbox.post(link, true) };
    Unmarked::Posted(if_first(wakers, first))
}

/// Those to wake if the inbox was empty before: the share goes back otherwise.
fn if_first(wakers: Option<Share>, first: bool) -> Option<Share> {
    match wakers {
        Some(wakers) if !first => {
            wakers.drop_share();
            None
        }
        wakers => wakers,
    }
}

/// [`unmark`] of a record whose map has gone. With the key's lock.
fn unmark_abandoned(holders: &Holders, record: RecordPointer) -> Unmarked {
    let fields = Record::at(record);
    if !marks(record).remove_abandoned() {
        return Unmarked::Done;
    }
    // SAFETY: Marked, so in the list; the lock is held.
    let departure = unsafe { holders.remove(Record::link_of(record)) };
    debug_assert_eq!(departure, Departure::Left, "the one who marks keeps the key alive");
    if matches!(fields.state(), State::Deferred | State::Purged) {
        return Unmarked::DestroyAndFree(fields.value.get(), marks(record).reason.get(), record);
    }
    // SAFETY: Left by its map, and out of its list.
    unsafe { pool::free_abandoned(record) };
    Unmarked::Done
}

/// A step of a walk over all values: the next value, and what the last one's mark
/// leaves to do.
pub struct Step {
    /// The record that is marked now, its value and its thread.
    pub found: Option<(RecordPointer, *mut c_void, u64)>,
    /// What is to be done for the one before.
    pub left: Unmarked,
}

/// Goes from a link on to the first entry with a value; marks that, and takes the
/// mark of the last one back. With `takes` the value is taken. With the key's lock.
pub fn step(
    slot: &KeySlot,
    holders: &Holders,
    last: Option<RecordPointer>,
    next: Option<LinkPointer>,
    takes: bool,
) -> Step {
    let found = from(next).find_map(|record| {
        // SAFETY: In the list, and the lock is held.
        let map = unsafe { map_of(record) }?;
        let value = if takes { map.take_marked(record) } else { map.mark(record) }?;
        Some((record, value, map.thread_number()))
    });
    Step { found, left: last.map_or(Unmarked::Done, |last| unmark(slot, holders, last)) }
}

/// What a purge has done with one entry.
#[derive(PartialEq, Eq)]
enum Purged {
    /// Nothing: it has no value.
    No,
    /// It is to be posted.
    Post,
    /// Those who look at the value post it.
    Visited,
}

/// Makes the values of a live key stale that other maps than `own` have: their owners
/// are to end them, for this reason. Returns how many. Errors: `DeadKey`.
///
/// In one go with the key's lock: nobody sees some of them gone and others not, by way
/// of a visit.
pub fn purge(
    slot: &'static KeySlot,
    generation: u32,
    own: *const Map,
    reason: u8,
) -> Result<usize, Error> {
    slot.with_holders(|holders| {
        let first = holders.first();
        // A key that dies after this is seized with the lock.
        slot.check(generation)?;
        let mut number = 0;
        let mut next = first;
        while let Some(link) = next {
            next = Holders::after(link);
            let record = Record::of(link);
            // SAFETY: In the list, and the lock is held.
            let map = unsafe { map_of(record) }.filter(|map| !core::ptr::eq(*map, own));
            let purged = map.map_or(Purged::No, |map| map.purge(record, reason));
            number += usize::from(purged != Purged::No);
            if let (Some(map), Purged::Post) = (map, purged) {
                // SAFETY: In the list, and the lock is held.
                let departure = unsafe { holders.remove(link) };
                debug_assert_eq!(departure, Departure::Left, "its key lives");
                slot.pin();
                // SAFETY: In no list, and its key's lock is held.
                unsafe { map.inbox.post(link, true) };
            }
        }
        Ok(number)
    })
}

/// The maps of a live key's records, one for each, for a report. With the key's lock.
pub fn for_each_holder(holders: &Holders, visit: impl FnMut(&Map)) {
    // SAFETY: In the list, and the lock is held.
    from(holders.first()).filter_map(|record| unsafe { map_of(record) }).for_each(visit);
}

/// The records of a key's list from a link on. With the key's lock.
fn from(first: Option<LinkPointer>) -> impl Iterator<Item = RecordPointer> {
    successors(first, |link| Holders::after(*link)).map(Record::of)
}

impl Map {
    /// The owner's exchange of a value that somebody looks at: the old one stays
    /// with its record, deferred, and a reserved record takes its place in the
    /// table, by age and in the key's list, so that who has not come to the old
    /// one yet comes to the new one. With false nobody looks at it (any more), or
    /// it was taken, and nothing was done. Errors: `DeadKey`: a capture's mark keeps no
    /// key alive.
    pub fn replace_visited(
        &self,
        slot: &KeySlot,
        old: RecordPointer,
        new: RecordPointer,
        value: *mut c_void,
        reason: u8,
    ) -> Result<bool, Error> {
        let (before, after) = (Record::at(old), Record::at(new));
        slot.with_holders(|holders| {
            // Tagged from here on, a live list is seized with the lock.
            holders.first().ok_or(Error::DeadKey)?;
            let replaced = self.with_table(0, |table, _| {
                if before.state() != State::Live {
                    return false;
                }
                let Some(position) = Self::position_of_live(table, old) else { return false };
                if !marks(old).claim() {
                    return false;
                }
                before.value.set(table.value(position));
                before.become_state(State::Deferred);
                marks(old).reason.set(reason);
                after.covers.set(before.covers.replace(Number::NONE));
                after.depth.set(before.depth.get());
                after.become_state(State::Live);
                table.substitute(position, before.handle.get(), value, number_of(new));
                true
            });
            if replaced {
                let (at, new_link) = (Record::link_of(old), Record::link_of(new));
                // SAFETY: Both are in the list: the one as long as its key lives, and the
                // other was reserved; the lock is held.
                unsafe {
                    let departure = holders.remove(new_link);
                    debug_assert_eq!(departure, Departure::Left);
                    holders.insert_before(at, new_link);
                }
                self.count_removal();
                self.exchange_positions(old, new);
                self.entry_went(old);
                self.entry_came(new);
            }
            Ok(replaced)
        })
    }

    /// The map is ending, and a record has no value for it any more, or its value
    /// is visited. With true it is left to those who look at it.
    pub fn leave_to_visitors(&self, slot: &KeySlot, record: RecordPointer) -> bool {
        slot.with_holders(|_| self.inbox.lock.with(|| self.abandon(record)))
    }
}
