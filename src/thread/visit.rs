//! Looking at all threads' values of an enumerable key while they run.
//!
//! # The idea
//!
//! With the key's lock and the map's, a value is read and its record marked;
//! then the visitor is called with no lock held. Meanwhile the owner may do what
//! it likes: a value that it replaces or removes is *put off*, and ends when the
//! last visitor has left it: on the owner, when it next expunges; on the
//! visitor, if the key allows any thread, or if the owner has gone.
//!
//! # Invariants
//!
//! Those of [`super::reach`], and
//!
//! 4. A record with visitors stays in its key's list, where it is: so a visitor
//!    finds the next one, whatever has happened meanwhile.

use core::cell::Cell;
use core::ffi::c_void;
use core::ptr::{null_mut, NonNull};

use super::destroy::slot_of;
use super::keys::{self, notify};
use super::map::Map;
use super::reach::{end, fields};
use super::record::{self, ThreadRecord};
use super::wait;
use crate::error::{Error, Reason};
use crate::key::holder::{Holder, HolderList, HolderPointer, KeyLinks, Mailbox, Notice};
use crate::key::holders::has_vanished;
use crate::key::options::Rules;
use crate::key::slot::KeySlot;
use crate::key::{self, handle};
use crate::sys::memory;
use crate::sys::sync::Ordering;

/// What a visit calls with each value.
pub type Visit = unsafe extern "C" fn(value: *mut c_void, thread: u64, argument: *mut c_void);

/// A call that goes over all values of a key. It has a reference to the key,
/// and is one of those who visit it.
///
/// In a chain of the calling thread's, the innermost first, and not on the
/// stack: so a fork finds it, and so does the thread's exit, should the visitor
/// never return.
pub struct Visiting {
    slot: Cell<*const KeySlot>,
    /// The record whose value is being visited, or null.
    at: Cell<*mut Holder>,
    outer: Cell<*mut Visiting>,
}

impl Visiting {
    /// Runs `work` as a visit of the key, if its rules are as `allowed` says.
    /// One that `takes` values is alone.
    pub(super) fn run<T>(
        key: u64,
        takes: bool,
        allowed: impl Fn(Rules) -> bool,
        work: impl FnOnce(&ThreadRecord, &KeySlot, &Self) -> T,
    ) -> Result<T, Error> {
        let slot = key::find(key)?;
        if !allowed(slot.rules(handle::generation(key))?) {
            return Err(Error::Invalid);
        }
        slot.retain(handle::generation(key))?;
        let begun = Self::begin(slot, takes);
        let Ok((thread, visiting)) = begun else {
            keys::release(key)?;
            return Err(begun.err().unwrap_or(Error::Busy));
        };
        // SAFETY: Just begun; it lives until `end`.
        let result = work(thread, slot, unsafe { visiting.as_ref() });
        // SAFETY: The innermost, begun above.
        unsafe { Self::end(thread, visiting) };
        Ok(result)
    }

    /// Joins those who visit the key, of which the caller has a reference.
    fn begin(slot: &KeySlot, takes: bool) -> Result<(&'static ThreadRecord, NonNull<Self>), Error> {
        let memory = memory::allocate::<Self>()?;
        let join = || slot.visits().get().join(takes).map(|visits| slot.visits().set(visits));
        let joined = slot.with_holders(|_| join()).ok_or(Error::Busy);
        // The thread is attached last: a call that fails changes nothing.
        let thread = joined.and_then(|()| {
            record::attached().inspect_err(|_| {
                slot.with_holders(|_| slot.visits().set(slot.visits().get().leave()));
            })
        });
        let thread = thread.inspect_err(|_| {
            // SAFETY: Allocated above; nobody has seen it.
            unsafe { memory::free(memory) };
        })?;
        // SAFETY: Just allocated, all zero, which is a valid one.
        let visiting = unsafe { memory.as_ref() };
        visiting.slot.set(slot);
        visiting.outer.set(thread.visits.replace(memory.as_ptr()));
        Ok((thread, memory))
    }

