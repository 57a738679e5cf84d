// SPDX-License-Identifier: MIT OR Apache-2.0
//! Byte strings as steps.
//!
//! Three bytes make a step, so that what is inserted, removed or changed by a
//! fuzzer leaves the other steps as they were, and every byte string is a
//! program:
//!
//! ```text
//!   byte 0   bits 0..6: the code of the operation     bits 6..8: the class
//!   byte 1   a number: which key
//!   byte 2   a number: a detail
//! ```
//!
//! Codes are never given a new meaning, and codes that mean nothing yet do
//! nothing: an operation that is added takes the next one, and the corpus stays
//! what it is.

/// The bytes of a step.
const LENGTH: usize = 3;

/// A step, not understood yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Which operation: below 64.
    pub(crate) code: u8,
    /// Below 4; what it means is the target's business.
    pub(crate) class: u8,
    pub(crate) number: u8,
    pub(crate) detail: u8,
}

/// The steps of a byte string; what lacks at its end is zero.
pub(crate) fn steps(bytes: &[u8]) -> impl Iterator<Item = Step> + '_ {
    bytes.chunks(LENGTH).map(|chunk| {
        let byte = |at: usize| chunk.get(at).copied().unwrap_or(0);
        Step { code: byte(0) % 64, class: byte(0) / 64, number: byte(1), detail: byte(2) }
    })
}
