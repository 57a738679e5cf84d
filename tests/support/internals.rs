// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the Rust tests look at behind the C API: all of it, and in one place.

#![allow(dead_code)] // each test uses a part

use threadlocalmap::key::{self, handle, slot::KeySlot, slot::Released};
use threadlocalmap::local::map::Map;
use threadlocalmap::local::record::{Record, State};
use threadlocalmap::local::thread::Thread;
use threadlocalmap::sys::block;
use threadlocalmap::sys::sync::Ordering;

use crate::api::{self, MapPointer};

/// A value that a map has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) key: u64,
    pub(crate) value: usize,
    /// How many scopes were open when it was set.
    pub(crate) depth: usize,
    pub(crate) state: State,
}

/// The calling thread, if it is attached.
pub(crate) fn thread() -> Option<&'static Thread> {
    Thread::current()
}

/// The map that the calling thread works on, if it is attached.
pub(crate) fn current_map() -> Option<&'static Map> {
    thread().map(Thread::map)
}

/// The calling thread's own map, if it is attached. It lives as long as the
/// thread stays attached.
pub(crate) fn own_map() -> Option<&'static Map> {
    thread().map(Thread::own_map)
}

/// A map that threads switch to.
///
/// # Safety
///
/// It is not destroyed while it is looked at.
pub(crate) unsafe fn map_of<'a>(pointer: MapPointer) -> &'a Map {
    // SAFETY: The caller; and what C has is a map's address.
    unsafe { pointer.cast().as_ref() }
}

/// The values that a map has, and those that wait there for their visitors to go,
/// the oldest first. No other thread runs meanwhile that may touch the map.
pub(crate) fn values_of(map: &Map) -> Vec<Held> {
    let held = |record| {
        let fields = Record::at(record);
        let state = fields.state();
        let value = match state {
            State::Deferred => fields.value.get(),
            _ => map.value_of(record)?,
        };
        let depth = usize::from(fields.depth.get());
        Some(Held { key: fields.handle.get(), value: value as usize, depth, state })
    };
    map.records().filter_map(held).collect()
}

/// The value that a look-up of a key finds in a map.
pub(crate) fn value_in(map: &Map, key: u64) -> Option<usize> {
    map.find(key).map(|position| map.table().value(position) as usize)
}

/// A map's stale values, as the map counts them.
pub(crate) fn stale_number(map: &Map) -> usize {
    map.inbox.stale.load(Ordering::Relaxed)
}

/// A map's values, as the map counts them; without those that other threads have
/// taken.
pub(crate) fn entry_number(map: &Map) -> usize {
    let entries = map.counters.entries.load(Ordering::Relaxed) as usize;
    entries - map.inbox.taken.load(Ordering::Relaxed)
}

/// Has the calling thread forget its map: its end would look into a map that may
/// be broken, where no panic can be caught.
pub(crate) fn abandon_thread() {
    if let Some(slot) = thread().and_then(|thread| thread.take_slot()) {
        key::registry().release_slot(slot);
    }
    block::set_thread(0);
}

/// The next free slot is the first, and so on. The registry has allocated them
/// then, and the library's memory is back to the same byte after every case.
pub(crate) fn put_slots_in_order(count: u32) {
    let take = |_| key::registry().acquire_slot().expect("memory");
    let mut slots: Vec<&KeySlot> = (0..count).map(take).collect();
    slots.sort_unstable_by_key(|slot| std::cmp::Reverse(slot.index()));
    // The last one that is given back is the first to be taken.
    slots.into_iter().for_each(|slot| key::registry().release_slot(slot));
}

/// Ends the keys of a failed case: without a look into the maps that have their
/// values, and without their callbacks.
pub(crate) fn reclaim_slots(count: u32) {
    let slot_at = |index| key::find(handle::make(index, handle::FIRST_GENERATION));
    for slot in (0..count).flat_map(slot_at).filter(|slot| slot.count() != (false, false)) {
        while let Ok(released) = slot.release(slot.generation()) {
            if released == Released::Dead {
                slot.seize();
                slot.with_holders(|holders| while holders.next_dying().is_some() {});
            }
        }
        // As many as there are values; the broken library may have lost count.
        if (0..count).any(|_| slot.unpin()) {
            // SAFETY: The last pin was dropped above. The values that are left
            // are in maps that nobody will ever look into.
            if unsafe { slot.close() } {
                key::registry().release_slot(slot);
            }
        }
    }
}

/// A handle's slot and generation.
pub(crate) fn parts_of(key: u64) -> (u32, u32) {
    (handle::index(key), handle::generation(key))
}

/// The handle with this slot and generation.
pub(crate) fn handle_of(index: u32, generation: u32) -> u64 {
    handle::make(index, generation)
}

/// The least generation of any key.
pub(crate) const FIRST_GENERATION: u32 = handle::FIRST_GENERATION;

/// Asserts that the map that the calling thread works on is whole.
pub(crate) fn check_current_map() {
    if let Some(map) = current_map() {
        crate::invariants::check_map(map);
        assert_eq!(api::stale_count(), stale_number(map), "the stale count that is shown");
    }
}
