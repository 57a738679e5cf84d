// SPDX-License-Identifier: MIT OR Apache-2.0
//! The map alone: thresholds, stale entries in every position, and a model.
//!
//! Keys here are made from a wanted home, so that runs can be laid out by
//! hand; `owner.dead` says which records are stale.

use std::collections::{BTreeMap, HashSet};
use std::ffi::c_void;

use proptest::prelude::*;

use threadlocalmap::key::handle;
use threadlocalmap::map::{Owner, Removed, ThreadLocalMap, View, INITIAL_CAPACITY};

#[path = "support/invariants.rs"]
mod invariants;

use invariants::check_table;

/// An owner that records the calls to it.
#[derive(Default)]
struct TableOwner {
    dead: HashSet<u32>,
    expunged: Vec<Removed<u32>>,
    moves: usize,
}

impl Owner<u32> for TableOwner {
    fn is_stale(&self, record: u32) -> bool {
        self.dead.contains(&record)
    }
    fn has_stale(&self) -> bool {
        !self.dead.is_empty()
    }
    fn expunged(&mut self, entry: Removed<u32>) {
        assert!(self.dead.remove(&entry.record), "a live entry was expunged: {entry:?}");
        self.expunged.push(entry);
    }
    fn moved(&mut self, _: View) {
        self.moves += 1;
    }
}

type Map = ThreadLocalMap<u32>;

/// The `number`th key whose home is `home` in a table of up to 2^12 slots.
fn key_at(home: u64, number: u64) -> u64 {
    (number + 1) << 36 | home << 4
}

fn value(number: usize) -> *mut c_void {
    (number * 8 + 8) as *mut c_void
}

/// Makes sure that the next insert needs no memory.
fn reserve(map: &mut Map, owner: &mut TableOwner) {
    if !map.has_room() {
        let rebuilt = map.rebuilt(owner).expect("memory");
        drop(map.adopt(rebuilt, owner));
    }
}

/// Takes a key's entry out, and lets the table shrink.
fn remove(map: &mut Map, key: u64, owner: &mut TableOwner) -> Option<Removed<u32>> {
    let removed = map.get_entry(key).map(|position| map.remove_at(position));
    if map.can_shrink() {
        let rebuilt = map.rebuilt(owner).expect("memory");
        drop(map.adopt(rebuilt, owner));
    }
    removed
}

fn insert(map: &mut Map, owner: &mut TableOwner, key: u64, record: u32) {
    reserve(map, owner);
    assert_eq!(map.set(key, value(record as usize), record, owner), None);
    check_table(map, owner, owner.dead.len());
}

fn read(map: &Map, key: u64) -> Option<*mut c_void> {
    map.get_entry(key).map(|position| map.value(position))
}

#[test]
fn nothing_is_allocated_before_the_first_insert() {
    let (map, owner) = (Map::new(), TableOwner::default());
    assert_eq!((map.capacity(), map.size()), (0, 0));
    assert_eq!(map.get_entry(key_at(3, 0)), None);
    check_table(&map, &owner, 0);
}

#[test]
fn the_table_doubles_exactly_with_the_live_inserts_of_the_design() {
    // T22: capacity after the n-th insert, as in the JDK.
    let (mut map, mut owner) = (Map::new(), TableOwner::default());
    let doublings = [10, 21, 42, 85, 170, 341, 682, 1365];
    let mut expected = INITIAL_CAPACITY;
    for number in 1..=1400u32 {
        insert_fast(&mut map, &mut owner, number);
        expected <<= usize::from(doublings.contains(&number));
        assert_eq!(map.capacity(), expected, "insert {number}");
    }
    check_table(&map, &owner, 0);
}

fn insert_fast(map: &mut Map, owner: &mut TableOwner, number: u32) {
    reserve(map, owner);
    let key = handle::make(number, 77);
    assert_eq!(map.set(key, value(number as usize), number, owner), None);
}

