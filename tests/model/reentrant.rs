//! Callbacks that call back: what may not be lost, and not happen twice.
//!
//! Here the destroy, init and user_free callbacks of a key do something
//! themselves: set or remove another key's value or their own, release a key,
//! expunge, remove everything. What happens in which order is then the
//! library's business, and a model that said it would be the library again. So
//! the books are kept instead:
//!
//! ```text
//!   made by a set, a swap or an init   =   ended + handed over + given up
//!                                          + alive
//!   alive                              =   what stands in all maps together
//! ```
//!
//! A value is in the books as alive from before the call that stores it, under
//! its key, and leaves them once. Values are numbers in the shape of pointers,
//! no two alike.
//!
//! A callback must not panic: what it finds wrong goes into the books, too.

use core::ffi::{c_int, c_void};
use std::collections::BTreeMap;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Mutex;

use threadlocalmap::error::Error;
use threadlocalmap::key;
use threadlocalmap::key::options::{Callbacks, KeyOptions};
use threadlocalmap::sys::sync::Ordering;
use threadlocalmap::thread::map::Map;
use threadlocalmap::thread::stats::collect;
use threadlocalmap::thread::switch::{self, MapPointer};
use threadlocalmap::thread::{keys, record, stale, values};

use crate::deed::{Deed, Habits, Step};
use crate::draw;
use crate::stage::{current_map, in_a_thread, lock, Stage};

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
const DEEDS_EACH_STEP: usize = 12;

struct Key {
    handle: u64,
    references: u64,
    habits: Habits,
    freed: bool,
    inits: u64,
}

/// The books.
struct Books {
    keys: Vec<Key>,
    /// Values made and not ended, with their keys.
    alive: BTreeMap<Value, KeyName>,
    values_ever: usize,
    deeds_left: usize,
    /// Callbacks that are running, one in the other.
    depth: usize,
    /// Keys whose init callback is running; no key is there twice.
    initialising: Vec<KeyName>,
    faults: Vec<String>,
}

impl Books {
    const fn new() -> Self {
        Self {
            keys: Vec::new(),
            alive: BTreeMap::new(),
            values_ever: 0,
            deeds_left: 0,
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

static BOOKS: Mutex<Books> = Mutex::new(Books::new());

// ---- Deeds -------------------------------------------------------------------

/// Does it, and asserts what the call answers. No lock is held meanwhile.
fn perform(deed: Deed) {
    let resolve = |number| lock(&BOOKS).resolve(number);
    match deed {
        Deed::Nothing => {}
        Deed::Get(number) => {
            let Some((name, handle, _)) = resolve(number) else { return };
            assert_is_of(values::get(handle), name);
        }
        Deed::TryGet(number) => {
            let Some((name, handle, live)) = resolve(number) else { return };
            match values::try_get(handle) {
                Ok(value) => assert_is_of(value, name),
                Err(error) if !live => assert_eq!(error, Error::DeadKey),
                // It may have died meanwhile.
                Err(Error::Absent | Error::Init | Error::DeadKey) => {}
                Err(Error::Reentrant | Error::Exiting) if in_a_callback() => {}
                Err(error) => panic!("of a live key: {error:?}"),
            }
        }
        Deed::Set(number) => store(number, |handle, value| values::set(handle, value).map(|()| 0)),
        Deed::Swap(number) => {
            store(number, |handle, value| values::swap(handle, value).map(|old| old as Value));
        }
        Deed::Take(number) => {
            let Some((name, handle, live)) = resolve(number) else { return };
            match values::take(handle) {
                Ok(old) => lock(&BOOKS).strike_out(old as Value, name, "taken"),
                Err(error) => {
                    assert_eq!(error, if live { Error::Absent } else { Error::DeadKey });
                }
            }
        }
        Deed::Remove(number) => {
            let Some((_, handle, live)) = resolve(number) else { return };
            assert_eq!(values::remove(handle), if live { Ok(()) } else { Err(Error::DeadKey) });
        }
        Deed::Retain(number) => {
            let Some((name, handle, live)) = resolve(number) else { return };
            assert_eq!(key::retain(handle), if live { Ok(()) } else { Err(Error::DeadKey) });
            lock(&BOOKS).keys[name].references += u64::from(live);
        }
        Deed::Release(number) => {
            let Some((name, handle, live)) = resolve(number) else { return };
            // In the books first: callbacks of the call must see it.
            lock(&BOOKS).keys[name].references -= u64::from(live);
            assert_eq!(keys::release(handle), if live { Ok(()) } else { Err(Error::DeadKey) });
        }
        Deed::Expunge => {
            let before = stale::stale_count();
            assert!(stale::expunge() <= before);
        }
        Deed::ExpungeSome(budget) => {
            let most = usize::from(budget).min(stale::stale_count());
            assert!(stale::expunge_some(usize::from(budget)) <= most);
        }
        Deed::RemoveAll => assert_eq!(values::remove_all(), Ok(())),
    }
}

/// Stores a new value. Callbacks may have ended it when the call returns.
fn store(number: u8, call: impl FnOnce(u64, *mut c_void) -> Result<Value, Error>) {
    let Some((name, handle, live)) = lock(&BOOKS).resolve(number) else { return };
    let value = lock(&BOOKS).make(name);
    match call(handle, value as *mut c_void) {
        Ok(old) => {
            assert!(live, "stored under a dead key");
            if old != 0 {
                lock(&BOOKS).strike_out(old, name, "swapped out");
            }
        }
        Err(error) => {
            let closing = live && in_a_callback() && error == Error::Exiting;
            assert!(closing || (!live && error == Error::DeadKey), "storing: {error:?}");
            lock(&BOOKS).strike_out(value, name, "not stored");
        }
    }
}

/// Whether this is done by a callback: in the last one of a thread, nothing can
/// be stored any more.
fn in_a_callback() -> bool {
    lock(&BOOKS).depth > 0
}

/// A value that was found under a key is one of that key's, and alive, unless
/// a callback that ran since has ended it.
fn assert_is_of(value: *mut c_void, name: KeyName) {
    let books = lock(&BOOKS);
    let found = books.alive.get(&(value as Value));
    assert!(found.is_none_or(|owner| *owner == name), "key {name} shows {value:?} of {found:?}");
}

// ---- Callbacks ---------------------------------------------------------------

/// Runs the part of a callback that may panic.
fn act(deed: impl FnOnce(&mut Books) -> Deed) {
    let mut books = lock(&BOOKS);
    let deed = deed(&mut books);
    let deed = if books.deeds_left == 0 { Deed::Nothing } else { deed };
    books.deeds_left -= usize::from(!matches!(deed, Deed::Nothing));
    books.depth += 1;
    drop(books);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // Everything is whole whenever a callback runs.
        inspect();
        let was_attached = record::current().is_some();
        perform(deed);
        if was_attached {
            refuse_to_leave();
        }
        inspect();
    }));
    let mut books = lock(&BOOKS);
    books.depth -= 1;
    if let Err(panic) = outcome {
        let text = panic.downcast_ref::<String>().cloned();
        books.faults.push(text.unwrap_or_else(|| "a panic in a callback".into()));
    }
}

