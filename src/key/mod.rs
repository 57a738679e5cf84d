//! Keys: handles, slots, references, and who has a value under which.
//!
//! # The problem
//!
//! A key is made at run time, any number of them, and released by threads that
//! know nothing of each other. Its entries must not keep it alive; everybody
//! who has one must learn of its death; and whoever still has its handle must
//! get an error for ever, not the next key's value.
//!
//! # The idea
//!
//! ```text
//!   handle -> registry -> KeySlot                 Holder          Holder
//!             (slots      +--------------+       +-------+       +-------+
//!              never      | generation : |   +-->| map A |<----->| map B |
//!              move)      |  references  |   |   +-------+       +-------+
//!                         | holders -----|---+     one for each map that has
//!                         | obligations  |         an entry under the key
//!                         | options      |
//!                         +--------------+
//! ```
//!
//! * [`handle`]: a 64-bit number that carries its own hash and its slot's
//!   generation, and is never given out twice.
//! * [`mod@registry`]: the slots, in chunks that never move; a lock-free list of
//!   free ones.
//! * [`slot`]: generation and reference count in *one* atomic word, so that a
//!   reference can be taken only from a key that is alive at that instant.
//! * [`visits`]: who goes over all of a key's values.
//! * [`holders`]: all of a key's, without a lock while there is only one.
//! * [`holder`]: one record for each entry, which the releaser of the last
//!   reference finds and puts into its map's mailbox: death is pushed, in
//!   O(holders), and nobody ever searches for it.
//!
//! # Invariants
//!
//! 1. The generation of a slot only goes up, and only while it serves no key.
//! 2. References go from 1 to 0 once for each generation, and never back up.
//! 3. A slot serves its next key only when the last one is dead and no map has
//!    an entry under it, stale ones included: the *obligations* are met.
//! 4. A holder is either in its key's list or *orphaned*; it goes from the one
//!    to the other under the key's lock, when the key dies, and never back.
//! 5. No callback runs while a lock is held.

pub mod handle;
pub mod holder;
pub mod holders;
mod name;
pub mod options;
pub mod registry;
pub mod slot;
mod slot_fork;
pub mod visits;

use core::ffi::c_char;

use crate::error::Error;
use registry::Registry;
use slot::KeySlot;

/// The process's keys.
static REGISTRY: Registry = Registry::new();

/// The process's registry.
#[must_use]
pub fn registry() -> &'static Registry {
    &REGISTRY
}

/// The slot of a live key.
///
/// What it says of the key can be over the next instant, unless the caller has
/// a reference or an entry.
///
/// # Errors
///
/// [`Error::BadKey`], [`Error::DeadKey`].
#[inline]
pub fn live(handle: u64) -> Result<&'static KeySlot, Error> {
    REGISTRY.live(handle)
}

/// Adds a reference.
///
/// # Errors
///
/// [`Error::BadKey`], [`Error::DeadKey`]; [`Error::Limit`] past 2^32 - 1.
pub fn retain(handle: u64) -> Result<(), Error> {
    REGISTRY.find(handle)?.retain(handle::generation(handle))
}

/// The slot that a handle names, whatever its state.
///
/// # Errors
///
/// [`Error::BadKey`] for a number that was never a key.
pub fn find(handle: u64) -> Result<&'static KeySlot, Error> {
    REGISTRY.find(handle)
}

/// Copies a key's name, with its final zero byte, to `buffer`.
///
/// # Errors
///
/// [`Error::BadKey`], [`Error::DeadKey`]; [`Error::Limit`] when it does not
/// fit, with nothing written.
///
/// # Safety
///
/// `buffer` has room for `capacity` bytes.
pub unsafe fn name(handle: u64, buffer: *mut c_char, capacity: usize) -> Result<(), Error> {
    let slot = live(handle)?;
    // SAFETY: The caller's premise is the callee's.
    unsafe { slot.copy_name(handle::generation(handle), buffer, capacity) }
}
