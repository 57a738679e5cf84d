// SPDX-License-Identifier: MIT OR Apache-2.0
//! The oracle: every value and every key of an execution, what has become of
//! them, and what must hold of them.
//!
//! All threads of an execution run on one thread of the system, so the oracle
//! needs no lock. But what it stands for would be shared: each value, each key's
//! `user` and the code of the callbacks has a *shadow*, a cell that the checker
//! watches. The thread that makes or destroys a value writes its shadow;
//! `user_free` writes that of `user`; a drain, after which a program may unload
//! the code, writes that of the code; and each callback reads what it uses. So a
//! use that nothing orders before an end is found, even where the end comes
//! later in every schedule that is played.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ffi::{c_int, c_void};
use std::mem::size_of;
use std::panic::Location;

use threadlocalmap::capi::constants::{
    TLS_KEY_ENUMERABLE, TLS_KEY_INHERIT, TLS_KEY_WORKER, TLS_RECLAIM_ANY, TLS_RECLAIM_OWNER,
};
use threadlocalmap::capi::keys::tls_key_options_t;
use threadlocalmap::sys::modelled::Checker;

use crate::script::Rules;

/// Who has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The library: it is to be destroyed.
    Held,
    /// The program: a call has handed it over, or has not taken it.
    Ours,
    /// Nobody: this thread has destroyed it.
    Destroyed(u64),
}

#[derive(Debug)]
struct Value {
    key: usize,
    owner: u64,
    state: State,
    /// It is in its owner's table, or covered there.
    current: bool,
    /// A call that may give it to the program has not returned.
    unsettled: bool,
    /// How many scopes were open when it was set.
    depth: usize,
    /// It is in a context, and no thread's.
    captured: bool,
}

#[derive(Debug)]
struct Key {
    rules: Rules,
    freed: bool,
    unloaded: bool,
}

#[derive(Default)]
struct Oracle {
    checker: Option<&'static dyn Checker>,
    scenario: String,
    values: Vec<Value>,
    keys: Vec<Key>,
    /// Threads that have left their map, or are about to.
    gone: HashSet<u64>,
    /// A map goes from thread to thread, and its values with it.
    moving: bool,
    /// How many scopes are open, by map.
    depths: HashMap<u64, usize>,
    /// Threads that capture, and what they have captured.
    capturing: HashMap<u64, Vec<usize>>,
    /// A key that the next copy callback sets.
    set_in_copy: Option<u64>,
    /// Threads that were woken for stale values.
    woken: HashSet<u64>,
    found: Vec<String>,
}

std::thread_local! {
    static ORACLE: RefCell<Oracle> = RefCell::default();
}

fn with<T>(work: impl FnOnce(&mut Oracle) -> T) -> T {
    ORACLE.with_borrow_mut(work)
}

fn checker() -> &'static dyn Checker {
    with(|oracle| oracle.checker).expect("`begin` comes first")
}

/// Notes what must not be.
pub fn find(what: String) {
    with(|oracle| oracle.found.push(what));
}

/// Notes `what` unless `holds`.
pub fn expect(holds: bool, what: impl FnOnce() -> String) {
    if !holds {
        find(what());
    }
}

/// What must not be, and was.
#[must_use]
pub fn found() -> Vec<String> {
    with(|oracle| std::mem::take(&mut oracle.found))
}

/// What is played.
#[must_use]
pub fn scenario() -> String {
    let copy = |oracle: &RefCell<Oracle>| oracle.try_borrow().map(|oracle| oracle.scenario.clone());
    ORACLE.with(copy).unwrap_or_default()
}

/// Begins an execution.
pub fn begin(checker: &'static dyn Checker, moving: bool, scenario: &str) {
    let scenario = scenario.to_owned();
    let fresh = Oracle { checker: Some(checker), moving, scenario, ..Oracle::default() };
    ORACLE.with(|oracle| *oracle.borrow_mut() = fresh);
}

