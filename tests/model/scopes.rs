// SPDX-License-Identifier: MIT OR Apache-2.0
//! The plain model's scopes, contexts and tasks: a scope is a number, what it
//! hides is a list, and a context is a list of copies.

use std::cmp::Reverse;
use std::collections::VecDeque;

use threadlocalmap::error::{Error, Reason};

use super::{Entries, Entry, Expected, Hidden, MapName, Reference, Sweep, BUDGET};
use crate::events::{copied_value, Event, KeyName, Value};
use crate::operation::Stored;

/// What a context has captured, the oldest first.
pub(crate) type Captured = Vec<(KeyName, Value)>;

impl Entries {
    /// Stale entries, those that scopes hide included.
    pub(crate) fn stale_number(&self) -> usize {
        self.stale.len() + self.hidden.iter().filter(|hidden| hidden.stale).count()
    }

    /// Takes out what was set at a depth and `which` is true of, the youngest first.
    fn drain_at(
        &mut self,
        depth: usize,
        which: impl Fn(KeyName) -> bool,
    ) -> Vec<(KeyName, Value, bool)> {
        let mut all = Vec::new();
        for (from, stale) in [(&mut self.live, false), (&mut self.stale, true)] {
            from.retain(|name, entry| {
                let goes = entry.depth == depth && which(*name);
                if goes {
                    all.push((Reverse(entry.age), *name, entry.value, stale));
                }
                !goes
            });
        }
        all.sort_unstable();
        all.into_iter().map(|(_, name, value, stale)| (name, value, stale)).collect()
    }
}

impl Reference {
    /// Whether an entry was set outside of the scope that is open.
    pub(super) fn is_outer(&self, name: KeyName, entry: &Entry) -> bool {
        !self.keys[name].kind.rules.worker && entry.depth < self.maps[&self.current].depth
    }

    /// Hides an outer entry behind a new one, or behind nothing.
    pub(super) fn cover(&mut self, name: KeyName, stored: Option<Stored>) {
        // What is stored may be what is there.
        let value = stored.map(|stored| self.value_to_store(name, stored));
        let here = self.here();
        if let Some(entry) = here.live.remove(&name) {
            let by = here.depth;
            here.hidden.push(Hidden { name, entry, by, stale: false });
        }
        if let Some(value) = value {
            self.store_value(name, value);
        }
    }

    fn store_value(&mut self, name: KeyName, value: Value) {
        if value == crate::events::stored_value(self.stored) {
            self.stored += 1;
        }
        self.insert(name, value);
    }

    /// Hides the outer entries of the current map that `which` is true of.
    fn hide_outer(&mut self, which: impl Fn(&Self, KeyName) -> bool) {
        let here = &self.maps[&self.current];
        let by = here.depth;
        let all = here.live.iter().map(|one| (one, false));
        let all = all.chain(here.stale.iter().map(|one| (one, true)));
        let hides: Vec<Hidden> = all
            .map(|((name, entry), stale)| Hidden { name: *name, entry: *entry, by, stale })
            .filter(|one| self.is_outer(one.name, &one.entry) && which(self, one.name))
            .collect();
        for one in hides {
            let here = self.here();
            here.live.remove(&one.name);
            here.stale.remove(&one.name);
            here.hidden.push(one);
        }
    }

    /// The end of a release: what the current map's scopes hide ends as well.
    pub(super) fn end_hidden(&mut self, name: KeyName, expected: &mut Expected) {
        let hidden = std::mem::take(&mut self.here().hidden);
        let (gone, left) = hidden.into_iter().partition(|hidden| hidden.name == name);
        self.here().hidden = left;
        let gone: Vec<Hidden> = gone;
        for one in gone {
            self.end(name, one.entry.value, Reason::KeyDead, &mut expected.unordered);
            self.leave(name);
        }
    }

    pub(super) fn remove_all_in_scope(&mut self) -> Expected {
        self.hide_outer(|_, _| true);
        let mut expected = Expected::done();
        let depth = self.here().depth;
        let mut gone = self.here().drain_at(depth, |_| true);
        let worker: Vec<bool> = self.keys.iter().map(|key| key.kind.rules.worker).collect();
        gone.extend(self.here().drain_at(0, |name| worker[name]));
        for (name, value, stale) in gone {
            let reason = if stale { Reason::KeyDead } else { Reason::Removed };
            self.end(name, value, reason, &mut expected.events);
            self.leave(name);
        }
        expected
    }

