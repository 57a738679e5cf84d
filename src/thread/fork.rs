// SPDX-License-Identifier: MIT OR Apache-2.0
//! A process that forks.
//!
//! # The problem
//!
//! Any thread may fork at any moment. In the child only that thread exists: locks
//! that others held stay locked, what they were just changing is half changed,
//! their maps have no owner, and pins that they had will never be dropped.
//!
//! A library can take its locks before the fork and give them back after it. But a
//! program has `pthread_atfork` handlers of its own, which may take its locks or call
//! this library; whether they run before or after ours depends on who was registered
//! first. Holding locks while they run deadlocks in one order or the other.
//!
//! # The idea
//!
//! Nothing is held around a fork: *the child builds anew what needs a lock.* That
//! can be done from what no other thread changes:
//!
//! * the slots, whose words are atomics: who is alive, and its references;
//! * the forking thread's own maps, those of nobody, and their records: each in a
//!   state that says what it needs;
//! * contexts, which do not change after their capture;
//! * the thread's chain of calls in progress.
//!
//! So every lock is made anew; every key's list of holders is linked again from the
//! records that are there; the pins of every key are counted again; visits of other
//! threads end, and the keys that only those kept alive are dead. Other threads' maps are
//! *lost in fork*: their memory stays where it is, and their values' callbacks are not
//! run: whatever the values stand for, the parent ends. A dead key that nobody here has a
//! value of is over; its `user_free` is not called, as above.
//!
//! # When
//!
//! A program's handler in the child may run before ours, and call the library. So
//! `prepare` says that somebody forks, and while somebody does, each call looks
//! whether it is in the child already ([`check`]).

use super::visit::Walk;
use super::{hooks, spare};
use crate::error::Error;
use crate::key::call::{Call, CallKind};
use crate::key::holders::mark_posted;
use crate::key::slot::KeySlot;
use crate::key::{self, waiters};
use crate::local::contexts::Context;
use crate::local::freeze;
use crate::local::map::Map;
use crate::local::maps;
use crate::local::pool;
use crate::local::record::{Location, Record, RecordPointer, State};
use crate::local::thread::Thread;
use crate::sys::fork::{process, watch};
use crate::sys::sync::untracked::{AtomicBool, AtomicPtr, AtomicU32};
use crate::sys::sync::Ordering;

/// The handlers are registered.
static WATCHED: AtomicBool = AtomicBool::new(false);

/// Threads that are between `prepare` and what comes after the fork. `Relaxed`,
/// like `PROCESS`: a thread reads what itself has written before the fork.
static FORKING: AtomicU32 = AtomicU32::new(0);

/// The thread that forks; null if it is not attached. For a thread that the child
/// makes before the library's own handler has run there.
static FORKER: AtomicPtr<Thread> = AtomicPtr::new(core::ptr::null_mut());

/// The process that the library's state belongs to.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Makes sure that forks are seen. Called before anything can be in the way of
/// one: before the first key, and before the first thread attaches. Errors: `NoMemory`.
///
/// Two threads that come first at once both register: a fork is then seen twice, and the
/// second look finds nothing to do. No lock is taken, which a fork might leave locked.
#[inline(always)]
pub fn protect() -> Result<(), Error> {
    // Acquire: with the Release below.
    if WATCHED.load(Ordering::Acquire) {
        return Ok(());
    }
    register()
}

#[cold]
fn register() -> Result<(), Error> {
    PROCESS.store(process(), Ordering::Relaxed);
    watch(prepare, parent, child)?;
    WATCHED.store(true, Ordering::Release);
    Ok(())
}

/// The process as it was when its state was built: another number after a fork.
pub fn process_of_state() -> u32 {
    PROCESS.load(Ordering::Relaxed)
}

/// Whether a fork is in progress, or was when this process began.
#[inline(always)]
pub fn is_near() -> bool {
    FORKING.load(Ordering::Relaxed) != 0
}

