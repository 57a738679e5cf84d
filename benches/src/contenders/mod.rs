// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be measured: operations of this library and of the peers, behind one
//! trait.
//!
//! A contender owns the data that it needs. It makes them in `prepare` and removes
//! all of them in `finish`, before the next contender runs. So a row with one key has
//! a table for one key and not for the thousand keys of another row, and a peer's
//! search for a free key finds no keys of this library.

/// The name and id of a contender that has a peer.
macro_rules! named_by_peer {
    () => {
        fn name(&self) -> &str {
            &self.peer.name
        }

        fn id(&self) -> &str {
            &self.peer.id
        }
    };
}
use named_by_peer;

mod among;
mod many_threads;
mod one_thread;
mod ours;
mod plain;
mod pthread;
mod releases;
pub mod rust_peers;
mod thread_local_crate;
mod whole_lives;

pub use among::{AmongKeys, AmongThreads};
pub use many_threads::{Ends, Expunges, Totals};
pub use one_thread::{filling, OneThread, VALUES};
pub use ours::Ours;
pub use plain::Plain;
pub use pthread::Pthread;
pub use releases::Releases;
pub use thread_local_crate::CrateGet;
pub use whole_lives::{ThreadLives, VeryMany};

use crate::Fallible;

pub trait Contender {
    /// A few words, for the table.
    fn name(&self) -> &str;

    /// For `bench.json`: the same in every run.
    fn id(&self) -> &str {
        self.name()
    }

    /// The number of operations must be a multiple of this.
    fn granule(&self) -> u64 {
        1
    }

    /// How many operations a batch has, if each of them must be prepared.
    fn operations(&self) -> Option<u64> {
        None
    }

    /// The contender with which the size of a batch is found, if preparing this one
    /// takes long.
    fn sized_by(&mut self) -> Option<&mut dyn Contender> {
        None
    }

    /// The nanoseconds of the last run, if they are not the processor time of the calling thread.
    fn taken(&self) -> Option<f64> {
        None
    }

    /// Where the result is in the chart of the cost by the number of threads.
    fn point(&self) -> Option<Point> {
        None
    }

    /// Makes the data that `run` uses. This is not timed.
    fn prepare(&mut self) -> Fallible<()>;

    /// Runs the operations. This is timed. `placement` selects one of several equal
    /// loops at different addresses.
    fn run(&mut self, placement: usize, operations: u64);

    /// Removes the data of `prepare`, and fails if the operations did not do their
    /// work. This is not timed.
    fn finish(&mut self) -> Fallible<()>;
}

/// A point in the chart of the cost by the number of threads.
pub struct Point {
    /// Points with the same text are joined.
    pub line: String,
    /// The number of attached threads, without the one that is timed.
    pub threads: usize,
    /// How many operations make up one call.
    pub times: u64,
}

/// Which keys a loop goes over, and in which order.
#[derive(Clone, Copy, PartialEq)]
pub enum Order {
    /// In the order in which they were created.
    Created,
    /// The same keys, shuffled, in the same order each time.
    Shuffled,
    /// An arbitrary choice of `CHURN` times as many live keys. This thread has no
    /// values under the other keys.
    Scattered,
}

/// The number of live keys for each used key, if they are scattered.
pub const CHURN: usize = 8;

impl Order {
    fn apply<T>(self, items: &mut [T]) {
        if self == Order::Shuffled {
            shuffle(items);
        }
    }
}

/// Fisher-Yates with a fixed seed: every contender gets the same order.
fn shuffle<T>(items: &mut [T]) {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for last in (1..items.len()).rev() {
        // xorshift64: any generator would do, if it gives the same numbers everywhere.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        items.swap(last, (state % (last as u64 + 1)) as usize);
    }
}