/// The invariants of the map that the calling thread works on.
fn inspect() {
    let Some(map) = current_map() else { return };
    map.check_invariants();
    assert_eq!(stale::stale_count(), stale_entries(map), "stale entries, inside a callback");
}

/// What a callback may never do: leave the map that it was called for. (There
/// is none for the user_free of a key that a thread without a map releases.)
fn refuse_to_leave() {
    assert_eq!(record::detach(), Err(Error::Reentrant));
    // SAFETY: The thread's own map always lives.
    let switched = unsafe { switch::switch(None) };
    assert!(matches!(switched, Err(Error::Reentrant | Error::Exiting)), "{switched:?}");
}

unsafe extern "C" fn end(value: *mut c_void, _: c_int, user: *mut c_void) {
    let name = user as KeyName;
    act(|books| {
        books.strike_out(value as Value, name, "ended");
        if books.keys[name].freed {
            books.faults.push(format!("a value of key {name} ends after user_free"));
        }
        books.keys[name].habits.on_end
    });
}

unsafe extern "C" fn init(value: *mut *mut c_void, user: *mut c_void) -> c_int {
    let name = user as KeyName;
    act(|books| {
        if books.initialising.contains(&name) {
            books.faults.push(format!("init of key {name} inside itself"));
        }
        books.initialising.push(name);
        books.keys[name].inits += 1;
        books.keys[name].habits.on_init.unwrap_or(Deed::Nothing)
    });
    let mut books = lock(&BOOKS);
    books.initialising.pop();
    let key = &books.keys[name];
    if key.habits.init_fails && key.inits % 2 == 0 {
        return 1;
    }
    // SAFETY: The library hands over a place for the value.
    unsafe { *value = books.make(name) as *mut c_void };
    0
}

