//! The exports: thin, and documented for readers of C.
//!
//! The `///` texts of this module become `include/threadlocalmap.h`, so they
//! are written in C's terms; remarks on the Rust side are `//` comments. What
//! comes in from C is checked here (null pointers, numbers out of range,
//! structures of another size) and nowhere below.
//!
//! Exports are `extern "C"`: they never unwind. A callback that throws a C++
//! exception is undefined behaviour, as the header says; one whose thread ends
//! inside it (`pthread_exit`, cancellation) is not an unwinding of Rust: no
//! frame between the callback and the export has anything to drop.

// The premises of the exports are in their C documentation, under "Ownership"
// of the header's head; a heading of Rust's would leak into the header.
#![allow(clippy::missing_safety_doc)]

pub mod cleanup;
pub mod constants;
pub mod errors;
pub mod inspect;
pub mod keys;
pub mod maps;
pub mod others;
pub mod stats;
pub mod tasks;
pub mod values;
pub mod version;

use core::ffi::c_int;
use core::mem::size_of;

use crate::error::Error;
pub(crate) use constants::TLS_OK;

/// What a call returns for a result without a value.
fn code(result: Result<(), Error>) -> c_int {
    match result {
        Ok(()) => TLS_OK,
        Err(error) => error.number(),
    }
}

/// Stores a result's value in an out-parameter, on success only.
///
/// The parameter was found not to be null before the call was made, so that a
/// failed call changes nothing.
///
/// # Safety
///
/// `out` points at a `T` that may be written.
unsafe fn store<T>(out: *mut T, result: Result<T, Error>) -> c_int {
    match result {
        Ok(value) => {
            // SAFETY: The caller's premise.
            unsafe { out.write(value) };
            TLS_OK
        }
        Err(error) => error.number(),
    }
}

/// Reads a structure that begins with its size, as the caller knew it.
///
/// Shorter than ours: the rest is zero. Longer: the rest must be zero, or the
/// caller wants something that this version does not know.
///
/// # Safety
///
/// `source` points at a `size_t` with the number of readable bytes, itself
/// included; `T` is valid whatever zero or the caller's bytes are in it.
unsafe fn read_sized<T>(source: *const T) -> Result<T, Error> {
    // SAFETY: The caller: the size comes first.
    let size = unsafe { source.cast::<usize>().read() };
    if size < size_of::<usize>() {
        return Err(Error::Invalid);
    }
    // SAFETY: The caller: all zero is valid.
    let mut result = unsafe { core::mem::zeroed::<T>() };
    let known = size.min(size_of::<T>());
    // SAFETY: The caller: `size` bytes are readable, and `known` is no more.
    unsafe {
        core::ptr::copy_nonoverlapping(source.cast::<u8>(), (&raw mut result).cast::<u8>(), known);
    }
    for tail in known..size {
        // SAFETY: The caller: below `size`.
        if unsafe { source.cast::<u8>().add(tail).read() } != 0 {
            return Err(Error::Invalid);
        }
    }
    Ok(result)
}

/// Writes a structure that begins with its size, for a caller that may know a
/// shorter or a longer one.
///
/// # Safety
///
/// `target` points at a `size_t` with the number of writable bytes.
unsafe fn write_sized<T>(target: *mut T, value: &T) -> Result<(), Error> {
    // SAFETY: The caller: the size comes first.
    let size = unsafe { target.cast::<usize>().read() };
    if size < size_of::<usize>() {
        return Err(Error::Invalid);
    }
    let known = size.min(size_of::<T>());
    let source = core::ptr::from_ref(value).cast::<u8>();
    let target = target.cast::<u8>();
    let first = size_of::<usize>();
    // SAFETY: The caller: `size` bytes are writable. The size itself stays.
    unsafe {
        core::ptr::copy_nonoverlapping(source.add(first), target.add(first), known - first);
        target.add(known).write_bytes(0, size - known);
    }
    Ok(())
}

/// Whether an out-parameter or another pointer that must not be null is.
fn given<T>(pointer: *const T) -> Result<(), Error> {
    if pointer.is_null() {
        return Err(Error::Invalid);
    }
    Ok(())
}
