// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shadow: what becomes of every value, key, hook and map.
//!
//! The order of events is the library's business here, and a model of it would be
//! the library again. So the shadow says what may not happen, whatever a thread is
//! in the middle of, and what must be true when no thread is inside a call:
//!
//! ```text
//!   values made   =   ended + handed over + refused + given up
//!                     + in a map + deferred because of a visitor
//! ```
//!
//! A value enters the shadow before the call that stores it. Values are numbers in
//! the shape of pointers, no two alike.

use std::collections::BTreeSet;

use threadlocalmap::local::map::Map;
use threadlocalmap::local::maps::collect;
use threadlocalmap::local::record::State as RecordState;
use threadlocalmap::local::stats::tls_stats_t as Stats;
use threadlocalmap::thread::EXIT_ROUNDS;

use crate::api::MapPointer;
use crate::internals::{map_of, stale_number, values_of, Held};

use super::op::{Habits, THREADS};

pub(crate) type KeyName = usize;
pub(crate) type Value = usize;

/// What is known of a key's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Live,
    /// All references that the case had are released; a visit has one still,
    /// or has just given it back.
    Perhaps,
    Dead,
}

pub(crate) struct Key {
    pub(crate) handle: u64,
    /// Those that the case has.
    pub(crate) references: u64,
    pub(crate) habits: Habits,
    pub(crate) freed: bool,
    pub(crate) inits: u64,
    /// Calls that visit, take or purge all its values, now.
    pub(crate) visits: usize,
    /// Those of them that take or purge.
    pub(crate) takers: usize,
    /// Somebody has purged it, and left the values to their owners.
    pub(crate) purged: bool,
    /// Its destroy and init callbacks that are running.
    pub(crate) callbacks: usize,
}

impl Key {
    pub(crate) fn life(&self) -> Life {
        match (self.references, self.visits) {
            (1.., _) => Life::Live,
            (0, 1..) => Life::Perhaps,
            (0, 0) => Life::Dead,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Alive,
    Ended,
    HandedOver,
    /// The call that was to store it failed.
    Refused,
    /// Given up at the end of a thread or a map, and counted.
    Leaked,
}

pub(crate) struct ValueNote {
    pub(crate) key: KeyName,
    pub(crate) state: State,
    /// The thread that it was made for, unless in a map that moves.
    pub(crate) thread: Option<usize>,
    pub(crate) visitors: usize,
    pub(crate) was_visited: bool,
}

/// A hook for a thread's end.
pub(crate) struct Hook {
    pub(crate) thread: usize,
    /// Registered outside of callbacks, so that it must run.
    pub(crate) must_run: bool,
    pub(crate) has_run: bool,
    /// Its thread has ended, or was detached.
    over: bool,
}

impl Hook {
    pub(crate) fn new(thread: usize, must_run: bool) -> Self {
        Self { thread, must_run, has_run: false, over: false }
    }
}

/// What is known of a thread.
#[derive(Clone, Copy)]
pub(crate) struct ThreadNote {
    /// Its own map, while it is attached.
    pub(crate) own: Option<&'static Map>,
    /// The map that it has switched to.
    pub(crate) switched: Option<MapPointer>,
    /// The one that it comes back to when it has destroyed another.
    pub(crate) kept: Option<MapPointer>,
    pub(crate) has_waker: bool,
    /// Calls of its waker, ever.
    pub(crate) wakes: usize,
}

impl ThreadNote {
    /// A thread that has nothing.
    const fn new(wakes: usize) -> Self {
        Self { own: None, switched: None, kept: None, has_waker: false, wakes }
    }
}

pub(crate) struct Shadow {
    pub(crate) keys: Vec<Key>,
    pub(crate) values: Vec<ValueNote>,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) threads: [ThreadNote; THREADS],
    /// Maps that any thread may switch to.
    pub(crate) maps: Vec<MapPointer>,
    /// Keys whose init callback is running, and on which thread.
    pub(crate) initialising: Vec<(usize, KeyName)>,
    /// Callbacks that were entered, ever.
    pub(crate) callbacks: usize,
    /// Of those, what the shadow had when it was compared last.
    compared_at: usize,
    /// Operations that were begun, ever.
    pub(crate) ops: usize,
    /// Destroy callbacks, ever, and those of them with `KeyDead`.
    pub(crate) destroyed: u64,
    pub(crate) expunged: u64,
    /// Values found to be given up.
    leaked: u64,
    before: Option<Stats>,
}

// SAFETY: A thread that has the turn looks at maps that others own while those
// are suspended, with the lock of the shadow between them.
unsafe impl Send for Shadow {}

impl Shadow {
    pub(crate) const fn new() -> Self {
        let thread = ThreadNote::new(0);
        Self {
            keys: Vec::new(),
            values: Vec::new(),
            hooks: Vec::new(),
            threads: [thread; THREADS],
            maps: Vec::new(),
            initialising: Vec::new(),
            callbacks: 0,
            compared_at: 0,
            ops: 0,
            destroyed: 0,
            expunged: 0,
            leaked: 0,
            before: None,
        }
    }

