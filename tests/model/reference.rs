// SPDX-License-Identifier: MIT OR Apache-2.0
//! The plain model: what the library promises, said in two ordered maps.
//!
//! No hashing, no slots, no inboxes: a map is its live entries and its stale ones,
//! a key is a number of references. Two things are left to the library: which
//! stale values a slow path destroys, and which stale entries the table gives up,
//! so that no look-up finds them any more. The model says how many values are
//! destroyed, and learns which; and it learns which entries were given up.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use threadlocalmap::error::{Error, Reason};
use threadlocalmap::local::stats::tls_stats_t as Stats;

use crate::events::{made_value, Event, Init, KeyName, Kind, Value};
use crate::operation::{KeyCall, Pick};
use crate::others::Wakes;

#[path = "changes.rs"]
mod changes;
#[path = "scopes.rs"]
mod scopes;

pub(crate) use scopes::Captured;

/// A map: [`OWN`], or how many were made before it.
pub(crate) type MapName = usize;

/// The thread's own map.
pub(crate) const OWN: MapName = 0;

/// Maps that a case has at a time, beside the thread's own.
const MOST_MAPS: usize = 4;

/// Dead keys that operations go on naming.
const DEAD_KEYS_IN_USE: usize = 32;

/// What a call answers: the value's address, the count, or 0 for success.
pub(crate) type Answer = Result<usize, Error>;

/// Most stale values that a call destroys that is not there for destroying.
pub(crate) const BUDGET: usize = 8;

/// How many stale values of the current map a call destroys, whichever they are,
/// and when: the events that the model expects come after, or before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sweep {
    None,
    Before(usize),
    After(usize),
}

impl Sweep {
    pub(crate) fn number(self) -> usize {
        match self {
            Self::None => 0,
            Self::Before(number) | Self::After(number) => number,
        }
    }
}

/// What a call must do.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) answer: Answer,
    /// Callbacks that must be called, in this order.
    pub(crate) events: VecDeque<Event>,
    /// Callbacks that must be called in any order: of values in several maps.
    pub(crate) unordered: Vec<Event>,
    pub(crate) sweep: Sweep,
    pub(crate) wakes: Wakes,
}

impl Expected {
    /// An answer, and nothing else happens.
    pub(crate) fn only(answer: Answer) -> Self {
        Self {
            answer,
            events: VecDeque::new(),
            unordered: Vec::new(),
            sweep: Sweep::None,
            wakes: Wakes::Never,
        }
    }

    pub(crate) fn done() -> Self {
        Self::only(Ok(0))
    }
}

/// The key that a [`Pick`] means.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    Key(KeyName),
    /// The so manieth kind of handle that is none.
    Never(u16),
}

pub(crate) struct Key {
    pub(crate) kind: Kind,
    references: u64,
    /// Entries in all maps.
    pub(crate) entries: usize,
}

/// A value, and when it was first set: how many entries were made before.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    age: u64,
    /// How many scopes were open where it was set.
    pub(crate) depth: usize,
}

/// One map.
#[derive(Default)]
pub(crate) struct Entries {
    pub(crate) live: BTreeMap<KeyName, Entry>,
    pub(crate) stale: BTreeMap<KeyName, Entry>,
    /// Keys of stale entries that the table has given up.
    pub(crate) given_up: BTreeSet<KeyName>,
    /// Open scopes.
    pub(crate) depth: usize,
    /// Entries that scopes hide, the latest last.
    pub(crate) hidden: Vec<Hidden>,
}

/// An entry that a scope hides.
#[derive(Clone, Copy)]
pub(crate) struct Hidden {
    pub(crate) name: KeyName,
    pub(crate) entry: Entry,
    /// The depth of the scope that hides it.
    by: usize,
    pub(crate) stale: bool,
}

impl Entries {
    /// Takes everything out, the youngest first.
    fn drain_from_youngest(&mut self) -> Vec<(KeyName, Value, bool)> {
        assert!(self.hidden.is_empty(), "scopes have been ended first");
        let live = std::mem::take(&mut self.live).into_iter().map(|entry| (entry, false));
        let stale = std::mem::take(&mut self.stale).into_iter().map(|entry| (entry, true));
        let mut all: Vec<_> = live.chain(stale).collect();
        all.sort_unstable_by_key(|((_, entry), _)| std::cmp::Reverse(entry.age));
        all.into_iter().map(|((name, entry), stale)| (name, entry.value, stale)).collect()
    }
}

