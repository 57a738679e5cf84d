//! A look at what the calling thread can see, before and after everything.

use threadlocalmap::thread::map::Map;
use threadlocalmap::thread::record::{self, ThreadRecord};

use super::schedule::world;

/// Asserts that the map that this thread works on is whole.
pub(crate) fn inspect_own_map() {
    if let Some(map) = record::current().map(ThreadRecord::map) {
        map.check_invariants();
    }
}

/// Asserts that everything is whole, as far as this thread may look; and
/// between calls, that the books are balanced.
pub(crate) fn inspect(me: usize) {
    inspect_own_map();
    let record = record::current();
    let mut world = world();
    let books = &mut world.books;
    // SAFETY: A record lives until its thread has gone, and says so here.
    let own = record.map(|record| unsafe { &*core::ptr::from_ref::<Map>(record.own_map()) });
    books.threads[me].own = own;
    books.threads[me].visiting = record.and_then(ThreadRecord::visiting);
    for map in books.maps.clone() {
        if books.owner_of(map).is_none() {
            // SAFETY: Maps leave `maps` when they are destroyed; nobody has it.
            unsafe { map.as_ref() }.check_invariants();
        }
    }
    if world.is_quiet() {
        world.books.balance();
    }
}
