//! Plays a case against the library and against the plain model at once.
//!
//! After each call the player compares the answer, every callback that was
//! called meanwhile, and the number of stale entries; and, as often as the
//! test asks for, every entry of every map, the library's own invariants and
//! its statistics.

use core::ffi::c_void;
use core::ptr::null_mut;
use std::collections::BTreeMap;

use threadlocalmap::error::{Error, Reason};
use threadlocalmap::key::{self, handle};
use threadlocalmap::sys::sync::Ordering;
use threadlocalmap::thread::context::ContextPointer;
use threadlocalmap::thread::map::Map;
use threadlocalmap::thread::stats::{collect, Stats};
use threadlocalmap::thread::switch::{self, MapPointer};
use threadlocalmap::thread::task::TaskPointer;
use threadlocalmap::thread::{exit, keys, others, reach, record, stale, values, visit, wait};

use crate::events::{self, Event, KeyName, Kind};
use crate::operation::{Case, KeyCall, Operation, Pick, Stored};
use crate::others::Told;
use crate::reference::{Answer, Expected, MapName, Reference, Sweep, Target, OWN};
use crate::stage::current_map;

#[path = "play_tasks.rs"]
mod play_tasks;

/// The library's side of a case, and the model's.
pub(crate) struct Player {
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

// SAFETY: A player changes threads only when its last thread has ended: then
// `own` is not there, and maps that are attached nowhere are any thread's.
unsafe impl Send for Player {}

impl Player {
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

    /// Plays the operations on the calling thread.
    pub(crate) fn play(&mut self, case: &Case) {
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

    /// The thread that played has ended.
    pub(crate) fn thread_has_ended(&mut self) {
        self.own = None;
        self.scopes.remove(&OWN);
        let expected = self.reference.end_thread(Reason::ThreadExit);
        self.settle(expected);
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
                assert_eq!(values::remove_all(), Ok(()));
                self.settle(expected);
            }
            Operation::Expunge => self.expunge(usize::MAX, stale::expunge),
            Operation::ExpungeSome(budget) => {
                self.expunge(budget, || stale::expunge_some(budget));
            }
            Operation::CreateMap => {
                if let Some(map) = self.reference.create_map() {
                    self.maps.insert(map, switch::create().expect("memory"));
                }
            }
            Operation::DestroyMap(number) => {
                let map = self.reference.resolve_map(number);
                if map != OWN {
                    self.destroy_map(map);
                }
            }
            Operation::SwitchMap(number) => self.switch_map(self.reference.resolve_map(number)),
            Operation::Attach => assert_eq!(record::attach_in_full(), Ok(())),
            Operation::ExpungeAllThreads => {
                let expected = self.reference.expunge_all_threads();
                assert_eq!(Ok(others::expunge_all_threads()), expected.answer, "expunged here");
                self.settle(expected);
            }
            Operation::AtExit => {
                let number = self.reference.at_exit() as *mut c_void;
                assert_eq!(exit::at_thread_exit(events::hook, number), Ok(()));
            }
            Operation::OnStale(wanted) => {
                self.reference.wants_notice = wanted;
                let notify = wanted.then_some(events::told as _);
                assert_eq!(others::on_stale(notify, null_mut()), Ok(()));
            }
            Operation::Detach => {
                let expected = self.reference.end_thread(Reason::Detached);
                self.own = None;
                self.scopes.remove(&OWN);
                assert_eq!(record::detach(), Ok(()));
                self.settle(expected);
            }
            operation => self.step_task(operation),
        }
        self.notice_own_map();
        assert_eq!(stale::stale_count(), self.reference.stale_here(), "stale entries");
    }

