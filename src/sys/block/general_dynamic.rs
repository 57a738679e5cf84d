// SPDX-License-Identifier: MIT OR Apache-2.0
//! The block in general-dynamic thread-local storage, by assembly.
//!
//! For the feature `global-dynamic`. The distance from the thread pointer is
//! not a constant here: the C library may make a thread's block late, and
//! somewhere else for each thread. So inlined code is given 0 and makes the
//! exported call, and the library asks the C library for the address each time.
//!
//! The sequences are those of the processors' ABIs, byte for byte: where the
//! library ends up in the program, the linker replaces them by a constant.

use core::arch::asm;

use super::Block;

/// The address of the calling thread's block.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn address() -> usize {
    let address: usize;
    // SAFETY: The x86-64 ABI (ELF handling for thread-local storage, 4.1.6): a
    // C function that returns the address of a symbol of this library. The
    // prefixes fill the sequence up to the 16 bytes that a linker rewrites.
    // The stack is aligned for a call, because the options do not have `nostack`.
    unsafe {
        asm!(
            ".byte 0x66",
            "lea rdi, [rip + threadlocalmap_block_v1@TLSGD]",
            ".value 0x6666",
            "rex64",
            "call __tls_get_addr@PLT",
            out("rax") address,
            clobber_abi("sysv64"),
        );
    }
    address
}

/// The address of the calling thread's block.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
fn address() -> usize {
    let (distance, pointer): (usize, usize);
    // SAFETY: The AArch64 ABI (TLS descriptors): the function that the
    // descriptor names returns the distance of the block from the thread
    // pointer, and keeps all other registers but the link register. More are
    // given up here: a C library may call C functions on the first access.
    unsafe {
        asm!(
            "adrp x0, :tlsdesc:threadlocalmap_block_v1",
            "ldr x1, [x0, :tlsdesc_lo12:threadlocalmap_block_v1]",
            "add x0, x0, :tlsdesc_lo12:threadlocalmap_block_v1",
            ".tlsdesccall threadlocalmap_block_v1",
            "blr x1",
            "mrs x1, tpidr_el0",
            out("x0") distance,
            out("x1") pointer,
            clobber_abi("C"),
        );
    }
    pointer.wrapping_add(distance)
}

/// The calling thread's block. The reference must not outlive a switch of the
/// code to another thread; nothing in this library keeps one.
#[inline(always)]
pub(super) fn block() -> &'static Block {
    // SAFETY: Layout: `image` defines a block of this size and alignment there
    // for every thread; all its fields are atomics.
    unsafe { &*(address() as *const Block) }
}
