// SPDX-License-Identifier: MIT OR Apache-2.0
//! The calling thread's values.

use core::ffi::{c_int, c_void};
use core::ptr::null_mut;

use super::constants::tls_key_t;
use super::{code, store, TLS_OK};
use crate::error::Error;
use crate::key;
use crate::local::record::RecordPointer;
use crate::local::thread::Thread;
use crate::thread::values::{self, Over};
use crate::thread::{attach, drain, take_all};

/// Returns the calling thread's value under a key; if there is none, makes one with the key's init
/// callback and stores it.
///
/// The value stays the library's: it is destroyed when it is replaced or removed, when its key
/// dies, or when its thread ends. The function returns NULL if the value is NULL, if the key has no
/// init callback and the thread no value, and on every error: use tls_try_get() to tell these
/// apart. If the key has died on another thread, it may return the value that this thread has not
/// expunged yet; it never returns the value of another key.
///
/// With this header, the function is a macro over an inlined look-up, and only a miss makes the
/// call. To make the call always, write (tls_get)(key), or define TLS_NO_INLINE before you include
/// the header.
///
/// @param key The key.
///
/// Threads: any. Blocks: no. Runs: nothing on a hit; on a miss, destroys at most 8 stale values
/// before it looks again, then runs init. Signals: a hit is safe on an attached thread; anything
/// else is not safe.
/// @return The value, or NULL.
/// @since 0.1.0
#[unsafe(export_name = "tlm_get")]
pub extern "C" fn tls_get(key: tls_key_t) -> *mut c_void {
    match values::hit(key) {
        Some(value) => value,
        None => get_after_miss(key),
    }
}

// Of a key that does not stand at its home.
#[cold]
#[inline(never)]
fn get_after_miss(key: tls_key_t) -> *mut c_void {
    get_anywhere(key).unwrap_or(null_mut())
}

// The thread is attached when a value is to be made.
fn get_anywhere(key: tls_key_t) -> Result<*mut c_void, Error> {
    if let Some(value) = values::hit_anywhere(key) {
        return Ok(value);
    }
    let thread = match attach::current()? {
        Some(thread) => thread,
        None if values::makes_values(key)? => attach::attached()?,
        None => return Err(Error::Absent),
    };
    values::get_absent(thread, key)
}

/// Returns the calling thread's value under a key, or NULL; it never runs init.
///
/// Otherwise it does what tls_get() does, and is inlined in the same way. It allocates nothing.
///
/// @param key The key.
///
/// Threads: any. Blocks: no. Runs: nothing. Signals: safe on an attached thread.
/// @return The value, or NULL.
/// @since 0.1.0
#[unsafe(export_name = "tlm_get_existing")]
pub extern "C" fn tls_get_existing(key: tls_key_t) -> *mut c_void {
    match values::hit(key) {
        Some(value) => value,
        None => get_existing_after_miss(key),
    }
}

#[cold]
#[inline(never)]
fn get_existing_after_miss(key: tls_key_t) -> *mut c_void {
    values::hit_anywhere(key).unwrap_or(null_mut())
}

/// Does what tls_get() does, and returns a code for every outcome.
///
/// @param key A live key.
/// @param[out] value Receives the value, which stays the library's.
///
/// Threads: any. Blocks: no. Runs: nothing on a hit; on a miss, destroys at most 8 stale values
/// before it looks again, then runs init. Signals: not safe.
/// @return TLS_OK, also for a stored NULL, or an error code:
/// @retval TLS_ERR_ABSENT There is no value, and the key has no init callback.
/// @retval TLS_ERR_INIT The init callback failed, and nothing was stored.
/// @retval TLS_ERR_REENTRANT Called by this key's init callback on this thread, which has no value
///   yet, or called by the memory allocator.
/// @retval TLS_ERR_BAD_KEY The handle has never named a key.
/// @retval TLS_ERR_DEAD_KEY The key is dead.
/// @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
/// @retval TLS_ERR_EXITING The thread is past its last cleanup. The init callback was not run.
/// @retval TLS_ERR_INVALID value is NULL.
/// @since 0.1.0
#[unsafe(export_name = "tlm_try_get")]
pub unsafe extern "C" fn tls_try_get(key: tls_key_t, value: *mut *mut c_void) -> c_int {
    // SAFETY: The caller: null, or it can be written.
    unsafe { store(value, || key::live(key).and_then(|_| get_anywhere(key))) }
}

