// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that differs by platform, and nothing else.
//!
//! A few small seams; no other module names an operating system, a C library or
//! a processor:
//!
//! | module | what it gives | on Linux |
//! |---|---|---|
//! | [`mod@array`] | an array that grows, of memory that may run out | - |
//! | [`block`] | this library's own words of thread-local storage | initial-exec or general-dynamic TLS by assembly |
//! | [`fork`] | calls around a fork | `pthread_atfork` |
//! | [`lock`] | a mutual exclusion lock, usable in a `static` | `pthread_mutex_t` |
//! | [`memory`] | zeroed memory that may run out | `calloc`, `free` |
//! | [`output`] | writing to a descriptor, in any state of the process | `write` |
//! | [`os_key`] | a call-back when a thread ends | one pthread key |
//! | `runtime` | what Rust wants without its standard library | `abort` |
//! | [`sync`] | the atomics, so that a model checker can watch them | `core::sync::atomic` |
//! | [`thread_id`] | the number that the OS shows for a thread | `gettid` |
//! | [`waiters`] | waiting for the end of a key, with a time limit | `pthread_cond_t` |
//!
//! # Why not the standard library's
//!
//! `std::sync::Mutex`, `std::thread::current` and `thread_local!` with a
//! destructor each plant per-thread state whose cleanup code lives in this
//! library: a `dlclose` then makes the thread's exit jump into unmapped
//! memory, and valgrind reports what they leave. A pthread mutex is also
//! understood by helgrind and DRD without a word of annotation.

pub mod array;
pub mod block;
pub mod fork;
pub mod lock;
pub mod memory;
#[cfg(modelled)]
pub mod modelled;
pub mod os_key;
pub mod output;
#[cfg(not(any(feature = "std", storage = "plain")))]
mod runtime;
pub mod sync;
pub mod thread_id;
pub mod waiters;
