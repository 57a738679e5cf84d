// SPDX-License-Identifier: MIT OR Apache-2.0
//! Explicit cleanup, and the ends of threads.

use core::ffi::{c_int, c_void};

use super::constants::{
    tls_key_t, TLS_HOOK_AFTER_VALUES, TLS_HOOK_BEFORE_VALUES, TLS_HOOK_ON_STALE, TLS_KEY_NONE,
    TLS_REASON_DETACHED, TLS_REASON_MAP_DESTROYED, TLS_REASON_THREAD_EXIT,
};
use super::{code, read_sized, versioned};
use crate::error::Error;
use crate::key;
use crate::local::hooks::Hook;
use crate::local::retire;
use crate::sys::block;
use crate::thread::attach;
use crate::thread::hooks::{self, When};

/// Destroys all stale values of the calling thread.
///
/// A value is stale when its key is dead or was purged. Call this function between a pool's tasks,
/// and before a worker goes to sleep; if nothing is stale it takes about a nanosecond. The reason
/// is TLS_REASON_KEY_DEAD or TLS_REASON_PURGED. The value that was first set last on this thread is
/// destroyed first, in whatever order the keys died, because later values may depend on earlier
/// ones. All functions that destroy stale values, and the end of the thread, use this order.
///
/// Threads: any. Blocks: no. Runs: destroy callbacks of the stale values. Signals: not safe.
/// @return The number of values that it destroyed.
/// @since 0.1.0
#[unsafe(export_name = "tlm_expunge")]
pub extern "C" fn tls_expunge() -> usize {
    match block::stale_count() {
        0 => 0,
        _ => expunge_some(usize::MAX),
    }
}

#[cold]
#[inline(never)]
fn expunge_some(budget: usize) -> usize {
    match attach::current() {
        Ok(Some(thread)) => retire::expunge(thread, thread.map(), budget),
        _ => 0,
    }
}

/// Destroys at most `budget` stale values of the calling thread.
///
/// It destroys the youngest of them, in the order of tls_expunge(). Use it in pools that must not
/// pause for long, and call it again for the rest.
///
/// @param budget The largest number of values to destroy.
///
/// Threads: any. Blocks: no. Runs: at most `budget` destroy callbacks. Signals: not safe.
/// @return The number of values that it destroyed.
/// @since 0.1.0
#[unsafe(export_name = "tlm_expunge_some")]
pub extern "C" fn tls_expunge_some(budget: usize) -> usize {
    expunge_some(budget)
}

/// Returns how many stale values the calling thread has: the number that tls_expunge() would find.
///
/// The number is exact as soon as the tls_key_release() that made the values stale has returned.
/// With this header, the function is a macro over an inlined load.
///
/// Threads: any. Blocks: no. Runs: nothing. Signals: safe.
/// @return The number of stale values.
/// @since 0.1.0
#[unsafe(export_name = "tlm_stale_count")]
pub extern "C" fn tls_stale_count() -> usize {
    block::stale_count()
}

/// Attaches the calling thread and allocates all memory that its first value needs.
///
/// This call is optional: the first tls_set() attaches the thread. After this call, tls_get() of a
/// value that was set is safe in signal handlers, and it is certain that the library detects the
/// end of the thread. If the thread is attached already, the call has no effect.
///
/// The C library runs the destructors of an ending thread's pthread keys up to four times. A value
/// that another key's destructor stores is destroyed in the next of these passes; after the last
/// pass, tls_set() returns TLS_ERR_EXITING. If a thread uses the library for the first time in one
/// of these passes, the library does not see the passes before: a value that is set in the last
/// pass is not destroyed and stays counted, and tls_key_drain() waits for it. Attach such a thread
/// before it ends.
///
/// Threads: any. Blocks: no. Runs: nothing. Signals: not safe.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
/// @retval TLS_ERR_EXITING The thread is past its last cleanup.
/// @retval TLS_ERR_LIMIT The process has no pthread key left, so the end of this thread can't be
///   detected. The thread is attached and values work, but call tls_thread_detach() before it ends.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator.
/// @since 0.1.0
#[unsafe(export_name = "tlm_thread_attach")]
pub extern "C" fn tls_thread_attach() -> c_int {
    code(attach::attach_in_full())
}

/// Does the whole cleanup of the calling thread now: calls its hooks, then destroys its values.
///
/// It does what the end of the thread would do, with TLS_REASON_DETACHED. Use it where the end of a
/// thread is not detected (before exit(), or without a pthread key), and for workers that return to
/// the pool of another library. The thread may attach again later.
///
/// Threads: any. Blocks: no. Runs: hooks and destroy callbacks. Signals: not safe.
/// @return TLS_OK, also if the thread is not attached, or an error code:
/// @retval TLS_ERR_REENTRANT Called inside a callback of this library.
/// @since 0.1.0
#[unsafe(export_name = "tlm_thread_detach")]
pub extern "C" fn tls_thread_detach() -> c_int {
    code(attach::detach())
}

