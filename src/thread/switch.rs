// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maps that are not a thread's own: made, switched to, destroyed.
//!
//! For threads that are not the operating system's (fibers, coroutines), and
//! for tests that need several maps in one thread. A map is *attached* to at
//! most one thread at a time, which is its owner then. While it is detached
//! nobody is: its inbox goes on filling, and the one who attaches or destroys it
//! drains it.
//!
//! Attaching is an `Acquire` exchange and detaching a `Release` store of one
//! word, so that the next owner sees everything that the last one did.
//!
//! A switch inside a callback is refused: the code further out on the stack
//! has a map in its hands.

use core::ptr::NonNull;

use super::exit::end_map;
use crate::error::{Error, Reason};
use crate::local::map::{Kind, Map};
use crate::local::maps;
use crate::local::thread::Thread;
use crate::sys::{block, memory};

/// Makes an empty map that is attached to no thread. Errors: `NoMemory`.
pub fn create() -> Result<NonNull<Map>, Error> {
    let map = memory::allocate::<Map>()?;
    // SAFETY: Just allocated, all zero, which is a valid map.
    let fields = unsafe { map.as_ref() };
    fields.kind.set(Kind::Moving);
    maps::enter(fields);
    Ok(map)
}

/// Destroys all values of a map, and the map. Errors: `Busy` while it is attached, to
/// this thread too; `Reentrant` inside a callback; `Exiting`.
///
/// Safety: `map` is from [`create`] and not destroyed yet.
pub(crate) unsafe fn destroy(thread: &Thread, map: NonNull<Map>) -> Result<(), Error> {
    if block::is_in_callback() {
        return Err(Error::Reentrant);
    }
    thread.check_open()?;
    // SAFETY: The caller: it is a living map.
    let fields = unsafe { map.as_ref() };
    fields.attach()?;
    thread.with_map(Some(map), || end_map(thread, fields, Reason::MapDestroyed));
    maps::leave(fields);
    fields.release_memory();
    // SAFETY: `create` allocated it; no thread has it.
    unsafe { memory::free(map) };
    Ok(())
}

/// Makes a map the thread's current one; `None`: the thread's own. Returns the one that
/// was, `None` for the thread's own. Errors: `Busy` if another thread has it;
/// `Reentrant` inside a callback; `Exiting`.
///
/// Safety: `map` is from [`create`] and not destroyed yet.
#[inline(always)]
pub(crate) unsafe fn switch(
    thread: &Thread,
    map: Option<NonNull<Map>>,
) -> Result<Option<NonNull<Map>>, Error> {
    if block::is_in_callback() {
        return Err(Error::Reentrant);
    }
    thread.check_open()?;
    let previous = thread.switched_map();
    if map == previous {
        return Ok(previous);
    }
    if let Some(map) = map {
        // SAFETY: The caller: it is a living map.
        unsafe { map.as_ref() }.attach()?;
    }
    thread.switch(map);
    if let Some(previous) = previous {
        // SAFETY: It was current, so it lives.
        unsafe { previous.as_ref() }.detach();
    }
    Ok(previous)
}
