// SPDX-License-Identifier: MIT OR Apache-2.0
//! One key's place: its life in one atomic word, its options, its holders.
//!
//! The life of a key is drawn in `docs/architecture.md`. A slot is *free*; its key is
//! *live* from `open` to its last reference or visit, and then *dead*; the slot is
//! free again when the last pin is dropped and `user_free` has run.
//! A slot whose generation is 2^32 - 1 serves no further key.
//!
//! The word is in [`super::word`].
//!
//! # Pins
//!
//! A *pin* keeps the slot of a key as it is, with its callbacks and its `user`, after the
//! key has died. The key itself has one from `open` on, which the release of its last
//! reference drops when it is done. When the key dies, each holder in its chain gets one,
//! dropped when its value has been destroyed. A captured value has one, and so has a
//! running callback of a value that was replaced where another thread may end the entry
//! meanwhile. Who drops the last one runs `user_free` and closes the slot.
//!
//! # Orderings
//!
//! `state`: `open` is `Release` and `check` `Acquire`: who sees the key live sees
//! its callbacks. `retain` and `join` are `Relaxed`: they succeed only from a live
//! state, and publish nothing. `release` and `leave_visit` are `AcqRel`: what any
//! thread did while it kept the key alive comes before what its death leads to.
//! `pins`: dropping one is `Release`, and the last one is seen with `Acquire`, so
//! `user_free` comes after every destroy callback. Adding is `Relaxed`: who adds
//! keeps another pin or the live key meanwhile.

use core::ffi::{c_char, c_void};
use core::iter::successors;
use core::mem::{offset_of, size_of};

use super::call::Call;
use super::handle::{self, first_generation};
use super::holders::{Departure, Holders, LinkPointer};
use super::name::{self, Name};
use super::options::{Callbacks, KeyOptions, Rules, UserFree};
pub use super::word::Released;
use super::word::{references, visits, MOST_REFERENCES, TAKER, VISIT};
use crate::error::Error;
use crate::sys::lock::{Lock, Patience};
use crate::sys::sync::{untracked, AtomicU32, AtomicU64, AtomicU8, Cell, Ordering};

/// How many locks all keys share. The thread sanitizer gives up at more than 64
/// held by one thread.
const LOCK_COUNT: usize = 32;

/// The keys' locks: over their lists of holders, their chains and their names.
static LOCKS: [Apart; LOCK_COUNT] = [const { Apart(Lock::new()) }; LOCK_COUNT];

/// Deaths of keys that left values to others. `Relaxed`: a number for reports.
static DEATHS: untracked::AtomicU32 = untracked::AtomicU32::new(0);

/// A lock on a cache line of its own, so that neighbours do not contend.
#[repr(align(64))]
struct Apart(Lock);

/// One key's place. All zero: never used.
#[repr(C)]
pub struct KeySlot {
    state: AtomicU64,
    holders: Holders,
    pins: AtomicU32,
    /// The next free slot's index plus one, while this one is free. While it serves a key
    /// that [`died_as`](Self::died_as) is of: which death with values left that was.
    pub(super) next_free: AtomicU32,
    /// This slot's index. Written when the slot is first used.
    index: Cell<u32>,
    /// The home of its keys' handles: reversing bits is slow. Written with it.
    home: Cell<u32>,
    /// Who may do what to its values ([`Rules`]). An atomic, for those who have
    /// no record yet.
    rules: AtomicU8,
    /// The generation whose death has a number, in `next_free`.
    died_as: untracked::AtomicU32,
    /// In the chain of the thread that releases the key, or runs its `user_free`.
    pub call: Call,
    /// The live key's name.
    pub(super) name: Name,
    /// Written by `open`, before the key is live; constant until `close`.
    callbacks: Cell<Callbacks>,
}

