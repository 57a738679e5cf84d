// SPDX-License-Identifier: MIT OR Apache-2.0
//! The plain model's other threads: what a call does in maps that are not the
//! current one.

use crate::api::Rules;
use crate::events::{Event, KeyName, Value};
use crate::reference::{Expected, MapName, Reference, Sweep, OWN};
use threadlocalmap::error::{Error, Reason};

/// How often the waker of the thread's own map is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wakes {
    Never,
    /// There were stale values already, and the thread may have seen them.
    AtMostOnce,
    Once,
}

impl Reference {
    /// The end of a release: the key's death is posted to the other maps, or they
    /// lose their values if any thread may destroy them.
    pub(crate) fn post_death(&mut self, name: KeyName, expected: &mut Expected) {
        if self.keys[name].kind.rules.any {
            for map in self.holders(name) {
                let value = self.take_from(map, name);
                self.end(name, value, Reason::KeyDead, &mut expected.unordered);
                self.leave(name);
            }
        } else if self.has_waker && self.current != OWN {
            let dead = self.holders(name).into_iter().filter(|map| *map == OWN).count();
            expected.wakes = match self.maps[&OWN].stale_number() - dead {
                _ if dead == 0 => Wakes::Never,
                0 => Wakes::Once,
                _ => Wakes::AtMostOnce,
            };
        }
    }

    /// Maps that have an entry under a key: once for each, hidden ones included.
    fn holders(&self, name: KeyName) -> Vec<MapName> {
        let maps = self.maps.iter();
        let times = |(map, entries): (&MapName, &crate::reference::Entries)| {
            let seen = entries.live.contains_key(&name) || entries.stale.contains_key(&name);
            let hidden = entries.hidden.iter().filter(|hidden| hidden.name == name).count();
            std::iter::repeat_n(*map, usize::from(seen) + hidden)
        };
        maps.flat_map(times).collect()
    }

    /// Takes a value from afar.
    fn take_from(&mut self, map: MapName, name: KeyName) -> Value {
        let entries = self.maps.get_mut(&map).expect("a holder");
        let seen = entries.live.remove(&name).or_else(|| entries.stale.remove(&name));
        let hidden = || {
            let at = entries.hidden.iter().position(|hidden| hidden.name == name);
            entries.hidden.remove(at.expect("a holder has one")).entry
        };
        seen.unwrap_or_else(hidden).value
    }

    /// The values of a live key, with their maps.
    fn all_values(&self, name: KeyName) -> Vec<(MapName, Value)> {
        let values = |(map, entries): (&MapName, &crate::reference::Entries)| {
            let seen = entries.live.get(&name).map(|entry| entry.value);
            let hidden = entries.hidden.iter().filter(|hidden| hidden.name == name);
            let all = seen.into_iter().chain(hidden.map(|hidden| hidden.entry.value));
            all.map(|value| (*map, value)).collect::<Vec<_>>()
        };
        self.maps.iter().flat_map(values).collect()
    }

    /// Whether a key's values may be reached as it takes.
    fn allows(&self, name: KeyName, rule: impl Fn(Rules) -> bool) -> Result<(), Expected> {
        let allowed = rule(self.keys[name].kind.rules);
        allowed.then_some(()).ok_or_else(|| Expected::only(Err(Error::Invalid)))
    }

    /// Whether a purge of a live key leaves values to the owners of other maps.
    pub(crate) fn purge_leaves_some(&self, name: KeyName) -> bool {
        let rules = self.keys[name].kind.rules;
        let owners = rules.enumerable && !rules.any;
        owners && self.holders(name).iter().any(|map| *map != self.current)
    }

    pub(crate) fn purge(&mut self, name: KeyName) -> Expected {
        if let Err(refused) = self.allows(name, |rules| rules.any || rules.enumerable) {
            return refused;
        }
        let holders = self.holders(name);
        let mut expected = Expected::only(Ok(holders.len()));
        for map in holders {
            let value = self.take_from(map, name);
            self.end(name, value, Reason::Purged, &mut expected.unordered);
            self.leave(name);
        }
        expected
    }

    pub(crate) fn scrape(&mut self, name: KeyName) -> Expected {
        if let Err(refused) = self.allows(name, |rules| rules.enumerable) {
            return refused;
        }
        let mut expected = Expected::done();
        for (map, value) in self.all_values(name) {
            let attached = map == self.current;
            expected.unordered.push(Event::Taken { key: name, value, attached });
            self.take_from(map, name);
            self.leave(name);
        }
        expected
    }

    pub(crate) fn for_each(&mut self, name: KeyName) -> Expected {
        if let Err(refused) = self.allows(name, |rules| rules.enumerable) {
            return refused;
        }
        let shown = |(map, value)| {
            let attached = map == self.current;
            Event::Visited { key: name, value, attached }
        };
        let unordered = self.all_values(name).into_iter().map(shown).collect();
        Expected { unordered, ..Expected::done() }
    }

    /// The current map is expunged first; then the values that are left are counted.
    pub(crate) fn drain(&mut self, name: KeyName) -> Expected {
        let here = &self.maps[&self.current];
        let hidden = here.hidden.iter().filter(|hidden| hidden.stale && hidden.name == name);
        let ends_here = usize::from(here.stale.contains_key(&name)) + hidden.count();
        let left = self.keys[name].entries - ends_here;
        let sweep = Sweep::Before(self.stale_here());
        Expected { sweep, ..Expected::only(Ok(left)) }
    }

    pub(crate) fn expunge_all_threads(&mut self) -> Expected {
        let waits = self.current != OWN && self.maps[&OWN].stale_number() > 0;
        let wakes = if waits && self.has_waker { Wakes::Once } else { Wakes::Never };
        Expected { wakes, ..self.expunge_some(usize::MAX) }
    }

    /// Registers a waker, or none; it is called at once if values are stale already.
    pub(crate) fn on_stale(&mut self, wanted: bool) -> Expected {
        self.has_waker = wanted;
        let waits = wanted && self.maps[&OWN].stale_number() > 0;
        let wakes = if waits { Wakes::Once } else { Wakes::Never };
        Expected { wakes, ..Expected::done() }
    }

    /// Registers a hook; its number.
    pub(crate) fn at_exit(&mut self) -> usize {
        self.hooks_ever += 1;
        self.hooks.push(self.hooks_ever);
        self.hooks_ever
    }
}