/// The whole of it.
#[derive(Default)]
pub(crate) struct Reference {
    pub(crate) keys: Vec<Key>,
    live_keys: Vec<KeyName>,
    dead_keys: VecDeque<KeyName>,
    /// Dead keys that still have entries.
    dead_with_entries: u64,
    /// Dead keys without entries whose user_free has not been called.
    user_free_due: BTreeSet<KeyName>,
    pub(crate) maps: BTreeMap<MapName, Entries>,
    pub(crate) current: MapName,
    maps_ever: usize,
    entries_ever: u64,
    stored: usize,
    made: usize,
    /// Calls of destroy callbacks, ever.
    destroyed: u64,
    /// Values ended because of their key's death, ever.
    expunged: u64,
    /// Hooks for the thread's end, the latest last.
    pub(crate) hooks: Vec<usize>,
    pub(crate) hooks_ever: usize,
    /// The thread has a waker.
    pub(crate) has_waker: bool,
    /// Contexts that are captured, and those of tasks.
    pub(crate) contexts: Vec<Captured>,
    pub(crate) tasks: Vec<Captured>,
    copied: usize,
}

impl Reference {
    /// A thread's own map, and nothing in it.
    pub(crate) fn new() -> Self {
        Self { maps: BTreeMap::from([(OWN, Entries::default())]), ..Self::default() }
    }

    pub(crate) fn resolve(&self, pick: Pick) -> Target {
        let nth = |number: u16, of: usize| (of > 0).then(|| usize::from(number) % of);
        match pick {
            Pick::Live(number) => nth(number, self.live_keys.len()).map(|n| self.live_keys[n]),
            Pick::Dead(number) => nth(number, self.dead_keys.len()).map(|n| self.dead_keys[n]),
            Pick::Never(_) => None,
        }
        .map_or_else(|| Target::Never(pick.number()), Target::Key)
    }

    /// The map that a number means, among the thread's own and the others.
    pub(crate) fn resolve_map(&self, number: u8) -> MapName {
        let nth = usize::from(number) % self.maps.len();
        *self.maps.keys().nth(nth).expect("below the number of maps")
    }

    pub(crate) fn live_keys(&self) -> &[KeyName] {
        &self.live_keys
    }

    pub(crate) fn is_live(&self, name: KeyName) -> bool {
        self.keys[name].references > 0
    }

    fn here(&mut self) -> &mut Entries {
        self.maps.get_mut(&self.current).expect("the current map exists")
    }

    pub(crate) fn stale_here(&self) -> usize {
        self.maps[&self.current].stale_number()
    }

    /// Whether the end of a value calls a destroy callback.
    fn calls_destroy(&self, name: KeyName, value: Value) -> bool {
        self.keys[name].kind.destroy && value != 0
    }

    /// A value's life ends.
    pub(crate) fn end(
        &mut self,
        name: KeyName,
        value: Value,
        reason: Reason,
        events: &mut impl Extend<Event>,
    ) {
        self.expunged += u64::from(reason == Reason::KeyDead);
        if self.calls_destroy(name, value) {
            self.destroyed += 1;
            events.extend([Event::Ended { key: name, value, reason }]);
        }
    }

    /// An entry has left its map.
    pub(crate) fn leave(&mut self, name: KeyName) {
        let key = &mut self.keys[name];
        key.entries -= 1;
        if key.references == 0 && key.entries == 0 {
            self.dead_with_entries -= 1;
            self.expect_user_free(name);
        }
    }

    fn expect_user_free(&mut self, name: KeyName) {
        if self.keys[name].kind.user_free {
            self.user_free_due.insert(name);
        }
    }

    fn insert(&mut self, name: KeyName, value: Value) {
        let age = self.entries_ever;
        self.entries_ever += 1;
        self.keys[name].entries += 1;
        let worker = self.keys[name].kind.rules.worker;
        let depth = if worker { 0 } else { self.here().depth };
        self.here().live.insert(name, Entry { value, age, depth });
    }

    /// The owner's slow path.
    fn slow_path(&self) -> Sweep {
        Sweep::Before(self.stale_here().min(BUDGET))
    }

    /// Stale entries of the current map whose end calls nobody; those that scopes
    /// hide included.
    pub(crate) fn silent_stale(&self) -> Vec<(KeyName, Entry)> {
        let here = &self.maps[&self.current];
        let seen = here.stale.iter().map(|(name, entry)| (*name, *entry));
        let hidden = here.hidden.iter().filter(|hidden| hidden.stale);
        let all = seen.chain(hidden.map(|hidden| (hidden.name, hidden.entry)));
        all.filter(|(name, entry)| !self.calls_destroy(*name, entry.value)).collect()
    }

    /// The table of a map has given up the entry of a key: it must have been stale
    /// there.
    pub(crate) fn gave_up(&mut self, map: MapName, name: KeyName) -> bool {
        let entries = self.maps.get_mut(&map).expect("a map of this case");
        let is_it = |hidden: &Hidden| hidden.stale && hidden.name == name;
        let was_stale = entries.stale.contains_key(&name) || entries.hidden.iter().any(is_it);
        entries.given_up.insert(name);
        was_stale
    }

