//! Another library that is written in Rust, with all of std that this needs,
//! for a C program that links both as archives.

/// Digits of the numbers below `count`: allocates, formats, collects.
#[no_mangle]
pub extern "C" fn other_digits(count: u32) -> u64 {
    let numbers: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    numbers.iter().map(|number| number.len() as u64).sum()
}
