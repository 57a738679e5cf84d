// SPDX-License-Identifier: MIT OR Apache-2.0
//! Very many threads at the same time, and very many keys. Each has its own value,
//! and nothing is left afterwards.

use std::ffi::c_void;
use std::sync::Arc;

use super::{grouped, Check};
use crate::idle_threads::IdleThreads;
use crate::rows::Scale;
use crate::{library, Fallible};

pub fn checks(scale: Scale) -> [Check; 2] {
    let (threads, keys) = (scale.of(10_000), scale.of(1_000_000));
    [
        Check {
            id: "ten-thousand-threads",
            work: format!("{} threads attached at once, each with a value", grouped(threads)),
            bar: "each reads its own value, nothing is left",
            first: false,
            size: threads,
            check: many_threads,
        },
        Check {
            id: "million-keys",
            work: format!("{} live keys, each with a value on one thread", grouped(keys)),
            bar: "each reads its own value, nothing is left",
            first: false,
            size: keys,
            check: many_keys,
        },
    ]
}

/// A value that is its own number; it is never used as an address.
fn numbered(index: usize) -> *mut c_void {
    (index + 1) as *mut c_void
}

fn expect_own(key: u64, index: usize) -> Fallible<()> {
    let found = library::get(key) as usize;
    if found == index + 1 {
        return Ok(());
    }
    Err(format!("number {index} has the value {found}, and should have {}", index + 1))
}

fn many_threads(threads: usize) -> Fallible<String> {
    // A release may attach the thread that calls it, so the thread is attached and counted before.
    library::attach()?;
    let before = library::stats()?;
    let key = library::create()?;
    let task = move |index| {
        library::set(key, numbered(index))?;
        expect_own(key, index)
    };
    let idle = IdleThreads::gather(threads, Arc::new(task))?;
    let during = library::stats()?;
    library::release(key)?;
    let released = library::stats()?;
    idle.disperse()?;
    let after = library::stats()?;
    let found = format!(
        "{} threads attached, {} values, {} bytes for each thread; {} stale when released; {} threads, {} values left",
        during.maps - before.maps,
        during.entries,
        (during.bytes - before.bytes) / threads as u64,
        released.stale,
        after.maps - before.maps,
        after.entries
    );
    let all = threads as u64;
    let right = during.maps - before.maps == all
        && (during.entries, released.stale, released.keys) == (all, all, 0)
        && (after.maps, after.entries, after.stale) == (before.maps, 0, 0);
    if right {
        Ok(found)
    } else {
        Err(found)
    }
}

fn many_keys(count: usize) -> Fallible<String> {
    let keys = (0..count).map(|_| library::create()).collect::<Fallible<Vec<_>>>()?;
    for (index, &key) in keys.iter().enumerate() {
        library::set(key, numbered(index))?;
    }
    for (index, &key) in keys.iter().enumerate() {
        expect_own(key, index)?;
    }
    let during = library::stats()?;
    for &key in &keys {
        library::release(key)?;
    }
    let after = library::stats()?;
    let found = format!(
        "{} keys, {} values in {} slots, longest probe ever {}; {} keys, {} values left",
        during.keys,
        during.entries,
        during.capacity,
        during.longest_probe,
        after.keys,
        after.entries
    );
    let all = count as u64;
    let right = (during.keys, during.entries, after.keys, after.entries) == (all, all, 0, 0);
    if right {
        Ok(found)
    } else {
        Err(found)
    }
}
