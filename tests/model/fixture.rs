// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where cases run: one at a time, each in threads of its own.
//!
//! The library's state is the process's. So a case has the whole process: a
//! lock keeps the tests of this program apart, statistics are compared with
//! what they were before the case, and a case's thread ends with it, which
//! ends that thread's map.
//!
//! A failing case must fail again, to shrink and to be repeated from its seed.
//! But the place of a key's entries follows from its slot, and which slot is
//! free next follows from all cases before. So each case begins with the same
//! slots in the same order, and a failed one is made to give its own back.

use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

use threadlocalmap::local::maps::collect;
use threadlocalmap::local::stats::tls_stats_t as Stats;

use crate::internals::{abandon_thread, put_slots_in_order, reclaim_slots};

/// A case has failed, and the process is not as it was.
static ABANDONED: AtomicBool = AtomicBool::new(false);

/// Poisoned after a failed case, and as good as before.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The process as it was before a case; no other case runs while this exists.
pub(crate) struct Fixture {
    pub(crate) before: Stats,
    _alone: MutexGuard<'static, ()>,
}

impl Fixture {
    /// For a case that uses no more than `slots` slots at a time, for its live
    /// keys and its dead ones that still have entries; the same number for all
    /// cases of a program.
    pub(crate) fn enter(slots: u32) -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = lock(&ALONE);
        if ABANDONED.swap(false, SeqCst) {
            reclaim_slots(slots);
        }
        put_slots_in_order(slots);
        Self { before: collect(), _alone: alone }
    }

    /// Everything that the case made is gone: keys, maps, values, memory.
    pub(crate) fn assert_empty_again(&self) {
        let history = collect();
        let expected = Stats {
            expunged: history.expunged,
            destroyed: history.destroyed,
            leaked: history.leaked,
            rehashes: history.rehashes,
            longest_probe: history.longest_probe,
            ..self.before
        };
        assert_eq!(history, expected, "what is left behind");
    }
}

/// Plays in a thread of its own and returns when that has ended, its values
/// included. Panics as the thread does.
pub(crate) fn in_a_thread<T: Send>(play: impl FnOnce() -> T + Send) -> T {
    let play = || catch_unwind(AssertUnwindSafe(play)).inspect_err(|_| abandon_map());
    let outcome = std::thread::scope(|scope| scope.spawn(play).join());
    outcome.and_then(|outcome| outcome).unwrap_or_else(|panic| resume_unwind(panic))
}

/// Lets a failed case be a failure and no more.
fn abandon_map() {
    ABANDONED.store(true, SeqCst);
    abandon_thread();
}
