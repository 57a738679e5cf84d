//! The calling thread's values: get, set, swap, take, remove.
//!
//! Each begins with a look at the hot slot, which needs no thread record and
//! no attachment. `get` is the exported twin of the hit that the header
//! inlines, and returns exactly what that one does.

use core::ffi::c_void;
use core::ptr::null_mut;

use super::destroy::{end_replaced, end_value, finish, reserve_record};
use super::record::{self, ThreadRecord};
use super::stale::{after_slow_path, before_slow_path};
use super::{exchange, init, scope};
use crate::error::{Error, Reason};
use crate::key;
use crate::key::holder::HolderPointer;
use crate::map::{find, record_at, Entry, View};
use crate::sys::block;
use crate::sys::sync::Ordering;

#[inline(always)]
fn entry<'a>(view: View, distance: usize) -> &'a Entry {
    // SAFETY: The view is the hot slot's, the distance is masked or found by
    // `find`, and the borrow ends before anything can move the table.
    unsafe { view.entry(distance) }
}

/// The value under `key`; else what the key's init callback makes; else null.
#[inline(always)]
#[must_use]
pub fn get(key: u64) -> *mut c_void {
    let view = block::view();
    let home = entry(view, key as usize & view.mask);
    if home.key.load(Ordering::Relaxed) == key {
        return home.value.load(Ordering::Relaxed);
    }
    get_after_miss(key)
}

/// [`get`] of a key that does not stand at its home.
#[cold]
#[inline(never)]
fn get_after_miss(key: u64) -> *mut c_void {
    let view = block::whole_view();
    match find(view, key) {
        Some(distance) => entry(view, distance).value.load(Ordering::Relaxed),
        None => init::get_absent(key).unwrap_or(null_mut()),
    }
}

/// The value under `key`, or null. Never runs a callback of the key.
#[inline(always)]
#[must_use]
pub fn get_existing(key: u64) -> *mut c_void {
    let view = block::view();
    let home = entry(view, key as usize & view.mask);
    if home.key.load(Ordering::Relaxed) == key {
        return home.value.load(Ordering::Relaxed);
    }
    get_existing_after_miss(key)
}

/// [`get_existing`] of a key that does not stand at its home.
#[cold]
#[inline(never)]
fn get_existing_after_miss(key: u64) -> *mut c_void {
    let view = block::whole_view();
    match find(view, key) {
        Some(distance) => entry(view, distance).value.load(Ordering::Relaxed),
        None => null_mut(),
    }
}

/// Like [`get`], with every outcome told apart.
///
/// # Errors
///
/// [`Error::Absent`] without a value and without an init callback;
/// [`Error::Init`], [`Error::Reentrant`], [`Error::NoMemory`],
/// [`Error::Exiting`] from making one; [`Error::BadKey`], [`Error::DeadKey`].
pub fn try_get(key: u64) -> Result<*mut c_void, Error> {
    key::live(key)?;
    let view = block::view();
    match find(view, key) {
        Some(distance) => Ok(entry(view, distance).value.load(Ordering::Relaxed)),
        None => init::get_absent(key),
    }
}

/// A standing entry of a live key, as the hot slot shows it.
struct Standing {
    entry: &'static Entry,
    holder: HolderPointer,
}

/// Finds the calling thread's entry of a live key.
///
/// # Errors
///
/// [`Error::DeadKey`] for an entry that is stale.
#[inline(always)]
fn standing(key: u64) -> Result<Option<Standing>, Error> {
    let view = block::view();
    let Some(distance) = find(view, key) else {
        return Ok(None);
    };
    // SAFETY: The hot slot shows a map of this thread, whose records are
    // holder pointers; the entry was just found in use.
    let holder: HolderPointer = unsafe { record_at(view, distance) };
    // SAFETY: The record of a standing entry is whole.
    let record = unsafe { holder.as_ref() };
    if record.handle.get() != key {
        // A made-up number: the word that stands where a value was taken.
        return Ok(None);
    }
    // SAFETY: Slots live for ever.
    let slot = unsafe { &*record.slot.get() };
    slot.check_held()?;
    Ok(Some(Standing { entry: entry(view, distance), holder }))
}

/// Stores `value`; ends the one that it replaces, unless it is the same.
///
/// # Errors
///
/// [`Error::BadKey`], [`Error::DeadKey`], [`Error::NoMemory`],
/// [`Error::Exiting`].
#[inline]
pub fn set(key: u64, value: *mut c_void) -> Result<(), Error> {
    let Some(Standing { entry, holder }) = standing(key)? else {
        return set_absent(key, value);
    };
    // SAFETY: As in `standing`.
    let record = unsafe { holder.as_ref() };
    if usize::from(record.plain_at.get()) != block::depth() {
        return set_with_care(key, holder, value);
    }
    let old = entry.value.load(Ordering::Relaxed);
    entry.value.store(value, Ordering::Relaxed);
    // SAFETY: As in `standing`.
    let slot = unsafe { &*record.slot.get() };
    if old != value && !old.is_null() && slot.callbacks().destroy.is_some() {
        end_old(holder, old);
    }
    Ok(())
}

/// [`set`] over a value that other threads reach, or that was set in another
/// scope.
#[inline(never)]
fn set_with_care(key: u64, holder: HolderPointer, value: *mut c_void) -> Result<(), Error> {
    if scope::set(holder, value)? {
        return Ok(());
    }
    set_absent(key, value)
}

