//! A process that forks.
//!
//! # The problem
//!
//! Any thread may fork at any moment. In the child only that thread exists:
//! locks that others held stay locked, their maps have no owner, and
//! obligations that they had will never be met.
//!
//! # The idea
//!
//! The forking thread takes every lock of the library before (in their order),
//! and gives them back in both processes after: so in the child every list
//! that a lock guards is whole. What has no lock is the owner's alone: the
//! forking thread's own lists are whole, and nobody looks at the others'.
//!
//! In the child:
//!
//! 1. The maps of other threads *vanish*: out of the list of maps, and marked,
//!    so that a burial passes over their records. Their memory stays where it
//!    is (a list of another thread's may be half changed, so it can't be
//!    taken apart), and their values' callbacks are not run: whatever the
//!    values stand for, the parent ends.
//! 2. The obligations of dead keys are counted again, from the records that
//!    are here. A key that only vanished threads still had a value of is over:
//!    its slot is free, and its `user_free` is not called, as above.
//! 3. Maps that are attached to no thread are here, as they were.

use core::cell::Cell;

use super::map::Map;
use super::record::{self, ThreadRecord};
use super::{context, stats, wait};
use crate::error::Error;
use crate::key;
use crate::key::holder::HolderPointer;
use crate::key::slot::KeySlot;
use crate::key::visits::Visits;
use crate::sys::fork::watch;
use crate::sys::lock::Lock;
use crate::sys::sync::{AtomicBool, Ordering};
use crate::sys::thread_id;

/// Over `WATCHED`: whoever comes second waits until the handlers are there.
static LOCK: Lock = Lock::new();
static WATCHED: AtomicBool = AtomicBool::new(false);

/// Makes sure that forks are seen. Called before anything can be in the way of
/// one: before the first key, and before the first thread attaches.
///
/// # Errors
///
/// [`Error::NoMemory`].
#[inline]
pub fn protect() -> Result<(), Error> {
    // Acquire: with the Release below.
    if WATCHED.load(Ordering::Acquire) {
        return Ok(());
    }
    register()
}

#[cold]
fn register() -> Result<(), Error> {
    LOCK.with(|| {
        if !WATCHED.load(Ordering::Relaxed) {
            watch(prepare, parent, child)?;
            WATCHED.store(true, Ordering::Release);
        }
        Ok(())
    })
}

/// Takes all locks, in their order.
unsafe extern "C" fn prepare() {
    LOCK.acquire();
    wait::lock_for_fork();
    KeySlot::lock_all();
    stats::lock_for_fork();
}

/// Gives them back.
///
/// # Safety
///
/// The forking thread has them, from `prepare`.
unsafe fn unlock() {
    // SAFETY: The caller's premise is that of each.
    unsafe {
        stats::unlock_after_fork();
        KeySlot::unlock_all();
        wait::unlock_after_fork();
        LOCK.release();
    }
}

unsafe extern "C" fn parent() {
    // SAFETY: `prepare` ran on this thread.
    unsafe { unlock() };
}

unsafe extern "C" fn child() {
    let thread = record::current();
    if let Some(thread) = thread {
        // The child's thread has a number of its own.
        thread.number.set(thread_id::current());
        thread.map().mailbox.owner.store(thread.number.get(), Ordering::Relaxed);
    }
    let forget = |map: &Map| {
        if !is_here(thread, map) {
            context::forget_capture(map);
        }
    };
    // SAFETY: `prepare` has taken the locks, and no other thread is here.
    unsafe {
        stats::for_each_map(forget);
        stats::keep_only(|map| is_here(thread, map));
    }
    recount(thread);
    forget_visits(thread);
    wait::forget_waiters();
    // SAFETY: `prepare` ran on the thread that this one was copied from.
    unsafe { unlock() };
    end_recount();
}

/// Whether a map has come along: the forking thread's, and those of nobody.
fn is_here(thread: Option<&ThreadRecord>, map: &Map) -> bool {
    let mine = thread.is_some_and(|thread| {
        thread.is_own(map)
            || core::ptr::eq(thread.map(), map)
            || core::ptr::eq(thread.beneath.get(), map)
            || thread.has_context(map)
    });
    mine || !map.is_attached()
}

/// Takes back the marks and the references of visitors that are not here.
/// (Those of captures are taken back with their maps.)
fn forget_visits(thread: Option<&ThreadRecord>) {
    for slot in key::registry().slots().filter(|slot| slot.visits().get() != Visits::NONE) {
        let all = slot.visits().get();
        let here = Cell::new(0);
        if let Some(thread) = thread {
            thread.for_each_visit(|visited, _| {
                here.set(here.get() + u32::from(core::ptr::eq(slot, visited)));
            });
        }
        for _ in here.get()..all.number() {
            slot.visits().set(slot.visits().get().leave());
        }
        slot.forget_references(all.number() - here.get());
    }
    // SAFETY: As in `child`.
    unsafe {
        stats::for_each_map(|map| {
            map.for_each_record(|holder| forget_visitors(thread, map, holder))
        });
    }
}

fn forget_visitors(thread: Option<&ThreadRecord>, map: &Map, holder: HolderPointer) {
    // SAFETY: In a list of a map that is here, so whole.
    let record = unsafe { holder.as_ref() };
    if record.visitors.get() == 0 {
        return;
    }
    record.visitors.set(0);
    if let Some(thread) = thread {
        thread.for_each_visit(|_, at| {
            record.visitors.set(record.visitors.get() + u32::from(at == holder.as_ptr()));
        });
    }
    if record.visitors.get() == 0 && record.deferred.get() != 0 {
        // The owner finds it when it next expunges.
        map.mailbox.stale.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts the obligations of all dead keys again.
fn recount(thread: Option<&ThreadRecord>) {
    key::registry().slots().for_each(KeySlot::bury_after_fork);
    let mut dead = 0;
    for slot in key::registry().slots().filter(|slot| slot.census().1) {
        slot.begin_recount();
        dead += 1;
    }
    if dead == 0 {
        return;
    }
    // SAFETY: As in `child`.
    unsafe {
        stats::for_each_map(|map| {
            map.take_mail();
            map.for_each_record(recount_one);
        });
    }
    if let Some(thread) = thread {
        thread.for_each_burial(KeySlot::recount_obligation);
        thread.for_each_last_call(KeySlot::recount_obligation);
    }
}

/// Frees the slots of keys that nobody here has an obligation of. Takes the
/// keys' locks, so it comes last.
fn end_recount() {
    for slot in key::registry().slots().filter(|slot| slot.in_recount()) {
        if slot.end_recount() {
            // SAFETY: No obligation is left, and this is the only thread.
            let free = unsafe { key::registry().recycle(slot) };
            free.into_iter().for_each(|slot| key::registry().give_back(slot));
        }
    }
}

fn recount_one(holder: HolderPointer) {
    // SAFETY: In a list of a map that is here, so whole.
    let record = unsafe { holder.as_ref() };
    if record.orphaned.get() {
        // SAFETY: Slots live for ever.
        unsafe { &*record.slot.get() }.recount_obligation();
    }
}
