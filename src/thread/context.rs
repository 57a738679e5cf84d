// SPDX-License-Identifier: MIT OR Apache-2.0
//! Contexts and tasks: the values that a task takes along from the thread that
//! submits it.
//!
//! # The idea
//!
//! A capture makes a copy of each visible value of an `INHERIT` key, by the key's
//! copy callback, and keeps it in an array ([`crate::local::contexts`]). When a
//! scope is begun with the context, outer values of `INHERIT` keys are hidden
//! first (what was unset where the context was captured is unset inside), then
//! each copy is copied once more; or moved, if the context serves one task only.
//!
//! ```text
//!   create    capture a context                      on the submitting thread
//!   run       scope; values moved in; task and       on any thread
//!             context freed; fn(arg); scope's end;
//!             expunge
//!   cancel    context and task freed                 on any thread
//! ```
//!
//! A task is its context, with a function in it: one piece of memory. All of it is freed
//! before the function is called. So a callback or a function that never returns
//! (`pthread_exit`) leaves nothing behind; the task's scope ends with the thread.
//!
//! # Invariants
//!
//! 1. Once captured, a context does not change until it is freed: any number of
//!    threads may read it.
//! 2. The one who makes or frees a context has it in its thread's chain of calls: the
//!    thread's exit, or the child of a fork, recovers it.
//! 3. A value in a context is destroyed by the one who frees the context, and by nobody
//!    else.
//! 4. While a value is captured it is marked, if another thread could take it; if not,
//!    its key is joined, as by a visit: it does not die before the copy is made.

use core::ffi::c_void;
use core::ptr::{null, null_mut, NonNull};

use super::{scope, values, visit};
use crate::error::{Error, Reason};
use crate::key::call::CallKind;
use crate::key::options::Callbacks;
use crate::key::{self, handle};
use crate::local::contexts::{Context, ContextPointer, Item, TaskFunction};
use crate::local::hooks::Share;
use crate::local::map::Map;
use crate::local::maps;
use crate::local::record::{Record, RecordPointer, State};
use crate::local::remote::{unmark, Unmarked};
use crate::local::retire;
use crate::local::thread::Thread;
use crate::sys::{block, memory, waiters};

fn context<'a>(pointer: ContextPointer) -> &'a Context {
    // SAFETY: The callers have it, and it is not freed yet.
    unsafe { pointer.as_ref() }
}

/// Captures the thread's visible values of `INHERIT` keys. Errors: `Init` if a copy
/// callback failed; `Limit` if too many threads copy values of one key; `NoMemory`,
/// `Exiting`.
pub fn capture(thread: &Thread) -> Result<ContextPointer, Error> {
    thread.check_open()?;
    let made = memory::allocate::<Context>()?;
    context(made).call.begin(&thread.calls, CallKind::Context);
    let captured = note_keys(thread.map(), context(made)).and_then(|()| {
        context(made).keys.iter().try_for_each(|key| capture_one(thread, context(made), key))
    });
    captured.inspect_err(|_| destroy(Some(thread), made))?;
    context(made).keys.free();
    context(made).call.end(&thread.calls);
    maps::enter_context(context(made));
    Ok(made)
}

/// Notes which keys are to be captured, the oldest first: copy callbacks may change the
/// map.
fn note_keys(map: &Map, made: &Context) -> Result<(), Error> {
    let number = map.inherited.get();
    made.keys.reserve(number)?;
    made.items.reserve(number)?;
    let inherits = |record: RecordPointer| Record::at(record).rules.get().inherits();
    let visible = |it: &RecordPointer| inherits(*it) && map.state_of(*it) == State::Live;
    for record in map.records().filter(visible).take(number as usize) {
        made.keys.push(Record::at(record).handle.get());
    }
    Ok(())
}

