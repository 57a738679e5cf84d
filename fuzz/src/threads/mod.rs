//! Real threads that take turns, and callbacks that call the library.
//!
//! A byte string says which thread does what next; also in the middle of a
//! call, because callbacks read on in it. So one thread can be inside a
//! visitor, inside an init or inside its own end while others release the key,
//! destroy the map, or end. Everything is decided by the bytes: a failing input
//! fails again.
//!
//! * `deed.rs`: the operations, and their codes.
//! * `schedule.rs`: the threads, and who has the turn.
//! * `deeds.rs`, `visits.rs`, `maps.rs`: the calls, and what they must answer.
//! * `callbacks.rs`: what keys call.
//! * `books.rs`, `inspect.rs`: what must be true.

mod books;
mod callbacks;
mod deed;
mod deeds;
mod inspect;
mod maps;
mod schedule;
mod visits;

use crate::stage::Stage;

/// More than a case makes keys: they are in the registry from the beginning.
const SLOTS: u32 = 64;

/// Plays the program that a byte string is.
pub fn play(bytes: &[u8]) {
    let stage = Stage::enter(SLOTS);
    schedule::play(deed::program(bytes), stage.before);
    stage.assert_empty_again();
}

/// The program that a byte string is, one turn a line.
#[must_use]
pub fn show(bytes: &[u8]) -> String {
    let turns = deed::program(bytes).into_iter();
    turns.map(|turn| format!("{:?}: {:?}\n", turn.who, turn.deed)).collect()
}
