// SPDX-License-Identifier: MIT OR Apache-2.0
//! Callbacks that call back: what may not be lost, and not happen twice.
//!
//! Here the destroy, init and user_free callbacks of a key do something
//! themselves: set or remove another key's value or their own, release a key,
//! expunge, remove everything. The order of events is then the library's
//! business, and a model of it would be the library again. So the test keeps a
//! shadow, a list of the values that are alive:
//!
//! ```text
//!   made by a set, a swap or an init   =   ended + handed over + given up
//!                                          + alive
//!   alive                              =   what all maps have together
//! ```
//!
//! A value enters the shadow before the call that stores it, under its key, and
//! leaves it once. Values are numbers in the shape of pointers, no two alike.
//!
//! A callback must not panic: what it finds wrong goes into the shadow, too.

use core::ffi::{c_int, c_void};
use std::collections::BTreeMap;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Mutex;

use threadlocalmap::capi::keys::tls_key_options_t;
use threadlocalmap::error::Error;
use threadlocalmap::local::map::Map;
use threadlocalmap::local::maps::collect;

use crate::api::{self, no_options, MapPointer};
use crate::draw;
use crate::fixture::{in_a_thread, lock, Fixture};
use crate::internals::{self, map_of, stale_number, values_of};
use crate::op::{Habits, Op, Step};

type KeyName = usize;
type Value = usize;

/// Keys that a case makes, at most.
const MOST_KEYS: usize = 16;
/// Maps that a case has at a time, beside the thread's own.
const MOST_MAPS: usize = 3;
/// How often what callbacks add at the end of a thread or a map is ended, too.
const ROUNDS_AT_THE_END: usize = 4;
/// What callbacks may do, all together, for each step of the case; enough for
/// a value that sets itself in every round of a thread's end.
const OPS_EACH_STEP: usize = 12;

struct Key {
    handle: u64,
    references: u64,
    habits: Habits,
    freed: bool,
    inits: u64,
}

/// The shadow.
struct Shadow {
    keys: Vec<Key>,
    /// Values made and not ended, with their keys.
    alive: BTreeMap<Value, KeyName>,
    values_ever: usize,
    ops_left: usize,
    /// Callbacks that are running, one in the other.
    depth: usize,
    /// Keys whose init callback is running; no key is there twice.
    initialising: Vec<KeyName>,
    faults: Vec<String>,
}

impl Shadow {
    const fn new() -> Self {
        Self {
            keys: Vec::new(),
            alive: BTreeMap::new(),
            values_ever: 0,
            ops_left: 0,
            depth: 0,
            initialising: Vec::new(),
            faults: Vec::new(),
        }
    }

    fn make(&mut self, key: KeyName) -> Value {
        self.values_ever += 1;
        let value = self.values_ever * 16;
        self.alive.insert(value, key);
        value
    }

    /// The value's life is over, or not the library's any more.
    fn strike_out(&mut self, value: Value, key: KeyName, how: &str) {
        if self.alive.get(&value) == Some(&key) {
            self.alive.remove(&value);
        } else {
            self.faults.push(format!("value {value} of key {key}, {how}, is not alive"));
        }
    }

    /// The key that a number means, its handle, and whether it is alive.
    fn resolve(&self, number: u8) -> Option<(KeyName, u64, bool)> {
        let name = usize::from(number).checked_rem(self.keys.len())?;
        let key = &self.keys[name];
        Some((name, key.handle, key.references > 0))
    }
}

static SHADOW: Mutex<Shadow> = Mutex::new(Shadow::new());

// ---- Operations -------------------------------------------------------------------

