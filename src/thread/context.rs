//! Contexts: the values that a task takes along from the thread that submits
//! it.
//!
//! # The idea
//!
//! A capture makes a copy of each visible value of an `INHERIT` key, by the
//! key's copy callback. The copies are kept in a map of their own that no
//! thread is attached to: not in its table (nobody looks anything up in it),
//! but with a holder record each, so that a key's death and a drain know of
//! them. When a scope is begun with the context, outer values of `INHERIT` keys
//! are hidden first (what was unset where the context was captured is unset
//! inside), then each copy is copied once more; or moved, if the context serves
//! one task only.
//!
//! # Invariants
//!
//! 1. Once captured, a context does not change until it is freed: any number
//!    of threads may read it. (A key that dies orphans its record and no more.)
//! 2. Whoever builds or frees a context has it in its thread's chain: a fork
//!    finds it there, and so does the thread's exit, should a callback never
//!    return.
//! 3. A value in a context is ended by whoever frees the context, and by nobody
//!    else: other threads can't reach it ([`Rules::NONE`]).

use core::cell::Cell;
use core::ffi::c_void;
use core::mem::size_of;
use core::ptr::{null_mut, NonNull};

use super::destroy::{finish, finish_for, reserve_record, slot_of};
use super::init;
use super::map::{record as fields, Kind, Map};
use super::reach::end;
use super::record::{self, ThreadRecord};
use super::stale::after_slow_path;
use super::task::TaskFunction;
use super::{keys, scope, stats};
use crate::error::{Error, Reason};
use crate::key::holder::{HolderPointer, Place};
use crate::key::options::{Callbacks, Rules};
use crate::key::slot::KeySlot;
use crate::key::{self, handle};
use crate::sys::memory;
use crate::sys::sync::Ordering;

/// A captured context. All zero: nothing in it.
#[repr(C)]
pub struct Context {
    /// The map that has the copies.
    map: Map,
    /// While it is built: the keys to capture.
    keys: Cell<*mut u64>,
    room: Cell<usize>,
    /// The key whose value is being copied, of which there is a reference; or 0.
    copying: Cell<u64>,
    /// The context that the same thread builds or frees further out.
    outer: Cell<*mut Context>,
    /// What a task does in it, if it is a task's.
    pub(super) work: (Cell<Option<TaskFunction>>, Cell<*mut c_void>),
}

/// A context that somebody has.
pub type ContextPointer = NonNull<Context>;

fn context<'a>(pointer: ContextPointer) -> &'a Context {
    // SAFETY: The callers have it, and it is not freed yet.
    unsafe { pointer.as_ref() }
}

/// Captures the calling thread's visible values of `INHERIT` keys.
///
/// # Errors
///
/// [`Error::Init`] if a copy callback failed; [`Error::NoMemory`],
/// [`Error::Exiting`], [`Error::Reentrant`]; [`Error::Limit`] if no reference
/// of a key is left to take.
pub fn capture() -> Result<ContextPointer, Error> {
    let thread = record::attached()?;
    if thread.map().is_busy() {
        return Err(Error::Reentrant);
    }
    let made = memory::allocate::<Context>()?;
    // A new map is nobody's.
    let _ = context(made).map.attach();
    context(made).map.kind.set(Kind::Context);
    stats::enter(&context(made).map);
    thread.begin_context(made);
    let captured = note_keys(thread.map(), made).and_then(|number| {
        // SAFETY: `note_keys` has written so many.
        let keys = unsafe { core::slice::from_raw_parts(context(made).keys.get(), number) };
        keys.iter().try_for_each(|key| capture_one(thread, made, *key))
    });
    if let Err(error) = captured {
        end_context(Some(thread), made);
        return Err(error);
    }
    free_keys(made);
    thread.end_context(made);
    context(made).map.detach();
    Ok(made)
}

/// Notes which keys are to be captured: copy callbacks may change the map.
fn note_keys(map: &Map, made: ContextPointer) -> Result<usize, Error> {
    let number = map.inherited.len();
    let memory = memory::allocate_bytes(number * size_of::<u64>())?.cast::<u64>();
    context(made).keys.set(memory.as_ptr());
    context(made).room.set(number);
    let visible = (0..number).filter_map(|index| map.inherited.get(index));
    let visible = visible.filter(|holder| fields(*holder).in_table());
    let mut noted = 0;
    for holder in visible {
        // SAFETY: At most as many as there is room for.
        unsafe { memory.as_ptr().add(noted).write(fields(holder).handle.get()) };
        noted += 1;
    }
    Ok(noted)
}

fn free_keys(made: ContextPointer) {
    if let Some(keys) = NonNull::new(context(made).keys.replace(null_mut())) {
        // SAFETY: `note_keys` allocated it with this room.
        unsafe { memory::free_bytes(keys.cast(), context(made).room.get() * size_of::<u64>()) };
    }
}