unsafe extern "C" fn free(user: *mut c_void) {
    let name = user as KeyName;
    act(|books| {
        let key = &mut books.keys[name];
        if key.freed || key.references > 0 {
            books.faults.push(format!("user_free of key {name}, alive or again"));
        }
        books.keys[name].freed = true;
        books.keys[name].habits.on_free
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
        self.made.iter().map(|map| unsafe { map.as_ref() }).chain(self.own)
    }

    fn resolve(&self, number: u8) -> Option<usize> {
        usize::from(number).checked_rem(self.made.len())
    }

    fn step(&mut self, step: Step) {
        lock(&BOOKS).deeds_left = DEEDS_EACH_STEP;
        let ends_a_map = matches!(step, Step::DestroyMap(_) | Step::Detach);
        let leaked = if ends_a_map { collect().leaked } else { 0 };
        match step {
            Step::Create(habits) => create(habits),
            Step::Do(deed) => perform(deed),
            Step::CreateMap => {
                if self.made.len() < MOST_MAPS {
                    self.made.push(switch::create().expect("memory"));
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
                assert!(unsafe { switch::switch(map) }.is_ok());
            }
            Step::Detach => {
                self.own = None;
                assert_eq!(record::detach(), Ok(()));
            }
        }
        if switch::current().is_none() {
            self.own = current_map();
        }
        self.balance(if ends_a_map { collect().leaked - leaked } else { 0 });
    }

    fn destroy(&mut self, nth: usize) {
        let map = self.made[nth];
        let is_current = switch::current() == Some(map);
        // SAFETY: As in `all`.
        let destroyed = unsafe { switch::destroy(map) };
        assert_eq!(destroyed, if is_current { Err(Error::Busy) } else { Ok(()) });
        if destroyed.is_ok() {
            self.made.remove(nth);
        }
    }

    /// Balances the books between two steps.
    fn balance(&self, leaked: u64) {
        let mut books = lock(&BOOKS);
        assert_eq!(books.faults, Vec::<String>::new());
        let standing: BTreeMap<Value, KeyName> = self
            .all()
            .flat_map(|map| {
                let keys = books.keys.iter().enumerate();
                keys.filter_map(|(name, key)| {
                    map.find(key.handle).map(|at| (map.value_at(at) as Value, name))
                })
            })
            .collect();
        let before = books.alive.len();
        books.alive.retain(|value, name| standing.get(value) == Some(name));
        assert_eq!((before - books.alive.len()) as u64, leaked, "values lost, and given up");
        // Each round ends what the one before has added: that takes a deed.
        let rounds = DEEDS_EACH_STEP - books.deeds_left;
        assert!(
            leaked == 0 || rounds >= ROUNDS_AT_THE_END,
            "given up after {rounds} rounds at most"
        );
        assert_eq!(books.alive, standing, "values made and not ended, and values in maps");
        for (name, key) in books.keys.iter().enumerate() {
            let over = key.references == 0 && !standing.values().any(|owner| *owner == name);
            assert_eq!(key.freed, over, "user_free of key {name}");
        }
        drop(books);
        for map in self.all() {
            map.check_invariants();
            assert_eq!(map.mailbox.stale.load(Ordering::Relaxed), stale_entries(map));
        }
    }

    /// Works on a thread of its own, and balances the books when that has
    /// ended.
    fn on_a_thread(mut self, work: impl FnOnce(&mut Self) + Send) -> Self {
        let (mut maps, leaked) = in_a_thread(|| {
            work(&mut self);
            lock(&BOOKS).deeds_left = DEEDS_EACH_STEP;
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
        let some_live = || lock(&BOOKS).keys.iter().position(|key| key.references > 0);
        while let Some(name) = some_live() {
            self.step(Step::Do(Deed::Release(name as u8)));
        }
    }
}

/// Entries of dead keys that stand in a map.
fn stale_entries(map: &Map) -> usize {
    let books = lock(&BOOKS);
    let dead = books.keys.iter().filter(|key| key.references == 0);
    dead.filter(|key| map.find(key.handle).is_some()).count()
}

fn create(habits: Habits) {
    let name = lock(&BOOKS).keys.len();
    if name == MOST_KEYS {
        return;
    }
    let callbacks = Callbacks {
        destroy: Some(end),
        init: habits.on_init.map(|_| init as _),
        user: name as *mut c_void,
        user_free: Some(free),
        ..Callbacks::NONE
    };
    let options = KeyOptions { callbacks, ..KeyOptions::DEFAULT };
    let handle = keys::create(&options).expect("memory");
    lock(&BOOKS).keys.push(Key { handle, references: 1, habits, freed: false, inits: 0 });
}

/// Plays a case: on one thread until that ends, then another clears away.
pub(crate) fn play(steps: &[Step]) {
    let stage = Stage::enter(draw::SLOTS);
    *lock(&BOOKS) = Books::new();
    Maps::default()
        .on_a_thread(|maps| steps.iter().for_each(|step| maps.step(*step)))
        .on_a_thread(Maps::clear_away);
    stage.assert_empty_again();
}
