//! What a key's maker says about it.

use core::ffi::{c_char, c_int, c_void};

/// Ends a value's life. Told why ([`crate::error::Reason`]), and given the
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

/// Who may do what to a key's values.
#[derive(Clone, Copy, Default)]
pub struct Rules {
    /// Any thread may destroy them, not just the one that has them.
    pub any: bool,
    /// All threads' values may be visited, and taken.
    pub enumerable: bool,
}

impl Rules {
    /// Only the owner ever touches a value.
    pub const NONE: Self = Self { any: false, enumerable: false };

    /// Whether other threads than the owner may touch values.
    #[must_use]
    pub const fn reachable(self) -> bool {
        self.any || self.enumerable
    }
}

/// A key's callbacks, all optional.
#[derive(Clone, Copy)]
pub struct Callbacks {
    /// Called with each value whose life the library ends.
    pub destroy: Option<Destroy>,
    /// Called by a get that finds nothing.
    pub init: Option<Init>,
    /// Called when a context captures the value.
    pub copy: Option<Copy>,
    /// Handed to the callbacks.
    pub user: *mut c_void,
    /// Called once, after the key is dead and its last value destroyed.
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

impl Default for KeyOptions {
    fn default() -> Self {
        Self::DEFAULT
    }
}
