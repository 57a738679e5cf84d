// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory that may run out.
//!
//! The library allocates from the C library and from nowhere else: running
//! out is an `Err` at every single place (`tests/c/values/allocation_failure.c` fails
//! each of them in turn), and an interposed allocator sees every call. Memory
//! comes zeroed, because every structure here is valid (and empty) when it is
//! all zero.

use core::ffi::c_void;
use core::mem::size_of;
use core::ptr::NonNull;

use super::sync::untracked::AtomicUsize;
use super::sync::Ordering;

/// Bytes handed out and not given back yet, for `tls_stats`.
///
/// A plain sum that nothing is decided by: `Relaxed` is enough.
static BYTES: AtomicUsize = AtomicUsize::new(0);

/// There was no memory; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// Bytes that the library holds now.
pub fn bytes_in_use() -> usize {
    BYTES.load(Ordering::Relaxed)
}

/// Allocates `count` zeroed bytes, aligned for any C type. Errors: `OutOfMemory` when
/// the allocator has none.
pub fn allocate_bytes(count: usize) -> Result<NonNull<c_void>, OutOfMemory> {
    // SAFETY: The C library: `calloc` takes any two numbers.
    let memory = super::block::while_allocating(|| unsafe { libc::calloc(1, count.max(1)) });
    let memory = NonNull::new(memory).ok_or(OutOfMemory)?;
    BYTES.fetch_add(count, Ordering::Relaxed);
    #[cfg(modelled)]
    super::modelled::allocated(memory.as_ptr() as usize, count);
    Ok(memory)
}

/// Gives back what [`allocate_bytes`] made with the same `count`.
///
/// Safety: `memory` came from [`allocate_bytes`]`(count)`, has not been given back,
/// and is not used again.
pub(crate) unsafe fn free_bytes(memory: NonNull<c_void>, count: usize) {
    BYTES.fetch_sub(count, Ordering::Relaxed);
    #[cfg(modelled)]
    super::modelled::freed(memory.as_ptr() as usize, count);
    // SAFETY: The caller guarantees that this is `calloc`'s and still ours.
    #[cfg(not(modelled))]
    super::block::while_allocating(|| unsafe { libc::free(memory.as_ptr()) });
}

/// Allocates one `T`, all zero. Errors: `OutOfMemory` when the allocator has none.
pub fn allocate<T>() -> Result<NonNull<T>, OutOfMemory> {
    const { assert!(core::mem::align_of::<T>() <= 16, "calloc aligns to 16") };
    allocate_bytes(size_of::<T>()).map(NonNull::cast)
}

/// Gives back what [`allocate`] made.
///
/// Safety: `memory` came from [`allocate::<T>`](allocate), has not been given back,
/// and is not used again.
pub(crate) unsafe fn free<T>(memory: NonNull<T>) {
    // SAFETY: The caller's premise is the callee's, word for word.
    unsafe { free_bytes(memory.cast(), size_of::<T>()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_zeroed_and_is_counted_until_it_goes_back() {
        let before = bytes_in_use();
        let memory = allocate::<[u64; 512]>().expect("4 KiB can be had");
        // SAFETY: This test just allocated it; all zero is a valid array.
        assert!(unsafe { memory.as_ref() }.iter().all(|word| *word == 0));
        assert!(bytes_in_use() >= before.wrapping_add(4096) || bytes_in_use() >= 4096);
        // SAFETY: From `allocate` of the same type, given back once.
        unsafe { free(memory) };
    }

    #[test]
    fn an_impossible_size_is_an_error_and_not_an_abort() {
        // The optimizer may do without an allocation that nobody looks at.
        let made = core::hint::black_box(allocate_bytes(usize::MAX / 2));
        assert_eq!(made.err(), Some(OutOfMemory));
    }
}
