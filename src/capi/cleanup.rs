//! Explicit cleanup, and the ends of threads.

use core::ffi::{c_int, c_void};

use super::code;
use crate::error::Error;
use crate::local::retire;
use crate::sys::block;
use crate::thread::{attach, exit};

/// Destroys all of the calling thread's stale values, now.
///
/// A value is stale when its key is dead. Call it between a pool's tasks, and
/// before a worker goes to sleep; with nothing stale it costs about a
/// nanosecond. Each value is destroyed with TLS_REASON_KEY_DEAD. Of all that is
/// stale the youngest, by its first set on this thread, ends first, whatever the
/// order in which the keys died: what was set later may depend on it. So do all
/// functions that end stale values, and so does the thread's end.
///
/// Threads: any. Blocks: no, but runs destroy callbacks. Signals: not safe.
/// Returns how many values it destroyed.
/// Since 0.1.0.
#[unsafe(no_mangle)]
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

/// Destroys at most `budget` of the calling thread's stale values.
///
/// The youngest of them, as tls_expunge() has it. For pools that must not pause for
/// long: call it again for the rest.
///
/// Threads: any. Blocks: no, but runs destroy callbacks. Signals: not safe.
/// Returns how many values it destroyed.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_expunge_some(budget: usize) -> usize {
    expunge_some(budget)
}

/// How many values of the calling thread are stale: what tls_expunge() would
/// find.
///
/// Exact as soon as the tls_key_release() that made them so has returned. With
/// this header it is a macro over an inlined load.
///
/// Threads: any. Blocks: no. Signals: safe.
/// Returns the number.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_stale_count() -> usize {
    block::stale_count()
}

/// Attaches the calling thread, with all memory that its first value needs.
///
/// Never needed: the first tls_set() attaches. But after it tls_get() of a
/// value that was set is safe in signal handlers, and the thread's end is known
/// to be seen. Attaching an attached thread does nothing.
///
/// The C library runs the destructors of an ending thread's pthread keys up to four
/// times. A value that another key's destructor stores is destroyed in the next of
/// these passes; after the last, tls_set() answers TLS_ERR_EXITING. A thread that
/// first uses the library in the last pass can't be seen to end: its values are not
/// destroyed, and stay counted. Attach such a thread before it ends.
///
/// Threads: any. Blocks: no. Signals: not safe.
/// Returns TLS_OK; TLS_ERR_NO_MEMORY; TLS_ERR_EXITING; TLS_ERR_LIMIT (the
/// process has no pthread key left, so this thread's end can't be seen; values
/// work all the same, but call tls_thread_detach() before it ends);
/// TLS_ERR_REENTRANT (called by the memory allocator).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_thread_attach() -> c_int {
    code(attach::attach_in_full())
}

/// The calling thread's whole cleanup, now: hooks, then values.
///
/// Exactly what its end would do, with TLS_REASON_DETACHED: for threads whose
/// end is not seen (before exit(), without a pthread key), and for workers that
/// go back to a foreign pool. The thread may attach again later.
///
/// Threads: any. Blocks: no, but runs callbacks. Signals: not safe.
/// Returns TLS_OK (also on a thread that is not attached); TLS_ERR_REENTRANT
/// (inside a callback of this library).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_thread_detach() -> c_int {
    code(attach::detach())
}

/// Registers a cleanup hook for the calling thread's end, or its detaching.
///
/// fn: called once with arg on this thread, before its values are destroyed;
/// the hook registered last is called first. arg: yours. A hook may register
/// hooks and set values: they get a round of their own, up to 4 in all.
///
/// Threads: any. Blocks: no. Signals: not safe.
/// Returns TLS_OK; TLS_ERR_INVALID (fn is NULL); TLS_ERR_NO_MEMORY;
/// TLS_ERR_EXITING; TLS_ERR_LIMIT (this thread's end can't be seen: no pthread
/// key is left);
/// TLS_ERR_REENTRANT (called by the memory allocator).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_at_thread_exit(
    r#fn: Option<unsafe extern "C" fn(arg: *mut c_void)>,
    arg: *mut c_void,
) -> c_int {
    let function = r#fn.ok_or(Error::Invalid);
    code(function.and_then(|function| {
        let thread = attach::attached()?;
        attach::track(thread)?;
        exit::at_thread_exit(thread, function, arg)
    }))
}

/// For the inlined look-up of this header only: where a thread's hot slot is.
///
/// Layout 1: {const entry *table; size_t mask; const size_t *stale}, an entry
/// being {uint64_t key; void *value}.
///
/// Threads: any. Blocks: no. Signals: safe.
/// Returns its distance from the thread pointer, the same for all threads; 0:
/// this build has none, always make the call.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_hot_offset_v1() -> isize {
    block::offset()
}
