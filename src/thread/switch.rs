//! Maps that are not a thread's own: made, switched to, destroyed.
//!
//! For threads that are not the operating system's (fibers, coroutines), and
//! for tests that need several maps in one thread. A map is *attached* to at
//! most one thread at a time, which is its owner then. While it is detached
//! nobody is: its mailbox goes on filling, and whoever attaches or destroys it
//! empties it.
//!
//! Attaching is an `Acquire` exchange and detaching a `Release` store of one
//! word, so that the next owner sees everything that the last one did.
//!
//! A switch inside a callback is refused: the code further out on the stack
//! has a map in its hands.

use core::ptr::{null, NonNull};

use super::exit::end_map;
use super::map::{Kind, Map};
use super::record::{self, ThreadRecord};
use super::{fork, stats};
use crate::error::{Error, Reason};
use crate::sys::memory;

/// A map that a thread can switch to.
pub type MapPointer = NonNull<Map>;

/// Makes an empty map that is attached to no thread.
///
/// # Errors
///
/// [`Error::NoMemory`].
pub fn create() -> Result<MapPointer, Error> {
    fork::protect()?;
    let map = memory::allocate::<Map>()?;
    // SAFETY: Just allocated, all zero, which is a valid map.
    let fields = unsafe { map.as_ref() };
    fields.kind.set(Kind::Moving);
    stats::enter(fields);
    Ok(map)
}

/// Ends all values of a map, and the map.
///
/// # Errors
///
/// [`Error::Busy`] while it is attached, to this thread too;
/// [`Error::Reentrant`] inside a callback; [`Error::NoMemory`], [`Error::Exiting`].
///
/// # Safety
///
/// `map` is from [`create`] and not destroyed yet.
pub unsafe fn destroy(map: MapPointer) -> Result<(), Error> {
    let thread = record::attached()?;
    if thread.callback_depth.get() > 0 {
        return Err(Error::Reentrant);
    }
    // SAFETY: The caller: it is a living map.
    let fields = unsafe { map.as_ref() };
    fields.attach()?;
    // The map that was current stays this thread's meanwhile.
    let previous = thread.visiting();
    thread.beneath.set(previous.map_or(null(), |previous| previous.as_ptr().cast_const()));
    work_on(thread, Some(map));
    end_map(thread, fields, Reason::MapDestroyed);
    work_on(thread, previous);
    thread.beneath.set(null());
    stats::leave(fields);
    fields.release_memory();
    // SAFETY: `create` allocated it; no thread has it.
    unsafe { memory::free(map) };
    Ok(())
}

/// Makes a map the calling thread's current one; `None`: the thread's own.
/// Returns the one that was, `None` for the thread's own.
///
/// # Errors
///
/// [`Error::Busy`] if another thread has it; [`Error::Reentrant`] inside a
/// callback; [`Error::NoMemory`], [`Error::Exiting`].
///
/// # Safety
///
/// `map` is from [`create`] and not destroyed yet.
#[inline(always)]
pub unsafe fn switch(map: Option<MapPointer>) -> Result<Option<MapPointer>, Error> {
    let thread = record::attached()?;
    // SAFETY: The caller's premise is the callee's.
    unsafe { switch_on(thread, map) }
}

/// The map that the calling thread has switched to; `None`: its own.
#[must_use]
pub fn current() -> Option<MapPointer> {
    record::current().and_then(ThreadRecord::visiting)
}

#[inline(always)]
unsafe fn switch_on(
    thread: &ThreadRecord,
    map: Option<MapPointer>,
) -> Result<Option<MapPointer>, Error> {
    if thread.callback_depth.get() > 0 {
        return Err(Error::Reentrant);
    }
    let previous = thread.visiting();
    if map == previous {
        return Ok(previous);
    }
    if let Some(map) = map {
        // SAFETY: The caller: it is a living map.
        unsafe { map.as_ref() }.attach()?;
    }
    work_on(thread, map);
    if let Some(previous) = previous {
        // SAFETY: It was current, so it lives.
        unsafe { previous.as_ref() }.detach();
    }
    Ok(previous)
}

/// Shows another map to the calling thread, which has it.
#[inline(always)]
fn work_on(thread: &ThreadRecord, map: Option<MapPointer>) {
    // Its table stays in sight until the other's is shown.
    thread.map().step_back();
    thread.work_on(map);
    thread.map().show(thread.number.get());
}
