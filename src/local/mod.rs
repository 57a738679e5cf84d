// SPDX-License-Identifier: MIT OR Apache-2.0
//! One map and its thread: records, their states, and what ends them.
//!
//! ```text
//!   retire       destroys values; the only place that calls a destroy callback
//!     |
//!   covering     scopes: what a set finds, what is covered and comes back
//!   holdings     who has values of a key, for reports
//!     |
//!   remote       what other threads do to a map, with its locks
//!   maps         all maps of the process          contexts   captured values
//!     |
//!   thread       a thread: its maps, its calls in progress
//!     |
//!   order        a map's records by age           stale   those that are known stale
//!   map          the table, the inbox, the records
//!     |
//!   record  pool  inbox   stats
//!     |
//!   hooks        what a program has registered for a thread
//! ```
//!
//! Arrows go down only. Nothing here asks which thread is calling, but for
//! [`thread::Thread::current`], which only `capi` and `crate::thread::attach` use.

pub mod contexts;
pub mod covering;
pub mod freeze;
pub mod holdings;
pub mod hooks;
pub mod inbox;
pub mod map;
pub mod maps;
pub mod order;
pub mod pool;
pub mod record;
pub mod remote;
pub mod retire;
pub mod stale;
pub mod stats;
pub mod thread;
