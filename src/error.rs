// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong, as values.

use core::ffi::CStr;

use crate::sys::memory::OutOfMemory;

/// Why a call failed: [`ALL`] says what each means. A failed call has changed nothing.
///
/// The numbers are the C API's and never change meaning; a new error gets the
/// next number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[allow(missing_docs)] // their messages
pub enum Error {
    BadKey = -1,
    DeadKey = -2,
    Invalid = -3,
    NoMemory = -4,
    Absent = -5,
    Limit = -6,
    Reentrant = -7,
    Init = -8,
    Exiting = -9,
    Busy = -10,
    Timeout = -11,
    Unsupported = -12,
}

/// Every error, in the order of its number, with the name of its C constant and a
/// sentence for people.
const ALL: [(Error, &CStr, &CStr); 12] = [
    (Error::BadKey, c"TLS_ERR_BAD_KEY", c"this handle was never a key"),
    (Error::DeadKey, c"TLS_ERR_DEAD_KEY", c"the key is dead: its last reference was released"),
    (Error::Invalid, c"TLS_ERR_INVALID", c"invalid argument"),
    (Error::NoMemory, c"TLS_ERR_NO_MEMORY", c"out of memory; nothing was changed"),
    (Error::Absent, c"TLS_ERR_ABSENT", c"the calling thread has no value under this key"),
    (
        Error::Limit,
        c"TLS_ERR_LIMIT",
        c"a limit was reached (references, keys, buffer size or pthread keys)",
    ),
    (
        Error::Reentrant,
        c"TLS_ERR_REENTRANT",
        c"the function must not be called inside this callback or allocator",
    ),
    (Error::Init, c"TLS_ERR_INIT", c"the key's init or copy callback failed; nothing was stored"),
    (
        Error::Exiting,
        c"TLS_ERR_EXITING",
        c"the thread is past its last cleanup and can store nothing more",
    ),
    (Error::Busy, c"TLS_ERR_BUSY", c"the object is in use, or calls came in the wrong order"),
    (Error::Timeout, c"TLS_ERR_TIMEOUT", c"the time limit expired"),
    (
        Error::Unsupported,
        c"TLS_ERR_UNSUPPORTED",
        c"not supported by this version or build of the library",
    ),
];

impl Error {
    /// The error with this number.
    pub fn from_number(number: i32) -> Option<Self> {
        ALL.into_iter().map(|(error, ..)| error).find(|error| error.number() == number)
    }

    /// The number that C sees.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The name of the C constant.
    pub const fn name(self) -> &'static CStr {
        ALL[-(self.number() + 1) as usize].1
    }

    /// A sentence for people: what it means, and where it helps what to do.
    pub const fn message(self) -> &'static CStr {
        ALL[-(self.number() + 1) as usize].2
    }
}

impl From<OutOfMemory> for Error {
    fn from(_: OutOfMemory) -> Self {
        Self::NoMemory
    }
}

/// Why a value's life ends, as its destroy callback receives it: as
/// `TLS_REASON_*` ([`crate::capi::constants`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[allow(missing_docs)] // the constants'
pub enum Reason {
    Replaced = 1,
    Removed = 2,
    KeyDead = 3,
    Purged = 4,
    ScopeEnd = 5,
    ThreadExit = 6,
    Detached = 7,
    MapDestroyed = 8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_run_without_a_gap_and_lead_back_to_their_error() {
        for (index, (error, ..)) in ALL.into_iter().enumerate() {
            assert_eq!(error.number(), -(index as i32) - 1);
            assert_eq!(Error::from_number(error.number()), Some(error));
        }
        for number in [i32::MIN, -13, 0, 1, i32::MAX] {
            assert_eq!(Error::from_number(number), None);
        }
    }
}
