// SPDX-License-Identifier: MIT OR Apache-2.0
//! Being there when the process forks.

use super::memory::OutOfMemory;

/// What the C library runs around a fork.
pub type Handler = unsafe extern "C" fn();

/// The number of the calling process.
pub fn process() -> u32 {
    if cfg!(modelled) {
        return 0; // a model has one
    }
    // SAFETY: The C library: no requirement.
    unsafe { libc::getpid() as u32 }
}

/// Has `prepare` run before every fork from now on, on the forking thread, and `parent`
/// or `child` after it. Errors: `OutOfMemory`.
pub fn watch(prepare: Handler, parent: Handler, child: Handler) -> Result<(), OutOfMemory> {
    if cfg!(modelled) {
        return Ok(());
    }
    // SAFETY: The C library: the handlers stay mapped (`-z nodelete`).
    match unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) } {
        0 => Ok(()),
        _ => Err(OutOfMemory),
    }
}
