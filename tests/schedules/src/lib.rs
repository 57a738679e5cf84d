//! The protocol between this library's threads, under model checkers.
//!
//! What runs is the library's own code, built with `--cfg modelled`: there every
//! word that two threads may touch is handed to a checker
//! (`threadlocalmap::sys::modelled`). Here are two of them, and the scenarios.
//!
//! * [`weak`]: every schedule of few steps, with every value that a weak memory
//!   model lets a load see (loom).
//! * [`random`]: random schedules of many steps (shuttle).
//! * [`memory`]: who uses memory that was given back.
//! * [`script`]: what a thread does, written as words: `"set | expunge exit"`.
//! * [`stage`]: plays a script for each thread, and asserts what must hold.
//! * [`ledger`]: every value, every key, and what has become of them.
//! * [`orderings`]: orderings that a test weakens, to see the checker find it.

#[cfg(not(modelled))]
compile_error!("build with RUSTFLAGS='--cfg modelled' (scripts/check.sh schedules does)");

pub mod ledger;
pub mod memory;
pub mod orderings;
pub mod random;
pub mod script;
pub mod stage;
pub mod weak;
