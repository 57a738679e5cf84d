// SPDX-License-Identifier: MIT OR Apache-2.0
//! The second name of each export: `tlm_set` for `tls_set`.
//!
//! # Problem
//!
//! A program may have a function `tls_set` of its own, and use a library that
//! uses ours. The dynamic linker knows one `tls_set` only: the program's. It
//! would be called in place of ours, and nobody would be told.
//!
//! # Idea
//!
//! A C or C++ source that includes our header calls the second names, which
//! are ours alone: `threadlocalmap_symbols.h` has a `#pragma redefine_extname`
//! for each function. The first names stay for all who find functions by name.
//!
//! # Invariants
//!
//! 1. Each export has exactly one second name (`tests/abi.rs` compares them).
//! 2. A function of a second name calls ours, whatever else has its first name:
//!    the shared library is linked with `-Bsymbolic-functions`.

use core::ffi::{c_char, c_int, c_void};

use super::{cleanup, errors, inspect, keys, maps, others, stats, tasks, values, version};
use super::{cleanup::*, constants::*, keys::*, maps::*, others::*, stats::*, tasks::*, values::*};

macro_rules! second_names {
    ($($module:ident::$first:ident as $second:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        $(
            #[doc = concat!("[`", stringify!($first), "`](", stringify!($module), "::", stringify!($first), ").")]
            #[unsafe(no_mangle)]
            #[allow(unused_unsafe)]
            pub unsafe extern "C" fn $second($($argument: $type),*) $(-> $result)? {
                // SAFETY: The same function, with the same premises.
                unsafe { $module::$first($($argument),*) }
            }
        )*
    };
}

second_names! {
    // errors
    errors::tls_strerror as tlm_strerror(error: c_int) -> *const c_char;
    errors::tls_err_name as tlm_err_name(error: c_int) -> *const c_char;
    // keys
    keys::tls_key_create as tlm_key_create(key: *mut tls_key_t, options: *const tls_key_options_t) -> c_int;
    keys::tls_key_retain as tlm_key_retain(key: tls_key_t) -> c_int;
    keys::tls_key_release as tlm_key_release(key: tls_key_t) -> c_int;
    keys::tls_key_is_live as tlm_key_is_live(key: tls_key_t) -> bool;
    keys::tls_key_name as tlm_key_name(key: tls_key_t, buffer: *mut c_char, capacity: usize) -> c_int;
    // values
    values::tls_get as tlm_get(key: tls_key_t) -> *mut c_void;
    values::tls_get_existing as tlm_get_existing(key: tls_key_t) -> *mut c_void;
    values::tls_try_get as tlm_try_get(key: tls_key_t, value: *mut *mut c_void) -> c_int;
    values::tls_set as tlm_set(key: tls_key_t, value: *mut c_void) -> c_int;
    values::tls_swap as tlm_swap(key: tls_key_t, value: *mut c_void, old: *mut *mut c_void) -> c_int;
    values::tls_take as tlm_take(key: tls_key_t, old: *mut *mut c_void) -> c_int;
    values::tls_swap_wait as tlm_swap_wait(key: tls_key_t, value: *mut c_void, old: *mut *mut c_void, timeout_ms: c_int) -> c_int;
    values::tls_take_wait as tlm_take_wait(key: tls_key_t, old: *mut *mut c_void, timeout_ms: c_int) -> c_int;
    values::tls_remove as tlm_remove(key: tls_key_t) -> c_int;
    values::tls_remove_all as tlm_remove_all() -> c_int;
    values::tls_take_all as tlm_take_all(take: tls_take_fn, arg: *mut c_void) -> c_int;
    // cleanup
    cleanup::tls_expunge as tlm_expunge() -> usize;
    cleanup::tls_expunge_some as tlm_expunge_some(budget: usize) -> usize;
    cleanup::tls_stale_count as tlm_stale_count() -> usize;
    cleanup::tls_thread_attach as tlm_thread_attach() -> c_int;
    cleanup::tls_thread_detach as tlm_thread_detach() -> c_int;
    cleanup::tls_at_thread_exit as tlm_at_thread_exit(call: Option<unsafe extern "C" fn(arg: *mut c_void)>, arg: *mut c_void) -> c_int;
    cleanup::tls_thread_on_stale as tlm_thread_on_stale(notify: Option<unsafe extern "C" fn(arg: *mut c_void)>, arg: *mut c_void) -> c_int;
    cleanup::tls_thread_hook as tlm_thread_hook(options: *const tls_hook_options_t) -> c_int;
    cleanup::tls_destroy_at_exit as tlm_destroy_at_exit(value: *mut c_void, reason: c_int, user: *mut c_void);
    cleanup::tls_hot_offset_v1 as tlm_hot_offset_v1() -> isize;
    // others
    others::tls_expunge_all_threads as tlm_expunge_all_threads() -> usize;
    others::tls_key_purge as tlm_key_purge(key: tls_key_t, destroyed: *mut usize) -> c_int;
    others::tls_key_drain as tlm_key_drain(key: tls_key_t, timeout_ms: c_int, left: *mut usize) -> c_int;
    others::tls_for_each as tlm_for_each(key: tls_key_t, visit: tls_visit_fn, arg: *mut c_void) -> c_int;
    others::tls_for_each_locked as tlm_for_each_locked(key: tls_key_t, visit: tls_visit_fn, arg: *mut c_void) -> c_int;
    others::tls_scrape as tlm_scrape(key: tls_key_t, take: tls_visit_fn, arg: *mut c_void) -> c_int;
    // tasks
    tasks::tls_scope_begin as tlm_scope_begin(scope: *mut tls_scope_t, context: *mut tls_context_t) -> c_int;
    tasks::tls_scope_end as tlm_scope_end(scope: tls_scope_t) -> c_int;
    tasks::tls_context_capture as tlm_context_capture(context: *mut *mut tls_context_t) -> c_int;
    tasks::tls_context_free as tlm_context_free(context: *mut tls_context_t);
    tasks::tls_task_create as tlm_task_create(task: *mut *mut tls_task_t, call: Option<unsafe extern "C" fn(arg: *mut c_void)>, arg: *mut c_void) -> c_int;
    tasks::tls_task_run as tlm_task_run(task: *mut c_void);
    tasks::tls_task_cancel as tlm_task_cancel(task: *mut tls_task_t);
    // maps
    maps::tls_map_create as tlm_map_create(map: *mut *mut tls_map_t) -> c_int;
    maps::tls_map_destroy as tlm_map_destroy(map: *mut tls_map_t) -> c_int;
    maps::tls_map_switch as tlm_map_switch(map: *mut tls_map_t, previous: *mut *mut tls_map_t) -> c_int;
    maps::tls_map_current as tlm_map_current() -> *mut tls_map_t;
    // inspect
    inspect::tls_dump as tlm_dump(write: Option<unsafe extern "C" fn(bytes: *const c_char, length: usize, arg: *mut c_void) -> c_int>, arg: *mut c_void) -> c_int;
    inspect::tls_dump_fd as tlm_dump_fd(fd: c_int) -> c_int;
    inspect::tls_for_each_holder as tlm_for_each_holder(key: tls_key_t, visit: Option<unsafe extern "C" fn(map: u64, thread: u64, values: usize, arg: *mut c_void) -> c_int>, arg: *mut c_void) -> c_int;
    inspect::tls_for_each_local as tlm_for_each_local(visit: Option<unsafe extern "C" fn(key: tls_key_t, value: *mut c_void, arg: *mut c_void)>, arg: *mut c_void) -> c_int;
    // stats
    stats::tls_stats as tlm_stats(stats: *mut tls_stats_t) -> c_int;
    // version
    version::tls_version as tlm_version() -> c_int;
    version::tls_version_string as tlm_version_string() -> *const c_char;
}
