// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writing to a descriptor, in any state of the process.
//!
//! Also in a handler of a signal, between any two instructions of the thread: so no
//! memory, no lock, `errno` as it was, and no point where the thread can be cancelled. (The
//! C library's `write` is one; its `syscall` is not.)

use core::ffi::c_int;

/// Why nothing more was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It is no descriptor that can be written to.
    NoDescriptor,
    /// It takes no more: nobody reads it, it is full and must not block, or a device
    /// has failed.
    Refused,
}

fn errno() -> *mut c_int {
    // SAFETY: The C library: no requirement.
    unsafe { libc::__errno_location() }
}

/// Writes all of the bytes, in as many parts as it takes.
pub fn write_all(descriptor: c_int, bytes: &[u8]) -> Result<(), Failure> {
    // SAFETY: The thread's own word.
    let before = unsafe { errno().read() };
    let written = write_parts(descriptor, bytes);
    // SAFETY: As above.
    unsafe { errno().write(before) };
    written
}

fn write_parts(descriptor: c_int, mut bytes: &[u8]) -> Result<(), Failure> {
    while !bytes.is_empty() {
        let (first, length) = (bytes.as_ptr(), bytes.len());
        // SAFETY: The kernel reads so many bytes, which are there.
        let written = unsafe { libc::syscall(libc::SYS_write, descriptor, first, length) };
        if written > 0 {
            bytes = &bytes[written as usize..];
            continue;
        }
        // SAFETY: As above.
        match unsafe { errno().read() } {
            libc::EINTR if written < 0 => {}
            libc::EBADF if written < 0 => return Err(Failure::NoDescriptor),
            _ => return Err(Failure::Refused),
        }
    }
    Ok(())
}
