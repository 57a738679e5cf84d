// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds uses of memory that was freed, or never allocated.
//!
//! The library keeps freed memory until the execution is over, so an address
//! stands for one piece of memory, and every later use of it can be found.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use threadlocalmap::sys::modelled::is_wild;

/// A hash of an address.
#[derive(Default)]
pub struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("addresses only")
    }
    fn write_usize(&mut self, address: usize) {
        self.0 = (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
}

/// What there is at each address.
pub type ByAddress<T> = HashMap<usize, T, BuildHasherDefault<Mix>>;

/// All memory that the library has had in an execution. Pieces do not overlap.
#[derive(Default)]
pub struct Memory {
    /// The bytes of each piece in use.
    in_use: ByAddress<usize>,
    /// Those of each piece that was freed. Looked through at every step, and short.
    gone: BTreeMap<usize, usize>,
}

impl Memory {
    /// From here on it is in use.
    pub fn allocated(&mut self, address: usize, bytes: usize) {
        self.in_use.insert(address, bytes);
    }

    /// From here on it is not.
    ///
    /// # Errors
    ///
    /// What is wrong with that.
    pub fn freed(&mut self, address: usize) -> Result<(), &'static str> {
        match self.in_use.remove(&address) {
            Some(bytes) => {
                self.gone.insert(address, bytes);
                Ok(())
            }
            None if self.gone.contains_key(&address) => Err("memory is freed twice"),
            None => Err("memory is freed that was never allocated"),
        }
    }

    /// Whether an address lies in memory that was freed, or in none.
    #[must_use]
    pub fn is_gone(&self, address: usize) -> bool {
        is_wild(address)
            || self
                .gone
                .range(..=address)
                .next_back()
                .is_some_and(|(start, bytes)| address < start + bytes)
    }

    /// Pieces that were not freed.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.in_use.len()
    }
}
