//! A thread's record: how it is attached, watched, and let go.
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
//! (POSIX, `pthread_key_create`). The record goes with the first pass, but the
//! OS key is given a small number instead of it, so that the later passes come
//! here as well: a destructor of somebody else's that sets a value of ours
//! between two passes attaches the thread once more, and the next pass cleans
//! up again. Only after the last one is a value refused ([`Error::Exiting`]),
//! because nobody would ever end it.
//!
//! A thread that got no OS key is *unwatched*: everything works, but its end
//! can't be seen, and it must be detached by hand.

use core::cell::Cell;
use core::ffi::c_void;
use core::ptr::{null, null_mut, NonNull};

use super::context::Context;
use super::exit::{end_thread, recover, Hook};
use super::init::InitFrame;
use super::map::Map;
use super::visit::Visiting;
use super::{fork, stats};
use crate::error::{Error, Reason};
use crate::key::slot::KeySlot;
use crate::key::{self, handle};
use crate::sys::os_key::{OsKey, DESTRUCTOR_PASSES};
use crate::sys::sync::Ordering;
use crate::sys::{block, memory, thread_id};

/// The one OS key.
static OS_KEY: OsKey = OsKey::new(on_thread_exit);

/// What a thread has beside its map. All zero: nothing yet.
#[repr(C)]
pub struct ThreadRecord {
    /// The thread's own map.
    own: Map,
    /// The map that the thread works on.
    current: Cell<*const Map>,
    /// While it destroys a map: the one that it had switched to before, if any.
    /// That stays attached.
    pub(super) beneath: Cell<*const Map>,
    /// Callbacks of ours that are running on this thread, one in the other.
    pub callback_depth: Cell<u32>,
    /// Keys whose init callback is running, the innermost first.
    pub initialising: Cell<*const InitFrame>,
    /// Cleanup hooks, the latest first.
    pub hooks: Cell<*mut Hook>,
    /// Those of the round that is running, and not called yet.
    pub hooks_of_round: Cell<*mut Hook>,
    /// Destructor passes that had been seen when it was made.
    passes: Cell<usize>,
    /// The OS key has this record.
    watched: Cell<bool>,
    /// The last round is over: nothing new can be stored.
    pub closing: Cell<bool>,
    /// Visits of all values of a key that are running, the innermost first.
    pub visits: Cell<*mut Visiting>,
    /// Contexts that this thread builds or frees, the innermost first.
    pub contexts: Cell<*mut Context>,
    /// The number that the OS shows for the thread.
    pub number: Cell<u64>,
    /// The slot whose burial this thread owes, the innermost first.
    pub burials: Cell<*const KeySlot>,
    /// The slot whose `user_free` runs on this thread, the innermost first.
    pub last_calls: Cell<*const KeySlot>,
    /// The slot that this thread's last key left, for its next key, or null.
    spare_slot: Cell<*const KeySlot>,
    /// The key that this thread made last, and its slot. Never out of date: a
    /// handle leads to one slot for ever.
    latest: Cell<(u64, *const KeySlot)>,
}

/// The calling thread's record, if it is attached.
#[inline]
#[must_use]
pub fn current() -> Option<&'static ThreadRecord> {
    let word = block::thread();
    if word <= DESTRUCTOR_PASSES {
        return None;
    }
    // SAFETY: This thread stored the address of its record there, and clears
    // it before the record is freed.
    Some(unsafe { &*(word as *const ThreadRecord) })
}

/// The calling thread's record; attaches the thread if need be.
///
/// # Errors
///
/// [`Error::NoMemory`]; [`Error::Exiting`] after the thread's last pass.
pub fn attached() -> Result<&'static ThreadRecord, Error> {
    match current() {
        Some(thread) if thread.closing.get() => Err(Error::Exiting),
        Some(thread) => Ok(thread),
        None => attach(),
    }
}

