//! A get that finds nothing: the key's init callback, if it has one.
//!
//! The callback runs with nothing held. It may set other keys, read them, and
//! even release this one. So the record of the entry to come is linked first:
//! it keeps the key's options (and `user`) in place until the value is stored
//! or the attempt is over. While the callback runs the record is in `ending`,
//! where the thread's exit finds it if the callback never returns.
//!
//! Which keys are being initialised is known by a chain of frames on the
//! stack, from the innermost outwards: reading one of them again is an error
//! and not an endless recursion.

use core::ffi::c_void;
use core::ptr::null_mut;

use super::destroy::{end_replaced, end_value, finish, reserve_record, slot_of};
use super::exchange;
use super::map::{count, Map};
use super::record::{self, ThreadRecord};
use super::stale::{after_slow_path, before_slow_path};
use crate::error::{Error, Reason};
use crate::key::holder::HolderPointer;
use crate::key::options::Callbacks;
use crate::key::slot::KeySlot;
use crate::key::{self, handle};

/// A key whose init callback is running. Lives on the stack.
pub struct InitFrame {
    key: u64,
    outer: *const InitFrame,
}

/// The value that a live key's init callback makes for this thread.
///
/// # Errors
///
/// [`Error::Absent`] if the key has none; see [`super::values::try_get`].
#[cold]
#[inline(never)]
pub fn get_absent(key: u64) -> Result<*mut c_void, Error> {
    let slot = key::live(key)?;
    if let Some(thread) = record::current() {
        let map = thread.map();
        before_slow_path(map)?;
        map.find_after_miss(key);
        after_slow_path(thread, map);
        // A callback above may have set the key.
        if let Some(position) = map.find(key) {
            return Ok(map.value_at(position));
        }
    }
    if !slot.rules(handle::generation(key))?.has_init() {
        return Err(Error::Absent);
    }
    let thread = record::attached()?;
    if thread.is_initialising(key) {
        return Err(Error::Reentrant);
    }
    initialise(thread, slot, key)
}

fn initialise(
    thread: &ThreadRecord,
    slot: &'static KeySlot,
    key: u64,
) -> Result<*mut c_void, Error> {
    let map = thread.map();
    let holder = reserve_record(thread, map, slot, key)?;
    map.begin_ending(holder);
    let made = run(thread, slot.callbacks(), key);
    map.end_ending(holder);
    let stored = match made {
        Ok(value) => store(thread, map, holder, value),
        Err(error) => {
            finish(thread, map, holder);
            Err(error)
        }
    };
    after_slow_path(thread, map);
    stored
}

fn run(thread: &ThreadRecord, callbacks: Callbacks, key: u64) -> Result<*mut c_void, Error> {
    let init = callbacks.init.ok_or(Error::Absent)?;
    let mut value = null_mut();
    let frame = InitFrame { key, outer: thread.initialising.get() };
    thread.initialising.set(&raw const frame);
    let failed = thread.call_out(|| {
        // SAFETY: The key's maker promises a function that may be called on
        // any thread; `value` is this frame's.
        unsafe { init(&mut value, callbacks.user) }
    });
    thread.initialising.set(frame.outer);
    if failed != 0 {
        return Err(Error::Init);
    }
    Ok(value)
}

/// Stores what init made, under the record that was reserved for it.
pub(super) fn store(
    thread: &ThreadRecord,
    map: &Map,
    holder: HolderPointer,
    value: *mut c_void,
) -> Result<*mut c_void, Error> {
    // SAFETY: Reserved by the caller, and not finished yet.
    let fields = unsafe { holder.as_ref() };
    let key = fields.handle.get();
    let fits = match slot_of(fields).check(handle::generation(key)) {
        Ok(()) => map.find(key).map_or_else(|| map.reserve(), |_| Ok(())),
        Err(error) => Err(error),
    };
    if let Err(error) = fits {
        let reason = if error == Error::NoMemory { Reason::Removed } else { Reason::KeyDead };
        if reason == Reason::KeyDead {
            count(&map.counters.expunged);
        }
        fields.value.set(value);
        end_value(thread, map, holder, reason);
        return Err(error);
    }
    let Some(position) = map.find(key) else {
        map.insert(holder, value);
        return Ok(value);
    };
    // The callback has set its own key: what it returned wins.
    let standing = map.record_at(position);
    // SAFETY: Standing, as was just found; this thread owns the map.
    if unsafe { standing.as_ref() }.rules.get().reachable() {
        if let Err(error) = exchange::set(thread, standing, value) {
            // Somebody visits the old one, and there is no memory for both.
            fields.value.set(value);
            end_value(thread, map, holder, Reason::Removed);
            return Err(error);
        }
        finish(thread, map, holder);
        return Ok(value);
    }
    finish(thread, map, holder);
    let old = map.replace_value(position, value);
    if old != value {
        end_replaced(thread, map, standing, old);
    }
    Ok(value)
}

impl ThreadRecord {
    /// Whether the init callback of `key` is running on this thread.
    fn is_initialising(&self, key: u64) -> bool {
        let mut next = self.initialising.get();
        // SAFETY: A frame leaves the chain before its stack goes; where a
        // callback never returned, the thread's exit clears the chain.
        while let Some(frame) = unsafe { next.as_ref() } {
            if frame.key == key {
                return true;
            }
            next = frame.outer;
        }
        false
    }
}
