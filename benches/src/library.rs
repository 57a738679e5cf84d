// SPDX-License-Identifier: MIT OR Apache-2.0
//! The library's functions for the Rust code of the benchmark. It uses them to prepare
//! and to check, and never in timed code.

use std::ffi::{c_int, c_void, CStr};
use std::ptr;
use std::sync::atomic::AtomicU64;

use crate::Fallible;

mod c {
    use super::{c_int, c_void, Stats};
    use std::ffi::c_char;

    extern "C" {
        pub fn tls_key_create(key: *mut u64, options: *const c_void) -> c_int;
        pub fn tls_key_release(key: u64) -> c_int;
        pub fn tls_get(key: u64) -> *mut c_void;
        pub fn tls_set(key: u64, value: *mut c_void) -> c_int;
        pub fn tls_expunge() -> usize;
        pub fn tls_thread_attach() -> c_int;
        pub fn tls_thread_detach() -> c_int;
        pub fn tls_err_name(error: c_int) -> *const c_char;
        pub fn tls_version_string() -> *const c_char;
        // kernels/library.c
        pub fn bench_counting_key(key: *mut u64, destroyed: *mut u64) -> c_int;
        pub fn bench_inherited_key(key: *mut u64) -> c_int;
        pub fn bench_stats(out: *mut Stats) -> c_int;
    }
}

/// What the library reports about the whole process (`struct bench_stats`).
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub struct Stats {
    pub keys: u64,
    pub maps: u64,
    pub entries: u64,
    pub stale: u64,
    pub destroyed: u64,
    pub longest_probe: u64,
    pub capacity: u64,
    pub bytes: u64,
}

fn checked(what: &str, result: c_int) -> Fallible<()> {
    if result == 0 {
        return Ok(());
    }
    // SAFETY: returns a static string for any number.
    let name = unsafe { CStr::from_ptr(c::tls_err_name(result)) };
    Err(format!("{what}: {}", name.to_string_lossy()))
}

pub fn version() -> String {
    // SAFETY: returns a static string.
    unsafe { CStr::from_ptr(c::tls_version_string()) }.to_string_lossy().into_owned()
}

/// A key without a destroy callback.
pub fn create() -> Fallible<u64> {
    let mut key = 0;
    // SAFETY: NULL options are the defaults.
    checked("tls_key_create", unsafe { c::tls_key_create(&mut key, ptr::null()) })?;
    Ok(key)
}

/// A key whose destroy callback counts into `destroyed`.
///
/// # Safety
///
/// The counter stays where it is until the key and its values are gone, and
/// only one thread stores values under the key.
pub unsafe fn create_counting(destroyed: &AtomicU64) -> Fallible<u64> {
    let mut key = 0;
    // SAFETY: as the caller promises.
    checked("tls_key_create", unsafe { c::bench_counting_key(&mut key, destroyed.as_ptr()) })?;
    Ok(key)
}

/// A key whose value is captured by a context.
pub fn create_inherited() -> Fallible<u64> {
    let mut key = 0;
    // SAFETY: kernels/library.c fills the options in.
    checked("tls_key_create", unsafe { c::bench_inherited_key(&mut key) })?;
    Ok(key)
}

pub fn release(key: u64) -> Fallible<()> {
    // SAFETY: any number is allowed; a wrong one is an error.
    checked("tls_key_release", unsafe { c::tls_key_release(key) })
}

/// Stores an address that is never read.
pub fn set(key: u64, value: *mut c_void) -> Fallible<()> {
    // SAFETY: the library never reads what the pointer points to, and neither do the
    // callbacks of the keys of this program.
    checked("tls_set", unsafe { c::tls_set(key, value) })
}

/// The value of this thread, or NULL.
pub fn get(key: u64) -> *mut c_void {
    // SAFETY: any number is allowed; a wrong one has no value.
    unsafe { c::tls_get(key) }
}

pub fn expunge() -> usize {
    // SAFETY: no precondition.
    unsafe { c::tls_expunge() }
}

pub fn attach() -> Fallible<()> {
    // SAFETY: no precondition.
    checked("tls_thread_attach", unsafe { c::tls_thread_attach() })
}

pub fn detach() -> Fallible<()> {
    // SAFETY: no callback of the library is running.
    checked("tls_thread_detach", unsafe { c::tls_thread_detach() })
}

pub fn stats() -> Fallible<Stats> {
    let mut stats = Stats::default();
    // SAFETY: the struct is kernels/library.c's.
    checked("tls_stats", unsafe { c::bench_stats(&mut stats) })?;
    Ok(stats)
}

/// Two different addresses to store.
pub fn two_values() -> [*mut c_void; 2] {
    // Aligned like allocated memory, so a library may use the lowest bits of the pointers.
    static PLACES: [u128; 2] = [0; 2];
    [0, 1].map(|i| (&raw const PLACES[i]).cast_mut().cast())
}
