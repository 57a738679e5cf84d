// SPDX-License-Identifier: MIT OR Apache-2.0
//! The operating system's number for the calling thread.

/// The calling thread's id as tools such as `top -H` and `gdb` show it.
///
/// A number may be used again after its thread has ended: it is for reports,
/// never for telling threads apart.
pub fn current() -> u64 {
    #[cfg(modelled)]
    return super::modelled::current_thread();
    // SAFETY: The C library: `SYS_gettid` takes no argument and cannot fail.
    (unsafe { libc::syscall(libc::SYS_gettid) }) as u64
}
