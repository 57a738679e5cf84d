// SPDX-License-Identifier: MIT OR Apache-2.0
//! A record: one entry of one map, and the one byte that says where it is.
//!
//! # The states
//!
//! | state | the value is | who moves it on |
//! |---|---|---|
//! | Free | nowhere: the record is in the pool | owner -> Reserved, Absent |
//! | Reserved | being made: init or copy runs | owner -> Live, Destroying, Free |
//! | Live | in the table | owner -> Covered, Retired, Destroying, Deferred; another thread -> Taken, Purged |
//! | Covered | in the record: a scope covers it | owner -> Live, Retired, Destroying, Deferred; another thread -> Taken, Purged |
//! | Absent | none: the record hides what it covers until its scope ends | owner -> Free |
//! | Retired | in the record: its key is dead, the table has given the entry up | owner -> Destroying, Deferred |
//! | Destroying | in the record: its destroy runs, or has run, or it was handed over | owner -> Free, Absent |
//! | Deferred | in the record: a visitor looks at it | owner, when nobody looks -> Destroying; the last visitor -> Taken |
//! | Taken | the taker's | owner, when it drains its inbox -> Free, Absent |
//! | Purged | in the record: its key lives, and its owner is to destroy it | owner, when nobody looks -> Destroying |
//!
//! [`State::may_become`] is this table; a debug build refuses everything else.
//!
//! # Who may touch what
//!
//! | field | guard |
//! |---|---|
//! | `link` while the key lives, and of a dead key until it is posted | the key's ([`crate::key::holders`]) |
//! | `link` after that | the inbox's `Release` and `Acquire`; then the owner |
//! | `state`, `value`, [`Marks`] of a key that other threads reach | the map's lock |
//! | [`Marks::abandoned`] | the key's lock; set with the map's as well |
//! | all else | the owner |
//!
//! Records of other keys are moved by their owner with plain stores. A report reads `state`
//! and `handle` of all records ([`Record::value_key`]): it may take the one from before and
//! the other from after a change.

use core::ffi::c_void;
use core::mem::size_of;
use core::ptr::NonNull;

use crate::error::Error;
use crate::key::holders::{Link, LinkPointer};
use crate::key::options::Rules;
use crate::key::slot::KeySlot;
use crate::key::{self, handle};
use crate::sys::sync::{AtomicU16, Cell, Ordering, ReportedU64, ReportedU8};

/// Where an entry is; see the module's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)] // the module's text has them
pub enum State {
    Free = 0,
    Reserved = 1,
    Live = 2,
    Covered = 3,
    Absent = 4,
    Retired = 5,
    Destroying = 6,
    Deferred = 7,
    Taken = 8,
    Purged = 9,
}

impl State {
    /// The table of the module's text.
    pub const fn may_become(self, next: Self) -> bool {
        use State::{
            Absent, Covered, Deferred, Destroying, Free, Live, Purged, Reserved, Retired, Taken,
        };
        matches!(
            (self, next),
            (Free, Reserved | Absent)
                | (Reserved, Live | Destroying | Free)
                | (Live, Covered | Retired | Destroying | Deferred | Taken | Purged)
                | (Covered, Live | Retired | Destroying | Deferred | Taken | Purged)
                | (Absent, Free)
                | (Retired, Destroying | Deferred)
                | (Destroying, Free | Absent)
                | (Deferred, Destroying | Taken)
                | (Taken, Free | Absent)
                | (Purged, Destroying)
        )
    }

    /// Whether the map has a value that it may still look up or destroy.
    pub const fn has_value(self) -> bool {
        matches!(self, Self::Live | Self::Covered | Self::Retired)
    }

    /// Whether the record has a value that is still to be destroyed. Of a dead key these
    /// are the stale ones.
    pub const fn is_to_be_destroyed(self) -> bool {
        matches!(self, Self::Live | Self::Covered | Self::Retired | Self::Deferred | Self::Purged)
    }

    /// The state with this number. Safety: it is one's.
    #[inline(always)]
    const unsafe fn of(number: u8) -> Self {
        debug_assert!(number <= Self::Purged as u8);
        // SAFETY: The caller; and they are numbered without a gap.
        unsafe { core::mem::transmute(number) }
    }
}

/// What the owner knows of a record's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Location {
    /// In no list: never linked, or it has left its live key.
    Unlinked = 0,
    /// In its key's list, as far as is known; the key may have died since.
    Linked = 1,
    /// Drained from the inbox, and in the map's list of stale records; the
    /// record has a pin.
    Stale = 2,
    /// In no list, and the record has a pin.
    Pinned = 3,
    /// Drained from the inbox, and in no list; another thread has dropped the pin.
    Dropped = 4,
}