#[inline(never)]
fn end_old(holder: HolderPointer, old: *mut c_void) {
    if let Some(thread) = record::current() {
        end_replaced(thread, thread.map(), holder, old);
    }
}

/// Stores `value` and hands the old one over, undestroyed; null if none.
///
/// # Errors
///
/// As [`set`].
pub fn swap(key: u64, value: *mut c_void) -> Result<*mut c_void, Error> {
    let Some(Standing { entry, holder }) = standing(key)? else {
        return set_absent(key, value).map(|()| null_mut());
    };
    if is_outer(holder) {
        return scope::cover(holder, Some(value)).map(|()| null_mut());
    }
    // SAFETY: As in `standing`.
    if unsafe { holder.as_ref() }.rules.get().reachable() {
        let thread = record::attached()?;
        return match exchange::swap(thread, holder, value)? {
            Some(old) => Ok(old),
            None => set_absent(key, value).map(|()| null_mut()),
        };
    }
    let old = entry.value.load(Ordering::Relaxed);
    entry.value.store(value, Ordering::Relaxed);
    Ok(old)
}

/// Whether a standing entry was set outside of the scope that is open.
fn is_outer(holder: HolderPointer) -> bool {
    block::depth() > 0
        && record::current().is_some_and(|thread| scope::is_outer(thread.map(), holder))
}

/// The first value of a thread under a key.
#[cold]
#[inline(never)]
fn set_absent(key: u64, value: *mut c_void) -> Result<(), Error> {
    let (thread, slot) = match record::current() {
        Some(thread) if thread.closing.get() => {
            // A wrong key is told before a late thread.
            return key::live(key).and(Err(Error::Exiting));
        }
        Some(thread) => (thread, thread.live(key)?),
        None => {
            let slot = key::live(key)?;
            (record::attached()?, slot)
        }
    };
    let map = thread.map();
    before_slow_path(map)?;
    let outcome = reserve_record(thread, map, slot, key).map(|holder| map.insert(holder, value));
    after_slow_path(thread, map);
    outcome
}

/// Takes the entry of a live key out of the calling thread's table.
fn take_out(key: u64) -> Result<Option<(&'static ThreadRecord, HolderPointer)>, Error> {
    key::live(key)?;
    let Some(thread) = record::current() else { return Ok(None) };
    Ok(thread.map().take_out(key).map(|holder| (thread, holder)))
}

/// Removes the value and hands it over, undestroyed.
///
/// # Errors
///
/// [`Error::Absent`], [`Error::BadKey`], [`Error::DeadKey`].
pub fn take(key: u64) -> Result<*mut c_void, Error> {
    if let Some(Standing { holder, .. }) = standing(key)? {
        if is_outer(holder) {
            return scope::cover(holder, None).map(|()| null_mut());
        }
        // SAFETY: As in `standing`.
        if unsafe { holder.as_ref() }.rules.get().reachable() {
            let thread = record::attached()?;
            let value = exchange::take(thread.map(), holder)?.ok_or(Error::Absent)?;
            hand_over(thread, holder);
            return Ok(value);
        }
    }
    let (thread, holder) = take_out(key)?.ok_or(Error::Absent)?;
    // SAFETY: It has left the table and is not finished yet.
    let value = unsafe { holder.as_ref() }.value.get();
    hand_over(thread, holder);
    Ok(value)
}

/// Finishes a record whose value the caller has taken.
fn hand_over(thread: &ThreadRecord, holder: HolderPointer) {
    let map = thread.map();
    // SAFETY: It has left the table and is not finished yet.
    if unsafe { holder.as_ref() }.callbacks.get() == 0 {
        finish(thread, map, holder);
    } else {
        // A callback of this very entry is further out on the stack, and
        // finishes the record when it returns.
        map.begin_ending(holder);
    }
}

/// Removes the value and ends it; hides one that was set outside of the scope
/// that is open. No value is no error.
///
/// # Errors
///
/// [`Error::BadKey`], [`Error::DeadKey`]; [`Error::NoMemory`] when hiding.
pub fn remove(key: u64) -> Result<(), Error> {
    if let Some(Standing { holder, .. }) = standing(key)? {
        if is_outer(holder) {
            return scope::cover(holder, None);
        }
    }
    if let Some((thread, holder)) = take_out(key)? {
        end_value(thread, thread.map(), holder, Reason::Removed);
    }
    Ok(())
}

/// Removes and ends all values of the calling thread, the youngest first; hides
/// those that were set outside of the scope that is open. What callbacks set
/// meanwhile stays.
///
/// # Errors
///
/// [`Error::NoMemory`] when hiding; nothing has changed then.
pub fn remove_all() -> Result<(), Error> {
    let Some(thread) = record::current() else { return Ok(()) };
    let map = thread.map();
    before_slow_path(map)?;
    let depth = map.scopes.depth();
    scope::hide_outer(map)?;
    super::exit::end_all(thread, map, depth, Reason::Removed);
    if depth > 0 {
        // A worker's values are in no scope.
        super::exit::end_all_of(thread, map, 0, Reason::Removed, |holder| {
            // SAFETY: In the map's list by age, so whole; this thread's map.
            unsafe { holder.as_ref() }.rules.get().worker()
        });
    }
    Ok(())
}
