// SPDX-License-Identifier: MIT OR Apache-2.0
//! The library as C sees it.
//!
//! The hunter must build against any inside of the library: so it declares the
//! exported functions itself, as `include/threadlocalmap.h` has them, and uses
//! nothing else. The types are opaque.

use core::ffi::{c_char, c_int, c_void};

// Links the library; its functions are found by their names.
use threadlocalmap as _;

pub(crate) type Key = u64;
pub(crate) type Callback = extern "C" fn(*mut c_void);
pub(crate) type Visit = extern "C" fn(*mut c_void, u64, *mut c_void) -> c_int;

/// `tls_key_options_t`.
#[repr(C)]
pub(crate) struct Options {
    pub(crate) size: usize,
    pub(crate) name: *const c_char,
    pub(crate) destroy: Option<extern "C" fn(*mut c_void, c_int, *mut c_void)>,
    pub(crate) init: Option<extern "C" fn(*mut *mut c_void, *mut c_void) -> c_int>,
    pub(crate) copy: Option<extern "C" fn(*mut c_void, *mut *mut c_void, *mut c_void) -> c_int>,
    pub(crate) user: *mut c_void,
    pub(crate) user_free: Option<Callback>,
    pub(crate) reclaim: u32,
    pub(crate) flags: u32,
}

/// `tls_hook_options_t`.
#[repr(C)]
pub(crate) struct HookOptions {
    pub(crate) size: usize,
    pub(crate) when: u32,
    pub(crate) flags: u32,
    pub(crate) function: Option<Callback>,
    pub(crate) argument: *mut c_void,
    pub(crate) owner: Key,
}

/// `tls_stats_t`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Stats {
    pub(crate) size: usize,
    pub(crate) keys: u64,
    pub(crate) dead_keys: u64,
    pub(crate) maps: u64,
    pub(crate) entries: u64,
    pub(crate) stale: u64,
    pub(crate) expunged: u64,
    pub(crate) destroyed: u64,
    pub(crate) leaked: u64,
    pub(crate) rehashes: u64,
    pub(crate) longest_probe: u64,
    pub(crate) capacity: u64,
    pub(crate) bytes: u64,
    pub(crate) unwatched: u64,
    pub(crate) contexts: u64,
    pub(crate) unscoped: u64,
}

pub(crate) const OK: c_int = 0;
/// What a visitor of the hunter's stops with.
pub(crate) const STOPPED: c_int = 1;
pub(crate) const DEAD_KEY: c_int = -2;
pub(crate) const INVALID: c_int = -3;
pub(crate) const NO_MEMORY: c_int = -4;
pub(crate) const ABSENT: c_int = -5;
pub(crate) const REENTRANT: c_int = -7;
pub(crate) const INIT: c_int = -8;
pub(crate) const EXITING: c_int = -9;
pub(crate) const BUSY: c_int = -10;
pub(crate) const TIMEOUT: c_int = -11;

pub(crate) const REASON_KEY_DEAD: c_int = 3;
pub(crate) const REASON_PURGED: c_int = 4;
pub(crate) const REASON_SCOPE_END: c_int = 5;
pub(crate) const REASON_THREAD_EXIT: c_int = 6;
pub(crate) const REASON_DETACHED: c_int = 7;
pub(crate) const REASON_MAP_DESTROYED: c_int = 8;

pub(crate) const ENUMERABLE: u32 = 1;
pub(crate) const EXPLICIT: u32 = 8;
pub(crate) const WORKER: u32 = 2;
pub(crate) const INHERIT: u32 = 4;

