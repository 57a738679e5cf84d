//! The books: what becomes of every value, key, hook and map.
//!
//! What happens in which order is the library's business here, and a model
//! that said it would be the library again. So the books say what may not
//! happen, wherever a thread stands, and what must be true when no thread is
//! inside a call:
//!
//! ```text
//!   values made   =   ended + handed over + refused + given up
//!                     + standing in a map + put off because of a visitor
//! ```
//!
//! A value is in the books from before the call that stores it. Values are
//! numbers in the shape of pointers, no two alike.

use std::collections::BTreeSet;

use threadlocalmap::thread::map::Map;
use threadlocalmap::thread::stats::{collect, Stats};
use threadlocalmap::thread::switch::MapPointer;
use threadlocalmap::thread::EXIT_ROUNDS;

use super::deed::{Habits, THREADS};

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
    pub(crate) reapers: usize,
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
    pub(crate) visiting: Option<MapPointer>,
    /// The one that it comes back to when it has destroyed another.
    pub(crate) kept: Option<MapPointer>,
    /// It wants to be told of stale values.
    pub(crate) wants_notice: bool,
    pub(crate) told: usize,
}

impl ThreadNote {
    /// A thread that has nothing.
    const fn new(told: usize) -> Self {
        Self { own: None, visiting: None, kept: None, wants_notice: false, told }
    }
}

pub(crate) struct Books {
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
    /// Of those, what the books had when they were balanced last.
    balanced_at: usize,
    /// Deeds that were begun, ever.
    pub(crate) deeds: usize,
    /// Destroy callbacks, ever, and those of them with `KeyDead`.
    pub(crate) destroyed: u64,
    pub(crate) expunged: u64,
    /// Values found to be given up.
    leaked: u64,
    before: Option<Stats>,
}

// SAFETY: A thread that has the turn looks at maps that others own while those
// stand still, with the lock of the books between them.
unsafe impl Send for Books {}

impl Books {
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
            balanced_at: 0,
            deeds: 0,
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
        let home = self.threads[thread].visiting.is_none().then_some(thread);
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

