// SPDX-License-Identifier: MIT OR Apache-2.0
//! Going over all threads' values: looking at them, taking or destroying them.
//!
//! With the key's lock and the map's, a value is marked, and the mark of the one
//! before is taken back ([`crate::local::remote::step`]); then the visitor is
//! called with no lock held. Meanwhile the owner may do what it likes: a value that
//! it replaces or removes is *deferred*, and destroyed when nobody looks at it any
//! more: on the owner, when it next expunges or sets; on the visitor, if the key
//! allows any thread, or if the owner has gone.
//!
//! # Who is met
//!
//! A walk begins at the newest link and goes to older ones. What is linked
//! meanwhile is in front of it, and not met: so a walk ends, whatever owners do.
//! A record that takes the place of a visited one is linked in front of that: who
//! is there or past it does not come to it; who is not does. So each thread that
//! has a value from beginning to end is met exactly once, by each visitor.
//!
//! In the child of a fork the list is another one, so no place in it says who was
//! met ([`Course`]).

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::mem::offset_of;
use core::ptr::{null, null_mut, NonNull};

use super::{expunge, hooks, keys};
use crate::error::{Error, Reason};
use crate::key::call::{Call, CallKind};
use crate::key::holders::Holders;
use crate::key::options::Rules;
use crate::key::slot::{KeySlot, Released};
use crate::key::{self, handle, waiters};
use crate::local::map::Map;
use crate::local::pool;
use crate::local::record::{Record, RecordPointer};
use crate::local::remote::{self, map_of, step, unmark, Unmarked};
use crate::local::retire;
use crate::local::thread::Thread;
use crate::sys::{block, memory};

/// What a visit calls with each value; with another number than 0 it ends.
pub type Visit =
    unsafe extern "C" fn(value: *mut c_void, thread: u64, argument: *mut c_void) -> c_int;

/// Where a walk goes on.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Course {
    /// Behind the record that is marked.
    Onward = 0,
    /// At the newest link: a fork has come between, and what was taken already is
    /// not taken again.
    Anew = 1,
    /// Nowhere: a fork has come between, and what was met already would be met
    /// again.
    Over = 2,
}

/// A call that goes over all values of a key, in its thread's chain of calls.
#[repr(C)]
pub struct Walk {
    call: Call,
    slot: Cell<*const KeySlot>,
    /// The record that is marked, or null.
    at: Cell<*mut Record>,
    takes: Cell<bool>,
    course: Cell<Course>,
}

impl Walk {
    /// The walk whose node in the chain of calls this is.
    pub(super) fn of_call(call: &Call) -> &Self {
        // SAFETY: A call of this kind is part of a walk.
        unsafe { call.part_of(offset_of!(Self, call)).as_ref() }
    }

    /// The slot of the key.
    pub(super) fn slot(&self) -> &'static KeySlot {
        // SAFETY: Slots live for ever.
        unsafe { &*self.slot.get() }
    }

    /// The record that is marked, or null.
    pub(super) fn at(&self) -> *mut Record {
        self.at.get()
    }

    /// In the child of a fork, before the lists are linked again. A mark on a
    /// record of a thread that is not here is nobody's. Returns the record if a map
    /// that has ended left it to those who visit it: so to this walk.
    pub(super) fn survive_fork(&self, is_here: impl Fn(&Map) -> bool) -> Option<RecordPointer> {
        self.course.set(if self.takes.get() { Course::Anew } else { Course::Over });
        let at = NonNull::new(self.at.get())?;
        // SAFETY: Marked, so neither it nor its map has gone.
        match unsafe { map_of(at) } {
            None => return Some(at),
            Some(map) if is_here(map) => {}
            Some(_) => self.at.set(null_mut()),
        }
        None
    }
}

/// Attaches the calling thread, when all else has been checked: a call that fails
/// changes nothing.
pub type Attach = fn() -> Result<&'static Thread, Error>;

/// Goes over all values of a key, if its rules are as `allowed` says; calls `each`
/// with each value and its thread's number, until that returns another number than 0.
/// Returns the last number. With `takes` values are taken.
fn walk(
    attach: Attach,
    key: u64,
    takes: bool,
    allowed: impl Fn(Rules) -> bool,
    mut each: impl FnMut(&Thread, &KeySlot, *mut c_void, u64) -> c_int,
) -> Result<c_int, Error> {
    let (slot, generation) = (key::find(key)?, handle::generation(key));
    if !allowed(slot.rules(generation)?) {
        return Err(Error::Invalid);
    }
    let memory = memory::allocate::<Walk>()?;
    let joined = slot.join(generation, takes);
    let attached = joined.and_then(|()| {
        let attached = attach().and_then(|thread| thread.check_open().map(|()| thread));
        attached.inspect_err(|_| leave(None, slot))
    });
    let thread = attached.inspect_err(|_| {
        // SAFETY: Allocated above; nobody has seen it.
        unsafe { memory::free(memory) };
    })?;
    // SAFETY: Just allocated, all zero, which is a valid one.
    let walk = unsafe { memory.as_ref() };
    walk.slot.set(slot);
    walk.takes.set(takes);
    walk.call.begin(&thread.calls, CallKind::Visit);
    thread.takes.set(thread.takes.get().wrapping_add(u32::from(takes)));
    let mut stopped = 0;
    while stopped == 0 {
        let step = slot.with_holders(|holders| {
            let last = NonNull::new(walk.at.get());
            let next = match walk.course.replace(Course::Onward) {
                Course::Onward => {
                    last.map_or_else(|| holders.first(), |at| Holders::after(Record::link_of(at)))
                }
                Course::Anew => holders.first(),
                Course::Over => None,
            };
            let step = step(slot, holders, last, next, takes);
            // With the lock, like the marks.
            walk.at.set(step.found.map_or(null_mut(), |(record, ..)| record.as_ptr()));
            step
        });
        after_mark(thread, slot, step.left);
        waiters::wake();
        let Some((_, value, owner)) = step.found else { break };
        stopped = each(thread, slot, value, owner);
    }
    end(thread, memory);
    Ok(stopped)
}

