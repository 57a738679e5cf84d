// SPDX-License-Identifier: MIT OR Apache-2.0
//! Other threads' values.

use core::ffi::{c_int, c_void};

use super::constants::{tls_key_t, TLS_ERR_TIMEOUT, TLS_OK};
use super::{number, store_if_wanted};
use crate::error::Error;
use crate::thread::{attach, drain, expunge, visit, visit_locked};

/// Destroys the stale values that the calling thread may destroy, and wakes the owners of the rest.
///
/// It destroys the calling thread's own stale values, as tls_expunge() does. Values of
/// TLS_RECLAIM_ANY keys never stay stale, because the thread that releases the key destroys them.
/// It then calls, on this thread, the waker of every other thread that has stale values
/// (tls_thread_on_stale()).
///
/// Threads: any. Blocks: no. Runs: destroy callbacks, and wakers. Signals: not safe.
/// @return The number of values that it destroyed.
/// @since 0.1.0
#[unsafe(export_name = "tlm_expunge_all_threads")]
pub extern "C" fn tls_expunge_all_threads() -> usize {
    attach::current().map_or(0, expunge::expunge_all_threads)
}

/// Ends every thread's value under a live key; the key stays live.
///
/// Use it to trim a cache, or when its contents have become invalid. The next tls_get() on each
/// thread finds no value and runs init again. Each value is destroyed with TLS_REASON_PURGED:
///
/// * Values of a TLS_RECLAIM_ANY key are destroyed on the calling thread, before this function
///   returns. Values that threads set meanwhile, or that their owner is destroying, are left out.
/// * Values of a TLS_KEY_ENUMERABLE key are destroyed on their own threads. The values of all other
///   threads become stale at one instant, and no tls_get() finds them any more. Each thread
///   destroys its own when it next expunges; the threads' wakers are called, as by
///   tls_expunge_all_threads(). The calling thread's own values are destroyed before this function
///   returns. A value that is being visited is destroyed after the visit.
///
/// A key that is neither can't be purged, because other threads do not reach its values. Captured
/// values (tls_context_capture()) stay.
///
/// The owners of the values are not asked. Under a TLS_RECLAIM_ANY key, a thread that is using its
/// value must hold it: for example by a count of references in the value, or by tls_take() and a
/// later tls_set(). Under the other kind of key, a thread that is using its value may continue
/// until it calls a function that destroys stale values, as after any release.
///
/// @param key A live key that is TLS_RECLAIM_ANY or TLS_KEY_ENUMERABLE.
/// @param[out] destroyed If not NULL, receives how many values were destroyed or have become stale.
///
/// Threads: any; a TLS_RECLAIM_ANY key attaches the thread. Blocks: no. Runs: destroy callbacks,
/// and wakers. Signals: not safe.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_INVALID The key is neither TLS_RECLAIM_ANY nor TLS_KEY_ENUMERABLE.
/// @retval TLS_ERR_BAD_KEY The handle has never named a key.
/// @retval TLS_ERR_DEAD_KEY The key is dead.
/// @retval TLS_ERR_BUSY A TLS_RECLAIM_ANY key only: its values are being visited, taken or purged.
/// @retval TLS_ERR_NO_MEMORY A TLS_RECLAIM_ANY key only: memory could not be allocated.
/// @retval TLS_ERR_EXITING A TLS_RECLAIM_ANY key only: the thread is past its last cleanup.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator.
/// @since 0.1.0
#[unsafe(export_name = "tlm_key_purge")]
pub unsafe extern "C" fn tls_key_purge(key: tls_key_t, destroyed: *mut usize) -> c_int {
    let purged = attach::current().and_then(|it| visit::purge(it, attach::attached, key));
    // SAFETY: The caller: null, or it can be written.
    unsafe { store_if_wanted(destroyed, purged) }
}