    /// Leaves the key: takes the mark of the value back that is being visited,
    /// and the reference.
    ///
    /// # Safety
    ///
    /// `visiting` is the innermost of `thread`, which is the calling one.
    unsafe fn end(thread: &ThreadRecord, visiting: NonNull<Self>) {
        // SAFETY: The caller: it is in the chain, so whole.
        let fields = unsafe { visiting.as_ref() };
        thread.visits.set(fields.outer.get());
        // SAFETY: Slots live for ever.
        let slot = unsafe { &*fields.slot.get() };
        let left = slot.with_holders(|list| {
            slot.visits().set(slot.visits().get().leave());
            NonNull::new(fields.at.get()).map_or(Left::Nothing, |at| leave(list, at))
        });
        // SAFETY: `begin` allocated it; it has left the chain.
        unsafe { memory::free(visiting) };
        finish_left(thread, slot, left);
        // It had a reference, so the key is alive.
        let released =
            keys::release(handle::combine(handle::home(slot.index()), slot.generation()));
        debug_assert_eq!(released, Ok(()));
        wait::changed();
    }
}

impl ThreadRecord {
    /// Runs `visit` for each visit of this thread: the key's slot, and the
    /// record whose value is being visited, or null.
    pub(super) fn for_each_visit(&self, visit: impl Fn(&KeySlot, *mut Holder)) {
        let mut next = self.visits.get();
        while let Some(visiting) = NonNull::new(next) {
            // SAFETY: In the chain, so whole; this thread's alone.
            let fields = unsafe { visiting.as_ref() };
            next = fields.outer.get();
            // SAFETY: Slots live for ever.
            visit(unsafe { &*fields.slot.get() }, fields.at.get());
        }
    }

    /// Ends visits whose visitor never returned.
    pub(super) fn end_visits(&self) {
        while let Some(visiting) = NonNull::new(self.visits.get()) {
            // SAFETY: The innermost of this thread.
            unsafe { Visiting::end(self, visiting) };
        }
    }
}

/// Calls `visit` with every thread's value of an enumerable key.
///
/// # Errors
///
/// [`Error::Invalid`] for another key; [`Error::Busy`] while values of it are
/// taken; [`Error::BadKey`], [`Error::DeadKey`], [`Error::NoMemory`],
/// [`Error::Exiting`].
#[allow(clippy::not_unsafe_ptr_arg_deref)] // nothing here dereferences it
pub fn for_each(key: u64, visit: Visit, argument: *mut c_void) -> Result<(), Error> {
    Visiting::run(key, false, Rules::enumerable, |thread, slot, visiting| loop {
        let last = NonNull::new(visiting.at.get());
        let (found, left) = slot.with_holders(|list| {
            let (found, left) = step(list, last);
            // With the lock, so that a fork finds the marks and this alike.
            visiting.at.set(found.map_or(null_mut(), |(holder, ..)| holder.as_ptr()));
            (found, left)
        });
        finish_left(thread, slot, left);
        let Some((_, value, owner)) = found else { break };
        // SAFETY: The caller promises a function that may be called with each
        // value; no lock is held, and the record's mark keeps the value alive.
        thread.call_out(|| unsafe { visit(value, owner, argument) });
    })
}

/// Marks the next standing value after `last`, and takes `last`'s mark back.
fn step(
    list: &HolderList<KeyLinks>,
    last: Option<HolderPointer>,
) -> (Option<(HolderPointer, *mut c_void, u64)>, Left) {
    let mut next = match last {
        Some(last) => NonNull::new(fields(last).next.get()),
        None => list.first(),
    };
    let mut found = None;
    while let Some(holder) = next {
        next = NonNull::new(fields(holder).next.get());
        if has_vanished(fields(holder)) {
            continue;
        }
        // SAFETY: In the list, and the lock is held.
        let map = unsafe { Map::of(holder) };
        if let Some(value) = map.peek(holder) {
            fields(holder).visitors.set(fields(holder).visitors.get() + 1);
            found = Some((holder, value, map.mailbox.owner.load(Ordering::Relaxed)));
            break;
        }
    }
    (found, last.map_or(Left::Nothing, |last| leave(list, last)))
}

/// What the last visitor of a value has to do after it.
enum Left {
    Nothing,
    /// The owner is to end the value.
    Told(Option<Notice>),
    /// The visitor ends the value; the record is the owner's.
    End(*mut c_void, u8),
    /// The visitor ends the value, and frees the record.
    EndAndFree(*mut c_void, u8, HolderPointer),
}

