// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which maps and contexts have values of a key, dead or alive.
//!
//! # The problem
//!
//! Of a live key its list of holders says so. But the holders of a dead key are in the
//! inboxes of their maps, and then in their owners' sets of stale ones, where nobody else can
//! look. And the one who asks may have no memory to note the answer in, and no right to wait
//! for a lock: a handler of a signal in a thread that has one.
//!
//! # The idea
//!
//! A record says whose value it has, wherever it is linked. So of a dead key all records of
//! all maps are gone over, slab by slab. What is found is noted on the stack, a part at a
//! time: the maps and contexts with the highest numbers below those of the part before.
//!
//! ```text
//!   maps and contexts that have one:   97  96  91  88 | 75  52  51  40 | 12   3
//!                                      part 1, noted    part 2           part 3
//!                                      in one pass
//! ```
//!
//! # Invariants
//!
//! 1. A map or context is in one part at most, with what it had at that instant: also
//!    if others come, go, set and release between two parts.
//! 2. A part is found with locks, and used without.
//!
//! A part of a live key costs O(its values), of a dead one O(records of all maps).

use super::map::Map;
use super::maps;
use super::remote::for_each_holder;
use crate::key::handle;
use crate::key::slot::KeySlot;
use crate::sys::lock::Patience;

/// Maps and contexts in a part. Handlers of signals have small stacks.
const MOST: usize = 64;

/// A map or context that has values of a key.
#[derive(Clone, Copy, Default)]
pub struct Holding {
    /// Its number.
    pub map: u64,
    /// The OS's number of the thread that has it, 0 for none.
    pub thread: u64,
    /// How many values.
    pub values: usize,
}

/// Those of one key, a part at a time.
pub struct Holdings<'a> {
    slot: &'static KeySlot,
    key: u64,
    patience: &'a Patience,
    /// The present part, by falling number.
    items: [Holding; MOST],
    length: usize,
    /// The number that the next part begins below, if there may be one.
    below: Option<u64>,
    /// A lock could not be had: some are missing.
    pub is_incomplete: bool,
}

impl<'a> Holdings<'a> {
    /// Those of a key that this slot serves or has served.
    pub fn new(slot: &'static KeySlot, key: u64, patience: &'a Patience) -> Self {
        let items = [Holding::default(); MOST];
        let below = Some(u64::MAX);
        Self { slot, key, patience, items, length: 0, below, is_incomplete: false }
    }

    /// The next part; empty after the last.
    pub fn next_part(&mut self) -> &[Holding] {
        self.length = 0;
        if let Some(below) = self.below.take() {
            let is_live = |it: &Self| it.slot.check(handle::generation(it.key)).is_ok();
            if is_live(self) {
                self.note_holders(below);
            }
            // Looked at after: if the key has died meanwhile, its list was taken apart.
            let dead = !is_live(self);
            if dead {
                (self.length, self.below) = (0, None);
            }
            self.note_all(below, dead);
            self.below = self.below.and(self.items[..self.length].last()).map(|last| last.map);
        }
        &self.items[..self.length]
    }

    /// Notes the maps of a live key's holders.
    fn note_holders(&mut self, below: u64) {
        let (slot, patience) = (self.slot, self.patience);
        let noted = slot.with_holders_patiently(patience, |holders| {
            for_each_holder(holders, |map| self.note_map(below, map, 1));
        });
        self.is_incomplete |= noted.is_none();
    }

    /// Notes contexts; with `searches` what the records of all maps say.
    fn note_all(&mut self, below: u64, searches: bool) {
        let (key, patience) = (self.key, self.patience);
        let noted = maps::look(patience, |lists| {
            for map in lists.maps().filter(|map| searches && map.number.get() < below) {
                if self.length == MOST {
                    // All others have lower numbers.
                    self.below = Some(below);
                    break;
                }
                let values = map.count_values(key, patience);
                self.is_incomplete |= values.is_none();
                self.note_map(below, map, values.unwrap_or(0));
            }
            for context in lists.contexts() {
                let values = context.count_of(key);
                self.note(below, Holding { map: context.number.get(), thread: 0, values });
            }
        });
        self.is_incomplete |= noted.is_none();
    }

    fn note_map(&mut self, below: u64, map: &Map, values: usize) {
        self.note(below, Holding { map: map.number.get(), thread: map.thread_number(), values });
    }

    /// Notes some values, if they belong to this part; else there is a next one.
    #[inline(never)] // called in three places, and no path that must be fast
    fn note(&mut self, below: u64, new: Holding) {
        if new.values == 0 || new.map >= below {
            return;
        }
        // Most come in falling order.
        let noted = &mut self.items[..self.length];
        let place = noted.iter().rposition(|item| item.map >= new.map);
        match place.map(|place| &mut noted[place]) {
            Some(item) if item.map == new.map => item.values += new.values,
            _ => self.insert(place.map_or(0, |place| place + 1), below, new),
        }
    }

    fn insert(&mut self, place: usize, below: u64, new: Holding) {
        if self.length == MOST {
            self.below = Some(below);
            if place == MOST {
                return;
            }
            self.length -= 1;
        }
        self.items.copy_within(place..self.length, place + 1);
        self.items[place] = new;
        self.length += 1;
    }
}
