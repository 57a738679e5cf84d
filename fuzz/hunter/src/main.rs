// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hunter: looks for programs that the library does not keep its word to.
//!
//! ```text
//!   hunter search [--seconds N] [--seed N] [--mode turns|free|both|many]
//!                 [--without GROUP,...] [--corpus FOLDER] [--found FOLDER] [--go-on]
//!   hunter replay [--mode ...] [--without ...] [--trace] FILE|FOLDER...
//!   hunter shrink [--mode ...] [--without ...] FILE
//!   hunter show FILE          the program, in words
//!   hunter print FILE         the program, in C
//! ```
//!
//! Ends with status 1 if something is wrong, 2 if it was asked something wrong.
//! `--without` names groups of operations and checks, see `program`.
//!
//! `program` says what an input is, `generate` makes and shrinks inputs, `run`
//! plays one in a process of its own, `world` has its threads, `ops` and
//! `callbacks` what they do, `shadow` and `finish` what must be true.

#[cfg(not(feature = "asan"))]
mod allocator;
mod callbacks;
mod ffi;
mod finish;
mod fork;
mod frame;
mod generate;
mod ops;
mod print;
mod program;
mod report;
mod run;
mod scopes;
mod search;
mod shadow;
mod slot;
mod world;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match search::command(&arguments) {
        Ok(None) => {}
        Ok(Some(found)) => {
            eprintln!("hunter: {found}");
            std::process::exit(1);
        }
        Err(what) => {
            eprintln!("hunter: {what}");
            std::process::exit(2);
        }
    }
}