/// Registers a cleanup hook that is called when the calling thread ends or is detached.
///
/// The call is equivalent to tls_thread_hook() with TLS_HOOK_BEFORE_VALUES and no owner. The hook
/// that was registered last is called first. A hook may register hooks and set values: they are
/// cleaned up in another round, in at most 4 rounds.
///
/// @param fn Called once with arg on this thread, before its values are destroyed.
/// @param arg The argument of fn. The library does not free it.
///
/// Threads: any. Blocks: no. Runs: nothing. Signals: not safe.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_INVALID fn is NULL.
/// @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
/// @retval TLS_ERR_EXITING The thread is past its last cleanup.
/// @retval TLS_ERR_LIMIT No pthread key is left, so the end of this thread can't be detected.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator.
/// @since 0.1.0
#[unsafe(export_name = "tlm_at_thread_exit")]
pub extern "C" fn tls_at_thread_exit(
    r#fn: Option<unsafe extern "C" fn(arg: *mut c_void)>,
    arg: *mut c_void,
) -> c_int {
    let function = r#fn.ok_or(Error::Invalid);
    let hook = function.map(|function| Hook { function, argument: arg, owner: TLS_KEY_NONE });
    code(hook.and_then(|hook| add_exit_hook(When::Before, hook)))
}

fn add_exit_hook(when: When, hook: Hook) -> Result<(), Error> {
    let thread = attach::attached()?;
    attach::track(thread)?;
    hooks::at_thread_exit(thread, when, hook)
}

/// Registers the waker of the calling thread, which is called when the thread gets stale values.
///
/// The call is equivalent to tls_thread_hook() with TLS_HOOK_ON_STALE and no owner, except that a
/// later call replaces the waker of an earlier one. Attaches the thread.
///
/// @param notify The waker, which is called with arg as tls_thread_hook() says. If NULL, the waker
///   is removed.
/// @param arg The argument of notify. The library does not free it.
///
/// Threads: any. Blocks: no. Runs: notify, if there are stale values. Signals: not safe.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
/// @retval TLS_ERR_EXITING The thread is past its last cleanup.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator.
/// @since 0.1.0
#[unsafe(export_name = "tlm_thread_on_stale")]
pub extern "C" fn tls_thread_on_stale(
    notify: Option<unsafe extern "C" fn(arg: *mut c_void)>,
    arg: *mut c_void,
) -> c_int {
    let hook = notify.map(|function| Hook { function, argument: arg, owner: TLS_KEY_NONE });
    code(attach::attached().and_then(|thread| hooks::on_stale(thread, hook, true)))
}

/// Describes a hook. Set the whole structure to zero, then `size`, then the members that you use.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct tls_hook_options_t {
    /// Set it to sizeof(tls_hook_options_t); the structure can grow in later versions.
    pub size: usize,
    /// TLS_HOOK_BEFORE_VALUES, TLS_HOOK_AFTER_VALUES or TLS_HOOK_ON_STALE.
    pub when: u32,
    /// Reserved for flags. It must be 0.
    pub flags: u32,
    /// The function to call. It must not throw.
    pub r#fn: Option<unsafe extern "C" fn(arg: *mut c_void)>,
    /// The argument of fn. The library does not free it.
    pub arg: *mut c_void,
    /// The key that the hook belongs to, or TLS_KEY_NONE.
    pub owner: tls_key_t,
}

