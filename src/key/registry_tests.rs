// SPDX-License-Identifier: MIT OR Apache-2.0
//! The registry alone, without maps.

use core::ptr::NonNull;

use super::*;
use crate::key::slot::Released;
use crate::key::word::MOST_REFERENCES;

impl Drop for Registry {
    /// The process's own lives in a `static`.
    fn drop(&mut self) {
        for (chunk, four) in self.chunks.iter().zip(0..) {
            let size = (FIRST_SLOTS as usize / 4) << (four / 4);
            if let Some(slots) = NonNull::new(chunk.load(Acquire)) {
                // SAFETY: Allocated by `ensure_chunk` with this size; `&mut
                // self` says that nobody uses it.
                unsafe { memory::free_bytes(slots.cast(), size * size_of::<KeySlot>()) };
            }
        }
    }
}

fn live(registry: &Registry, key: u64) -> Result<(), Error> {
    registry.find(key)?.check(handle::generation(key))
}

fn make(registry: &Registry) -> u64 {
    let slot = registry.acquire_slot().expect("memory for a slot");
    registry.create_in(slot, &KeyOptions::DEFAULT).expect("memory for a key")
}

/// Releases the last reference of a key that no map holds.
fn end(registry: &Registry, key: u64) {
    let slot = registry.find(key).expect("a key");
    assert_eq!(slot.release(handle::generation(key)), Ok(Released::Dead));
    slot.seize();
    slot.with_holders(|holders| assert!(holders.next_dying().is_none(), "a holder"));
    assert!(slot.unpin(), "no holder: the key's own pin is the only one");
    // SAFETY: The last pin was just dropped, once.
    if unsafe { slot.close() } {
        registry.release_slot(slot);
    }
}

#[test]
fn places_follow_each_other_without_a_gap() {
    let mut expected = (0, 0);
    for index in FIRST_SLOTS..100_000 {
        let (chunk, size, offset) = locate(index);
        assert_eq!((chunk, offset), expected, "slot {index}");
        expected = if offset + 1 == size { (chunk + 1, 0) } else { (chunk, offset + 1) };
    }
    assert_eq!(locate(u32::MAX), (CHUNKS - 1, 1 << 29, (1 << 29) - 1));
}

#[test]
fn a_slot_serves_its_next_key_under_the_next_generation() {
    let registry = Registry::new();
    let first = make(&registry);
    end(&registry, first);
    let second = make(&registry);
    assert_eq!(handle::index(first), handle::index(second));
    assert_eq!(handle::generation(first) + 1, handle::generation(second));
    assert_eq!(live(&registry, first).err(), Some(Error::DeadKey));
    assert!(live(&registry, second).is_ok());
}

#[test]
fn made_up_handles_are_bad_and_old_ones_dead() {
    let registry = Registry::new();
    let key = make(&registry);
    let next = handle::generation(key) + 1;
    let later = handle::make(handle::index(key), next);
    let elsewhere = handle::make(77, next);
    for bad in [0, 1, 16, u64::from(u32::MAX), (1 << 36) - 1, later, elsewhere, u64::MAX] {
        assert_eq!(live(&registry, bad).err(), Some(Error::BadKey), "{bad:#x}");
    }
    end(&registry, key);
    assert_eq!(live(&registry, key).err(), Some(Error::DeadKey));
    let generation = handle::generation(key);
    let slot = registry.find(key).expect("a key");
    assert_eq!(slot.release(generation), Err(Error::DeadKey));
    assert_eq!(slot.retain(generation), Err(Error::DeadKey));
}

#[test]
fn a_slot_whose_generations_run_out_is_retired() {
    // T32: the counter is seeded, so that the end comes at once.
    let registry = Registry::new();
    let key = make(&registry);
    end(&registry, key);
    registry.find(key).expect("a key").seed(u32::MAX - 1, 0);
    let last = make(&registry);
    assert_eq!(handle::index(last), handle::index(key));
    assert_eq!(handle::generation(last), u32::MAX);
    end(&registry, last);
    assert_eq!(live(&registry, last).err(), Some(Error::DeadKey));
    let next = make(&registry);
    assert_ne!(handle::index(next), handle::index(key), "the slot must serve no more");
    assert_eq!(handle::generation(next), handle::FIRST_GENERATION);
}

#[test]
fn references_stop_at_their_limit_and_a_dead_key_stays_dead() {
    let registry = Registry::new();
    let key = make(&registry);
    let generation = handle::generation(key);
    let slot = registry.find(key).expect("a key");
    slot.seed(generation, MOST_REFERENCES);
    assert_eq!(slot.retain(generation), Err(Error::Limit));
    assert_eq!(slot.release(generation), Ok(Released::Live));
    assert_eq!(slot.retain(generation), Ok(()));
}

#[test]
fn threads_that_make_and_end_keys_never_share_one() {
    let registry = Registry::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..2_000 {
                    let keys: [u64; 8] = core::array::from_fn(|_| make(&registry));
                    for key in keys {
                        assert!(live(&registry, key).is_ok(), "round {round}");
                        end(&registry, key);
                        assert_eq!(live(&registry, key).err(), Some(Error::DeadKey));
                    }
                }
            });
        }
    });
    assert_eq!(registry.count(), (0, 0));
    let issued = registry.issued.load(Relaxed);
    assert!(issued <= 32, "4 threads with 8 keys each used {issued} slots");
}
