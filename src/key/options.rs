// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a key's maker says about it.

use core::ffi::{c_char, c_int, c_void};

/// Ends a value's life. Receives why ([`crate::error::Reason`]), and the
/// key's `user` pointer.
pub type Destroy = unsafe extern "C" fn(value: *mut c_void, reason: c_int, user: *mut c_void);

/// Makes a thread's first value: 0 and the value, or non-zero and nothing.
pub type Init = unsafe extern "C" fn(value: *mut *mut c_void, user: *mut c_void) -> c_int;

/// Makes another thread's copy of a value.
pub type Copy =
    unsafe extern "C" fn(value: *mut c_void, copy: *mut *mut c_void, user: *mut c_void) -> c_int;

/// Ends the life of the key's `user` pointer.
pub type UserFree = unsafe extern "C" fn(user: *mut c_void);

/// What a key is to be like.
#[derive(Clone, Copy)]
pub struct KeyOptions {
    /// For reports; copied when the key is made. May be null.
    pub name: *const c_char,
    /// What the key calls.
    pub callbacks: Callbacks,
    /// Who may do what to its values.
    pub rules: Rules,
}

/// Who may do what to a key's values: a set of facts, in one byte so that it can be
/// copied into every holder record and read atomically before there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules(u8);

impl Rules {
    /// Only the owner ever touches a value.
    pub const NONE: Self = Self(0);
    /// Any thread may destroy them, not just the one that has them.
    pub const ANY: Self = Self(1);
    /// All threads' values may be visited, and taken.
    pub const ENUMERABLE: Self = Self(2);
    /// Values live as long as the worker: scopes leave them alone.
    pub const WORKER: Self = Self(4);
    /// Values are captured by contexts.
    pub const INHERIT: Self = Self(8);
    /// Stale values are destroyed by calls only that are there for it.
    pub const EXPLICIT: Self = Self(16);
    /// There is a destroy callback. Added by the slot.
    pub(super) const HAS_DESTROY: Self = Self(1 << 6);
    /// There is an init callback. Added by the slot.
    pub(super) const HAS_INIT: Self = Self(1 << 7);

    /// These facts and those.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These facts if `condition`, else none.
    pub const fn given(self, condition: bool) -> Self {
        Self(self.0 * condition as u8)
    }

    const fn has(self, fact: Self) -> bool {
        self.0 & fact.0 != 0
    }

    /// [`ANY`](Self::ANY) is among them.
    pub const fn any(self) -> bool {
        self.has(Self::ANY)
    }

    /// [`ENUMERABLE`](Self::ENUMERABLE) is.
    pub const fn enumerable(self) -> bool {
        self.has(Self::ENUMERABLE)
    }

    /// Whether other threads than the owner may touch values.
    pub const fn reachable(self) -> bool {
        self.has(Self::ANY.and(Self::ENUMERABLE))
    }

    /// [`WORKER`](Self::WORKER) is.
    pub const fn worker(self) -> bool {
        self.has(Self::WORKER)
    }

    /// [`INHERIT`](Self::INHERIT) is.
    pub const fn inherits(self) -> bool {
        self.has(Self::INHERIT)
    }

    /// Whether there is a destroy callback.
    pub const fn has_destroy(self) -> bool {
        self.has(Self::HAS_DESTROY)
    }

    /// [`EXPLICIT`](Self::EXPLICIT) is.
    pub const fn explicit(self) -> bool {
        self.has(Self::EXPLICIT)
    }

    /// Whether there is an init callback.
    pub const fn has_init(self) -> bool {
        self.has(Self::HAS_INIT)
    }

    pub(super) const fn to_bits(self) -> u8 {
        self.0
    }

    pub(super) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }
}

/// A key's callbacks, all optional, and what they are handed.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Callbacks {
    pub destroy: Option<Destroy>,
    pub init: Option<Init>,
    pub copy: Option<Copy>,
    pub user: *mut c_void,
    pub user_free: Option<UserFree>,
}

impl Callbacks {
    /// None.
    pub const NONE: Self = Self {
        destroy: None,
        init: None,
        copy: None,
        user: core::ptr::null_mut(),
        user_free: None,
    };
}

impl KeyOptions {
    /// No name, no callbacks.
    pub const DEFAULT: Self =
        Self { name: core::ptr::null(), callbacks: Callbacks::NONE, rules: Rules::NONE };
}
