//! One key's place: its life in one atomic word, its options, its holders.
//!
//! # The life of a key
//!
//! ```text
//!    free ----create----> live ----last release----> dead
//!     ^   generation + 1   |  ^    references 1 -> 0   |
//!     |   references = 1   +--+                        | bury: every holder is
//!     |                  retain, release               | orphaned and told
//!     |                                                v
//!     +---- recycle <---- obligations met <---- each value destroyed
//!           user_free     (the last one of the      by its owner
//!           has run       holders and the burial)
//! ```
//!
//! A slot whose generation is 2^32 - 1 is not recycled but retired.
//!
//! # The word
//!
//! `generation << 32 | references`. A reference is added by a compare-exchange
//! that demands the caller's generation and at least one reference, so a dead
//! key can't come back to life and a handle can't touch the slot's next key.
//! That compare-exchange needs no ordering: it publishes nothing. Taking the
//! last reference away is `AcqRel`: what other threads did while they had a
//! reference comes before what the burial leads to.
//!
//! # Locks
//!
//! What of [`Holders`] needs a lock is under one of [`LOCKS`], chosen by the
//! slot's index: few enough to be taken together at a fork, many enough that
//! two keys seldom meet.

use core::ffi::{c_char, c_void};
use core::mem::size_of;
use core::ptr::null_mut;

use super::handle::{self, first_generation};
use super::holder::{Holder, HolderList, HolderPointer, KeyLinks, Mailbox, Notice};
use super::holders::{Burial, Departure, Holders, Unlinked};
use super::name::free_name;
use super::options::{Callbacks, KeyOptions, Rules, UserFree};
use super::visits::Visits;
use crate::error::Error;
use crate::sys::lock::Lock;
use crate::sys::sync::{AtomicPtr, AtomicU32, AtomicU64, AtomicU8, Cell, Ordering};

/// How many locks the holders' lists of all keys share. A fork takes them all,
/// and the thread sanitizer gives up at more than 64 held by one thread.
const LOCK_COUNT: usize = 32;

/// The locks over the holders' lists.
pub(super) static LOCKS: [Apart; LOCK_COUNT] = [const { Apart(Lock::new()) }; LOCK_COUNT];

/// A lock on a cache line of its own, so that neighbours do not contend.
#[repr(align(64))]
pub(super) struct Apart(pub(super) Lock);

/// What giving back a reference has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// Others still have references.
    Live,
    /// It was the last: the key is dead, and the caller must [`KeySlot::bury`].
    Dead,
}

/// One key's place. All zero: never used.
#[repr(C)]
pub struct KeySlot {
    /// `generation << 32 | references`.
    pub(super) state: AtomicU64,
    /// Who is told when the key dies; see [`LOCKS`].
    pub(super) holders: Holders,
    /// From the burial on: orphaned holders, and the burial itself; 1 before
    /// it, from `open` on; 0 in a free slot.
    pub(super) obligations: AtomicU32,
    /// The next free slot's index plus one, while this one is free.
    pub(super) next_free: AtomicU32,
    /// This slot's index. Written when the slot is first used.
    index: Cell<u32>,
    /// The home of its keys' handles: reversing bits is slow. Written with it.
    home: Cell<u32>,
    /// Threads that are visiting, taking or purging all values. Under the lock.
    visits: Cell<Visits>,
    /// Who may do what to its values ([`Rules`]). An atomic, for those who have
    /// no record yet.
    rules: AtomicU8,
    /// See `burial_link()`.
    burial_link: Cell<*const KeySlot>,
    /// The live key's name; see `copy_name`.
    pub(super) name: AtomicPtr<c_char>,
    /// Written by `open`, before the key is live; constant until `recycle`.
    callbacks: Cell<Callbacks>,
}

// SAFETY: Layout: what is not atomic has its rules. `holders` has its own.
// `index` and `home` are written once, before the slot's first key is
// published. `burial_link` is the burying thread's. `visits` is under the
// lock. `callbacks` is written by the one thread that has the free slot, and
// read by threads with a linked record, which have seen its key live.
unsafe impl Sync for KeySlot {}

