// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs a case against the library and against the plain model at once.
//!
//! After each call the runner compares the answer, every callback that was
//! called meanwhile, and the number of stale entries; and, as often as the
//! test asks for, every entry of every map, the library's own invariants and
//! its statistics.

use core::ffi::c_void;
use core::ptr::null_mut;
use std::collections::BTreeMap;

use threadlocalmap::error::{Error, Reason};
use threadlocalmap::local::map::Map;
use threadlocalmap::local::maps::collect;
use threadlocalmap::local::record::State;
use threadlocalmap::local::stats::tls_stats_t as Stats;

use crate::api::{self, ContextPointer, MapPointer, TaskPointer};
use crate::events::{self, Event, KeyName, Kind};
use crate::internals::{
    self, handle_of, map_of, parts_of, stale_number, value_in, values_of, Held, FIRST_GENERATION,
};
use crate::operation::{Case, KeyCall, Operation, Pick, Stored};
use crate::others::Wakes;
use crate::reference::{Answer, Entries, Entry, Expected, MapName, Reference, Sweep, Target, OWN};

#[path = "run_tasks.rs"]
mod run_tasks;

/// The library's side of a case, and the model's.
pub(crate) struct Runner {
    reference: Reference,
    before: Stats,
    most_keys: usize,
    survey_every: usize,
    handles: Vec<u64>,
    maps: BTreeMap<MapName, MapPointer>,
    /// The thread's own map as last seen; not there while the thread is not
    /// attached.
    own: Option<&'static Map>,
    /// The names of open scopes, by map.
    scopes: BTreeMap<MapName, Vec<u64>>,
    contexts: Vec<ContextPointer>,
    tasks: Vec<TaskPointer>,
}

// SAFETY: A runner changes threads only when its last thread has ended: then
// `own` is not there, and maps that are attached nowhere are any thread's.
unsafe impl Send for Runner {}

impl Runner {
    pub(crate) fn new(before: Stats, most_keys: usize, survey_every: usize) -> Self {
        events::forget_all();
        Self {
            reference: Reference::new(),
            before,
            most_keys,
            survey_every,
            handles: Vec::new(),
            maps: BTreeMap::new(),
            own: None,
            scopes: BTreeMap::new(),
            contexts: Vec::new(),
            tasks: Vec::new(),
        }
    }

    /// Runs the operations on the calling thread.
    pub(crate) fn run(&mut self, case: &Case) {
        (0..case.maps).for_each(|_| self.step(Operation::CreateMap));
        for (number, operation) in case.operations.iter().enumerate() {
            self.step(*operation);
            if (number + 1) % self.survey_every == 0 {
                self.survey();
            }
        }
        self.survey();
        self.assert_stats();
    }

    /// The thread that ran them has ended.
    pub(crate) fn thread_has_ended(&mut self) {
        self.own = None;
        self.scopes.remove(&OWN);
        self.find_given_up_at_end(self.reference.current);
        let expected = self.reference.end_thread(Reason::ThreadExit);
        self.compare(expected);
    }

    /// On another thread: visits and destroys the maps that are left, and
    /// releases the keys.
    pub(crate) fn clear_away(&mut self) {
        self.survey();
        let left: Vec<MapName> = self.maps.keys().copied().collect();
        for map in left {
            self.switch_map(map);
            self.survey();
            self.assert_stats();
            self.switch_map(OWN);
            self.destroy_map(map);
        }
        self.clear_contexts();
        while let Some(name) = self.reference.live_keys().last() {
            self.on_key(Target::Key(*name), KeyCall::Release);
        }
        self.survey();
        self.assert_stats();
    }

    // ---- One operation ------------------------------------------------------

