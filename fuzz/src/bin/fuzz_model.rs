// SPDX-License-Identifier: MIT OR Apache-2.0
//! LibFuzzer's way in: see `scripts/fuzz.sh`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| threadlocalmap_fuzz::model::play(bytes));
