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
//! `home = reverse_bits(index * 0x61c88647)`. The multiplier is the JDK's:
//! 2^32 divided by the golden ratio (up to sign), so that consecutive indices
//! fall far apart. The product's *high* bits depend on all of the index; the
//! low ones do not (indices spaced by 256 share their low byte). Reversing the
//! bits puts the high ones where a mask takes them, and costs nothing on a
//! hit, because the handle carries the result.
//!
//! Both steps can be undone, so the handle also leads to the slot.
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

/// The home of all handles of slot `index`.
pub const fn home(index: u32) -> u32 {
    index.wrapping_mul(HASH_INCREMENT).reverse_bits()
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
    ((handle >> 4) as u32).reverse_bits().wrapping_mul(HASH_INVERSE)
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

    /// The longest walk that any of `count` keys `spacing` apart needs in a
    /// table of twice their number, by the map's rule.
    fn longest_walk(count: u32, spacing: u32) -> usize {
        let capacity = (count as usize * 2).next_power_of_two();
        let mut taken = vec![false; capacity];
        let mut longest = 0;
        for number in 0..count {
            let mut position = (make(number.wrapping_mul(spacing), FIRST_GENERATION) >> 4) as usize
                & (capacity - 1);
            let mut walk = 1;
            while taken[position] {
                position = (position + 1) & (capacity - 1);
                walk += 1;
            }
            taken[position] = true;
            longest = longest.max(walk);
        }
        longest
    }

    #[test]
    fn no_spacing_by_a_power_of_two_makes_keys_cluster() {
        // T28: the JDK needs 75 probes at 256 and 150 at 512.
        for shift in 0..24 {
            let longest = longest_walk(300, 1 << shift);
            assert!(longest <= 8, "spacing {}: {longest} probes", 1u32 << shift);
        }
    }
}
