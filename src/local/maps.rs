//! All maps and contexts of the process, and what those that are gone have done.
//!
//! Each map is in one list, with one lock, from its first value to its end; what
//! it had counted is then added to the sums. The lock is taken when a thread
//! comes, when it goes, and by the one who asks: never by a get or a set.
//!
//! # Invariants
//!
//! 1. The lists are in falling order of numbers.
//! 2. A walk along `next` is right at every instant: a map is entered by its last
//!    store, and taken out by one. So the child of a fork, where the lock may have
//!    been held by a thread that is not there, can walk it.

use core::ptr::{null_mut, NonNull};

use super::contexts::Context;
use super::inbox::Waker;
use super::map::{Kind, Map};
use crate::sys::lock::Lock;
use crate::sys::memory;
use crate::sys::sync::untracked::AtomicU64;
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
    /// Values in all maps and contexts, stale ones included.
    pub entries: u64,
    /// Stale values.
    pub stale: u64,
    /// Values destroyed because their key was dead, ever.
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
    pub untracked: u64,
    /// Captured contexts that are not freed.
    pub contexts: u64,
    /// Tasks that ran without a scope, for want of memory, ever.
    pub unscoped: u64,
}

struct Maps {
    lock: Lock,
    first: Cell<*mut Map>,
    first_context: Cell<*mut Context>,
    entered: Cell<u64>,
    /// Maps that a fork has left behind: kept in sight, for tools that look for
    /// lost memory.
    lost: Cell<*mut Map>,
    gone: InTurn<Stats>,
}

// SAFETY: All but `lock` is touched with the lock only, or in the child of a
// fork, which is alone.
unsafe impl Sync for Maps {}

static MAPS: Maps = Maps {
    lock: Lock::new(),
    first: Cell::new(null_mut()),
    first_context: Cell::new(null_mut()),
    entered: Cell::new(0),
    lost: Cell::new(null_mut()),
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
        untracked: 0,
        contexts: 0,
        unscoped: 0,
    }),
};

/// Sums that no map has. `Relaxed`: numbers for reports.
static LEAKED: AtomicU64 = AtomicU64::new(0);
static DESTROYED: AtomicU64 = AtomicU64::new(0);
static EXPUNGED: AtomicU64 = AtomicU64::new(0);
static UNSCOPED: AtomicU64 = AtomicU64::new(0);

/// A destroy callback is called for a value that is no map's any more.
pub fn count_destroyed() {
    DESTROYED.fetch_add(1, Ordering::Relaxed);
}

/// A value that is no map's any more is destroyed because its key is dead.
pub fn count_expunged() {
    EXPUNGED.fetch_add(1, Ordering::Relaxed);
}

/// A task is run without a scope.
pub fn count_unscoped() {
    UNSCOPED.fetch_add(1, Ordering::Relaxed);
}

/// One value was given up.
pub fn count_leaked() {
    LEAKED.fetch_add(1, Ordering::Relaxed);
}

fn next_number() -> u64 {
    MAPS.entered.replace(MAPS.entered.get() + 1)
}

