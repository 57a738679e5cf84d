// SPDX-License-Identifier: MIT OR Apache-2.0
//! The block in the thread-local storage of this library, defined by assembly.
//!
//! The symbol is hidden: two copies of the library in one process (one linked
//! into the program, one in a plugin) each have their own.

use core::arch::global_asm;

// `.tdata` and not `.tbss`: the image holds the addresses of two constants
// (invariants 1 and 2 of the parent module).
global_asm!(
    ".pushsection .tdata.threadlocalmap, \"awT\", %progbits",
    ".balign 32",
    ".globl threadlocalmap_block_v1",
    ".hidden threadlocalmap_block_v1",
    ".type threadlocalmap_block_v1, %object",
    ".size threadlocalmap_block_v1, 64",
    "threadlocalmap_block_v1:",
    ".8byte {empty_table}",
    ".8byte 0",
    ".8byte {no_stale}",
    ".8byte 0",
    ".zero 32",
    ".popsection",
    empty_table = sym super::EMPTY_TABLE,
    no_stale = sym super::NO_STALE,
);
