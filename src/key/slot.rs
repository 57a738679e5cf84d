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
//! The holders' list is under one of [`LOCKS`], chosen by the slot's index:
//! few enough to be taken together at a fork, many enough that two keys
//! seldom meet. Nothing is called while one is held but [`Mailbox::put`].

use core::cell::Cell;
use core::ffi::{c_char, c_void};
use core::mem::size_of;
use core::ptr::NonNull;

use super::handle::FIRST_GENERATION;
use super::holder::{Holder, HolderList, HolderPointer, KeyLinks, Mailbox, Place};
use super::options::{Init, KeyOptions, UserFree};
use crate::error::Error;
use crate::sys::lock::Lock;
use crate::sys::memory;
use crate::sys::sync::{AtomicU32, AtomicU64, Ordering};

/// How many locks the holders' lists of all keys share.
const LOCK_COUNT: usize = 64;

/// The locks over the holders' lists.
static LOCKS: [Lock; LOCK_COUNT] = [const { Lock::new() }; LOCK_COUNT];

/// What giving back a reference has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// Others still have references.
    Live,
    /// It was the last: the key is dead, and the caller must [`KeySlot::bury`].
    Dead,
}

/// What a burial leaves to the releaser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burial {
    /// The releaser's own entry: to be destroyed now.
    pub standing: Option<HolderPointer>,
    /// The releaser has no record of its own that stands for the burial, and
    /// owes an [`KeySlot::obligation_met`].
    pub owed: bool,
}

/// One key's place. All zero: never used.
#[repr(C)]
pub struct KeySlot {
    /// `generation << 32 | references`.
    state: AtomicU64,
    /// The key's holders; see [`LOCKS`].
    holders: HolderList<KeyLinks>,
    /// From the key's death on: orphaned holders, and the burial itself.
    obligations: AtomicU32,
    /// The next free slot's index plus one, while this one is free.
    pub(super) next_free: AtomicU32,
    /// This slot's index. Written when the slot is first used.
    index: Cell<u32>,
    /// Written by `open`, before the key is live; constant until `recycle`.
    options: Cell<KeyOptions>,
}

// SAFETY: Layout: `state`, `obligations` and `next_free` are atomic; `holders`
// is touched under the slot's lock only; `index` and `options` are written by
// the one thread that took the slot from the free list, and read by threads
// that have since seen `state` (by the lock, in `link` and `copy_name`).
unsafe impl Sync for KeySlot {}

impl KeySlot {
    /// A slot that has never been used: all zero, as in a fresh chunk.
    pub(super) const fn new() -> Self {
        Self {
            state: AtomicU64::new(0),
            holders: HolderList::new(),
            obligations: AtomicU32::new(0),
            next_free: AtomicU32::new(0),
            index: Cell::new(0),
            options: Cell::new(KeyOptions::DEFAULT),
        }
    }

