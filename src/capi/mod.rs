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
use core::mem::{align_of, size_of};

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

/// A structure that begins with its size and may grow at its end.
///
/// # Safety
///
/// The first member is a `size_t`, and all zero is valid.
unsafe trait Versioned: Sized {
    /// The members, in order.
    const MEMBERS: &'static [Member];
}

/// Where a member of a structure is.
struct Member {
    start: usize,
    alignment: usize,
    end: usize,
}

impl Member {
    /// The member at `start` that `_reach` leads to.
    const fn new<S, M>(start: usize, _reach: fn(&S) -> &M) -> Self {
        Self { start, alignment: align_of::<M>(), end: start + size_of::<M>() }
    }

    /// Whether these are all members of a structure of `size` bytes: one that
    /// was left out makes a gap.
    const fn are_all(members: &[Self], size: usize) -> bool {
        let mut end = 0_usize;
        let mut index = 0;
        while index < members.len() {
            if members[index].start != end.next_multiple_of(members[index].alignment) {
                return false;
            }
            end = members[index].end;
            index += 1;
        }
        end == size
    }
}

/// Names the members of a structure, all of them and in order; the compiler
/// refuses a list with a gap.
macro_rules! versioned {
    ($structure:ty: $($member:ident),* $(,)?) => {
        // SAFETY: The list begins with `size`, and nothing is in front of the
        // first member; the structure holds numbers, pointers and optional
        // functions.
        unsafe impl $crate::capi::Versioned for $structure {
            const MEMBERS: &'static [$crate::capi::Member] = &[$($crate::capi::Member::new(
                core::mem::offset_of!($structure, $member),
                |structure: &$structure| &structure.$member,
            )),*];
        }
        const _: () = assert!($crate::capi::Member::are_all(
            <$structure as $crate::capi::Versioned>::MEMBERS,
            size_of::<$structure>(),
        ));
    };
}
pub(crate) use versioned;

/// How many bytes of a structure of `size` bytes this version knows.
///
/// A structure of an older version ends where one of the members ends: any
/// other size cuts a member in two, and is a mistake. A larger one is of a newer
/// version.
fn known_size<T: Versioned>(size: usize) -> Result<usize, Error> {
    if size >= size_of::<T>() {
        return Ok(size_of::<T>());
    }
    let ends_there = T::MEMBERS.iter().any(|member| member.end == size);
    ends_there.then_some(size).ok_or(Error::Invalid)
}

/// Reads a structure that begins with its size, as the caller knew it.
///
/// Shorter than ours: the rest is zero. Longer: the rest must be zero, or the
/// caller wants something that this version does not know.
///
/// # Errors
///
/// [`Error::Invalid`]: the size ends inside a member, or the rest is not zero.
///
/// # Safety
///
/// `source` points at a `size_t` with the number of readable bytes, itself
/// included; `T` is valid whatever the caller's bytes are in it.
unsafe fn read_sized<T: Versioned>(source: *const T) -> Result<T, Error> {
    // SAFETY: The caller: the size comes first.
    let size = unsafe { source.cast::<usize>().read() };
    if size == size_of::<T>() {
        // SAFETY: The caller: so many bytes are readable, and any are valid.
        return Ok(unsafe { source.read() });
    }
    let known = known_size::<T>(size)?;
    // SAFETY: `Versioned`: all zero is valid.
    let mut result = unsafe { core::mem::zeroed::<T>() };
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
/// # Errors
///
/// [`Error::Invalid`]: the size ends inside a member.
///
/// # Safety
///
/// `target` points at a `size_t` with the number of writable bytes.
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

/// Whether an out-parameter or another pointer that must not be null is.
fn given<T>(pointer: *const T) -> Result<(), Error> {
    if pointer.is_null() {
        return Err(Error::Invalid);
    }
    Ok(())
}