/// Takes a visitor's mark back.
fn leave(list: &HolderList<KeyLinks>, holder: HolderPointer) -> Left {
    let record = fields(holder);
    record.visitors.set(record.visitors.get() - 1);
    let reason = record.deferred.get();
    if record.visitors.get() > 0 || reason == 0 {
        return Left::Nothing;
    }
    if record.abandoned.get() {
        // SAFETY: In the list, and the lock is held.
        unsafe { list.remove(holder) };
        return Left::EndAndFree(record.value.get(), reason, holder);
    }
    // SAFETY: In the list, and the lock is held.
    let mailbox = &unsafe { Map::of(holder) }.mailbox;
    if !record.rules.get().any() {
        // The owner finds it among those it has put off.
        mailbox.stale.fetch_add(1, Ordering::Relaxed);
        return Left::Told(mailbox.notice());
    }
    let value = record.value.get();
    let owes = mailbox.lock.with(|| {
        record.reaped.set(true);
        record.owes.set(record.replacing.get() > 0);
        record.owes.get()
    });
    if !owes {
        // SAFETY: In the list, and the lock is held.
        unsafe { list.remove(holder) };
        record.orphaned.set(true);
        // SAFETY: Just orphaned, and the lock is held.
        unsafe { mailbox.put(holder, false) };
    }
    Left::End(value, reason)
}

fn finish_left(thread: &ThreadRecord, slot: &KeySlot, left: Left) {
    let thread = Some(thread);
    match left {
        Left::Nothing => {}
        Left::Told(notice) => notice.into_iter().for_each(|notice| notify(thread, notice)),
        Left::End(value, reason) => end(thread, slot, value, i32::from(reason)),
        Left::EndAndFree(value, reason, holder) => {
            end(thread, slot, value, i32::from(reason));
            // SAFETY: Its map has given it up, and it is in no list.
            unsafe { memory::free(holder) };
        }
    }
}

/// Puts the end of a value off if somebody visits it. Its record has left the
/// table, and is in `ending`.
pub(super) fn put_off(map: &Map, holder: HolderPointer, reason: Reason) -> bool {
    let record = fields(holder);
    let slot = slot_of(record);
    if !record.rules.get().enumerable() || map.is_reaped(holder) {
        return false;
    }
    slot.with_holders(|_| {
        let visited = record.visitors.get() > 0;
        if visited {
            record.deferred.set(reason as u8);
            map.put_off().set(map.put_off().get() + 1);
        }
        visited
    })
}

/// A value whose end was put off and which nobody visits any more; with the
/// reason, and with whether a burial has put its record into the mailbox. (It
/// has been counted as stale once: by its last visitor.)
pub(super) fn take_put_off(map: &Map) -> Option<(HolderPointer, u8, bool)> {
    if map.put_off().get() == 0 {
        return None;
    }
    let taken = Cell::new((0, false));
    let found = map.find_ending(|holder| {
        let record = fields(holder);
        record.deferred.get() != 0
            && slot_of(record).with_holders(|_| {
                let left = record.visitors.get() == 0 && !record.reaped.get();
                if left {
                    taken.set((record.deferred.replace(0), record.orphaned.get()));
                }
                left
            })
    })?;
    map.put_off().set(map.put_off().get() - 1);
    let (reason, orphaned) = taken.get();
    Some((found, reason, orphaned))
}

/// The value of a record has been ended by its last visitor, if its end was put
/// off at all.
pub(super) fn forget_put_off(map: &Map, holder: HolderPointer) {
    let record = fields(holder);
    // Under the lock, like every change of it.
    if slot_of(record).with_holders(|_| record.deferred.replace(0)) != 0 {
        map.put_off().set(map.put_off().get() - 1);
    }
}

/// The map is going: leaves every value whose end is put off to its visitors.
pub(super) fn abandon(map: &Map, holder: HolderPointer) -> bool {
    /// What stands for the map of a record whose map is gone.
    static GONE: Mailbox = Mailbox::new();
    let record = fields(holder);
    if record.deferred.get() == 0 {
        return false;
    }
    let slot = slot_of(record);
    let visited = slot.with_holders(|_| {
        let visited = record.visitors.get() > 0;
        if visited {
            record.abandoned.set(true);
            record.mailbox.set(&raw const GONE);
        }
        visited
    });
    if visited {
        map.forget_record();
    }
    visited
}
