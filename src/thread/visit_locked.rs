// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looking at all threads' values at one instant, with the key's lock.
//!
//! A visit without a lock ([`super::visit`]) sees each value at a moment of its own: a sum
//! over them may count a change and miss another that came before it. Here every owner
//! waits while the visitor is called ([`crate::local::freeze`]), so that all values are
//! those of one instant. The price: a lock is held while the visitor runs, which may call
//! nothing of the library therefore. It is refused like a call of the memory allocator's.
//!
//! # Invariants
//!
//! 1. While the key's lock is held no record leaves the list from `first` on. What is
//!    pushed meanwhile is in front of it. So marking, looking and clearing meet the same
//!    records.
//! 2. If the visitor ends its thread, the node in the thread's chain says what is held;
//!    [`recover`] gives it back.
//! 3. In the child of a fork nothing is held, and nothing is given back.

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::iter::successors;
use core::mem::offset_of;
use core::ptr::NonNull;

use super::fork::process_of_state;
use super::visit::{Attach, Visit};
use crate::error::Error;
use crate::key::call::{Call, CallKind};
use crate::key::holders::{Holders, Link};
use crate::key::options::Rules;
use crate::key::slot::KeySlot;
use crate::key::{self, handle};
use crate::local::freeze;
use crate::local::map::Map;
use crate::local::record::{Record, RecordPointer};
use crate::local::remote::map_of;
use crate::local::thread::Thread;
use crate::sys::{block, memory};

/// A visit that holds locks, in its thread's chain of calls.
#[repr(C)]
struct Held {
    call: Call,
    slot: Cell<*const KeySlot>,
    /// The newest link when the key's lock was taken.
    first: Cell<*mut Link>,
    /// The process that has the locks.
    process: Cell<u32>,
}

impl Held {
    /// The records of the key, with their maps.
    fn records(&self) -> impl Iterator<Item = (RecordPointer, &Map)> {
        let first = NonNull::new(self.first.get());
        let links = successors(first, |link| Holders::after(*link));
        links.map(Record::of).filter_map(|record| {
            // SAFETY: In the list, and the key's lock is held.
            unsafe { map_of(record) }.map(|map| (record, map))
        })
    }

    /// Whether a fork has come between.
    fn is_over(&self) -> bool {
        self.process.get() != process_of_state()
    }
}

/// Calls `visit` with every thread's value of an enumerable key, all as they are at one
/// instant, until it returns another number than 0. Returns that. Errors: `Invalid` for
/// another key; `BadKey`, `DeadKey`, `NoMemory`, `Exiting`.
#[allow(clippy::not_unsafe_ptr_arg_deref)] // nothing here dereferences it
pub fn for_each(
    attach: Attach,
    key: u64,
    visit: Visit,
    argument: *mut c_void,
) -> Result<c_int, Error> {
    let (slot, generation) = (key::find(key)?, handle::generation(key));
    if !slot.rules(generation).map(Rules::enumerable)? {
        return Err(Error::Invalid);
    }
    let memory = memory::allocate::<Held>()?;
    let attached = attach().and_then(|thread| thread.check_open().map(|()| thread));
    let begun = attached.and_then(|thread| begin(thread, memory, slot, generation));
    let thread = begun.inspect_err(|_| {
        // SAFETY: Allocated above; nobody has seen it.
        unsafe { memory::free(memory) };
    })?;
    // SAFETY: It is in the chain, so whole.
    let held = unsafe { memory.as_ref() };
    let stopped = block::while_locked(|| look(held, visit, argument));
    end(thread, memory);
    Ok(stopped)
}

/// Takes the locks, and marks the maps. Errors: `DeadKey`.
fn begin(
    thread: &'static Thread,
    memory: NonNull<Held>,
    slot: &'static KeySlot,
    generation: u32,
) -> Result<&'static Thread, Error> {
    // SAFETY: Just allocated, all zero, which is a valid one.
    let held = unsafe { memory.as_ref() };
    held.slot.set(slot);
    held.process.set(process_of_state());
    let first = slot.acquire();
    if let Err(error) = slot.check(generation) {
        // SAFETY: Just taken.
        unsafe { slot.give_back() };
        return Err(error);
    }
    freeze::enter();
    held.first.set(first.map_or(core::ptr::null_mut(), NonNull::as_ptr));
    held.records().for_each(|(_, map)| map.freeze());
    held.call.begin(&thread.calls, CallKind::Locked);
    Ok(thread)
}

fn look(held: &Held, visit: Visit, argument: *mut c_void) -> c_int {
    let values = held.records().filter_map(|(record, map)| {
        // Without the map's lock: its owner waits.
        Some((map.visible_value_of(record)?, map.thread_number()))
    });
    for (value, owner) in values {
        // SAFETY: The caller promises a function that may be called with each value and
        // that calls nothing of the library; the key's lock keeps the value alive.
        let stopped = block::call_out(|| unsafe { visit(value, owner, argument) });
        if stopped != 0 || held.is_over() {
            return stopped;
        }
    }
    0
}

/// Clears the marks, and gives the locks back.
fn end(thread: &Thread, memory: NonNull<Held>) {
    // SAFETY: It is in the chain, so whole.
    let held = unsafe { memory.as_ref() };
    if !held.is_over() {
        held.records().for_each(|(_, map)| map.unfreeze());
        // SAFETY: `begin` has taken it.
        unsafe { freeze::leave() };
        // SAFETY: Slots live for ever; `begin` has taken its lock.
        unsafe { (*held.slot.get()).give_back() };
    }
    held.call.end(&thread.calls);
    // SAFETY: Allocated when it began; it has left the chain.
    unsafe { memory::free(memory) };
}

/// Ends a visit whose visitor never returned.
pub(super) fn recover(thread: &Thread, call: &Call) {
    end(thread, call.part_of(offset_of!(Held, call)));
}
