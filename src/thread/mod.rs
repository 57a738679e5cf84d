// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a thread does: one file a chapter of the header.
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
//!   attach   how a thread comes and goes          fork    the child of a fork
//!     |                                            |
//!   spare    records for when memory has run out   |
//!     |                                            |
//!   exit     hooks, calls in progress, values     switch  maps that move
//!     |
//!   context  captures and tasks
//!     |
//!   scope    what a task sets ends with it        drain   waiting for a key's end
//!   values   get, set, swap, take, remove         report  what there is; text: as it goes out
//!   visit    all threads' values                  expunge stale values
//!   take_all all of a thread's values, undestroyed
//!     |
//!   keys     making and releasing keys
//!     |
//!   hooks    what a program has registered: calling it
//! ```
//!
//! Arrows go down only. `capi` finds the calling thread ([`attach`]) and hands it
//! down: nothing else here asks for it. What all of these stand on is
//! [`crate::local`]: a map, its records and their states, and the one place that
//! destroys values.

pub mod attach;
pub mod context;
pub mod drain;
pub mod exit;
pub mod expunge;
pub mod fork;
pub mod hooks;
pub mod keys;
pub mod report;
pub mod scope;
pub mod spare;
pub mod switch;
pub mod take_all;
pub mod text;
pub mod values;
pub mod visit;
pub mod visit_locked;

/// How often hooks and values may add more while a thread ends; POSIX's least
/// for destructors of pthread keys (`_POSIX_THREAD_DESTRUCTOR_ITERATIONS`).
pub const EXIT_ROUNDS: usize = 4;