/// Captures the calling thread's value under a key, if it still has one and the
/// key is alive.
fn capture_one(thread: &ThreadRecord, made: ContextPointer, key: u64) -> Result<(), Error> {
    let slot = match key::live(key).and_then(|slot| key::retain(key).map(|()| slot)) {
        Ok(slot) => slot,
        Err(Error::DeadKey) => return Ok(()),
        Err(error) => return Err(error),
    };
    context(made).copying.set(key);
    let captured = match thread.map().find(key) {
        Some(position) => copy_to(thread, made, slot, key, thread.map().value_at(position)),
        None => Ok(()),
    };
    context(made).copying.set(0);
    keys::release(key)?;
    captured
}

/// Puts a copy of a value into the context. The key is alive: the context has
/// a reference.
fn copy_to(
    thread: &ThreadRecord,
    made: ContextPointer,
    slot: &'static KeySlot,
    key: u64,
    value: *mut c_void,
) -> Result<(), Error> {
    let map = &context(made).map;
    let holder = map.new_record_apart(slot, key)?;
    // SAFETY: A new record is in no list, and filled in.
    if unsafe { slot.link(handle::generation(key), holder) }.is_err() {
        map.give_back(holder);
        return Ok(());
    }
    map.begin_ending(holder);
    let copied = copy(thread, slot.callbacks(), value);
    map.end_ending(holder);
    match copied {
        Ok(value) => {
            map.keep_apart(holder, value);
            Ok(())
        }
        Err(error) => {
            finish(thread, map, holder);
            Err(error)
        }
    }
}

/// A copy of a value by the key's callback; without one, and of null, the same
/// pointer.
fn copy(
    thread: &ThreadRecord,
    callbacks: Callbacks,
    value: *mut c_void,
) -> Result<*mut c_void, Error> {
    let Some(copy) = callbacks.copy.filter(|_| !value.is_null()) else { return Ok(value) };
    let mut made = null_mut();
    // SAFETY: The key's maker promises a function that may be called with each
    // value; a record keeps the key's callbacks in place; no lock is held.
    let failed = thread.call_out(|| unsafe { copy(value, &mut made, callbacks.user) });
    if failed != 0 {
        return Err(Error::Init);
    }
    Ok(made)
}

/// Opens a scope in which the context's values are set: copied, or moved out of
/// it. Returns its id.
///
/// # Errors
///
/// As [`scope::begin`]; [`Error::Init`] if a copy callback failed. The scope is
/// closed then; what was moved is ended with it.
///
/// # Safety
///
/// The context lives, and nobody frees it meanwhile; with `moves`, the calling
/// thread alone has it.
pub unsafe fn enter(pointer: ContextPointer, moves: bool) -> Result<u64, Error> {
    let thread = record::attached()?;
    let map = thread.map();
    let id = scope::begin()?;
    let hidden = scope::hide_inherited(map);
    let entered = hidden.and_then(|()| {
        if moves {
            move_all(thread, map, pointer)
        } else {
            context(pointer).map.order_at(0).iter().try_for_each(|holder| {
                let value = fields(holder).value.get();
                set_one(thread, map, holder, |callbacks| copy(thread, callbacks, value))
            })
        }
    });
    if let Err(error) = entered {
        scope::end_with_inner(thread, map, id);
        return Err(error);
    }
    // What setting them has found stale.
    after_slow_path(thread, map);
    Ok(id)
}

/// Moves the values of a context that the calling thread alone has.
fn move_all(thread: &ThreadRecord, map: &Map, pointer: ContextPointer) -> Result<(), Error> {
    let apart = &context(pointer).map;
    while let Some(holder) = apart.order_at(0).first() {
        let moved = Cell::new(false);
        let set = set_one(thread, map, holder, |_| {
            moved.set(true);
            apart.leave_apart(holder);
            // Where the thread's exit finds it, should a callback not return.
            apart.begin_ending(holder);
            Ok(fields(holder).value.get())
        });
        if moved.get() {
            apart.end_ending(holder);
            finish(thread, apart, holder);
        } else if set.is_ok() {
            // Its key has died.
            end_one(Some(thread), apart, holder);
        }
        set?;
    }
    Ok(())
}

/// Sets what `make` makes of a captured value in the scope that is open, unless
/// its key has died.
fn set_one(
    thread: &ThreadRecord,
    map: &Map,
    captured: HolderPointer,
    make: impl FnOnce(Callbacks) -> Result<*mut c_void, Error>,
) -> Result<(), Error> {
    let slot = slot_of(fields(captured));
    let reserved = reserve_record(thread, map, slot, fields(captured).handle.get());
    let holder = match reserved {
        Ok(holder) => holder,
        Err(Error::DeadKey) => return Ok(()),
        Err(error) => return Err(error),
    };
    map.begin_ending(holder);
    let made = make(slot.callbacks());
    map.end_ending(holder);
    let stored = match made {
        Ok(value) => init::store(thread, map, holder, value).map(|_| ()),
        Err(error) => {
            finish(thread, map, holder);
            Err(error)
        }
    };
    // A key that has died meanwhile: its value has been ended.
    stored.or_else(|error| if error == Error::DeadKey { Ok(()) } else { Err(error) })
}

