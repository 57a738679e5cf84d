// SPDX-License-Identifier: MIT OR Apache-2.0
//! The version of the library, as opposed to the header's.

use core::ffi::{c_char, c_int};

/// One part of the package's version.
const fn part(text: &str) -> c_int {
    match c_int::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => panic!("not a number"),
    }
}

const NUMBER: c_int = part(env!("CARGO_PKG_VERSION_MAJOR")) * 10_000
    + part(env!("CARGO_PKG_VERSION_MINOR")) * 100
    + part(env!("CARGO_PKG_VERSION_PATCH"));

/// Returns the version of the library that the program runs with.
///
/// TLS_VERSION_NUMBER is the version of the header that the program was compiled with. A library
/// with the same SONAME and the same or a later number is compatible with it.
///
/// Threads: any. Blocks: no. Runs: nothing. Signals: safe.
/// @return The number major * 10000 + minor * 100 + patch.
/// @since 0.1.0
#[unsafe(export_name = "tlm_version")]
pub extern "C" fn tls_version() -> c_int {
    NUMBER
}

/// Returns the version of the library that the program runs with, as text.
///
/// The string is static: never free it.
///
/// Threads: any. Blocks: no. Runs: nothing. Signals: safe.
/// @return The version, for example "0.1.0".
/// @since 0.1.0
#[unsafe(export_name = "tlm_version_string")]
pub extern "C" fn tls_version_string() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