    fn step(&mut self, operation: Operation) {
        match operation {
            Operation::CreateKey(kind) => self.create_key(kind),
            Operation::CreateMany(kind, count) => (0..count).for_each(|_| self.create_key(kind)),
            Operation::OnKey(call, pick) => self.on_key(self.reference.resolve(pick), call),
            Operation::OnMany(call, count, first) => {
                let count = usize::from(count).min(self.reference.live_keys().len());
                for number in 0..count as u16 {
                    let pick = Pick::Live(first.wrapping_add(number));
                    self.on_key(self.reference.resolve(pick), call);
                }
            }
            Operation::RemoveAll => {
                let expected = self.reference.remove_all();
                assert_eq!(api::remove_all(), Ok(()));
                self.compare(expected);
            }
            Operation::Expunge => self.expunge(usize::MAX, api::expunge),
            Operation::ExpungeSome(budget) => {
                self.expunge(budget, || api::expunge_some(budget));
            }
            Operation::CreateMap => {
                if let Some(map) = self.reference.create_map() {
                    self.maps.insert(map, api::create_map().expect("memory"));
                }
            }
            Operation::DestroyMap(number) => {
                let map = self.reference.resolve_map(number);
                if map != OWN {
                    self.destroy_map(map);
                }
            }
            Operation::SwitchMap(number) => self.switch_map(self.reference.resolve_map(number)),
            Operation::Attach => {
                assert_eq!(api::attach(), Ok(()));
                // It makes room in the table, which may give up stale entries.
                self.compare(Expected::done());
            }
            Operation::ExpungeAllThreads => {
                let expected = self.reference.expunge_all_threads();
                assert_eq!(Ok(api::expunge_all_threads()), expected.answer, "expunged here");
                self.compare(expected);
            }
            Operation::AtExit => {
                let number = self.reference.at_exit() as *mut c_void;
                assert_eq!(api::at_thread_exit(events::hook, number), Ok(()));
            }
            Operation::OnStale(wanted) => {
                let expected = self.reference.on_stale(wanted);
                let notify = wanted.then_some(events::wake as _);
                assert_eq!(api::on_stale(notify, null_mut()), Ok(()));
                self.compare(expected);
            }
            Operation::Detach => {
                let current = self.reference.current;
                let expected = self.reference.end_thread(Reason::Detached);
                self.own = None;
                self.scopes.remove(&OWN);
                assert_eq!(api::detach(), Ok(()));
                self.find_given_up_at_end(current);
                self.compare(expected);
            }
            operation => self.step_task(operation),
        }
        self.find_own_map();
        assert_eq!(api::stale_count(), self.reference.stale_here(), "stale entries");
    }

    fn create_key(&mut self, kind: Kind) {
        if self.reference.live_keys().len() < self.most_keys {
            let name = self.reference.create_key(kind);
            self.handles.push(api::create(&kind.options(name)).expect("memory"));
        }
    }

    fn on_key(&mut self, target: Target, call: KeyCall) {
        match target {
            Target::Never(number) => {
                let answer = call_with(never_a_key(number, self.some_handle(number)), call, 16, 0);
                let null = matches!(call, KeyCall::Get | KeyCall::GetExisting);
                assert_eq!(answer, if null { Ok(0) } else { Err(Error::BadKey) });
                assert_eq!(events::take_events(), []);
            }
            Target::Key(name) => {
                // In a scope two entries would have one value, and nobody could tell which ended.
                let in_scope = self.reference.maps[&self.reference.current].depth > 0;
                let call = match call {
                    KeyCall::Swap(Stored::Same) if in_scope => KeyCall::Swap(Stored::Fresh),
                    // What a purge leaves in other maps, under a live key, is not modelled.
                    KeyCall::Purge if self.reference.purge_leaves_some(name) => KeyCall::ForEach,
                    _ => call,
                };
                let stored = match call {
                    KeyCall::Set(stored) | KeyCall::Swap(stored) => stored,
                    _ => Stored::Null,
                };
                let value = self.reference.value_to_store(name, stored);
                let expected = self.reference.on_key(name, call);
                let answer = call_with(self.handles[name], call, value, name);
                assert_eq!(answer, expected.answer, "{call:?} of key {name}");
                self.compare(expected);
                let is_live = api::is_live(self.handles[name]);
                assert_eq!(is_live, self.reference.is_live(name), "life of key {name}");
            }
        }
    }

    fn some_handle(&self, number: u16) -> Option<u64> {
        self.handles.get(usize::from(number) % self.handles.len().max(1)).copied()
    }

    fn expunge(&mut self, budget: usize, call: impl FnOnce() -> usize) {
        let expected = self.reference.expunge_some(budget);
        assert_eq!(Ok(call()), expected.answer, "values that were expunged");
        self.compare(expected);
    }

    fn switch_map(&mut self, map: MapName) {
        let expected = self.reference.switch_map(map);
        // SAFETY: Maps leave `maps` when they are destroyed.
        let previous = unsafe { api::switch_map(self.maps.get(&map).copied()) };
        let answer = previous.map(|previous| self.name_of(previous));
        assert_eq!(answer, expected.answer, "the map before");
        assert_eq!(self.name_of(api::current_map()), map, "the map now");
        self.compare(expected);
        self.find_own_map();
    }

