// SPDX-License-Identifier: MIT OR Apache-2.0
//! What becomes of every value, whichever threads do it.
//!
//! Values are numbers in the shape of pointers and keys are labels in the
//! shape of `user` pointers: no value and no label is ever used again, so that
//! a value that ends twice, under another key or on the wrong thread cannot
//! hide. Nothing here locks, allocates or panics where a callback comes by.

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use threadlocalmap::capi::keys::tls_key_options_t;
use threadlocalmap::local::maps::collect;
use threadlocalmap::local::stats::tls_stats_t as Stats;

use crate::api::{self, no_options, Init};

/// Values that all tests of a run make together, at most.
const MOST_VALUES: usize = 1 << 22;
/// Keys that all tests of a run make together, at most.
const MOST_KEYS: usize = 1 << 18;

/// Whose a value is before and after its life.
const NOBODY: u32 = 0;
/// Whose a value is that goes from thread to thread with its map.
const ANYBODY: u32 = u32::MAX;

/// What is known of a value.
struct ValueNote {
    /// The thread that must end it; [`NOBODY`] when that is over.
    owner: AtomicU32,
    label: AtomicU32,
}

/// What is known of a key.
struct KeyNote {
    /// Its values may go from thread to thread.
    wanders: AtomicBool,
    /// Values made, and not ended or handed over.
    alive: AtomicU32,
    /// Calls of user_free.
    freed: AtomicU32,
}

impl KeyNote {
    const fn new() -> Self {
        let (alive, freed) = (AtomicU32::new(0), AtomicU32::new(0));
        Self { wanders: AtomicBool::new(false), alive, freed }
    }

    /// Who must end the values that the calling thread makes or meets.
    fn owner(&self) -> u32 {
        if self.wanders.load(SeqCst) {
            ANYBODY
        } else {
            this_thread()
        }
    }
}

static VALUES: [ValueNote; MOST_VALUES] =
    [const { ValueNote { owner: AtomicU32::new(NOBODY), label: AtomicU32::new(0) } }; MOST_VALUES];
static KEYS: [KeyNote; MOST_KEYS] = [const { KeyNote::new() }; MOST_KEYS];
static VALUES_MADE: AtomicUsize = AtomicUsize::new(0);
static KEYS_MADE: AtomicUsize = AtomicUsize::new(0);
static THREADS: AtomicU32 = AtomicU32::new(0);

/// Callbacks that found something wrong; the test's output says what.
static FAULTS: AtomicUsize = AtomicUsize::new(0);

fn fault(what: &str, label: u32) {
    FAULTS.fetch_add(1, SeqCst);
    eprintln!("key {label}: {what}");
}

/// The calling thread's number. Without a destructor, so that callbacks at the
/// end of the thread still find it.
fn this_thread() -> u32 {
    thread_local!(static NUMBER: Cell<u32> = const { Cell::new(NOBODY) });
    NUMBER.with(|number| {
        if number.get() == NOBODY {
            number.set(THREADS.fetch_add(1, SeqCst) + 1);
        }
        number.get()
    })
}

/// A key, as threads hand it to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) handle: u64,
    pub(crate) label: u32,
}

impl Key {
    /// A key with one reference.
    pub(crate) fn create() -> Self {
        Self::create_with(None, false)
    }

    /// The same, and a get makes a value where there is none.
    pub(crate) fn create_with_init() -> Self {
        Self::create_with(Some(init), false)
    }

    /// A key for values in maps that go from thread to thread.
    pub(crate) fn create_for_maps() -> Self {
        Self::create_with(Some(init), true)
    }

    fn create_with(init: Option<Init>, wanders: bool) -> Self {
        let label = KEYS_MADE.fetch_add(1, SeqCst);
        KEYS[label].wanders.store(wanders, SeqCst);
        let options = tls_key_options_t {
            destroy: Some(destroy),
            init,
            user: label as *mut c_void,
            user_free: Some(user_free),
            ..no_options()
        };
        Self { handle: api::create(&options).expect("memory"), label: label as u32 }
    }

    /// A new value, for the calling thread.
    pub(crate) fn make_value(self) -> *mut c_void {
        make(self.label)
    }

    /// A value that the library does not have, or not any more.
    pub(crate) fn receive(self, value: *mut c_void) {
        end(value, self.label);
    }

    /// A value that was read: one of this key, or none.
    pub(crate) fn assert_owns(self, value: *mut c_void) {
        if !value.is_null() {
            let note = &VALUES[value as usize - 1];
            assert_eq!(note.label.load(SeqCst), self.label, "another key's value");
            let owner = KEYS[self.label as usize].owner();
            assert_eq!(note.owner.load(SeqCst), owner, "another thread's value, or ended");
        }
    }
}

fn make(label: u32) -> *mut c_void {
    let number = VALUES_MADE.fetch_add(1, SeqCst);
    let key = &KEYS[label as usize];
    VALUES[number].label.store(label, SeqCst);
    VALUES[number].owner.store(key.owner(), SeqCst);
    key.alive.fetch_add(1, SeqCst);
    (number + 1) as *mut c_void
}

fn end(value: *mut c_void, label: u32) {
    let Some(note) = (value as usize).checked_sub(1).and_then(|number| VALUES.get(number)) else {
        return fault("no value ends", label);
    };
    if note.label.load(SeqCst) != label {
        fault("another key's value ends", label);
    }
    let key = &KEYS[label as usize];
    if note.owner.swap(NOBODY, SeqCst) != key.owner() {
        fault("a value ends again, or on another thread", label);
    }
    key.alive.fetch_sub(1, SeqCst);
}

unsafe extern "C" fn destroy(value: *mut c_void, _: c_int, user: *mut c_void) {
    let label = user as u32;
    if KEYS[label as usize].freed.load(SeqCst) > 0 {
        fault("a value ends after user_free", label);
    }
    end(value, label);
}

unsafe extern "C" fn init(value: *mut *mut c_void, user: *mut c_void) -> c_int {
    // SAFETY: The library hands over a place for the value.
    unsafe { *value = make(user as u32) };
    0
}

unsafe extern "C" fn user_free(user: *mut c_void) {
    KEYS[user as usize].freed.fetch_add(1, SeqCst);
}

/// One test's part of the ledger. The library's state is the process's, so one
/// test runs at a time.
pub(crate) struct Page {
    before: Stats,
    labels_before: usize,
    _alone: MutexGuard<'static, ()>,
}

impl Page {
    pub(crate) fn open() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        Self { before: collect(), labels_before: KEYS_MADE.load(SeqCst), _alone: alone }
    }

    fn labels(&self) -> Range<usize> {
        self.labels_before..KEYS_MADE.load(SeqCst)
    }

    /// The test's threads have ended and its keys are released: each value has
    /// ended once, each key's user_free was called once, nothing is left.
    pub(crate) fn assert_balanced(&self) {
        assert_eq!(FAULTS.load(SeqCst), 0, "the output says which");
        for label in self.labels() {
            assert_eq!(KEYS[label].alive.load(SeqCst), 0, "values of key {label} still alive");
            assert_eq!(KEYS[label].freed.load(SeqCst), 1, "user_free of key {label}");
        }
        let now = collect();
        let expected = Stats {
            expunged: now.expunged,
            destroyed: now.destroyed,
            rehashes: now.rehashes,
            longest_probe: now.longest_probe,
            // The registry keeps the slots that it has allocated.
            bytes: now.bytes,
            ..self.before
        };
        assert_eq!(now, expected);
    }
}
