// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C API as the Rust tests call it: the exported functions, with a `Result`
//! where C has a number. Nothing here goes past the exports.

#![allow(dead_code)] // each test uses a part

use core::ffi::{c_int, c_void};
use core::mem::size_of;
use core::ptr::{null, null_mut, NonNull};

use threadlocalmap::capi::cleanup::{
    tls_at_thread_exit, tls_expunge, tls_expunge_some, tls_stale_count, tls_thread_attach,
    tls_thread_detach, tls_thread_on_stale,
};
use threadlocalmap::capi::constants::{
    TLS_KEY_ENUMERABLE, TLS_KEY_INHERIT, TLS_KEY_WORKER, TLS_RECLAIM_ANY, TLS_RECLAIM_OWNER,
};
use threadlocalmap::capi::keys::{
    tls_key_create, tls_key_is_live, tls_key_options_t, tls_key_release, tls_key_retain,
};
use threadlocalmap::capi::maps::{
    tls_map_create, tls_map_current, tls_map_destroy, tls_map_switch, tls_map_t,
};
use threadlocalmap::capi::others::{
    tls_expunge_all_threads, tls_for_each, tls_for_each_locked, tls_key_drain, tls_key_purge,
    tls_scrape,
};
use threadlocalmap::capi::tasks::{
    tls_context_capture, tls_context_free, tls_context_t, tls_scope_begin, tls_scope_end,
    tls_task_cancel, tls_task_create, tls_task_run, tls_task_t,
};
use threadlocalmap::capi::values::{
    tls_get, tls_get_existing, tls_remove, tls_remove_all, tls_set, tls_swap, tls_take, tls_try_get,
};
use threadlocalmap::error::Error;

/// A map that threads switch to.
pub(crate) type MapPointer = NonNull<tls_map_t>;
/// A captured context.
pub(crate) type ContextPointer = NonNull<tls_context_t>;
/// A task that was not run yet.
pub(crate) type TaskPointer = NonNull<tls_task_t>;
/// What a hook, a waker and a task are.
pub(crate) type Function = unsafe extern "C" fn(argument: *mut c_void);
/// What a visit calls with each value.
pub(crate) type Visit =
    unsafe extern "C" fn(value: *mut c_void, thread: u64, argument: *mut c_void) -> c_int;
/// What makes a first value.
pub(crate) type Init = unsafe extern "C" fn(value: *mut *mut c_void, user: *mut c_void) -> c_int;

/// Who may do what to the values of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) any: bool,
    pub(crate) enumerable: bool,
    pub(crate) worker: bool,
    pub(crate) inherit: bool,
}

/// Options of a key that has no name, no callbacks and no flags.
pub(crate) fn no_options() -> tls_key_options_t {
    tls_key_options_t {
        size: size_of::<tls_key_options_t>(),
        name: null(),
        destroy: None,
        init: None,
        copy: None,
        user: null_mut(),
        user_free: None,
        reclaim: TLS_RECLAIM_OWNER,
        flags: 0,
    }
}

/// The same options with these rules.
pub(crate) fn with_rules(options: tls_key_options_t, rules: Rules) -> tls_key_options_t {
    let flag = |condition: bool, flag: u32| if condition { flag } else { 0 };
    tls_key_options_t {
        reclaim: if rules.any { TLS_RECLAIM_ANY } else { TLS_RECLAIM_OWNER },
        flags: flag(rules.enumerable, TLS_KEY_ENUMERABLE)
            | flag(rules.worker, TLS_KEY_WORKER)
            | flag(rules.inherit, TLS_KEY_INHERIT),
        ..options
    }
}

/// What a call returned, as a result.
fn result(code: c_int) -> Result<(), Error> {
    match code {
        0 => Ok(()),
        code => {
            Err(Error::from_number(code).unwrap_or_else(|| panic!("no error has number {code}")))
        }
    }
}

/// A result with what the call stored in its out-parameter.
fn result_with<T>(start: T, call: impl FnOnce(&mut T) -> c_int) -> Result<T, Error> {
    let mut out = start;
    result(call(&mut out)).map(|()| out)
}

fn pointer<T>(made: Result<*mut T, Error>) -> Result<NonNull<T>, Error> {
    made.map(|made| NonNull::new(made).expect("a call that succeeds stores a pointer"))
}

fn raw<T>(pointer: Option<NonNull<T>>) -> *mut T {
    pointer.map_or(null_mut(), NonNull::as_ptr)
}

// ---- Keys -----------------------------------------------------------------------

pub(crate) fn create(options: &tls_key_options_t) -> Result<u64, Error> {
    // SAFETY: Both can be used during the call.
    result_with(0, |key| unsafe { tls_key_create(key, options) })
}

pub(crate) fn retain(key: u64) -> Result<(), Error> {
    result(tls_key_retain(key))
}

pub(crate) fn release(key: u64) -> Result<(), Error> {
    result(tls_key_release(key))
}

pub(crate) fn is_live(key: u64) -> bool {
    tls_key_is_live(key)
}

// ---- Values ---------------------------------------------------------------------

pub(crate) fn get(key: u64) -> *mut c_void {
    tls_get(key)
}

pub(crate) fn get_existing(key: u64) -> *mut c_void {
    tls_get_existing(key)
}

pub(crate) fn try_get(key: u64) -> Result<*mut c_void, Error> {
    // SAFETY: It can be written.
    result_with(null_mut(), |value| unsafe { tls_try_get(key, value) })
}

pub(crate) fn set(key: u64, value: *mut c_void) -> Result<(), Error> {
    result(tls_set(key, value))
}

