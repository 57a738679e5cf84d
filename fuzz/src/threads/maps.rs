// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maps that move between the threads, and threads that give up theirs.

use threadlocalmap::error::Error;

use super::ops::{call, expect_done};
use super::schedule::{world, World};
use crate::api::{self, MapPointer};
use crate::internals;

/// Maps that a case has at a time, beside the threads' own.
const MOST_MAPS: usize = 2;

pub(crate) fn create() {
    if world().shadow.maps.len() < MOST_MAPS {
        let map = api::create_map().expect("memory");
        world().shadow.maps.push(map);
    }
}

fn resolve(world: &World, number: u8) -> Option<MapPointer> {
    let nth = usize::from(number) % (world.shadow.maps.len() + 1);
    world.shadow.maps.get(nth).copied()
}

/// Whether the thread is in a callback that its record knows of.
fn is_held(me: usize) -> bool {
    internals::thread().is_some() && world().is_in_callback(me)
}

pub(crate) fn switch(me: usize, number: u8) {
    let (map, owner) = {
        let world = world();
        let map = resolve(&world, number);
        (map, map.and_then(|map| world.shadow.owner_of(map)))
    };
    let is_held = is_held(me);
    let before = api::current_map();
    // SAFETY: Maps leave the shadow when they are destroyed.
    let switched = call(me, || unsafe { api::switch_map(map) });
    let closing = switched == Err(Error::Exiting) && is_held;
    if is_held {
        assert!(closing || switched == Err(Error::Reentrant), "in a callback: {switched:?}");
        return;
    }
    match owner {
        Some(owner) if owner != me => assert_eq!(switched, Err(Error::Busy)),
        _ => assert_eq!(switched, Ok(before)),
    }
}

pub(crate) fn destroy(me: usize, number: u8) {
    let (map, owner) = {
        let world = world();
        let Some(map) = resolve(&world, number) else { return };
        (map, world.shadow.owner_of(map))
    };
    let is_held = is_held(me);
    if !is_held {
        world().shadow.threads[me].kept = api::current_map();
    }
    // SAFETY: As in `switch`.
    let destroyed = call(me, || unsafe { api::destroy_map(map) });
    if !is_held {
        world().shadow.threads[me].kept = None;
    }
    if destroyed.is_ok() {
        world().shadow.maps.retain(|known| *known != map);
    }
    let closing = destroyed == Err(Error::Exiting) && is_held;
    if is_held {
        let refused = matches!(destroyed, Err(Error::Reentrant | Error::Busy));
        assert!(closing || refused, "in a callback: {destroyed:?}");
        return;
    }
    assert_eq!(destroyed, if owner.is_some() { Err(Error::Busy) } else { Ok(()) });
}

pub(crate) fn detach(me: usize) {
    let is_held = is_held(me);
    if !is_held {
        world().shadow.thread_ends(me);
    }
    let detached = call(me, api::detach);
    if is_held {
        assert_eq!(detached, Err(Error::Reentrant), "in a callback");
        return;
    }
    expect_done(me, detached, &[]);
    world().shadow.thread_has_ended(me);
}

/// The thread has nothing any more.
pub(crate) fn leave(me: usize) {
    detach(me);
}
