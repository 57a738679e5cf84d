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

/// A piece of memory.
struct Piece {
    bytes: usize,
    in_use: bool,
}

/// All memory that the library has had in an execution.
#[derive(Default)]
pub struct Memory {
    pieces: BTreeMap<usize, Piece>,
}

impl Memory {
    /// From here on it is in use.
    pub fn allocated(&mut self, address: usize, bytes: usize) {
        self.pieces.insert(address, Piece { bytes, in_use: true });
    }

    /// From here on it is not.
    ///
    /// # Errors
    ///
    /// What is wrong with that.
    pub fn freed(&mut self, address: usize) -> Result<(), &'static str> {
        match self.pieces.get_mut(&address) {
            Some(piece) if piece.in_use => {
                piece.in_use = false;
                Ok(())
            }
            Some(_) => Err("memory is freed twice"),
            None => Err("memory is freed that was never allocated"),
        }
    }

    /// Whether an address lies in memory that was freed, or in none.
    #[must_use]
    pub fn is_gone(&self, address: usize) -> bool {
        if is_wild(address) {
            return true;
        }
        self.pieces
            .range(..=address)
            .next_back()
            .is_some_and(|(start, piece)| !piece.in_use && address < start + piece.bytes)
    }

    /// Pieces that were not freed.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.pieces.values().filter(|piece| piece.in_use).count()
    }
}