/// Shadows stand 64 bytes apart where no memory is.
const VALUES: usize = 0x10_0000;
const USERS: usize = 0x20_0000;
const CODES: usize = 0x30_0000;

fn shadow(base: usize, number: usize) -> usize {
    base + 64 * number
}

fn pointer(base: usize, number: usize) -> *mut c_void {
    shadow(base, number) as *mut c_void
}

fn number(base: usize, pointer: *mut c_void) -> usize {
    (pointer as usize - base) / 64
}

#[track_caller]
fn reads(base: usize, number: usize) {
    checker().reads(shadow(base, number), Location::caller());
}

#[track_caller]
fn writes(base: usize, number: usize) {
    checker().writes(shadow(base, number), Location::caller());
}

/// The options of a new key, and its number.
#[must_use]
pub fn new_key(rules: Rules, init: bool) -> (tls_key_options_t, usize) {
    let key = with(|oracle| {
        oracle.keys.push(Key { rules, freed: false, unloaded: false });
        oracle.keys.len() - 1
    });
    writes(USERS, key);
    writes(CODES, key);
    let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
    let options = tls_key_options_t {
        size: size_of::<tls_key_options_t>(),
        name: std::ptr::null(),
        destroy: Some(destroy),
        init: if init { Some(make) } else { None },
        copy: if rules.inherit { Some(copy) } else { None },
        user: pointer(USERS, key),
        user_free: Some(user_free),
        reclaim: if rules.any { TLS_RECLAIM_ANY } else { TLS_RECLAIM_OWNER },
        flags: flag(rules.enumerable, TLS_KEY_ENUMERABLE)
            | flag(rules.worker, TLS_KEY_WORKER)
            | flag(rules.inherit, TLS_KEY_INHERIT),
    };
    (options, key)
}

/// The map that a thread works on, by number: 0 is the one that threads share.
fn map_of(oracle: &Oracle, thread: u64) -> u64 {
    let shared = oracle.moving && !threadlocalmap::capi::maps::tls_map_current().is_null();
    if shared {
        0
    } else {
        thread
    }
}

fn depth_of(oracle: &Oracle, thread: u64) -> usize {
    // Nothing but scenarios of maps that move asks the library, which may call
    // the checker.
    oracle.depths.get(&map_of(oracle, thread)).copied().unwrap_or(0)
}

fn new_value_of(key: usize, state: State) -> usize {
    let owner = checker().thread();
    let value = with(|oracle| {
        let depth = if oracle.keys[key].rules.worker { 0 } else { depth_of(oracle, owner) };
        let (current, unsettled, captured) = (false, false, false);
        oracle.values.push(Value { key, owner, state, current, unsettled, depth, captured });
        oracle.values.len() - 1
    });
    writes(VALUES, value);
    value
}

/// A new value of the calling thread's: ours, until a call takes it.
#[must_use]
pub fn new_value(key: usize) -> *mut c_void {
    pointer(VALUES, new_value_of(key, State::Ours))
}

/// A call is about to store a value: from when on it may be destroyed is not
/// known. It replaces those of the same scope.
pub fn offered(value: *mut c_void) {
    with(|oracle| {
        let value = number(VALUES, value);
        let Value { owner, key, depth, .. } = oracle.values[value];
        for other in &mut oracle.values {
            other.current &= other.owner != owner || other.key != key || other.depth < depth;
        }
        let value = &mut oracle.values[value];
        (value.state, value.current, value.unsettled) = (State::Held, true, true);
    });
}

/// The calling thread asks for its value.
pub fn asking(key: usize) {
    let owner = checker().thread();
    with(|oracle| {
        for value in &mut oracle.values {
            value.unsettled |= value.owner == owner && value.key == key && value.current;
        }
    });
}

/// The calling thread's call has returned.
pub fn settled() {
    let owner = checker().thread();
    with(|oracle| {
        for value in &mut oracle.values {
            value.unsettled &= value.owner != owner;
        }
    });
}

