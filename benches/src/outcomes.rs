//! Promises that are checked and not timed: what is left when the work is done.
//!
//! The two million keys are the JDK's case: made, set and dropped on one
//! thread, they leave a JDK `ThreadLocalMap` with 4,194,304 slots for ever.
//! Here the table must be at its minimum afterwards, and every value destroyed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::{library, Fallible};

pub struct Outcome {
    pub id: &'static str,
    pub work: &'static str,
    pub bar: &'static str,
    /// What was found, for the table; or what was wrong.
    check: fn() -> Fallible<String>,
}

pub const ALL: [Outcome; 3] = [
    Outcome {
        id: "two-million-one-by-one",
        work: "2,000,000 keys, each made, set, dropped",
        bar: "table at its minimum, all destroyed",
        check: one_by_one,
    },
    Outcome {
        id: "two-million-at-once",
        work: "2,000,000 keys live at once, then all dropped",
        bar: "table at its minimum, all destroyed",
        check: at_once,
    },
    Outcome {
        id: "two-million-dropped-elsewhere",
        work: "2,000,000 keys dropped by another thread, then tls_expunge",
        bar: "table at its minimum, all destroyed",
        check: dropped_elsewhere,
    },
];

impl Outcome {
    /// Runs the check on a thread of its own, which begins unattached.
    pub fn check(&self) -> (Fallible<String>, Duration) {
        let check = self.check;
        let start = Instant::now();
        let found =
            thread::spawn(check).join().unwrap_or_else(|_| Err("the check panicked".into()));
        (found, start.elapsed())
    }
}

const KEYS: usize = 2_000_000;
const MINIMUM: u64 = 16;

fn one_by_one() -> Fallible<String> {
    let destroyed = Box::<AtomicU64>::default();
    for _ in 0..KEYS {
        library::release(make(&destroyed)?)?;
    }
    at_minimum(destroyed.load(Relaxed))
}

fn at_once() -> Fallible<String> {
    let destroyed = Box::<AtomicU64>::default();
    for key in make_all(&destroyed)? {
        library::release(key)?;
    }
    at_minimum(destroyed.load(Relaxed))
}

fn dropped_elsewhere() -> Fallible<String> {
    let destroyed = Box::<AtomicU64>::default();
    let keys = make_all(&destroyed)?;
    let dropped = thread::spawn(move || keys.into_iter().try_for_each(library::release)).join();
    dropped.map_err(|_| "the dropping thread panicked".to_string())??;
    let wrongly = destroyed.load(Relaxed);
    if wrongly != 0 {
        return Err(format!("{wrongly} values destroyed on the wrong thread"));
    }
    let expunged = library::expunge();
    if expunged != KEYS {
        return Err(format!("tls_expunge destroyed {expunged} of {KEYS}"));
    }
    at_minimum(destroyed.load(Relaxed))
}

fn make(destroyed: &AtomicU64) -> Fallible<u64> {
    // SAFETY: the counter is boxed in the check and outlives its keys and
    // values; only the thread of the check stores values.
    let key = unsafe { library::create_counting(destroyed)? };
    library::set(key, library::two_values()[0])?;
    Ok(key)
}

fn make_all(destroyed: &AtomicU64) -> Fallible<Vec<u64>> {
    (0..KEYS).map(|_| make(destroyed)).collect()
}

/// What the check's thread, the only attached one, must be left with.
fn at_minimum(destroyed: u64) -> Fallible<String> {
    let stats = library::stats()?;
    let found = format!(
        "{} slots, {destroyed} destroyed, {} stale, {} keys, {} bytes",
        stats.capacity, stats.stale, stats.keys, stats.bytes
    );
    let right = destroyed == KEYS as u64
        && stats.maps == 1
        && stats.capacity <= MINIMUM
        && (stats.entries, stats.stale, stats.keys) == (0, 0, 0);
    if right {
        Ok(found)
    } else {
        Err(found)
    }
}