    /// The library has expunged this value: it must have been stale here.
    pub(crate) fn swept(&mut self, name: KeyName, value: Value) -> bool {
        self.swept_if(name, |entry| entry.value == value)
    }

    /// The same, by where it was set too: a key's NULLs are all alike.
    pub(crate) fn swept_at(&mut self, name: KeyName, swept: &Entry) -> bool {
        self.swept_if(name, |entry| (entry.value, entry.depth) == (swept.value, swept.depth))
    }

    fn swept_if(&mut self, name: KeyName, is_it: impl Fn(&Entry) -> bool) -> bool {
        let here = self.here();
        let is_hidden =
            |hidden: &Hidden| hidden.stale && hidden.name == name && is_it(&hidden.entry);
        let value = if let Some(entry) = here.stale.get(&name).copied().filter(&is_it) {
            here.stale.remove(&name);
            entry.value
        } else if let Some(at) = here.hidden.iter().position(is_hidden) {
            here.hidden.remove(at).entry.value
        } else {
            return false;
        };
        self.expunged += 1;
        self.destroyed += u64::from(self.calls_destroy(name, value));
        self.leave(name);
        true
    }

    /// The library has called user_free: it must have been its time.
    pub(crate) fn freed(&mut self, name: KeyName) -> bool {
        self.user_free_due.remove(&name)
    }

    /// Keys whose user_free should have been called by now.
    pub(crate) fn user_free_due(&self) -> &BTreeSet<KeyName> {
        &self.user_free_due
    }

    /// What the library's statistics must say.
    pub(crate) fn stats(&self, before: &Stats, attached: bool, now: &Stats) -> Stats {
        let sum =
            |count: fn(&Entries) -> usize| self.maps.values().map(count).sum::<usize>() as u64;
        let captured = self.contexts.iter().chain(&self.tasks);
        let entries = before.entries
            + sum(|map| map.live.len() + map.stale.len() + map.hidden.len())
            + captured.clone().map(Vec::len).sum::<usize>() as u64;
        let stale = captured.flatten().filter(|(name, _)| !self.is_live(*name)).count() as u64;
        Stats {
            keys: before.keys + self.live_keys.len() as u64,
            dead_keys: before.dead_keys + self.dead_with_entries,
            maps: before.maps + self.maps.len() as u64 - u64::from(!attached),
            contexts: before.contexts + (self.contexts.len() + self.tasks.len()) as u64,
            unwatched: before.unwatched,
            unscoped: before.unscoped,
            stale: before.stale + sum(Entries::stale_number) + stale,
            expunged: before.expunged + self.expunged,
            destroyed: before.destroyed + self.destroyed,
            leaked: before.leaked,
            entries,
            // How tables are laid out and when they move is not promised.
            ..*now
        }
    }

    // ---- What operations do ------------------------------------------------

    pub(crate) fn create_key(&mut self, kind: Kind) -> KeyName {
        let name = self.keys.len();
        self.keys.push(Key { kind, references: 1, entries: 0 });
        self.live_keys.push(name);
        name
    }

    pub(crate) fn on_key(&mut self, name: KeyName, call: KeyCall) -> Expected {
        let entry = self.here().live.get(&name).copied();
        match call {
            KeyCall::Get if !self.is_live(name) => Expected::only(Ok(self.stale_value(name))),
            KeyCall::GetExisting if !self.is_live(name) => {
                Expected::only(Ok(self.stale_value(name)))
            }
            KeyCall::Drain => self.drain(name),
            _ if !self.is_live(name) => Expected::only(Err(Error::DeadKey)),
            KeyCall::Retain => {
                self.keys[name].references += 1;
                Expected::done()
            }
            KeyCall::Release => self.release(name),
            KeyCall::Get => {
                let expected = self.try_get(name, entry);
                Expected { answer: Ok(expected.answer.unwrap_or(0)), ..expected }
            }
            KeyCall::TryGet => self.try_get(name, entry),
            KeyCall::GetExisting => Expected::only(Ok(entry.map_or(0, |entry| entry.value))),
            KeyCall::Set(stored) => self.set(name, entry, stored),
            KeyCall::Swap(stored) => self.swap(name, entry, stored),
            KeyCall::Take => self.take(name, entry),
            KeyCall::Remove => self.remove(name, entry),
            KeyCall::Purge => self.purge(name),
            KeyCall::Scrape => self.scrape(name),
            KeyCall::ForEach | KeyCall::ForEachLocked => self.for_each(name),
        }
    }