/// Stores a value for the calling thread and destroys the value that it replaces.
///
/// The value that was there is destroyed (TLS_REASON_REPLACED), unless it is the same pointer. The
/// first set on a thread attaches the thread. Inside a scope, a value that was set outside of it is
/// not replaced but shadowed, until the scope ends (tls_scope_begin()). If one of the callbacks of
/// stale values ends the thread, the value was not stored, and stays yours.
///
/// @param key A live key.
/// @param value The value, which belongs to the library from now on: the library destroys it with
///   the key's destroy callback. If the call fails, it stays yours. NULL is a value, and is never
///   passed to destroy.
///
/// Threads: any. Blocks: no. Runs: destroys at most 8 stale values, if it has more to do than
/// exchange a value; then runs the destroy callback of the replaced value. Signals: not safe.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_BAD_KEY The handle has never named a key.
/// @retval TLS_ERR_DEAD_KEY The key is dead.
/// @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
/// @retval TLS_ERR_EXITING The thread is past its last cleanup.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator.
/// @since 0.1.0
#[unsafe(export_name = "tlm_set")]
pub extern "C" fn tls_set(key: tls_key_t, value: *mut c_void) -> c_int {
    match values::set_over(key, value) {
        Over::Stored => TLS_OK,
        Over::Failed(error) => error.number(),
        Over::Replaced(record, old) => destroy_replaced(record, old),
        Over::Absent => set_absent(key, value),
        Over::Slow => set(key, value),
    }
}

#[inline(never)]
fn destroy_replaced(record: RecordPointer, old: *mut c_void) -> c_int {
    // The thread has a value, so it is attached.
    code(attach::attached().map(|thread| values::destroy_replaced(thread, record, old)))
}

// Of a key that the thread has no value of.
#[inline(never)]
fn set_absent(key: tls_key_t, value: *mut c_void) -> c_int {
    match attach::ready() {
        Some(thread) => code(values::set_absent(thread, key, value)),
        None => set(key, value),
    }
}

#[inline(never)]
fn set(key: tls_key_t, value: *mut c_void) -> c_int {
    code(attached_for(key).and_then(|thread| values::set(thread, key, value)))
}

// The calling thread, to store something under a key: a wrong key is refused before
// a late thread.
fn attached_for(key: tls_key_t) -> Result<&'static Thread, Error> {
    match attach::current()? {
        Some(thread) => Ok(thread),
        None => key::live(key).and_then(|_| attach::attached()),
    }
}

/// Stores a value for the calling thread and hands the old one over.
///
/// @param key A live key.
/// @param value As in tls_set().
/// @param[out] old Receives the value that was there, which is yours from now on and is not
///   destroyed. It receives NULL if there was none, or if it was set outside of the open scope,
///   because such a value is shadowed and not handed over.
///
/// Threads: any. Blocks: no. Runs: destroys at most 8 stale values, as tls_set() does. Signals: not
/// safe.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_INVALID old is NULL.
/// @retval TLS_ERR_BUSY The value is being visited by tls_for_each(). tls_swap_wait() waits for the
///   end of the visit.
/// @retval TLS_ERR_BAD_KEY The handle has never named a key.
/// @retval TLS_ERR_DEAD_KEY The key is dead.
/// @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
/// @retval TLS_ERR_EXITING The thread is past its last cleanup.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator.
/// @since 0.1.0
#[unsafe(export_name = "tlm_swap")]
pub unsafe extern "C" fn tls_swap(
    key: tls_key_t,
    value: *mut c_void,
    old: *mut *mut c_void,
) -> c_int {
    let swap = || attached_for(key).and_then(|thread| values::swap(thread, key, value));
    // SAFETY: The caller: null, or it can be written.
    unsafe { store(old, swap) }
}

