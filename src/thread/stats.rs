//! Sums over all threads.

use crate::key;
use crate::local::maps;
pub use crate::local::maps::Stats;

/// The sums now. Blocks threads that come or go meanwhile.
#[must_use]
pub fn collect() -> Stats {
    let mut sum = maps::collect();
    (sum.keys, sum.dead_keys) = key::registry().count();
    sum
}
