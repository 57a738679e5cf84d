// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real threads that take turns, and callbacks that call the library.
//!
//! A byte string says which thread does what next; also in the middle of a
//! call, because callbacks read on in it. So one thread can be inside a
//! visitor, inside an init or inside its own end while others release the key,
//! destroy the map, or end. Everything is decided by the bytes: a failing input
//! fails again.
//!
//! * `op.rs`: the operations, and their codes.
//! * `schedule.rs`: the threads, and who has the turn.
//! * `ops.rs`, `visits.rs`, `maps.rs`: the calls, and what they must answer.
//! * `callbacks.rs`: what keys call.
//! * `shadow.rs`, `inspect.rs`: what must be true.

mod callbacks;
mod inspect;
mod maps;
mod op;
mod ops;
mod schedule;
mod shadow;
mod visits;

use crate::fixture::Fixture;

/// More than a case makes keys: they are in the registry from the beginning.
const SLOTS: u32 = 64;

/// Plays the program that a byte string is.
pub fn play(bytes: &[u8]) {
    let fixture = Fixture::enter(SLOTS);
    schedule::play(op::program(bytes), fixture.before);
    fixture.assert_empty_again();
}

/// The program that a byte string is, one turn a line.
#[must_use]
pub fn show(bytes: &[u8]) -> String {
    let turns = op::program(bytes).into_iter();
    turns.map(|turn| format!("{:?}: {:?}\n", turn.who, turn.op)).collect()
}
