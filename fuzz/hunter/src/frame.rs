// SPDX-License-Identifier: MIT OR Apache-2.0
//! A call or a callback that a thread is in.
//!
//! A check often depends on where it is made: which call has called this
//! callback, whether a visitor further out looks at this value. And a thread
//! that ends inside of its calls must give back what their callbacks count. So
//! each thread keeps a stack of frames of its own.

use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicU8, Ordering::SeqCst};

use crate::program::Code;
use crate::shadow::{Record, ShadowKey};

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Call,
    Destroy,
    Make,
    Copy,
    Free,
    Visit,
    Take,
    Waker,
    Other,
}

const KINDS: [Kind; 9] = [
    Kind::Call,
    Kind::Destroy,
    Kind::Make,
    Kind::Copy,
    Kind::Free,
    Kind::Visit,
    Kind::Take,
    Kind::Waker,
    Kind::Other,
];

/// A call of the library, or a callback.
pub(crate) struct Frame {
    pub(crate) kind: AtomicU8,
    pub(crate) code: AtomicU8,
    pub(crate) key: AtomicPtr<ShadowKey>,
    pub(crate) record: AtomicPtr<Record>,
    /// A call: values of other keys that it has destroyed itself.
    pub(crate) foreign: AtomicU32,
    /// A visit: the maps whose value it has met.
    pub(crate) met: AtomicU64,
}

impl Frame {
    pub(crate) const fn new() -> Self {
        Self {
            kind: AtomicU8::new(0),
            code: AtomicU8::new(0),
            key: AtomicPtr::new(core::ptr::null_mut()),
            record: AtomicPtr::new(core::ptr::null_mut()),
            foreign: AtomicU32::new(0),
            met: AtomicU64::new(0),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        KINDS[usize::from(self.kind.load(SeqCst))]
    }

    pub(crate) fn is_call(&self, code: Code) -> bool {
        self.kind() == Kind::Call && self.code.load(SeqCst) == code as u8
    }

    pub(crate) fn key(&self) -> Option<&'static ShadowKey> {
        // SAFETY: Null, or a key of the shadow, which is never freed.
        unsafe { self.key.load(SeqCst).as_ref() }
    }

    pub(crate) fn record(&self) -> Option<&'static Record> {
        // SAFETY: Null, or a record of the shadow, which is never freed.
        unsafe { self.record.load(SeqCst).as_ref() }
    }
}