impl KeySlot {
    /// A slot that has never been used: all zero, as in a fresh chunk.
    pub(super) const fn new() -> Self {
        Self {
            state: AtomicU64::new(0),
            holders: Holders::new(),
            obligations: AtomicU32::new(0),
            next_free: AtomicU32::new(0),
            index: Cell::new(0),
            home: Cell::new(0),
            visits: Cell::new(Visits::NONE),
            rules: AtomicU8::new(0),
            burial_link: Cell::new(core::ptr::null()),
            name: AtomicPtr::new(null_mut()),
            callbacks: Cell::new(Callbacks::NONE),
        }
    }

    pub(super) fn lock(&self) -> &'static Lock {
        &LOCKS[self.index.get() as usize % LOCK_COUNT].0
    }

    /// The slot's generation: that of the key that it serves or served last.
    #[must_use]
    pub fn generation(&self) -> u32 {
        (self.state.load(Ordering::Relaxed) >> 32) as u32
    }

    /// Prepares a slot for its first key.
    ///
    /// # Safety
    ///
    /// The caller alone has this slot, and no key has been in it.
    pub(super) unsafe fn number(&self, index: u32) {
        self.index.set(index);
        self.home.set(handle::home(index));
    }

    /// This slot's index.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index.get()
    }

    /// Opens a free slot for a new key with one reference. Returns its handle.
    ///
    /// # Safety
    ///
    /// The caller alone has this slot; `name` is null or [`copy_of_name`](super::name::copy_of_name)'s.
    #[inline(always)]
    pub(super) unsafe fn open(&self, options: &KeyOptions, name: *mut c_char) -> u64 {
        let generation = (self.generation() + 1).max(first_generation());
        // Other threads reach its holders one by one: always with the lock.
        self.holders.open(options.rules.reachable());
        let rules = options.rules.and(Rules::HAS_INIT.given(options.callbacks.init.is_some()));
        self.rules.store(rules.to_bits(), Ordering::Relaxed);
        self.callbacks.set(options.callbacks);
        // From here to `close` it is never 0: see `outstanding`.
        self.obligations.store(1, Ordering::Relaxed);
        // Release: `copy_name` then also sees that the slot's last key is dead.
        self.name.store(name, Ordering::Release);
        // Release: whoever sees the key live sees its options.
        self.state.store(u64::from(generation) << 32 | 1, Ordering::Release);
        handle::combine(self.home.get(), generation)
    }

    /// Whether the key of this generation is alive; which error if not.
    ///
    /// # Errors
    ///
    /// [`Error::DeadKey`]; [`Error::BadKey`] for a generation yet to come.
    #[inline]
    pub fn check(&self, generation: u32) -> Result<(), Error> {
        // Acquire: with the Release in `open`. More than that, for linkers:
        // reason 2 in the text of `holders`.
        let state = self.state.load(Ordering::SeqCst);
        if (state >> 32) as u32 == generation && state as u32 != 0 {
            return Ok(());
        }
        Err(Self::error_of(state, generation))
    }

    /// Whether the key is alive of which the calling thread has just found an
    /// entry: the slot serves no other while there is one. (Where the value may
    /// be reaped, and the slot go on to another key, whoever asks looks again
    /// under the map's lock.)
    #[inline]
    pub fn check_held(&self) -> Result<(), Error> {
        // Acquire: as in `check`.
        match self.state.load(Ordering::Acquire) as u32 {
            0 => Err(Error::DeadKey),
            _ => Ok(()),
        }
    }

    #[cold]
    fn error_of(state: u64, generation: u32) -> Error {
        if generation < first_generation() || generation > (state >> 32) as u32 {
            return Error::BadKey;
        }
        Error::DeadKey
    }

    /// Adds a reference to a live key.
    ///
    /// # Errors
    ///
    /// [`Error::DeadKey`], [`Error::BadKey`]; [`Error::Limit`] past 2^32 - 1.
    pub fn retain(&self, generation: u32) -> Result<(), Error> {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            if (state >> 32) as u32 != generation || state as u32 == 0 {
                return Err(Self::error_of(state, generation));
            }
            if state as u32 == u32::MAX {
                return Err(Error::Limit);
            }
            // Relaxed: see the module's text.
            match self.state.compare_exchange_weak(
                state,
                state + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(()),
                Err(now) => state = now,
            }
        }
    }

    /// Takes a reference away.
    ///
    /// # Errors
    ///
    /// [`Error::DeadKey`], [`Error::BadKey`].
    pub fn release(&self, generation: u32) -> Result<Released, Error> {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            if (state >> 32) as u32 != generation || state as u32 == 0 {
                return Err(Self::error_of(state, generation));
            }
            // AcqRel: see the module's text. More than that, for linkers:
            // reason 2 in the text of `holders`.
            match self.state.compare_exchange_weak(
                state,
                state - 1,
                Ordering::SeqCst,
                Ordering::Relaxed,
            ) {
                Ok(_) if state as u32 == 1 => return Ok(Released::Dead),
                Ok(_) => return Ok(Released::Live),
                Err(now) => state = now,
            }
        }
    }

    /// Enters a holder record of a live key.
    ///
    /// From here until the record's obligation is met or it is unlinked, the
    /// slot serves this key and no other, so its callbacks may be read.
    ///
    /// # Errors
    ///
    /// [`Error::DeadKey`] or [`Error::BadKey`], and what became of the record.
    ///
    /// # Safety
    ///
    /// `holder` is the caller's, filled in, and in no list by these links.
    #[inline(always)]
    pub unsafe fn link(&self, generation: u32, holder: HolderPointer) -> Result<(), Unlinked> {
        // SAFETY: The caller's premise is the callee's.
        unsafe { self.holders.link(self.lock(), holder, || self.check(generation)) }
    }

    /// Takes a record out of the key's holders, and says how it left.
    ///
    /// # Safety
    ///
    /// `holder` was linked here, and the caller owns its map.
    pub unsafe fn unlink(&self, holder: HolderPointer) -> Departure {
        // SAFETY: The caller's premise is the callee's.
        unsafe { self.holders.unlink(self.lock(), holder) }
    }

    /// Begins the burial of a key that has just died.
    ///
    /// The records of the calling thread's own map (`mine`, or null; `own` is
    /// its standing one) are orphaned at once: the standing one is returned,
    /// for the caller to destroy. Where there is none, the caller owes one
    /// obligation. The others are told by [`post`](Self::post), which the
    /// caller calls next, until it returns nothing.
    #[inline(always)]
    pub fn bury(&self, mine: *const Mailbox, own: Option<HolderPointer>) -> Burial {
        self.holders.bury(self.lock(), mine, own, |count| {
            // Relaxed: the mailboxes' Release publishes it, or the lock does.
            self.obligations.store(count, Ordering::Relaxed);
        })
    }

    /// Goes on with a burial: orphans the other holders and tells their maps.
    /// Whoever is returned is to be notified with no lock held; then this is
    /// to be called again.
    #[must_use]
    pub fn post(&self) -> Option<Notice> {
        self.holders.post(self.lock())
    }

    /// How many maps have a value under the key of this generation, or are
    /// still ending one, and how many threads visit it; 0 once the slot has
    /// been cleared.
    #[must_use]
    pub fn outstanding(&self, generation: u32) -> u32 {
        if self.check(generation).is_ok() {
            let visits = self.lock().with(|| self.visits.get().number());
            let holders = self.holders.number(self.lock());
            // Looked at again: when the key has died meanwhile, its burial may
            // have emptied the list that was counted.
            if self.check(generation).is_ok() {
                return visits + holders;
            }
        }
        // Of a dead key that is not buried yet, this is the 1 of `open`.
        let left = self.obligations.load(Ordering::Acquire);
        // Looked at after: it may have been the next key's.
        if self.generation() == generation {
            left
        } else {
            0
        }
    }

    /// One holder's value has ended, or the burial has. Returns whether it was
    /// the last: the caller must then run [`user_free`](Self::user_free) and
    /// recycle the slot.
    #[must_use]
    pub fn obligation_met(&self) -> bool {
        // Acquire: a lone 1 is the caller's own, and what the others did
        // before their subtraction comes before what the caller does now. It
        // stays until `close`, for those who wait for the key's very end.
        let mut left = self.obligations.load(Ordering::Acquire);
        while left > 1 {
            // Release: for whoever is last after this one. Acquire: the same
            // as above, for the next round.
            match self.obligations.compare_exchange_weak(
                left,
                left - 1,
                Ordering::Release,
                Ordering::Acquire,
            ) {
                Ok(_) => return false,
                Err(now) => left = now,
            }
        }
        // Not 1, but 0: a fork has taken the key's end upon itself.
        left == 1
    }

    /// Whether any thread may end the key's values. For those who may read its
    /// callbacks.
    #[must_use]
    pub fn is_any(&self) -> bool {
        // Relaxed: the caller has seen the key alive.
        Rules::from_bits(self.rules.load(Ordering::Relaxed)).any()
    }

    /// Runs `work` on the holders of a reachable key, under the key's lock.
    #[cfg_attr(modelled, track_caller)]
    pub fn with_holders<T>(&self, work: impl FnOnce(&HolderList<KeyLinks>) -> T) -> T {
        self.lock().with(|| work(self.holders.list()))
    }

    /// Runs `work` on all holders of any key, under the key's lock, for a report.
    pub fn with_every_holder<T>(&self, work: impl FnOnce(&HolderList<KeyLinks>) -> T) -> T {
        self.lock().with(|| {
            self.holders.share_all();
            work(self.holders.list())
        })
    }

    /// References, for a report; 0 of a dead key.
    #[must_use]
    pub fn references(&self) -> u32 {
        self.state.load(Ordering::Relaxed) as u32
    }

    /// Obligations of a dead key, for a report.
    #[must_use]
    pub fn obligations(&self) -> u32 {
        self.obligations.load(Ordering::Relaxed)
    }

    /// Threads that are visiting all values. Only inside `with_holders`.
    #[must_use]
    pub fn visits(&self) -> &Cell<Visits> {
        &self.visits
    }

    /// The key's callbacks.
    ///
    /// The caller has a record linked here whose obligation is not met yet, or
    /// has the slot alone.
    #[inline]
    #[must_use]
    pub fn callbacks(&self) -> Callbacks {
        self.callbacks.get()
    }

    /// The live key's rules.
    ///
    /// # Errors
    ///
    /// [`Error::DeadKey`], [`Error::BadKey`].
    pub fn rules(&self, generation: u32) -> Result<Rules, Error> {
        let rules = Rules::from_bits(self.rules.load(Ordering::Acquire));
        // Looked at after: if the slot has gone on to another key, whose
        // rules these may have been, this says so.
        self.check(generation).map(|()| rules)
    }

    /// What to call when the last obligation is met.
    #[must_use]
    pub fn user_free(&self) -> Option<(UserFree, *mut c_void)> {
        let callbacks = self.callbacks.get();
        callbacks.user_free.map(|function| (function, callbacks.user))
    }

    /// Clears what the key leaves. Returns whether the slot can serve another;
    /// its generations may have run out.
    ///
    /// # Safety
    ///
    /// The last obligation is met and the caller alone has this slot.
    pub(super) unsafe fn close(&self) -> bool {
        // Release: who waits for the end sees all that led to it.
        self.obligations.store(0, Ordering::Release);
        if !self.name.load(Ordering::Relaxed).is_null() {
            // Under the lock: `copy_name` may be in the middle of it, for a
            // key that it found alive.
            let name = self.lock().with(|| self.name.swap(null_mut(), Ordering::Relaxed));
            // SAFETY: Made by `copy_of_name`; nobody else has it any more.
            unsafe { free_name(name) };
        }
        self.generation() != u32::MAX
    }

    /// The slot whose burial is further out on the stack of the same thread.
    #[must_use]
    pub fn burial_link(&self) -> *const KeySlot {
        self.burial_link.get()
    }

    /// Sets [`burial_link`](Self::burial_link). For the burying thread only.
    pub fn set_burial_link(&self, outer: *const KeySlot) {
        self.burial_link.set(outer);
    }

    /// Live, dead with obligations, or neither, for the statistics.
    #[must_use]
    pub fn census(&self) -> (bool, bool) {
        let live = self.state.load(Ordering::Relaxed) as u32 != 0;
        (live, !live && self.obligations.load(Ordering::Relaxed) != 0)
    }

    /// Sets the number of references of a live key.
    #[cfg(test)]
    pub(super) fn seed_references(&self, generation: u32, references: u32) {
        self.state.store(u64::from(generation) << 32 | u64::from(references), Ordering::Relaxed);
    }

    /// Lets the slot's next key be the one after `generation`.
    #[cfg(test)]
    pub(super) fn seed(&self, generation: u32) {
        self.state.store(u64::from(generation) << 32, Ordering::Relaxed);
    }
}

// A chunk of slots comes from `calloc`: all zero must be right, and small.
const _: () = {
    assert!(size_of::<KeySlot>() <= 128);
    assert!(size_of::<Holder>() <= 88, "88 bytes fit a malloc block of 96");
};
