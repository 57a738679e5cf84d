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

/// The calling thread's value under a key; else what the key's init callback
/// makes, stored; else NULL.
///
/// The value stays the library's: it is destroyed when it is replaced, removed,
/// when its key dies or its thread ends. A miss destroys at most 8 of the thread's
/// stale values before it looks. A stored NULL and every error are NULL
/// too: use tls_try_get() to tell them apart. On a key that has died on another
/// thread it may return the value that this thread has not expunged yet; never
/// another key's.
///
/// With this header it is a macro over an inlined look-up, and only a miss
/// makes the call; (tls_get)(key), or TLS_NO_INLINE defined before the header is
/// included, makes it always.
///
/// Threads: any. Blocks: no; on a miss runs destroy callbacks of at most 8 stale values,
/// and then init. Signals: a hit on a thread
/// that is attached is safe, anything else is not.
/// Returns the value, or NULL.
/// Since 0.1.0.
#[unsafe(no_mangle)]
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

/// The calling thread's value under a key, or NULL; never runs init.
///
/// Otherwise as tls_get(), inlined likewise. Allocates nothing.
///
/// Threads: any. Blocks: no. Signals: safe on a thread that is attached.
/// Returns the value, or NULL.
/// Since 0.1.0.
#[unsafe(no_mangle)]
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

/// Like tls_get(), with a code for every outcome.
///
/// value: receives the value, which stays the library's; written on success
/// only.
///
/// Threads: any. Blocks: no; on a miss runs destroy callbacks of at most 8 stale values,
/// and then init. Signals: not safe.
/// Returns TLS_OK (a stored NULL, too); TLS_ERR_ABSENT (no value, and the key
/// has no init); TLS_ERR_INIT (init failed; nothing stored); TLS_ERR_REENTRANT
/// (called by this key's init on this thread, which has no value yet);
/// TLS_ERR_BAD_KEY; TLS_ERR_DEAD_KEY; TLS_ERR_NO_MEMORY; TLS_ERR_EXITING (init
/// not run); TLS_ERR_INVALID (value is NULL).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_try_get(key: tls_key_t, value: *mut *mut c_void) -> c_int {
    // SAFETY: The caller: null, or it can be written.
    unsafe { store(value, || key::live(key).and_then(|_| get_anywhere(key))) }
}

/// Stores a value for the calling thread.
///
/// value: from now on the library's, to be destroyed by the key's destroy
/// callback; on failure it stays yours. NULL is a value (and is never passed to
/// destroy). The value that it replaces is destroyed (TLS_REASON_REPLACED),
/// unless it is the same pointer. The first set on a thread attaches it. Inside a
/// scope, a value that was set outside of it is not replaced but hidden, until
/// the scope ends (tls_scope_begin()). A set that has more to do than exchange a
/// value destroys at most 8 of the thread's stale values first: if one of these
/// callbacks ends the thread, the value was not stored, and stays yours.
///
/// Threads: any. Blocks: no, but runs destroy callbacks. Signals: not safe.
/// Returns TLS_OK; TLS_ERR_BAD_KEY; TLS_ERR_DEAD_KEY; TLS_ERR_NO_MEMORY;
/// TLS_ERR_EXITING; TLS_ERR_REENTRANT (called by the memory allocator, inside
/// one of this library's allocations). A failed call has changed nothing.
/// Since 0.1.0.
#[unsafe(no_mangle)]
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
/// value: as with tls_set(). old: receives the value that was there, yours from
/// now on and not destroyed; NULL if there was none, or if it was set outside of
/// the scope that is open: such a value is hidden, not handed over. Written on
/// success only.
///
/// Threads: any. Blocks: no, but may run destroy callbacks of stale values, at most 8.
/// Signals: not safe.
/// Returns TLS_OK; TLS_ERR_INVALID (old is NULL); TLS_ERR_BUSY (somebody is
/// visiting the value, tls_for_each(): tls_swap_wait() waits for that); else as
/// tls_set().
/// Since 0.1.0.
#[unsafe(no_mangle)]
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
/// old: receives the value, yours from now on and not destroyed; NULL if it was
/// set outside of the scope that is open: such a value is hidden, not handed
/// over. Written on success only.
///
/// Threads: any. Blocks: no. Signals: not safe.
/// Returns TLS_OK; TLS_ERR_ABSENT (no value); TLS_ERR_INVALID (old is NULL);
/// TLS_ERR_BUSY (somebody is visiting the value, tls_for_each(): tls_take_wait()
/// waits for that);
/// TLS_ERR_BAD_KEY; TLS_ERR_DEAD_KEY; TLS_ERR_NO_MEMORY and TLS_ERR_EXITING
/// (inside a scope: hiding an outer value takes a little memory, and nothing can
/// be hidden any more while the scope's last values are given up);
/// TLS_ERR_REENTRANT (called by the memory allocator).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_take(key: tls_key_t, old: *mut *mut c_void) -> c_int {
    let take = || attach::current().and_then(|thread| values::take(thread, key));
    // SAFETY: The caller: null, or it can be written.
    unsafe { store(old, take) }
}

