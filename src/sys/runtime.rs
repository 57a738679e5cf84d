// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Rust wants of a program that has not its standard library: two symbols.
//!
//! The library needs the C library and nothing else, so that a C program links
//! the archive as it links any other. A build for Rust programs (the feature
//! `std`) is without this module: there the standard library defines both.

use core::arch::global_asm;
use core::panic::PanicInfo;

/// Ends the process. No error path panics: a panic is a broken invariant, and
/// no caller in C can be unwound.
///
/// Every Rust archive has such a handler. It is a local symbol where the crates
/// are optimised as a whole (`lto` in Cargo.toml), so that two archives link.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: The C library: no requirement.
    unsafe { libc::abort() }
}

#[cfg(target_arch = "x86_64")]
macro_rules! trap {
    () => {
        "ud2"
    };
}
#[cfg(target_arch = "aarch64")]
macro_rules! trap {
    () => {
        "udf #0"
    };
}

// The unwinding tables of `core`, which was compiled to be unwound, name this
// function. Nothing here unwinds, so nothing calls it. It is weak: another Rust
// archive in the program brings the real one, and the linker takes that. It is
// hidden: the shared library exports the header's functions alone.
global_asm!(
    ".pushsection .text.rust_eh_personality, \"ax\", %progbits",
    ".weak rust_eh_personality",
    ".hidden rust_eh_personality",
    ".type rust_eh_personality, %function",
    "rust_eh_personality:",
    trap!(),
    ".size rust_eh_personality, . - rust_eh_personality",
    ".popsection",
);
