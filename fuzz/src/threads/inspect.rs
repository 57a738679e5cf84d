// SPDX-License-Identifier: MIT OR Apache-2.0
//! A look at what the calling thread can see, before and after everything.

use super::schedule::world;
use crate::api;
use crate::internals::{check_current_map, map_of, own_map};

/// Asserts that everything is whole, as far as this thread may look; and
/// between calls, that maps and shadow agree.
pub(crate) fn inspect(me: usize) {
    check_current_map();
    let mut world = world();
    let shadow = &mut world.shadow;
    shadow.threads[me].own = own_map();
    shadow.threads[me].switched = api::current_map();
    for map in shadow.maps.clone() {
        if shadow.owner_of(map).is_none() {
            // SAFETY: Maps leave `maps` when they are destroyed; nobody has it.
            crate::invariants::check_map(unsafe { map_of(map) });
        }
    }
    if world.is_quiet() {
        world.shadow.compare();
    }
}
