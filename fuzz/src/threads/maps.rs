//! Maps that move between the threads, and threads that give up theirs.

use threadlocalmap::error::Error;
use threadlocalmap::thread::record;
use threadlocalmap::thread::switch::{self, MapPointer};

use super::deeds::{call, expect_done};
use super::schedule::{world, World};

/// Maps that a case has at a time, beside the threads' own.
const MOST_MAPS: usize = 2;

pub(crate) fn create() {
    if world().books.maps.len() < MOST_MAPS {
        let map = switch::create().expect("memory");
        world().books.maps.push(map);
    }
}

fn resolve(world: &World, number: u8) -> Option<MapPointer> {
    let nth = usize::from(number) % (world.books.maps.len() + 1);
    world.books.maps.get(nth).copied()
}

/// Whether the thread is in a callback that its record knows of.
fn is_held(me: usize) -> bool {
    record::current().is_some() && world().is_in_callback(me)
}

pub(crate) fn switch(me: usize, number: u8) {
    let (map, owner) = {
        let world = world();
        let map = resolve(&world, number);
        (map, map.and_then(|map| world.books.owner_of(map)))
    };
    let is_held = is_held(me);
    let before = switch::current();
    // SAFETY: Maps leave the books when they are destroyed.
    let switched = call(me, || unsafe { switch::switch(map) });
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
        (map, world.books.owner_of(map))
    };
    let is_held = is_held(me);
    if !is_held {
        world().books.threads[me].kept = switch::current();
    }
    // SAFETY: As in `switch`.
    let destroyed = call(me, || unsafe { switch::destroy(map) });
    if !is_held {
        world().books.threads[me].kept = None;
    }
    if destroyed.is_ok() {
        world().books.maps.retain(|known| *known != map);
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
        world().books.thread_ends(me);
    }
    let detached = call(me, record::detach);
    if is_held {
        assert_eq!(detached, Err(Error::Reentrant), "in a callback");
        return;
    }
    expect_done(me, detached, &[]);
    world().books.thread_has_ended(me);
}

/// The thread has nothing any more.
pub(crate) fn leave(me: usize) {
    detach(me);
}
