// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys: handles, slots, references, and who has a value under which.
//!
//! # The problem
//!
//! A key is made at run time, any number of them, and released by threads that
//! know nothing of each other. Its entries must not keep it alive; everybody
//! who has one must learn of its death; and the one who still has its handle must
//! get an error for ever, not the next key's value.
//!
//! # The idea
//!
//! ```text
//!   handle -> registry -> KeySlot                 record           record
//!             (slots      +--------------+       +--------+       +--------+
//!              never      | generation : |   +-->| link   |------>| link   |--> null
//!              move)      |  visits :    |   |   |  of    |       |  of    |
//!                         |  references  |   |   |  map A |       |  map B |
//!                         | holders -----|---+   +--------+       +--------+
//!                         | pins         |         one for each map that has
//!                         | options      |         an entry under the key
//!                         +--------------+
//! ```
//!
//! * [`handle`]: a 64-bit number that carries its own hash and its slot's
//!   generation, and is never given out twice.
//! * [`mod@registry`]: the slots, in chunks that never move; a lock-free list of
//!   free ones.
//! * [`slot`]: a key's place. [`word`]: generation, visits and references in *one*
//!   atomic word, so that a reference can be taken only from a key that is alive at
//!   that instant.
//! * [`holders`]: the records that learn of the key's death: pushed, in
//!   O(holders), and nobody ever searches for it.
//! * [`call`]: a call in progress, as its thread's chain has it.
//!
//! # Invariants
//!
//! 1. The generation of a slot only goes up, and only while it serves no key.
//! 2. A key dies once: the lower half of its word goes to 0 and never back up.
//! 3. A slot serves its next key only when the last one is dead and has no pin:
//!    no map has an entry under it that another thread has not taken, and no
//!    callback of it runs.
//! 4. No callback runs while a lock is held.

pub mod call;
pub mod handle;
pub mod holders;
mod name;
pub mod options;
pub mod registry;
pub mod slot;
pub mod word;

use core::ffi::c_char;

use crate::error::Error;
pub use crate::sys::waiters;
use registry::Registry;
use slot::KeySlot;

static REGISTRY: Registry = Registry::new();

/// The process's registry.
pub fn registry() -> &'static Registry {
    &REGISTRY
}

/// The slot of a live key.
///
/// What it says of the key can be over the next instant, unless the caller has a
/// reference or an entry. Errors: `BadKey`, `DeadKey`.
pub fn live(handle: u64) -> Result<&'static KeySlot, Error> {
    let slot = find(handle)?;
    slot.check(handle::generation(handle)).map(|()| slot)
}

/// The slot that a handle names, whatever its state. Errors: `BadKey` for a number that
/// was never a key.
pub fn find(handle: u64) -> Result<&'static KeySlot, Error> {
    REGISTRY.find(handle)
}

/// Copies a key's name, with its final zero byte, to `buffer`. Errors: `BadKey`,
/// `DeadKey`; `Limit` when it does not fit, with nothing written.
///
/// Safety: `buffer` has room for `capacity` bytes.
pub(crate) unsafe fn name(handle: u64, buffer: *mut c_char, capacity: usize) -> Result<(), Error> {
    let slot = live(handle)?;
    let check = || slot.check(handle::generation(handle));
    // SAFETY: The caller's premise is the callee's.
    slot.lock().with(|| unsafe { slot.name.copy_out(check, buffer, capacity) })
}