/// The call has not stored it: what stood before is still there, unless it was
/// destroyed.
pub fn declined(value: *mut c_void) {
    handed_over(value);
    with(|oracle| {
        let Value { owner, key, depth, .. } = oracle.values[number(VALUES, value)];
        let last = oracle.values.iter_mut().rfind(|other| {
            let same = other.owner == owner && other.key == key && other.depth == depth;
            same && other.state == State::Held && !other.captured
        });
        if let Some(last) = last {
            last.current = true;
        }
    });
}

/// A call has handed a value over, undestroyed.
#[track_caller]
pub fn handed_over(value: *mut c_void) {
    if value.is_null() {
        return;
    }
    let value = number(VALUES, value);
    writes(VALUES, value);
    with(|oracle| {
        let state = oracle.values[value].state;
        if state != State::Held {
            oracle.found.push(format!("value {value} is handed over, but it is {state:?}"));
        }
        oracle.values[value].state = State::Ours;
        oracle.values[value].current = false;
    });
}

/// The calling thread is about to remove its value of the innermost scope.
pub fn removing(key: usize) {
    let owner = checker().thread();
    with(|oracle| {
        let depth = if oracle.keys[key].rules.worker { 0 } else { depth_of(oracle, owner) };
        for value in &mut oracle.values {
            value.current &= value.owner != owner || value.key != key || value.depth < depth;
        }
    });
}

/// The calling thread opens a scope, or `opens` is false: has opened none.
pub fn scope(opens: bool) {
    let thread = checker().thread();
    with(|oracle| {
        let map = map_of(oracle, thread);
        let depth = oracle.depths.entry(map).or_default();
        *depth = if opens { *depth + 1 } else { *depth - 1 };
    });
}

/// The innermost scope of the calling thread is about to end.
pub fn ending_scope() {
    let owner = checker().thread();
    with(|oracle| {
        let depth = depth_of(oracle, owner);
        for value in &mut oracle.values {
            value.current &= value.owner != owner || value.depth < depth;
        }
    });
}

/// The calling thread begins to capture.
pub fn capturing() {
    let thread = checker().thread();
    with(|oracle| oracle.capturing.insert(thread, Vec::new()));
}

/// The copy callback sets its own key, too.
pub fn set_in_copy(handle: u64) {
    with(|oracle| oracle.set_in_copy = Some(handle));
}

/// It has captured these values.
#[must_use]
pub fn captured() -> Vec<usize> {
    let thread = checker().thread();
    with(|oracle| oracle.capturing.remove(&thread)).unwrap_or_default()
}

/// The values of a context are set in a scope of the calling thread's.
pub fn moved(values: &[usize]) {
    let thread = checker().thread();
    with(|oracle| {
        let depth = depth_of(oracle, thread);
        for value in values {
            let value = &mut oracle.values[*value];
            (value.owner, value.depth) = (thread, depth);
            (value.captured, value.current) = (false, true);
        }
    });
}

/// A get has returned a value (or null).
#[track_caller]
pub fn got(key: usize, value: *mut c_void) {
    if value.is_null() {
        return;
    }
    let (value, owner) = (number(VALUES, value), checker().thread());
    let rules = with(|oracle| {
        let book = &oracle.values[value];
        if book.key != key || (book.owner != owner && !oracle.moving) || book.captured {
            oracle.found.push(format!("a get of key {key} on thread {owner} shows {book:?}"));
        }
        oracle.keys[key].rules
    });
    if !rules.reachable() {
        // Other threads may destroy what is reachable: the owner has to know.
        reads(VALUES, value);
        with(|oracle| {
            let state = oracle.values[value].state;
            if state != State::Held {
                oracle.found.push(format!("a get shows value {value}, which is {state:?}"));
            }
        });
    }
}

/// The calling thread is about to leave its own map.
pub fn leaving() {
    let thread = checker().thread();
    with(|oracle| {
        oracle.gone.insert(thread);
        oracle.depths.remove(&thread);
    });
}

