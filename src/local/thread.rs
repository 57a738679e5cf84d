// SPDX-License-Identifier: MIT OR Apache-2.0
//! A thread: its own map, the map that it works on, and its calls in progress.
//!
//! ```text
//!   thread-local words            heap
//!   +-------+------+-------+--------+
//!   | table | mask | stale | thread |     crate::sys::block
//!   +---|---+------+---|---+---|----+
//!       |              |       v
//!       |              |    Thread: own map, calls, hooks, ...
//!       |              |       |
//!       |              v       v
//!       |   +-> Map  [ inbox | counters | order, pool ]<--- its records
//!       |   |          ThreadLocalMap ------+
//!       v   v                               |
//!       [ Entry | Entry | ... | records ] <-+
//! ```
//!
//! How a thread comes and goes is in `crate::thread::attach`.

use core::iter::successors;
use core::ptr::{null, NonNull};

use super::hooks::Waiting;
use super::map::Map;
use crate::error::Error;
use crate::key;
use crate::key::call::Call;
use crate::key::slot::KeySlot;
use crate::sys::array::Array;
use crate::sys::block;
use crate::sys::os_key::DESTRUCTOR_PASSES;
use crate::sys::sync::Cell;

/// A thread that is attached. All zero: nothing yet.
#[repr(C)]
pub struct Thread {
    own: Map,
    current: Cell<*const Map>,
    /// While it works on another map ([`with_map`](Self::with_map)): the one that it had
    /// switched to before, if any. That stays attached.
    pub beneath: Cell<*const Map>,
    /// Calls in progress, the innermost first.
    pub calls: Cell<*const Call>,
    /// Hooks of the thread's end, the latest last: those that run before its values end,
    /// and those that run after.
    pub hooks: [Array<Waiting>; 2],
    /// Destructor passes that had been seen when it was made.
    pub passes: Cell<usize>,
    /// The OS key has this thread.
    pub tracked: Cell<bool>,
    /// The last round is over: nothing new can be stored.
    pub closing: Cell<bool>,
    /// A slow path is destroying stale values, further out on this stack.
    pub flushing: Cell<bool>,
    /// Goes up whenever it takes values of other maps, or of all.
    pub takes: Cell<u32>,
    /// The number that the OS shows for the thread.
    pub number: Cell<u64>,
    /// The slot that this thread's last key left, for its next key, or null.
    spare_slot: Cell<*const KeySlot>,
    /// The key that this thread made last, and its slot. Never out of date: a
    /// handle leads to one slot for ever.
    latest: Cell<(u64, *const KeySlot)>,
}

impl Thread {
    /// The calling thread, if it is attached.
    #[inline(always)]
    pub fn current() -> Option<&'static Self> {
        Self::of_word(block::thread())
    }

    /// The thread whose [word](block::thread) this is, the calling one.
    #[inline(always)]
    pub fn of_word(word: usize) -> Option<&'static Self> {
        if word <= DESTRUCTOR_PASSES {
            return None;
        }
        // SAFETY: This thread stored the address of its record there, and clears
        // it before the record is freed.
        Some(unsafe { &*(word as *const Self) })
    }

    /// Works on its own map, when it was just made.
    pub fn begin(&self) {
        self.current.set(&raw const self.own);
    }

    /// The map that the thread works on.
    #[inline(always)]
    pub fn map(&self) -> &'static Map {
        // SAFETY: Set when the thread was attached, to a map that lives at least
        // until the thread has another or is let go.
        unsafe { &*self.current.get() }
    }

    /// The thread's own map.
    pub fn own_map(&self) -> &Map {
        &self.own
    }

    /// Whether it is the thread's own map.
    pub fn is_own(&self, map: &Map) -> bool {
        core::ptr::eq(map, &raw const self.own)
    }

    /// The map that the thread has switched to, if not its own.
    pub fn switched_map(&self) -> Option<NonNull<Map>> {
        let map = self.current.get();
        (!core::ptr::eq(map, &raw const self.own)).then(|| NonNull::from(self.map()))
    }

    /// Publishes another map, and works on it from now on; `None`: its own.
    #[inline(always)]
    pub fn switch(&self, map: Option<NonNull<Map>>) {
        // The table of the one stays in sight until the other's is published.
        self.map().unpublish();
        self.current.set(map.map_or(&raw const self.own, |map| map.as_ptr().cast_const()));
        self.map().publish(self.number.get());
    }

    /// Runs `work` on another map, which this thread has; the one that was current
    /// stays this thread's meanwhile.
    pub fn with_map(&self, map: Option<NonNull<Map>>, work: impl FnOnce()) {
        let previous = self.switched_map();
        self.beneath.set(previous.map_or(null(), |map| map.as_ptr().cast_const()));
        self.switch(map);
        work();
        self.switch(previous);
        self.beneath.set(null());
    }

    /// Whether the thread may store something new. Errors: `Exiting`.
    #[inline(always)]
    pub fn check_open(&self) -> Result<(), Error> {
        (!self.closing.get()).then_some(()).ok_or(Error::Exiting)
    }

    /// Whether the thread would keep a free slot, and has none.
    #[inline(always)]
    pub fn has_place_for_slot(&self) -> bool {
        !self.closing.get() && self.spare_slot.get().is_null()
    }

    /// Keeps a free slot for the thread's next key.
    #[inline(always)]
    pub fn keep_slot(&self, slot: &'static KeySlot) {
        self.spare_slot.set(slot);
    }

    /// The free slot that the thread has kept, if any: the caller's from now on.
    #[inline(always)]
    pub fn take_slot(&self) -> Option<&'static KeySlot> {
        // SAFETY: Slots live for ever; this thread alone has a free one.
        unsafe { self.spare_slot.replace(null()).as_ref() }
    }

    /// Remembers the slot of the key that this thread has just made.
    #[inline(always)]
    pub fn remember(&self, key: u64, slot: &'static KeySlot) {
        self.latest.set((key, slot));
    }

    /// The slot of a key that is alive, or that this thread made last: its rules are
    /// the key's, then, or those of a later key in the slot. Errors: `BadKey`, `DeadKey`.
    #[inline(always)]
    pub fn slot_of(&self, key: u64) -> Result<&'static KeySlot, Error> {
        let (latest, slot) = self.latest.get();
        // SAFETY: Slots live for ever.
        match unsafe { slot.as_ref() } {
            Some(slot) if latest == key => Ok(slot),
            _ => key::live(key),
        }
    }

    /// The calls in progress, the innermost first. The latest one that was handed out
    /// may end.
    pub fn chain(&self) -> impl Iterator<Item = &'static Call> {
        Self::chain_of(Some(self))
    }

    /// As [`chain`](Self::chain); without a thread there are none.
    pub fn chain_of(thread: Option<&Self>) -> impl Iterator<Item = &'static Call> {
        // SAFETY: In the chain, so whole: it is part of what the call is about.
        let at = |call: *const Call| unsafe { call.as_ref::<'static>() };
        let first = thread.and_then(|thread| at(thread.calls.get()));
        successors(first, move |call| at(call.outer()))
    }
}
