//! Where cases are played: one at a time, each in threads of its own.
//!
//! The library's state is the process's. So a case has the whole process: a
//! lock keeps the tests of this program apart, statistics are compared with
//! what they were before the case, and a case's thread ends with it, which
//! ends that thread's map.
//!
//! A failing case must fail again, to shrink and to be repeated from its seed.
//! But where a key's entries stand follows from its slot, and which slot is
//! free next follows from all cases before. So each case begins with the same
//! slots in the same order, and a failed one is made to give its own back.

use core::ptr::null;
use std::cmp::Reverse;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

use threadlocalmap::key::slot::{KeySlot, Released};
use threadlocalmap::key::{self, handle};
use threadlocalmap::sys::block;
use threadlocalmap::thread::map::Map;
use threadlocalmap::thread::record::{self, ThreadRecord};
use threadlocalmap::thread::stats::{collect, Stats};

/// A case has failed, and the process is not as it was.
static ABANDONED: AtomicBool = AtomicBool::new(false);

/// Poisoned after a failed case, and as good as before.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The process as it was before a case; nobody else plays while this exists.
pub(crate) struct Stage {
    pub(crate) before: Stats,
    _alone: MutexGuard<'static, ()>,
}

impl Stage {
    /// For a case that uses no more than `slots` slots at a time, for its live
    /// keys and its dead ones that still have entries; the same number for all
    /// cases of a program.
    pub(crate) fn enter(slots: u32) -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = lock(&ALONE);
        if ABANDONED.swap(false, SeqCst) {
            reclaim_slots(slots);
        }
        put_slots_in_order(slots);
        Self { before: collect(), _alone: alone }
    }

    /// Everything that the case made is gone: keys, maps, values, memory.
    pub(crate) fn assert_empty_again(&self) {
        let history = collect();
        let expected = Stats {
            expunged: history.expunged,
            destroyed: history.destroyed,
            leaked: history.leaked,
            rehashes: history.rehashes,
            longest_probe: history.longest_probe,
            ..self.before
        };
        assert_eq!(history, expected, "what is left behind");
    }
}

/// The next free slot is the first, and so on. The registry has allocated them
/// then, and the library's memory is back to the same byte after every case.
fn put_slots_in_order(count: u32) {
    let take = |_| key::registry().free_slot().expect("memory");
    let mut slots: Vec<&KeySlot> = (0..count).map(take).collect();
    slots.sort_unstable_by_key(|slot| Reverse(slot.index()));
    // The last one that is given back is the first to be taken.
    slots.into_iter().for_each(|slot| key::registry().give_back(slot));
}

/// Ends the keys of a failed case: without a look into the maps that have their
/// values, and without their callbacks.
fn reclaim_slots(count: u32) {
    let slot_at = |index| key::find(handle::make(index, handle::FIRST_GENERATION));
    for slot in (0..count).flat_map(slot_at).filter(|slot| slot.census() != (false, false)) {
        while let Ok(released) = slot.release(slot.generation()) {
            if released == Released::Dead {
                slot.bury(null(), None);
                while slot.post().is_some() {}
            }
        }
        // As many as there are values; the broken library may have lost count.
        if (0..count).any(|_| slot.obligation_met()) {
            // SAFETY: The last obligation was met above. The values that are
            // left are in maps that nobody will ever look into.
            unsafe { key::registry().recycle(slot) };
            key::registry().give_back(slot);
        }
    }
}

/// Plays in a thread of its own and returns when that has ended, its values
/// included. Panics as the thread does.
pub(crate) fn in_a_thread<T: Send>(play: impl FnOnce() -> T + Send) -> T {
    let play = || catch_unwind(AssertUnwindSafe(play)).inspect_err(|_| abandon_map());
    let outcome = std::thread::scope(|scope| scope.spawn(play).join());
    outcome.and_then(|outcome| outcome).unwrap_or_else(|panic| resume_unwind(panic))
}

/// Lets a failed case be a failure and no more: the thread's end would look
/// into a map that may be broken, where no panic can be caught.
fn abandon_map() {
    ABANDONED.store(true, SeqCst);
    let Some(thread) = record::current() else { return };
    if let Some(slot) = thread.exchange_spare_slot(None) {
        key::registry().give_back(slot);
    }
    block::set_thread(0);
}

/// The map that the calling thread works on, if it is attached.
pub(crate) fn current_map() -> Option<&'static Map> {
    record::current().map(ThreadRecord::map)
}
