//! Every value and every key of an execution, and what has become of them.
//!
//! All threads of an execution run on one thread of the system, so the book is
//! not shared. But what it stands for would be: each value, each key's `user`
//! and the code of the callbacks has a cell that the checker watches. A value
//! is written to by whoever makes or ends it; `user` by `user_free`; the code by
//! whoever unloads it after a drain; and each callback reads what it uses. So a
//! use that nothing orders before an end is found, even where the end comes
//! later in every schedule that is played.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ffi::{c_int, c_void};
use std::panic::Location;

use threadlocalmap::key::options::{Callbacks, KeyOptions, Rules};
use threadlocalmap::sys::modelled::Checker;

/// Who has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The library: it is to be ended.
    Held,
    /// The program: a call has handed it over, or has not taken it.
    Ours,
    /// Nobody: it was ended, by this thread.
    Ended(u64),
}

#[derive(Debug)]
struct Value {
    key: usize,
    owner: u64,
    state: State,
    /// It is what the library shows for its owner and key.
    current: bool,
    /// A call that may give it to the program has not returned.
    unsettled: bool,
}

#[derive(Debug)]
struct KeyBook {
    rules: Rules,
    freed: bool,
    unloaded: bool,
}

#[derive(Default)]
struct Ledger {
    checker: Option<&'static dyn Checker>,
    values: Vec<Value>,
    keys: Vec<KeyBook>,
    /// Threads that have left their map, or are about to.
    gone: HashSet<u64>,
    /// A map goes from thread to thread, and its values with it.
    moving: bool,
    /// Threads that were told of stale values.
    told: HashSet<u64>,
    found: Vec<String>,
}

std::thread_local! {
    static LEDGER: RefCell<Ledger> = RefCell::default();
}

fn with<T>(work: impl FnOnce(&mut Ledger) -> T) -> T {
    LEDGER.with_borrow_mut(work)
}

fn checker() -> &'static dyn Checker {
    with(|ledger| ledger.checker).expect("`begin` comes first")
}

/// Notes what must not be.
pub fn find(what: String) {
    with(|ledger| ledger.found.push(what));
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
    with(|ledger| std::mem::take(&mut ledger.found))
}

/// Begins an execution.
pub fn begin(checker: &'static dyn Checker, moving: bool) {
    let fresh = Ledger { checker: Some(checker), moving, ..Ledger::default() };
    LEDGER.with(|ledger| *ledger.borrow_mut() = fresh);
}

/// Cells stand 64 bytes apart where no memory is.
const VALUES: usize = 0x10_0000;
const USERS: usize = 0x20_0000;
const CODES: usize = 0x30_0000;

fn cell(base: usize, number: usize) -> usize {
    base + 64 * number
}

fn pointer(base: usize, number: usize) -> *mut c_void {
    cell(base, number) as *mut c_void
}

fn number(base: usize, pointer: *mut c_void) -> usize {
    (pointer as usize - base) / 64
}

#[track_caller]
fn reads(base: usize, number: usize) {
    checker().reads(cell(base, number), Location::caller());
}

#[track_caller]
fn writes(base: usize, number: usize) {
    checker().writes(cell(base, number), Location::caller());
}

/// The options of a new key, and its number.
#[must_use]
pub fn new_key(rules: Rules, init: bool) -> (KeyOptions, usize) {
    let key = with(|ledger| {
        ledger.keys.push(KeyBook { rules, freed: false, unloaded: false });
        ledger.keys.len() - 1
    });
    writes(USERS, key);
    writes(CODES, key);
    let callbacks = Callbacks {
        destroy: Some(destroy),
        init: init.then_some(make as _),
        copy: None,
        user: pointer(USERS, key),
        user_free: Some(user_free),
    };
    (KeyOptions { name: std::ptr::null(), callbacks, rules }, key)
}

