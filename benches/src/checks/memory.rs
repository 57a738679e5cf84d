// SPDX-License-Identifier: MIT OR Apache-2.0
//! What threads and their values take, when there are many more keys than any
//! thread has values.
//!
//! A design with an array from key to value in each thread takes keys times
//! threads here, whatever is stored. The bar is on what the allocator says, its
//! own overhead included: what is allocated between the moment when all threads
//! run and the moment when all have their values. The keys exist before.
//!
//! On a heap that nothing else has used: an arena with free blocks of the right
//! size hands more of them to each thread's cache than the thread asked for.

use std::sync::{Arc, Barrier};
use std::thread;

use super::Check;
use crate::memory::allocated;
use crate::{library, Fallible};

const KEYS: usize = 20_000;
const THREADS: usize = 200;
const VALUES: usize = 10;
const BYTES_PER_VALUE: usize = 56;
/// With the allocator's headers, and what it keeps of tables that were outgrown.
const ALLOCATED_PER_VALUE: usize = 96;
const BYTES_PER_THREAD: usize = 1536;

pub fn checks() -> [Check; 1] {
    [Check {
        id: "memory",
        work: "memory: 20,000 keys, 200 threads, 10 values each".to_string(),
        bar: "1.5 KB a thread, and 56 bytes a value (in the allocator 96)",
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
            // The allocator's own memory for this thread is made here.
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
        "{taken} bytes of {allowed} (tls_stats: {own} of {own_allowed}), {} a thread: 1536, and {beyond:.0} a value",
        taken / THREADS
    );
    if values == THREADS * VALUES && taken <= allowed && own <= own_allowed {
        Ok(found)
    } else {
        Err(found)
    }
}

/// A tenth of the values are under keys that other threads use too.
fn store(keys: &[u64], number: usize) -> Fallible<()> {
    let own = (0..VALUES - 1).map(|value| (number * VALUES + value) * 9 % keys.len());
    for index in own.chain([keys.len() - 1]) {
        library::set(keys[index], library::two_values()[0])?;
    }
    Ok(())
}