#[test]
fn stale_entries_are_purged_before_the_table_doubles() {
    // T23: 9 entries, 3 of them stale; the 10th insert finds room.
    let (mut map, mut owner) = (Map::new(), TableOwner::default());
    for number in 1..=9 {
        insert_fast(&mut map, &mut owner, number);
    }
    owner.dead.extend([2, 5, 7]);
    insert_fast(&mut map, &mut owner, 10);
    assert_eq!(map.capacity(), INITIAL_CAPACITY);
    assert_eq!((map.size(), owner.expunged.len()), (7, 3));
    check_table(&map, &owner, 0);
}

#[test]
fn the_table_shrinks_after_a_mass_removal_and_keeps_every_value() {
    // T24.
    let (mut map, mut owner) = (Map::new(), TableOwner::default());
    (1..=1000).for_each(|number| insert_fast(&mut map, &mut owner, number));
    assert_eq!(map.capacity(), 2048);
    for number in 4..=1000 {
        let removed = remove(&mut map, handle::make(number, 77), &mut owner);
        assert_eq!(removed.map(|entry| entry.record), Some(number));
    }
    assert_eq!(map.capacity(), 256, "smaller ones stay: tasks fill them again");
    for number in 1..=3 {
        assert_eq!(read(&map, handle::make(number, 77)), Some(value(number as usize)));
    }
    check_table(&map, &owner, 0);
}

#[test]
fn a_run_around_the_end_with_stale_entries_on_both_sides_keeps_one_copy_of_a_key() {
    // T20: homes 14, 14, 15, 14: the run wraps to slots 0 and 1.
    let (mut map, mut owner) = (Map::new(), TableOwner::default());
    let keys: Vec<u64> = [14, 14, 15, 14].iter().zip(0..).map(|(h, n)| key_at(*h, n)).collect();
    for (key, record) in keys.iter().zip(0..) {
        insert(&mut map, &mut owner, *key, record);
    }
    // The first two are stale: one at the key's home, one before it.
    owner.dead.extend([0, 1]);
    reserve(&mut map, &mut owner);
    let old = map.set(keys[3], value(99), 9, &mut owner);
    assert_eq!(old.map(|entry| entry.record), Some(3), "the old value is handed over");
    assert_eq!(read(&map, keys[3]), Some(value(99)));
    assert_eq!(read(&map, keys[2]), Some(value(2)));
    assert_eq!((map.size(), owner.expunged.len()), (2, 2));
    check_table(&map, &owner, 0);
}

#[test]
fn a_new_key_takes_a_stale_place_and_the_run_loses_all_its_stale_entries() {
    // T21: stale before and behind the place where the walk starts.
    let (mut map, mut owner) = (Map::new(), TableOwner::default());
    for (home, record) in [(3, 0), (4, 1), (4, 2), (4, 3), (5, 4)] {
        insert(&mut map, &mut owner, key_at(home, record), record as u32);
    }
    owner.dead.extend([0, 2, 4]);
    reserve(&mut map, &mut owner);
    assert_eq!(map.set(key_at(4, 50), value(50), 50, &mut owner), None);
    check_table(&map, &owner, 0);
    assert_eq!((map.size(), owner.expunged.len()), (3, 3));
    for record in [1, 3] {
        assert_eq!(read(&map, key_at(4, record)), Some(value(record as usize)));
    }
    assert_eq!(read(&map, key_at(4, 50)), Some(value(50)));
}

#[test]
fn a_miss_expunges_what_it_walks_over() {
    let (mut map, mut owner) = (Map::new(), TableOwner::default());
    for record in 0..4 {
        insert(&mut map, &mut owner, key_at(7, record), record as u32);
    }
    owner.dead.extend([0, 1, 3]);
    assert_eq!(map.get_entry_after_miss(key_at(7, 9), &mut owner), None);
    assert_eq!((map.size(), owner.expunged.len()), (1, 3));
    assert_eq!(read(&map, key_at(7, 2)), Some(value(2)));
    check_table(&map, &owner, 0);
}