/// A map has come.
pub fn enter(map: &Map) {
    MAPS.lock.with(|| {
        map.number.set(next_number());
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

/// A map is going.
pub fn leave(map: &Map) {
    // SAFETY: The lock is held.
    MAPS.lock.with(|| unsafe { unlink(map) });
}

/// A context has come.
pub fn enter_context(context: &Context) {
    MAPS.lock.with(|| {
        context.number.set(next_number());
        let (next, previous) = &context.links;
        next.set(MAPS.first_context.get());
        previous.set(null_mut());
        if let Some(first) = NonNull::new(MAPS.first_context.get()) {
            // SAFETY: In the list, so not freed; the lock is held.
            unsafe { first.as_ref() }.links.1.set(core::ptr::from_ref(context).cast_mut());
        }
        MAPS.first_context.set(core::ptr::from_ref(context).cast_mut());
    });
}

/// A context is going, or its values are.
pub fn leave_context(context: &Context) {
    MAPS.lock.with(|| {
        let (next, previous) = (context.links.0.get(), context.links.1.get());
        match NonNull::new(previous) {
            // SAFETY: In the list, so not freed; the lock is held.
            Some(previous) => unsafe { previous.as_ref() }.links.0.set(next),
            None => MAPS.first_context.set(next),
        }
        if let Some(next) = NonNull::new(next) {
            // SAFETY: In the list, so not freed; the lock is held.
            unsafe { next.as_ref() }.links.1.set(previous);
        }
    });
}

/// Takes a map out of the list; what it has counted stays.
///
/// # Safety
///
/// The lock is held, or the caller is alone.
unsafe fn unlink(map: &Map) {
    let (next, previous) = (map.links.0.get(), map.links.1.get());
    match NonNull::new(previous) {
        // SAFETY: In the list, so not freed.
        Some(previous) => unsafe { previous.as_ref() }.links.0.set(next),
        None => MAPS.first.set(next),
    }
    if let Some(next) = NonNull::new(next) {
        // SAFETY: In the list, so not freed.
        unsafe { next.as_ref() }.links.1.set(previous);
    }
    // SAFETY: This `&mut` is alone.
    add_history(unsafe { &mut *MAPS.gone.write() }, map);
}

/// Runs `visit` for each map, the latest first. It may take that map out.
///
/// # Safety
///
/// The lock is held, or the caller is alone.
unsafe fn walk(mut visit: impl FnMut(&'static Map)) {
    let mut next = MAPS.first.get();
    while let Some(map) = NonNull::new(next) {
        // SAFETY: In the list, so not freed.
        let map = unsafe { map.as_ref() };
        next = map.links.0.get();
        visit(map);
    }
}

/// Runs `visit` for each context.
///
/// # Safety
///
/// As [`walk`].
unsafe fn walk_contexts(mut visit: impl FnMut(&'static Context)) {
    let mut next = MAPS.first_context.get();
    while let Some(context) = NonNull::new(next) {
        // SAFETY: In the list, so not freed.
        let context = unsafe { context.as_ref() };
        next = context.links.0.get();
        visit(context);
    }
}

/// Runs `visit` for each context, with the lock.
pub fn with_contexts(visit: impl FnMut(&'static Context)) {
    // SAFETY: The lock is held.
    MAPS.lock.with(|| unsafe { walk_contexts(visit) });
}

/// What a report says of a map.
#[derive(Clone, Copy)]
pub struct MapReport {
    /// Its number.
    pub number: u64,
    /// What it is: "thread", "moving" or "context".
    pub kind: &'static str,
    /// The OS's number of its thread, or 0.
    pub thread: u64,
    /// Values in it.
    pub entries: u64,
    /// Those that are stale.
    pub stale: u64,
    /// Slots of its table.
    pub capacity: u64,
}

/// The latest map or context before number `last`.
#[must_use]
pub fn report_before(last: u64) -> Option<MapReport> {
    let mut found: Option<MapReport> = None;
    let mut take = |report: MapReport| {
        if report.number < last && found.is_none_or(|found| found.number < report.number) {
            found = Some(report);
        }
    };
    MAPS.lock.with(|| {
        // SAFETY: The lock is held.
        unsafe {
            walk(|map| {
                take(MapReport {
                    number: map.number.get(),
                    kind: if map.kind.get() == Kind::Thread { "thread" } else { "moving" },
                    thread: map.thread_number(),
                    entries: entries_of(map),
                    stale: map.inbox.stale.load(Ordering::Relaxed) as u64,
                    capacity: map.counters.capacity.load(Ordering::Relaxed),
                });
            });
        }
        // SAFETY: As above.
        unsafe {
            walk_contexts(|context| {
                let (entries, stale) = context.count();
                take(MapReport {
                    number: context.number.get(),
                    kind: "context",
                    thread: 0,
                    entries,
                    stale,
                    capacity: 0,
                });
            });
        }
    });
    found
}

/// The latest map before number `last` that has stale values and wants
/// somebody to be woken.
#[must_use]
pub fn next_with_stale(last: u64) -> Option<(u64, Waker)> {
    let mut found = None;
    let visit = |map: &'static Map| {
        let number = map.number.get();
        let is_it = number < last && map.inbox.stale.load(Ordering::Relaxed) > 0;
        if found.is_none() && is_it {
            found = map.inbox.waker().map(|waker| (number, waker));
        }
    };
    // SAFETY: The lock is held.
    MAPS.lock.with(|| unsafe { walk(visit) });
    found
}

/// Attaches the map in which the scope with this id was opened, for the calling
/// thread, if it is there and no thread has it.
#[must_use]
pub fn attach_of_scope(id: u64) -> Option<&'static Map> {
    let mut found = None;
    let visit = |map: &'static Map| {
        let is_it = (map.number.get() + 1) << 40 == id >> 40 << 40;
        // The one who destroys a map attaches it first: so it stays.
        if is_it && map.kind.get() == Kind::Moving && map.attach().is_ok() {
            found = Some(map);
        }
    };
    // SAFETY: The lock is held.
    MAPS.lock.with(|| unsafe { walk(visit) });
    found
}

/// Values that a map has: without those that other threads have taken.
fn entries_of(map: &Map) -> u64 {
    let entries = map.counters.entries.load(Ordering::Relaxed);
    // The two are not read at one instant.
    entries.saturating_sub(map.inbox.taken.load(Ordering::Relaxed) as u64)
}

/// What a map has counted, as opposed to what it holds.
fn add_history(sum: &mut Stats, map: &Map) {
    let counters = &map.counters;
    sum.expunged += counters.expunged.load(Ordering::Relaxed);
    sum.destroyed += counters.destroyed.load(Ordering::Relaxed);
    sum.rehashes += counters.rehashes.load(Ordering::Relaxed);
    sum.longest_probe = sum.longest_probe.max(counters.longest_probe.load(Ordering::Relaxed));
}

/// The sums now, but for what the registry of keys knows. Blocks threads that
/// come or go meanwhile.
#[must_use]
pub fn collect() -> Stats {
    let mut sum = MAPS.lock.with(|| {
        // SAFETY: The lock is held.
        let mut sum = unsafe { *MAPS.gone.read() };
        // SAFETY: As above.
        unsafe {
            walk(|map| {
                add_history(&mut sum, map);
                sum.maps += 1;
                sum.entries += entries_of(map);
                sum.stale += map.inbox.stale.load(Ordering::Relaxed) as u64;
                sum.capacity += map.counters.capacity.load(Ordering::Relaxed);
                sum.untracked += map.counters.untracked.load(Ordering::Relaxed);
            });
        }
        // SAFETY: As above.
        unsafe {
            walk_contexts(|context| {
                let (entries, stale) = context.count();
                sum.contexts += 1;
                sum.entries += entries;
                sum.stale += stale;
            });
        }
        sum
    });
    sum.destroyed += DESTROYED.load(Ordering::Relaxed);
    sum.expunged += EXPUNGED.load(Ordering::Relaxed);
    sum.unscoped = UNSCOPED.load(Ordering::Relaxed);
    sum.leaked = LEAKED.load(Ordering::Relaxed);
    sum.bytes = memory::bytes_in_use() as u64;
    sum
}

/// In the child of a fork: keeps the maps that `is_here` says are there, and
/// makes the lock anew.
///
/// # Safety
///
/// The calling thread is the only one of its process, and does not have the lock.
pub unsafe fn keep_only(is_here: impl Fn(&Map) -> bool) {
    // SAFETY: The caller's premise.
    unsafe { MAPS.lock.reset() };
    let mut previous: *mut Map = null_mut();
    // SAFETY: The caller is alone.
    unsafe {
        walk(|map| {
            // A thread that was just entering or leaving may have left it wrong.
            map.links.1.set(previous);
            if is_here(map) {
                previous = core::ptr::from_ref(map).cast_mut();
                return;
            }
            unlink(map);
            map.links.0.set(MAPS.lost.replace(core::ptr::from_ref(map).cast_mut()));
        });
    }
    let mut previous: *mut Context = null_mut();
    // SAFETY: The caller is alone.
    unsafe {
        walk_contexts(|context| {
            context.links.1.set(previous);
            previous = core::ptr::from_ref(context).cast_mut();
        });
    }
}

/// In the child of a fork: runs `visit` for each map that is there.
///
/// # Safety
///
/// The calling thread is the only one of its process.
pub unsafe fn for_each_alone(visit: impl FnMut(&'static Map)) {
    // SAFETY: The caller's premise.
    unsafe { walk(visit) };
}

/// In the child of a fork: runs `visit` for each context that is there.
///
/// # Safety
///
/// As [`for_each_alone`].
pub unsafe fn for_each_context_alone(visit: impl FnMut(&'static Context)) {
    // SAFETY: The caller's premise.
    unsafe { walk_contexts(visit) };
}