versioned!(tls_hook_options_t: size, when, flags, r#fn, arg, owner);

/// Registers a hook for the calling thread.
///
/// With TLS_HOOK_BEFORE_VALUES, fn is called once on this thread, when the thread ends or is
/// detached, before its values are destroyed. With TLS_HOOK_AFTER_VALUES, it is called after they
/// have been destroyed: use this for functions like mysql_thread_end(), which end what the values
/// need. The hook that was registered last is called first. A hook may register hooks and set
/// values: they are cleaned up in another round, in at most 4 rounds. After the last round,
/// tls_set() and this function return TLS_ERR_EXITING, and the hooks that are left are still
/// called.
///
/// With TLS_HOOK_ON_STALE, fn is called whenever this thread's inbox of dead keys becomes
/// non-empty. The thread that releases the key calls it, with no lock held, so that a pool can wake
/// its idle worker to expunge. If the thread has stale values already, fn is called at once, on
/// this thread. It must return, and should be quick: it may signal a condition variable or write to
/// an eventfd. If several are registered, all are called. They are removed when the thread ends or
/// is detached.
///
/// If options->owner is a key, the hook is called only as long as this key lives. When the key has
/// died, its hooks are not called any more, on any thread, and tls_key_drain() waits until none of
/// them runs. A plug-in that is to be unloaded releases its owner key, drains it, and can then be
/// unloaded. Without an owner, arg must stay valid, and fn loaded, for as long as any thread may be
/// inside tls_key_release(), because a call may be in progress when the thread ends.
///
/// Attaches the thread.
///
/// @param options Describes the hook, and is read during the call only.
///
/// Threads: any. Blocks: no. Runs: the hook, if it is a TLS_HOOK_ON_STALE hook and there are stale
/// values. Signals: not safe.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_INVALID options or options->fn is NULL, size ends inside a member, `when` is an
///   unknown number, flags is not 0, or members that this version does not know are not 0.
/// @retval TLS_ERR_BAD_KEY The handle has never named a key.
/// @retval TLS_ERR_DEAD_KEY The key is dead.
/// @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
/// @retval TLS_ERR_EXITING The thread is past its last cleanup.
/// @retval TLS_ERR_LIMIT No pthread key is left, so the end of this thread can't be detected. Not
///   returned for a TLS_HOOK_ON_STALE hook.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator.
/// @since 0.1.0
#[unsafe(export_name = "tlm_thread_hook")]
pub unsafe extern "C" fn tls_thread_hook(options: *const tls_hook_options_t) -> c_int {
    if options.is_null() {
        return Error::Invalid.number();
    }
    // SAFETY: Not null; the caller; pointers, optional functions and numbers may all be
    // zero.
    let options = unsafe { read_sized(options) };
    code(options.and_then(|options| {
        let function = options.r#fn.filter(|_| options.flags == 0).ok_or(Error::Invalid)?;
        let hook = Hook { function, argument: options.arg, owner: options.owner };
        let when = match options.when {
            TLS_HOOK_BEFORE_VALUES => Some(When::Before),
            TLS_HOOK_AFTER_VALUES => Some(When::After),
            TLS_HOOK_ON_STALE => None,
            _ => return Err(Error::Invalid),
        };
        if hook.owner != TLS_KEY_NONE {
            key::live(hook.owner)?;
        }
        match when {
            Some(when) => add_exit_hook(when, hook),
            None => hooks::on_stale(attach::attached()?, Some(hook), false),
        }
    }))
}

/// A destroy callback that does what the destructor of a pthread key does.
///
/// Store it in tls_key_options_t.destroy, and the destructor, a void (*)(void *), in options.user.
/// When the thread of a value ends or is detached, or the map of a value is destroyed, it calls the
/// destructor with the value. If a value ends for any other reason, it does nothing. It is a part
/// of the library: after tls_key_release(), nothing of the plug-in that contained the destructor is
/// called, although its values still end.
///
/// @param value The value, passed to the destructor.
/// @param reason Why the value is destroyed, one of TLS_REASON_*.
/// @param user The destructor, a void (*)(void *).
///
/// Threads: the value's. Blocks: as the destructor does. Runs: the destructor. Signals: not safe.
/// @since 0.1.0
#[unsafe(export_name = "tlm_destroy_at_exit")]
pub unsafe extern "C" fn tls_destroy_at_exit(value: *mut c_void, reason: c_int, user: *mut c_void) {
    let at_exit = [TLS_REASON_THREAD_EXIT, TLS_REASON_DETACHED, TLS_REASON_MAP_DESTROYED];
    if user.is_null() || !at_exit.contains(&reason) {
        return;
    }
    // SAFETY: The caller: `user` is such a function; POSIX has pointers to functions that
    // fit into a pointer.
    let destructor: unsafe extern "C" fn(*mut c_void) = unsafe { core::mem::transmute(user) };
    // SAFETY: The caller: it may be called with each value of the key.
    unsafe { destructor(value) };
}

/// Returns where the hot slot of a thread is. Only the inlined calls of this header use it.
///
/// Layout 1 is {const entry *table; size_t mask; const size_t *stale}, where an entry is {uint64_t
/// key; void *value}.
///
/// Threads: any. Blocks: no. Runs: nothing. Signals: safe.
/// @return The distance from the thread pointer, which is the same for all threads; 0 if this build
///   has no hot slot, so that every get makes the call.
/// @since 0.1.0
#[unsafe(export_name = "tlm_hot_offset_v1")]
pub extern "C" fn tls_hot_offset_v1() -> isize {
    block::offset()
}
