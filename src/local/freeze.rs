// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maps that stand still while all values of a key are looked at.
//!
//! # The problem
//!
//! A sum over all threads' values at one instant needs every owner to wait meanwhile.
//! To hold the locks of a thousand maps at once is more than tools that watch locks
//! allow (64 in the thread sanitizer), and needs an order among maps.
//!
//! # The idea
//!
//! The one who looks holds two locks only: the *gate*, which the process has once, and
//! the key's. In each map it leaves a mark, with that map's lock, so that no owner is in
//! the middle of a change. The owner who finds the mark when it has its lock gives that
//! back, and waits at the gate. So looking at the values and clearing the marks need no
//! lock of a map any more.
//!
//! ```text
//!   who looks:  key's lock ---- gate ---- mark each map ---- look ---- clear each ---->
//!   an owner:        its map's lock: marked -> gives it back, waits at the gate, again
//! ```
//!
//! # Invariants
//!
//! 1. Only the one who has the gate sets and clears marks. So each mark is cleared by the
//!    one who has set it, and a map that is met twice is marked once.
//! 2. While a map is marked its owner changes neither its table nor which records have a
//!    value. Who takes values has the key's lock, which is held.
//!    The owner of a record has set its state with the map's lock, before the mark.
//! 3. Lock order: a key's lock, the gate, a map's. An owner that waits at the gate may
//!    have the lock of another key; who has the gate waits for no key's lock.

use super::map::Map;
use crate::sys::lock::Lock;
use crate::sys::sync::Ordering;

/// Held by the one who looks.
static GATE: Lock = Lock::new();

/// Takes the gate, to be given back by [`leave`].
pub fn enter() {
    GATE.acquire();
}

/// Gives the gate back.
///
/// # Safety
///
/// The calling thread has it.
pub unsafe fn leave() {
    // SAFETY: The caller's premise.
    unsafe { GATE.release() };
}

/// In the child of a fork: nobody looks.
///
/// Safety: the calling thread is the only one of its process.
pub(crate) unsafe fn reset() {
    // SAFETY: The caller's premise; what it had is forgotten with its visit.
    unsafe { GATE.reset() };
}

impl Map {
    /// Marks the map, if it is not marked. With the gate, and while the map can't end.
    pub fn freeze(&self) {
        // Relaxed: set and cleared by those who had the gate.
        if !self.inbox.frozen.load(Ordering::Relaxed) {
            self.inbox.lock.with(|| self.inbox.frozen.store(true, Ordering::Relaxed));
        }
    }

    /// Clears the mark. With the gate, and while the map can't end.
    pub fn unfreeze(&self) {
        // Release: see the module's text.
        self.inbox.frozen.store(false, Ordering::Release);
    }

    /// Takes the map's lock, as its owner: when it is not marked.
    #[inline(always)]
    #[cfg_attr(modelled, track_caller)]
    pub(super) fn acquire(&self) {
        self.inbox.lock.acquire();
        // Acquire: see the module's text.
        while self.inbox.frozen.load(Ordering::Acquire) {
            self.wait_at_the_gate();
        }
    }

    #[cold]
    fn wait_at_the_gate(&self) {
        // SAFETY: The caller has it.
        unsafe { self.inbox.lock.release() };
        GATE.with(|| ());
        self.inbox.lock.acquire();
    }
}
