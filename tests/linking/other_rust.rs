// SPDX-License-Identifier: MIT OR Apache-2.0
//! Another library that is written in Rust, with the standard library in it,
//! for a C program that links both as archives.

/// Digits of the numbers below `count`: allocates, formats, collects.
#[no_mangle]
pub extern "C" fn other_digits(count: u32) -> u64 {
    let numbers: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    numbers.iter().map(|number| number.len() as u64).sum()
}

/// What a panic runs on its way.
struct Witness<'a>(&'a mut u64);

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        *self.0 += 1;
    }
}

/// Panics, runs a destructor on the way, and catches it: 1. The unwinder calls
/// `rust_eh_personality` for this, so it must be the standard library's.
#[no_mangle]
pub extern "C" fn other_unwinds() -> u64 {
    let mut witnessed = 0;
    std::panic::set_hook(Box::new(|_| {}));
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _witness = Witness(&mut witnessed);
        panic!("caught below");
    }));
    let _ = std::panic::take_hook();
    if caught.is_err() {
        witnessed
    } else {
        0
    }
}
