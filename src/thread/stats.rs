//! Sums over all threads.
//!
//! Every map is in one list, under one lock, from its thread's first value to
//! its end; what it had counted is then added to the sums of those that are
//! gone. The lock is taken when a thread comes, when it goes, and by whoever
//! asks: never by a get or a set.

use core::ptr::{null_mut, NonNull};

use super::map::{Kind, Map};
use crate::key::{self, holder::Notice};
use crate::sys::lock::Lock;
use crate::sys::memory;
use crate::sys::sync::unwatched::AtomicU64;
use crate::sys::sync::{Cell, InTurn, Ordering};

/// What the library holds and has done, in the whole process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Live keys.
    pub keys: u64,
    /// Dead keys with a value that is not destroyed yet.
    pub dead_keys: u64,
    /// Maps of attached threads.
    pub maps: u64,
    /// Entries in all maps, stale ones included.
    pub entries: u64,
    /// Stale entries.
    pub stale: u64,
    /// Values ended because their key was dead, ever.
    pub expunged: u64,
    /// Destroy callbacks called, ever.
    pub destroyed: u64,
    /// Values given up after the last round of a thread's exit, ever.
    pub leaked: u64,
    /// Tables made anew or swept in full, ever.
    pub rehashes: u64,
    /// Most slots that an insert has looked at, ever.
    pub longest_probe: u64,
    /// Slots in all tables.
    pub capacity: u64,
    /// Bytes of memory.
    pub bytes: u64,
    /// Attached threads whose end can't be seen.
    pub unwatched: u64,
    /// Captured contexts that are not freed.
    pub contexts: u64,
    /// Tasks that ran without a scope, for want of memory, ever.
    pub unscoped: u64,
}

struct Maps {
    lock: Lock,
    first: Cell<*mut Map>,
    entered: Cell<u64>,
    /// Maps that a fork has left behind.
    vanished: Cell<*mut Map>,
    gone: InTurn<Stats>,
}

// SAFETY: `first`, `entered`, `vanished`, the maps' links and numbers, and `gone` are touched under the lock only.
unsafe impl Sync for Maps {}

static MAPS: Maps = Maps {
    lock: Lock::new(),
    first: Cell::new(null_mut()),
    entered: Cell::new(0),
    vanished: Cell::new(null_mut()),
    gone: InTurn::new(Stats {
        keys: 0,
        dead_keys: 0,
        maps: 0,
        entries: 0,
        stale: 0,
        expunged: 0,
        destroyed: 0,
        leaked: 0,
        rehashes: 0,
        longest_probe: 0,
        capacity: 0,
        bytes: 0,
        unwatched: 0,
        contexts: 0,
        unscoped: 0,
    }),
};

/// `Relaxed`: a number for reports.
static LEAKED: AtomicU64 = AtomicU64::new(0);

/// `Relaxed`, as above: what was ended for other threads.
static DESTROYED: AtomicU64 = AtomicU64::new(0);
static EXPUNGED: AtomicU64 = AtomicU64::new(0);

/// A destroy callback is called for another thread's value.
pub(super) fn count_destroyed() {
    DESTROYED.fetch_add(1, Ordering::Relaxed);
}

/// Another thread's value has ended because its key was dead.
pub(super) fn count_expunged() {
    EXPUNGED.fetch_add(1, Ordering::Relaxed);
}

/// `Relaxed`, as above.
static UNSCOPED: AtomicU64 = AtomicU64::new(0);

/// A task is run without a scope.
pub(super) fn count_unscoped() {
    UNSCOPED.fetch_add(1, Ordering::Relaxed);
}

/// One value was given up.
pub(super) fn count_leaked() {
    LEAKED.fetch_add(1, Ordering::Relaxed);
}

/// A thread's map has come.
pub(super) fn enter(map: &Map) {
    MAPS.lock.with(|| {
        map.number.set(MAPS.entered.replace(MAPS.entered.get() + 1));
        let (next, previous) = &map.links;
        next.set(MAPS.first.get());
        previous.set(null_mut());
        if let Some(first) = NonNull::new(MAPS.first.get()) {
            // SAFETY: In the list, so not freed; the lock is held.
            unsafe { first.as_ref() }.links.1.set(core::ptr::from_ref(map).cast_mut());
        }
        MAPS.first.set(core::ptr::from_ref(map).cast_mut());
    });
}

/// Takes the lock over the list of maps, for a fork.
pub(super) fn lock_for_fork() {
    MAPS.lock.acquire();
}

/// Gives the lock over the list of maps back.
///
/// # Safety
///
/// The calling thread has it from [`lock_for_fork`], in this process or in the
/// one that it was forked from.
pub(super) unsafe fn unlock_after_fork() {
    // SAFETY: The caller's premise.
    unsafe { MAPS.lock.release() };
}

/// Runs `visit` for each map of the list.
///
/// # Safety
///
/// The lock is held.
pub(super) unsafe fn for_each_map(visit: impl Fn(&Map)) {
    let mut next = MAPS.first.get();
    while let Some(map) = NonNull::new(next) {
        // SAFETY: In the list, so not freed; the caller has the lock.
        let map = unsafe { map.as_ref() };
        next = map.links.0.get();
        visit(map);
    }
}

