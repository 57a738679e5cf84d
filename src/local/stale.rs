// SPDX-License-Identifier: MIT OR Apache-2.0
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
    /// Nothing, if the tops have enough bits. Else how many levels there are below the top,
    /// with [`PLACES`] of places above it; where each of them begins; and then these levels,
    /// level 0 first. A word of the one set is beside that of the other.
    words: Array<u64>,
}

/// Places that there are bits for as soon as the tops have too few: their 300 bytes take the
/// allocator less than three sizes one after the other.
const FEWEST: u32 = 1024;

/// In the first word: how many places there are bits for stands from this bit on.
const PLACES: u32 = 32;

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

    /// How many levels there are below the top.
    #[inline(always)]
    fn levels(&self) -> u32 {
        self.words.get(0).unwrap_or(0) as u32
    }

    /// Makes sure that there is a bit for each place below `places`. Errors: `OutOfMemory`;
    /// nothing has changed.
    pub fn reserve(&self, places: u32) -> Result<(), OutOfMemory> {
        let there = self.words.get(0).map_or(1 << WORD, |first| first >> PLACES);
        if u64::from(places) <= there {
            return Ok(());
        }
        self.grow(places.max(FEWEST))
    }

    #[cold]
    fn grow(&self, places: u32) -> Result<(), OutOfMemory> {
        let levels = (places - 1).ilog2() / WORD;
        let size_of = |level| 2 * (((places - 1) >> (WORD * (level + 1))) + 1);
        let larger = Self::new();
        let sizes: u32 = (0..levels).map(size_of).sum();
        larger.words.reserve(1 + levels + sizes)?;
        larger.words.push(u64::from(places) << PLACES | u64::from(levels));
        let mut start = 1 + levels;
        for level in 0..levels {
            larger.words.push(start.into());
            start += size_of(level);
        }
        (0..sizes).for_each(|_| larger.words.push(0));
        for set in [Set::Usual, Set::Explicit] {
            while let Some(place) = self.youngest(set) {
                self.remove(set, place);
                larger.insert(set, place);
            }
            self.tops[set as usize].set(larger.tops[set as usize].get());
        }
        self.words.free();
        self.words.take(&larger.words);
        Ok(())
    }

    /// The index of a word in `words`.
    /// Safety: there is such a level below the top.
    #[inline(always)]
    unsafe fn index(&self, set: Set, level: u32, word: u32) -> u32 {
        debug_assert!(level < self.levels());
        // SAFETY: The caller.
        let start = unsafe { self.words.get_unchecked(1 + level as usize) };
        start as u32 + 2 * word + set as u32
    }

    /// A word of a level below the top.
    /// Safety: there is such a level, and such a word in it.
    #[inline(always)]
    unsafe fn word(&self, set: Set, level: u32, word: u32) -> u64 {
        // SAFETY: The caller.
        unsafe { self.words.get_unchecked(self.index(set, level, word) as usize) }
    }

    /// Enters a place.
    #[inline(never)]
    pub fn insert(&self, set: Set, place: u32) {
        let mut bit = place;
        for level in 0..self.levels() {
            // SAFETY: Below the top; invariant 2.
            let index = unsafe { self.index(set, level, bit >> WORD) };
            // SAFETY: As above.
            let old = unsafe { self.words.get_unchecked(index as usize) };
            self.words.set(index, old | 1 << (bit % u64::BITS));
            if old != 0 {
                return;
            }
            bit >>= WORD;
        }
        let top = &self.tops[set as usize];
        top.set(top.get() | 1 << bit);
    }

    /// Takes a place out, if it is in.
    #[inline(never)]
    pub fn remove(&self, set: Set, place: u32) {
        let mut bit = place;
        for level in 0..self.levels() {
            // SAFETY: Below the top; invariant 2.
            let index = unsafe { self.index(set, level, bit >> WORD) };
            // SAFETY: As above.
            let word = unsafe { self.words.get_unchecked(index as usize) };
            let word = word & !(1 << (bit % u64::BITS));
            self.words.set(index, word);
            if word != 0 {
                return;
            }
            bit >>= WORD;
        }
        let top = &self.tops[set as usize];
        top.set(top.get() & !(1 << bit));
    }

    /// The last place of a set.
    #[inline]
    pub fn youngest(&self, set: Set) -> Option<u32> {
        let top = self.tops[set as usize].get().checked_ilog2()?;
        Some(self.last_below(set, self.levels(), top))
    }

    /// The last place below a bit of a level that is set.
    #[inline(always)]
    fn last_below(&self, set: Set, level: u32, bit: u32) -> u32 {
        (0..level).rev().fold(bit, |index, level| {
            // SAFETY: Below the top; invariant 2.
            let word = unsafe { self.word(set, level, index) };
            // Invariant 1: it has a bit.
            index << WORD | word.checked_ilog2().unwrap_or(0)
        })
    }

    /// The last place of a set that is before another one.
    fn before(&self, set: Set, place: u32) -> Option<u32> {
        let mut bit = place;
        for level in 0..=self.levels() {
            let (index, lower) = (bit >> WORD, (1 << (bit % u64::BITS)) - 1);
            let word = match level == self.levels() {
                true => self.tops[set as usize].get(),
                // SAFETY: Below the top; invariant 2.
                false => unsafe { self.word(set, level, index) },
            };
            if let Some(found) = (word & lower).checked_ilog2() {
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
        let words = (1 + self.levels()).min(self.words.len())..self.words.len();
        words.for_each(|index| self.words.set(index, 0));
    }

    /// Gives the memory up. Both are empty.
    pub fn free(&self) {
        self.words.free();
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