    fn destroy_map(&mut self, map: MapName) {
        let expected = self.reference.destroy_map(map);
        // SAFETY: As in `switch_map`.
        let answer = unsafe { api::destroy_map(self.maps[&map]) }.map(|()| 0);
        assert_eq!(answer, expected.answer, "destroying map {map}");
        if answer.is_ok() {
            self.maps.remove(&map);
            self.scopes.remove(&map);
        }
        self.compare(expected);
    }

    fn name_of(&self, map: Option<MapPointer>) -> MapName {
        let Some(map) = map else { return OWN };
        let known = self.maps.iter().find(|(_, known)| **known == map);
        *known.expect("a map of this case").0
    }

    fn find_own_map(&mut self) {
        if self.reference.current == OWN {
            self.own = internals::own_map();
        }
    }

    // ---- What has happened --------------------------------------------------

    /// Compares what was called with what had to be, and learns which stale
    /// values were ended on the way.
    fn compare(&mut self, mut expected: Expected) {
        let mut swept = self.find_silent();
        let mut wakes = 0;
        let awaited = expected.events.len() + expected.unordered.len();
        for event in events::take_events() {
            let due = expected.events.len() + expected.unordered.len();
            if expected.events.front() == Some(&event) {
                expected.events.pop_front();
                continue;
            }
            if let Some(at) = expected.unordered.iter().position(|other| *other == event) {
                expected.unordered.swap_remove(at);
                continue;
            }
            match event {
                Event::Ended { key, value, reason: Reason::KeyDead }
                    if self.reference.swept(key, value) =>
                {
                    swept += 1;
                    match expected.sweep {
                        Sweep::Before(_) => assert_eq!(due, awaited, "a stale value goes first"),
                        Sweep::After(_) => assert_eq!(due, 0, "a stale value goes last"),
                        Sweep::None => panic!("key {key}: no stale value goes"),
                    }
                }
                Event::Freed { key } => {
                    assert!(self.reference.freed(key), "user_free of key {key}, now or again");
                    let mut late = expected.events.iter().chain(&expected.unordered);
                    let late = late.find(|late| late.key() == Some(key));
                    assert_eq!(late, None, "user_free of key {key} comes before its last value");
                }
                Event::Woken => wakes += 1,
                _ => panic!("{event:?}, where {:?} was next", expected.events.front()),
            }
        }
        assert_eq!(expected.events, [], "what was not called");
        assert_eq!(expected.unordered, [], "what was not called, in any order");
        match expected.wakes {
            Wakes::Never => assert_eq!(wakes, 0, "woken for nothing"),
            Wakes::AtMostOnce => assert!(wakes <= 1, "woken {wakes} times"),
            Wakes::Once => assert_eq!(wakes, 1, "woken for stale values"),
        }
        assert_eq!(self.reference.user_free_due().first(), None, "user_free was not called");
        assert_eq!(swept, expected.sweep.number(), "stale values destroyed");
    }

    /// Stale entries without a callback: the map shows which have gone. And stale
    /// entries that the table has given up.
    fn find_silent(&mut self) -> usize {
        let here = &self.reference.maps[&self.reference.current];
        if here.stale_number() == 0 {
            return 0;
        }
        let Some(map) = internals::current_map() else { return 0 };
        let there = values_of(map);
        let is_there = |name: KeyName, entry: &Entry| {
            let one = (self.handles[name], entry.value, entry.depth);
            there.iter().any(|held| (held.key, held.value, held.depth) == one)
        };
        let mut gone = self.reference.silent_stale();
        gone.retain(|(name, entry)| !is_there(*name, entry));
        self.find_given_up(self.reference.current, &there);
        for (name, entry) in &gone {
            assert!(self.reference.swept_at(*name, entry));
        }
        gone.len()
    }

    /// Stale entries that the table of a map has given up.
    fn find_given_up(&mut self, map: MapName, there: &[Held]) {
        for held in there.iter().filter(|held| held.state == State::Retired) {
            let name = self.handles.iter().position(|handle| *handle == held.key);
            let name = name.expect("a key of this case");
            assert!(self.reference.gave_up(map, name), "key {name} was given up alive");
        }
    }

