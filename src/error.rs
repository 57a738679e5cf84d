//! What can go wrong, as values.

use core::fmt;

use crate::sys::memory::OutOfMemory;

/// Why a call did not do what was asked. A failed call has changed nothing.
///
/// The numbers are the C API's and never change meaning; a new error gets the
/// next number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Error {
    /// The handle was never a key.
    BadKey = -1,
    /// The handle was a key once; its last reference was released.
    DeadKey = -2,
    /// An argument that is never right.
    Invalid = -3,
    /// Memory ran out.
    NoMemory = -4,
    /// The thread has no value under this key.
    Absent = -5,
    /// A limit was reached: references, keys, buffer size, OS keys.
    Limit = -6,
    /// Called from inside a callback that this call may not be made from.
    Reentrant = -7,
    /// The key's init or copy callback reported a failure.
    Init = -8,
    /// The thread is past its last cleanup.
    Exiting = -9,
    /// Somebody else has it, or it is not its turn.
    Busy = -10,
    /// The time was up first.
    Timeout = -11,
    /// This build or this version does not do that.
    Unsupported = -12,
}

/// Every error, in the order of its number.
const ALL: [Error; 12] = [
    Error::BadKey,
    Error::DeadKey,
    Error::Invalid,
    Error::NoMemory,
    Error::Absent,
    Error::Limit,
    Error::Reentrant,
    Error::Init,
    Error::Exiting,
    Error::Busy,
    Error::Timeout,
    Error::Unsupported,
];

impl Error {
    /// The error with this number.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        ALL.into_iter().find(|error| error.number() == number)
    }

    /// The number that C sees.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The name of the C constant.
    #[must_use]
    pub const fn name(self) -> &'static core::ffi::CStr {
        match self {
            Self::BadKey => c"TLS_ERR_BAD_KEY",
            Self::DeadKey => c"TLS_ERR_DEAD_KEY",
            Self::Invalid => c"TLS_ERR_INVALID",
            Self::NoMemory => c"TLS_ERR_NO_MEMORY",
            Self::Absent => c"TLS_ERR_ABSENT",
            Self::Limit => c"TLS_ERR_LIMIT",
            Self::Reentrant => c"TLS_ERR_REENTRANT",
            Self::Init => c"TLS_ERR_INIT",
            Self::Exiting => c"TLS_ERR_EXITING",
            Self::Busy => c"TLS_ERR_BUSY",
            Self::Timeout => c"TLS_ERR_TIMEOUT",
            Self::Unsupported => c"TLS_ERR_UNSUPPORTED",
        }
    }

    /// A sentence for people: what it means, and where it helps what to do.
    #[must_use]
    pub const fn message(self) -> &'static core::ffi::CStr {
        match self {
            Self::BadKey => c"this handle was never a key",
            Self::DeadKey => c"the key is dead: its last reference was released",
            Self::Invalid => c"invalid argument",
            Self::NoMemory => c"out of memory; nothing was changed",
            Self::Absent => c"the calling thread has no value under this key",
            Self::Limit => c"a limit was reached (references, keys, buffer size or pthread keys)",
            Self::Reentrant => c"not allowed inside this callback",
            Self::Init => c"the key's init or copy callback failed; nothing was stored",
            Self::Exiting => c"the thread is past its last cleanup and can store nothing more",
            Self::Busy => c"in use elsewhere, or out of order; nothing was changed",
            Self::Timeout => c"the time was up first",
            Self::Unsupported => c"not supported by this version or build of the library",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.message().to_str().unwrap_or_default())
    }
}

impl core::error::Error for Error {}

impl From<OutOfMemory> for Error {
    fn from(_: OutOfMemory) -> Self {
        Self::NoMemory
    }
}

/// Why a value's life ends, as its destroy callback receives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Reason {
    /// Another value was set in its place.
    Replaced = 1,
    /// It was removed.
    Removed = 2,
    /// Its key is dead.
    KeyDead = 3,
    /// Its live key was purged of all values.
    Purged = 4,
    /// The scope that it was set in has ended.
    ScopeEnd = 5,
    /// Its thread is ending.
    ThreadExit = 6,
    /// Its thread was detached.
    Detached = 7,
    /// Its map was destroyed.
    MapDestroyed = 8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_run_without_a_gap_and_lead_back_to_their_error() {
        for (index, error) in ALL.into_iter().enumerate() {
            assert_eq!(error.number(), -(index as i32) - 1);
            assert_eq!(Error::from_number(error.number()), Some(error));
        }
        for number in [i32::MIN, -13, 0, 1, i32::MAX] {
            assert_eq!(Error::from_number(number), None);
        }
    }
}