/// A new value of the calling thread's: ours, until a call takes it.
#[must_use]
pub fn new_value(key: usize) -> *mut c_void {
    let owner = checker().thread();
    let value = with(|ledger| {
        ledger.values.push(Value {
            key,
            owner,
            state: State::Ours,
            current: false,
            unsettled: false,
        });
        ledger.values.len() - 1
    });
    writes(VALUES, value);
    pointer(VALUES, value)
}

/// A call is about to store a value: from when on it may be ended is not known.
pub fn offered(value: *mut c_void) {
    with(|ledger| {
        let value = number(VALUES, value);
        let (owner, key) = (ledger.values[value].owner, ledger.values[value].key);
        for other in &mut ledger.values {
            other.current &= other.owner != owner || other.key != key;
        }
        let book = &mut ledger.values[value];
        (book.state, book.current, book.unsettled) = (State::Held, true, true);
    });
}

/// The calling thread asks for its value.
pub fn asking(key: usize) {
    let owner = checker().thread();
    with(|ledger| {
        for value in &mut ledger.values {
            value.unsettled |= value.owner == owner && value.key == key && value.current;
        }
    });
}

/// The calling thread's call has returned.
pub fn settled() {
    let owner = checker().thread();
    with(|ledger| {
        for value in &mut ledger.values {
            value.unsettled &= value.owner != owner;
        }
    });
}

