//! The numbers of the API. They never change; new ones are appended.

use core::ffi::c_int;

/// The name of a key: a number that names one key for the life of the process.
///
/// It is never used again for another key, in this process, on any thread.
/// Copy it, compare it, store it anywhere; print it with PRIu64.
#[allow(non_camel_case_types)]
pub type tls_key_t = u64;

/// Never a key.
pub const TLS_KEY_NONE: tls_key_t = 0;

/// It worked.
pub const TLS_OK: c_int = 0;
/// The handle was never a key.
pub const TLS_ERR_BAD_KEY: c_int = -1;
/// The handle was a key; its last reference was released.
pub const TLS_ERR_DEAD_KEY: c_int = -2;
/// An argument that is never right: a null pointer, an unknown flag, a wrong size.
pub const TLS_ERR_INVALID: c_int = -3;
/// Memory ran out.
pub const TLS_ERR_NO_MEMORY: c_int = -4;
/// The calling thread has no value under this key.
pub const TLS_ERR_ABSENT: c_int = -5;
/// A limit was reached: references, keys, the size of a buffer, pthread keys.
pub const TLS_ERR_LIMIT: c_int = -6;
/// Not allowed inside this callback.
pub const TLS_ERR_REENTRANT: c_int = -7;
/// The key's init or copy callback returned non-zero; nothing was stored.
pub const TLS_ERR_INIT: c_int = -8;
/// The calling thread, or a scope or map of it, is past its last cleanup: nothing
/// more can be stored.
pub const TLS_ERR_EXITING: c_int = -9;
/// In use elsewhere, or out of order.
pub const TLS_ERR_BUSY: c_int = -10;
/// The time was up first.
pub const TLS_ERR_TIMEOUT: c_int = -11;
/// This version or build of the library does not do that.
pub const TLS_ERR_UNSUPPORTED: c_int = -12;

/// Destroyed because another value was set in its place.
pub const TLS_REASON_REPLACED: c_int = 1;
/// Destroyed because it was removed.
pub const TLS_REASON_REMOVED: c_int = 2;
/// Destroyed because its key is dead.
pub const TLS_REASON_KEY_DEAD: c_int = 3;
/// Destroyed because its live key was purged (tls_key_purge()).
pub const TLS_REASON_PURGED: c_int = 4;
/// Destroyed because the scope that it was set in has ended.
pub const TLS_REASON_SCOPE_END: c_int = 5;
/// Destroyed because its thread is ending.
pub const TLS_REASON_THREAD_EXIT: c_int = 6;
/// Destroyed because its thread was detached.
pub const TLS_REASON_DETACHED: c_int = 7;
/// Destroyed because its map was destroyed.
pub const TLS_REASON_MAP_DESTROYED: c_int = 8;

/// Each value is destroyed by the thread that has it, and by no other.
pub const TLS_RECLAIM_OWNER: u32 = 0;
/// Values may be destroyed by any thread: the one that releases the key does. It does not
/// wait for threads that are just using theirs: they have a reference to the key, or hold
/// the value by a count of its own.
pub const TLS_RECLAIM_ANY: u32 = 1;

/// All threads' values may be visited and taken: tls_for_each(), tls_scrape().
pub const TLS_KEY_ENUMERABLE: u32 = 1;
/// Values live as long as the worker: scopes leave them alone.
pub const TLS_KEY_WORKER: u32 = 2;
/// A captured context takes the value along.
pub const TLS_KEY_INHERIT: u32 = 4;
/// Stale values are destroyed by tls_expunge() and its like, with the scopes, tasks, maps
/// and threads that they are in, and by nothing else: no tls_get() and no tls_set() does.
pub const TLS_KEY_EXPLICIT: u32 = 8;

/// The hook is called at the thread's end, before its values are destroyed.
pub const TLS_HOOK_BEFORE_VALUES: u32 = 0;
/// The hook is called at the thread's end, after its values have been destroyed.
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
