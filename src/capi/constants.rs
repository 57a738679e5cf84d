// SPDX-License-Identifier: MIT OR Apache-2.0
//! The numbers of the API. They never change; new ones are appended.

use core::ffi::c_int;

/// The name of a key: a number that names one key for the life of the process.
///
/// The number is never used again for another key in this process, on any thread. You may copy it,
/// compare it and store it anywhere. Print it with PRIu64.
#[allow(non_camel_case_types)]
pub type tls_key_t = u64;

/// A handle that never names a key.
pub const TLS_KEY_NONE: tls_key_t = 0;

/// The call succeeded.
pub const TLS_OK: c_int = 0;
/// The handle has never named a key. Check that tls_key_create() succeeded and that the handle was
/// not overwritten.
pub const TLS_ERR_BAD_KEY: c_int = -1;
/// The key is dead: its last reference was released. Hold a reference for as long as you use a key
/// (tls_key_retain()).
pub const TLS_ERR_DEAD_KEY: c_int = -2;
/// An argument is invalid in every situation: a null pointer, an unknown flag or a wrong size, for
/// example. Correct the call.
pub const TLS_ERR_INVALID: c_int = -3;
/// Memory could not be allocated. Free some memory and repeat the call.
pub const TLS_ERR_NO_MEMORY: c_int = -4;
/// The calling thread has no value under this key. Store one with tls_set().
pub const TLS_ERR_ABSENT: c_int = -5;
/// A limit was reached: of references, keys, open scopes, a buffer's size or pthread keys, for
/// example. The function's text says which, and what to do.
pub const TLS_ERR_LIMIT: c_int = -6;
/// The function must not be called here: inside a callback that excludes it, or in a memory
/// allocator that this library has called. Call it after the callback has returned.
pub const TLS_ERR_REENTRANT: c_int = -7;
/// The key's init or copy callback returned a number other than 0, and nothing was stored. The next
/// call tries again.
pub const TLS_ERR_INIT: c_int = -8;
/// The calling thread, or its scope or map, is past its last cleanup and can store nothing more.
/// Keep the value and destroy it yourself.
pub const TLS_ERR_EXITING: c_int = -9;
/// The object is in use by another thread or by an outer call on this one, or calls came in the
/// wrong order. Try again when that use has ended.
pub const TLS_ERR_BUSY: c_int = -10;
/// The time limit expired before the condition was met. Call again to go on waiting.
pub const TLS_ERR_TIMEOUT: c_int = -11;
/// This version or build of the library does not support the operation. No function of this version
/// returns this code.
pub const TLS_ERR_UNSUPPORTED: c_int = -12;

/// The value was destroyed because another value was set in its place.
pub const TLS_REASON_REPLACED: c_int = 1;
/// The value was destroyed because it was removed.
pub const TLS_REASON_REMOVED: c_int = 2;
/// The value was destroyed because its key is dead.
pub const TLS_REASON_KEY_DEAD: c_int = 3;
/// The value was destroyed because its live key was purged (tls_key_purge()).
pub const TLS_REASON_PURGED: c_int = 4;
/// The value was destroyed because the scope that it was set in has ended.
pub const TLS_REASON_SCOPE_END: c_int = 5;
/// The value was destroyed because its thread is ending.
pub const TLS_REASON_THREAD_EXIT: c_int = 6;
/// The value was destroyed because its thread was detached.
pub const TLS_REASON_DETACHED: c_int = 7;
/// The value was destroyed because its map was destroyed.
pub const TLS_REASON_MAP_DESTROYED: c_int = 8;

/// Each value is destroyed by the thread that has it, and by no other.
pub const TLS_RECLAIM_OWNER: u32 = 0;
/// Any thread may destroy the values: the thread that releases the key destroys them all. It does
/// not wait for threads that are using their values: such a thread must have a reference to the
/// key, or hold its value by a count of its own.
pub const TLS_RECLAIM_ANY: u32 = 1;

/// All threads' values may be visited and taken with tls_for_each() and tls_scrape().
pub const TLS_KEY_ENUMERABLE: u32 = 1;
/// Values belong to the worker and not to its tasks: scopes do not affect them.
pub const TLS_KEY_WORKER: u32 = 2;
/// A captured context includes the value.
pub const TLS_KEY_INHERIT: u32 = 4;
/// Stale values are destroyed only by the tls_expunge functions and at the end of their scope,
/// task, map or thread. No tls_get() and no tls_set() destroys them.
pub const TLS_KEY_EXPLICIT: u32 = 8;

/// The hook is called when the thread ends, before its values are destroyed.
pub const TLS_HOOK_BEFORE_VALUES: u32 = 0;
/// The hook is called when the thread ends, after its values have been destroyed.
pub const TLS_HOOK_AFTER_VALUES: u32 = 1;
/// The hook is called when the thread gets stale values.
pub const TLS_HOOK_ON_STALE: u32 = 2;

// The constants above are for C; the library itself uses the enums.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Reason};

    #[test]
    fn the_enums_say_the_same() {
        let errors = [
            TLS_ERR_BAD_KEY,
            TLS_ERR_DEAD_KEY,
            TLS_ERR_INVALID,
            TLS_ERR_NO_MEMORY,
            TLS_ERR_ABSENT,
            TLS_ERR_LIMIT,
            TLS_ERR_REENTRANT,
            TLS_ERR_INIT,
            TLS_ERR_EXITING,
            TLS_ERR_BUSY,
            TLS_ERR_TIMEOUT,
            TLS_ERR_UNSUPPORTED,
        ];
        let names = "BadKey DeadKey Invalid NoMemory Absent Limit Reentrant Init Exiting Busy \
                     Timeout Unsupported";
        for (number, name) in errors.into_iter().zip(names.split_whitespace()) {
            assert_eq!(format!("{:?}", Error::from_number(number).expect("an error")), name);
        }
        assert_eq!(Error::from_number(TLS_ERR_UNSUPPORTED - 1), None);
        assert_eq!(TLS_REASON_REPLACED, Reason::Replaced as c_int);
        assert_eq!(TLS_REASON_REMOVED, Reason::Removed as c_int);
        assert_eq!(TLS_REASON_KEY_DEAD, Reason::KeyDead as c_int);
        assert_eq!(TLS_REASON_PURGED, Reason::Purged as c_int);
        assert_eq!(TLS_REASON_SCOPE_END, Reason::ScopeEnd as c_int);
        assert_eq!(TLS_REASON_THREAD_EXIT, Reason::ThreadExit as c_int);
        assert_eq!(TLS_REASON_DETACHED, Reason::Detached as c_int);
        assert_eq!(TLS_REASON_MAP_DESTROYED, Reason::MapDestroyed as c_int);
    }
}