/// A record's number in its map, where the 8 bytes of a pointer are too many; 0: none.
/// [`super::pool`] knows the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(pub(super) u32);

impl Number {
    /// No record.
    pub(crate) const NONE: Self = Self(0);
}

/// A record, and its number.
pub type Numbered = (RecordPointer, Number);

/// One map's entry under one key. All zero: free.
#[repr(C)]
pub struct Record {
    /// What makes it a holder of its key. The first field.
    pub link: Link,
    /// The value, in the states that say so. Of a Reserved or Live record the address of
    /// the key's slot, which is then at hand for a set over the value.
    pub value: Cell<*mut c_void>,
    /// The handle of the key: when another thread has taken the value, the slot may
    /// serve another key before the owner knows. So with the rules.
    pub handle: ReportedU64,
    /// The record whose place in the table this one has taken: an outer value of
    /// the same key, or one that hides it. Of a free record, the next free one.
    pub covers: Cell<Number>,
    /// Its index in the map's records by age.
    pub position: Cell<u32>,
    /// How many scopes were open when it was set: it ends with the innermost.
    pub depth: Cell<u16>,
    /// Where its link is, as the owner knows.
    pub location: Cell<Location>,
    /// A copy of the key's rules.
    pub rules: Cell<Rules>,
    state: ReportedU8,
    /// Its index in its slab, for ever.
    pub(super) index_in_slab: Cell<u8>,
    /// Callbacks that run on behalf of this record: it stays until they return.
    pub pins: Cell<u16>,
}

/// What those who look at a value say of its record. It stands apart: alone it would
/// cost each record 8 bytes.
///
/// Marking and claiming need the map's lock, and taking a mark back the key's. The last
/// visitor of a value that nobody has claimed has nothing to do but to go, so that its
/// going needs no lock of the map. Both change one word: so either the visitor goes first,
/// and the one who claims finds nobody, or the visitor finds that it was claimed.
#[repr(C)]
pub struct Marks {
    /// Threads that look at the value, or walk from this record on; with [`CLAIMED`].
    visitors: AtomicU16,
    /// Why a deferred value is destroyed, a [`crate::error::Reason`]; else 0.
    pub reason: Cell<u8>,
    /// The map has gone, and the last visitor frees the record.
    pub abandoned: Cell<bool>,
}

/// In the word of visitors: the value was deferred, purged or taken meanwhile, and the last
/// one sees to it that it ends. Until that one has begun with it.
const CLAIMED: u16 = 1 << 15;

impl Marks {
    /// Whether anybody looks at the value, or has still to end it after that.
    #[inline(always)]
    pub fn are_there(&self) -> bool {
        // Acquire: with the Release of those who have gone, if the value is destroyed now.
        self.visitors.load(Ordering::Acquire) != 0
    }

    /// One more looks at the value. With the map's lock.
    pub fn add(&self) {
        // Relaxed: ordered by the lock.
        self.visitors.fetch_add(1, Ordering::Relaxed);
    }

    /// The one who has taken the value looks at it, which is claimed thereby. With the
    /// key's lock: nobody else marks a record that is Taken.
    pub fn add_claimed(&self) {
        self.visitors.store(CLAIMED | 1, Ordering::Relaxed);
    }

    /// Leaves the value to those who look at it, if anybody does; returns whether. With the
    /// map's lock, once.
    pub fn claim(&self) -> bool {
        // AcqRel: as above, and the last visitor sees what is to be done.
        if self.visitors.fetch_add(CLAIMED, Ordering::AcqRel) > 0 {
            return true;
        }
        self.clear();
        false
    }

    /// One who has looked at the value goes. With the key's lock. Returns whether it was
    /// the last one of a claimed value, which is to be [cleared](Self::clear) then.
    pub fn remove(&self) -> bool {
        // AcqRel: as above.
        self.visitors.fetch_sub(1, Ordering::AcqRel) == CLAIMED | 1
    }

    /// [`remove`](Self::remove) of a record that its map has left; returns whether it was
    /// the last one.
    pub fn remove_abandoned(&self) -> bool {
        self.visitors.fetch_sub(1, Ordering::AcqRel) & !CLAIMED == 1
    }

    /// Nobody looks at the value. With the map's lock.
    pub fn clear(&self) {
        self.visitors.store(0, Ordering::Relaxed);
    }

    /// In the child of a fork: so many look at a record in this state.
    pub fn restore(&self, visitors: u16, state: State) {
        let is_claimed = matches!(state, State::Deferred | State::Purged | State::Taken);
        let claimed = if visitors > 0 && is_claimed { CLAIMED } else { 0 };
        self.visitors.store(visitors | claimed, Ordering::Relaxed);
    }
}

