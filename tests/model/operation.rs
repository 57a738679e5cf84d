// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a case does: operations.
//!
//! An operation names keys and maps by a number that means something in every
//! state (it is taken modulo what is there), so any part of a case is a case:
//! that is what lets a failing one shrink.

use crate::events::Kind;

/// Which key an operation is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pick {
    /// One of those alive.
    Live(u16),
    /// One of those that died last.
    Dead(u16),
    /// A handle that is no key's.
    Never(u16),
}

/// What is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stored {
    /// A value that was never there before.
    Fresh,
    /// NULL.
    Null,
    /// The pointer that is there; fresh where there is none.
    Same,
}

/// A call with a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyCall {
    Retain,
    Release,
    Get,
    TryGet,
    GetExisting,
    Set(Stored),
    Swap(Stored),
    Take,
    Remove,
    Purge,
    Scrape,
    ForEach,
    /// With the key's lock.
    ForEachLocked,
    /// With no time to wait.
    Drain,
}

/// A step of a case.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    /// Not beyond the case's number of live keys.
    CreateKey(Kind),
    /// This many, one after the other.
    CreateMany(Kind, u8),
    OnKey(KeyCall, Pick),
    /// The same call with this many live keys, from the so manieth on.
    OnMany(KeyCall, u8, u16),
    RemoveAll,
    Expunge,
    ExpungeSome(usize),
    CreateMap,
    DestroyMap(u8),
    SwitchMap(u8),
    Attach,
    Detach,
    ExpungeAllThreads,
    /// Registers a hook for the thread's end.
    AtExit,
    /// Gives the thread a waker, or takes it away.
    OnStale(bool),
    /// Opens a scope in the current map.
    BeginScope,
    /// Ends the innermost scope of the current map; or, with an odd number, tries
    /// to end another one.
    EndScope(u8),
    Capture,
    /// Opens a scope with a context.
    BeginIn(u8),
    FreeContext(u8),
    CreateTask,
    RunTask(u8),
    CancelTask(u8),
}

/// What is run: the operations, and what there is for them.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Keys alive at a time, at most.
    pub(crate) keys: usize,
    /// Maps from the beginning, beside the thread's own.
    pub(crate) maps: usize,
    pub(crate) operations: Vec<Operation>,
}
