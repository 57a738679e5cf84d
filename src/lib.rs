// SPDX-License-Identifier: MIT OR Apache-2.0
//! Weak-keyed thread locals with explicit cleanup, for C and C++ thread pools.
//!
//! The JDK's `ThreadLocalMap` as a C library. A thread that dies takes its
//! thread locals along; a pool's thread never dies, so what tasks and dead
//! objects leave in it stays. Here a *key* belongs to an object: when the
//! object's last reference to the key is released, every thread's value under
//! it becomes *stale*, and each thread ends its own: at its next miss or
//! insert, when it says `tls_expunge`, or when it ends.
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | key, handle, slot | what values are stored under; its number; its place in the registry |
//! | live, dead | a key with a reference or a visit; one without |
//! | generation | how many keys a slot has served |
//! | map, table | the entries of one thread, or of one fiber; its open-addressing table |
//! | record, link | an entry's states and links; the part by which it is a holder of its key |
//! | holder | a record in its key's list |
//! | pin | what keeps a slot, or a record, while a callback runs for it |
//! | inbox, post, drain | where a map learns of deaths; to put a record there; to take all out |
//! | stale | of a dead key, and not destroyed yet |
//! | retire | to take an entry out because it ends; of a key: to end what it has |
//! | expunge | to retire stale entries |
//! | cover, placeholder | to take an outer value's place in a scope; what hides one |
//! | deferred | to be destroyed when nobody visits it any more |
//! | taken | its value is another thread's |
//! | mark | what keeps a value while it is looked at |
//! | hook, owner | a function for a thread's end; the key that it belongs to |
//! | waker | a hook for when a thread's inbox is not empty any more |
//! | lost in fork | of a thread that is not in the child |
//!
//! The floors are `capi`, `thread`, `local`, `key`, `map` and `sys`; each imports from
//! its own and from those below. Each module begins with what it is for, its idea and
//! its numbered invariants; `docs/architecture.md` has the floors, the life of a key
//! and of an entry, the argument for every memory ordering, and the lock order.
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
pub mod local;
pub mod map;
pub mod sys;
pub mod thread;
