// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be measured: ours and the peers' work behind one trait.
//!
//! A contender owns what its work needs. It makes it in `prepare` and takes all
//! of it away again in `finish`, before the next contender's turn: so a row with
//! one key runs beside no thousand keys of another row, on a table of its own
//! size, and a peer's search for a free key meets no keys of ours.

/// The names of a contender that is a peer's.
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
    /// For the table, a few words.
    fn name(&self) -> &str;

    /// For `bench.json`: the same in every run.
    fn id(&self) -> &str {
        self.name()
    }

    /// The number of operations must be a multiple of this.
    fn granule(&self) -> u64 {
        1
    }

    /// How many operations a batch has, where each of them must be prepared.
    fn operations(&self) -> Option<u64> {
        None
    }

    /// What the size of a batch is found with, where preparing the whole takes
    /// long.
    fn sized_by(&mut self) -> Option<&mut dyn Contender> {
        None
    }

    /// What the last run took, in nanoseconds, where that is not the calling thread's time.
    fn taken(&self) -> Option<f64> {
        None
    }

    /// Where the result goes in the chart of cost against threads.
    fn point(&self) -> Option<Point> {
        None
    }

    /// Makes what `run` works on; not timed.
    fn prepare(&mut self) -> Fallible<()>;

    /// Does the work: this is what is timed. `placement` picks one of equal
    /// loops at different addresses.
    fn run(&mut self, placement: usize, operations: u64);

    /// Takes away what `prepare` made, and fails if the work was not done as it
    /// should have been; not timed.
    fn finish(&mut self) -> Fallible<()>;
}

/// A place in the chart of cost against threads.
pub struct Point {
    /// Points with the same text are joined.
    pub line: String,
    /// Attached threads besides the one that is timed.
    pub threads: usize,
    /// How many operations make up one call.
    pub times: u64,
}

/// Which keys a loop goes over, and in which order.
#[derive(Clone, Copy, PartialEq)]
pub enum Order {
    /// As they were created, one after the other.
    Created,
    /// The same keys, shuffled, always in the same way.
    Shuffled,
    /// An arbitrary few of `CHURN` times as many live keys; this thread has no
    /// values under the others.
    Scattered,
}

/// How many keys live for each that is used, when scattered.
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
        // xorshift64: any generator will do that is the same everywhere.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        items.swap(last, (state % (last as u64 + 1)) as usize);
    }
}
