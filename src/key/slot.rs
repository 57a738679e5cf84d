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

use core::cell::Cell;
use core::ffi::{c_char, c_void};
use core::mem::size_of;
use core::ptr::{null_mut, NonNull};

use super::handle::{self, FIRST_GENERATION};
use super::holder::{Holder, HolderList, HolderPointer, KeyLinks, Mailbox, Notice};
use super::holders::{Burial, Departure, Holders, Unlinked};
use super::options::{Callbacks, KeyOptions, Rules, UserFree};
use crate::error::Error;
use crate::sys::lock::Lock;
use crate::sys::memory;
use crate::sys::sync::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// More obligations than any key has.
const RECOUNT: u32 = 1 << 31;

/// How many locks the holders' lists of all keys share.
const LOCK_COUNT: usize = 64;

/// The locks over the holders' lists.
static LOCKS: [Apart; LOCK_COUNT] = [const { Apart(Lock::new()) }; LOCK_COUNT];

/// A lock on a cache line of its own, so that neighbours do not contend.
#[repr(align(64))]
struct Apart(Lock);

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
    state: AtomicU64,
    /// Who is told when the key dies; see [`LOCKS`].
    holders: Holders,
    /// From the key's death on: orphaned holders, and the burial itself.
    obligations: AtomicU32,
    /// The next free slot's index plus one, while this one is free.
    pub(super) next_free: AtomicU32,
    /// This slot's index. Written when the slot is first used.
    index: Cell<u32>,
    /// The home of its keys' handles: reversing bits is slow. Written with it.
    home: Cell<u32>,
    /// Who may do what to its values. Written with `callbacks`.
    rules: Cell<Rules>,
    /// Threads that are visiting, taking or purging all values. Under the lock.
    visits: Cell<u32>,
    /// What `rules` says of reaching, for those who have no record yet.
    is_reachable: AtomicBool,
    /// Whether there is an init callback: for those who have no record yet.
    has_init: AtomicBool,
    /// See `burial_link()`.
    burial_link: Cell<*const KeySlot>,
    /// The live key's name; see `copy_name`.
    name: AtomicPtr<c_char>,
    /// Written by `open`, before the key is live; constant until `recycle`.
    callbacks: Cell<Callbacks>,
}