pub(crate) fn swap(key: u64, value: *mut c_void) -> Result<*mut c_void, Error> {
    // SAFETY: It can be written.
    result_with(null_mut(), |old| unsafe { tls_swap(key, value, old) })
}

pub(crate) fn take(key: u64) -> Result<*mut c_void, Error> {
    // SAFETY: It can be written.
    result_with(null_mut(), |old| unsafe { tls_take(key, old) })
}

pub(crate) fn remove(key: u64) -> Result<(), Error> {
    result(tls_remove(key))
}

pub(crate) fn remove_all() -> Result<(), Error> {
    result(tls_remove_all())
}

// ---- Stale values, and the thread -------------------------------------------------

pub(crate) fn stale_count() -> usize {
    tls_stale_count()
}

pub(crate) fn expunge() -> usize {
    tls_expunge()
}

pub(crate) fn expunge_some(budget: usize) -> usize {
    tls_expunge_some(budget)
}

pub(crate) fn expunge_all_threads() -> usize {
    tls_expunge_all_threads()
}

pub(crate) fn on_stale(notify: Option<Function>, argument: *mut c_void) -> Result<(), Error> {
    result(tls_thread_on_stale(notify, argument))
}

pub(crate) fn at_thread_exit(hook: Function, argument: *mut c_void) -> Result<(), Error> {
    result(tls_at_thread_exit(Some(hook), argument))
}

pub(crate) fn attach() -> Result<(), Error> {
    result(tls_thread_attach())
}

pub(crate) fn detach() -> Result<(), Error> {
    result(tls_thread_detach())
}

// ---- All threads' values of a key ---------------------------------------------------

pub(crate) fn purge(key: u64) -> Result<usize, Error> {
    // SAFETY: It can be written.
    result_with(0, |destroyed| unsafe { tls_key_purge(key, destroyed) })
}

/// Looks once, without waiting. How many threads still have a value.
pub(crate) fn drain(key: u64) -> Result<usize, Error> {
    let mut left = 0;
    // SAFETY: It can be written.
    match result(unsafe { tls_key_drain(key, 0, &mut left) }) {
        Ok(()) => {
            assert_eq!(left, 0, "a drain that succeeds leaves nothing");
            Ok(0)
        }
        Err(Error::Timeout) => {
            assert_ne!(left, 0, "a drain that fails leaves something");
            Ok(left)
        }
        Err(error) => Err(error),
    }
}

pub(crate) fn for_each(key: u64, visit: Visit, argument: *mut c_void) -> Result<(), Error> {
    result(tls_for_each(key, Some(visit), argument))
}

pub(crate) fn for_each_locked(key: u64, visit: Visit, argument: *mut c_void) -> Result<(), Error> {
    result(tls_for_each_locked(key, Some(visit), argument))
}

pub(crate) fn scrape(key: u64, take: Visit, argument: *mut c_void) -> Result<(), Error> {
    result(tls_scrape(key, Some(take), argument))
}

// ---- Maps -----------------------------------------------------------------------

pub(crate) fn create_map() -> Result<MapPointer, Error> {
    // SAFETY: It can be written.
    pointer(result_with(null_mut(), |map| unsafe { tls_map_create(map) }))
}

/// Switches to a map; `None`: the thread's own. Returns the one before.
///
/// # Safety
///
/// It is not destroyed yet.
pub(crate) unsafe fn switch_map(map: Option<MapPointer>) -> Result<Option<MapPointer>, Error> {
    // SAFETY: The caller's premise; and it can be written.
    result_with(null_mut(), |before| unsafe { tls_map_switch(raw(map), before) }).map(NonNull::new)
}

/// # Safety
///
/// It is not destroyed yet.
pub(crate) unsafe fn destroy_map(map: MapPointer) -> Result<(), Error> {
    // SAFETY: The caller's premise.
    result(unsafe { tls_map_destroy(map.as_ptr()) })
}

pub(crate) fn current_map() -> Option<MapPointer> {
    NonNull::new(tls_map_current())
}

// ---- Scopes, contexts, tasks --------------------------------------------------------

/// Begins a scope, with a context's values or without.
///
/// # Safety
///
/// The context lives.
pub(crate) unsafe fn begin_scope(context: Option<ContextPointer>) -> Result<u64, Error> {
    // SAFETY: The caller's premise; and it can be written.
    result_with(0, |scope| unsafe { tls_scope_begin(scope, raw(context)) })
}

pub(crate) fn end_scope(scope: u64) -> Result<(), Error> {
    result(tls_scope_end(scope))
}

pub(crate) fn capture() -> Result<ContextPointer, Error> {
    // SAFETY: It can be written.
    pointer(result_with(null_mut(), |context| unsafe { tls_context_capture(context) }))
}

/// # Safety
///
/// It is not freed yet, and nobody uses it.
pub(crate) unsafe fn free_context(context: ContextPointer) {
    // SAFETY: The caller's premise.
    unsafe { tls_context_free(context.as_ptr()) };
}

pub(crate) fn create_task(function: Function, argument: *mut c_void) -> Result<TaskPointer, Error> {
    // SAFETY: It can be written.
    pointer(result_with(null_mut(), |task| unsafe {
        tls_task_create(task, Some(function), argument)
    }))
}

/// # Safety
///
/// It is neither run nor cancelled yet.
pub(crate) unsafe fn run_task(task: TaskPointer) {
    // SAFETY: The caller's premise.
    unsafe { tls_task_run(task.as_ptr().cast()) };
}

/// # Safety
///
/// It is neither run nor cancelled yet.
pub(crate) unsafe fn cancel_task(task: TaskPointer) {
    // SAFETY: The caller's premise.
    unsafe { tls_task_cancel(task.as_ptr()) };
}