/// Builds the library's state anew if this is the child of a fork in which that
/// has not been done.
#[inline(always)]
pub fn check() {
    if is_near() {
        check_process();
    }
}

#[cold]
#[inline(never)]
fn check_process() {
    if PROCESS.load(Ordering::Relaxed) != process() {
        build_anew();
    }
}

unsafe extern "C" fn prepare() {
    let thread = Thread::current().map_or(core::ptr::null(), core::ptr::from_ref);
    FORKER.store(thread.cast_mut(), Ordering::Relaxed);
    FORKING.fetch_add(1, Ordering::Relaxed);
}

unsafe extern "C" fn parent() {
    FORKING.fetch_sub(1, Ordering::Relaxed);
}

unsafe extern "C" fn child() {
    check_process();
    FORKING.store(0, Ordering::Relaxed);
}

/// In the child, on the one thread that there is.
fn build_anew() {
    PROCESS.store(process(), Ordering::Relaxed);
    // SAFETY: The forking thread's, and it has come along.
    let forker = || unsafe { FORKER.load(Ordering::Relaxed).as_ref() };
    let thread = Thread::current().or_else(forker);
    if let Some(thread) = thread {
        // The child's thread has a number of its own.
        thread.number.set(u64::from(process()));
        thread.map().inbox.owner.store(thread.number.get(), Ordering::Relaxed);
    }
    // SAFETY: The only thread, and between two of the library's calls or in a
    // callback: it has no lock.
    unsafe {
        KeySlot::reset_locks();
        waiters::reset();
        freeze::reset();
        maps::keep_only(|map| is_here(thread, map));
    }
    spare::keep_only(thread);
    for slot in key::registry().slots() {
        let joined = chain(thread).filter(|call| match call.kind() {
            CallKind::Visit => core::ptr::eq(Walk::of_call(call).slot(), slot),
            CallKind::Context => core::ptr::eq(context_of(call).joined.get(), slot),
            _ => false,
        });
        slot.forget_others(joined.count() as u32);
    }
    keep_visits(thread);
    // SAFETY: The only thread.
    unsafe {
        maps::for_each_alone(|map| build_map_anew(thread, map));
        maps::for_each_context_alone(pin_items);
    }
    // The same for contexts that the thread makes or frees.
    for context in calls(thread, CallKind::Context).map(context_of) {
        pin_items(context);
        // SAFETY: Slots live for ever.
        if let Some(slot) = unsafe { context.copying.get().as_ref() } {
            slot.pin();
        }
    }
    calls(thread, CallKind::Hook).filter_map(hooks::owner_of).for_each(KeySlot::pin);
    close_unpinned(thread);
}

/// Lets the thread's visits go on without the lists that they stood in. A record
/// that was left to those who visit it is in no map, and is linked here.
fn keep_visits(thread: Option<&Thread>) {
    let left = || {
        let walks = calls(thread, CallKind::Visit).map(Walk::of_call);
        walks.filter_map(|walk| walk.survive_fork(|map| is_here(thread, map)))
    };
    left().for_each(|record| pool::marks(record).clear());
    for record in left() {
        if !pool::marks(record).are_there() {
            link_anew(record);
        }
        pool::marks(record).add();
    }
}

/// Links a record to its key, which is alive.
#[inline(never)]
fn link_anew(record: RecordPointer) {
    let fields = Record::at(record);
    let generation = key::handle::generation(fields.handle.get());
    // SAFETY: The thread's own, and in no list any more.
    let linked = unsafe { fields.slot().link(generation, Record::link_of(record)) };
    debug_assert_eq!(linked, Ok(()), "its key is alive");
}

/// Whether a map has come along: the forking thread's, and those of nobody.
#[inline(never)]
fn is_here(thread: Option<&Thread>, map: &Map) -> bool {
    let mine = thread.is_some_and(|thread| {
        thread.is_own(map)
            || core::ptr::eq(thread.map(), map)
            || core::ptr::eq(thread.beneath.get(), map)
    });
    mine || !map.is_attached()
}

