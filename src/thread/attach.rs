// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a thread is attached, tracked, and let go.
//!
//! ```text
//!                 first set, init, hook or attach
//!   not attached ---------------------------------> attached
//!        ^  ^                                        |    |
//!        |  +----------- tls_thread_detach ----------+    | the thread ends:
//!        |                                                v the OS key's destructor
//!        +------- another key's destructor may <------ pass 1, 2, 3
//!                 use the library again                   |
//!                                                         v pass 4
//!                                                       ended: no more values
//! ```
//!
//! The C library runs the destructors of an ending thread up to four times
//! (POSIX, `pthread_key_create`). The thread's record goes with the first pass, but
//! the OS key is given a small number instead of it, so that the later passes come
//! here as well: a destructor of somebody else's that sets a value of ours
//! between two passes attaches the thread once more, and the next pass cleans
//! up again. Only after the last one is a value refused ([`Error::Exiting`]),
//! because nobody would ever end it. Passes before the library's first use on a
//! thread can't be seen, so there the count is too low: a value of the last pass is
//! stored and stays (`foreign_destructors.c`).
//!
//! While a pass calls back, the OS key has the record again: if the thread is
//! cancelled there, the C library begins its passes anew, and comes here with it.
//!
//! A thread that got no OS key is *untracked*: everything works, but its end
//! can't be seen, and it must be detached by hand.
//!
//! This and `capi` are the only places that ask which thread is calling.

use core::ffi::c_void;
use core::ptr::{null, null_mut, NonNull};

use super::exit::{end_thread, recover_calls};
use super::{fork, spare};
use crate::error::{Error, Reason};
use crate::local::maps;
use crate::local::retire::recover;
use crate::local::thread::Thread;
use crate::sys::array::Array;
use crate::sys::memory::OutOfMemory;
use crate::sys::os_key::{OsKey, DESTRUCTOR_PASSES};
use crate::sys::sync::Ordering;
use crate::sys::{block, memory, thread_id};

static OS_KEY: OsKey = OsKey::new(on_thread_exit);

/// The calling thread, if it is attached and nothing is in the way; else
/// [`current`] says more.
#[inline(always)]
pub fn ready() -> Option<&'static Thread> {
    let word = block::thread_unless_allocating();
    Thread::of_word(word).filter(|_| !fork::is_near())
}

/// The calling thread, if it is attached. Errors: `Reentrant` inside one of the
/// library's own allocations.
pub fn current() -> Result<Option<&'static Thread>, Error> {
    if block::is_allocating() {
        return Err(Error::Reentrant);
    }
    fork::check();
    Ok(Thread::current())
}

/// The calling thread; attaches it if need be. Errors: `NoMemory`; `Exiting` after the
/// thread's last pass; `Reentrant` inside one of the library's own allocations.
#[inline(always)]
pub fn attached() -> Result<&'static Thread, Error> {
    match current()? {
        Some(thread) => Ok(thread),
        None => attach(memory::allocate),
    }
}

/// [`attached`], for a call that can't be refused, with a record that is there if memory
/// has run out: then [`detach_if_spare`] follows the call.
pub fn attached_for_cleanup() -> Option<&'static Thread> {
    match current().ok()? {
        Some(thread) => Some(thread),
        None => attach(|| memory::allocate().or_else(|_| spare::take())).ok(),
    }
}

/// Detaches the calling thread if its record is a spare one that no callback has used.
pub fn detach_if_spare() {
    if Thread::current().is_some_and(spare::is_one) {
        detach_if_unused();
    }
}

#[cold]
#[inline(never)]
fn attach(
    allocate: impl FnOnce() -> Result<NonNull<Thread>, OutOfMemory>,
) -> Result<&'static Thread, Error> {
    let passes = block::thread();
    if passes >= DESTRUCTOR_PASSES {
        return Err(Error::Exiting);
    }
    fork::protect()?;
    let memory = allocate()?;
    // SAFETY: Just allocated, all zero, which is a valid one.
    let thread: &'static Thread = unsafe { memory.as_ref() };
    thread.begin();
    thread.passes.set(passes);
    thread.number.set(thread_id::current());
    match track(thread) {
        Ok(()) | Err(Error::Limit) => {}
        Err(error) => {
            free(memory);
            return Err(error);
        }
    }
    // A new map is nobody's.
    let _ = thread.own_map().attach();
    maps::enter(thread.own_map());
    block::set_thread(memory.as_ptr() as usize);
    thread.own_map().publish(thread.number.get());
    Ok(thread)
}

