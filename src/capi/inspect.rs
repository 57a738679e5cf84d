//! Looking at what is there.

use core::ffi::{c_char, c_int, c_void};

use super::code;
use super::constants::tls_key_t;
use crate::error::Error;
use crate::thread::{attach, report};

/// Writes a report of every map, every key, and who has a value under which, as
/// JSON.
///
/// For looking at a leak: at a pool's shutdown, say, when nothing should be
/// left. "maps" has each map with its thread and the numbers of its entries and
/// stale entries; "keys" has each live key with its name (256 bytes of it), its
/// references, and the map and thread of each value, and each dead key with how
/// many pins (values, and a release that is under way) it still has; "local"
/// has the calling thread's entries, with values. Handles are strings, because
/// they have more bits than a JSON number. What other threads change meanwhile
/// is each right for some instant during the call.
///
/// In docs/dump.schema.json its shape is described. A leak report is three lines:
///
///     static int print(const char *bytes, size_t length, void *file) {
///       return fwrite(bytes, 1, length, file) != length;
///     }
///     tls_dump(print, stderr);   when the pool has shut down
///
/// write: called with parts of the text, not terminated; non-zero: it wants no
/// more. No lock is held: it may call any function of this library. arg: yours.
///
/// Threads: any. Blocks: no. Cost: O(keys that ever lived at once + values +
/// maps squared). Signals: not safe.
/// Returns TLS_OK; TLS_ERR_INVALID (write is NULL); TLS_ERR_LIMIT (write wanted
/// no more); TLS_ERR_NO_MEMORY; TLS_ERR_REENTRANT (called by the memory
/// allocator).
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn tls_dump(
    write: Option<
        unsafe extern "C" fn(bytes: *const c_char, length: usize, arg: *mut c_void) -> c_int,
    >,
    arg: *mut c_void,
) -> c_int {
    let write = write.ok_or(Error::Invalid);
    code(write.and_then(|write| report::dump(attach::current()?, write, arg)))
}

/// Calls `visit` with each of the calling thread's values that tls_get() would
/// find under a live key.
///
/// The oldest first; those that a scope hides are passed over. visit may call
/// any function of this library: what it adds is not visited, what it removes
/// before its turn is not either. arg: yours.
///
/// Threads: any. Blocks: no. Signals: not safe.
/// Returns TLS_OK (also on a thread that is not attached); TLS_ERR_INVALID (visit
/// is NULL); TLS_ERR_NO_MEMORY; TLS_ERR_REENTRANT (called by the memory
/// allocator).
/// Since 0.1.0.
#[unsafe(no_mangle)]
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
