// SPDX-License-Identifier: MIT OR Apache-2.0
//! The peers in Rust: the crate `thread_local`, and std's `thread_local!`.
//!
//! Their code is compiled into this program with whole-program optimisation, which a C program does
//! not get for this library. The loops are those of `kernels/peers/peer.h`. As there, every read
//! loads the word; the crate's `get` itself returns only its address.

use std::arch::asm;
use std::cell::Cell;
use std::ffi::c_int;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use thread_local::ThreadLocal;

use crate::kernels::{Function, Input, PeerTable};
use crate::peers::COUNTING;

static DESTROYED: AtomicU64 = AtomicU64::new(0);

/// A word that counts when it is dropped.
#[derive(Default)]
struct Counted(u64);

impl Drop for Counted {
    fn drop(&mut self) {
        if self.0 != 0 {
            // No two threads drop values at the same time, so a plain addition is enough.
            DESTROYED.store(DESTROYED.load(Relaxed) + 1, Relaxed);
        }
    }
}

type Plain = ThreadLocal<Cell<u64>>;
type Counting = ThreadLocal<Cell<Counted>>;

/// The same as `USED` of `kernels/kernel.h` in C: the word is in a register, and all memory may have
/// changed.
#[inline(always)]
fn used(word: u64) {
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {} */", in(reg) word, options(nostack, preserves_flags)) }
}

fn value_of(index: u64) -> u64 {
    16 * (index + 1)
}

/// The keys of an input.
///
/// # Safety
///
/// The input is complete.
unsafe fn keys(input: *const Input) -> &'static [u64] {
    // SAFETY: as the caller promises; they live until the kernel returns.
    unsafe { std::slice::from_raw_parts((*input).keys, (*input).count) }
}

/// The lowest bit of a handle is the type of the object.
#[inline(always)]
fn plain(key: &u64) -> &'static Plain {
    // SAFETY: the handles of a kernel were made by `make`, and live until it returns.
    unsafe { &*(*key as *const Plain) }
}

#[inline(always)]
fn counting(key: &u64) -> &'static Counting {
    // SAFETY: as above.
    unsafe { &*((*key & !1) as *const Counting) }
}

#[inline(always)]
fn read(key: &u64) -> u64 {
    plain(key).get().map_or(0, Cell::get)
}

#[inline(always)]
fn write(key: &u64, word: u64) {
    plain(key).get_or(Cell::default).set(word);
}

extern "C" fn crate_make(places: *mut u64, count: usize, flags: c_int) -> c_int {
    // SAFETY: the array has `count` elements.
    for place in unsafe { std::slice::from_raw_parts_mut(places, count) } {
        *place = if flags & COUNTING != 0 {
            Box::into_raw(Box::new(Counting::new())) as u64 | 1
        } else {
            Box::into_raw(Box::new(Plain::new())) as u64
        };
    }
    0
}

fn end(key: u64) {
    // SAFETY: `crate_make` made it, and it is not used any more.
    unsafe {
        if key & 1 != 0 {
            drop(Box::from_raw((key & !1) as *mut Counting));
        } else {
            drop(Box::from_raw(key as *mut Plain));
        }
    }
}

extern "C" fn crate_unmake(made: *const u64, count: usize) {
    // SAFETY: the array has `count` elements.
    unsafe { std::slice::from_raw_parts(made, count) }.iter().for_each(|&key| end(key));
}

unsafe extern "C" fn get_one(input: *const Input, operations: u64) {
    // SAFETY: the input is complete.
    let key = unsafe { &keys(input)[0] };
    for _ in 0..operations {
        used(read(key));
    }
}

unsafe extern "C" fn get_many(input: *const Input, operations: u64) {
    // SAFETY: the input is complete.
    let keys = unsafe { keys(input) };
    for _ in 0..operations / keys.len() as u64 {
        for key in keys {
            used(read(key));
        }
    }
}

unsafe extern "C" fn sum(input: *const Input, _operations: u64) {
    // SAFETY: the input is complete, and has a pointer for the result.
    unsafe { *(*input).result = keys(input).iter().map(read).sum() }
}

unsafe extern "C" fn fill(input: *const Input, operations: u64) {
    // SAFETY: the input is complete.
    let keys = unsafe { &keys(input)[..operations as usize] };
    keys.iter().zip(0..).for_each(|(key, index)| write(key, value_of(index)));
}

unsafe extern "C" fn fill_counting(input: *const Input, operations: u64) {
    // SAFETY: the input is complete.
    let keys = unsafe { &keys(input)[..operations as usize] };
    for (key, index) in keys.iter().zip(0..) {
        counting(key).get_or(Cell::default).set(Counted(value_of(index)));
    }
}

unsafe extern "C" fn set(input: *const Input, operations: u64) {
    // SAFETY: the input is complete.
    let (key, values) = unsafe { (&keys(input)[0], (*input).values) };
    for done in 0..operations {
        write(key, values[(done & 1) as usize] as u64);
        used(0);
    }
}

