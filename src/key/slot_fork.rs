//! What a fork does to a key: its locks around it, and in the child the burials
//! and obligations that have lost those who were to see to them.
//!
//! All of it but the locks runs in the child, where one thread is, with all
//! locks held. `crate::thread::fork` has the order, and why.

use super::slot::{KeySlot, LOCKS};
use crate::sys::sync::Ordering;

/// More obligations than any key has.
const RECOUNT: u32 = 1 << 31;

impl KeySlot {
    /// Takes all locks of all keys, for a fork.
    pub fn lock_all() {
        LOCKS.iter().for_each(|lock| lock.0.acquire());
    }

    /// Gives all locks of all keys back.
    ///
    /// # Safety
    ///
    /// The calling thread has them from [`lock_all`](Self::lock_all), in this
    /// process or in the one that it was forked from.
    pub unsafe fn unlock_all() {
        // SAFETY: The caller's premise.
        LOCKS.iter().rev().for_each(|lock| unsafe { lock.0.release() });
    }

    /// In a forked process: begins the burial of a key whose releaser was left
    /// behind between its last reference and that.
    pub fn bury_after_fork(&self) {
        self.holders.present_sole();
        let dead = self.state.load(Ordering::Relaxed) as u32 == 0;
        if dead && self.holders.bury_after_fork() {
            self.obligations.store(1, Ordering::Relaxed);
        }
    }

    /// In a forked process: begins to count the obligations of a dead key
    /// again; tells all maps that are here and have not been told.
    pub fn begin_recount(&self) {
        // The locks are held by the one thread that there is.
        self.holders.post_after_fork();
        self.obligations.store(RECOUNT, Ordering::Relaxed);
    }

    /// In a forked process: counts one obligation of a dead key.
    pub fn recount_obligation(&self) {
        self.obligations.fetch_add(1, Ordering::Relaxed);
    }

    /// In a forked process: ends the count. Returns whether none was found.
    #[must_use]
    pub fn end_recount(&self) -> bool {
        self.obligations.fetch_sub(RECOUNT, Ordering::Relaxed) == RECOUNT
    }

    /// In a forked process: takes references back of visitors that are not
    /// here. The last one stays: a key can't die without its burial.
    pub fn forget_references(&self, number: u32) {
        let state = self.state.load(Ordering::Relaxed);
        let fewer = u64::from(number).min((state & 0xffff_ffff).saturating_sub(1));
        self.state.store(state - fewer, Ordering::Relaxed);
    }

    /// Whether [`begin_recount`](Self::begin_recount) was called.
    #[must_use]
    pub fn in_recount(&self) -> bool {
        self.obligations.load(Ordering::Relaxed) >= RECOUNT
    }
}