/// Does it, and asserts what the call answers. No lock is held meanwhile.
fn perform(op: Op) {
    let resolve = |number| lock(&SHADOW).resolve(number);
    match op {
        Op::Nothing => {}
        Op::Get(number) => {
            let Some((name, handle, _)) = resolve(number) else { return };
            assert_is_of(api::get(handle), name);
        }
        Op::TryGet(number) => {
            let Some((name, handle, live)) = resolve(number) else { return };
            match api::try_get(handle) {
                Ok(value) => assert_is_of(value, name),
                Err(error) if !live => assert_eq!(error, Error::DeadKey),
                // It may have died meanwhile.
                Err(Error::Absent | Error::Init | Error::DeadKey) => {}
                Err(Error::Reentrant | Error::Exiting) if in_a_callback() => {}
                Err(error) => panic!("of a live key: {error:?}"),
            }
        }
        Op::Set(number) => store(number, |handle, value| api::set(handle, value).map(|()| 0)),
        Op::Swap(number) => {
            store(number, |handle, value| api::swap(handle, value).map(|old| old as Value));
        }
        Op::Take(number) => {
            let Some((name, handle, live)) = resolve(number) else { return };
            match api::take(handle) {
                Ok(old) => lock(&SHADOW).strike_out(old as Value, name, "taken"),
                Err(error) => {
                    assert_eq!(error, if live { Error::Absent } else { Error::DeadKey });
                }
            }
        }
        Op::Remove(number) => {
            let Some((_, handle, live)) = resolve(number) else { return };
            assert_eq!(api::remove(handle), if live { Ok(()) } else { Err(Error::DeadKey) });
        }
        Op::Retain(number) => {
            let Some((name, handle, live)) = resolve(number) else { return };
            assert_eq!(api::retain(handle), if live { Ok(()) } else { Err(Error::DeadKey) });
            lock(&SHADOW).keys[name].references += u64::from(live);
        }
        Op::Release(number) => {
            let Some((name, handle, live)) = resolve(number) else { return };
            // In the shadow first: callbacks of the call must see it.
            lock(&SHADOW).keys[name].references -= u64::from(live);
            assert_eq!(api::release(handle), if live { Ok(()) } else { Err(Error::DeadKey) });
        }
        Op::Expunge => {
            let before = api::stale_count();
            assert!(api::expunge() <= before);
        }
        Op::ExpungeSome(budget) => {
            let most = usize::from(budget).min(api::stale_count());
            assert!(api::expunge_some(usize::from(budget)) <= most);
        }
        Op::RemoveAll => assert_eq!(api::remove_all(), Ok(())),
    }
}

/// Stores a new value. Callbacks may have ended it when the call returns.
fn store(number: u8, call: impl FnOnce(u64, *mut c_void) -> Result<Value, Error>) {
    let Some((name, handle, live)) = lock(&SHADOW).resolve(number) else { return };
    let value = lock(&SHADOW).make(name);
    match call(handle, value as *mut c_void) {
        Ok(old) => {
            assert!(live, "stored under a dead key");
            if old != 0 {
                lock(&SHADOW).strike_out(old, name, "swapped out");
            }
        }
        Err(error) => {
            let closing = live && in_a_callback() && error == Error::Exiting;
            // A stale value is destroyed first, and its callback may release the key.
            let live_now = lock(&SHADOW).keys[name].references > 0;
            assert!(closing || (!live_now && error == Error::DeadKey), "storing: {error:?}");
            lock(&SHADOW).strike_out(value, name, "not stored");
        }
    }
}

/// Whether this is done by a callback: in the last one of a thread, nothing can
/// be stored any more.
fn in_a_callback() -> bool {
    lock(&SHADOW).depth > 0
}

/// A value that was found under a key is one of that key's, and alive, unless
/// a callback that ran since has ended it.
fn assert_is_of(value: *mut c_void, name: KeyName) {
    let shadow = lock(&SHADOW);
    let found = shadow.alive.get(&(value as Value));
    assert!(found.is_none_or(|owner| *owner == name), "key {name} shows {value:?} of {found:?}");
}

// ---- Callbacks ---------------------------------------------------------------

/// Runs the part of a callback that may panic.
fn act(op: impl FnOnce(&mut Shadow) -> Op) {
    let mut shadow = lock(&SHADOW);
    let op = op(&mut shadow);
    let op = if shadow.ops_left == 0 { Op::Nothing } else { op };
    shadow.ops_left -= usize::from(!matches!(op, Op::Nothing));
    shadow.depth += 1;
    drop(shadow);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // Everything is whole whenever a callback runs.
        inspect();
        let was_attached = internals::thread().is_some();
        perform(op);
        if was_attached {
            refuse_to_leave();
        }
        inspect();
    }));
    let mut shadow = lock(&SHADOW);
    shadow.depth -= 1;
    if let Err(panic) = outcome {
        let text = panic.downcast_ref::<String>().cloned();
        shadow.faults.push(text.unwrap_or_else(|| "a panic in a callback".into()));
    }
}

