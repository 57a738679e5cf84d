//! Where cases are played: one at a time, each in threads of its own.
//!
//! The library's state is the process's. So a case has the whole process: a
//! lock keeps the tests of this program apart, statistics are compared with
//! what they were before the case, and a case's thread ends with it, which
//! ends that thread's map.
//!
//! A failing case must fail again, to shrink and to be repeated from its seed.
//! But where a key's entries stand follows from its slot, and which slot is
//! free next follows from all cases before. So each case begins with the same
//! slots in the same order, and a failed one is made to give its own back.

use core::ptr::null;
use std::cmp::Reverse;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

use proptest::test_runner::FileFailurePersistence;
use proptest::test_runner::{Config, TestCaseError};
use threadlocalmap::key::slot::{KeySlot, Released};
use threadlocalmap::key::{self, handle};
use threadlocalmap::sys::block;
use threadlocalmap::thread::map::Map;
use threadlocalmap::thread::record::{self, ThreadRecord};
use threadlocalmap::thread::stats::{collect, Stats};

/// Short cases of a whole run; the other tests play a share of this number.
const SHORT_CASES: u32 = 10_000;

/// Sets the number of short cases, and all others in proportion.
const CASES_VARIABLE: &str = "THREADLOCALMAP_MODEL_CASES";

/// More slots than any case uses at a time: its live keys and its dead ones
/// that still have entries.
const SLOTS: u32 = 1_024;

/// A case has failed, and the process is not as it was.
static ABANDONED: AtomicBool = AtomicBool::new(false);

/// How a test runs that plays one case for each `share` short ones.
pub(crate) fn config(share: u32) -> Config {
    let short_cases = match std::env::var(CASES_VARIABLE) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{CASES_VARIABLE} is not a number")),
        Err(_) => SHORT_CASES,
    };
    Config {
        cases: (short_cases / share).max(1),
        max_shrink_iters: 20_000,
        // Beside the test: the seeds of failures, to be tried first next time.
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..Config::default()
    }
}

/// Poisoned after a failed case, and as good as before.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The process as it was before a case; nobody else plays while this exists.
pub(crate) struct Stage {
    pub(crate) before: Stats,
    _alone: MutexGuard<'static, ()>,
}

impl Stage {
    pub(crate) fn enter() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = lock(&ALONE);
        if ABANDONED.swap(false, SeqCst) {
            reclaim_slots();
        }
        put_slots_in_order();
        Self { before: collect(), _alone: alone }
    }

    /// Everything that the case made is gone: keys, maps, values, memory.
    pub(crate) fn assert_empty_again(&self) -> Result<(), TestCaseError> {
        let history = collect();
        let expected = Stats {
            expunged: history.expunged,
            destroyed: history.destroyed,
            leaked: history.leaked,
            rehashes: history.rehashes,
            longest_probe: history.longest_probe,
            ..self.before
        };
        proptest::prop_assert_eq!(history, expected);
        Ok(())
    }
}

/// The next free slot is the first, and so on. The registry has allocated them
/// then, and the library's memory is back to the same byte after every case.
fn put_slots_in_order() {
    let take = |_| key::registry().free_slot().expect("memory");
    let mut slots: Vec<&KeySlot> = (0..SLOTS).map(take).collect();
    slots.sort_unstable_by_key(|slot| Reverse(slot.index()));
    // The last one that is given back is the first to be taken.
    slots.into_iter().for_each(|slot| key::registry().give_back(slot));
}

/// Ends the keys of a failed case: without a look into the maps that have their
/// values, and without their callbacks.
fn reclaim_slots() {
    let slot_at = |index| key::find(handle::make(index, handle::FIRST_GENERATION));
    for slot in (0..SLOTS).flat_map(slot_at).filter(|slot| slot.census() != (false, false)) {
        while let Ok(released) = slot.release(slot.generation()) {
            if released == Released::Dead {
                slot.bury(null(), None);
                while slot.post().is_some() {}
            }
        }
        // As many as there are values; the broken library may have lost count.
        if (0..SLOTS).any(|_| slot.obligation_met()) {
            // SAFETY: The last obligation was met above. The values that are
            // left are in maps that nobody will ever look into.
            unsafe { key::registry().recycle(slot) };
            key::registry().give_back(slot);
        }
    }
}

/// Plays in a thread of its own and returns when that has ended, its values
/// included. Panics as the thread does.
pub(crate) fn in_a_thread<T: Send>(play: impl FnOnce() -> T + Send) -> T {
    let play = || catch_unwind(AssertUnwindSafe(play)).inspect_err(|_| abandon_map());
    let outcome = std::thread::scope(|scope| scope.spawn(play).join());
    outcome.and_then(|outcome| outcome).unwrap_or_else(|panic| resume_unwind(panic))
}

/// Lets a failed case be a failure and no more: the thread's end would look
/// into a map that may be broken, where no panic can be caught.
fn abandon_map() {
    ABANDONED.store(true, SeqCst);
    let Some(thread) = record::current() else { return };
    if let Some(slot) = thread.exchange_spare_slot(None) {
        key::registry().give_back(slot);
    }
    block::set_thread(0);
}

/// The map that the calling thread works on, if it is attached.
pub(crate) fn current_map() -> Option<&'static Map> {
    record::current().map(ThreadRecord::map)
}