    fn create_key(&mut self, kind: Kind) {
        if self.reference.live_keys().len() < self.most_keys {
            let name = self.reference.create_key(kind);
            self.handles.push(keys::create(&kind.options(name)).expect("memory"));
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
                self.settle(expected);
                let is_live = key::live(self.handles[name]).is_ok();
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
        self.settle(expected);
    }

    fn switch_map(&mut self, map: MapName) {
        let expected = self.reference.switch_map(map);
        // SAFETY: Maps leave `maps` when they are destroyed.
        let previous = unsafe { switch::switch(self.maps.get(&map).copied()) };
        let answer = previous.map(|previous| self.name_of(previous));
        assert_eq!(answer, expected.answer, "the map before");
        assert_eq!(self.name_of(switch::current()), map, "the map now");
        self.settle(expected);
        self.notice_own_map();
    }

    fn destroy_map(&mut self, map: MapName) {
        let expected = self.reference.destroy_map(map);
        // SAFETY: As in `switch_map`.
        let answer = unsafe { switch::destroy(self.maps[&map]) }.map(|()| 0);
        assert_eq!(answer, expected.answer, "destroying map {map}");
        if answer.is_ok() {
            self.maps.remove(&map);
            self.scopes.remove(&map);
        }
        self.settle(expected);
    }

    fn name_of(&self, map: Option<MapPointer>) -> MapName {
        let Some(map) = map else { return OWN };
        let known = self.maps.iter().find(|(_, known)| **known == map);
        *known.expect("a map of this case").0
    }

    fn notice_own_map(&mut self) {
        if self.reference.current == OWN {
            self.own = current_map();
        }
    }

    // ---- What has happened --------------------------------------------------

    /// Compares what was called with what had to be, and learns which stale
    /// values were ended on the way.
    fn settle(&mut self, mut expected: Expected) {
        let mut swept = self.settle_silent();
        let mut told = 0;
        for event in events::take_events() {
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
                }
                Event::Freed { key } => {
                    assert!(self.reference.freed(key), "user_free of key {key}, now or again");
                    let mut late = expected.events.iter().chain(&expected.unordered);
                    let late = late.find(|late| late.key() == Some(key));
                    assert_eq!(late, None, "user_free of key {key} comes before its last value");
                }
                Event::Told => told += 1,
                _ => panic!("{event:?}, where {:?} was next", expected.events.front()),
            }
        }
        assert_eq!(expected.events, [], "what was not called");
        assert_eq!(expected.unordered, [], "what was not called, in any order");
        match expected.told {
            Told::Never => assert_eq!(told, 0, "told of nothing"),
            Told::Perhaps => assert!(told <= 1, "told {told} times"),
            Told::Once => assert_eq!(told, 1, "told of stale values"),
        }
        assert_eq!(self.reference.owed().first(), None, "user_free was not called");
        match expected.sweep {
            Sweep::Exactly(count) => assert_eq!(swept, count, "stale values ended"),
            Sweep::AtLeast(count) => assert!(swept >= count, "{swept} stale values ended"),
        }
    }

    /// Stale entries without a callback: the table shows which have gone.
    fn settle_silent(&mut self) -> usize {
        let Some(map) = current_map() else { return 0 };
        let silent = self.reference.silent_stale().into_iter();
        let gone: Vec<KeyName> =
            silent.filter(|name| map.find(self.handles[*name]).is_none()).collect();
        for name in &gone {
            let value = self.reference.maps[&self.reference.current].stale[name].value;
            assert!(self.reference.swept(*name, value));
        }
        let hidden = self.gone_from_hidden(map);
        for (name, value) in &hidden {
            assert!(self.reference.swept(*name, *value));
        }
        gone.len() + hidden.len()
    }

    /// Looks at everything.
    fn survey(&self) {
        for (name, entries) in &self.reference.maps {
            let map = match self.maps.get(name) {
                // SAFETY: As in `switch_map`; and no other thread has it.
                Some(map) => unsafe { map.as_ref() },
                None if self.own.is_some() => self.own.expect("just seen"),
                None => {
                    assert!(entries.live.is_empty() && entries.stale.is_empty());
                    continue;
                }
            };
            map.check_invariants();
            let stale = map.mailbox.stale.load(Ordering::Relaxed);
            assert_eq!(stale, entries.stale_number(), "stale entries of map {name}");
            let count = map.counters.entries.load(Ordering::Relaxed) as usize;
            let there = entries.live.len() + entries.stale.len() + entries.hidden.len();
            let most = there + entries.taken;
            assert!((there..=most).contains(&count), "entries of map {name}: {count} of {there}");
            self.survey_hidden(map, entries);
            for (key, entry) in entries.live.iter().chain(&entries.stale) {
                let found = map.find(self.handles[*key]).map(|at| map.value_at(at) as usize);
                assert_eq!(found, Some(entry.value), "key {key} in map {name}");
            }
        }
    }

    fn assert_stats(&self) {
        let now = collect();
        let expected = self.reference.stats(&self.before, record::current().is_some(), &now);
        assert_eq!(now, expected, "statistics");
    }
}

/// Makes the call; the answer as the model has it.
fn call_with(key: u64, call: KeyCall, value: usize, name: KeyName) -> Answer {
    let argument = name as *mut c_void;
    let value = value as *mut c_void;
    match call {
        KeyCall::Retain => key::retain(key).map(|()| 0),
        KeyCall::Release => keys::release(key).map(|()| 0),
        KeyCall::Get => Ok(values::get(key) as usize),
        KeyCall::TryGet => values::try_get(key).map(|found| found as usize),
        KeyCall::GetExisting => Ok(values::get_existing(key) as usize),
        KeyCall::Set(_) => values::set(key, value).map(|()| 0),
        KeyCall::Swap(_) => values::swap(key, value).map(|old| old as usize),
        KeyCall::Take => values::take(key).map(|old| old as usize),
        KeyCall::Remove => values::remove(key).map(|()| 0),
        KeyCall::Purge => reach::purge(key),
        KeyCall::Scrape => reach::scrape(key, events::take, argument).map(|()| 0),
        KeyCall::ForEach => visit::for_each(key, events::visit, argument).map(|()| 0),
        KeyCall::Drain => wait::drain(key, 0).map(|left| left as usize),
    }
}

/// Handles that were never given out, near to one that was.
pub(crate) fn never_a_key(number: u16, some: Option<u64>) -> u64 {
    let (index, generation) =
        some.map_or((0, 16), |some| (handle::index(some), handle::generation(some)));
    match number % 5 {
        0 => 0,
        1 => u64::from(number),
        2 => handle::make(index, handle::FIRST_GENERATION - 1),
        3 => handle::make(index, generation | 1 << 31),
        _ => handle::make(u32::MAX - u32::from(number), generation),
    }
}