/// Captures the thread's value under a key, if it still has one and the key is alive.
fn capture_one(thread: &Thread, made: &Context, key: u64) -> Result<(), Error> {
    let (Ok(slot), map) = (key::live(key), thread.map()) else { return Ok(()) };
    let Some(position) = map.find(key) else { return Ok(()) };
    let record = map.pool.at(map.table().record(position));
    let value = if Record::at(record).is_reachable() {
        let Some(value) = map.mark(record) else { return Ok(()) };
        made.marked.set(record.as_ptr());
        value
    } else {
        // The key lives until the copy is made, and so does the value.
        match slot.join(handle::generation(key), false) {
            Ok(()) => made.joined.set(slot),
            Err(Error::Limit) => return Err(Error::Limit),
            // Dead by now: what expunges in a copy callback would end the value.
            Err(_) => return Ok(()),
        }
        map.table().value(position)
    };
    // The record keeps the slot until this pin does.
    slot.pin();
    made.copying.set(slot);
    let copied = copy(slot.callbacks(), value);
    if let Ok(value) = copied {
        // Before anything calls back: the pin is the item's now. There is room for
        // as many as were noted.
        made.copying.set(null());
        made.items.push(Item { key, value, slot });
    }
    release_mark(thread, made);
    release_key(thread, made);
    release_pin(Some(thread), made);
    copied.map(|_| ())
}

/// Takes the mark of the value that is being copied back.
#[inline(never)]
fn release_mark(thread: &Thread, made: &Context) {
    let Some(record) = NonNull::new(made.marked.replace(null_mut())) else { return };
    let slot = Record::at(record).slot();
    let left = slot.with_holders(|holders| {
        // So that a record that was posted meanwhile is in no list. Who posts has the lock.
        retire::drain(thread.map());
        unmark(slot, holders, record)
    });
    match left {
        // The thread's own record: nobody else is to be woken.
        Unmarked::Posted(wakers) => drop(wakers.map(Share::drop_share)),
        left => visit::after_mark(thread, slot, left),
    }
}

/// Lets the key die whose value is being copied.
fn release_key(thread: &Thread, made: &Context) {
    // SAFETY: Slots live for ever.
    if let Some(slot) = unsafe { made.joined.replace(null()).as_ref() } {
        visit::leave(Some(thread), slot);
    }
}

/// Drops the pin of the value that is being copied, moved or destroyed.
fn release_pin(thread: Option<&Thread>, made: &Context) {
    // SAFETY: Slots live for ever.
    if let Some(slot) = unsafe { made.copying.replace(null()).as_ref() } {
        retire::unpin(thread, slot);
        waiters::wake();
    }
}

/// A copy of a value by the key's callback; without one, and of null, the same pointer.
fn copy(callbacks: Callbacks, value: *mut c_void) -> Result<*mut c_void, Error> {
    let Some(copy) = callbacks.copy.filter(|_| !value.is_null()) else { return Ok(value) };
    let mut made = null_mut();
    // SAFETY: The key's maker promises a function that may be called with each
    // value; a pin keeps the key's callbacks in place; no lock is held.
    let failed = block::call_out(|| unsafe { copy(value, &mut made, callbacks.user) });
    (failed == 0).then_some(made).ok_or(Error::Init)
}

/// Opens a scope in which the context's values are set, each copied. Returns its id.
/// Errors: as [`scope::begin`]; `Init` if a copy callback failed. The scope is closed
/// then.
///
/// Safety: the context lives, and nobody frees it meanwhile.
pub(crate) unsafe fn enter(thread: &Thread, pointer: ContextPointer) -> Result<u64, Error> {
    begin_with(thread, |map| {
        context(pointer).items.iter().try_for_each(|item| enter_copy(thread, map, item))
    })
}

/// Opens a scope, hides outer values of `INHERIT` keys in it, and sets others.
fn begin_with(thread: &Thread, set: impl FnOnce(&Map) -> Result<(), Error>) -> Result<u64, Error> {
    let id = scope::begin(thread)?;
    let map = thread.map();
    let hidden = scope::hide_all(map, |record| record.rules.get().inherits());
    let set = hidden.and_then(|()| set(map));
    set.inspect_err(|_| scope::end_with_inner(thread, map, id)).map(|()| id)
}

fn enter_copy(thread: &Thread, map: &Map, item: Item) -> Result<(), Error> {
    if item.is_stale() {
        return Ok(());
    }
    let value = copy(item.slot.callbacks(), item.value)?;
    enter_value(thread, map, item, value)
}

