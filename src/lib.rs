//! Weak-keyed thread locals with explicit cleanup, for C and C++ thread pools.
//!
//! The JDK's `ThreadLocalMap` as a C library. A thread that dies takes its
//! thread locals along; a pool's thread never dies, so what tasks and dead
//! objects leave in it stays. Here a *key* belongs to an object: when the
//! object's last reference to the key is released, every thread's value under
//! it becomes *stale*, and each thread ends its own: at its next miss or
//! insert, when it says `tls_expunge`, or when it ends.
//!
//! # How it hangs together
//!
//! ```text
//!   include/threadlocalmap_inline.h      a hit: two loads and a compare
//!   ------------------------------------------------------------------
//!   capi      the exports: thin; their documentation becomes the header
//!     |
//!   thread    the calling thread: values, init, expunging, exit, detach
//!     |
//!   key       handles, slots, references; who holds what, and is told
//!     |
//!   map       the ThreadLocalMap: one table. No globals, no threads, no C
//!     |
//!   sys       what differs by platform: TLS words, locks, memory, OS key
//! ```
//!
//! Arrows go down only. Each module begins with what it is for, its idea and
//! its numbered invariants; `docs/architecture.md` has the life of a key and
//! of an entry, the argument for every memory ordering, and the lock order.
//!
//! The Rust interface below `capi` exists for the tests and benchmarks of this
//! package. What is stable is the C API.

// As C programs link it, the library needs the C library alone (`sys::runtime`).
#![cfg_attr(not(any(feature = "std", storage = "plain")), no_std)]
// What a model does not need is cut off by early returns.
#![cfg_attr(modelled, allow(unreachable_code, unused))]

pub mod capi;
pub mod error;
pub mod key;
pub mod map;
pub mod sys;
pub mod thread;