/// tls_swap(), which waits while another thread visits the value.
///
/// timeout_ms: how long; 0: not at all; negative: for ever. value, old: as with
/// tls_swap(). Nothing keeps another visit from beginning meanwhile: among many visitors
/// it may wait for long.
///
/// Threads: any. Blocks: yes, and can be cancelled there (pthread_cancel).
/// Signals: not safe.
/// Returns TLS_OK; TLS_ERR_TIMEOUT; TLS_ERR_REENTRANT (inside a callback of this
/// library, which may be the visitor; or called by the memory allocator); else as
/// tls_swap(), but not TLS_ERR_BUSY.
/// Since 0.1.0.
#[unsafe(no_mangle)]
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

/// tls_take(), which waits while another thread visits the value.
///
/// timeout_ms: as with tls_swap_wait(). old: as with tls_take().
///
/// Threads: any. Blocks: yes, and can be cancelled there (pthread_cancel).
/// Signals: not safe.
/// Returns TLS_OK; TLS_ERR_TIMEOUT; TLS_ERR_REENTRANT (inside a callback of this
/// library, which may be the visitor; or called by the memory allocator); else as
/// tls_take(), but not TLS_ERR_BUSY.
/// Since 0.1.0.
#[unsafe(no_mangle)]
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
/// The next tls_get() runs init again. Frees nothing that setting it again
/// would have to allocate. Inside a scope, a value that was set outside of it is
/// hidden instead, until the scope ends.
///
/// Threads: any. Blocks: no, but runs the destroy callback. Signals: not safe.
/// Returns TLS_OK (also without a value); TLS_ERR_BAD_KEY; TLS_ERR_DEAD_KEY;
/// TLS_ERR_NO_MEMORY and TLS_ERR_EXITING (inside a scope, as tls_take());
/// TLS_ERR_REENTRANT (called by the memory allocator).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_remove(key: tls_key_t) -> c_int {
    code(attach::current().and_then(|thread| values::remove(thread, key)))
}

/// Removes and destroys all of the calling thread's values.
///
/// In the reverse order of their first set, each with TLS_REASON_REMOVED, or
/// TLS_REASON_KEY_DEAD if its key is dead. What destroy callbacks set meanwhile
/// stays. The thread stays attached. Inside a scope, values that were set outside
/// of it are hidden instead, until it ends, and values of TLS_KEY_WORKER keys are
/// destroyed after the scope's own.
///
/// Threads: any. Blocks: no, but runs destroy callbacks. Signals: not safe.
/// Returns TLS_OK; TLS_ERR_NO_MEMORY (inside a scope only; nothing was removed);
/// TLS_ERR_REENTRANT (called by the memory allocator).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_remove_all() -> c_int {
    code(attach::current().and_then(|thread| thread.map_or(Ok(()), values::remove_all)))
}

/// Called with one of the calling thread's values, which is yours from then on.
/// Must not throw.
#[allow(non_camel_case_types)]
pub type tls_take_fn =
    Option<unsafe extern "C" fn(key: tls_key_t, value: *mut c_void, arg: *mut c_void)>;

/// Hands over each of the calling thread's values, undestroyed.
///
/// For the child of a fork, whose values are the parent's to end, and for a process
/// that is about to leave without its destroy callbacks: free what take gets, or
/// just count it. The youngest value comes first. Values that scopes hide are handed
/// over as well, and so are stale ones (key is dead then, or was purged), and stored NULLs. What
/// take sets meanwhile stays. Scopes stay open, and the thread stays attached. take
/// may call any function of this library, and may end the thread.
///
/// take: called with each value; it is yours from then on. arg: yours.
///
/// Threads: any. Blocks: no, but runs take, and the user_free of a key whose last
/// value it was. Signals: not safe.
/// Returns TLS_OK (also on a thread that is not attached); TLS_ERR_INVALID (take is
/// NULL); TLS_ERR_BUSY (somebody visits some of the values, tls_for_each(), in the
/// child of a fork the visitor that has forked: those stay, all others were handed over); TLS_ERR_REENTRANT (called by the memory
/// allocator).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_take_all(take: tls_take_fn, arg: *mut c_void) -> c_int {
    let take = take.ok_or(Error::Invalid);
    code(take.and_then(|take| match attach::current()? {
        Some(thread) => take_all::take_all(thread, take, arg),
        None => Ok(()),
    }))
}
