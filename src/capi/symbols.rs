// SPDX-License-Identifier: MIT OR Apache-2.0
//! The plain name of each export: `tls_set` for `tlm_set`.
//!
//! # Problem
//!
//! A program may have a function `tls_set` of its own, and use a library that
//! uses ours. The dynamic linker knows one `tls_set` only: the program's. It
//! would be called in place of ours, without an error.
//!
//! # Idea
//!
//! Each function has a symbol that is ours alone, `tlm_set`: the exports of the
//! other modules have it (`export_name`). A C or C++ source that includes our
//! header calls it: `threadlocalmap_symbols.h` has a `#pragma redefine_extname`
//! for each function. The plain names are here, for all who find functions by
//! name; each calls the other.
//!
//! # Invariants
//!
//! 1. Each export has exactly one plain name (`tests/abi.rs` compares them).
//! 2. Nothing in the library calls a plain name, which may be somebody else's
//!    function: in the archive, the linker or a program decides that.

use core::ffi::{c_char, c_int, c_void};

use super::{cleanup, errors, inspect, keys, maps, others, stats, tasks, values, version};
use super::{cleanup::*, constants::*, keys::*, maps::*, others::*, stats::*, tasks::*, values::*};

macro_rules! plain_names {
    ($($module:ident::$name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        $(
            #[doc = concat!("[`", stringify!($name), "`](", stringify!($module), "::", stringify!($name), ").")]
            #[unsafe(no_mangle)]
            #[allow(unused_unsafe)]
            pub unsafe extern "C" fn $name($($argument: $type),*) $(-> $result)? {
                // SAFETY: The same function, with the same premises.
                unsafe { $module::$name($($argument),*) }
            }
        )*
    };
}

plain_names! {
    // errors
    errors::tls_strerror(error: c_int) -> *const c_char;
    errors::tls_err_name(error: c_int) -> *const c_char;
    // keys
    keys::tls_key_create(key: *mut tls_key_t, options: *const tls_key_options_t) -> c_int;
    keys::tls_key_retain(key: tls_key_t) -> c_int;
    keys::tls_key_release(key: tls_key_t) -> c_int;
    keys::tls_key_is_live(key: tls_key_t) -> bool;
    keys::tls_key_name(key: tls_key_t, buffer: *mut c_char, capacity: usize) -> c_int;
    // values
    values::tls_get(key: tls_key_t) -> *mut c_void;
    values::tls_get_existing(key: tls_key_t) -> *mut c_void;
    values::tls_try_get(key: tls_key_t, value: *mut *mut c_void) -> c_int;
    values::tls_set(key: tls_key_t, value: *mut c_void) -> c_int;
    values::tls_swap(key: tls_key_t, value: *mut c_void, old: *mut *mut c_void) -> c_int;
    values::tls_take(key: tls_key_t, old: *mut *mut c_void) -> c_int;
    values::tls_swap_wait(key: tls_key_t, value: *mut c_void, old: *mut *mut c_void, timeout_ms: c_int) -> c_int;
    values::tls_take_wait(key: tls_key_t, old: *mut *mut c_void, timeout_ms: c_int) -> c_int;
    values::tls_remove(key: tls_key_t) -> c_int;
    values::tls_remove_all() -> c_int;
    values::tls_take_all(take: tls_take_fn, arg: *mut c_void) -> c_int;
    // cleanup
    cleanup::tls_expunge() -> usize;
    cleanup::tls_expunge_some(budget: usize) -> usize;
    cleanup::tls_stale_count() -> usize;
    cleanup::tls_thread_attach() -> c_int;
    cleanup::tls_thread_detach() -> c_int;
    cleanup::tls_at_thread_exit(call: Option<unsafe extern "C" fn(arg: *mut c_void)>, arg: *mut c_void) -> c_int;
    cleanup::tls_thread_on_stale(notify: Option<unsafe extern "C" fn(arg: *mut c_void)>, arg: *mut c_void) -> c_int;
    cleanup::tls_thread_hook(options: *const tls_hook_options_t) -> c_int;
    cleanup::tls_destroy_at_exit(value: *mut c_void, reason: c_int, user: *mut c_void);
    cleanup::tls_hot_offset_v1() -> isize;
    // others
    others::tls_expunge_all_threads() -> usize;
    others::tls_key_purge(key: tls_key_t, destroyed: *mut usize) -> c_int;
    others::tls_key_drain(key: tls_key_t, timeout_ms: c_int, left: *mut usize) -> c_int;
    others::tls_for_each(key: tls_key_t, visit: tls_visit_fn, arg: *mut c_void) -> c_int;
    others::tls_for_each_locked(key: tls_key_t, visit: tls_visit_fn, arg: *mut c_void) -> c_int;
    others::tls_scrape(key: tls_key_t, take: tls_visit_fn, arg: *mut c_void) -> c_int;
    // tasks
    tasks::tls_scope_begin(scope: *mut tls_scope_t, context: *mut tls_context_t) -> c_int;
    tasks::tls_scope_end(scope: tls_scope_t) -> c_int;
    tasks::tls_context_capture(context: *mut *mut tls_context_t) -> c_int;
    tasks::tls_context_free(context: *mut tls_context_t);
    tasks::tls_task_create(task: *mut *mut tls_task_t, call: Option<unsafe extern "C" fn(arg: *mut c_void)>, arg: *mut c_void) -> c_int;
    tasks::tls_task_run(task: *mut c_void);
    tasks::tls_task_cancel(task: *mut tls_task_t);
    // maps
    maps::tls_map_create(map: *mut *mut tls_map_t) -> c_int;
    maps::tls_map_destroy(map: *mut tls_map_t) -> c_int;
    maps::tls_map_switch(map: *mut tls_map_t, previous: *mut *mut tls_map_t) -> c_int;
    maps::tls_map_current() -> *mut tls_map_t;
    // inspect
    inspect::tls_dump(write: Option<unsafe extern "C" fn(bytes: *const c_char, length: usize, arg: *mut c_void) -> c_int>, arg: *mut c_void) -> c_int;
    inspect::tls_dump_fd(fd: c_int) -> c_int;
    inspect::tls_for_each_holder(key: tls_key_t, visit: Option<unsafe extern "C" fn(map: u64, thread: u64, values: usize, arg: *mut c_void) -> c_int>, arg: *mut c_void) -> c_int;
    inspect::tls_for_each_local(visit: Option<unsafe extern "C" fn(key: tls_key_t, value: *mut c_void, arg: *mut c_void)>, arg: *mut c_void) -> c_int;
    // stats
    stats::tls_stats(stats: *mut tls_stats_t) -> c_int;
    // version
    version::tls_version() -> c_int;
    version::tls_version_string() -> *const c_char;
}
