// SPDX-License-Identifier: MIT OR Apache-2.0
//! Error numbers as text.

use core::ffi::{c_char, c_int};

use crate::error::Error;

/// Returns a sentence that describes an error code.
///
/// The string is static: never free it.
///
/// @param error A TLS_ERR_* number, TLS_OK or any other number.
///
/// Threads: any. Blocks: no. Runs: nothing. Signals: safe.
/// @return The sentence, never NULL; "unknown error" if the number is not a code.
/// @since 0.1.0
#[unsafe(export_name = "tlm_strerror")]
pub extern "C" fn tls_strerror(error: c_int) -> *const c_char {
    if error == 0 {
        return c"success".as_ptr();
    }
    Error::from_number(error).map_or(c"unknown error", Error::message).as_ptr()
}

/// Returns the name of an error code's constant.
///
/// The string is static: never free it.
///
/// @param error A TLS_ERR_* number, TLS_OK or any other number.
///
/// Threads: any. Blocks: no. Runs: nothing. Signals: safe.
/// @return The name, for example "TLS_ERR_DEAD_KEY", never NULL; "TLS_ERR_UNKNOWN" if the number is
///   not a code.
/// @since 0.1.0
#[unsafe(export_name = "tlm_err_name")]
pub extern "C" fn tls_err_name(error: c_int) -> *const c_char {
    if error == 0 {
        return c"TLS_OK".as_ptr();
    }
    Error::from_number(error).map_or(c"TLS_ERR_UNKNOWN", Error::name).as_ptr()
}
