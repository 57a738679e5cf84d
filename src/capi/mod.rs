// SPDX-License-Identifier: MIT OR Apache-2.0
//! The exports: thin, and documented for readers of C.
//!
//! The `///` texts of this module become `include/threadlocalmap.h`, the man
//! pages and the HTML site, so they are written in C's terms, with Doxygen's
//! tags; remarks on the Rust side are `//` comments. `sections.txt` has the
//! header's order and headings. What comes in from C is
//! checked here (null pointers, numbers out of range, structures of another
//! size) and nowhere below.
//!
//! Exports are `extern "C"`: they never unwind. A callback that throws a C++
//! exception is undefined behaviour, as the header says; one whose thread ends
//! inside it (`pthread_exit`, cancellation) is not an unwinding of Rust: no
//! frame between the callback and the export has anything to drop.

// The premises of the exports are in their C documentation, under "Ownership"
// of the header's head; a heading of Rust's would leak into the header.
#![allow(clippy::missing_safety_doc)]
// `@param[out]` is a tag of Doxygen's, and no link.
#![allow(rustdoc::broken_intra_doc_links)]

pub mod cleanup;
pub mod constants;
pub mod errors;
pub mod inspect;
pub mod keys;
pub mod maps;
pub mod others;
pub mod stats;
pub mod symbols;
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

/// What a call returns for a result that is a number itself.
fn number(result: Result<c_int, Error>) -> c_int {
    result.unwrap_or_else(Error::number)
}

/// Stores what `work` returns in an out-parameter, on success only. Without one, `work`
/// is not done: a failed call changes nothing.
///
/// Safety: `out` is null, or points at a `T` that may be written.
unsafe fn store<T>(out: *mut T, work: impl FnOnce() -> Result<T, Error>) -> c_int {
    if out.is_null() {
        return Error::Invalid.number();
    }
    // SAFETY: Not null; the caller: it can be written.
    code(work().map(|value| unsafe { out.write(value) }))
}

/// As [`store`], but null is an out-parameter that nobody wants.
///
/// Safety: as [`store`].
unsafe fn store_if_wanted<T>(out: *mut T, result: Result<T, Error>) -> c_int {
    code(result.map(|value| {
        if !out.is_null() {
            // SAFETY: Not null; the caller: it can be written.
            unsafe { out.write(value) };
        }
    }))
}

/// A structure that begins with its size and may grow at its end.
///
/// # Safety
///
/// The first member is a `size_t`, and all zero is valid.
unsafe trait Versioned: Sized {
    /// Where each member starts.
    const STARTS: &'static [usize];
}

/// Names the members of a structure, all of them and in order.
macro_rules! versioned {
    ($structure:ident: $($member:ident),* $(,)?) => {
        // SAFETY: `size` is in front of the others; the structure holds numbers,
        // pointers and optional functions.
        unsafe impl $crate::capi::Versioned for $structure {
            const STARTS: &'static [usize] = &[$(core::mem::offset_of!($structure, $member)),*];
        }
        // The compiler refuses a pattern that leaves a member out.
        const _: fn($structure) = |$structure { $($member: _),* }| ();
    };
}
pub(crate) use versioned;

/// How many bytes of a structure of `size` bytes this version knows.
///
/// A structure of an older version ends where one of the members begins: any
/// other size cuts a member in two, and is a mistake. A larger one is of a newer
/// version.
fn known_size<T: Versioned>(size: usize) -> Result<usize, Error> {
    let is_older = size > 0 && T::STARTS.contains(&size);
    match size_of::<T>() {
        all if size >= all => Ok(all),
        _ if is_older => Ok(size),
        _ => Err(Error::Invalid),
    }
}

/// Reads a structure that begins with its size, as the caller knew it.
///
/// Shorter than ours: the rest is zero. Longer: the rest must be zero, or the caller
/// wants something that this version does not know. Errors: `Invalid`: the size ends
/// inside a member, or the rest is not zero.
///
/// Safety: `source` points at a `size_t` with the number of readable bytes, itself
/// included; `T` is valid whatever the caller's bytes are in it.
unsafe fn read_sized<T: Versioned>(source: *const T) -> Result<T, Error> {
    // SAFETY: The caller: the size comes first.
    let size = unsafe { source.cast::<usize>().read() };
    if size == size_of::<T>() {
        // SAFETY: The caller: so many bytes are readable, and any are valid.
        return Ok(unsafe { source.read() });
    }
    let known = known_size::<T>(size)?;
    // SAFETY: The caller: `size` bytes are readable.
    let bytes = unsafe { core::slice::from_raw_parts(source.cast::<u8>(), size) };
    if bytes[known..].iter().any(|byte| *byte != 0) {
        return Err(Error::Invalid);
    }
    // SAFETY: `Versioned`: all zero is valid.
    let mut result = unsafe { core::mem::zeroed::<T>() };
    let target = (&raw mut result).cast::<u8>();
    // SAFETY: `known` bytes are readable, and no more than `T` has.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), target, known) };
    Ok(result)
}

/// Writes a structure that begins with its size, for a caller that may know a shorter
/// or a longer one. Errors: `Invalid`: the size ends inside a member.
///
/// Safety: `target` points at a `size_t` with the number of writable bytes.
unsafe fn write_sized<T: Versioned>(target: *mut T, value: &T) -> Result<(), Error> {
    // SAFETY: The caller: the size comes first.
    let size = unsafe { target.cast::<usize>().read() };
    let known = known_size::<T>(size)?;
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
