// SPDX-License-Identifier: MIT OR Apache-2.0
//! The number that names a key.
//!
//! ```text
//!    63                36 35                 4 3    0
//!   +--------------------+--------------------+------+
//!   | generation / 16    | home               | % 16 |
//!   +--------------------+--------------------+------+
//!     of the key's slot,   the slot's index, spread so that masking low bits
//!     16 .. 2^32 - 1       yields the home position of its entries
//! ```
//!
//! The home starts at bit 4 because an entry has 16 bytes: masked, a handle is
//! a distance in bytes as it stands, and the inlined hit saves a shift.
//!
//! # The spread
//!
//! ```text
//!   index    31              12 11         0
//!           +------------------+------------+
//!           | block            | place      |
//!           +------------------+------------+
//!   home = reverse_bits(place * 0x61c88647 + (mix(block) << 12))
//! ```
//!
//! The multiplier is the JDK's: 2^32 divided by the golden ratio (up to sign), so that
//! consecutive indices fall far apart. The product's *high* bits depend on all of the
//! place; the low ones do not (indices spaced by 256 share their low byte). Reversing the
//! bits puts the high ones where a mask takes them, and costs nothing on a
//! hit, because the handle carries the result.
//!
//! Alone the golden ratio has bad strides: of 10,000 keys, each the seventh that was made,
//! a hit needs 9 probes on average. So only the 4,096 indices of a block are spread by it,
//! and the blocks by a bijection that looks random. Among the first 4,096 keys of a process
//! nothing changes, because the first block stays where it is.
//!
//! All steps can be undone, so the handle also leads to the slot.
//!
//! # Never equal
//!
//! A slot's generation goes up by one with every key that it serves, and a
//! slot whose generations run out serves no more. So no two keys in the life
//! of a process have the same handle. Generations start at 16 or more, so neither
//! 0 nor any number below 2^36 is ever a key.

/// The least generation of any key: the first whose upper part is not 0.
pub const FIRST_GENERATION: u32 = 16;

/// The generation of each slot's first key in this copy of the library.
///
/// A process may have several copies (one linked into the program, one in a
/// plugin), which know nothing of each other. They begin at generations far
/// apart, so a handle that strays from one to another names no key there, and
/// gets an error instead of somebody else's value.
pub fn first_generation() -> u32 {
    /// Somewhere in this copy, and in no other.
    static COPY: u8 = 0;
    if cfg!(any(test, modelled)) {
        return FIRST_GENERATION;
    }
    let page = (&raw const COPY as usize >> 12) as u32;
    // Below 2^28: a slot still serves 4 billion keys, less 6 %.
    page.wrapping_mul(HASH_INCREMENT) >> 4 | FIRST_GENERATION
}

/// 2^32 - 2654435769, and 2654435769 is 2^32 divided by the golden ratio.
pub const HASH_INCREMENT: u32 = 0x61c8_8647;

/// The number that undoes a multiplication by [`HASH_INCREMENT`].
const HASH_INVERSE: u32 = inverse(HASH_INCREMENT);

/// The inverse of an odd number modulo 2^32: each of Newton's steps doubles
/// the number of right bits, and an odd number is its own inverse modulo 8.
const fn inverse(odd: u32) -> u32 {
    let mut result = odd;
    let mut right_bits = 3;
    while right_bits < 32 {
        result = result.wrapping_mul(2u32.wrapping_sub(odd.wrapping_mul(result)));
        right_bits *= 2;
    }
    result
}

/// Bits of an index that say where it is in its block.
const PLACE_BITS: u32 = 12;
const PLACE: u32 = (1 << PLACE_BITS) - 1;

/// Block numbers are below it.
const BLOCKS: u32 = 1 << (32 - PLACE_BITS);

/// Two odd numbers, whose bits have no pattern.
const MIXERS: [u32; 2] = [0x9_e3b5, 0x5_a8a7];

/// Spreads block numbers: each to another one, and 0 to itself.
const fn mix(block: u32) -> u32 {
    let once = block.wrapping_mul(MIXERS[0]) % BLOCKS;
    let twice = (once ^ once >> 11).wrapping_mul(MIXERS[1]) % BLOCKS;
    twice ^ twice >> 9
}

/// Undoes [`mix`].
const fn unmix(mixed: u32) -> u32 {
    const UNDO: [u32; 2] = [inverse(MIXERS[0]), inverse(MIXERS[1])];
    let twice = mixed ^ mixed >> 9 ^ mixed >> 18;
    let once = twice.wrapping_mul(UNDO[1]) % BLOCKS;
    (once ^ once >> 11).wrapping_mul(UNDO[0]) % BLOCKS
}

/// The home of all handles of slot `index`.
pub const fn home(index: u32) -> u32 {
    let place = (index & PLACE).wrapping_mul(HASH_INCREMENT);
    place.wrapping_add(mix(index >> PLACE_BITS) << PLACE_BITS).reverse_bits()
}

/// The handle of the key that slot `index` serves under `generation`.
pub const fn make(index: u32, generation: u32) -> u64 {
    combine(home(index), generation)
}

/// The handle with this home and generation.
pub const fn combine(home: u32, generation: u32) -> u64 {
    (generation as u64 >> 4) << 36 | (home as u64) << 4 | (generation as u64 & 15)
}

/// The index of a handle's slot; for a made-up handle, any number.
pub const fn index(handle: u64) -> u32 {
    let spread = ((handle >> 4) as u32).reverse_bits();
    // The low bits of the product lead back to the place, whatever the block has added.
    let place = spread.wrapping_mul(HASH_INVERSE) & PLACE;
    match spread.wrapping_sub(place.wrapping_mul(HASH_INCREMENT)) >> PLACE_BITS {
        // The first block, where most processes stay.
        0 => place,
        block => unmix(block) << PLACE_BITS | place,
    }
}

/// A handle's generation; below [`FIRST_GENERATION`] for what is never a key.
pub const fn generation(handle: u64) -> u32 {
    ((handle >> 36) as u32) << 4 | (handle as u32 & 15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_handle_leads_back_to_its_slot_and_generation(slot: u32, turn: u32) {
            let handle = make(slot, turn);
            prop_assert_eq!(index(handle), slot);
            prop_assert_eq!(generation(handle), turn);
        }
    }

    #[test]
    fn blocks_are_spread_one_to_one() {
        for block in (0..BLOCKS).step_by(7).chain([BLOCKS - 1]) {
            assert_eq!(unmix(mix(block)), block);
        }
    }
}