unsafe extern "C" fn replace(input: *const Input, operations: u64) {
    // SAFETY: the input is complete.
    let (key, values) = unsafe { (&keys(input)[0], (*input).values) };
    for done in 0..operations {
        let value = Counted(values[(done & 1) as usize] as u64);
        counting(key).get_or(Cell::default).set(value);
        used(0);
    }
}

unsafe extern "C" fn life(_input: *const Input, operations: u64) {
    for value in 0..operations {
        let object = black_box(Plain::new());
        object.get_or(Cell::default).set(value);
        used(object.get().map_or(0, Cell::get));
    }
}

unsafe extern "C" fn end_each(input: *const Input, operations: u64) {
    // SAFETY: the input is complete.
    unsafe { &keys(input)[..operations as usize] }.iter().for_each(|&key| end(key));
}

/// Another thread cannot visit a `Cell`, so these are atomic words, with relaxed loads.
type Shared = ThreadLocal<AtomicU64>;

extern "C" fn shared_make(places: *mut u64, count: usize, _flags: c_int) -> c_int {
    // SAFETY: the array has `count` elements.
    for place in unsafe { std::slice::from_raw_parts_mut(places, count) } {
        *place = Box::into_raw(Box::new(Shared::new())) as u64;
    }
    0
}

extern "C" fn shared_unmake(made: *const u64, count: usize) {
    // SAFETY: the array has `count` elements.
    for &key in unsafe { std::slice::from_raw_parts(made, count) } {
        // SAFETY: `shared_make` made it, and it is not used any more.
        drop(unsafe { Box::from_raw(key as *mut Shared) });
    }
}

fn shared(key: &u64) -> &'static Shared {
    // SAFETY: the handle was made by `shared_make`, and lives until the kernel returns.
    unsafe { &*(*key as *const Shared) }
}

unsafe extern "C" fn shared_fill(input: *const Input, operations: u64) {
    // SAFETY: the input is complete.
    let keys = unsafe { &keys(input)[..operations as usize] };
    for (key, index) in keys.iter().zip(0..) {
        shared(key).get_or_default().store(value_of(index), Relaxed);
    }
}

unsafe extern "C" fn shared_total(input: *const Input, operations: u64) {
    // SAFETY: the input is complete.
    let key = unsafe { &keys(input)[0] };
    let mut sum = 0;
    for _ in 0..operations {
        sum = shared(key).iter().map(|word| word.load(Relaxed)).sum();
        used(sum);
    }
    // SAFETY: the input has a pointer for the result.
    unsafe { *(*input).result = sum }
}

std::thread_local! {
    static WORD: Cell<u64> = const { Cell::new(0) };
}

extern "C" fn std_make(places: *mut u64, count: usize, _flags: c_int) -> c_int {
    // SAFETY: the array has `count` elements.
    unsafe { std::slice::from_raw_parts_mut(places, count) }.fill(1);
    0
}

extern "C" fn std_unmake(_made: *const u64, _count: usize) {
    WORD.set(0);
}

unsafe extern "C" fn std_get_one(_input: *const Input, operations: u64) {
    for _ in 0..operations {
        used(WORD.get());
    }
}

unsafe extern "C" fn std_sum(input: *const Input, _operations: u64) {
    // SAFETY: the input has a pointer for the result.
    unsafe { *(*input).result = WORD.get() }
}

unsafe extern "C" fn std_fill(_input: *const Input, operations: u64) {
    (0..operations).for_each(|index| WORD.set(value_of(index)));
}

unsafe extern "C" fn std_set(input: *const Input, operations: u64) {
    // SAFETY: the input is complete.
    let values = unsafe { (*input).values };
    for done in 0..operations {
        WORD.set(values[(done & 1) as usize] as u64);
        used(0);
    }
}

pub fn tables() -> [&'static PeerTable; 3] {
    let of_crate: [(&str, Function); 9] = [
        ("get_one", get_one),
        ("get_many", get_many),
        ("sum", sum),
        ("fill", fill),
        ("fill_counting", fill_counting),
        ("set", set),
        ("replace", replace),
        ("life", life),
        ("end", end_each),
    ];
    let of_shared: [(&str, Function); 2] = [("fill", shared_fill), ("total", shared_total)];
    let of_std: [(&str, Function); 4] =
        [("get_one", std_get_one), ("sum", std_sum), ("fill", std_fill), ("set", std_set)];
    let version = env!("BENCH_THREAD_LOCAL");
    let rustc = env!("BENCH_RUSTC");
    [
        PeerTable::new(
            ["crate", "crate thread_local", version],
            0,
            crate_make,
            crate_unmake,
            &of_crate,
            &DESTROYED,
        ),
        PeerTable::new(
            ["crate-iter", "crate thread_local", version],
            0,
            shared_make,
            shared_unmake,
            &of_shared,
            &DESTROYED,
        ),
        PeerTable::new(
            ["std", "std's thread_local!", rustc],
            1,
            std_make,
            std_unmake,
            &of_std,
            &DESTROYED,
        ),
    ]
}