/// Ends a context's values, and the context.
///
/// # Safety
///
/// `pointer` is from [`capture`], not freed yet, and used by nobody.
pub unsafe fn free(pointer: ContextPointer) {
    // Without memory for a record it is done all the same, uncounted.
    let thread = record::attached().ok();
    let _ = context(pointer).map.attach();
    if let Some(thread) = thread {
        thread.begin_context(pointer);
    }
    end_context(thread, pointer);
}

/// Ends a context that the thread has in its chain, if it is attached.
fn end_context(thread: Option<&ThreadRecord>, pointer: ContextPointer) {
    let Context { map, copying, .. } = context(pointer);
    map.take_mail();
    // Copies whose callback never returned.
    while let Some(holder) = map.first_ending() {
        map.end_ending(holder);
        finish_for(thread, map, holder);
    }
    while let Some(holder) = map.order_at(0).last() {
        end_one(thread, map, holder);
    }
    if copying.get() != 0 {
        let _ = keys::release(copying.replace(0));
    }
    free_keys(pointer);
    if let Some(thread) = thread {
        thread.end_context(pointer);
    }
    stats::leave(map);
    map.release_memory();
    // SAFETY: `capture` allocated it; nobody has it any more.
    unsafe { memory::free(pointer) };
}

/// Ends one value of a context.
fn end_one(thread: Option<&ThreadRecord>, map: &Map, holder: HolderPointer) {
    map.take_mail();
    map.leave_apart(holder);
    let dead = fields(holder).place.get() != Place::Listed;
    map.withdraw_stale(holder);
    map.begin_ending(holder);
    let reason = if dead { Reason::KeyDead } else { Reason::Removed };
    if dead {
        stats::count_expunged();
    }
    end(thread, slot_of(fields(holder)), fields(holder).value.get(), reason as i32);
    map.end_ending(holder);
    finish_for(thread, map, holder);
}

impl Map {
    /// A record for a value that is kept apart from any table, filled in and
    /// not linked yet.
    fn new_record_apart(&self, slot: &KeySlot, key: u64) -> Result<HolderPointer, Error> {
        let holder = self.take_spare()?;
        self.fill_record(holder, slot, key, Rules::NONE);
        fields(holder).depth.set(0);
        Ok(holder)
    }

    /// Keeps a value apart.
    fn keep_apart(&self, holder: HolderPointer, value: *mut c_void) {
        fields(holder).value.set(value);
        // SAFETY: Linked, and in no list by these links.
        unsafe { self.order_at(0).push_back(holder) };
        let entries = &self.counters.entries;
        entries.store(entries.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Takes a value that was kept apart out.
    fn leave_apart(&self, holder: HolderPointer) {
        // SAFETY: `keep_apart` has put it there.
        unsafe { self.order_at(0).remove(holder) };
        let entries = &self.counters.entries;
        entries.store(entries.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    }
}

/// In a forked process: takes back the reference that a capture has which is
/// not here, if the map is that of a context.
pub(super) fn forget_capture(map: &Map) {
    if map.kind.get() != Kind::Context {
        return;
    }
    // SAFETY: Layout: the map is the first field of its context.
    let context = unsafe { &*core::ptr::from_ref(map).cast::<Context>() };
    let key = context.copying.replace(0);
    if let Some(slot) = key::find(key).ok().filter(|_| key != 0) {
        slot.forget_references(1);
    }
}

impl ThreadRecord {
    fn begin_context(&self, pointer: ContextPointer) {
        context(pointer).outer.set(self.contexts.replace(pointer.as_ptr()));
    }

    /// Takes a context out of the chain: the innermost, unless a callback has
    /// ended the thread.
    fn end_context(&self, pointer: ContextPointer) {
        debug_assert_eq!(self.contexts.get(), pointer.as_ptr());
        self.contexts.set(context(pointer).outer.get());
    }

    /// Ends the contexts that this thread was building or freeing when a
    /// callback ended it.
    pub(super) fn end_contexts(&self) {
        while let Some(pointer) = NonNull::new(self.contexts.get()) {
            end_context(Some(self), pointer);
        }
    }

    /// Whether a map is that of a context that this thread builds or frees.
    pub(super) fn has_context(&self, map: &Map) -> bool {
        let mut next = self.contexts.get();
        while let Some(pointer) = NonNull::new(next) {
            if core::ptr::eq(map, &raw const context(pointer).map) {
                return true;
            }
            next = context(pointer).outer.get();
        }
        false
    }
}

/// Keeps a context in the calling thread's chain while `work` moves its values,
/// then frees it.
///
/// # Safety
///
/// As [`enter`] and [`free`]: the calling thread alone has it.
pub(super) unsafe fn enter_and_free(
    thread: &ThreadRecord,
    pointer: ContextPointer,
) -> Result<u64, Error> {
    let _ = context(pointer).map.attach();
    thread.begin_context(pointer);
    // SAFETY: The caller's premise.
    let entered = unsafe { enter(pointer, true) };
    end_context(Some(thread), pointer);
    entered
}