/// Waits until no thread has a value under the key, and every callback for it has returned.
///
/// Call it for a released key before dlclose() unloads the code of its callbacks. It destroys the
/// calling thread's own stale values and nothing else: the other threads must expunge or end
/// (tls_thread_on_stale() can wake them). For a live key it waits until every thread has removed
/// its value.
///
/// @param key The key, dead or live.
/// @param timeout_ms How many milliseconds to wait; 0 only looks, and a negative number waits
///   without a limit.
/// @param[out] left If not NULL, receives how many threads still have a value, or are about to
///   release the key or are visiting it; also with TLS_ERR_TIMEOUT.
///
/// Threads: any. Blocks: yes, and is a cancellation point (pthread_cancel()). Runs: destroy
/// callbacks of the calling thread's stale values. Signals: not safe.
/// @return TLS_OK if no thread has a value, or an error code:
/// @retval TLS_ERR_TIMEOUT The time limit expired before every thread was done.
/// @retval TLS_ERR_BAD_KEY The handle has never named a key.
/// @retval TLS_ERR_REENTRANT Called inside a callback of this library.
/// @since 0.1.0
#[unsafe(export_name = "tlm_key_drain")]
pub unsafe extern "C" fn tls_key_drain(
    key: tls_key_t,
    timeout_ms: c_int,
    left: *mut usize,
) -> c_int {
    let drained = attach::current().and_then(|thread| drain::drain(thread, key, timeout_ms));
    let count = drained.map(|count| count as usize);
    // SAFETY: The caller: null, or it can be written.
    match unsafe { store_if_wanted(left, count) } {
        TLS_OK if count != Ok(0) => TLS_ERR_TIMEOUT,
        code => code,
    }
}

/// Called with one thread's value. It must return, and must not throw.
///
/// @param value The value; a stored NULL is a value too.
/// @param thread The operating system's number of the thread that has the value; 0 if its map is
///   attached to none.
/// @param arg The `arg` of the function that was called.
///
/// @return 0 to continue, any other number to stop.
#[allow(non_camel_case_types)]
pub type tls_visit_fn =
    Option<unsafe extern "C" fn(value: *mut c_void, thread: u64, arg: *mut c_void) -> c_int>;

/// Calls `visit` with every thread's value under a TLS_KEY_ENUMERABLE key.
///
/// No lock is held: visit may call any function of this library, and other threads continue
/// meanwhile. The value that visit is called with is not destroyed before visit returns: if its
/// thread replaces or removes it, or ends, its destruction is deferred. It is then destroyed on the
/// value's thread, when that next expunges; or on the visiting thread, if the key is
/// TLS_RECLAIM_ANY or the value's thread has ended. A stored NULL is a value, and is visited. The
/// library does not synchronise access to the bytes of a value, which its thread may be writing:
/// use atomics. Attaches the calling thread.
///
/// If visit returns a number other than 0, the visit stops, and the function returns that number.
/// Use a positive one, because this library's errors are negative.
///
/// @param key A live TLS_KEY_ENUMERABLE key.
/// @param visit Called with each value.
/// @param arg Passed to visit.
///
/// Threads: any. Blocks: no. Runs: visit, and destroy callbacks that were deferred. Signals: not
/// safe.
/// @return TLS_OK, the number with which visit has stopped, or an error code:
/// @retval TLS_ERR_INVALID visit is NULL, or the key is not enumerable.
/// @retval TLS_ERR_BUSY Values of the key are being purged or taken, by another thread or in an
///   outer call on this one. Try again later.
/// @retval TLS_ERR_BAD_KEY The handle has never named a key.
/// @retval TLS_ERR_DEAD_KEY The key is dead.
/// @retval TLS_ERR_LIMIT 1,022 threads are visiting the key's values.
/// @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
/// @retval TLS_ERR_EXITING The thread is past its last cleanup.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator.
/// @since 0.1.0
#[unsafe(export_name = "tlm_for_each")]
pub extern "C" fn tls_for_each(key: tls_key_t, visit: tls_visit_fn, arg: *mut c_void) -> c_int {
    let visit = visit.ok_or(Error::Invalid);
    number(visit.and_then(|visit| {
        attach::current()?;
        visit::for_each(attach::attached, key, false, visit, arg)
    }))
}