    /// What the library had before the case.
    pub(crate) fn open(&mut self, before: Stats) {
        *self = Self::new();
        self.before = Some(before);
    }

    // ---- Values ----------------------------------------------------------------

    pub(crate) fn make(&mut self, key: KeyName, thread: usize) -> Value {
        let home = self.threads[thread].switched.is_none().then_some(thread);
        let note =
            ValueNote { key, state: State::Alive, thread: home, visitors: 0, was_visited: false };
        self.values.push(note);
        self.values.len() * 16
    }

    /// The note of a value that the library has shown under a key.
    pub(crate) fn note(&mut self, value: Value, key: KeyName) -> &mut ValueNote {
        let known = value % 16 == 0 && (1..=self.values.len()).contains(&(value / 16));
        assert!(known, "{value:#x}, under key {key}, was never stored");
        let note = &mut self.values[value / 16 - 1];
        assert_eq!(note.key, key, "value {value:#x} is of another key");
        note
    }

    /// A value's life is over, or not the library's any more.
    pub(crate) fn strike_out(&mut self, value: Value, key: KeyName, state: State) {
        let note = self.note(value, key);
        assert_eq!(note.state, State::Alive, "value {value:#x} of key {key}, now {state:?}");
        assert_eq!(note.visitors, 0, "value {value:#x} of key {key} is visited, now {state:?}");
        note.state = state;
    }

    pub(crate) fn alive(&self, key: KeyName) -> Vec<Value> {
        let notes = self.values.iter().enumerate();
        notes
            .filter(|(_, note)| note.key == key && note.state == State::Alive)
            .map(|(at, _)| (at + 1) * 16)
            .collect()
    }

    /// Values that the library has counted as given up, and that the shadow has not
    /// found yet.
    pub(crate) fn leaks_not_found(&self) -> u64 {
        self.leaks_not_found_in(&collect())
    }

    fn leaks_not_found_in(&self, now: &Stats) -> u64 {
        now.leaked - self.before.map_or(0, |before| before.leaked) - self.leaked
    }

    // ---- Maps ------------------------------------------------------------------

    /// All maps that there are.
    pub(crate) fn all_maps(&self) -> impl Iterator<Item = &Map> {
        let own = self.threads.iter().filter_map(|thread| thread.own);
        // SAFETY: Maps leave `maps` when they are destroyed.
        own.chain(self.maps.iter().map(|map| unsafe { map_of(*map) }))
    }

    /// The values that all maps have under a live key.
    pub(crate) fn live(&self, key: KeyName) -> Vec<Value> {
        let handle = self.keys[key].handle;
        let is_its = |held: &Held| held.key == handle && held.state == RecordState::Live;
        self.all_maps().flat_map(values_of).filter(is_its).map(|held| held.value).collect()
    }

    /// The thread, if there is one, that has a map.
    pub(crate) fn owner_of(&self, map: MapPointer) -> Option<usize> {
        let has = |note: &ThreadNote| [note.switched, note.kept].contains(&Some(map));
        self.threads.iter().position(has)
    }

    /// The name of a key.
    fn name_of(&self, handle: u64) -> KeyName {
        let name = self.keys.iter().position(|key| key.handle == handle);
        name.expect("a key of this case")
    }

    // ---- Threads ---------------------------------------------------------------

