// SPDX-License-Identifier: MIT OR Apache-2.0
//! What callbacks of the model's keys do: they write down that they were called.
//!
//! Values are numbers in the shape of pointers, no two alike, so an event says
//! which value it is about. A key's `user` is its name.

use core::ffi::{c_int, c_void};
use std::sync::Mutex;

use threadlocalmap::capi::keys::tls_key_options_t;
use threadlocalmap::error::Reason;

use crate::api::{no_options, with_rules, Rules};
use crate::fixture::lock;

/// A key: how many were made before it in this case.
pub(crate) type KeyName = usize;

/// The address that is stored; 0 is NULL.
pub(crate) type Value = usize;

/// The `number`th value that a case stores itself.
pub(crate) fn stored_value(number: usize) -> Value {
    number * 32 + 16
}

/// The `number`th value that an init callback makes.
pub(crate) fn made_value(number: usize) -> Value {
    number * 32 + 32
}

/// The `number`th value that a copy callback makes.
pub(crate) fn copied_value(number: usize) -> Value {
    number * 32 + 24
}

/// A call of a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// init made a value, which may be NULL.
    Made { key: KeyName, value: Value },
    /// init was called and failed.
    Failed { key: KeyName },
    /// destroy was called with a value.
    Ended { key: KeyName, value: Value, reason: Reason },
    /// copy made a copy of a value.
    Copied { key: KeyName, value: Value, copy: Value },
    /// user_free was called.
    Freed { key: KeyName },
    /// A visitor was shown a value, of a map that a thread has or of another.
    Visited { key: KeyName, value: Value, attached: bool },
    /// A scrape of the key handed a value over.
    Taken { key: KeyName, value: Value, attached: bool },
    /// A hook for the thread's end was called.
    Hook { number: usize },
    /// The waker of the thread's own map was called: it has stale values.
    Woken,
}

impl Event {
    pub(crate) fn key(&self) -> Option<KeyName> {
        match *self {
            Self::Made { key, .. }
            | Self::Failed { key }
            | Self::Ended { key, .. }
            | Self::Freed { key }
            | Self::Copied { key, .. }
            | Self::Visited { key, .. }
            | Self::Taken { key, .. } => Some(key),
            Self::Hook { .. } | Self::Woken => None,
        }
    }
}

/// What a key's init callback does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Init {
    /// There is none.
    None,
    /// Makes a value that was never there before.
    Fresh,
    /// Makes a NULL.
    Null,
    /// Fails.
    Fails,
}

/// Which callbacks a key has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) destroy: bool,
    pub(crate) init: Init,
    pub(crate) user_free: bool,
    pub(crate) rules: Rules,
}

impl Kind {
    /// The options of a key of this kind.
    pub(crate) fn options(self, name: KeyName) -> tls_key_options_t {
        let options = tls_key_options_t {
            destroy: self.destroy.then_some(destroy as _),
            init: match self.init {
                Init::None => None,
                Init::Fresh => Some(make_fresh),
                Init::Null => Some(make_null),
                Init::Fails => Some(fail),
            },
            copy: self.rules.inherit.then_some(copy as _),
            user: name as *mut c_void,
            user_free: self.user_free.then_some(user_free as _),
            ..no_options()
        };
        with_rules(options, self.rules)
    }
}

struct Log {
    events: Vec<Event>,
    made: usize,
    copied: usize,
}

impl Log {
    const EMPTY: Self = Self { events: Vec::new(), made: 0, copied: 0 };
}

static LOG: Mutex<Log> = Mutex::new(Log::EMPTY);

/// What has happened since the last call.
pub(crate) fn take_events() -> Vec<Event> {
    std::mem::take(&mut lock(&LOG).events)
}

/// Forgets what another case has left.
pub(crate) fn forget_all() {
    *lock(&LOG) = Log::EMPTY;
}

/// The reason with this number. A number that is none is no reason for a panic
/// in a callback: the model never expects one that is not there.
pub(crate) fn reason_of(number: c_int) -> Reason {
    use Reason::{
        Detached, KeyDead, MapDestroyed, Purged, Removed, Replaced, ScopeEnd, ThreadExit,
    };
    let all = [Replaced, Removed, KeyDead, Purged, ScopeEnd, ThreadExit, Detached, MapDestroyed];
    all.into_iter().find(|reason| *reason as c_int == number).unwrap_or(Replaced)
}

unsafe extern "C" fn destroy(value: *mut c_void, reason: c_int, user: *mut c_void) {
    let (key, value, reason) = (user as KeyName, value as Value, reason_of(reason));
    lock(&LOG).events.push(Event::Ended { key, value, reason });
}

unsafe extern "C" fn user_free(user: *mut c_void) {
    lock(&LOG).events.push(Event::Freed { key: user as KeyName });
}

unsafe extern "C" fn make_fresh(value: *mut *mut c_void, user: *mut c_void) -> c_int {
    let mut log = lock(&LOG);
    let made = made_value(log.made);
    log.made += 1;
    log.events.push(Event::Made { key: user as KeyName, value: made });
    // SAFETY: The library hands over a place for the value.
    unsafe { *value = made as *mut c_void };
    0
}

unsafe extern "C" fn make_null(_: *mut *mut c_void, user: *mut c_void) -> c_int {
    lock(&LOG).events.push(Event::Made { key: user as KeyName, value: 0 });
    0
}

/// Leaves something behind that must not be stored.
unsafe extern "C" fn fail(value: *mut *mut c_void, user: *mut c_void) -> c_int {
    lock(&LOG).events.push(Event::Failed { key: user as KeyName });
    // SAFETY: As in `make_fresh`.
    unsafe { *value = 8 as *mut c_void };
    -1
}

unsafe extern "C" fn copy(value: *mut c_void, copy: *mut *mut c_void, user: *mut c_void) -> c_int {
    let mut log = lock(&LOG);
    let copied = copied_value(log.copied);
    log.copied += 1;
    let (key, value) = (user as KeyName, value as Value);
    log.events.push(Event::Copied { key, value, copy: copied });
    // SAFETY: The library hands over a place for the copy.
    unsafe { *copy = copied as *mut c_void };
    0
}

/// A visitor; its argument is the key's name.
pub(crate) unsafe extern "C" fn visit(value: *mut c_void, thread: u64, key: *mut c_void) -> c_int {
    let (key, value, attached) = (key as KeyName, value as Value, thread != 0);
    lock(&LOG).events.push(Event::Visited { key, value, attached });
    0
}

/// The callback of a scrape; its argument is the key's name.
pub(crate) unsafe extern "C" fn take(value: *mut c_void, thread: u64, key: *mut c_void) -> c_int {
    let (key, value, attached) = (key as KeyName, value as Value, thread != 0);
    lock(&LOG).events.push(Event::Taken { key, value, attached });
    0
}

/// A hook for a thread's end; its argument is its number.
pub(crate) unsafe extern "C" fn hook(number: *mut c_void) {
    lock(&LOG).events.push(Event::Hook { number: number as usize });
}

/// The waker of a thread that has stale values.
pub(crate) unsafe extern "C" fn wake(_: *mut c_void) {
    lock(&LOG).events.push(Event::Woken);
}
