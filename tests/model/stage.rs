//! Where cases are played: one at a time, each in threads of its own.
//!
//! The library's state is the process's. So a case has the whole process: a
//! lock keeps the tests of this program apart, statistics are compared with
//! what they were before the case, and a case's thread ends with it, which
//! ends that thread's map.

use std::panic::resume_unwind;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use proptest::test_runner::FileFailurePersistence;
use proptest::test_runner::{Config, TestCaseError};
use threadlocalmap::key::options::KeyOptions;
use threadlocalmap::thread::keys;
use threadlocalmap::thread::map::Map;
use threadlocalmap::thread::record::{self, ThreadRecord};
use threadlocalmap::thread::stats::{collect, Stats};

/// Short cases of a whole run; the other tests play a share of this number.
const SHORT_CASES: u32 = 10_000;

/// Sets the number of short cases, and all others in proportion.
const CASES_VARIABLE: &str = "THREADLOCALMAP_MODEL_CASES";

/// More keys than any case has alive or stale at a time.
const MOST_KEYS_EVER: usize = 1_024;

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
        static WARM_UP: Once = Once::new();
        let alone = lock(&ALONE);
        WARM_UP.call_once(provide_slots);
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

/// Has the registry allocate its slots, which it keeps: from then on the
/// library's memory is back to the same byte when a case is over.
fn provide_slots() {
    let create = |_| keys::create(&KeyOptions::DEFAULT).expect("memory");
    let made: Vec<u64> = (0..MOST_KEYS_EVER).map(create).collect();
    for key in made {
        keys::release(key).expect("a live key");
    }
}

/// Plays in a thread of its own and returns when that has ended, its values
/// included. Panics as the thread does.
pub(crate) fn in_a_thread<T: Send>(play: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope.spawn(play).join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// The map that the calling thread works on, if it is attached.
pub(crate) fn current_map() -> Option<&'static Map> {
    record::current().map(ThreadRecord::map)
}
