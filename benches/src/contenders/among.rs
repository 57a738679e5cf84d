// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs any contender with idle threads that use the library, or with many live
//! keys.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Contender, Point};
use crate::idle_threads::IdleThreads;
use crate::{library, Fallible};

/// Starts the idle threads before each batch and ends them after it, so the other
/// contenders of the round run without them.
pub struct AmongThreads {
    name: String,
    threads: usize,
    inner: Box<dyn Contender>,
    present: Option<(IdleThreads, u64)>,
}

impl AmongThreads {
    pub fn new(threads: usize, inner: impl Contender + 'static) -> AmongThreads {
        let name = format!("with {threads} threads");
        AmongThreads { name, threads, inner: Box::new(inner), present: None }
    }
}

impl Contender for AmongThreads {
    fn name(&self) -> &str {
        &self.name
    }

    fn granule(&self) -> u64 {
        self.inner.granule()
    }

    fn sized_by(&mut self) -> Option<&mut dyn Contender> {
        Some(&mut *self.inner)
    }

    fn point(&self) -> Option<Point> {
        self.inner.point().map(|point| Point { threads: point.threads + self.threads, ..point })
    }

    fn prepare(&mut self) -> Fallible<()> {
        let key = library::create()?;
        let task = move |_| library::set(key, library::two_values()[0]);
        self.present = Some((IdleThreads::gather(self.threads, Arc::new(task))?, key));
        self.inner.prepare()
    }

    fn run(&mut self, placement: usize, operations: u64) {
        self.inner.run(placement, operations);
    }

    fn finish(&mut self) -> Fallible<()> {
        self.inner.finish()?;
        let Some((idle, key)) = self.present.take() else {
            return Ok(());
        };
        idle.disperse()?;
        library::release(key)
    }
}

/// Runs an empty loop for a while.
///
/// After the memory of many keys was filled, even an empty loop is slower by half
/// for some milliseconds. This would look like a cost of the keys.
fn settle() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(25) {
        black_box(());
    }
}

/// Makes the keys before each batch, with a value under each on the same thread, and
/// releases them after it. The contender that it is compared with makes them, too, but
/// releases them before the batch, because making them slows the machine for a while.
pub struct AmongKeys {
    name: String,
    count: usize,
    kept: bool,
    inner: Box<dyn Contender>,
    keys: Vec<u64>,
}

impl AmongKeys {
    pub fn new(count: usize, inner: impl Contender + 'static) -> AmongKeys {
        let name = format!("with {count} keys");
        AmongKeys { name, count, kept: true, inner: Box::new(inner), keys: Vec::new() }
    }

    /// The keys are released before the batch.
    pub fn dropped(self) -> AmongKeys {
        AmongKeys { name: "these keys released".to_string(), kept: false, ..self }
    }

    fn drop_keys(&mut self) -> Fallible<()> {
        self.keys.drain(..).try_for_each(library::release)
    }
}

impl Contender for AmongKeys {
    fn name(&self) -> &str {
        &self.name
    }

    fn granule(&self) -> u64 {
        self.inner.granule()
    }

    fn sized_by(&mut self) -> Option<&mut dyn Contender> {
        Some(&mut *self.inner)
    }

    fn prepare(&mut self) -> Fallible<()> {
        for _ in 0..self.count {
            let key = library::create()?;
            self.keys.push(key);
            library::set(key, library::two_values()[0])?;
        }
        if !self.kept {
            self.drop_keys()?;
        }
        self.inner.prepare()?;
        settle();
        Ok(())
    }

    fn run(&mut self, placement: usize, operations: u64) {
        self.inner.run(placement, operations);
    }

    fn finish(&mut self) -> Fallible<()> {
        // The order lets the keys of the next row again follow one another. The inner
        // contender detaches the thread at its end, which destroys the values.
        self.inner.finish()?;
        self.drop_keys()
    }
}