    /// The calling thread's record has gone, and another map than its own was
    /// current: that was tidied up, and may have given up stale entries.
    fn find_given_up_at_end(&mut self, current: MapName) {
        if let Some(map) = self.maps.get(&current) {
            // SAFETY: As in `switch_map`; and no other thread has it.
            let there = values_of(unsafe { map_of(*map) });
            self.find_given_up(current, &there);
        }
    }

    /// Looks at everything.
    fn survey(&self) {
        for (name, entries) in &self.reference.maps {
            let map = match self.maps.get(name) {
                // SAFETY: As in `switch_map`; and no other thread has it.
                Some(map) => unsafe { map_of(*map) },
                None if self.own.is_some() => self.own.expect("just seen"),
                None => {
                    assert!(entries.live.is_empty() && entries.stale.is_empty());
                    continue;
                }
            };
            crate::invariants::check_map(map);
            assert_eq!(stale_number(map), entries.stale_number(), "stale entries of map {name}");
            let there = entries.live.len() + entries.stale.len() + entries.hidden.len();
            assert_eq!(internals::entry_number(map), there, "entries of map {name}");
            self.survey_values(*name, map, entries);
        }
    }

    /// Every value is where the model has it, and nothing else is there.
    fn survey_values(&self, name: MapName, map: &Map, entries: &Entries) {
        let state = |key: KeyName, hidden| match (entries.given_up.contains(&key), hidden) {
            (true, _) => State::Retired,
            (false, false) => State::Live,
            (false, true) => State::Covered,
        };
        let seen = entries.live.iter().chain(&entries.stale);
        let seen = seen.map(|(key, entry)| (*key, entry, state(*key, false)));
        let hidden = entries.hidden.iter();
        let hidden = hidden.map(|one| (one.name, &one.entry, state(one.name, true)));
        let mut expected: Vec<_> = seen
            .chain(hidden)
            .map(|(key, entry, state)| (self.handles[key], entry.depth, entry.value, state as u8))
            .collect();
        let there = values_of(map).into_iter();
        let mut there: Vec<_> =
            there.map(|held| (held.key, held.depth, held.value, held.state as u8)).collect();
        expected.sort_unstable();
        there.sort_unstable();
        assert_eq!(there, expected, "values of map {name}");
        for (key, entry) in entries.live.iter().chain(&entries.stale) {
            let found = value_in(map, self.handles[*key]);
            let there = Some(entry.value).filter(|_| !entries.given_up.contains(key));
            assert_eq!(found, there, "key {key} in map {name}");
        }
    }

    fn assert_stats(&self) {
        let now = collect();
        let expected = self.reference.stats(&self.before, internals::thread().is_some(), &now);
        assert_eq!(now, expected, "statistics");
    }
}

/// Makes the call; the answer as the model has it.
fn call_with(key: u64, call: KeyCall, value: usize, name: KeyName) -> Answer {
    let argument = name as *mut c_void;
    let value = value as *mut c_void;
    match call {
        KeyCall::Retain => api::retain(key).map(|()| 0),
        KeyCall::Release => api::release(key).map(|()| 0),
        KeyCall::Get => Ok(api::get(key) as usize),
        KeyCall::TryGet => api::try_get(key).map(|found| found as usize),
        KeyCall::GetExisting => Ok(api::get_existing(key) as usize),
        KeyCall::Set(_) => api::set(key, value).map(|()| 0),
        KeyCall::Swap(_) => api::swap(key, value).map(|old| old as usize),
        KeyCall::Take => api::take(key).map(|old| old as usize),
        KeyCall::Remove => api::remove(key).map(|()| 0),
        KeyCall::Purge => api::purge(key),
        KeyCall::Scrape => api::scrape(key, events::take, argument).map(|()| 0),
        KeyCall::ForEach => api::for_each(key, events::visit, argument).map(|()| 0),
        KeyCall::ForEachLocked => api::for_each_locked(key, events::visit, argument).map(|()| 0),
        KeyCall::Drain => api::drain(key),
    }
}

/// Handles that were never given out, near to one that was.
pub(crate) fn never_a_key(number: u16, some: Option<u64>) -> u64 {
    let (index, generation) = some.map_or((0, FIRST_GENERATION), parts_of);
    match number % 5 {
        0 => 0,
        1 => u64::from(number),
        2 => handle_of(index, FIRST_GENERATION - 1),
        3 => handle_of(index, generation | 1 << 31),
        _ => handle_of(u32::MAX - u32::from(number), generation),
    }
}
