//! Other threads' values.

use core::ffi::{c_int, c_void};

use super::constants::{tls_key_t, TLS_ERR_TIMEOUT, TLS_OK};
use super::{number, store_if_wanted};
use crate::error::Error;
use crate::thread::{attach, drain, expunge, visit, visit_locked};

/// Destroys whatever is stale, as far as the calling thread may, and wakes the
/// owners of the rest.
///
/// The calling thread's own stale values are destroyed, as by tls_expunge().
/// Values under TLS_RECLAIM_ANY keys never stay stale: the releasing thread has
/// destroyed them. Every other thread that has stale values and has a waker
/// (tls_thread_on_stale) is woken, by this thread.
///
/// Threads: any. Blocks: no, but runs callbacks. Signals: not safe.
/// Returns how many values it destroyed.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_expunge_all_threads() -> usize {
    attach::current().map_or(0, expunge::expunge_all_threads)
}

/// Ends every thread's value under a live key; the key stays live.
///
/// For a cache that is to be trimmed, or that something has made invalid. The next
/// tls_get() on each thread finds no value, so it runs init again. Each value is
/// destroyed with TLS_REASON_PURGED:
///
/// * under a TLS_RECLAIM_ANY key on the calling thread, before this returns. Values
///   that threads set meanwhile, or that their owner is just destroying, are passed over.
/// * under a TLS_KEY_ENUMERABLE key on the value's own thread. All other threads' values
///   become stale at one instant, and no tls_get() finds them any more. Each thread
///   destroys its own when it next expunges: the wakers of the threads are called, as by
///   tls_expunge_all_threads(). The calling thread's own are destroyed before this
///   returns. A value that is being visited is destroyed after the visit.
///
/// A key that is neither can't be purged: other threads do not reach its values.
/// Captured values (tls_context_capture()) stay.
///
/// Nobody asks the threads. Under an ANY key one that is just using its value must
/// hold it: by a count of references in the value, say, or by tls_take(), and
/// tls_set() after. Under the other kind a thread that is using its value may go on
/// until it calls a function that destroys stale values, as after any release.
///
/// destroyed: receives how many values were destroyed or have become stale; may be NULL.
///
/// Threads: any. An ANY key attaches the calling thread. Blocks: no, but runs destroy
/// callbacks, and wakers. Signals: not safe.
/// Returns TLS_OK; TLS_ERR_INVALID (neither ANY nor ENUMERABLE); TLS_ERR_BAD_KEY;
/// TLS_ERR_DEAD_KEY; of an ANY key also TLS_ERR_BUSY (the key is
/// being visited, taken or purged), TLS_ERR_NO_MEMORY and TLS_ERR_EXITING;
/// TLS_ERR_REENTRANT (called by the memory allocator).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_key_purge(key: tls_key_t, destroyed: *mut usize) -> c_int {
    let purged = attach::current().and_then(|it| visit::purge(it, attach::attached, key));
    // SAFETY: The caller: null, or it can be written.
    unsafe { store_if_wanted(destroyed, purged) }
}

/// Waits until no thread has a value under the key, and every callback for it
/// has returned.
///
/// For a key that was released: before dlclose() of the code that its callbacks
/// are in. It does not end anything but the calling thread's own stale values:
/// the other threads must expunge, or end (tls_thread_on_stale() can wake
/// them). For a live key it waits until every thread has removed its value.
///
/// timeout_ms: how long; 0: just look; negative: for ever. left: receives how
/// many threads still have a value, or are about to release or visiting the
/// key, also with TLS_ERR_TIMEOUT; may be NULL.
///
/// Threads: any. Blocks: yes, and can be cancelled there (pthread_cancel).
/// Signals: not safe.
/// Returns TLS_OK (nobody has one); TLS_ERR_TIMEOUT; TLS_ERR_BAD_KEY;
/// TLS_ERR_REENTRANT (inside a callback of this library).
/// Since 0.1.0.
#[unsafe(no_mangle)]
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

/// Called with one thread's value. thread: the OS's number of the thread that
/// has it, 0 if its map is attached to none. Returns 0 to go on; any other
/// number: it wants no more. Must return, and must not throw.
#[allow(non_camel_case_types)]
pub type tls_visit_fn =
    Option<unsafe extern "C" fn(value: *mut c_void, thread: u64, arg: *mut c_void) -> c_int>;