/// The call has not stored it.
pub fn declined(value: *mut c_void) {
    handed_over(value);
    // Whatever stood before stands still, unless it has ended.
    with(|ledger| {
        let value = number(VALUES, value);
        let (owner, key) = (ledger.values[value].owner, ledger.values[value].key);
        let last = ledger
            .values
            .iter_mut()
            .rfind(|other| other.owner == owner && other.key == key && other.state == State::Held);
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
    with(|ledger| {
        let book = &mut ledger.values[value];
        if book.state != State::Held {
            ledger.found.push(format!("value {value} is handed over, but it is {:?}", book.state));
        }
        book.state = State::Ours;
        book.current = false;
    });
}

/// The calling thread is about to remove its value.
pub fn removing(key: usize) {
    let owner = checker().thread();
    with(|ledger| {
        for value in &mut ledger.values {
            value.current &= value.owner != owner || value.key != key;
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
    let rules = with(|ledger| {
        let book = &ledger.values[value];
        if book.key != key || (book.owner != owner && !ledger.moving) {
            ledger.found.push(format!("a get of key {key} on thread {owner} shows {book:?}"));
        }
        ledger.keys[key].rules
    });
    if !rules.reachable() {
        // Others may end what is reachable: that is between them and the owner.
        reads(VALUES, value);
        with(|ledger| {
            let state = ledger.values[value].state;
            if state != State::Held {
                ledger.found.push(format!("a get shows value {value}, which is {state:?}"));
            }
        });
    }
}

/// The calling thread is about to leave its map.
pub fn leaving() {
    let thread = checker().thread();
    with(|ledger| ledger.gone.insert(thread));
}

/// A drain of a dead key has answered that nothing is left: its code goes.
#[track_caller]
pub fn unload(key: usize) {
    writes(CODES, key);
    with(|ledger| {
        if !ledger.keys[key].freed {
            ledger.found.push(format!("key {key} is drained, and its user_free has not run"));
        }
        ledger.keys[key].unloaded = true;
    });
    expect(held(key, None) == 0, || format!("key {key} is drained, and a value is left"));
}

/// A drain of a live key, under which nobody stores, has answered that nobody
/// has a value: all callbacks for those that were there have returned.
#[track_caller]
pub fn nobody_has_one(key: usize) {
    expect(held(key, None) == 0, || format!("key {key} is drained, and a value is left"));
    let ended: Vec<usize> = with(|ledger| {
        let values = ledger.values.iter().enumerate();
        values.filter(|(_, value)| value.key == key).map(|(number, _)| number).collect()
    });
    ended.into_iter().for_each(|value| writes(VALUES, value));
}

/// A thread that has a reference to a key uses what its `user` stands for.
#[track_caller]
pub fn uses(key: usize) {
    reads(USERS, key);
}

/// The key of a value, as it says itself.
#[must_use]
pub fn key_of(value: *mut c_void) -> usize {
    with(|ledger| ledger.values[number(VALUES, value)].key)
}

/// Values of a key (and a thread) that the library is to end still, for sure.
#[must_use]
pub fn held(key: usize, owner: Option<u64>) -> usize {
    with(|ledger| {
        (ledger.values.iter())
            .filter(|value| value.key == key && owner.is_none_or(|owner| owner == value.owner))
            .filter(|value| value.state == State::Held && !value.unsettled)
            .count()
    })
}

/// What a thread's stale count must be: its values under dead keys, and those
/// under live ones that it has replaced or removed and that have not ended.
#[must_use]
pub fn stale(owner: u64, is_dead: impl Fn(usize) -> bool) -> usize {
    with(|ledger| {
        (ledger.values.iter())
            .filter(|value| value.owner == owner && value.state == State::Held)
            .filter(|value| is_dead(value.key) || !value.current)
            .count()
    })
}

/// Whether a thread was told of stale values.
#[must_use]
pub fn was_told(thread: u64) -> bool {
    with(|ledger| ledger.told.contains(&thread))
}

/// Every key is over, and every value: finds those that are not.
pub fn finish() {
    with(|ledger| {
        for (number, value) in ledger.values.iter().enumerate() {
            if value.state == State::Held {
                ledger.found.push(format!("value {number} was never ended: {value:?}"));
            }
        }
        for (number, key) in ledger.keys.iter().enumerate() {
            if !key.freed {
                ledger.found.push(format!("the user_free of key {number} was never called"));
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
    with(|ledger| {
        let book = &mut ledger.values[value];
        let rules = ledger.keys[key].rules;
        let allowed = thread == book.owner
            || rules.any()
            || ledger.moving
            || (rules.enumerable() && ledger.gone.contains(&book.owner));
        if book.state != State::Held || book.key != key || !allowed {
            let what = format!(
                "value {value}, {book:?}, is ended by thread {thread} for key {key}, reason {reason}"
            );
            ledger.found.push(what);
        }
        book.state = State::Ended(thread);
        book.current = false;
        if ledger.keys[key].freed || ledger.keys[key].unloaded {
            ledger.found.push(format!("value {value} is ended after the end of key {key}"));
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

unsafe extern "C" fn user_free(user: *mut c_void) {
    let key = number(USERS, user);
    writes(USERS, key);
    reads(CODES, key);
    let left = held(key, None);
    with(|ledger| {
        let book = &mut ledger.keys[key];
        if book.freed || book.unloaded || left > 0 {
            ledger.found.push(format!("user_free of {book:?}, with {left} values left"));
        }
        book.freed = true;
    });
}

/// For a visit: the value can't end before this has returned.
pub extern "C" fn visit(value: *mut c_void, _thread: u64, user: *mut c_void) {
    let (value, key) = (number(VALUES, value), number(USERS, user));
    reads(VALUES, value);
    with(|ledger| {
        let book = &ledger.values[value];
        if book.state != State::Held || book.key != key {
            ledger.found.push(format!("a visit of key {key} shows value {value}, {book:?}"));
        }
    });
}

/// For a scrape: the value is the caller's from now on.
pub extern "C" fn receive(value: *mut c_void, _thread: u64, _user: *mut c_void) {
    handed_over(value);
}

/// For an owner that wants to be told.
pub extern "C" fn notify(thread: *mut c_void) {
    with(|ledger| ledger.told.insert(thread as u64));
}

/// What `visit` is called with.
#[must_use]
pub fn user(key: usize) -> *mut c_void {
    pointer(USERS, key)
}
