//! A map's records that are known stale: the youngest is the first to be ended.
//!
//! # The problem
//!
//! What depends on something else is set after it, and must end before it: so of all
//! that is stale the youngest ends first. But keys die in any order, and a call that
//! is there for something else ends a few values of many: it must neither sort nor
//! search them all, and ending a value must not need memory.
//!
//! # The idea
//!
//! A record's place in the order by age is a number. One bit for each place says whether
//! the record there is stale; one for each 64 of these says whether any of them is set;
//! and so on up to a single word:
//!
//! ```text
//!   top                 1 0 1 0
//!                      /     \
//!   level 1     0 1 1 0       0 0 0 1
//!                /   \              \
//!   level 0  0 0 1 0  1 1 0 0       0 1 0 0   <-- the last of all is ended first
//! ```
//!
//! The youngest is found by the highest bit of a word in each level. Entering a record and
//! taking it out go up only where a word was empty, or becomes so. There are two such sets:
//! of the values that any slow path may end, and of those of `EXPLICIT` keys.
//!
//! # Invariants
//!
//! 1. A bit above level 0 is set if, and only if, the word below it is not 0.
//! 2. There is a bit for each place that the order has room for ([`Stale::reserve`]).

use crate::sys::array::Array;
use crate::sys::memory::OutOfMemory;
use crate::sys::sync::Cell;

/// A word has this power of two of bits.
const WORD: u32 = u64::BITS.ilog2();

/// Which of the two sets.
#[derive(Clone, Copy)]
pub enum Set {
    /// What slow paths may end.
    Usual = 0,
    /// Values of `EXPLICIT` keys.
    Explicit = 1,
}

/// Two sets of places. All zero: both are empty, with bits for the places of one word.
pub struct Stale {
    tops: [Cell<u64>; 2],
    /// The levels below the top, if there are any: level 0 first. A word of the one set
    /// is beside that of the other.
    words: Array<u64>,
    /// Where each of these levels begins.
    starts: [Cell<u32>; MOST_LEVELS],
    /// How many levels there are below the top.
    levels: Cell<u32>,
    /// Places that there are bits for; 0: as many as a word has.
    places: Cell<u32>,
}

/// Levels below the top for any number of places: 64^6 is above 2^32.
const MOST_LEVELS: usize = 5;

impl Stale {
    const fn new() -> Self {
        // SAFETY: Numbers, and an empty array.
        unsafe { core::mem::zeroed() }
    }

    /// Whether a set is empty.
    #[inline(always)]
    pub fn is_empty(&self, set: Set) -> bool {
        self.tops[set as usize].get() == 0
    }

    /// Makes sure that there is a bit for each place below `places`. Errors: `OutOfMemory`;
    /// nothing has changed.
    pub fn reserve(&self, places: u32) -> Result<(), OutOfMemory> {
        if places <= self.places.get().max(1 << WORD) {
            return Ok(());
        }
        self.grow(places)
    }

    #[cold]
    fn grow(&self, places: u32) -> Result<(), OutOfMemory> {
        let larger = Self::new();
        larger.places.set(places);
        larger.levels.set((places - 1).ilog2() / WORD);
        let mut size = 0;
        for level in 0..larger.levels.get() {
            larger.starts[level as usize].set(size);
            size += 2 * (((places - 1) >> (WORD * (level + 1))) + 1);
        }
        larger.words.reserve(size)?;
        (0..size).for_each(|_| larger.words.push(0));
        for set in [Set::Usual, Set::Explicit] {
            while let Some(place) = self.youngest(set) {
                self.remove(set, place);
                larger.insert(set, place);
            }
            self.tops[set as usize].set(larger.tops[set as usize].get());
        }
        self.words.free();
        self.words.take(&larger.words);
        for (start, new) in self.starts.iter().zip(&larger.starts) {
            start.set(new.get());
        }
        self.places.set(places);
        self.levels.set(larger.levels.get());
        Ok(())
    }

    /// The index of a word in `words`.
    /// Safety: there is such a level below the top.
    #[inline(always)]
    unsafe fn index(&self, set: Set, level: u32, word: u32) -> u32 {
        debug_assert!(level < self.levels.get());
        // SAFETY: The caller.
        let start = unsafe { self.starts.get_unchecked(level as usize) };
        start.get() + 2 * word + set as u32
    }