#[test]
fn removing_and_setting_again_allocates_nothing() {
    // T30: the same table, whatever has happened before.
    let (mut map, mut owner) = (Map::new(), TableOwner::default());
    (1..=300).for_each(|number| insert_fast(&mut map, &mut owner, number));
    let (moves, rehashes) = (owner.moves, map.rehashes());
    let key = handle::make(17, 77);
    for _ in 0..10_000 {
        assert!(remove(&mut map, key, &mut owner).is_some());
        insert_fast(&mut map, &mut owner, 17);
    }
    assert_eq!((owner.moves, map.rehashes()), (moves, rehashes));
}

#[test]
fn removing_one_of_300_spaced_keys_looks_at_a_few_entries() {
    // T29: the run is what a removal walks; the JDK's is 300 long here.
    let (mut map, mut owner) = (Map::new(), TableOwner::default());
    for number in 0..300u32 {
        reserve(&mut map, &mut owner);
        let key = handle::make(number * 256, 77);
        assert_eq!(map.set(key, value(number as usize), number, &mut owner), None);
    }
    assert!(map.longest_probe() <= 16, "longest probe {}", map.longest_probe());
}

#[derive(Clone, Debug)]
enum Step {
    Set(u64),
    Remove(u64),
    Kill(u64),
    Miss(u64),
    Purge,
}

fn steps(keys: u64) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..keys).prop_map(Step::Set),
        2 => (0..keys).prop_map(Step::Remove),
        3 => (0..keys).prop_map(Step::Kill),
        2 => (0..keys).prop_map(Step::Miss),
        1 => Just(Step::Purge),
    ];
    prop::collection::vec(step, 1..400)
}

/// The model: what is in the map, with record and value.
#[derive(Default)]
struct Model {
    entries: BTreeMap<u64, (u32, *mut c_void)>,
    records: u32,
}

/// Takes what was expunged out of the model; each must have been in it, dead.
fn settle(owner: &mut TableOwner, model: &mut Model) {
    for entry in owner.expunged.drain(..) {
        assert_eq!(model.entries.remove(&entry.key), Some((entry.record, entry.value)));
    }
}

fn apply(map: &mut Map, owner: &mut TableOwner, model: &mut Model, step: &Step, key: u64) {
    match step {
        Step::Set(_) => {
            // As the library does: a dead key is never set again.
            if model.entries.get(&key).is_some_and(|(record, _)| owner.dead.contains(record)) {
                return;
            }
            model.records += 1;
            let (record, stored) = (model.records, value(model.records as usize));
            reserve(map, owner);
            let old = map.set(key, stored, record, owner);
            settle(owner, model);
            let before = model.entries.insert(key, (record, stored));
            assert_eq!(old.map(|old| (old.record, old.value)), before);
        }
        Step::Remove(_) => {
            let removed = remove(map, key, owner).map(|entry| (entry.record, entry.value));
            if let Some((record, _)) = removed {
                owner.dead.remove(&record);
            }
            assert_eq!(removed, model.entries.remove(&key));
        }
        Step::Kill(_) => {
            if let Some((record, _)) = model.entries.get(&key) {
                owner.dead.insert(*record);
            }
        }
        Step::Miss(_) => {
            map.get_entry_after_miss(key, owner);
        }
        Step::Purge => {
            map.expunge_stale_entries(owner);
            assert!(owner.dead.is_empty(), "a full sweep leaves nothing stale");
        }
    }
    settle(owner, model);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// T19: every home slot, runs that wrap, stale entries everywhere; few
    /// homes, so that runs are long.
    #[test]
    fn the_map_equals_a_plain_model(homes in 1u64..40, steps in steps(60)) {
        let (mut map, mut owner, mut model) = (Map::new(), TableOwner::default(), Model::default());
        for step in &steps {
            let number = match step {
                Step::Set(n) | Step::Remove(n) | Step::Kill(n) | Step::Miss(n) => *n,
                Step::Purge => 0,
            };
            let key = key_at(number % homes, number);
            apply(&mut map, &mut owner, &mut model, step, key);
            check_table(&map, &owner, owner.dead.len());
            prop_assert_eq!(map.size(), model.entries.len());
        }
        for (key, (_, stored)) in &model.entries {
            prop_assert_eq!(read(&map, *key), Some(*stored));
        }
    }
}