    fn lock(&self) -> &'static Lock {
        &LOCKS[self.index.get() as usize % LOCK_COUNT]
    }

    /// The slot's generation: that of the key that it serves or served last.
    #[must_use]
    pub fn generation(&self) -> u32 {
        (self.state.load(Ordering::Relaxed) >> 32) as u32
    }

    /// Opens a slot from the free list for a new key with one reference.
    /// Returns the key's generation.
    ///
    /// # Safety
    ///
    /// The caller alone has this slot; `name` is null or [`copy_of_name`]'s.
    pub(super) unsafe fn open(&self, index: u32, options: &KeyOptions, name: *mut c_char) -> u32 {
        let generation = (self.generation() + 1).max(FIRST_GENERATION);
        self.index.set(index);
        self.options.set(KeyOptions { name, ..*options });
        // Release: whoever sees the key live sees its options.
        self.state.store(u64::from(generation) << 32 | 1, Ordering::Release);
        generation
    }

    /// Whether the key of this generation is alive; which error if not.
    ///
    /// # Errors
    ///
    /// [`Error::DeadKey`]; [`Error::BadKey`] for a generation yet to come.
    #[inline]
    pub fn check(&self, generation: u32) -> Result<(), Error> {
        // Acquire: with the Release in `open`.
        let state = self.state.load(Ordering::Acquire);
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
            // AcqRel: see the module's text.
            match self.state.compare_exchange_weak(
                state,
                state - 1,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) if state as u32 == 1 => return Ok(Released::Dead),
                Ok(_) => return Ok(Released::Live),
                Err(now) => state = now,
            }
        }
    }

    /// Enters a holder record into the live key's list.
    ///
    /// From here until the record's obligation is met or it is unlinked, the
    /// slot serves this key and no other, so its options may be read.
    ///
    /// # Errors
    ///
    /// [`Error::DeadKey`], [`Error::BadKey`]: the record is in no list.
    ///
    /// # Safety
    ///
    /// `holder` is the caller's, filled in, and in no list by these links.
    pub unsafe fn link(&self, generation: u32, holder: HolderPointer) -> Result<(), Error> {
        self.lock().with(|| {
            // Under the lock: either the burial comes later and finds this
            // record, or the key is seen dead here.
            self.check(generation)?;
            // SAFETY: The caller: it is in no list. The list's lock is held.
            unsafe { self.holders.push_back(holder) };
            Ok(())
        })
    }

    /// Takes a record out of the key's list, if the key has not died.
    /// Returns whether it did.
    ///
    /// # Safety
    ///
    /// `holder` was linked here, and the caller owns its map.
    pub unsafe fn unlink(&self, holder: HolderPointer) -> bool {
        self.lock().with(|| {
            // SAFETY: The caller owns it; the lock orders the releaser's store.
            if unsafe { holder.as_ref() }.orphaned.get() {
                return false;
            }
            // SAFETY: Not orphaned, so in the list (invariant 4 of the parent
            // module); its lock is held.
            unsafe { self.holders.remove(holder) };
            true
        })
    }

    /// Orphans every holder of a key that has just died and tells their maps.
    ///
    /// The records of the calling thread's own map (`mine`, or null) are not
    /// posted: the one that stands in its table is returned, for the caller to
    /// destroy at once. Where there is none, the caller owes one obligation.
    pub fn bury(&self, mine: *const Mailbox) -> Burial {
        self.lock().with(|| {
            let burial = self.orphan_all(mine);
            let mut next = self.holders.take_all();
            while let Some(holder) = NonNull::new(next) {
                // SAFETY: The lock is held, and it was in the list.
                let record = unsafe { holder.as_ref() };
                next = record.next.get();
                if record.mailbox.get() != mine {
                    Self::post(holder, record);
                }
            }
            burial
        })
    }

    /// Marks every holder as orphaned and counts the obligations: all before
    /// the first owner can hear of it, because a quick one meets its own while
    /// others are still being told.
    fn orphan_all(&self, mine: *const Mailbox) -> Burial {
        let mut burial = Burial { standing: None, owed: true };
        let mut count = 0;
        let mut next = self.holders.first();
        while let Some(holder) = next {
            // SAFETY: The lock is held, and it is in the list.
            let record = unsafe { holder.as_ref() };
            next = NonNull::new(record.next.get());
            count += 1;
            record.orphaned.set(true);
            if record.mailbox.get() == mine {
                burial.owed = false;
                record.place.set(Place::Orphaned);
                if record.in_table.get() {
                    burial.standing = Some(holder);
                }
            }
        }
        // Relaxed: the mailboxes' Release publishes it, or this lock does.
        self.obligations.store(count + u32::from(burial.owed), Ordering::Relaxed);
        burial
    }

    fn post(holder: HolderPointer, record: &Holder) {
        // SAFETY: Its map can't end before it has unlinked this record, for
        // which it needs the lock that is held here.
        let mailbox = unsafe { &*record.mailbox.get() };
        // SAFETY: Just orphaned, and the lock is held.
        unsafe { mailbox.put(holder) };
    }

    /// One holder's value has ended, or the burial has. Returns whether it was
    /// the last: the caller must then run [`user_free`](Self::user_free) and
    /// recycle the slot.
    #[must_use]
    pub fn obligation_met(&self) -> bool {
        // Acquire: a lone 1 is the caller's own, and what the others did
        // before their subtraction comes before what the caller does now.
        if self.obligations.load(Ordering::Acquire) == 1 {
            self.obligations.store(0, Ordering::Relaxed);
            return true;
        }
        // AcqRel: the same, and for whoever is last after this one.
        self.obligations.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// The key's options. Its name may be asked for by `copy_name` only.
    ///
    /// The caller has a record linked here whose obligation is not met yet, or
    /// has the slot alone.
    #[inline]
    #[must_use]
    pub fn options(&self) -> KeyOptions {
        self.options.get()
    }

    /// The live key's init callback.
    ///
    /// # Errors
    ///
    /// [`Error::DeadKey`], [`Error::BadKey`].
    pub fn init(&self, generation: u32) -> Result<Option<Init>, Error> {
        // Under the lock: the caller may have neither a reference nor a
        // record, and the slot may be on its way to its next key.
        self.lock().with(|| self.check(generation).map(|()| self.options.get().init))
    }

    /// What to call when the last obligation is met.
    #[must_use]
    pub fn user_free(&self) -> Option<(UserFree, *mut c_void)> {
        let options = self.options.get();
        options.user_free.map(|function| (function, options.user))
    }

    /// Clears what the key leaves. Returns the slot's index, or nothing if its
    /// generations have run out.
    ///
    /// # Safety
    ///
    /// The last obligation is met and the caller alone has this slot.
    pub(super) unsafe fn close(&self) -> Option<u32> {
        let name = self.options.get().name;
        // Under the lock: `copy_name` may be reading it for a key that it
        // found alive, which this one then was until a moment ago.
        self.lock().with(|| self.options.set(KeyOptions::DEFAULT));
        // SAFETY: Made by `copy_of_name`; nobody else has it any more.
        unsafe { free_name(name.cast_mut()) };
        (self.generation() != u32::MAX).then(|| self.index.get())
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
            self.check(generation)?;
            let name = self.options.get().name;
            let name = if name.is_null() { c"".as_ptr() } else { name };
            // SAFETY: The C library: `open` stored a terminated copy.
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
    assert!(size_of::<KeySlot>() <= 96);
    assert!(size_of::<Holder>() <= 72, "72 bytes fit a malloc block of 80");
};