// SAFETY: Layout: what is not atomic has its rules. `holders` has its own.
// `index` and `home` are written once, before the slot's first key is
// published. `burial_link` is the burying thread's. `visits` is under the
// lock. `callbacks` and `rules` are written by the one thread that has the
// free slot, and read by threads with a linked record, which have seen its key
// live.
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
            rules: Cell::new(Rules::NONE),
            visits: Cell::new(0),
            is_reachable: AtomicBool::new(false),
            has_init: AtomicBool::new(false),
            burial_link: Cell::new(core::ptr::null()),
            name: AtomicPtr::new(null_mut()),
            callbacks: Cell::new(Callbacks::NONE),
        }
    }

    fn lock(&self) -> &'static Lock {
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
    /// The caller alone has this slot; `name` is null or [`copy_of_name`]'s.
    pub(super) unsafe fn open(&self, options: &KeyOptions, name: *mut c_char) -> u64 {
        let generation = (self.generation() + 1).max(FIRST_GENERATION);
        // Other threads reach its holders one by one: always with the lock.
        self.holders.open(options.rules.reachable());
        self.rules.set(options.rules);
        self.is_reachable.store(options.rules.reachable(), Ordering::Relaxed);
        self.callbacks.set(options.callbacks);
        self.has_init.store(options.callbacks.init.is_some(), Ordering::Relaxed);
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

    #[cold]
    fn error_of(state: u64, generation: u32) -> Error {
        if generation < FIRST_GENERATION || generation > (state >> 32) as u32 {
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
    /// still ending one; 0 once the slot has been cleared.
    #[must_use]
    pub fn outstanding(&self, generation: u32) -> u32 {
        if self.generation() != generation {
            return 0;
        }
        if self.check(generation).is_ok() {
            let visits = self.lock().with(|| self.visits.get());
            return visits + self.holders.number(self.lock());
        }
        self.obligations.load(Ordering::Acquire)
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

    /// The key's rules, for those who may read its callbacks.
    #[inline]
    #[must_use]
    pub fn rules(&self) -> Rules {
        self.rules.get()
    }

    /// Runs `work` on the holders of a reachable key, under the key's lock.
    pub fn with_holders<T>(&self, work: impl FnOnce(&HolderList<KeyLinks>) -> T) -> T {
        self.lock().with(|| work(self.holders.list()))
    }

    /// Threads that are visiting all values. Only inside `with_holders`.
    #[must_use]
    pub fn visits(&self) -> &Cell<u32> {
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

    /// Whether other threads may touch the live key's values.
    ///
    /// # Errors
    ///
    /// [`Error::DeadKey`], [`Error::BadKey`].
    pub fn is_reachable(&self, generation: u32) -> Result<bool, Error> {
        let reachable = self.is_reachable.load(Ordering::Acquire);
        // Looked at after, as in `has_init`.
        self.check(generation).map(|()| reachable)
    }

    /// Whether the live key has an init callback.
    ///
    /// # Errors
    ///
    /// [`Error::DeadKey`], [`Error::BadKey`].
    pub fn has_init(&self, generation: u32) -> Result<bool, Error> {
        let has_init = self.has_init.load(Ordering::Acquire);
        // Looked at after: if the slot has gone on to another key, whose
        // answer that may have been, this says so.
        self.check(generation).map(|()| has_init)
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

    /// Copies the live key's name out.
    ///
    /// # Errors
    ///
    /// [`Error::DeadKey`], [`Error::BadKey`], [`Error::Limit`].
    ///
    /// # Safety
    ///
    /// `buffer` has room for `capacity` bytes.
    pub(super) unsafe fn copy_name(
        &self,
        generation: u32,
        buffer: *mut c_char,
        capacity: usize,
    ) -> Result<(), Error> {
        self.lock().with(|| {
            // Acquire, and looked at before the key: a name of the slot's next
            // key is never taken for this one's.
            let name = self.name.load(Ordering::Acquire).cast_const();
            self.check(generation)?;
            let name = if name.is_null() { c"".as_ptr() } else { name };
            // SAFETY: The C library: `open` stored a terminated copy, which
            // `close` does not free without the lock.
            let length = unsafe { libc::strlen(name) } + 1;
            if length > capacity {
                return Err(Error::Limit);
            }
            // SAFETY: The caller: `buffer` has room; it can't overlap with our
            // own copy of the name.
            unsafe { core::ptr::copy_nonoverlapping(name, buffer, length) };
            Ok(())
        })
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

    /// Takes all locks of all keys, for a fork.
    pub fn lock_all() {
        LOCKS.iter().for_each(|lock| lock.0.acquire());
    }

    /// Gives all locks of all keys back.
    ///
    /// # Safety
    ///
    /// The calling thread has them from [`lock_all`](Self::lock_all), in this
    /// process or in the one that it was forked from.
    pub unsafe fn unlock_all() {
        // SAFETY: The caller's premise.
        LOCKS.iter().rev().for_each(|lock| unsafe { lock.0.release() });
    }

    /// In a forked process: begins the burial of a key whose releaser was left
    /// behind between its last reference and that.
    pub fn bury_after_fork(&self) {
        self.holders.present_sole();
        let dead = self.state.load(Ordering::Relaxed) as u32 == 0;
        if dead && self.holders.bury_after_fork() {
            self.obligations.store(1, Ordering::Relaxed);
        }
    }

    /// In a forked process: begins to count the obligations of a dead key
    /// again; tells all maps that are here and have not been told.
    pub fn begin_recount(&self) {
        // The locks are held by the one thread that there is.
        self.holders.post_after_fork();
        self.obligations.store(RECOUNT, Ordering::Relaxed);
    }

    /// In a forked process: counts one obligation of a dead key.
    pub fn recount_obligation(&self) {
        self.obligations.fetch_add(1, Ordering::Relaxed);
    }

    /// In a forked process: ends the count. Returns whether none was found.
    #[must_use]
    pub fn end_recount(&self) -> bool {
        self.obligations.fetch_sub(RECOUNT, Ordering::Relaxed) == RECOUNT
    }

    /// In a forked process: takes references back of visitors that are not
    /// here. The last one stays: a key can't die without its burial.
    pub fn forget_references(&self, number: u32) {
        let state = self.state.load(Ordering::Relaxed);
        let fewer = u64::from(number).min((state & 0xffff_ffff).saturating_sub(1));
        self.state.store(state - fewer, Ordering::Relaxed);
    }

    /// Whether [`begin_recount`](Self::begin_recount) was called.
    #[must_use]
    pub fn in_recount(&self) -> bool {
        self.obligations.load(Ordering::Relaxed) >= RECOUNT
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

/// A copy of a name for [`KeySlot::open`]; null for null.
///
/// # Errors
///
/// [`Error::NoMemory`].
///
/// # Safety
///
/// `name` is null or a terminated string.
pub(super) unsafe fn copy_of_name(name: *const c_char) -> Result<*mut c_char, Error> {
    if name.is_null() {
        return Ok(core::ptr::null_mut());
    }
    // SAFETY: The caller: it is terminated.
    let length = unsafe { libc::strlen(name) } + 1;
    let copy = memory::allocate_bytes(length)?.cast::<c_char>().as_ptr();
    // SAFETY: Just allocated with this length.
    unsafe { core::ptr::copy_nonoverlapping(name, copy, length) };
    Ok(copy)
}

/// Gives a copy of a name back; null is nothing.
///
/// # Safety
///
/// `name` is null or [`copy_of_name`]'s, and is not used again.
pub(super) unsafe fn free_name(name: *mut c_char) {
    let Some(memory) = NonNull::new(name) else { return };
    // SAFETY: `copy_of_name` terminated it.
    let length = unsafe { libc::strlen(name) } + 1;
    // SAFETY: Allocated with this length; the caller gives it up.
    unsafe { memory::free_bytes(memory.cast(), length) };
}

// A chunk of slots comes from `calloc`: all zero must be right, and small.
const _: () = {
    assert!(size_of::<KeySlot>() <= 128);
    assert!(size_of::<Holder>() <= 88, "88 bytes fit a malloc block of 96");
};