    #[inline(always)]
    fn word(&self, set: Set, level: u32, index: u32) -> u64 {
        if level == self.levels.get() {
            return self.tops[set as usize].get();
        }
        // SAFETY: Below the top; and invariant 2.
        unsafe { self.words.get_unchecked(self.index(set, level, index) as usize) }
    }

    #[inline(always)]
    fn set_word(&self, set: Set, level: u32, index: u32, word: u64) {
        if level == self.levels.get() {
            return self.tops[set as usize].set(word);
        }
        // SAFETY: Below the top.
        self.words.set(unsafe { self.index(set, level, index) }, word);
    }

    /// Enters a place.
    pub fn insert(&self, set: Set, place: u32) {
        let mut bit = place;
        for level in 0..=self.levels.get() {
            let index = bit >> WORD;
            let old = self.word(set, level, index);
            self.set_word(set, level, index, old | 1 << (bit % u64::BITS));
            if old != 0 {
                return;
            }
            bit = index;
        }
    }

    /// Takes a place out, if it is in.
    pub fn remove(&self, set: Set, place: u32) {
        let mut bit = place;
        for level in 0..=self.levels.get() {
            let index = bit >> WORD;
            let new = self.word(set, level, index) & !(1 << (bit % u64::BITS));
            self.set_word(set, level, index, new);
            if new != 0 {
                return;
            }
            bit = index;
        }
    }

    /// The last place of a set.
    pub fn youngest(&self, set: Set) -> Option<u32> {
        let top = self.tops[set as usize].get().checked_ilog2()?;
        Some(self.last_below(set, self.levels.get(), top))
    }

    /// The last place below a bit of a level that is set.
    fn last_below(&self, set: Set, level: u32, bit: u32) -> u32 {
        (0..level).rev().fold(bit, |index, level| {
            let word = self.word(set, level, index);
            // Invariant 1: it has a bit.
            index << WORD | word.checked_ilog2().unwrap_or(0)
        })
    }

    /// The last place of a set that is before another one.
    fn before(&self, set: Set, place: u32) -> Option<u32> {
        let mut bit = place;
        for level in 0..=self.levels.get() {
            let index = bit >> WORD;
            let lower = self.word(set, level, index) & ((1 << (bit % u64::BITS)) - 1);
            if let Some(found) = lower.checked_ilog2() {
                return Some(self.last_below(set, level, index << WORD | found));
            }
            bit = index;
        }
        None
    }

    /// The places of a set, the youngest first.
    pub fn iter(&self, set: Set) -> impl Iterator<Item = u32> + '_ {
        core::iter::successors(self.youngest(set), move |place| self.before(set, *place))
    }

    /// Empties both.
    pub fn forget(&self) {
        for top in &self.tops {
            top.set(0);
        }
        (0..self.words.len()).for_each(|index| self.words.set(index, 0));
    }

    /// Gives the memory up. Both are empty.
    pub fn free(&self) {
        self.words.free();
        self.levels.set(0);
        self.places.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn the_sets_are_as_two_plain_ones(
            steps in prop::collection::vec((0u8..5, 0usize..2, 0u32..5_000), 1..200),
        ) {
            let (stale, mut plain) = (Stale::new(), [BTreeSet::new(), BTreeSet::new()]);
            let mut places = 64;
            for (step, which, place) in steps {
                let set = [Set::Usual, Set::Explicit][which];
                match step {
                    0 => {
                        stale.remove(set, place % places);
                        plain[which].remove(&(place % places));
                    }
                    1 => {
                        places = places.max(place);
                        stale.reserve(places).expect("memory");
                    }
                    _ => {
                        stale.insert(set, place % places);
                        plain[which].insert(place % places);
                    }
                }
                prop_assert_eq!(stale.youngest(set), plain[which].last().copied());
                prop_assert_eq!(stale.is_empty(set), plain[which].is_empty());
                let all: Vec<u32> = stale.iter(set).collect();
                prop_assert!(all.iter().eq(plain[which].iter().rev()));
            }
            stale.forget();
            prop_assert!(stale.is_empty(Set::Usual) && stale.is_empty(Set::Explicit));
            prop_assert_eq!(stale.iter(Set::Usual).chain(stale.iter(Set::Explicit)).count(), 0);
            stale.free();
        }
    }
}