/// Calls `visit` with every thread's value under a TLS_KEY_ENUMERABLE key.
///
/// With no lock held: visit may call any function of this library, and other
/// threads go on meanwhile. The value that it is called with is not destroyed
/// before it returns: if its thread replaces or removes it, or ends, the end of
/// the value is deferred. (It then comes on the value's thread, when that next
/// expunges; on the visiting thread if the key is TLS_RECLAIM_ANY, or if the
/// value's thread has gone.) A stored NULL is a value, and is visited. What the
/// value's bytes mean while its thread may be writing them is between you and that
/// thread: use atomics. Attaches the calling thread.
///
/// When visit returns another number than 0, the visit ends there, and that number
/// is returned: take a positive one, which is no error of this library.
///
/// Threads: any. Blocks: no, but runs visit, and destroy callbacks of values whose end was
/// deferred. Signals: not safe.
/// Returns TLS_OK; what visit has returned; TLS_ERR_INVALID (visit is NULL, or not an
/// enumerable key);
/// TLS_ERR_BUSY (values of the key are being purged or taken, by another thread
/// or further out on this one: try again later); TLS_ERR_BAD_KEY;
/// TLS_ERR_DEAD_KEY; TLS_ERR_LIMIT (1,022 threads visit the key's values already);
/// TLS_ERR_NO_MEMORY; TLS_ERR_EXITING;
/// TLS_ERR_REENTRANT (called by the memory allocator).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_for_each(key: tls_key_t, visit: tls_visit_fn, arg: *mut c_void) -> c_int {
    let visit = visit.ok_or(Error::Invalid);
    number(visit.and_then(|visit| {
        attach::current()?;
        visit::for_each(attach::attached, key, false, visit, arg)
    }))
}

/// Calls `visit` with every thread's value under a TLS_KEY_ENUMERABLE key, all as they
/// are at one instant.
///
/// For a sum that has to be right. From the first call of visit to the last no value of
/// the key is set, replaced or removed, and no thread that has one ends: those that try
/// wait. A tls_get() waits only where it would make a value. A stored NULL is a value, and
/// is visited. What the value's bytes mean while its thread may be writing them is between you and that
/// thread: use atomics. Attaches the calling thread.
///
/// Locks are held while visit runs: let it be short. It must not wait for a thread that
/// may be inside this library, and it must call nothing of this library but tls_get(),
/// tls_get_existing(), tls_stale_count(), tls_key_is_live() and tls_key_retain(): other
/// calls return TLS_ERR_REENTRANT, or nothing. Where that is too little, use
/// tls_for_each().
///
/// When visit returns another number than 0, the visit ends there, and that number
/// is returned: take a positive one, which is no error of this library. If visit ends
/// the thread, the visit ends. If it forks, the visit goes on in the parent; in the child
/// it ends when visit returns.
///
/// Threads: any. Blocks: while another thread is in a visit of this kind. Runs visit.
/// Signals: not safe.
/// Returns TLS_OK; what visit has returned; TLS_ERR_INVALID (visit is NULL, or not an
/// enumerable key); TLS_ERR_BAD_KEY; TLS_ERR_DEAD_KEY; TLS_ERR_NO_MEMORY;
/// TLS_ERR_EXITING; TLS_ERR_REENTRANT (called by the memory allocator, or by a visitor of
/// this function).
/// Since 0.1.0.
#[unsafe(no_mangle)]
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

/// Takes every thread's value under a TLS_KEY_ENUMERABLE key out, and hands
/// each to `take`, undestroyed: it is yours then.
///
/// With no lock held. The threads have no value afterwards: their next
/// tls_get() runs init again. A thread that is using its value at this moment
/// must know of it by means of yours. A stored NULL is a value, and is handed
/// over. Attaches the calling thread.
///
/// When take returns another number than 0, the values that it was not called
/// with stay where they are, and that number is returned: take a positive one.
///
/// Threads: any. Blocks: no, but runs take. Signals: not safe.
/// Returns TLS_OK; what take has returned; TLS_ERR_INVALID (take is NULL, or not an
/// enumerable key);
/// TLS_ERR_BUSY (the key is being visited, taken or purged); TLS_ERR_BAD_KEY;
/// TLS_ERR_DEAD_KEY; TLS_ERR_NO_MEMORY; TLS_ERR_EXITING;
/// TLS_ERR_REENTRANT (called by the memory allocator).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_scrape(key: tls_key_t, take: tls_visit_fn, arg: *mut c_void) -> c_int {
    let take = take.ok_or(Error::Invalid);
    number(take.and_then(|take| {
        attach::current()?;
        visit::for_each(attach::attached, key, true, take, arg)
    }))
}
