// SPDX-License-Identifier: MIT OR Apache-2.0
//! What several threads use, and one ends.
//!
//! The library leaves it to its user that nobody frees a context or destroys a
//! map while another thread uses it. The hunter's threads agree by means of
//! slots: who uses what is in one says so; who ends it takes it out first.

use core::ffi::c_void;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering::SeqCst};

/// What several operations use, until one ends it.
pub(crate) struct Slot {
    lock: AtomicBool,
    pointer: AtomicPtr<c_void>,
    users: AtomicI32,
}

impl Slot {
    pub(crate) const fn new() -> Self {
        Self {
            lock: AtomicBool::new(false),
            pointer: AtomicPtr::new(core::ptr::null_mut()),
            users: AtomicI32::new(0),
        }
    }

    fn locked<T>(&self, action: impl FnOnce() -> T) -> T {
        while self.lock.swap(true, SeqCst) {
            core::hint::spin_loop();
        }
        let result = action();
        self.lock.store(false, SeqCst);
        result
    }

    /// In the child of a fork: the thread that had the lock is not here.
    pub(crate) fn forget_lock(&self) {
        self.lock.store(false, SeqCst);
    }

    /// What is in it, for a call that does not end it.
    pub(crate) fn borrow(&self) -> *mut c_void {
        self.locked(|| {
            let pointer = self.pointer.load(SeqCst);
            if !pointer.is_null() {
                self.users.fetch_add(1, SeqCst);
            }
            pointer
        })
    }

    pub(crate) fn give_back(&self) {
        self.users.fetch_sub(1, SeqCst);
    }

    /// What is in it, for a call that ends it; null if somebody uses it.
    pub(crate) fn take(&self) -> *mut c_void {
        self.locked(|| {
            if self.users.load(SeqCst) > 0 {
                return core::ptr::null_mut();
            }
            self.pointer.swap(core::ptr::null_mut(), SeqCst)
        })
    }

    /// As `take`, at the end: nobody uses it any more.
    pub(crate) fn take_at_end(&self) -> *mut c_void {
        self.pointer.swap(core::ptr::null_mut(), SeqCst)
    }

    /// False: there is something in it.
    pub(crate) fn put(&self, pointer: *mut c_void) -> bool {
        self.locked(|| {
            let empty = self.pointer.load(SeqCst).is_null();
            if empty {
                self.users.store(0, SeqCst);
                self.pointer.store(pointer, SeqCst);
            }
            empty
        })
    }
}
