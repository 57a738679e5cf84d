// SPDX-License-Identifier: MIT OR Apache-2.0
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
//! 3. Only those who have the lock get at [`Lists`], and the child of a fork, which is
//!    alone. So what is in a list is not freed meanwhile.

use core::ptr::{from_ref, null, null_mut};

use super::contexts::Context;
use super::hooks::Share;
use super::map::{Kind, Map};
use super::stats::tls_stats_t as Stats;
use crate::key;
use crate::sys::lock::{Lock, Patience};
use crate::sys::memory;
use crate::sys::sync::untracked::AtomicU64;
use crate::sys::sync::{Cell, Ordering};

type Links<T> = (Cell<*mut T>, Cell<*mut T>);

/// A list, the latest first.
struct List<T: 'static> {
    first: Cell<*mut T>,
    links: fn(&T) -> &Links<T>,
}

impl<T> List<T> {
    const fn new(links: fn(&T) -> &Links<T>) -> Self {
        Self { first: Cell::new(null_mut()), links }
    }

    fn push(&self, member: &T) {
        let (next, previous) = (self.links)(member);
        next.set(self.first.get());
        previous.set(null_mut());
        // SAFETY: Invariant 3.
        if let Some(first) = unsafe { self.first.get().as_ref() } {
            (self.links)(first).1.set(from_ref(member).cast_mut());
        }
        self.first.set(from_ref(member).cast_mut());
    }

    fn unlink(&self, member: &T) {
        let (next, previous) = ((self.links)(member).0.get(), (self.links)(member).1.get());
        // SAFETY: Invariant 3.
        match unsafe { previous.as_ref() } {
            Some(previous) => (self.links)(previous).0.set(next),
            None => self.first.set(next),
        }
        // SAFETY: As above.
        if let Some(next) = unsafe { next.as_ref() } {
            (self.links)(next).1.set(previous);
        }
    }

    /// The members. The one that was met last may be taken out.
    fn iter(&self) -> impl Iterator<Item = &'static T> {
        self.iter_from(self.first.get())
    }

    /// The members from one on, or none if it is null.
    fn iter_from(&self, first: *mut T) -> impl Iterator<Item = &'static T> {
        let (mut next, links) = (first, self.links);
        core::iter::from_fn(move || {
            // SAFETY: Invariant 3.
            let member = unsafe { next.as_ref() }?;
            next = links(member).0.get();
            Some(member)
        })
    }

    /// Mends the links to previous members: a thread that was just entering or leaving
    /// may have left them wrong. `stays` may take its member out.
    fn mend(&self, stays: impl Fn(&T) -> bool) {
        let mut previous = null_mut();
        for member in self.iter() {
            (self.links)(member).1.set(previous);
            if stays(member) {
                previous = from_ref(member).cast_mut();
            }
        }
    }
}

/// All of them.
pub struct Lists {
    maps: List<Map>,
    contexts: List<Context>,
    entered: Cell<u64>,
    /// Where the last walk from map to map has come to, so that all its steps go along the
    /// list once; null when that map has gone.
    reached: Cell<*const Map>,
    /// Maps that a fork has left behind: kept in sight, for tools that look for
    /// lost memory.
    lost: Cell<*mut Map>,
    gone: Cell<Stats>,
}

impl Lists {
    /// The maps, the latest first.
    pub fn maps(&self) -> impl Iterator<Item = &'static Map> {
        self.maps.iter()
    }

    /// The contexts, the latest first.
    pub fn contexts(&self) -> impl Iterator<Item = &'static Context> {
        self.contexts.iter()
    }

    fn next_number(&self) -> u64 {
        self.entered.replace(self.entered.get() + 1)
    }

    /// The maps before a number: from the one on that was [reached](Self::reached), if that
    /// has this number.
    fn maps_before(&self, last: u64) -> impl Iterator<Item = &'static Map> {
        // SAFETY: Not null, it is in the list: invariant 3.
        let reached = unsafe { self.reached.get().as_ref() };
        let from = match reached.filter(|map| map.number.get() == last) {
            Some(map) => map.links.0.get(),
            None => self.maps.first.get(),
        };
        self.maps.iter_from(from).filter(move |map| map.number.get() < last)
    }

    /// Takes a map out of the list; what it has counted stays.
    fn remove(&self, map: &Map) {
        if core::ptr::eq(self.reached.get(), map) {
            self.reached.set(null());
        }
        self.maps.unlink(map);
        let mut gone = self.gone.get();
        add_history(&mut gone, map);
        self.gone.set(gone);
    }
}

struct Maps {
    lock: Lock,
    lists: Lists,
}

// SAFETY: Invariant 3.
unsafe impl Sync for Maps {}

impl Maps {
    #[cfg_attr(modelled, track_caller)]
    fn locked<T>(&self, work: impl FnOnce(&Lists) -> T) -> T {
        self.lock.with(|| work(&self.lists))
    }
}

