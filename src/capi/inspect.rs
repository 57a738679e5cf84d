// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looking at what is there.

use core::ffi::{c_char, c_int, c_void};

use super::constants::tls_key_t;
use super::{code, number};
use crate::error::Error;
use crate::thread::{attach, report};

/// Writes a report of every map, every key, and which thread has a value under which key, as JSON.
///
/// Use it to find a leak: at a pool's shutdown, for example, when nothing should be left. "maps"
/// has each map with its thread and the numbers of its entries and stale entries. "keys" has each
/// key that is live, or dead and still pinned, with its name (at most 256 bytes of it) and the map
/// and thread of each value. A live key is shown with its references. A dead key is shown with the
/// number of its pins (values, and a release that is in progress) and, if it left values to other
/// threads when it died, with the number of such keys that have died since ("deaths_since", which
/// is large for keys that have waited for long). "local" has the calling thread's entries, with
/// values. Handles are strings, because they have more bits than a JSON number. Each number that
/// other threads are changing is correct for some instant during the call. The file
/// docs/dump.schema.json describes the format.
///
/// A leak report takes a few lines:
///
///     static int print(const char *bytes, size_t length, void *file) {
///       return fwrite(bytes, 1, length, file) != length;
///     }
///     tls_dump(print, stderr);   when the pool has shut down
///
/// The call needs no memory. Its cost is O(keys that ever lived at once + values + maps squared +
/// dead keys times values); if more than 64 maps have a value of one key, the cost of that key
/// arises again for every 64 maps.
///
/// @param write Called with parts of the text, of `length` bytes each, which are not terminated. It
///   returns 0 to continue, and any other number to stop. No lock is held, and it may call any
///   function of this library.
/// @param arg Passed to write.
///
/// Threads: any. Blocks: no. Runs: write. Signals: not safe; tls_dump_fd() is.
/// @return TLS_OK, or an error code:
/// @retval TLS_ERR_INVALID write is NULL.
/// @retval TLS_ERR_LIMIT write has stopped the report.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator.
/// @since 0.1.0
#[unsafe(export_name = "tlm_dump")]
pub extern "C" fn tls_dump(
    write: Option<
        unsafe extern "C" fn(bytes: *const c_char, length: usize, arg: *mut c_void) -> c_int,
    >,
    arg: *mut c_void,
) -> c_int {
    let write = write.ok_or(Error::Invalid);
    code(write.and_then(|write| report::dump(attach::current()?, write, arg)))
}

/// Writes the report of tls_dump() to a file descriptor, even in a crashed process.
///
/// Use it in a debugger ("call (int)tls_dump_fd(2)") and in handlers of SIGSEGV and similar
/// signals, whatever this thread and the others were doing, even inside this library. It allocates
/// nothing, calls no callback, and waits for locks at most some milliseconds in all. If it can't
/// get a lock, it leaves out what needs the lock: the report then contains "incomplete", and so
/// does each key of which a part is missing, with an empty name. "local" is empty, because the
/// calling thread's entries may be half changed. In the child of a fork, before the library's own
/// handler has run there, it reports what the fork has left.
///
/// The report is written with write(2), until all is written. If fd blocks, this function blocks
/// too, with no lock held. If fd is non-blocking and full, or if nothing reads it any more (this
/// function does not block SIGPIPE), the report ends in the middle. errno is preserved. The call
/// needs about 4 KB of stack. Its cost is that of tls_dump().
///
/// @param fd A file descriptor that is open for writing.
///
/// Threads: any, attached or not. Blocks: only as writing to fd does. Runs: nothing. Signals: safe.
/// @return TLS_OK, also if the report is incomplete, or an error code:
/// @retval TLS_ERR_INVALID fd is not open for writing.
/// @retval TLS_ERR_LIMIT fd did not take the whole report.
/// @since 0.1.0
#[unsafe(export_name = "tlm_dump_fd")]
pub extern "C" fn tls_dump_fd(fd: c_int) -> c_int {
    // Asks for no thread: that might build the library's state anew, in a fork's child.
    code(report::dump_to(fd))
}

/// Calls `visit` with each map and context that still has values of a key, dead or live.
///
/// Use it to find out which threads have the values that a tls_key_drain() has waited for in vain.
///
/// visit is called with `map`, the number that tls_dump() shows for the map; `thread`, the
/// operating system's number of the thread that the map is attached to, or 0 if it is attached to
/// none; and `values`, how many values it has. Each is correct for some instant during the call. No
/// lock is held, and visit may call any function of this library.
///
/// The call needs no memory. Its cost is O(values) of a live key and O(values of all keys) of a
/// dead one. It arises again for every 64 maps that have values of the key.
///
/// @param key The key, dead or live.
/// @param visit Called with each map. It returns 0 to continue, and any other number to stop.
/// @param arg Passed to visit.
///
/// Threads: any. Blocks: no. Runs: visit. Signals: not safe.
/// @return The number that visit has returned last; TLS_OK if no thread has a value, also for a key
///   that died long ago; or an error code:
/// @retval TLS_ERR_INVALID visit is NULL.
/// @retval TLS_ERR_BAD_KEY The handle has never named a key.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator.
/// @since 0.1.0
#[unsafe(export_name = "tlm_for_each_holder")]
pub extern "C" fn tls_for_each_holder(
    key: tls_key_t,
    visit: Option<
        unsafe extern "C" fn(map: u64, thread: u64, values: usize, arg: *mut c_void) -> c_int,
    >,
    arg: *mut c_void,
) -> c_int {
    let visit = visit.ok_or(Error::Invalid);
    number(visit.and_then(|visit| {
        attach::current()?;
        report::for_each_holder(key, visit, arg)
    }))
}

/// Calls `visit` with each value of the calling thread that tls_get() would find under a live key.
///
/// The oldest value comes first; values that a scope shadows are left out. visit may call any
/// function of this library. Values that it adds are not visited, and neither are values that it
/// removes before their turn.
///
/// @param visit Called with each key and its value.
/// @param arg Passed to visit.
///
/// Threads: any. Blocks: no. Runs: visit. Signals: not safe.
/// @return TLS_OK, also if the thread is not attached, or an error code:
/// @retval TLS_ERR_INVALID visit is NULL.
/// @retval TLS_ERR_NO_MEMORY Memory could not be allocated.
/// @retval TLS_ERR_REENTRANT Called by the memory allocator.
/// @since 0.1.0
#[unsafe(export_name = "tlm_for_each_local")]
pub extern "C" fn tls_for_each_local(
    visit: Option<unsafe extern "C" fn(key: tls_key_t, value: *mut c_void, arg: *mut c_void)>,
    arg: *mut c_void,
) -> c_int {
    let visit = visit.ok_or(Error::Invalid);
    code(visit.and_then(|visit| {
        if let Some(thread) = attach::current()? {
            report::for_each_local(thread, visit, arg);
        }
        Ok(())
    }))
}