/// A drain of a dead key has answered that nothing is left: its code goes.
#[track_caller]
pub fn unload(key: usize) {
    writes(CODES, key);
    with(|oracle| {
        if !oracle.keys[key].freed {
            oracle.found.push(format!("key {key} is drained, and its user_free has not run"));
        }
        oracle.keys[key].unloaded = true;
    });
    expect(held(key, None) == 0, || format!("key {key} is drained, and a value is left"));
}

/// A drain of a live key, under which nobody stores, has answered that nobody
/// has a value: all callbacks for those that were there have returned.
#[track_caller]
pub fn nobody_has_one(key: usize) {
    expect(held(key, None) == 0, || format!("key {key} is drained, and a value is left"));
    let all: Vec<usize> = with(|oracle| {
        let values = oracle.values.iter().enumerate();
        values.filter(|(_, value)| value.key == key).map(|(number, _)| number).collect()
    });
    all.into_iter().for_each(|value| writes(VALUES, value));
}

/// A thread that has a reference to a key uses what its `user` stands for.
#[track_caller]
pub fn uses(key: usize) {
    reads(USERS, key);
}

/// The key of a value, as it says itself.
#[must_use]
pub fn key_of(value: *mut c_void) -> usize {
    with(|oracle| oracle.values[number(VALUES, value)].key)
}

/// Values of a key that the library is to destroy still, for sure; with an owner:
/// those in that thread's map.
#[must_use]
pub fn held(key: usize, owner: Option<u64>) -> usize {
    let is_its = |value: &&Value| {
        owner.is_none_or(|owner| owner == value.owner && !value.captured) && value.key == key
    };
    with(|oracle| {
        let held = |value: &&Value| value.state == State::Held && !value.unsettled;
        oracle.values.iter().filter(is_its).filter(held).count()
    })
}

/// What a thread's stale count must be: its values under dead keys, and those
/// under live ones that it has replaced or removed and that are not destroyed.
#[must_use]
pub fn stale(owner: u64, is_dead: impl Fn(usize) -> bool) -> usize {
    with(|oracle| {
        (oracle.values.iter())
            .filter(|value| value.owner == owner && value.state == State::Held && !value.captured)
            .filter(|value| is_dead(value.key) || !value.current)
            .count()
    })
}

/// How many values a thread has under live keys, if nobody has purged them.
#[must_use]
pub fn current(owner: u64) -> usize {
    with(|oracle| {
        let is_it = |value: &&Value| {
            let held = value.state == State::Held && !value.captured;
            value.owner == owner && held && value.current
        };
        oracle.values.iter().filter(is_it).count()
    })
}

/// Whether a thread was woken for stale values.
#[must_use]
pub fn was_woken(thread: u64) -> bool {
    with(|oracle| oracle.woken.contains(&thread))
}

/// Every key is over, and every value: finds those that are not.
pub fn finish() {
    with(|oracle| {
        for (number, value) in oracle.values.iter().enumerate() {
            if value.state == State::Held {
                oracle.found.push(format!("value {number} was never destroyed: {value:?}"));
            }
        }
        for (number, key) in oracle.keys.iter().enumerate() {
            if !key.freed {
                oracle.found.push(format!("the user_free of key {number} was never called"));
            }
        }
    });
}

// ---- What the library calls: nothing here lets another thread go on -----------