#[cold]
fn attach() -> Result<&'static ThreadRecord, Error> {
    let passes = block::thread();
    if passes >= DESTRUCTOR_PASSES {
        return Err(Error::Exiting);
    }
    fork::protect()?;
    let memory = memory::allocate::<ThreadRecord>()?;
    // SAFETY: Just allocated, all zero, which is a valid record.
    let thread: &'static ThreadRecord = unsafe { memory.as_ref() };
    thread.current.set(&raw const thread.own);
    thread.passes.set(passes);
    thread.number.set(thread_id::current());
    match thread.watch() {
        Ok(()) | Err(Error::Limit) => {}
        Err(error) => {
            // SAFETY: Allocated above; nobody has seen it.
            unsafe { memory::free(memory) };
            return Err(error);
        }
    }
    // A new map is nobody's.
    let _ = thread.own.attach();
    stats::enter(&thread.own);
    block::set_thread(memory.as_ptr() as usize);
    thread.own.show(thread.number.get());
    Ok(thread)
}

/// Attaches the calling thread and allocates all that its first value needs.
///
/// # Errors
///
/// [`Error::NoMemory`], [`Error::Exiting`]; [`Error::Limit`] if the thread's
/// end can't be seen.
pub fn attach_in_full() -> Result<(), Error> {
    let was_attached = current().is_some();
    let thread = attached()?;
    let outcome = thread.watch().and_then(|()| thread.map().provide());
    if outcome.is_err() && !was_attached {
        // A failed call changes nothing. There is no callback to run.
        thread.leave(Reason::Detached);
    }
    outcome
}

/// The calling thread's whole cleanup, now.
///
/// # Errors
///
/// [`Error::Reentrant`] inside a callback of this library.
pub fn detach() -> Result<(), Error> {
    let Some(thread) = current() else { return Ok(()) };
    if thread.callback_depth.get() > 0 {
        return Err(Error::Reentrant);
    }
    thread.leave(Reason::Detached);
    Ok(())
}

/// Detaches the calling thread if it was attached for the sake of a call, and no
/// callback of that has used it.
pub(super) fn detach_if_unused() {
    if let Some(thread) = current().filter(|thread| thread.is_unused()) {
        thread.leave(Reason::Detached);
    }
}

impl ThreadRecord {
    /// Whether the thread has nothing that its end would have to see to, and is
    /// in no callback.
    fn is_unused(&self) -> bool {
        self.is_own(self.map())
            && self.own.was_never_used()
            && self.hooks.get().is_null()
            && self.callback_depth.get() == 0
            && self.visits.get().is_null()
            && self.contexts.get().is_null()
    }