/// Gives the thread to the OS key, if that has not been done. Errors: `Limit` without
/// an OS key, `NoMemory`.
pub fn track(thread: &Thread) -> Result<(), Error> {
    if thread.tracked.get() {
        return Ok(());
    }
    thread.own_map().counters.untracked.store(1, Ordering::Relaxed);
    let key = OS_KEY.get().ok_or(Error::Limit)?;
    OsKey::set(key, core::ptr::from_ref(thread).cast_mut().cast())?;
    thread.tracked.set(true);
    thread.own_map().counters.untracked.store(0, Ordering::Relaxed);
    Ok(())
}

/// Attaches the calling thread and allocates all that its first value needs. Errors: as
/// [`attached`]; `Limit` if the thread's end can't be seen.
pub fn attach_in_full() -> Result<(), Error> {
    let was_attached = current()?.is_some();
    let thread = attached()?;
    thread.check_open()?;
    let outcome = track(thread).and_then(|()| Ok(thread.map().ensure_first()?));
    if outcome.is_err() && !was_attached {
        // A failed call changes nothing. There is no callback to run.
        leave(thread, Reason::Detached);
    }
    outcome
}

/// The calling thread's whole cleanup, now. Errors: `Reentrant` inside a callback of
/// this library.
pub fn detach() -> Result<(), Error> {
    let thread = current()?;
    // Also on a thread that is not attached: a waker may run there.
    if block::is_in_callback() {
        return Err(Error::Reentrant);
    }
    if let Some(thread) = thread {
        leave(thread, Reason::Detached);
    }
    Ok(())
}

/// Detaches the calling thread if it was attached for the sake of a call, and no
/// callback of that has used it.
pub fn detach_if_unused() {
    let Ok(Some(thread)) = current() else { return };
    let is_unused = thread.is_own(thread.map())
        && thread.own_map().was_never_used()
        && thread.hooks.iter().all(Array::is_empty)
        && !block::is_in_callback()
        && thread.calls.get().is_null();
    if is_unused {
        leave(thread, Reason::Detached);
    }
}

/// Ends all values, and the thread's record.
fn leave(thread: &'static Thread, reason: Reason) {
    thread.flushing.set(false);
    recover(thread, thread.map());
    recover_calls(thread);
    if let Some(map) = thread.switched_map() {
        // The map outlives the thread: the one who has it next goes on.
        // SAFETY: It was current, so it lives.
        let map = unsafe { map.as_ref() };
        thread.switch(None);
        map.detach();
    }
    // SAFETY: It is attached to this thread, so nobody destroys it.
    if let Some(beneath) = unsafe { thread.beneath.replace(null()).as_ref() } {
        beneath.detach();
    }
    end_thread(thread, reason);
    let passes = thread.passes.get();
    if thread.tracked.get() {
        arm(passes);
    }
    maps::leave(thread.own_map());
    thread.own_map().publish_nothing();
    block::set_thread(passes);
    thread.own_map().release_memory();
    free(NonNull::from(thread));
}

/// Frees a thread's record that no word of the thread leads to (any more).
fn free(thread: NonNull<Thread>) {
    if !spare::give_back(thread) {
        // SAFETY: `attach` allocated it, and nobody uses it.
        unsafe { memory::free(thread) };
    }
}

/// Has the OS key call again with one more than the number of passes that were
/// seen; after the last, it does not call at all. So passes are counted from the
/// first on, also of a thread that is detached when it ends.
fn arm(passes: usize) {
    let none = passes >= DESTRUCTOR_PASSES;
    set_os_value(if none { null_mut() } else { (passes + 1) as *mut c_void });
}

fn set_os_value(value: *mut c_void) {
    let Some(key) = OS_KEY.get() else { return };
    // The C library's room for this thread's value is there already: it held
    // the record, or the pass that is running.
    let _ = OsKey::set(key, value);
}

unsafe extern "C" fn on_thread_exit(value: *mut c_void) {
    // What `arm` has stored is what this pass makes of it.
    let passes = value as usize;
    fork::check();
    if let Some(thread) = Thread::current().filter(|_| passes > DESTRUCTOR_PASSES) {
        // Before anything is called: see the module's text.
        set_os_value(value);
        // Callbacks that did not return: their frames are gone.
        block::forget_callbacks();
        thread.passes.set((thread.passes.get() + 1).min(DESTRUCTOR_PASSES));
        leave(thread, Reason::ThreadExit);
        return;
    }
    block::set_thread(passes);
    arm(passes);
}
