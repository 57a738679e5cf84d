// SPDX-License-Identifier: MIT OR Apache-2.0
//! Byte strings as programs that call threadlocalmap.
//!
//! Every byte string is a program, and the same one always does the same. So a
//! fuzzer can search for one that fails (`make fuzz`), and what it has found on
//! the way, a small set that reaches everything that it reached, is kept in
//! `corpus/` and replayed by every `make check`, on a stable compiler and
//! without the fuzzer.
//!
//! * [`model`]: one thread and several maps, against the plain model of
//!   `tests/model`: every answer, callback and statistic.
//! * [`threads`]: real threads that take turns, and callbacks that call back:
//!   what becomes of every value.
//!
//! The model's modules are those of `tests/model`: `fixture`, `events`,
//! `operation`, `reference`, `runner`.

pub mod model;
mod steps;
pub mod threads;

#[path = "../../tests/support/api.rs"]
mod api;
#[path = "../../tests/model/events.rs"]
mod events;
#[path = "../../tests/model/fixture.rs"]
mod fixture;
#[path = "../../tests/support/internals.rs"]
mod internals;
#[path = "../../tests/support/invariants.rs"]
mod invariants;
#[path = "../../tests/model/operation.rs"]
mod operation;
#[path = "../../tests/model/others.rs"]
mod others;
#[path = "../../tests/model/reference.rs"]
mod reference;
#[path = "../../tests/model/runner.rs"]
mod runner;