/// Calls `visit` with every thread's value under a TLS_KEY_ENUMERABLE key, as all values are at one
/// instant.
///
/// Use it for a sum that must be exact. From the first call of visit to the last, no value of the
/// key is set, replaced or removed, and no thread that has one ends: threads that try wait. A
/// tls_get() waits only if it would make a value. A stored NULL is a value, and is visited. The
/// library does not synchronise access to the bytes of a value, which its thread may be writing:
/// use atomics. Attaches the calling thread.
///
/// Locks are held while visit runs, so visit should be short. It must not wait for a thread that
/// may be inside this library. Of this library it may call only tls_get(), tls_try_get(),
/// tls_get_existing(), tls_stale_count(), tls_key_is_live() and tls_key_retain(), of which none
/// makes a value there: other calls return TLS_ERR_REENTRANT or have no effect. Use tls_for_each()
/// if visit needs more.
///
/// If visit returns a number other than 0, the visit stops, and the function returns that number.
/// Use a positive one, because this library's errors are negative. If visit ends the thread, the
/// visit ends. If visit forks, the visit continues in the parent; in the child it ends when visit
/// returns.
///
/// @param key A live TLS_KEY_ENUMERABLE key.
/// @param visit Called with each value.
/// @param arg Passed to visit.
///
/// Threads: any. Blocks: while another thread is inside this function. Runs: visit. Signals: not
/// safe.
/// @return TLS_OK, the number with which visit has stopped, or an error code:
/// @retval TLS_ERR_INVALID visit is NULL, or the key is not enumerable.
/// @retval TLS_ERR_BAD_KEY The handle has never named a key.
/// @retval TLS_ERR_DEAD_KEY The key is dead.
/// @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
/// @retval TLS_ERR_EXITING The thread is past its last cleanup.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator, or by a visitor of this function.
/// @since 0.1.0
#[unsafe(export_name = "tlm_for_each_locked")]
pub extern "C" fn tls_for_each_locked(
    key: tls_key_t,
    visit: tls_visit_fn,
    arg: *mut c_void,
) -> c_int {
    let visit = visit.ok_or(Error::Invalid);
    number(visit.and_then(|visit| {
        attach::current()?;
        visit_locked::for_each(attach::attached, key, visit, arg)
    }))
}

/// Takes every thread's value under a TLS_KEY_ENUMERABLE key out, and hands each to `take`, which
/// owns it from then on.
///
/// No lock is held, and no value is destroyed. The threads have no value afterwards: their next
/// tls_get() runs init again. A thread that is using its value at this moment must learn of this by
/// your own means. A stored NULL is a value, and is handed over. Attaches the calling thread.
///
/// If take returns a number other than 0, the remaining values stay where they are, and the
/// function returns that number. Use a positive one, because this library's errors are negative.
///
/// @param key A live TLS_KEY_ENUMERABLE key.
/// @param take Called with each value, which is its own from then on.
/// @param arg Passed to take.
///
/// Threads: any. Blocks: no. Runs: take. Signals: not safe.
/// @return TLS_OK, the number with which take has stopped, or an error code:
/// @retval TLS_ERR_INVALID take is NULL, or the key is not enumerable.
/// @retval TLS_ERR_BUSY Values of the key are being visited, taken or purged. Try again later.
/// @retval TLS_ERR_BAD_KEY The handle has never named a key.
/// @retval TLS_ERR_DEAD_KEY The key is dead.
/// @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
/// @retval TLS_ERR_EXITING The thread is past its last cleanup.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator.
/// @since 0.1.0
#[unsafe(export_name = "tlm_scrape")]
pub extern "C" fn tls_scrape(key: tls_key_t, take: tls_visit_fn, arg: *mut c_void) -> c_int {
    let take = take.ok_or(Error::Invalid);
    number(take.and_then(|take| {
        attach::current()?;
        visit::for_each(attach::attached, key, true, take, arg)
    }))
}
