// SPDX-License-Identifier: MIT OR Apache-2.0
//! The protocol between this library's threads, under model checkers.
//!
//! What runs is the library's own code, built with `--cfg modelled`: there every
//! word that two threads may touch is handed to a checker
//! (`threadlocalmap::sys::modelled`). Here are two checkers, and the scenarios'
//! language. Scenarios call the exported functions alone (`threadlocalmap::capi`).
//!
//! * [`weak`]: every schedule of few steps, with every value that a weak memory
//!   model lets a load see (loom).
//! * [`random`]: random schedules of many steps (shuttle).
//! * [`memory`]: finds uses of freed memory.
//! * [`script`]: what each thread does, as words: `"set | expunge exit"`.
//! * [`runner`]: plays a script, one thread for each part, and checks the end.
//! * [`oracle`]: knows each value and each key, and says what must hold of them.
//! * [`orderings`]: weakens the library in one place, to see that a scenario fails.
//!
//! README.md has the tables: which scenarios there are, and what they find.

#[cfg(not(modelled))]
compile_error!("build with RUSTFLAGS='--cfg modelled' (ci/schedules.sh does)");

pub mod memory;
pub mod oracle;
pub mod orderings;
pub mod random;
pub mod runner;
pub mod script;
pub mod weak;

use std::io::Write;
use std::sync::Once;

/// Says what was found, and ends the process: the library's exports do not
/// unwind, and what it would do next with unordered pointers is not defined.
pub fn abort_with(found: &[String]) -> ! {
    let text = format!("{}\n{}\n", oracle::scenario(), found.join("\n"));
    // The process's own stream: what the test harness captures is lost.
    let _ = std::io::stderr().write_all(text.as_bytes());
    std::process::abort();
}

/// Lets the checkers' own panics be read, too: a thread that waits for ever, or
/// too many steps. They may come inside an export, which ends the process.
pub fn show_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let text = format!("{}\n{info}\n", oracle::scenario());
            let _ = std::io::stderr().write_all(text.as_bytes());
        }));
    });
}
