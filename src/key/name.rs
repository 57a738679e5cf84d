// SPDX-License-Identifier: MIT OR Apache-2.0
//! A key's name, for reports: copied when the key is made, copied out when
//! somebody asks, and freed with the key's lock, so that nobody is reading it.

use core::ffi::{c_char, CStr};
use core::ptr::{null_mut, NonNull};

use crate::error::Error;
use crate::sys::memory;
use crate::sys::sync::{AtomicPtr, Ordering};

/// The place of a key's name in its slot. All zero: no name.
#[repr(transparent)]
pub(super) struct Name(AtomicPtr<c_char>);

impl Name {
    /// Sets the name of a new key, [`copy`]'s or null. The caller alone has it.
    #[inline(always)]
    pub(super) fn open(&self, name: *mut c_char) {
        // Release: who copies it then also sees that the slot's last key is dead.
        self.0.store(name, Ordering::Release);
    }

    /// Whether there is none.
    #[inline(always)]
    pub(super) fn is_none(&self) -> bool {
        self.0.load(Ordering::Relaxed).is_null()
    }

    /// Takes the name out, to be [freed](free). With the key's lock.
    pub(super) fn take(&self) -> *mut c_char {
        self.0.swap(null_mut(), Ordering::Relaxed)
    }

    /// The name, empty if there is none; it stays while the key's lock is held.
    fn get(&self) -> &CStr {
        // Acquire: with the Release in `open`.
        let name = self.0.load(Ordering::Acquire);
        if name.is_null() {
            return c"";
        }
        // SAFETY: A terminated copy, which is not freed without the lock.
        unsafe { CStr::from_ptr(name) }
    }

    /// Copies the name out, if `check` finds its key alive. With the key's lock.
    /// Errors: as `check`; `Limit` if it does not fit.
    ///
    /// Safety: `buffer` has room for `capacity` bytes.
    pub(super) unsafe fn copy_out(
        &self,
        check: impl FnOnce() -> Result<(), Error>,
        buffer: *mut c_char,
        capacity: usize,
    ) -> Result<(), Error> {
        // Looked at before the key: a name of the slot's next key is never taken for
        // this one's.
        let name = self.get().to_bytes_with_nul();
        check()?;
        if name.len() > capacity {
            return Err(Error::Limit);
        }
        // SAFETY: The caller: `buffer` has room; it can't overlap with our own copy
        // of the name.
        unsafe { core::ptr::copy_nonoverlapping(name.as_ptr().cast(), buffer, name.len()) };
        Ok(())
    }

    /// Copies as much of the name as fits, without a final zero byte, of a key that
    /// may be dead; for a report. Returns how many bytes. With the key's lock.
    pub(super) fn prefix(&self, buffer: &mut [u8]) -> usize {
        let name = self.get().to_bytes();
        let length = name.len().min(buffer.len());
        buffer[..length].copy_from_slice(&name[..length]);
        length
    }
}

/// A copy of a name; null for null. Errors: `NoMemory`.
///
/// Safety: `name` is null or a terminated string.
pub(super) unsafe fn copy(name: *const c_char) -> Result<*mut c_char, Error> {
    if name.is_null() {
        return Ok(null_mut());
    }
    // SAFETY: The caller: it is terminated.
    let name = unsafe { CStr::from_ptr(name) }.to_bytes_with_nul();
    let copy = memory::allocate_bytes(name.len())?.cast::<c_char>().as_ptr();
    // SAFETY: Just allocated with this length.
    unsafe { core::ptr::copy_nonoverlapping(name.as_ptr().cast(), copy, name.len()) };
    Ok(copy)
}

/// Gives a copy of a name back; null is nothing.
///
/// Safety: `name` is null or [`copy`]'s, and is not used again.
pub(super) unsafe fn free(name: *mut c_char) {
    let Some(memory) = NonNull::new(name) else { return };
    // SAFETY: `copy` terminated it.
    let length = unsafe { CStr::from_ptr(name) }.count_bytes() + 1;
    // SAFETY: Allocated with this length; the caller gives it up.
    unsafe { memory::free_bytes(memory.cast(), length) };
}