    /// Answers how many scopes are open in the current map then.
    pub(crate) fn begin_scope(&mut self) -> usize {
        self.here().depth += 1;
        self.here().depth
    }

    /// Ends the innermost scope of the current map.
    pub(crate) fn end_scope(&mut self) -> Expected {
        let events = self.end_innermost(self.current);
        let sweep = Sweep::After(self.stale_here().min(BUDGET));
        Expected { events, sweep, ..Expected::done() }
    }

    /// What was set in a map's innermost scope ends, the youngest first, whether it
    /// is stale or not. Then what the scope hides is back.
    fn end_innermost(&mut self, map: MapName) -> VecDeque<Event> {
        let entries = self.maps.get_mut(&map).expect("a map of this case");
        let depth = entries.depth;
        entries.depth -= 1;
        let gone = entries.drain_at(depth, |_| true);
        let hidden = std::mem::take(&mut entries.hidden);
        for one in hidden {
            match (one.by == depth, one.stale) {
                (true, false) => _ = entries.live.insert(one.name, one.entry),
                (true, true) => _ = entries.stale.insert(one.name, one.entry),
                (false, _) => entries.hidden.push(one),
            }
        }
        let mut events = VecDeque::new();
        for (name, value, stale) in gone {
            let reason = if stale { Reason::KeyDead } else { Reason::ScopeEnd };
            self.end(name, value, reason, &mut events);
            self.leave(name);
        }
        events
    }

    /// Ends all scopes of a map.
    pub(super) fn end_scopes(&mut self, map: MapName) -> Expected {
        let mut expected = Expected::done();
        while self.maps[&map].depth > 0 {
            let events = self.end_innermost(map);
            expected.events.extend(events);
        }
        expected
    }

    // ---- Contexts and tasks --------------------------------------------------

    fn copy(&mut self, name: KeyName, value: Value, events: &mut VecDeque<Event>) -> Value {
        if value == 0 {
            return 0;
        }
        let copy = copied_value(self.copied);
        self.copied += 1;
        events.push_back(Event::Copied { key: name, value, copy });
        copy
    }

    /// What a capture takes along, and the calls that it makes.
    pub(crate) fn capture(&mut self) -> (Captured, Expected) {
        let here = &self.maps[&self.current].live;
        let inherits = |name: &KeyName| self.keys[*name].kind.rules.inherit;
        let mut seen: Vec<_> = here.iter().filter(|(name, _)| inherits(name)).collect();
        seen.sort_unstable_by_key(|(_, entry)| entry.age);
        let seen: Captured = seen.into_iter().map(|(name, entry)| (*name, entry.value)).collect();
        let mut expected = Expected::done();
        let copies = seen.into_iter().map(|(name, value)| {
            self.keys[name].entries += 1;
            (name, self.copy(name, value, &mut expected.events))
        });
        (copies.collect(), expected)
    }

    pub(crate) fn free_context(&mut self, context: Captured) -> Expected {
        let mut expected = Expected::done();
        for (name, value) in context.into_iter().rev() {
            let reason = if self.is_live(name) { Reason::Removed } else { Reason::KeyDead };
            self.end(name, value, reason, &mut expected.events);
            self.leave(name);
        }
        expected
    }

    /// Opens a scope with copies of what a context has.
    pub(crate) fn begin_in(&mut self, context: &Captured) -> Expected {
        self.begin_scope();
        self.hide_outer(|model, name| model.keys[name].kind.rules.inherit);
        let mut expected = Expected::done();
        for (name, value) in context {
            if self.is_live(*name) {
                let copy = self.copy(*name, *value, &mut expected.events);
                self.insert(*name, copy);
            }
        }
        expected
    }

    /// A task that does nothing: its values are moved into a scope, which ends;
    /// and the map is expunged.
    pub(crate) fn run_task(&mut self, task: Captured) -> Expected {
        self.begin_scope();
        self.hide_outer(|model, name| model.keys[name].kind.rules.inherit);
        let mut events = VecDeque::new();
        for (name, value) in task {
            if self.is_live(name) {
                self.insert(name, value);
            } else {
                self.end(name, value, Reason::KeyDead, &mut events);
            }
            self.leave(name);
        }
        events.extend(self.end_innermost(self.current));
        let sweep = Sweep::After(self.stale_here());
        Expected { events, sweep, ..Expected::done() }
    }

    /// What ending a scope that is not the innermost is answered.
    pub(crate) fn refuse_end(&self, is_here: bool) -> Result<(), Error> {
        Err(if is_here { Error::Busy } else { Error::Invalid })
    }
}