/// Removes the calling thread's value and hands it over.
///
/// @param key A live key.
/// @param[out] old Receives the value, which is yours from now on and is not destroyed. It receives
///   NULL if the value was set outside of the open scope, because such a value is shadowed and not
///   handed over.
///
/// Threads: any. Blocks: no. Runs: nothing. Signals: not safe.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_ABSENT There is no value.
/// @retval TLS_ERR_INVALID old is NULL.
/// @retval TLS_ERR_BUSY The value is being visited by tls_for_each(). tls_take_wait() waits for the
///   end of the visit.
/// @retval TLS_ERR_BAD_KEY The handle has never named a key.
/// @retval TLS_ERR_DEAD_KEY The key is dead.
/// @retval TLS_ERR_NO_MEMORY Inside a scope only: shadowing a value takes a little memory.
/// @retval TLS_ERR_EXITING Inside a scope only: the scope is destroying its last values, and can
///   shadow none.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator.
/// @since 0.1.0
#[unsafe(export_name = "tlm_take")]
pub unsafe extern "C" fn tls_take(key: tls_key_t, old: *mut *mut c_void) -> c_int {
    let take = || attach::current().and_then(|thread| values::take(thread, key));
    // SAFETY: The caller: null, or it can be written.
    unsafe { store(old, take) }
}

/// Does what tls_swap() does, and waits while another thread visits the value.
///
/// New visits may begin during the wait, so with many visitors it can be long.
///
/// @param key A live key.
/// @param value As in tls_swap().
/// @param[out] old As in tls_swap().
/// @param timeout_ms How many milliseconds to wait; 0 does not wait, and a negative number waits
///   without a limit.
///
/// Threads: any. Blocks: yes, and is a cancellation point (pthread_cancel()). Runs: what tls_swap()
/// runs. Signals: not safe.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_TIMEOUT The time limit expired.
/// @retval TLS_ERR_REENTRANT Called inside a callback of this library, which may be the visitor, or
///   by the memory allocator.
/// @retval TLS_ERR_INVALID old is NULL.
/// @retval TLS_ERR_BAD_KEY The handle has never named a key.
/// @retval TLS_ERR_DEAD_KEY The key is dead.
/// @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
/// @retval TLS_ERR_EXITING The thread is past its last cleanup.
/// @since 0.1.0
#[unsafe(export_name = "tlm_swap_wait")]
pub unsafe extern "C" fn tls_swap_wait(
    key: tls_key_t,
    value: *mut c_void,
    old: *mut *mut c_void,
    timeout_ms: c_int,
) -> c_int {
    let swap = || {
        let thread = attached_for(key)?;
        drain::when_unvisited(timeout_ms, || values::swap(thread, key, value))
    };
    // SAFETY: The caller: null, or it can be written.
    unsafe { store(old, swap) }
}

/// Does what tls_take() does, and waits while another thread visits the value.
///
/// @param key A live key.
/// @param[out] old As in tls_take().
/// @param timeout_ms As in tls_swap_wait().
///
/// Threads: any. Blocks: yes, and is a cancellation point (pthread_cancel()). Runs: nothing.
/// Signals: not safe.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_TIMEOUT The time limit expired.
/// @retval TLS_ERR_REENTRANT Called inside a callback of this library, which may be the visitor, or
///   by the memory allocator.
/// @retval TLS_ERR_ABSENT There is no value.
/// @retval TLS_ERR_INVALID old is NULL.
/// @retval TLS_ERR_BAD_KEY The handle has never named a key.
/// @retval TLS_ERR_DEAD_KEY The key is dead.
/// @retval TLS_ERR_NO_MEMORY Inside a scope only: shadowing a value takes a little memory.
/// @retval TLS_ERR_EXITING Inside a scope only: the scope is destroying its last values, and can
///   shadow none.
/// @since 0.1.0
#[unsafe(export_name = "tlm_take_wait")]
pub unsafe extern "C" fn tls_take_wait(
    key: tls_key_t,
    old: *mut *mut c_void,
    timeout_ms: c_int,
) -> c_int {
    let take = || {
        let thread = attach::current()?;
        drain::when_unvisited(timeout_ms, || values::take(thread, key))
    };
    // SAFETY: The caller: null, or it can be written.
    unsafe { store(old, take) }
}