/// What a look-up of each of these keys costs: entries on average, and at most.
fn walks(map: &Map, keys: impl Iterator<Item = u64>) -> (f64, usize) {
    let (mut number, mut sum, mut longest) = (0, 0, 0);
    for key in keys {
        let position = map.get_entry(key).expect("a key that was set");
        let home = (key >> 4) as usize;
        let walk = (position.wrapping_sub(home) & (map.capacity() - 1)) + 1;
        (number, sum, longest) = (number + 1, sum + walk, longest.max(walk));
    }
    (sum as f64 / f64::from(number), longest)
}

/// The costs of one look-up in a table of every `stride`th key of a process, at each of
/// these numbers of keys: average, longest walk, capacity.
fn walks_at(stride: u32, numbers: &[u32]) -> Vec<(f64, usize, usize)> {
    let (mut map, mut owner) = (Map::new(), TableOwner::default());
    let key = |number: u32| handle::make(number.wrapping_mul(stride), 77);
    let mut from = 0;
    let at = |number: &u32| {
        for number in from..*number {
            reserve(&mut map, &mut owner);
            map.set(key(number), value(1), number, &mut owner);
        }
        from = *number;
        let (average, longest) = walks(&map, (0..*number).map(key));
        (average, longest, map.capacity())
    };
    numbers.iter().map(at).collect()
}

#[test]
fn consecutive_keys_stand_at_their_homes() {
    let numbers = [10, 20, 50, 100, 200, 500, 1000, 2000];
    let averages: Vec<f64> = walks_at(1, &numbers).into_iter().map(|at| at.0).collect();
    assert!(averages.iter().all(|average| *average <= 1.05), "{averages:?}");
    // The worst numbers are those just before the table doubles.
    for (average, longest, _) in walks_at(1, &[84, 169, 340, 681, 1364, 2729]) {
        assert!(average <= 1.4 && longest <= 20, "{average}, longest {longest}");
    }
}

#[test]
fn a_million_consecutive_keys_need_two_looks_on_average_at_most() {
    for (average, longest, capacity) in walks_at(1, &[10_000, 100_000, 300_000, 1_000_000]) {
        assert!(average <= 1.6, "{average}, longest {longest}, capacity {capacity}");
    }
}

#[test]
fn no_stride_makes_walks_long_and_few_cost_memory() {
    let numbers = [10, 100, 300, 1000, 1364, 3000, 5460, 10_000, 20_000];
    let (mut tables, mut grown) = (0, 0);
    for stride in (1..=1024u32).step_by(9).flat_map(|stride| [1, 8, 64, 512].map(|by| stride * by))
    {
        for ((average, longest, capacity), number) in walks_at(stride, &numbers).iter().zip(numbers)
        {
            let what = format!("{number} keys, stride {stride}");
            assert!(*average <= 6.0 && *longest <= 64, "{what}: {average}, {longest}");
            let usual = (number as usize * 3 / 2).next_power_of_two().max(INITIAL_CAPACITY);
            assert!(*capacity <= 4 * usual, "{what}: capacity {capacity}");
            (tables, grown) = (tables + 1, grown + usize::from(*capacity > usual));
        }
    }
    assert!(grown * 4 <= tables, "{grown} of {tables} tables are larger than usual");
}

#[test]
fn a_table_that_is_filled_and_emptied_again_and_again_is_not_made_anew() {
    let (mut map, mut owner) = (Map::new(), TableOwner::default());
    let mut fill_and_empty = |number| {
        (0..number).for_each(|number| insert_fast(&mut map, &mut owner, number));
        for number in 0..number {
            remove(&mut map, handle::make(number, 77), &mut owner);
        }
        map.rehashes()
    };
    for number in [10, 100, 160] {
        let first = fill_and_empty(number);
        assert_eq!(fill_and_empty(number), first, "{number} entries");
    }
}
