//! The calling thread: its map, how it comes and goes, and what it does.
//!
//! # The problem
//!
//! A thread of a pool was made by somebody else, ends some day or never, and
//! may end in the middle of anything. Its values must be found in a nanosecond
//! while it runs, and each must be destroyed exactly once, on it, whatever
//! ends first: the value, the key or the thread.
//!
//! # The idea
//!
//! ```text
//!   thread-local words            heap
//!   +-------+------+-------+--------+
//!   | table | mask | stale | thread |     crate::sys::block
//!   +---|---+------+---|---+---|----+
//!       |              |       v
//!       |              |    ThreadRecord: hooks, callback depth, ...
//!       |              |       |
//!       |              v       v
//!       |   +-> Map  [ mailbox | counters | lists ]<---- Holder.mailbox
//!       |   |          ThreadLocalMap ------+
//!       v   v                               |
//!       [ Entry | Entry | ... | records ] <-+
//! ```
//!
//! * [`record`]: the thread's record; attaching and detaching.
//! * [`map`]: a map and the lists of its holder records.
//! * [`values`]: get, set, swap, take, remove.
//! * [`init`]: a get that finds nothing.
//! * [`stale`]: the mailbox, and expunging.
//! * [`keys`]: making and releasing keys.
//! * [`destroy`]: the one place where a value's life ends.
//! * [`wait`]: draining a key. [`fork`]: being there when the process forks.
//! * [`exit`]: hooks and values at the end of a thread.
//! * [`others`]: waking the owners of stale values.
//! * [`reach`]: values that other threads end, or take. [`visit`]: looking at
//!   them. [`exchange`]: what their owner does meanwhile. [`reachable`]: the part
//!   of a map that all of them touch.
//! * [`scope`]: what a task sets, and hides. [`context`]: what it takes along.
//!   [`task`]: both in one.
//! * [`switch`]: maps that are not a thread's own.
//! * [`inspect`]: a look at one's own entries. [`dump`]: at everything, as JSON.
//! * [`stats`]: sums over all threads.
//!
//! # Invariants
//!
//! 1. The hot slot shows the current map's table, or the empty one.
//! 2. A record of a map is *reserved* (linked to its key, not in the table),
//!    *standing* (in the table and in the list of its depth of scopes), *set
//!    aside* (in that list, hidden by a scope, its room promised), *condemned* (out of the table,
//!    in `condemned`, its value waiting for its end) or *ending* (in `ending`,
//!    its callback running). It is freed after `ending` and at no other time.
//! 3. Whenever a callback runs, no lock is held, no list is half changed, no
//!    `&mut` exists, and the value that it ends is in no table any more.
//! 4. Every loop over records that calls out starts again from the list, or
//!    has a cursor in `cursors`, which removal of a record mends.
//! 5. A callback that never returns (the thread ends inside it) leaves its
//!    record in `ending`, where the thread's exit finds and finishes it.

mod aside;
pub mod context;
pub mod destroy;
pub mod dump;
pub mod exchange;
pub mod exit;
pub mod fork;
mod inherit;
pub mod init;
pub mod inspect;
mod invariants;
pub mod keys;
mod loops;
pub mod map;
pub mod others;
pub mod reach;
pub mod reachable;
pub mod record;
mod records;
pub mod scope;
mod scopes;
pub mod stale;
pub mod stats;
pub mod switch;
pub mod task;
pub mod values;
pub mod visit;
pub mod wait;

/// Most stale entries that a slow path ends on the way, beside its own work.
///
/// A thread that only sets and misses then stays ahead of any number of
/// deaths, and no single call is long.
pub const SLOW_PATH_BUDGET: usize = 8;

/// How often hooks and values may add more while a thread ends; POSIX's least
/// for destructors of pthread keys (`_POSIX_THREAD_DESTRUCTOR_ITERATIONS`).
pub const EXIT_ROUNDS: usize = 4;
