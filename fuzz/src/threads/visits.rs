// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calls that visit, take or purge all values of a key.

use threadlocalmap::error::Error;

use super::callbacks::{self, Visit};
use super::ops::{call, Chosen};
use super::schedule::world;
use crate::api;

/// Makes such a call; the shadow has it before it has begun. Errors are
/// asserted; returns the answer.
fn visiting<T>(
    me: usize,
    chosen: &Chosen,
    takes: bool,
    allowed: bool,
    work: impl FnOnce() -> Result<T, Error>,
) -> Option<T> {
    let is_busy = {
        let mut world = world();
        let key = &mut world.shadow.keys[chosen.name];
        let is_busy = if takes { key.visits > 0 } else { key.takers > 0 };
        key.visits += 1;
        key.takers += usize::from(takes);
        is_busy
    };
    let outcome = call(me, work);
    {
        let mut world = world();
        let key = &mut world.shadow.keys[chosen.name];
        key.visits -= 1;
        key.takers -= usize::from(takes);
    }
    if outcome.is_ok() {
        assert!(allowed, "the key does not allow it");
        assert!(!is_busy, "the key is visited, taken or purged");
    }
    let mut errors = Vec::new();
    if !allowed {
        errors.push(Error::Invalid);
    }
    if is_busy {
        errors.push(Error::Busy);
    }
    chosen.expect(me, outcome, &errors)
}

pub(crate) fn purge(me: usize, chosen: &Chosen) {
    if chosen.habits.any {
        purge_now(me, chosen);
    } else {
        purge_owners(me, chosen);
    }
}

/// Each owner is to destroy its own value.
fn purge_owners(me: usize, chosen: &Chosen) {
    world().shadow.keys[chosen.name].purged |= chosen.habits.enumerable;
    let outcome = call(me, || api::purge(chosen.handle));
    if outcome.is_ok() {
        assert!(chosen.habits.enumerable, "the key does not allow it");
    }
    let errors: &[Error] = if chosen.habits.enumerable { &[] } else { &[Error::Invalid] };
    let purged = chosen.expect(me, outcome, errors).is_some();
    if purged && chosen.habits.quiet_destroy && world().is_quiet() {
        assert_eq!(world().shadow.live(chosen.name), [], "values after a purge");
    }
}

fn purge_now(me: usize, chosen: &Chosen) {
    let before = world().shadow.destroyed;
    let purged = visiting(me, chosen, true, chosen.habits.any, || api::purge(chosen.handle));
    let Some(count) = purged else { return };
    let ended = (world().shadow.destroyed - before) as usize;
    assert!(count <= ended, "{count} values purged, {ended} destroyed");
    // With one callback for each value and nothing else, there are no others.
    if chosen.habits.quiet_destroy && world().is_quiet() {
        assert_eq!(world().shadow.live(chosen.name), [], "values after a purge");
    }
}

pub(crate) fn scrape(me: usize, chosen: &Chosen) {
    let visit = Visit::of(chosen.name);
    let before = world().shadow.live(chosen.name);
    let scraped = visiting(me, chosen, true, chosen.habits.enumerable, || {
        api::scrape(chosen.handle, callbacks::take, visit.argument())
    });
    if scraped.is_some() {
        assert_complete(chosen, &visit, &before);
    }
}

pub(crate) fn for_each(me: usize, chosen: &Chosen) {
    let visit = Visit::of(chosen.name);
    let before = world().shadow.live(chosen.name);
    let visited = visiting(me, chosen, false, chosen.habits.enumerable, || {
        api::for_each(chosen.handle, callbacks::visit, visit.argument())
    });
    if visited.is_some() {
        assert_complete(chosen, &visit, &before);
    }
}

/// A visit with the key's lock, by which nothing changes.
pub(crate) fn look(me: usize, chosen: &Chosen) {
    let visit = Visit::of(chosen.name);
    let before = world().shadow.live(chosen.name);
    let outcome =
        call(me, || api::for_each_locked(chosen.handle, callbacks::look, visit.argument()));
    if outcome.is_ok() {
        assert!(chosen.habits.enumerable, "the key does not allow it");
    }
    let errors: &[Error] = if chosen.habits.enumerable { &[] } else { &[Error::Invalid] };
    if chosen.expect(me, outcome, errors).is_some() {
        assert_complete(chosen, &visit, &before);
    }
}

/// What was there before and is there still was shown.
fn assert_complete(chosen: &Chosen, visit: &Visit, before: &[usize]) {
    let seen = visit.seen();
    let live = world().shadow.live(chosen.name);
    let missed = |value: &&usize| live.contains(value) && !seen.contains(value);
    let missed = before.iter().find(missed);
    assert_eq!(missed, None, "a value of key {} was passed over", chosen.name);
}
