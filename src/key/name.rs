//! A key's name, for reports: copied when the key is made, copied out when
//! somebody asks, and freed under the key's lock, so that nobody is reading it.

use core::ffi::c_char;
use core::ptr::NonNull;

use super::slot::KeySlot;
use crate::error::Error;
use crate::sys::memory;
use crate::sys::sync::Ordering;

impl KeySlot {
    /// Copies the live key's name out.
    ///
    /// # Errors
    ///
    /// [`Error::DeadKey`], [`Error::BadKey`], [`Error::Limit`].
    ///
    /// # Safety
    ///
    /// `buffer` has room for `capacity` bytes.
    pub(super) unsafe fn copy_name(
        &self,
        generation: u32,
        buffer: *mut c_char,
        capacity: usize,
    ) -> Result<(), Error> {
        self.lock().with(|| {
            // Acquire, and looked at before the key: a name of the slot's next
            // key is never taken for this one's.
            let name = self.name.load(Ordering::Acquire).cast_const();
            self.check(generation)?;
            let name = if name.is_null() { c"".as_ptr() } else { name };
            // SAFETY: The C library: `open` stored a terminated copy, which
            // `close` does not free without the lock.
            let length = unsafe { libc::strlen(name) } + 1;
            if length > capacity {
                return Err(Error::Limit);
            }
            // SAFETY: The caller: `buffer` has room; it can't overlap with our
            // own copy of the name.
            unsafe { core::ptr::copy_nonoverlapping(name, buffer, length) };
            Ok(())
        })
    }

    /// Copies as much of the name as fits, without a final zero byte, of a key
    /// that may be dead; for a report. Returns how many bytes.
    pub fn name_prefix(&self, buffer: &mut [u8]) -> usize {
        self.lock().with(|| {
            let name = self.name.load(Ordering::Acquire).cast_const();
            if name.is_null() {
                return 0;
            }
            // SAFETY: The C library: `open` stored a terminated copy, which
            // `close` does not free without the lock.
            let length = unsafe { libc::strnlen(name, buffer.len()) };
            // SAFETY: As above; the buffer has room for as many.
            unsafe { core::ptr::copy_nonoverlapping(name.cast(), buffer.as_mut_ptr(), length) };
            length
        })
    }
}

/// A copy of a name for [`KeySlot::open`]; null for null.
///
/// # Errors
///
/// [`Error::NoMemory`].
///
/// # Safety
///
/// `name` is null or a terminated string.
pub(super) unsafe fn copy_of_name(name: *const c_char) -> Result<*mut c_char, Error> {
    if name.is_null() {
        return Ok(core::ptr::null_mut());
    }
    // SAFETY: The caller: it is terminated.
    let length = unsafe { libc::strlen(name) } + 1;
    let copy = memory::allocate_bytes(length)?.cast::<c_char>().as_ptr();
    // SAFETY: Just allocated with this length.
    unsafe { core::ptr::copy_nonoverlapping(name, copy, length) };
    Ok(copy)
}

/// Gives a copy of a name back; null is nothing.
///
/// # Safety
///
/// `name` is null or [`copy_of_name`]'s, and is not used again.
pub(super) unsafe fn free_name(name: *mut c_char) {
    let Some(memory) = NonNull::new(name) else { return };
    // SAFETY: `copy_of_name` terminated it.
    let length = unsafe { libc::strlen(name) } + 1;
    // SAFETY: Allocated with this length; the caller gives it up.
    unsafe { memory::free_bytes(memory.cast(), length) };
}
