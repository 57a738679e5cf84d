// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one word that says whether a key lives, and what keeps it alive.
//!
//! ```text
//!    63               32 31      22 21              0
//!   +-------------------+----------+-----------------+
//!   | generation        | visits   | references      |     live: the lower 32 are not 0
//!   +-------------------+----------+-----------------+
//! ```
//!
//! A reference is added by a compare-exchange that demands the caller's
//! generation and a live key, so a dead key can't come back to life and a handle
//! can't touch the slot's next key. *Visits* are the calls that go over all values:
//! any number of visitors, or one [`TAKER`] who takes them. A visit keeps the key
//! alive as a reference does, but is counted apart: in the child of a fork the
//! visits of threads that are not there end, and the references stay.

/// The most references that a key can have.
pub const MOST_REFERENCES: u32 = (1 << VISIT_SHIFT) - 1;
const VISIT_SHIFT: u32 = 22;
pub(super) const VISIT: u64 = 1 << VISIT_SHIFT;
/// In the place of the number of visits: one who takes the values.
pub(super) const TAKER: u32 = (1 << (32 - VISIT_SHIFT)) - 1;

/// What giving back a reference, or a visit, has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// Others still keep the key alive.
    Live,
    /// It was the last: the key is dead, and the caller retires it.
    Dead,
}

#[inline(always)]
pub(super) const fn references(state: u64) -> u32 {
    state as u32 & MOST_REFERENCES
}

/// The visits in a word, or [`TAKER`].
#[inline(always)]
pub(super) const fn visits(state: u64) -> u32 {
    state as u32 >> VISIT_SHIFT
}
