// SPDX-License-Identifier: MIT OR Apache-2.0
//! The invariants of a map's table and records, as code.

#![allow(dead_code)] // the table's tests have no map

use threadlocalmap::local::map::Map;
use threadlocalmap::local::pool::marks;
use threadlocalmap::local::record::{Location, Record, State};
use threadlocalmap::map::{Entry, Owner, ThreadLocalMap, INITIAL_CAPACITY};
use threadlocalmap::sys::block;
use threadlocalmap::sys::sync::Ordering;

/// Asserts that a map is whole: its table and its records.
pub(crate) fn check_map(map: &Map) {
    let (mut in_table, mut stale, mut values) = (0, 0, 0);
    for record in map.records() {
        let fields = Record::at(record);
        let state = fields.state();
        assert_eq!(
            map.in_order(fields.position.get()),
            Some(record),
            "map 4: not at its place by age"
        );
        assert_ne!(state, State::Free, "map 4: a free record is in `order`");
        values += u64::from(state.has_value());
        let position = Map::position_of(map.table(), record);
        assert!(position.is_some() || state != State::Live, "live but not found");
        assert!(
            position.is_none()
                || state == State::Live
                || matches!(state, State::Taken | State::Purged)
                || map.pool.find(fields.covers.get()).is_some(),
            "covering 3: a placeholder without anything to hide"
        );
        in_table += usize::from(position.is_some());
        // One whose key may be alive is a placeholder, which the table keeps.
        let swept = !matches!(state, State::Deferred | State::Purged);
        let is_stale = swept && fields.location.get() == Location::Stale;
        stale += usize::from(position.is_some() && is_stale);
        // Of a reserved record it is the chain of init callbacks.
        let covered = map.pool.find(fields.covers.get());
        if let Some(covered) = covered.filter(|_| state != State::Reserved) {
            let covered = Record::at(covered);
            assert_eq!(covered.handle.get(), fields.handle.get(), "covering 1");
            assert!(
                covered.state() == State::Covered
                    || map.pool.find(covered.covers.get()).is_some()
                    || matches!(covered.state(), State::Taken | State::Purged),
                "covering 2: covers a record that is {:?}",
                covered.state()
            );
        }
    }
    let entries = map.counters.entries.load(Ordering::Relaxed);
    let taken = map.records().filter(|record| {
        let fields = Record::at(*record);
        // A deferred value was not counted any more when it was taken.
        let counted = marks(*record).reason.get() == 0;
        fields.state() == State::Taken && fields.location.get() != Location::Dropped && counted
    });
    let purged = map.records().filter(|record| Record::at(*record).state() == State::Purged);
    let others = taken.count() + purged.count();
    assert_eq!(entries, values + others as u64, "the count of entries");
    map.with_table(usize::MAX, |table, owner| {
        assert_eq!(table.size(), in_table, "2: an entry without a record in `order`");
        check_table(table, owner, stale);
        if map.is_published() {
            assert_eq!(block::view().table, table.view().table, "the hot slot's table");
            assert_eq!(block::view().mask, table.view().mask, "the hot slot's mask");
            assert_eq!(block::map(), core::ptr::from_ref(map) as usize, "the map");
        }
    });
}

/// Asserts the invariants of a table (`src/map/mod.rs`); `stale` is how many entries
/// the owner says are stale. O(capacity x run).
pub(crate) fn check_table<R: Copy + PartialEq>(
    table: &ThreadLocalMap<R>,
    owner: &impl Owner<R>,
    stale: usize,
) {
    let capacity = table.capacity();
    if capacity == 0 {
        assert_eq!(table.size(), 0, "1: entries without a table");
        return;
    }
    assert!(capacity.is_power_of_two(), "1: capacity {capacity}");
    assert!(capacity >= INITIAL_CAPACITY, "1: capacity {capacity}");
    let mut entries = 0;
    let mut stale_entries = 0;
    for position in 0..capacity {
        let key = table.word(position);
        if key == 0 {
            assert!(table.value(position).is_null(), "5: a value at {position}");
            continue;
        }
        let record = table.record(position);
        entries += 1;
        stale_entries += usize::from(owner.is_stale(record));
        // A walk that stops elsewhere met a gap (2) or a second copy (3);
        // vacated entries are told apart by their records.
        let found = if key == Entry::vacated(key) {
            table.position_of(key, record)
        } else {
            table.get_entry(key)
        };
        assert_eq!(found, Some(position), "2, 3: key {key:#x} at {position} is found there");
    }
    assert_eq!(entries, table.size(), "4: size");
    assert!(table.size() < capacity, "4: a full table");
    assert_eq!(stale_entries, stale, "6: stale entries");
}
