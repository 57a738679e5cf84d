// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two million keys that are made, set and released on one thread. They leave the
//! JDK's `ThreadLocalMap` with 4,194,304 slots for ever. Here the table must have its
//! minimum size afterwards, and every value must be destroyed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use super::{grouped, Check};
use crate::rows::Scale;
use crate::{library, Fallible};

const MINIMUM: u64 = 256;

pub fn checks(scale: Scale) -> [Check; 3] {
    let size = scale.of(2_000_000);
    let keys = grouped(size);
    let bar = "the table has its minimum size, all values are destroyed";
    [
        Check {
            id: "two-million-one-by-one",
            work: format!("{keys} keys, each made, set, released"),
            bar,
            first: false,
            size,
            check: one_by_one,
        },
        Check {
            id: "two-million-at-once",
            work: format!("{keys} keys live at once, then all released"),
            bar,
            first: false,
            size,
            check: at_once,
        },
        Check {
            id: "two-million-dropped-elsewhere",
            work: format!("{keys} keys released by another thread, then tls_expunge"),
            bar,
            first: false,
            size,
            check: dropped_elsewhere,
        },
    ]
}

fn one_by_one(count: usize) -> Fallible<String> {
    let destroyed = Box::<AtomicU64>::default();
    for _ in 0..count {
        library::release(make(&destroyed)?)?;
    }
    at_minimum(count, destroyed.load(Relaxed))
}

fn at_once(count: usize) -> Fallible<String> {
    let destroyed = Box::<AtomicU64>::default();
    for key in make_all(count, &destroyed)? {
        library::release(key)?;
    }
    at_minimum(count, destroyed.load(Relaxed))
}

fn dropped_elsewhere(count: usize) -> Fallible<String> {
    let destroyed = Box::<AtomicU64>::default();
    let keys = make_all(count, &destroyed)?;
    let dropped = thread::spawn(move || keys.into_iter().try_for_each(library::release)).join();
    dropped.map_err(|_| "the thread that releases the keys panicked".to_string())??;
    let wrongly = destroyed.load(Relaxed);
    if wrongly != 0 {
        return Err(format!("{wrongly} values were destroyed on the wrong thread"));
    }
    let expunged = library::expunge();
    if expunged != count {
        return Err(format!("tls_expunge destroyed {expunged} of {count} values"));
    }
    at_minimum(count, destroyed.load(Relaxed))
}

fn make(destroyed: &AtomicU64) -> Fallible<u64> {
    // SAFETY: the counter is boxed in the check and outlives its keys and
    // values; only the thread of the check stores values.
    let key = unsafe { library::create_counting(destroyed)? };
    library::set(key, library::two_values()[0])?;
    Ok(key)
}

fn make_all(count: usize, destroyed: &AtomicU64) -> Fallible<Vec<u64>> {
    (0..count).map(|_| make(destroyed)).collect()
}

/// Tests the state of the check's thread, which is the only attached one.
fn at_minimum(count: usize, destroyed: u64) -> Fallible<String> {
    let stats = library::stats()?;
    let found = format!(
        "{} slots, {destroyed} destroyed, {} stale, {} keys, {} bytes",
        stats.capacity, stats.stale, stats.keys, stats.bytes
    );
    let right = destroyed == count as u64
        && stats.maps == 1
        && stats.capacity <= MINIMUM
        && (stats.entries, stats.stale, stats.keys) == (0, 0, 0);
    if right {
        Ok(found)
    } else {
        Err(found)
    }
}
