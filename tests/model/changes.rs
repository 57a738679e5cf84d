// SPDX-License-Identifier: MIT OR Apache-2.0
//! The plain model's changes of one value: set, swap, take, remove.

use threadlocalmap::error::{Error, Reason};

use super::{Entry, Expected, Reference, Sweep};
use crate::events::{stored_value, KeyName, Value};
use crate::operation::Stored;

impl Reference {
    /// The value that the next set or swap stores.
    pub(crate) fn value_to_store(&self, name: KeyName, stored: Stored) -> Value {
        match (stored, self.maps[&self.current].live.get(&name)) {
            (Stored::Null, _) => 0,
            (Stored::Same, Some(entry)) => entry.value,
            (Stored::Same, None) | (Stored::Fresh, _) => stored_value(self.stored),
        }
    }

    pub(super) fn store(&mut self, name: KeyName, entry: Option<Entry>, stored: Stored) -> Value {
        let value = self.value_to_store(name, stored);
        if value == stored_value(self.stored) {
            self.stored += 1;
        }
        match entry {
            Some(entry) => {
                self.here().live.insert(name, Entry { value, ..entry });
            }
            None => self.insert(name, value),
        }
        value
    }

    /// Whether a set needs no more than an exchange in the table: the value is of
    /// the innermost scope, and no other thread reaches it. No stale value is
    /// destroyed then.
    fn is_replaced_at_once(&self, name: KeyName, entry: &Entry) -> bool {
        let rules = self.keys[name].kind.rules;
        let depth = self.maps[&self.current].depth;
        !rules.any && !rules.enumerable && entry.depth == depth
    }

    pub(super) fn set(&mut self, name: KeyName, entry: Option<Entry>, stored: Stored) -> Expected {
        let sweep = match entry {
            Some(entry) if self.is_replaced_at_once(name, &entry) => Sweep::None,
            _ => self.slow_path(),
        };
        if let Some(outer) = entry.filter(|entry| self.is_outer(name, entry)) {
            if self.value_to_store(name, stored) == outer.value {
                return Expected { sweep, ..Expected::done() };
            }
            self.cover(name, Some(stored));
            return Expected { sweep, ..Expected::done() };
        }
        let value = self.store(name, entry, stored);
        let mut expected = Expected { sweep, ..Expected::done() };
        let Some(old) = entry else { return expected };
        if old.value != value {
            self.end(name, old.value, Reason::Replaced, &mut expected.events);
        }
        expected
    }

    pub(super) fn swap(&mut self, name: KeyName, entry: Option<Entry>, stored: Stored) -> Expected {
        if entry.is_some_and(|entry| self.is_outer(name, &entry)) {
            let sweep = self.slow_path();
            self.cover(name, Some(stored));
            return Expected { sweep, ..Expected::done() };
        }
        let sweep = if entry.is_some() { Sweep::None } else { self.slow_path() };
        self.store(name, entry, stored);
        let old = entry.map_or(0, |entry| entry.value);
        Expected { sweep, ..Expected::only(Ok(old)) }
    }

    pub(super) fn take(&mut self, name: KeyName, entry: Option<Entry>) -> Expected {
        let Some(entry) = entry else { return Expected::only(Err(Error::Absent)) };
        if self.is_outer(name, &entry) {
            self.cover(name, None);
            return Expected::done();
        }
        self.here().live.remove(&name);
        self.leave(name);
        Expected::only(Ok(entry.value))
    }

    pub(super) fn remove(&mut self, name: KeyName, entry: Option<Entry>) -> Expected {
        let mut expected = Expected::done();
        if let Some(entry) = entry {
            if self.is_outer(name, &entry) {
                self.cover(name, None);
                return expected;
            }
            self.here().live.remove(&name);
            self.end(name, entry.value, Reason::Removed, &mut expected.events);
            self.leave(name);
        }
        expected
    }
}