extern "C" {
    pub(crate) fn tls_expunge() -> usize;
    pub(crate) fn tls_expunge_some(budget: usize) -> usize;
    pub(crate) fn tls_stale_count() -> usize;
    pub(crate) fn tls_thread_attach() -> c_int;
    pub(crate) fn tls_thread_detach() -> c_int;
    pub(crate) fn tls_dump(
        write: extern "C" fn(*const c_char, usize, *mut c_void) -> c_int,
        arg: *mut c_void,
    ) -> c_int;
    pub(crate) fn tls_for_each_local(
        visit: extern "C" fn(Key, *mut c_void, *mut c_void),
        arg: *mut c_void,
    ) -> c_int;
    pub(crate) fn tls_take_all(
        take: extern "C" fn(Key, *mut c_void, *mut c_void),
        arg: *mut c_void,
    ) -> c_int;
    pub(crate) fn tls_key_create(key: *mut Key, options: *const Options) -> c_int;
    pub(crate) fn tls_key_retain(key: Key) -> c_int;
    pub(crate) fn tls_key_release(key: Key) -> c_int;
    pub(crate) fn tls_key_is_live(key: Key) -> bool;
    pub(crate) fn tls_key_purge(key: Key, destroyed: *mut usize) -> c_int;
    pub(crate) fn tls_key_drain(key: Key, timeout: c_int, left: *mut usize) -> c_int;
    pub(crate) fn tls_map_create(map: *mut *mut c_void) -> c_int;
    pub(crate) fn tls_map_destroy(map: *mut c_void) -> c_int;
    pub(crate) fn tls_map_switch(map: *mut c_void, previous: *mut *mut c_void) -> c_int;
    pub(crate) fn tls_map_current() -> *mut c_void;
    pub(crate) fn tls_expunge_all_threads() -> usize;
    pub(crate) fn tls_thread_hook(options: *const HookOptions) -> c_int;
    pub(crate) fn tls_thread_on_stale(notify: Option<Callback>, arg: *mut c_void) -> c_int;
    pub(crate) fn tls_for_each(key: Key, visit: Visit, arg: *mut c_void) -> c_int;
    pub(crate) fn tls_scrape(key: Key, take: Visit, arg: *mut c_void) -> c_int;
    pub(crate) fn tls_stats(stats: *mut Stats) -> c_int;
    pub(crate) fn tls_scope_begin(scope: *mut u64, context: *mut c_void) -> c_int;
    pub(crate) fn tls_scope_end(scope: u64) -> c_int;
    pub(crate) fn tls_context_capture(context: *mut *mut c_void) -> c_int;
    pub(crate) fn tls_context_free(context: *mut c_void);
    pub(crate) fn tls_task_create(
        task: *mut *mut c_void,
        function: Callback,
        arg: *mut c_void,
    ) -> c_int;
    pub(crate) fn tls_task_run(task: *mut c_void);
    pub(crate) fn tls_task_cancel(task: *mut c_void);
    pub(crate) fn tls_get(key: Key) -> *mut c_void;
    pub(crate) fn tls_get_existing(key: Key) -> *mut c_void;
    pub(crate) fn tls_try_get(key: Key, value: *mut *mut c_void) -> c_int;
    pub(crate) fn tls_set(key: Key, value: *mut c_void) -> c_int;
    pub(crate) fn tls_swap(key: Key, value: *mut c_void, old: *mut *mut c_void) -> c_int;
    pub(crate) fn tls_take(key: Key, old: *mut *mut c_void) -> c_int;
    pub(crate) fn tls_take_wait(key: Key, old: *mut *mut c_void, timeout: c_int) -> c_int;
    pub(crate) fn tls_remove(key: Key) -> c_int;
    pub(crate) fn tls_remove_all() -> c_int;
}

// Of the C library: what ends a thread, or runs when it ends.
extern "C" {
    pub(crate) fn pthread_exit(value: *mut c_void) -> !;
    pub(crate) fn pthread_testcancel();
    pub(crate) fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
    pub(crate) fn _pthread_cleanup_push(buffer: *mut Cleanup, routine: Callback, arg: *mut c_void);
    pub(crate) fn _pthread_cleanup_pop(buffer: *mut Cleanup, execute: c_int);
    pub(crate) fn __cxa_thread_atexit_impl(
        function: Callback,
        arg: *mut c_void,
        object: *mut c_void,
    ) -> c_int;
    pub(crate) static __dso_handle: u8;
}

/// `struct _pthread_cleanup_buffer`, of glibc: it must lie in the frame whose
/// end calls the handler.
#[repr(C)]
pub(crate) struct Cleanup([usize; 8]);

impl Cleanup {
    pub(crate) const fn new() -> Self {
        Self([0; 8])
    }
}