/// The thread's calls in progress.
fn chain(thread: Option<&Thread>) -> impl Iterator<Item = &'static Call> {
    Thread::chain_of(thread)
}

/// Those of one kind.
fn calls(thread: Option<&Thread>, kind: CallKind) -> impl Iterator<Item = &'static Call> {
    chain(thread).filter(move |call| call.kind() == kind)
}

#[inline(never)]
fn build_map_anew(thread: Option<&Thread>, map: &Map) {
    // SAFETY: The only thread, and it has no lock.
    unsafe { map.inbox.reset() };
    map.forget_stale();
    map.for_each_youngest_first(0, |record| build_record_anew(thread, map, record));
}

/// Links a record to its live key again, or has it known stale.
#[inline(never)]
fn build_record_anew(thread: Option<&Thread>, map: &Map, record: RecordPointer) {
    let fields = Record::at(record);
    let state = fields.state();
    if state == State::Absent || fields.location.get() == Location::Dropped {
        pin_callbacks(record);
        return;
    }
    let marks = chain(thread).filter(|call| match call.kind() {
        CallKind::Visit => Walk::of_call(call).at() == record.as_ptr(),
        CallKind::Context => context_of(call).marked.get() == record.as_ptr(),
        _ => false,
    });
    let marks = marks.count();
    pool::marks(record).restore(marks as u16, state);
    if state == State::Taken && marks > 0 {
        map.inbox.taken.fetch_add(1, Ordering::Relaxed);
    }
    if state == State::Purged {
        map.clear_purged(record);
    }
    let slot = fields.slot();
    pin_callbacks(record);
    let dead = fields.check_key().is_err();
    match (state, dead) {
        (State::Taken, _) if marks == 0 => {
            map.inbox.taken.fetch_add(1, Ordering::Relaxed);
            map.clear_taken(record);
            fields.location.set(Location::Dropped);
            if fields.pins.get() == 0 {
                map.release_record(record);
            }
        }
        (State::Deferred | State::Purged, false) if marks == 0 => make_stale(map, record),
        (_, false) => {
            link_anew(record);
            fields.location.set(Location::Linked);
        }
        (State::Live | State::Covered | State::Retired | State::Deferred | State::Purged, true)
            if marks == 0 =>
        {
            make_stale(map, record)
        }
        (_, true) => {
            slot.pin();
            mark_posted(Record::link_of(record));
            fields.location.set(Location::Pinned);
        }
    }
}

/// Counts the pins of callbacks that run for a record again.
#[inline(never)]
fn pin_callbacks(record: RecordPointer) {
    let fields = Record::at(record);
    if fields.is_reachable() {
        (0..fields.pins.get()).for_each(|_| fields.slot().pin());
    }
}

#[inline(never)]
fn make_stale(map: &Map, record: RecordPointer) {
    Record::at(record).slot().pin();
    map.enter_stale(record);
    map.inbox.stale.fetch_add(1, Ordering::Relaxed);
}

fn context_of<'a>(call: &Call) -> &'a Context {
    // SAFETY: A call of this kind is a context's, which lives while it is in the chain.
    unsafe { Context::of_call(call).as_ref() }
}

/// Counts the pins of a context's values again.
fn pin_items(context: &Context) {
    context.items.iter().for_each(|item| item.slot.pin());
}

/// Drops the own pins of dead keys whose releaser is not here, and closes the
/// slots of those that nobody here has a value of.
fn close_unpinned(thread: Option<&Thread>) {
    for slot in key::registry().slots().filter(|slot| slot.count().1) {
        let ended_here = chain(thread).any(|call| {
            let ends = matches!(call.kind(), CallKind::Release | CallKind::UserFree);
            ends && core::ptr::eq(call, &raw const slot.call)
        });
        if !ended_here && slot.unpin() {
            // SAFETY: No pin is left, and this is the only thread.
            if unsafe { slot.close() } {
                key::registry().release_slot(slot);
            }
        }
    }
}