/// The invariants of the map that the calling thread works on.
fn inspect() {
    let Some(map) = internals::current_map() else { return };
    crate::invariants::check_map(map);
    assert_eq!(api::stale_count(), stale_entries(map), "stale entries, inside a callback");
}

/// What a callback may never do: leave the map that it was called for. (There
/// is none for the user_free of a key that a thread without a map releases.)
fn refuse_to_leave() {
    assert_eq!(api::detach(), Err(Error::Reentrant));
    // SAFETY: The thread's own map always lives.
    let switched = unsafe { api::switch_map(None) };
    assert!(matches!(switched, Err(Error::Reentrant | Error::Exiting)), "{switched:?}");
}

unsafe extern "C" fn end(value: *mut c_void, _: c_int, user: *mut c_void) {
    let name = user as KeyName;
    act(|shadow| {
        shadow.strike_out(value as Value, name, "ended");
        if shadow.keys[name].freed {
            shadow.faults.push(format!("a value of key {name} ends after user_free"));
        }
        shadow.keys[name].habits.on_end
    });
}

unsafe extern "C" fn init(value: *mut *mut c_void, user: *mut c_void) -> c_int {
    let name = user as KeyName;
    act(|shadow| {
        if shadow.initialising.contains(&name) {
            shadow.faults.push(format!("init of key {name} inside itself"));
        }
        shadow.initialising.push(name);
        shadow.keys[name].inits += 1;
        shadow.keys[name].habits.on_init.unwrap_or(Op::Nothing)
    });
    let mut shadow = lock(&SHADOW);
    shadow.initialising.pop();
    let key = &shadow.keys[name];
    if key.habits.init_fails && key.inits % 2 == 0 {
        return 1;
    }
    // SAFETY: The library hands over a place for the value.
    unsafe { *value = shadow.make(name) as *mut c_void };
    0
}

unsafe extern "C" fn free(user: *mut c_void) {
    let name = user as KeyName;
    act(|shadow| {
        let key = &mut shadow.keys[name];
        if key.freed || key.references > 0 {
            shadow.faults.push(format!("user_free of key {name}, alive or again"));
        }
        shadow.keys[name].freed = true;
        shadow.keys[name].habits.on_free
    });
}

// ---- Cases -------------------------------------------------------------------

/// The maps of a case.
#[derive(Default)]
struct Maps {
    made: Vec<MapPointer>,
    /// The thread's own, as last seen.
    own: Option<&'static Map>,
}

// SAFETY: Goes to another thread only when the last one has ended: then `own`
// is cleared, and maps that are attached nowhere are any thread's.
unsafe impl Send for Maps {}

impl Maps {
    fn all(&self) -> impl Iterator<Item = &Map> {
        // SAFETY: Maps leave `made` when they are destroyed, and belong to this
        // thread or to none.
        self.made.iter().map(|map| unsafe { map_of(*map) }).chain(self.own)
    }

    fn resolve(&self, number: u8) -> Option<usize> {
        usize::from(number).checked_rem(self.made.len())
    }

    fn step(&mut self, step: Step) {
        lock(&SHADOW).ops_left = OPS_EACH_STEP;
        let ends_a_map = matches!(step, Step::DestroyMap(_) | Step::Detach);
        let leaked = if ends_a_map { collect().leaked } else { 0 };
        match step {
            Step::Create(habits) => create(habits),
            Step::Do(op) => perform(op),
            Step::CreateMap => {
                if self.made.len() < MOST_MAPS {
                    self.made.push(api::create_map().expect("memory"));
                }
            }
            Step::DestroyMap(number) => {
                if let Some(nth) = self.resolve(number) {
                    self.destroy(nth);
                }
            }
            Step::SwitchMap(number) => {
                let map = self.made.get(usize::from(number) % (self.made.len() + 1)).copied();
                // SAFETY: As in `all`.
                assert!(unsafe { api::switch_map(map) }.is_ok());
            }
            Step::Detach => {
                self.own = None;
                assert_eq!(api::detach(), Ok(()));
            }
        }
        if api::current_map().is_none() {
            self.own = internals::own_map();
        }
        self.balance(if ends_a_map { collect().leaked - leaked } else { 0 });
    }

