// SPDX-License-Identifier: MIT OR Apache-2.0
//! Allocations that fail.
//!
//! The library allocates with `calloc` alone. This one stands before the C
//! library's: inside calls of the library, a thread's next, second or later
//! allocation fails if the program says so.

use core::ffi::c_void;

use crate::world::allocation_fails;

extern "C" {
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
}

/// The C library's `calloc`, which can be made to fail.
///
/// # Safety
///
/// As that one.
#[no_mangle]
unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    if allocation_fails() {
        return core::ptr::null_mut();
    }
    // SAFETY: The C library takes any two numbers.
    unsafe { __libc_calloc(count, size) }
}