    /// A value that is stale and still in the table, as a hit shows it.
    fn stale_value(&self, name: KeyName) -> Value {
        let here = &self.maps[&self.current];
        let found = here.stale.get(&name).filter(|_| !here.given_up.contains(&name));
        found.map_or(0, |entry| entry.value)
    }

    fn release(&mut self, name: KeyName) -> Expected {
        let mut expected = Expected::done();
        self.keys[name].references -= 1;
        if self.is_live(name) {
            return expected;
        }
        self.live_keys.retain(|live| *live != name);
        self.dead_keys.push_back(name);
        if self.dead_keys.len() > DEAD_KEYS_IN_USE {
            self.dead_keys.pop_front();
        }
        if self.keys[name].entries == 0 {
            self.expect_user_free(name);
        } else {
            self.dead_with_entries += 1;
        }
        for map in self.maps.values_mut() {
            if let Some(entry) = map.live.remove(&name) {
                map.stale.insert(name, entry);
            }
            map.hidden.iter_mut().filter(|hidden| hidden.name == name).for_each(|hidden| {
                hidden.stale = true;
            });
        }
        // The releaser's own value ends at once; the others wait for their owner.
        if let Some(entry) = self.here().stale.remove(&name) {
            self.end(name, entry.value, Reason::KeyDead, &mut expected.events);
            self.leave(name);
        }
        self.post_death(name, &mut expected);
        self.end_hidden(name, &mut expected);
        expected
    }

    fn try_get(&mut self, name: KeyName, entry: Option<Entry>) -> Expected {
        if let Some(entry) = entry {
            return Expected::only(Ok(entry.value));
        }
        let sweep = self.slow_path();
        let (answer, event) = match self.keys[name].kind.init {
            Init::None => (Err(Error::Absent), None),
            Init::Fails => (Err(Error::Init), Some(Event::Failed { key: name })),
            Init::Null => (Ok(0), Some(Event::Made { key: name, value: 0 })),
            Init::Fresh => {
                let value = made_value(self.made);
                self.made += 1;
                (Ok(value), Some(Event::Made { key: name, value }))
            }
        };
        if let Ok(value) = answer {
            self.insert(name, value);
        }
        Expected { events: event.into_iter().collect(), sweep, ..Expected::only(answer) }
    }

    /// Ends all values of a map, the youngest first.
    fn end_all(&mut self, map: MapName, reason: Reason) -> Expected {
        let mut expected = self.end_scopes(map);
        let entries = self.maps.get_mut(&map).map(Entries::drain_from_youngest);
        for (name, value, stale) in entries.unwrap_or_default() {
            let reason = if stale { Reason::KeyDead } else { reason };
            self.end(name, value, reason, &mut expected.events);
            self.leave(name);
        }
        expected
    }

    pub(crate) fn remove_all(&mut self) -> Expected {
        if self.here().depth > 0 {
            return self.remove_all_in_scope();
        }
        self.end_all(self.current, Reason::Removed)
    }

    pub(crate) fn expunge_some(&mut self, budget: usize) -> Expected {
        let count = budget.min(self.stale_here());
        Expected { sweep: Sweep::Before(count), ..Expected::only(Ok(count)) }
    }

    /// Whether another map may be made, and its name.
    pub(crate) fn create_map(&mut self) -> Option<MapName> {
        if self.maps.len() > MOST_MAPS {
            return None;
        }
        self.maps_ever += 1;
        self.maps.insert(self.maps_ever, Entries::default());
        Some(self.maps_ever)
    }

    pub(crate) fn destroy_map(&mut self, map: MapName) -> Expected {
        if map == self.current {
            return Expected::only(Err(Error::Busy));
        }
        let expected = self.end_all(map, Reason::MapDestroyed);
        self.maps.remove(&map);
        expected
    }

    /// Answers the map that was current.
    pub(crate) fn switch_map(&mut self, map: MapName) -> Expected {
        Expected::only(Ok(std::mem::replace(&mut self.current, map)))
    }

    /// The thread ends, or is as good as ended: its own values go, other maps
    /// stay.
    pub(crate) fn end_thread(&mut self, reason: Reason) -> Expected {
        self.current = OWN;
        self.has_waker = false;
        // Scopes end before hooks are called, and hooks before the other values end.
        let mut expected = self.end_scopes(OWN);
        for number in std::mem::take(&mut self.hooks).into_iter().rev() {
            expected.events.push_back(Event::Hook { number });
        }
        let rest = self.end_all(OWN, reason);
        expected.events.extend(rest.events);
        expected.unordered.extend(rest.unordered);
        expected
    }
}

impl Pick {
    fn number(self) -> u16 {
        match self {
            Self::Live(number) | Self::Dead(number) | Self::Never(number) => number,
        }
    }
}