    /// The map that the thread works on.
    #[inline]
    #[must_use]
    pub fn map(&self) -> &'static Map {
        // SAFETY: Set when the record was made, to a map that lives at least
        // until the thread has another or is let go.
        unsafe { &*self.current.get() }
    }

    /// Keeps a free slot for the thread's next key (or none); returns the one
    /// that it had kept.
    pub fn exchange_spare_slot(&self, slot: Option<&'static KeySlot>) -> Option<&'static KeySlot> {
        let kept = self.spare_slot.replace(slot.map_or(null(), core::ptr::from_ref));
        // SAFETY: Slots live for ever; this thread alone has a free one.
        unsafe { kept.as_ref() }
    }

    /// Remembers the slot of the key that this thread has just made.
    pub fn remember(&self, key: u64, slot: &'static KeySlot) {
        self.latest.set((key, slot));
    }

    /// The slot of a live key, at once if this thread made it last.
    ///
    /// # Errors
    ///
    /// [`Error::BadKey`], [`Error::DeadKey`].
    #[inline(always)]
    pub fn live(&self, key: u64) -> Result<&'static KeySlot, Error> {
        let (latest, slot) = self.latest.get();
        if latest != key || slot.is_null() {
            return key::live(key);
        }
        // SAFETY: Slots live for ever.
        let slot = unsafe { &*slot };
        slot.check(handle::generation(key)).map(|()| slot)
    }

    /// The map that the thread has switched to, if not its own.
    #[must_use]
    pub fn visiting(&self) -> Option<NonNull<Map>> {
        let map = self.current.get();
        (!core::ptr::eq(map, &raw const self.own)).then(|| NonNull::from(self.map()))
    }

    /// The thread's own map.
    #[must_use]
    pub fn own_map(&self) -> &Map {
        &self.own
    }

    /// Whether it is the thread's own map.
    #[must_use]
    pub fn is_own(&self, map: &Map) -> bool {
        core::ptr::eq(map, &raw const self.own)
    }

    /// Works on another map from now on; `None`: its own.
    pub(super) fn work_on(&self, map: Option<NonNull<Map>>) {
        self.current.set(map.map_or(&raw const self.own, |map| map.as_ptr().cast_const()));
    }

    /// Runs a callback of the user's, counted.
    pub fn call_out<T>(&self, callback: impl FnOnce() -> T) -> T {
        self.callback_depth.set(self.callback_depth.get() + 1);
        let result = callback();
        self.callback_depth.set(self.callback_depth.get() - 1);
        result
    }

    /// Gives the record to the OS key, if that has not been done.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] without an OS key, [`Error::NoMemory`].
    pub fn watch(&self) -> Result<(), Error> {
        if self.watched.get() {
            return Ok(());
        }
        self.own.counters.unwatched.store(1, Ordering::Relaxed);
        let key = OS_KEY.get().map_err(|_| Error::Limit)?;
        OsKey::set(key, core::ptr::from_ref(self).cast_mut().cast())?;
        self.watched.set(true);
        self.own.counters.unwatched.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Ends all values, and the record.
    fn leave(&'static self, reason: Reason) {
        // Callbacks that did not return: their frames are gone.
        self.callback_depth.set(0);
        self.initialising.set(null());
        if let Some(visited) = self.visiting() {
            // The map outlives the thread: whoever has it next goes on.
            // SAFETY: It was current, so it lives.
            let visited = unsafe { visited.as_ref() };
            visited.hide();
            self.work_on(None);
            self.own.show(self.number.get());
            recover(self, visited);
            visited.detach();
        }
        // SAFETY: It is attached to this thread, so nobody destroys it.
        if let Some(beneath) = unsafe { self.beneath.replace(null()).as_ref() } {
            beneath.detach();
        }
        end_thread(self, reason);
        let passes = self.passes.get();
        if self.watched.get() && reason == Reason::Detached {
            arm(passes);
        }
        stats::leave(&self.own);
        self.own.hide();
        block::set_thread(passes);
        self.own.release_memory();
        // SAFETY: `attach` allocated it; no word of the thread leads to it.
        unsafe { memory::free(NonNull::from(self)) };
    }
}

/// Has the OS key call again with the number of passes that were seen; with
/// none, it does not call at all.
fn arm(passes: usize) {
    let Ok(key) = OS_KEY.get() else { return };
    let value = if passes == 0 { null_mut() } else { passes as *mut c_void };
    // The C library's room for this thread's value is there already: it held
    // the record, or the pass that is running.
    let _ = OsKey::set(key, value);
}

/// The OS key's destructor: the thread is ending.
unsafe extern "C" fn on_thread_exit(value: *mut c_void) {
    let mut passes = value as usize;
    let thread = current().filter(|_| passes > DESTRUCTOR_PASSES);
    if let Some(thread) = thread {
        passes = thread.passes.get() + 1;
        // Before the record goes: an allocator that uses the library from inside
        // its `free` attaches the thread once more, for the pass after this.
        thread.passes.set(passes);
        thread.leave(Reason::ThreadExit);
        if current().is_some() {
            return;
        }
    } else {
        passes += 1;
        block::set_thread(passes);
    }
    if passes < DESTRUCTOR_PASSES {
        arm(passes);
    }
}
