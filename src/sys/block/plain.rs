// SPDX-License-Identifier: MIT OR Apache-2.0
//! The block as a plain `thread_local!` without a destructor.
//!
//! For processors without the assembly, for Miri and for model checkers. The
//! distance from the thread pointer is not a constant here, so inlined code is
//! given 0 and makes the call. A build with this has the standard library in it:
//! stable Rust has no other thread-local storage.

use super::{Block, EMPTY_TABLE, NO_STALE};
use crate::sys::sync::untracked::{AtomicPtr, AtomicUsize};

impl Block {
    const fn initial() -> Self {
        Self {
            table: AtomicPtr::new((&raw const EMPTY_TABLE).cast_mut()),
            mask: AtomicUsize::new(0),
            stale: AtomicPtr::new((&raw const NO_STALE).cast_mut()),
            thread: AtomicUsize::new(0),
            moving: AtomicPtr::new(core::ptr::null_mut()),
            map: AtomicUsize::new(0),
            allocating: AtomicUsize::new(0),
            callbacks: AtomicUsize::new(0),
        }
    }
}

// `const` and nothing to drop: std plants no destructor for it, ever.
std::thread_local! {
    static BLOCK: Block = const { Block::initial() };
}

/// The calling thread's block. The reference must not outlive a switch of the code to
/// another thread. Nothing in this library keeps one; but a compiler may, from one use to
/// the next in a function that calls another. So what may come back on another thread is
/// not called from such a function (`tls_task_run`); callbacks come back on their own.
#[inline(always)]
pub(super) fn block() -> &'static Block {
    #[cfg(modelled)]
    return crate::sys::modelled::block(Block::initial);
    let block = BLOCK.with(core::ptr::from_ref);
    // SAFETY: The storage lives as long as its thread, which is the caller.
    unsafe { &*block }
}