/// A pointer to a record, as lists and tables keep it.
pub type RecordPointer = NonNull<Record>;

const _: () = assert!(size_of::<Record>() == 48 && size_of::<Marks>() == 4);

impl Record {
    /// The record behind a pointer that the caller has from a list or a table.
    #[inline(always)]
    pub fn at<'a>(pointer: RecordPointer) -> &'a Self {
        // SAFETY: Records in lists and tables are not freed before they have left
        // them, with the lock that guards the list, or by their owner; and all
        // fields are cells.
        unsafe { pointer.as_ref() }
    }

    /// The record that a link is part of.
    #[inline(always)]
    pub const fn of(link: LinkPointer) -> RecordPointer {
        // The link is the first field.
        link.cast()
    }

    /// The link of a record.
    #[inline(always)]
    pub const fn link_of(pointer: RecordPointer) -> LinkPointer {
        pointer.cast()
    }

    /// Where the entry is. With the map's lock, if other threads reach it.
    #[inline(always)]
    #[cfg_attr(modelled, track_caller)]
    pub fn state(&self) -> State {
        // SAFETY: `become_state` alone writes it; 0 is Free.
        unsafe { State::of(self.state.get()) }
    }

    /// Moves the entry on. With the map's lock, if other threads reach it.
    #[inline(always)]
    pub fn become_state(&self, next: State) {
        debug_assert!(self.state().may_become(next), "{:?} never becomes {next:?}", self.state());
        self.state.set(next as u8);
    }

    /// The key of which it has a value that is still to be destroyed, as a report sees it:
    /// while the owner changes the record, perhaps of its next life.
    pub fn value_key(&self) -> Option<u64> {
        // SAFETY: As in `state`.
        let state = unsafe { State::of(self.state.glance()) };
        state.is_to_be_destroyed().then(|| self.handle.glance())
    }

    /// Whether other threads than the owner may touch the value.
    #[inline(always)]
    pub fn is_reachable(&self) -> bool {
        self.rules.get().reachable()
    }

    /// The slot of the record's key. It serves this key until the record has left it.
    pub fn slot(&self) -> &'static KeySlot {
        if !self.is_reachable() && self.state() == State::Live {
            return self.slot_at_hand();
        }
        key::registry().slot(handle::index(self.handle.get()))
    }

    /// [`slot`](Self::slot) of a record that the owner has just found in its table by
    /// its key, and that other threads do not reach.
    #[inline(always)]
    pub fn slot_at_hand(&self) -> &'static KeySlot {
        debug_assert!(!self.is_reachable(), "a purge may have written it");
        // SAFETY: Such a record was Live; slots live for ever.
        unsafe { &*self.value.get().cast_const().cast() }
    }

    /// Notes the slot of a record that is Reserved, or becomes Live; returns its value.
    #[inline(always)]
    pub fn keep_slot(&self, slot: &KeySlot) -> *mut c_void {
        self.value.replace(core::ptr::from_ref(slot).cast_mut().cast())
    }

    /// Whether the record's key is alive. Errors: `DeadKey`.
    pub fn check_key(&self) -> Result<(), Error> {
        self.slot().check(handle::generation(self.handle.get()))
    }

    /// Whether the owner knows that the key has died.
    pub fn is_known_dead(&self) -> bool {
        !matches!(self.location.get(), Location::Linked | Location::Unlinked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [State; 10] = [
        State::Free,
        State::Reserved,
        State::Live,
        State::Covered,
        State::Absent,
        State::Retired,
        State::Destroying,
        State::Deferred,
        State::Taken,
        State::Purged,
    ];

    #[test]
    fn every_state_is_reached_from_free_and_leads_back_to_it() {
        for to_free in [false, true] {
            let mut reached = vec![State::Free];
            while let Some(more) = ALL.into_iter().find(|state| {
                let step = |from: &State| match to_free {
                    false => from.may_become(*state),
                    true => state.may_become(*from),
                };
                !reached.contains(state) && reached.iter().any(step)
            }) {
                reached.push(more);
            }
            assert_eq!(reached.len(), ALL.len(), "towards free: {to_free}; reached {reached:?}");
        }
    }

    #[test]
    fn nothing_that_was_destroyed_or_taken_has_a_value_again_before_it_was_free() {
        for ended in [State::Destroying, State::Taken, State::Purged] {
            for next in ALL.into_iter().filter(|next| ended.may_become(*next)) {
                assert!(!next.has_value(), "{ended:?} becomes {next:?}");
            }
        }
    }
}