/// Ends a walk: takes its mark back, and leaves the key.
fn end(thread: &Thread, memory: NonNull<Walk>) {
    // SAFETY: It is in the chain, so whole.
    let walk = unsafe { memory.as_ref() };
    let slot = walk.slot();
    let left = slot.with_holders(|holders| {
        let at = NonNull::new(walk.at.replace(null_mut()));
        at.map_or(Unmarked::Done, |at| unmark(slot, holders, at))
    });
    after_mark(thread, slot, left);
    walk.call.end(&thread.calls);
    // SAFETY: Allocated when it began; it has left the chain.
    unsafe { memory::free(memory) };
    leave(Some(thread), slot);
}

/// Leaves a key that the caller has joined.
#[inline(never)]
pub(super) fn leave(thread: Option<&Thread>, slot: &'static KeySlot) {
    // The key is alive until this: so is its handle.
    let key = slot.handle();
    if slot.leave_visit() == Released::Dead {
        keys::retire_key(thread, slot, key);
    }
    waiters::wake();
}

/// Ends a walk whose visitor never returned.
pub(super) fn recover(thread: &Thread, call: &Call) {
    end(thread, NonNull::from(Walk::of_call(call)));
}

#[inline(never)]
pub(super) fn after_mark(thread: &Thread, slot: &KeySlot, left: Unmarked) {
    match left {
        Unmarked::Done | Unmarked::Posted(None) => {}
        Unmarked::Posted(Some(wakers)) => hooks::wake(Some(thread), wakers),
        Unmarked::Destroy(value, reason) => retire::destroy_deferred(thread, slot, value, reason),
        Unmarked::DestroyAndFree(value, reason, record) => {
            // Before the callback, which may never return.
            // SAFETY: Its map has left it, and it is in no list.
            unsafe { pool::free_abandoned(record) };
            retire::destroy_deferred(thread, slot, value, reason);
        }
    }
}

/// Calls `visit` with every thread's value of an enumerable key, until it returns another
/// number than 0; with `takes` each is taken out first, undestroyed. Returns what
/// `visit` has returned last. Errors: `Invalid` for another key; `Busy` while values
/// of it are taken, and, to take some, while anybody else goes over them; `Limit`;
/// `BadKey`, `DeadKey`, `NoMemory`, `Exiting`.
#[allow(clippy::not_unsafe_ptr_arg_deref)] // nothing here dereferences it
pub fn for_each(
    attach: Attach,
    key: u64,
    takes: bool,
    visit: Visit,
    argument: *mut c_void,
) -> Result<c_int, Error> {
    walk(attach, key, takes, Rules::enumerable, |_, _, value, owner| {
        // SAFETY: The caller promises a function that may be called with each value;
        // no lock is held, and the record's mark keeps the value alive, or it is taken.
        block::call_out(|| unsafe { visit(value, owner, argument) })
    })
}

/// Ends every thread's value of a live key: destroys those of an `ANY` key now; of an
/// enumerable one, makes them stale, and destroys the calling thread's own. Returns how
/// many. Errors: `Invalid` for other keys; `BadKey`, `DeadKey`; for an `ANY` key as
/// [`for_each`] that takes.
pub fn purge(thread: Option<&Thread>, attach: Attach, key: u64) -> Result<usize, Error> {
    let slot = key::find(key)?;
    let rules = slot.rules(handle::generation(key))?;
    if rules.any() {
        return purge_now(attach, key);
    }
    if !rules.enumerable() {
        return Err(Error::Invalid);
    }
    let own = thread.map_or(null(), |thread| core::ptr::from_ref(thread.map()));
    let others = remote::purge(slot, handle::generation(key), own, Reason::Purged as u8)?;
    if others > 0 {
        expunge::wake_owners(thread);
    }
    Ok(others + thread.map_or(0, |thread| purge_own(thread, key)))
}

/// Destroys the thread's own values of a key, those that scopes cover as well, the
/// youngest first. What a callback sets meanwhile at the same depth stays.
fn purge_own(thread: &Thread, key: u64) -> usize {
    let (map, mut depth, mut number) = (thread.map(), u32::MAX, 0);
    while let Some(record) = map.first_value_outside_of(depth, key) {
        depth = Record::at(record).depth.get().into();
        number += usize::from(retire::retire(thread, map, record, None, Reason::Purged));
    }
    number
}

/// [`purge`] of an `ANY` key.
#[inline(never)]
fn purge_now(attach: Attach, key: u64) -> Result<usize, Error> {
    let mut destroyed = 0;
    walk(attach, key, true, Rules::any, |thread, slot, value, _| {
        destroyed += 1;
        retire::destroy(Some(thread), slot, value, Reason::Purged);
        0
    })?;
    Ok(destroyed)
}
