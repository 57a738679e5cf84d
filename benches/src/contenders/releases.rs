// SPDX-License-Identifier: MIT OR Apache-2.0
//! The release of keys under which some of many idle threads have values.

use std::sync::Arc;

use super::{Contender, Point};
use crate::idle_threads::IdleThreads;
use crate::kernels::{Input, Kernel};
use crate::{library, Fallible};

/// Each batch makes its own keys and idle threads, because a key is released only once.
pub struct Releases {
    name: String,
    kernel: Kernel,
    threads: usize,
    holders: usize,
    /// An operation is one holder's share of a release, not the release.
    shared_out: bool,
    keys: Vec<u64>,
    released: usize,
    idle: Option<IdleThreads>,
}

/// Values in one batch, without the warm-up. Preparing them takes most of the time.
const VALUES: usize = 20_000;
const MOST_KEYS: usize = 4_000;

impl Releases {
    /// `kernel` releases one key after the other.
    pub fn new(kernel: Kernel, holders: usize, threads: usize) -> Releases {
        Releases {
            name: format!("among {threads} threads"),
            kernel,
            threads,
            holders,
            shared_out: false,
            keys: Vec::new(),
            released: 0,
            idle: None,
        }
    }

    /// All threads are holders, and the time is divided by their number.
    pub fn of_all(kernel: Kernel, threads: usize) -> Releases {
        Releases {
            name: format!("{threads} holders"),
            shared_out: true,
            ..Releases::new(kernel, threads, threads)
        }
    }

    fn timed_keys(&self) -> usize {
        (VALUES / self.holders.max(1)).min(MOST_KEYS)
    }
}

impl Contender for Releases {
    fn name(&self) -> &str {
        &self.name
    }

    fn granule(&self) -> u64 {
        if self.shared_out {
            self.holders as u64
        } else {
            1
        }
    }

    fn operations(&self) -> Option<u64> {
        Some(self.timed_keys() as u64 * self.granule())
    }

    fn point(&self) -> Option<Point> {
        let line = match self.holders {
            _ if self.shared_out => "release, all threads are holders".to_string(),
            0 => "release, no holder".to_string(),
            1 => "release, 1 holder".to_string(),
            some => format!("release, {some} holders"),
        };
        Some(Point { line, threads: self.threads, times: self.granule() })
    }

    fn prepare(&mut self) -> Fallible<()> {
        library::attach()?;
        let timed = self.timed_keys();
        // The warm-up needs keys as well.
        for _ in 0..timed + timed.div_ceil(16) {
            self.keys.push(library::create()?);
        }
        self.released = 0;
        let (keys, holders) = (self.keys.clone(), self.holders);
        let task = move |index| {
            let held = if index < holders { keys.as_slice() } else { &[] };
            held.iter().try_for_each(|&key| library::set(key, library::two_values()[0]))
        };
        self.idle = Some(IdleThreads::gather(self.threads, Arc::new(task))?);
        Ok(())
    }

    fn run(&mut self, placement: usize, operations: u64) {
        let count = (operations / self.granule()) as usize;
        let keys = &self.keys[self.released..self.released + count];
        let input = Input::over(keys, library::two_values());
        self.kernel.run(placement, &input, count as u64);
        self.released += count;
    }

    /// Now every value must be stale, on its own thread, and no key may be live.
    fn finish(&mut self) -> Fallible<()> {
        let stats = library::stats()?;
        let stale = (self.released * self.holders) as u64;
        if (stats.keys, stats.stale) != (0, stale) || self.released != self.keys.len() {
            return Err(format!(
                "{}, {} holders: {} keys are live and {} values are stale; it should be 0 and {stale}",
                self.name, self.holders, stats.keys, stats.stale
            ));
        }
        self.keys.clear();
        self.idle.take().map_or(Ok(()), IdleThreads::disperse)?;
        library::detach()
    }
}
