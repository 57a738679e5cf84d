// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any contender, among idle threads that use the library, or beside
//! many live keys.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Contender, Point};
use crate::idle_threads::IdleThreads;
use crate::{library, Fallible};

/// Gathers the idle threads before each batch and disperses them after: the other
/// contenders of the round run without them.
pub struct AmongThreads {
    name: String,
    threads: usize,
    inner: Box<dyn Contender>,
    present: Option<(IdleThreads, u64)>,
}

impl AmongThreads {
    pub fn new(threads: usize, inner: impl Contender + 'static) -> AmongThreads {
        let name = format!("beside {threads} threads");
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

/// Keeps the processor busy with nothing for a while.
///
/// After a second of filling memory, even an empty loop runs half as fast
/// again for some milliseconds: that would be taken for the cost of the keys.
fn settle() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(25) {
        black_box(());
    }
}

/// Makes the keys before each batch, with a value under each on the same
/// thread, and drops them after; or before, to be what that is compared with:
/// making them changes the machine, whether or not they are still there.
pub struct AmongKeys {
    name: String,
    count: usize,
    kept: bool,
    inner: Box<dyn Contender>,
    keys: Vec<u64>,
}

impl AmongKeys {
    pub fn new(count: usize, inner: impl Contender + 'static) -> AmongKeys {
        let name = format!("beside {count} keys");
        AmongKeys { name, count, kept: true, inner: Box::new(inner), keys: Vec::new() }
    }

    /// AmongThreads none of the keys: they are dropped before the batch.
    pub fn dropped(self) -> AmongKeys {
        AmongKeys { name: "these keys dropped".to_string(), kept: false, ..self }
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
        // In this order: so the next row's keys again follow one another. The
        // inner contender's end detaches the thread, which ends the values.
        self.inner.finish()?;
        self.drop_keys()
    }
}