// SAFETY: Layout: what is not atomic has its rules. `holders` has its own.
// `index` and `home` are written once, before the slot's first key is
// published. `call` is the thread's that ends the key. `callbacks` is written by
// the one thread that has the free slot, and read by threads that have a pin, or
// a record linked, and have seen its key live.
unsafe impl Sync for KeySlot {}

impl KeySlot {
    /// A slot that has never been used: all zero, as in a fresh chunk.
    pub(super) const fn new() -> Self {
        // SAFETY: Numbers, null pointers, no functions.
        unsafe { core::mem::zeroed() }
    }

    pub(super) fn lock(&self) -> &'static Lock {
        &LOCKS[self.index.get() as usize % LOCK_COUNT].0
    }

    /// Runs `work` on the key's holders, with the key's lock.
    #[cfg_attr(modelled, track_caller)]
    pub fn with_holders<T>(&self, work: impl FnOnce(&Holders) -> T) -> T {
        self.lock().with(|| work(&self.holders))
    }

    /// Takes the key's lock, to be [given back](Self::give_back); returns the newest link
    /// of a live key. Until then it is seized by nobody.
    pub fn acquire(&self) -> Option<LinkPointer> {
        self.lock().acquire();
        self.holders.first()
    }

    /// Gives the key's lock back.
    ///
    /// # Safety
    ///
    /// The calling thread has [taken](Self::acquire) it.
    pub unsafe fn give_back(&self) {
        // SAFETY: The caller's premise.
        unsafe { self.lock().release() };
    }

    /// [`with_holders`](Self::with_holders), if the lock can be had.
    pub fn with_holders_patiently<T>(
        &self,
        patience: &Patience,
        work: impl FnOnce(&Holders) -> T,
    ) -> Option<T> {
        self.lock().with_patience(patience, || work(&self.holders))
    }

    /// The slot's generation: that of the key that it serves or served last.
    #[inline]
    pub fn generation(&self) -> u32 {
        (self.state.load(Ordering::Relaxed) >> 32) as u32
    }

    /// Prepares a slot for its first key.
    /// Safety: the caller alone has this slot, and no key has been in it.
    pub(super) unsafe fn number(&self, index: u32) {
        self.index.set(index);
        self.home.set(handle::home(index));
        // Relaxed: of no key's generation.
        self.state.store(u64::from(first_generation() - 1) << 32, Ordering::Relaxed);
    }

    /// This slot's index.
    pub fn index(&self) -> u32 {
        self.index.get()
    }

    /// The handle of the key that it serves or served last.
    pub fn handle(&self) -> u64 {
        handle::combine(self.home.get(), self.generation())
    }

    /// Opens a free slot for a new key with one reference. Returns its handle.
    /// Safety: the caller alone has this slot; `name` is null or [`name::copy`]'s.
    #[inline(always)]
    pub(super) unsafe fn open(&self, options: &KeyOptions, name: *mut c_char) -> u64 {
        let generation = self.generation() + 1;
        self.holders.open();
        let init = Rules::HAS_INIT.given(options.callbacks.init.is_some());
        let destroy = Rules::HAS_DESTROY.given(options.callbacks.destroy.is_some());
        let rules = options.rules.and(init).and(destroy);
        // Release: see `rules`.
        self.rules.store(rules.to_bits(), Ordering::Release);
        self.callbacks.set(options.callbacks);
        // The key's own pin. From here to `close` it is never 0: see `outstanding`.
        self.pins.store(1, Ordering::Relaxed);
        self.name.open(name);
        // Release: the one who sees the key live sees its options.
        self.state.store(u64::from(generation) << 32 | 1, Ordering::Release);
        handle::combine(self.home.get(), generation)
    }

    /// Whether the key of this generation is alive; which error if not. Errors:
    /// `DeadKey`; `BadKey` for a generation yet to come.
    #[inline(always)]
    pub fn check(&self, generation: u32) -> Result<(), Error> {
        // Acquire: with the Release in `open`.
        let state = self.state.load(Ordering::Acquire);
        if (state >> 32) as u32 == generation && state as u32 != 0 {
            return Ok(());
        }
        Err(Self::error_of(state, generation))
    }

    /// Whether the key is alive of which the calling thread has just found an
    /// entry: the slot serves no other while there is one. (Where another thread
    /// may take the value, and the slot go on to another key, the one who asks looks
    /// again with the map's lock.)
    #[inline(always)]
    pub fn check_held(&self) -> Result<(), Error> {
        // Acquire: as in `check`.
        match self.state.load(Ordering::Acquire) as u32 {
            0 => Err(Error::DeadKey),
            _ => Ok(()),
        }
    }

    /// Whether a handle's generation is that of a key that this slot serves or has
    /// served, dead or alive. Errors: `BadKey`.
    pub fn check_past(&self, generation: u32) -> Result<(), Error> {
        let error = Self::error_of(self.state.load(Ordering::Relaxed), generation);
        (error != Error::BadKey).then_some(()).ok_or(error)
    }

    #[cold]
    fn error_of(state: u64, generation: u32) -> Error {
        if generation < first_generation() || generation > (state >> 32) as u32 {
            return Error::BadKey;
        }
        Error::DeadKey
    }

    /// Changes a live key's word; `change` says what to, or why not.
    #[inline(always)]
    fn change_live(
        &self,
        generation: u32,
        ordering: Ordering,
        change: impl Fn(u64) -> Result<u64, Error>,
    ) -> Result<u64, Error> {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            if (state >> 32) as u32 != generation || state as u32 == 0 {
                return Err(Self::error_of(state, generation));
            }
            let new = change(state)?;
            match self.state.compare_exchange_weak(state, new, ordering, Ordering::Relaxed) {
                Ok(_) => return Ok(new),
                Err(now) => state = now,
            }
        }
    }

    /// Adds a reference. Errors: `DeadKey`, `BadKey`; `Limit` past [`MOST_REFERENCES`].
    pub fn retain(&self, generation: u32) -> Result<(), Error> {
        let more = |state| match references(state) {
            MOST_REFERENCES => Err(Error::Limit),
            _ => Ok(state + 1),
        };
        // Relaxed: see the module's text.
        self.change_live(generation, Ordering::Relaxed, more).map(|_| ())
    }

    /// [`release`](Self::release) of the last reference; else false, and nothing done.
    #[inline(always)]
    pub fn release_last(&self, generation: u32) -> bool {
        let last = u64::from(generation) << 32 | 1;
        // AcqRel: see the module's text.
        self.state.compare_exchange(last, last - 1, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Takes a reference away. Errors: `DeadKey`, also if only a visit keeps the key
    /// alive; `BadKey`.
    pub fn release(&self, generation: u32) -> Result<Released, Error> {
        let fewer = |state| match references(state) {
            0 => Err(Error::DeadKey),
            _ => Ok(state - 1),
        };
        // AcqRel: see the module's text.
        let state = self.change_live(generation, Ordering::AcqRel, fewer)?;
        Ok(if state as u32 == 0 { Released::Dead } else { Released::Live })
    }

    /// Begins to go over all values, or to take them. Errors: `Busy` if those who are
    /// there are in the way; `Limit` if they are too many; `DeadKey`, `BadKey`.
    pub fn join(&self, generation: u32, takes: bool) -> Result<(), Error> {
        let joined = |state| match (takes, visits(state)) {
            (true, 0) => Ok(state + VISIT * u64::from(TAKER)),
            (true, _) | (false, TAKER) => Err(Error::Busy),
            (false, number) if number == TAKER - 1 => Err(Error::Limit),
            (false, _) => Ok(state + VISIT),
        };
        // Relaxed: see the module's text.
        self.change_live(generation, Ordering::Relaxed, joined).map(|_| ())
    }

    /// Ends what [`join`](Self::join) began.
    pub fn leave_visit(&self) -> Released {
        let left = |state| {
            let all = visits(state) == TAKER;
            Ok(state - VISIT * if all { u64::from(TAKER) } else { 1 })
        };
        // AcqRel: see the module's text.
        match self.change_live(self.generation(), Ordering::AcqRel, left) {
            Ok(state) if state as u32 == 0 => Released::Dead,
            _ => Released::Live,
        }
    }

    /// Threads that go over all values.
    pub fn visits(&self) -> u32 {
        match visits(self.state.load(Ordering::Relaxed)) {
            TAKER => 1,
            number => number,
        }
    }

    /// Enters a record's link. From here until the record leaves, or its pin is dropped,
    /// the slot serves this key, so its callbacks may be read. Errors: the key is dead;
    /// and whether the link was entered, so that it is to [leave](Self::leave).
    /// Safety: the link is the caller's, in no list, and its record is filled in.
    pub(crate) unsafe fn link(&self, generation: u32, link: LinkPointer) -> Result<(), bool> {
        // SAFETY: The caller's premise is the callee's.
        if !unsafe { self.holders.link(link) } {
            return Err(false);
        }
        self.check(generation).map_err(|_| true)
    }

    /// Enters the link of the key's only holder; a [look](Self::check) at the generation
    /// follows. With false there are others, or the key is dead.
    /// Safety: as [`link`](Self::link).
    #[inline(always)]
    pub(crate) unsafe fn link_alone(&self, link: LinkPointer) -> bool {
        // SAFETY: The caller's premise is the callee's.
        unsafe { self.holders.link_alone(link) }
    }

    /// Takes a link out, and says how it left.
    /// Safety: it was linked here, and the caller owns its record.
    #[inline(always)]
    pub(crate) unsafe fn leave(&self, link: LinkPointer) -> Departure {
        // SAFETY: The caller's premise is the callee's.
        unsafe { self.holders.leave(self.lock(), link) }
    }

    /// [`leave`](Self::leave), if it is the only link of a live key. With false nothing was
    /// done.
    /// Safety: as [`leave`](Self::leave).
    #[inline(always)]
    pub(crate) unsafe fn leave_alone(&self, link: LinkPointer) -> bool {
        self.holders.leave_alone(link)
    }

    /// Retires a key that has just died, if `own` is its only holder: that has
    /// the key's own pin then.
    #[inline(always)]
    pub fn seize_alone(&self, own: LinkPointer) -> bool {
        self.holders.seize_alone(own)
    }

    /// Retires a key that has just died: each of its holders has a pin then, and
    /// is to be posted ([`Holders::next_dying`]).
    pub fn seize(&self) {
        self.with_holders(|holders| {
            let number = holders.seize();
            // Relaxed: with the lock, before any of them is posted.
            let before = self.pins.fetch_add(number, Ordering::Relaxed);
            if before > 1 {
                // Contexts have values.
                self.number_death();
            }
        });
    }

    /// The key that has died has left a value to others: the death gets a number, if it has
    /// none. With the key's lock.
    pub fn number_death(&self) {
        let generation = self.generation();
        // A model plays no reports, and forgets no untracked word between two runs.
        if !cfg!(modelled) && self.died_as.load(Ordering::Relaxed) != generation {
            // Relaxed: for reports. The slot is in no list of free ones.
            let earlier = DEATHS.fetch_add(1, Ordering::Relaxed);
            self.next_free.store(earlier.wrapping_add(1), Ordering::Relaxed);
            self.died_as.store(generation, Ordering::Relaxed);
        }
    }

    /// Of a key that has died and left values: how many such keys have died since. `None`
    /// of any other. For a report: of a key that ends just now, any number.
    pub fn deaths_since(&self, generation: u32) -> Option<u32> {
        let number = self.next_free.load(Ordering::Relaxed);
        let is_its = self.died_as.load(Ordering::Relaxed) == generation;
        is_its.then(|| DEATHS.load(Ordering::Relaxed).wrapping_sub(number))
    }

    /// Adds a pin. The caller keeps the slot as it is meanwhile.
    pub fn pin(&self) {
        // Relaxed: see the module's text.
        self.pins.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds a pin for a caller who keeps nothing of the key. With false it is dead.
    pub fn pin_if_live(&self, generation: u32) -> bool {
        self.with_holders(|holders| {
            // Tagged from here on, it is seized with the lock: until then a pin counts.
            holders.first();
            let live = self.check(generation).is_ok();
            if live {
                self.pin();
            }
            live
        })
    }

    /// Drops a pin. Returns whether it was the last: the caller must then run
    /// [`user_free`](Self::user_free), and close the slot.
    #[inline(always)]
    pub fn unpin(&self) -> bool {
        // Acquire: a lone 1 is the caller's own, and what the others did
        // before they dropped theirs comes before what the caller does now. It
        // stays until `close`, for those who wait for the key's very end.
        let mut left = self.pins.load(Ordering::Acquire);
        while left > 1 {
            // Release: for the one who is last after this one. Acquire: the same
            // as above, for the next round.
            match self.pins.compare_exchange_weak(
                left,
                left - 1,
                Ordering::Release,
                Ordering::Acquire,
            ) {
                Ok(_) => return false,
                Err(now) => left = now,
            }
        }
        // Not 1 but 0: the child of a fork has closed it.
        left == 1
    }

    /// How many values there are under the key of this generation, in maps and
    /// in contexts, and how many threads visit it; of a dead key, how many are
    /// not destroyed yet. 0 once the slot is closed.
    pub fn outstanding(&self, generation: u32) -> u32 {
        if self.check(generation).is_ok() {
            let holders = self.with_holders(|holders| {
                successors(holders.first(), |link| Holders::after(*link)).count() as u32
            });
            // Acquire: who waits for the last pin comes after what led to it.
            let others = self.pins.load(Ordering::Acquire).saturating_sub(1) + self.visits();
            // Looked at again: when the key has died meanwhile, its list may
            // have been emptied before it was counted.
            if self.check(generation).is_ok() {
                return holders + others;
            }
        }
        let left = self.pins.load(Ordering::Acquire);
        // Looked at after: it may have been the next key's.
        if self.generation() == generation {
            left
        } else {
            0
        }
    }

    /// References, for a report; 0 of a dead key.
    pub fn references(&self) -> u32 {
        let state = self.state.load(Ordering::Relaxed);
        references(state) + self.visits()
    }

    /// Pins, for a report.
    pub fn pins(&self) -> u32 {
        self.pins.load(Ordering::Relaxed)
    }

    /// The key's callbacks. The caller has a pin, or a record linked here.
    #[inline]
    pub fn callbacks(&self) -> Callbacks {
        self.callbacks.get()
    }

    /// The live key's rules. Errors: `DeadKey`, `BadKey`.
    #[inline(always)]
    pub fn rules(&self, generation: u32) -> Result<Rules, Error> {
        // Acquire: with the Release in `open`: who sees the next key's rules sees
        // that the last key is dead.
        let rules = Rules::from_bits(self.rules.load(Ordering::Acquire));
        // Looked at after: if the slot has gone on to another key, whose
        // rules these may have been, this says so.
        self.check(generation).map(|()| rules)
    }

    /// The rules of a key that the caller keeps the slot for.
    pub fn held_rules(&self) -> Rules {
        // Relaxed: the caller has seen the key alive.
        Rules::from_bits(self.rules.load(Ordering::Relaxed))
    }

    /// What to call when the last pin is dropped.
    pub fn user_free(&self) -> Option<(UserFree, *mut c_void)> {
        let callbacks = self.callbacks.get();
        callbacks.user_free.map(|function| (function, callbacks.user))
    }

    /// Clears what the key leaves. Returns whether the slot can serve another;
    /// its generations may have run out.
    ///
    /// # Safety
    ///
    /// The last pin is dropped and the caller alone has this slot.
    pub unsafe fn close(&self) -> bool {
        self.drop_last_pin();
        if !self.name.is_none() {
            // With the lock: somebody may be copying it, of a key that was alive.
            let name = self.lock().with(|| self.name.take());
            // SAFETY: Made by `name::copy`; nobody else has it any more.
            unsafe { name::free(name) };
        }
        self.generation() != u32::MAX
    }

    /// [`close`](Self::close), if the caller's pin is the last and the key leaves no
    /// `user_free` and no name; else false, and nothing done.
    #[inline(always)]
    pub fn close_if_bare(&self) -> bool {
        // Acquire: as in `unpin`.
        let last = self.pins.load(Ordering::Acquire) == 1;
        let bare = self.user_free().is_none() && self.name.is_none();
        if !last || !bare || self.generation() == u32::MAX {
            return false;
        }
        self.drop_last_pin();
        true
    }

    #[inline(always)]
    fn drop_last_pin(&self) {
        // Release: who waits for the end sees all that led to it.
        self.pins.store(0, Ordering::Release);
    }

    /// Copies as much of a key's name as fits, for a report; `None`: the lock can't be had.
    pub fn name_prefix(&self, buffer: &mut [u8], patience: &Patience) -> Option<usize> {
        self.lock().with_patience(patience, || self.name.prefix(buffer))
    }

    /// The slot whose `call` this is. Safety: it is a slot's.
    pub(crate) unsafe fn of_call(call: &Call) -> &'static Self {
        // SAFETY: The caller; and slots live for ever.
        unsafe { call.part_of(offset_of!(Self, call)).as_ref() }
    }

    /// Live, dead with pins, or neither, for the statistics. Who finds a key here may ask
    /// for its number.
    pub fn count(&self) -> (bool, bool) {
        // Acquire: with the Release in `open`, which comes after `number`.
        let state = self.state.load(Ordering::Acquire);
        let (live, was_open) = (state as u32 != 0, (state >> 32) as u32 >= first_generation());
        (live, was_open && !live && self.pins.load(Ordering::Relaxed) != 0)
    }

    /// Sets the generation, and the number of references: 0 of a free slot.
    #[cfg(test)]
    pub(super) fn seed(&self, generation: u32, references: u32) {
        self.state.store(u64::from(generation) << 32 | u64::from(references), Ordering::Relaxed);
    }
}

/// What the child of a fork does to all slots, while it is alone; see
/// `crate::thread::fork`.
impl KeySlot {
    /// Makes the locks of all keys anew.
    /// Safety: the calling thread is the only one of its process, and has none of them.
    pub(crate) unsafe fn reset_locks() {
        // SAFETY: The caller's premise.
        LOCKS.iter().for_each(|lock| unsafe { lock.0.reset() });
    }

    /// Forgets all holders, the pins of all but the key itself, and all visits
    /// but so many of this thread's. Returns whether the key is alive then.
    pub fn forget_others(&self, own_visits: u32) -> bool {
        let state = self.state.load(Ordering::Relaxed);
        let taken = visits(state) == TAKER && own_visits > 0;
        let visits = if taken { u64::from(TAKER) } else { u64::from(own_visits) };
        let kept = (state >> 32 << 32) | (VISIT * visits) | u64::from(references(state));
        self.state.store(kept, Ordering::Relaxed);
        let live = kept as u32 != 0;
        self.holders.forget_all(!live);
        if self.pins.load(Ordering::Relaxed) != 0 {
            self.pins.store(1, Ordering::Relaxed);
        }
        live
    }
}

// A chunk of slots comes from `calloc`: all zero must be right, and small.
const _: () = assert!(size_of::<KeySlot>() <= 128);