/// Removes the calling thread's value and destroys it (TLS_REASON_REMOVED).
///
/// The next tls_get() runs init again. The memory that setting the value again needs is kept.
/// Inside a scope, a value that was set outside of it is shadowed instead, until the scope ends.
///
/// @param key A live key.
///
/// Threads: any. Blocks: no. Runs: the destroy callback of the value. Signals: not safe.
/// @return TLS_OK, also if there is no value, or an error code:
/// @retval TLS_ERR_BAD_KEY The handle has never named a key.
/// @retval TLS_ERR_DEAD_KEY The key is dead.
/// @retval TLS_ERR_NO_MEMORY Inside a scope only: shadowing a value takes a little memory.
/// @retval TLS_ERR_EXITING Inside a scope only: the scope is destroying its last values, and can
///   shadow none.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator.
/// @since 0.1.0
#[unsafe(export_name = "tlm_remove")]
pub extern "C" fn tls_remove(key: tls_key_t) -> c_int {
    code(attach::current().and_then(|thread| values::remove(thread, key)))
}

/// Removes and destroys all values of the calling thread.
///
/// The values are destroyed in the reverse order of their first set, each with TLS_REASON_REMOVED,
/// or with TLS_REASON_KEY_DEAD if its key is dead. Values that destroy callbacks set meanwhile
/// stay. The thread stays attached. Inside a scope, values that were set outside of it are shadowed
/// instead, until the scope ends, and values of TLS_KEY_WORKER keys are destroyed after the scope's
/// own.
///
/// Threads: any. Blocks: no. Runs: destroy callbacks. Signals: not safe.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_NO_MEMORY Inside a scope only. Nothing was removed.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator.
/// @since 0.1.0
#[unsafe(export_name = "tlm_remove_all")]
pub extern "C" fn tls_remove_all() -> c_int {
    code(attach::current().and_then(|thread| thread.map_or(Ok(()), values::remove_all)))
}

/// Called with one value of the calling thread. It must not throw.
///
/// @param key The key of the value; dead or purged if the value is stale.
/// @param value The value, which is yours from then on.
/// @param arg The `arg` of tls_take_all().
#[allow(non_camel_case_types)]
pub type tls_take_fn =
    Option<unsafe extern "C" fn(key: tls_key_t, value: *mut c_void, arg: *mut c_void)>;

/// Hands over every value of the calling thread, without destroying any.
///
/// Use it in the child of a fork, whose values are the parent's to destroy, and in a process that
/// is about to exit without its destroy callbacks: take may free the values, or only count them.
/// The youngest value comes first. Values that scopes shadow, stored NULLs and stale values are
/// handed over as well; the key of a stale value is dead or was purged. Values that take sets
/// meanwhile stay. Scopes stay open, and the thread stays attached. take may call any function of
/// this library, and may end the thread.
///
/// @param take Called with each value, which is yours from then on.
/// @param arg Passed to take.
///
/// Threads: any. Blocks: no. Runs: take, and the user_free of a key whose last value was handed
/// over. Signals: not safe.
/// @return TLS_OK, also if the thread is not attached, or an error code:
/// @retval TLS_ERR_INVALID take is NULL.
/// @retval TLS_ERR_BUSY Some values are being visited by tls_for_each(), or, in the child of a
///   fork, by the visitor that forked. Those stay, and all others were handed over.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator.
/// @since 0.1.0
#[unsafe(export_name = "tlm_take_all")]
pub extern "C" fn tls_take_all(take: tls_take_fn, arg: *mut c_void) -> c_int {
    let take = take.ok_or(Error::Invalid);
    code(take.and_then(|take| match attach::current()? {
        Some(thread) => take_all::take_all(thread, take, arg),
        None => Ok(()),
    }))
}