    /// Values that the library has counted as given up, and that are not told
    /// apart from the others yet.
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
        own.chain(self.maps.iter().map(|map| unsafe { map.as_ref() }))
    }

    /// The values that stand under a key, in all maps.
    pub(crate) fn standing(&self, key: KeyName) -> Vec<Value> {
        let handle = self.keys[key].handle;
        let in_map = |map: &Map| map.find(handle).map(|at| map.value_at(at) as Value);
        self.all_maps().filter_map(in_map).collect()
    }

    /// The thread, if there is one, that has a map.
    pub(crate) fn owner_of(&self, map: MapPointer) -> Option<usize> {
        let has = |note: &ThreadNote| [note.visiting, note.kept].contains(&Some(map));
        self.threads.iter().position(has)
    }

    /// Entries of dead keys that stand in a map.
    fn stale_entries(&self, map: &Map) -> usize {
        let dead = self.keys.iter().filter(|key| key.life() == Life::Dead);
        dead.filter(|key| map.find(key.handle).is_some()).count()
    }

    // ---- Threads ---------------------------------------------------------------

    pub(crate) fn thread_ends(&mut self, thread: usize) {
        self.threads[thread].wants_notice = false;
        for hook in self.hooks.iter_mut().filter(|hook| hook.thread == thread && !hook.must_run) {
            hook.over = true;
        }
    }

    pub(crate) fn thread_has_ended(&mut self, thread: usize) {
        let told = self.threads[thread].told;
        self.threads[thread] = ThreadNote::new(told);
        for hook in self.hooks.iter_mut().filter(|hook| hook.thread == thread && !hook.over) {
            assert!(hook.has_run || !hook.must_run, "a hook of thread {thread} was not run");
            hook.over = true;
        }
    }

    // ---- What must be true when no thread is inside a call ----------------------

    pub(crate) fn balance(&mut self) {
        let now = collect();
        let put_off = self.all_maps().map(|map| self.put_off(map)).sum();
        let all_found = self.find_leaks(put_off, self.leaks_not_found_in(&now));
        let mut alive = vec![0; self.keys.len()];
        for note in self.values.iter().filter(|note| note.state == State::Alive) {
            alive[note.key] += 1;
        }
        for (name, key) in self.keys.iter().enumerate() {
            assert_eq!((key.visits, key.callbacks), (0, 0), "key {name}");
            if all_found {
                let over = key.references == 0 && alive[name] == 0;
                assert_eq!(key.freed, over, "user_free of key {name}");
            }
        }
        self.assert_stats(&now, put_off);
        self.balanced_at = self.callbacks;
    }

    /// Values of a map whose end was put off, and is its owner's to bring about.
    fn put_off(&self, map: &Map) -> usize {
        use threadlocalmap::sys::sync::Ordering;
        let stale = map.mailbox.stale.load(Ordering::Relaxed);
        let standing = self.stale_entries(map);
        assert!(stale >= standing, "a stale count of {stale} with {standing} stale entries");
        stale - standing
    }

    /// Finds out which values are gone without a word, and that there are as
    /// many as the library says. Returns whether each is known by name.
    fn find_leaks(&mut self, put_off: usize, leaks: u64) -> bool {
        let mut standing = BTreeSet::new();
        for name in 0..self.keys.len() {
            for value in self.standing(name) {
                assert_eq!(self.note(value, name).state, State::Alive, "{value:#x} stands");
                assert!(standing.insert(value), "{value:#x} stands in two maps");
            }
        }
        let mut gone = Vec::new();
        for (at, note) in self.values.iter().enumerate() {
            assert_eq!(note.visitors, 0, "a visitor of {:#x}", (at + 1) * 16);
            if note.state == State::Alive && !standing.contains(&((at + 1) * 16)) {
                gone.push(at);
            }
        }
        let visited = gone.iter().filter(|at| self.values[**at].was_visited).count();
        let expected = put_off + leaks as usize;
        let names: Vec<_> = gone.iter().map(|at| (self.values[*at].key, (at + 1) * 16)).collect();
        assert_eq!(
            gone.len(),
            expected,
            "values lost (of {put_off} put off, {leaks} given up): {names:x?}"
        );
        assert!(put_off <= visited, "{put_off} ends put off, of {visited} values ever visited");
        // Each round ends what a callback of the one before has added.
        let callbacks = self.callbacks - self.balanced_at;
        assert!(leaks == 0 || callbacks >= EXIT_ROUNDS, "given up after {callbacks} callbacks");
        if put_off == 0 {
            gone.iter().for_each(|at| self.values[*at].state = State::Leaked);
            self.leaked += leaks;
        }
        put_off == 0 || leaks == 0
    }

    fn assert_stats(&self, now: &Stats, put_off: usize) {
        let Some(before) = self.before else { return };
        let count = |what: &dyn Fn(&Key) -> bool| self.keys.iter().filter(|key| what(key)).count();
        let standing: usize = (0..self.keys.len()).map(|name| self.standing(name).len()).sum();
        let stale: usize = self.all_maps().map(|map| self.stale_entries(map)).sum();
        let expected = Stats {
            keys: before.keys + count(&|key| key.references > 0) as u64,
            dead_keys: before.dead_keys + count(&|key| key.references == 0 && !key.freed) as u64,
            maps: before.maps + self.all_maps().count() as u64,
            // What a reaper has left may stand until its owner comes by.
            entries: now.entries.max(before.entries + standing as u64),
            stale: before.stale + (stale + put_off) as u64,
            expunged: before.expunged + self.expunged,
            destroyed: before.destroyed + self.destroyed,
            ..*now
        };
        assert_eq!(*now, expected, "statistics");
    }
}