    pub(crate) fn thread_ends(&mut self, thread: usize) {
        self.threads[thread].has_waker = false;
        for hook in self.hooks.iter_mut().filter(|hook| hook.thread == thread && !hook.must_run) {
            hook.over = true;
        }
    }

    pub(crate) fn thread_has_ended(&mut self, thread: usize) {
        let wakes = self.threads[thread].wakes;
        self.threads[thread] = ThreadNote::new(wakes);
        for hook in self.hooks.iter_mut().filter(|hook| hook.thread == thread && !hook.over) {
            assert!(hook.has_run || !hook.must_run, "a hook of thread {thread} was not run");
            hook.over = true;
        }
    }

    // ---- What must be true when no thread is inside a call ----------------------

    pub(crate) fn compare(&mut self) {
        let now = collect();
        let (mut in_maps, mut stale) = (BTreeSet::new(), 0);
        let mut deferred = BTreeSet::new();
        for map in self.all_maps() {
            let mut due = 0;
            for held in values_of(map) {
                let name = self.name_of(held.key);
                let waits = held.state == RecordState::Deferred;
                let purged = held.state == RecordState::Purged;
                due += usize::from(waits || purged || self.keys[name].life() == Life::Dead);
                let set = if waits { &mut deferred } else { &mut in_maps };
                assert!(set.insert((held.value, name)), "{:#x} is in two maps", held.value);
            }
            assert_eq!(stale_number(map), due, "a stale count");
            stale += due;
        }
        for (value, name) in in_maps.iter().chain(&deferred) {
            assert_eq!(self.note(*value, *name).state, State::Alive, "{value:#x} is in a map");
        }
        for (value, name) in &deferred {
            assert!(self.note(*value, *name).was_visited, "{value:#x} is deferred");
        }
        self.find_leaks(&now, |value| in_maps.contains(&value) || deferred.contains(&value));
        let mut alive = vec![0; self.keys.len()];
        for note in self.values.iter().filter(|note| note.state == State::Alive) {
            alive[note.key] += 1;
        }
        for (name, key) in self.keys.iter().enumerate() {
            assert_eq!((key.visits, key.callbacks), (0, 0), "key {name}");
            let over = key.references == 0 && alive[name] == 0;
            assert_eq!(key.freed, over, "user_free of key {name}");
        }
        self.assert_stats(&now, in_maps.len(), stale);
        self.compared_at = self.callbacks;
    }

    /// Finds out which values are gone without a call, and that there are as many
    /// as the library says.
    fn find_leaks(&mut self, now: &Stats, is_there: impl Fn((Value, KeyName)) -> bool) {
        let leaks = self.leaks_not_found_in(now);
        let mut gone = Vec::new();
        for (at, note) in self.values.iter().enumerate() {
            let value = (at + 1) * 16;
            assert_eq!(note.visitors, 0, "a visitor of {value:#x}");
            if note.state == State::Alive && !is_there((value, note.key)) {
                gone.push((value, note.key));
            }
        }
        assert_eq!(gone.len() as u64, leaks, "values lost, and {leaks} given up: {gone:x?}");
        // Each round ends what a callback of the one before has added.
        let callbacks = self.callbacks - self.compared_at;
        assert!(leaks == 0 || callbacks >= EXIT_ROUNDS, "given up after {callbacks} callbacks");
        gone.iter().for_each(|(value, key)| self.note(*value, *key).state = State::Leaked);
        self.leaked += leaks;
    }

    fn assert_stats(&self, now: &Stats, entries: usize, stale: usize) {
        let Some(before) = self.before else { return };
        let count = |what: &dyn Fn(&Key) -> bool| self.keys.iter().filter(|key| what(key)).count();
        let expected = Stats {
            keys: before.keys + count(&|key| key.references > 0) as u64,
            dead_keys: before.dead_keys + count(&|key| key.references == 0 && !key.freed) as u64,
            maps: before.maps + self.all_maps().count() as u64,
            entries: before.entries + entries as u64,
            stale: before.stale + stale as u64,
            expunged: before.expunged + self.expunged,
            destroyed: before.destroyed + self.destroyed,
            ..*now
        };
        assert_eq!(*now, expected, "statistics");
    }
}
