// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a map learns that keys of its entries have died.
//!
//! Many releasers post links of the map's records, each with some key's lock;
//! one owner drains them all. Beside it stand the words of a map that other
//! threads use: its one lock, whom to wake, and the counts for reports.
//!
//! ```text
//!   first --> link --next--> link --next--> null       newest first
//!   stale     how many values are to be destroyed: posted, or drained since
//! ```
//!
//! # Invariants
//!
//! 1. The one who posts has the key's lock, and the record has not left its key: so
//!    the map can't go away, because its owner needs that lock for it.
//! 2. `stale` goes up before a counted link is visible, and down when its value
//!    is on its way to its destroy callback. So it never goes below zero, and is
//!    exact for the one who is ordered after the release.
//!
//! # Orderings
//!
//! *Post* is `Release` and *take* `Acquire`: the owner sees what was written to
//! every record before it was posted; each post read the one before it by a
//! read-modify-write, which continues its release sequence. The owner's look
//! whether the inbox is empty is `Relaxed`: seeing it late is the same as looking
//! earlier. `stale` is `Relaxed`: it counts, and publishes nothing.

use core::ptr::{null, null_mut};

use super::hooks::{Share, Wakers};
use crate::key::holders::{Link, LinkPointer};
use crate::sys::lock::Lock;
use crate::sys::sync::{untracked, AtomicBool, AtomicPtr, AtomicUsize, Cell, Ordering};

/// The part of a map that other threads use. All zero: empty.
#[repr(C)]
pub struct Inbox {
    /// Values of the map that are to be destroyed. The inlined count reads it.
    pub stale: AtomicUsize,
    /// Entries whose value another thread has taken, and which the owner has not
    /// cleared yet. For reports.
    pub taken: untracked::AtomicUsize,
    first: AtomicPtr<Link>,
    /// The OS's number of the thread that has the map, 0 for none.
    pub owner: untracked::AtomicU64,
    /// There are wakers. A hint: `wakers` is read with the lock.
    has_wakers: AtomicBool,
    /// The map's lock: over the wakers, and over the state of records that other
    /// threads reach, with the table while it has one.
    pub lock: Lock,
    /// Somebody looks at all values of a key at one instant ([`super::freeze`]).
    pub(super) frozen: AtomicBool,
    /// A share of a list, or null.
    wakers: Cell<*const Wakers>,
}

// SAFETY: Layout: all but `wakers` is atomic or a lock, and that is touched with the lock
// only.
unsafe impl Sync for Inbox {}

impl Inbox {
    /// Has others woken from now on whenever the inbox becomes non-empty.
    pub fn set_wakers(&self, wakers: Option<Share>) {
        let is_some = wakers.is_some();
        let wakers = wakers.map_or(null(), Share::into_pointer);
        let old = self.lock.with(|| {
            // Relaxed: who misses it was not ordered after this call anyway.
            self.has_wakers.store(is_some, Ordering::Relaxed);
            self.wakers.replace(wakers)
        });
        // SAFETY: It was the inbox's share.
        if let Some(old) = unsafe { Share::from_pointer(old) } {
            old.drop_share();
        }
    }

    /// Whom to wake, if anybody: a share for the caller, who keeps the map in place.
    pub fn wakers(&self) -> Option<Share> {
        if !self.has_wakers.load(Ordering::Relaxed) {
            return None;
        }
        self.lock.with(|| {
            // SAFETY: The inbox's share, which stays its own.
            let own = unsafe { Share::from_pointer(self.wakers.get()) };
            own.map(|own| own.share())
        })
    }

    /// Whether there is nobody to wake. For the owner.
    pub fn has_no_wakers(&self) -> bool {
        !self.has_wakers.load(Ordering::Relaxed)
    }

    /// Posts a link; `counted` says whether there is a value to destroy, and not
    /// just a record to clear away. Returns whether it is the first: of all, or
    /// of those with a value.
    ///
    /// # Safety
    ///
    /// The link is in no list, and invariant 1 holds.
    pub unsafe fn post(&self, link: LinkPointer, counted: bool) -> bool {
        // Counted first: invariant 2.
        let first_stale = counted && self.stale.fetch_add(1, Ordering::Relaxed) == 0;
        let mut first = self.first.load(Ordering::Relaxed);
        loop {
            // SAFETY: The caller: until the exchange succeeds it is ours.
            unsafe { link.as_ref() }.next.store(first, Ordering::Relaxed);
            // Release: see the module's text.
            match self.first.compare_exchange_weak(
                first,
                link.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return first.is_null() || first_stale,
                Err(now) => first = now,
            }
        }
    }

    /// Takes all links out: a list by `next`. For the owner only.
    pub fn take(&self) -> *mut Link {
        if self.is_empty() {
            return null_mut();
        }
        // Acquire: see the module's text.
        self.first.swap(null_mut(), Ordering::Acquire)
    }

    /// Whether nothing was posted that the owner has not taken.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.first.load(Ordering::Relaxed).is_null()
    }

    /// In the child of a fork: forgets what was posted.
    ///
    /// Safety: the calling thread is the only one of its process, and does not have
    /// the lock.
    pub(crate) unsafe fn reset(&self) {
        // SAFETY: The caller's premise.
        unsafe { self.lock.reset() };
        self.first.store(null_mut(), Ordering::Relaxed);
        self.stale.store(0, Ordering::Relaxed);
        self.taken.store(0, Ordering::Relaxed);
        self.frozen.store(false, Ordering::Relaxed);
    }
}