/// In a forked process: takes all maps out of the list but those that `is_here`
/// says are, and marks them as vanished.
///
/// # Safety
///
/// The lock is held.
pub(super) unsafe fn keep_only(is_here: impl Fn(&Map) -> bool) {
    let visit = |map: &Map| {
        if !is_here(map) {
            map.mailbox.vanished.store(true, Ordering::Relaxed);
            // SAFETY: The caller has the lock.
            unsafe { unlink(map) };
            // Kept in sight, for tools that look for lost memory.
            map.links.0.set(MAPS.vanished.replace(core::ptr::from_ref(map).cast_mut()));
        }
    };
    // SAFETY: The caller has the lock.
    unsafe { for_each_map(visit) };
}

/// The latest map before number `last` that has stale entries and wants
/// somebody to be told.
pub(super) fn next_with_mail(last: u64) -> Option<(u64, Notice)> {
    MAPS.lock.with(|| {
        let mut next = MAPS.first.get();
        while let Some(map) = NonNull::new(next) {
            // SAFETY: In the list, so not freed; the lock is held.
            let map = unsafe { map.as_ref() };
            next = map.links.0.get();
            if map.number.get() < last && map.mailbox.stale.load(Ordering::Relaxed) > 0 {
                if let Some(notice) = map.mailbox.notice() {
                    return Some((map.number.get(), notice));
                }
            }
        }
        None
    })
}

/// A thread's map is going.
pub(super) fn leave(map: &Map) {
    // SAFETY: The lock is held.
    MAPS.lock.with(|| unsafe { unlink(map) });
}

/// Takes a map out of the list; what it has counted stays.
///
/// # Safety
///
/// The lock is held.
unsafe fn unlink(map: &Map) {
    let (next, previous) = (map.links.0.get(), map.links.1.get());
    match NonNull::new(previous) {
        // SAFETY: In the list, so not freed; the lock is held.
        Some(previous) => unsafe { previous.as_ref() }.links.0.set(next),
        None => MAPS.first.set(next),
    }
    if let Some(next) = NonNull::new(next) {
        // SAFETY: In the list, so not freed; the lock is held.
        unsafe { next.as_ref() }.links.1.set(previous);
    }
    // SAFETY: The lock is held: this `&mut` is alone.
    add_history(unsafe { &mut *MAPS.gone.write() }, map);
}

/// What a report says of a map.
#[derive(Clone, Copy)]
pub(super) struct MapReport {
    pub(super) number: u64,
    pub(super) kind: Kind,
    pub(super) thread: u64,
    pub(super) entries: u64,
    pub(super) stale: u64,
    pub(super) capacity: u64,
}

/// The latest map before number `last`.
pub(super) fn report_before(last: u64) -> Option<MapReport> {
    MAPS.lock.with(|| {
        let mut next = MAPS.first.get();
        while let Some(map) = NonNull::new(next) {
            // SAFETY: In the list, so not freed; the lock is held.
            let map = unsafe { map.as_ref() };
            next = map.links.0.get();
            if map.number.get() < last {
                return Some(MapReport {
                    number: map.number.get(),
                    kind: map.kind.get(),
                    thread: map.mailbox.owner.load(Ordering::Relaxed),
                    entries: entries_of(map),
                    stale: map.mailbox.stale.load(Ordering::Relaxed) as u64,
                    capacity: map.counters.capacity.load(Ordering::Relaxed),
                });
            }
        }
        None
    })
}

/// Values that a map has: without those that other threads have taken.
fn entries_of(map: &Map) -> u64 {
    let entries = map.counters.entries.load(Ordering::Relaxed);
    // The two are not read at one instant.
    entries.saturating_sub(map.mailbox.reaped.load(Ordering::Relaxed) as u64)
}

/// What a map has counted, as opposed to what it holds.
fn add_history(sum: &mut Stats, map: &Map) {
    let counters = &map.counters;
    sum.expunged += counters.expunged.load(Ordering::Relaxed);
    sum.destroyed += counters.destroyed.load(Ordering::Relaxed);
    sum.rehashes += counters.rehashes.load(Ordering::Relaxed);
    sum.longest_probe = sum.longest_probe.max(counters.longest_probe.load(Ordering::Relaxed));
}

/// The sums now. Blocks threads that come or go meanwhile.
#[must_use]
pub fn collect() -> Stats {
    let mut sum = MAPS.lock.with(|| {
        // SAFETY: The lock is held.
        let mut sum = unsafe { *MAPS.gone.read() };
        let mut next = MAPS.first.get();
        while let Some(map) = NonNull::new(next) {
            // SAFETY: In the list, so not freed; the lock is held.
            let map = unsafe { map.as_ref() };
            next = map.links.0.get();
            add_history(&mut sum, map);
            let is_context = map.kind.get() == Kind::Context;
            sum.maps += u64::from(!is_context);
            sum.contexts += u64::from(is_context);
            sum.entries += entries_of(map);
            sum.stale += map.mailbox.stale.load(Ordering::Relaxed) as u64;
            sum.capacity += map.counters.capacity.load(Ordering::Relaxed);
            sum.unwatched += map.counters.unwatched.load(Ordering::Relaxed);
        }
        sum
    });
    (sum.keys, sum.dead_keys) = key::registry().census();
    sum.destroyed += DESTROYED.load(Ordering::Relaxed);
    sum.expunged += EXPUNGED.load(Ordering::Relaxed);
    sum.unscoped = UNSCOPED.load(Ordering::Relaxed);
    sum.leaked = LEAKED.load(Ordering::Relaxed);
    sum.bytes = memory::bytes_in_use() as u64;
    sum
}