    fn destroy(&mut self, nth: usize) {
        let map = self.made[nth];
        let is_current = api::current_map() == Some(map);
        // SAFETY: As in `all`.
        let destroyed = unsafe { api::destroy_map(map) };
        assert_eq!(destroyed, if is_current { Err(Error::Busy) } else { Ok(()) });
        if destroyed.is_ok() {
            self.made.remove(nth);
        }
    }

    /// Compares maps and shadow between two steps.
    fn balance(&self, leaked: u64) {
        let mut shadow = lock(&SHADOW);
        assert_eq!(shadow.faults, Vec::<String>::new());
        let name_of = |handle| shadow.keys.iter().position(|key| key.handle == handle);
        let in_maps: BTreeMap<Value, KeyName> = self
            .all()
            .flat_map(values_of)
            .map(|held| (held.value, name_of(held.key).expect("a key of this case")))
            .collect();
        let before = shadow.alive.len();
        shadow.alive.retain(|value, name| in_maps.get(value) == Some(name));
        assert_eq!((before - shadow.alive.len()) as u64, leaked, "values lost, and given up");
        // Each round ends what the one before has added: that takes an operation.
        let rounds = OPS_EACH_STEP - shadow.ops_left;
        assert!(
            leaked == 0 || rounds >= ROUNDS_AT_THE_END,
            "given up after {rounds} rounds at most"
        );
        assert_eq!(shadow.alive, in_maps, "values made and not ended, and values in maps");
        for (name, key) in shadow.keys.iter().enumerate() {
            let over = key.references == 0 && !in_maps.values().any(|owner| *owner == name);
            assert_eq!(key.freed, over, "user_free of key {name}");
        }
        drop(shadow);
        for map in self.all() {
            crate::invariants::check_map(map);
            assert_eq!(stale_number(map), stale_entries(map));
        }
    }

    /// Works on a thread of its own, and compares maps and shadow when that has
    /// ended.
    fn on_a_thread(mut self, work: impl FnOnce(&mut Self) + Send) -> Self {
        let (mut maps, leaked) = in_a_thread(|| {
            work(&mut self);
            lock(&SHADOW).ops_left = OPS_EACH_STEP;
            (self, collect().leaked)
        });
        maps.own = None;
        maps.balance(collect().leaked - leaked);
        maps
    }

    /// Destroys the maps that are left and releases the keys. This ends: a
    /// callback may retain a key, but only a key's death calls one.
    fn clear_away(&mut self) {
        while !self.made.is_empty() {
            self.step(Step::DestroyMap(0));
        }
        let some_live = || lock(&SHADOW).keys.iter().position(|key| key.references > 0);
        while let Some(name) = some_live() {
            self.step(Step::Do(Op::Release(name as u8)));
        }
    }
}

/// Values of dead keys that a map has.
fn stale_entries(map: &Map) -> usize {
    let shadow = lock(&SHADOW);
    let is_dead =
        |handle| shadow.keys.iter().any(|key| key.references == 0 && key.handle == handle);
    values_of(map).iter().filter(|held| is_dead(held.key)).count()
}

fn create(habits: Habits) {
    let name = lock(&SHADOW).keys.len();
    if name == MOST_KEYS {
        return;
    }
    let options = tls_key_options_t {
        destroy: Some(end),
        init: habits.on_init.map(|_| init as _),
        user: name as *mut c_void,
        user_free: Some(free),
        ..no_options()
    };
    let handle = api::create(&options).expect("memory");
    lock(&SHADOW).keys.push(Key { handle, references: 1, habits, freed: false, inits: 0 });
}

/// Runs a case: on one thread until that ends, then another clears away.
pub(crate) fn run(steps: &[Step]) {
    let fixture = Fixture::enter(draw::SLOTS);
    *lock(&SHADOW) = Shadow::new();
    Maps::default()
        .on_a_thread(|maps| steps.iter().for_each(|step| maps.step(*step)))
        .on_a_thread(Maps::clear_away);
    fixture.assert_empty_again();
}
