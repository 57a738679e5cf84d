// SPDX-License-Identifier: MIT OR Apache-2.0
//! The block in initial-exec thread-local storage, by assembly.
//!
//! Linkers relax the sequences below to local-exec where the library ends up in
//! the program.

use core::arch::asm;

use super::Block;

/// The block's distance from the thread pointer.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn offset() -> isize {
    let offset: isize;
    // SAFETY: Layout: the linker and the loader fill this word of the global
    // offset table before any code of the library runs: a constant, so `nomem`.
    unsafe {
        asm!("mov {}, qword ptr [rip + threadlocalmap_block_v1@GOTTPOFF]", out(reg) offset,
            options(pure, nomem, nostack, preserves_flags));
    }
    offset
}

/// The word at a distance in the block, straight through the segment register.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn word<const DISTANCE: usize>() -> usize {
    let word;
    // SAFETY: Layout: `offset` leads to the block, which has a word there. Not `pure`:
    // two reads may differ, across a call that stores.
    unsafe {
        asm!("mov {}, qword ptr fs:[{} + {}]", lateout(reg) word, in(reg) offset(),
            const DISTANCE, options(readonly, nostack, preserves_flags));
    }
    word
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn thread_pointer() -> usize {
    let pointer: usize;
    // SAFETY: The x86-64 ABI: the word at `fs:0` is the thread pointer itself.
    unsafe {
        asm!("mov {}, qword ptr fs:[0]", out(reg) pointer,
            options(readonly, nostack, preserves_flags));
    }
    pointer
}

/// The block's distance from the thread pointer.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(super) fn offset() -> isize {
    let offset: isize;
    // SAFETY: Layout: the loader fills this word of the global offset table
    // before any code of the library runs: a constant, so `nomem`.
    unsafe {
        asm!(
            "adrp {offset}, :gottprel:threadlocalmap_block_v1",
            "ldr {offset}, [{offset}, :gottprel_lo12:threadlocalmap_block_v1]",
            offset = out(reg) offset,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    offset
}

#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(super) fn thread_pointer() -> usize {
    let pointer: usize;
    // SAFETY: The AArch64 ABI: user code may read this register, which holds
    // the thread pointer.
    unsafe {
        asm!("mrs {}, tpidr_el0", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    pointer
}

/// The calling thread's block. The reference must not outlive a switch of the
/// code to another thread; nothing in this library keeps one.
#[inline(always)]
pub(super) fn block() -> &'static Block {
    let address = thread_pointer().wrapping_add_signed(offset());
    // SAFETY: Layout: the assembly above defines a block of this size and
    // alignment there for every thread; all its fields are atomics.
    unsafe { &*(address as *const Block) }
}