/// Sets a value that is no map's, or destroys it. A key that has died is skipped.
fn enter_value(thread: &Thread, map: &Map, item: Item, value: *mut c_void) -> Result<(), Error> {
    let slot = item.slot;
    let live = slot.check(handle::generation(item.key));
    let set = live.and_then(|()| values::put(thread, map, slot, item.key, value, None));
    let Err(error) = set else { return Ok(()) };
    let dead = error == Error::DeadKey;
    let reason = if dead { Reason::KeyDead } else { Reason::Removed };
    retire::destroy(Some(thread), slot, value, reason);
    dead.then_some(()).ok_or(error)
}

/// Destroys a context's values, and frees the context.
///
/// Safety: `pointer` is from [`capture`], not freed yet, and used by nobody.
pub(crate) unsafe fn free(thread: Option<&Thread>, pointer: ContextPointer) {
    maps::leave_context(context(pointer));
    if let Some(thread) = thread {
        context(pointer).call.begin(&thread.calls, CallKind::Context);
    }
    destroy(thread, pointer);
}

/// Destroys a context that the thread has in its chain, if it is attached, and
/// nobody has in the list of contexts.
fn destroy(thread: Option<&Thread>, pointer: ContextPointer) {
    let made = context(pointer);
    release_pin(thread, made);
    while let Some(item) = made.items.pop() {
        made.copying.set(item.slot);
        let reason = if item.is_stale() { Reason::KeyDead } else { Reason::Removed };
        retire::destroy(thread, item.slot, item.value, reason);
        release_pin(thread, made);
    }
    if let Some(thread) = thread {
        made.call.end(&thread.calls);
    }
    made.items.free();
    made.keys.free();
    // SAFETY: `capture` allocated it; nobody has it any more.
    unsafe { memory::free(pointer) };
}

/// Ends what a callback that never returned has left of a context.
pub(super) fn recover(thread: &Thread, pointer: ContextPointer) {
    let made = context(pointer);
    release_mark(thread, made);
    release_key(thread, made);
    destroy(Some(thread), pointer);
}

/// Makes a task, and captures the thread's context for it. Errors: as [`capture`].
pub fn create_task(
    thread: &Thread,
    function: TaskFunction,
    argument: *mut c_void,
) -> Result<ContextPointer, Error> {
    let task = capture(thread)?;
    // Just made, and nobody else has it.
    context(task).function.set(Some(function));
    context(task).argument.set(argument);
    Ok(task)
}

/// A task that has begun: its function is to be called, and then its scope ended.
pub struct Begun {
    function: Option<TaskFunction>,
    argument: *mut c_void,
    /// The scope's id, if there is one.
    pub scope: Option<u64>,
}

impl Begun {
    /// Calls the task's function.
    pub fn call(&self) {
        if let Some(function) = self.function {
            // SAFETY: The one who made the task promises that it may be called once.
            unsafe { function(self.argument) };
        }
    }
}

/// Opens a task's scope, moves its values in, and frees it.
///
/// Where there is no memory for the scope or for what is to be set in it, or where the
/// thread is past its last cleanup, the function is to be called without, and that is
/// counted (`tls_stats_t.unscoped`): losing a task would be worse.
///
/// Safety: `task` is from [`create_task`], and neither run nor cancelled yet.
pub(crate) unsafe fn begin_task(thread: Option<&Thread>, task: ContextPointer) -> Begun {
    let (function, argument) = (context(task).function.get(), context(task).argument.get());
    maps::leave_context(context(task));
    let scope = thread.and_then(|thread| {
        context(task).call.begin(&thread.calls, CallKind::Context);
        begin_with(thread, |map| move_items(thread, map, context(task))).ok()
    });
    destroy(thread, task);
    if scope.is_none() {
        maps::count_unscoped();
    }
    Begun { function, argument, scope }
}

fn move_items(thread: &Thread, map: &Map, made: &Context) -> Result<(), Error> {
    // The oldest is set first.
    // SAFETY: The task is this thread's alone.
    unsafe { made.items.as_mut_slice() }.reverse();
    while let Some(item) = made.items.pop() {
        made.copying.set(item.slot);
        let moved = enter_value(thread, map, item, item.value);
        release_pin(Some(thread), made);
        moved?;
    }
    Ok(())
}