static MAPS: Maps = Maps {
    lock: Lock::new(),
    lists: Lists {
        maps: List::new(|map| &map.links),
        contexts: List::new(|context| &context.links),
        entered: Cell::new(0),
        reached: Cell::new(null()),
        lost: Cell::new(null_mut()),
        // SAFETY: Numbers.
        gone: Cell::new(unsafe { core::mem::zeroed() }),
    },
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

/// A map has come.
pub fn enter(map: &Map) {
    MAPS.locked(|lists| {
        map.number.set(lists.next_number());
        lists.maps.push(map);
    });
}

/// A map is going.
pub fn leave(map: &Map) {
    MAPS.locked(|lists| lists.remove(map));
}

/// A context has come.
pub fn enter_context(context: &Context) {
    MAPS.locked(|lists| {
        context.number.set(lists.next_number());
        lists.contexts.push(context);
    });
}

/// A context is going, or its values are.
pub fn leave_context(context: &Context) {
    MAPS.locked(|lists| lists.contexts.unlink(context));
}

/// Runs `work` on the lists, with their lock; `None`: it can't be had.
pub fn look<T>(patience: &Patience, work: impl FnOnce(&Lists) -> T) -> Option<T> {
    MAPS.lock.with_patience(patience, || work(&MAPS.lists))
}

/// What a report says of a map or a context, in the report's words.
#[allow(missing_docs)]
pub struct MapReport {
    pub number: u64,
    pub kind: &'static str,
    pub thread: u64,
    pub entries: u64,
    pub stale: u64,
    pub capacity: u64,
}

impl MapReport {
    fn of_map(map: &Map) -> Self {
        Self {
            number: map.number.get(),
            kind: if map.kind.get() == Kind::Thread { "thread" } else { "moving" },
            thread: map.thread_number(),
            entries: entries_of(map),
            stale: map.inbox.stale.load(Ordering::Relaxed) as u64,
            capacity: map.counters.capacity.load(Ordering::Relaxed),
        }
    }

    fn of_context(context: &Context) -> Self {
        let (number, (entries, stale)) = (context.number.get(), context.count());
        Self { number, kind: "context", thread: 0, entries, stale, capacity: 0 }
    }
}

/// The latest map or context before number `last`, if there is one; `None`: the lock can't
/// be had.
pub fn report_before(last: u64, patience: &Patience) -> Option<Option<MapReport>> {
    look(patience, |lists| {
        let map = lists.maps_before(last).next();
        lists.reached.set(map.map_or(null(), from_ref));
        let context = lists.contexts.iter().find(|context| context.number.get() < last);
        let reports = map.map(MapReport::of_map).into_iter();
        reports.chain(context.map(MapReport::of_context)).max_by_key(|report| report.number)
    })
}

/// The latest map before number `last` that has stale values and wants
/// somebody to be woken.
pub fn next_with_stale(last: u64) -> Option<(u64, Share)> {
    MAPS.locked(|lists| {
        let is_stale = |map: &&Map| map.inbox.stale.load(Ordering::Relaxed) > 0;
        lists.maps_before(last).filter(is_stale).find_map(|map| {
            let wakers = map.inbox.wakers()?;
            lists.reached.set(map);
            Some((map.number.get(), wakers))
        })
    })
}

/// Attaches the map in which the scope with this id was opened, for the calling
/// thread, if it is there and no thread has it.
pub fn attach_of_scope(id: u64) -> Option<&'static Map> {
    let is_it = |map: &&Map| {
        (map.number.get() + 1) << 40 == id >> 40 << 40
            && map.kind.get() == Kind::Moving
            // The one who destroys a map attaches it first: so it stays.
            && map.attach().is_ok()
    };
    MAPS.locked(|lists| lists.maps.iter().find(is_it))
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

/// The sums now. Blocks threads that come or go meanwhile.
pub fn collect() -> Stats {
    let mut sum = MAPS.locked(|lists| {
        let mut sum = lists.gone.get();
        for map in lists.maps.iter() {
            add_history(&mut sum, map);
            sum.maps += 1;
            sum.entries += entries_of(map);
            sum.stale += map.inbox.stale.load(Ordering::Relaxed) as u64;
            sum.capacity += map.counters.capacity.load(Ordering::Relaxed);
            sum.unwatched += map.counters.untracked.load(Ordering::Relaxed);
        }
        for context in lists.contexts.iter() {
            let (entries, stale) = context.count();
            sum.contexts += 1;
            sum.entries += entries;
            sum.stale += stale;
        }
        sum
    });
    (sum.keys, sum.dead_keys) = key::registry().count();
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
/// Safety: the calling thread is the only one of its process, and does not have the
/// lock.
pub(crate) unsafe fn keep_only(is_here: impl Fn(&Map) -> bool) {
    // SAFETY: The caller's premise.
    unsafe { MAPS.lock.reset() };
    let lists = &MAPS.lists;
    lists.maps.mend(|map| {
        let stays = is_here(map);
        if !stays {
            lists.remove(map);
            map.links.0.set(lists.lost.replace(from_ref(map).cast_mut()));
        }
        stays
    });
    lists.contexts.mend(|_| true);
}

/// In the child of a fork: runs `visit` for each map that is there.
///
/// Safety: the calling thread is the only one of its process.
pub(crate) unsafe fn for_each_alone(visit: impl FnMut(&'static Map)) {
    MAPS.lists.maps.iter().for_each(visit);
}

/// In the child of a fork: runs `visit` for each context that is there.
///
/// Safety: as [`for_each_alone`].
pub(crate) unsafe fn for_each_context_alone(visit: impl FnMut(&'static Context)) {
    MAPS.lists.contexts.iter().for_each(visit);
}