unsafe extern "C" fn destroy(value: *mut c_void, reason: c_int, user: *mut c_void) {
    let (value, key, thread) = (number(VALUES, value), number(USERS, user), checker().thread());
    reads(USERS, key);
    reads(CODES, key);
    writes(VALUES, value);
    with(|oracle| {
        let book = &mut oracle.values[value];
        let rules = oracle.keys[key].rules;
        let allowed = thread == book.owner
            || rules.any
            || oracle.moving
            || book.captured
            || (rules.enumerable && oracle.gone.contains(&book.owner));
        if book.state != State::Held || book.key != key || !allowed {
            let what = format!(
                "value {value}, {book:?}, is destroyed by thread {thread} for key {key}, reason {reason}"
            );
            oracle.found.push(what);
        }
        book.state = State::Destroyed(thread);
        book.current = false;
        if oracle.keys[key].freed || oracle.keys[key].unloaded {
            oracle.found.push(format!("value {value} is destroyed after the end of key {key}"));
        }
    });
}

unsafe extern "C" fn make(value: *mut *mut c_void, user: *mut c_void) -> c_int {
    let key = number(USERS, user);
    reads(USERS, key);
    reads(CODES, key);
    let made = new_value(key);
    offered(made);
    settled();
    // SAFETY: The library's, to be written.
    unsafe { *value = made };
    0
}

unsafe extern "C" fn copy(value: *mut c_void, copy: *mut *mut c_void, user: *mut c_void) -> c_int {
    let (value, key, thread) = (number(VALUES, value), number(USERS, user), checker().thread());
    reads(USERS, key);
    reads(CODES, key);
    reads(VALUES, value);
    let made = new_value_of(key, State::Held);
    with(|oracle| {
        let book = &oracle.values[value];
        if book.state != State::Held || book.key != key {
            oracle.found.push(format!("a copy for key {key} is made of value {value}, {book:?}"));
        }
        let captured = oracle.capturing.get_mut(&thread);
        let is_captured = captured.map(|captured| captured.push(made)).is_some();
        let made = &mut oracle.values[made];
        (made.captured, made.current) = (is_captured, !is_captured);
    });
    // What it copies stays meanwhile, whatever the thread does.
    threadlocalmap::capi::cleanup::tls_expunge();
    with(|oracle| {
        let book = &oracle.values[value];
        if book.state != State::Held || book.key != key {
            oracle.found.push(format!("value {value} has ended while it is copied: {book:?}"));
        }
    });
    if let Some(handle) = with(|oracle| oracle.set_in_copy.take()) {
        let value = new_value(key);
        offered(value);
        if threadlocalmap::capi::values::tls_set(handle, value) != 0 {
            declined(value);
        }
    }
    // SAFETY: The library's, to be written.
    unsafe { *copy = pointer(VALUES, made) };
    0
}

unsafe extern "C" fn user_free(user: *mut c_void) {
    let key = number(USERS, user);
    writes(USERS, key);
    reads(CODES, key);
    let left = held(key, None);
    with(|oracle| {
        let book = &mut oracle.keys[key];
        if book.freed || book.unloaded || left > 0 {
            oracle.found.push(format!("user_free of {book:?}, with {left} values left"));
        }
        book.freed = true;
    });
}

/// For a visit: the value is not destroyed before this has returned.
pub extern "C" fn visit(value: *mut c_void, _thread: u64, user: *mut c_void) -> c_int {
    let (value, key) = (number(VALUES, value), number(USERS, user));
    reads(VALUES, value);
    with(|oracle| {
        let book = &oracle.values[value];
        if book.state != State::Held || book.key != key || book.captured {
            oracle.found.push(format!("a visit of key {key} shows value {value}, {book:?}"));
        }
    });
    0
}

/// For a scrape: the value is the caller's from now on.
pub extern "C" fn receive(value: *mut c_void, _thread: u64, _user: *mut c_void) -> c_int {
    handed_over(value);
    0
}

/// For an owner that has registered a waker.
pub extern "C" fn notify(thread: *mut c_void) {
    with(|oracle| oracle.woken.insert(thread as u64));
}

/// A hook that belongs to a key: it is not called when that is over.
pub extern "C" fn hook(user: *mut c_void) {
    uses(number(USERS, user));
}

/// What `visit` is called with.
#[must_use]
pub fn user(key: usize) -> *mut c_void {
    pointer(USERS, key)
}
