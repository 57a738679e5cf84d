// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memory of threads and their values, with many more keys than any thread has
//! values.
//!
//! A library that has an array with an element for each key in each thread takes
//! memory for keys times threads here, whatever is stored. The bar is for the bytes
//! that the allocator reports, with its own overhead: those that are allocated
//! between the moment when all threads run and the moment when all have their
//! values. The keys are made before.
//!
//! The heap must be unused: an arena with free blocks of the right size gives more
//! of them to the cache of each thread than the thread requested.

use std::sync::{Arc, Barrier};
use std::thread;

use super::Check;
use crate::memory::allocated;
use crate::{library, Fallible};

const KEYS: usize = 20_000;
const THREADS: usize = 200;
const VALUES: usize = 10;
const BYTES_PER_VALUE: usize = 56;
/// With the headers of the allocator, and the memory that it keeps of replaced tables.
const ALLOCATED_PER_VALUE: usize = 96;
const BYTES_PER_THREAD: usize = 1536;

pub fn checks() -> [Check; 1] {
    [Check {
        id: "memory",
        work: "memory: 20,000 keys, 200 threads, each with 10 values".to_string(),
        bar: "1.5 KB for each thread, and 56 bytes for each value (96 in the allocator)",
        first: true,
        size: KEYS,
        check: memory,
    }]
}

fn memory(count: usize) -> Fallible<String> {
    let keys = (0..count).map(|_| library::create()).collect::<Fallible<Arc<[u64]>>>()?;
    let step = Arc::new(Barrier::new(THREADS + 1));
    let mut threads = Vec::with_capacity(THREADS);
    for number in 0..THREADS {
        let (keys, step) = (keys.clone(), step.clone());
        threads.push(thread::spawn(move || {
            // This makes the allocator set up its own memory for this thread.
            drop(std::hint::black_box(Box::new(number)));
            step.wait();
            step.wait();
            let stored = store(&keys, number);
            step.wait();
            step.wait();
            stored
        }));
    }
    step.wait();
    let (allocated_before, bytes_before) = (allocated(), library::stats()?.bytes);
    step.wait();
    step.wait();
    let taken = allocated().saturating_sub(allocated_before);
    let during = library::stats()?;
    step.wait();
    for thread in threads {
        thread.join().map_err(|_| "a thread panicked".to_string())??;
    }
    keys.iter().try_for_each(|&key| library::release(key))?;

    let (values, own) = (during.entries as usize, (during.bytes - bytes_before) as usize);
    let allowed = |per_value: usize| values * per_value + THREADS * BYTES_PER_THREAD;
    let (allowed, own_allowed) = (allowed(ALLOCATED_PER_VALUE), allowed(BYTES_PER_VALUE));
    let beyond = taken.saturating_sub(THREADS * BYTES_PER_THREAD) as f64 / values as f64;
    let found = format!(
        "{taken} bytes, limit {allowed} (tls_stats: {own}, limit {own_allowed}); {} for each thread, that is 1536 and {beyond:.0} for each value",
        taken / THREADS
    );
    if values == THREADS * VALUES && taken <= allowed && own <= own_allowed {
        Ok(found)
    } else {
        Err(found)
    }
}

/// A tenth of the values are under a key that all threads use.
fn store(keys: &[u64], number: usize) -> Fallible<()> {
    let own = (0..VALUES - 1).map(|value| (number * VALUES + value) * 9 % keys.len());
    for index in own.chain([keys.len() - 1]) {
        library::set(keys[index], library::two_values()[0])?;
    }
    Ok(())
}
