//! All holders of one key: who is told when it dies.
//!
//! # The problem
//!
//! Most keys die with one holder, the thread that releases them: an object is
//! made, used and ended by one task. That must not cost two locks. Others have
//! a thousand, on threads that come, go and release at the same time.
//!
//! # The idea
//!
//! ```text
//!   sole:    null --- link ---> a record --- unlink ---> null      one exchange,
//!                                   |                              no lock
//!                                   +------- burial ----> BURIED
//!   shared:  false, and true for good once `list` has been used
//!   list:    all other records, under the key's lock
//! ```
//!
//! The first record takes the `sole` place, by a compare-exchange. The burial,
//! when the releaser's own record is there and nobody has ever used the list,
//! is one compare-exchange as well. In every other case it takes the lock.
//!
//! # Why nobody is forgotten
//!
//! 1. *In the sole place*: linking and burying are read-modify-writes of one
//!    word. Either the burial comes later and finds the record, or the link
//!    finds `BURIED` and fails.
//! 2. *In the list*: a linker, with the lock, first says `shared`, then looks
//!    whether the key is alive. The releaser first takes the last reference
//!    away, then looks at `shared`. All four are `SeqCst`: in their one order,
//!    either the releaser sees `shared` and takes the lock, or the linker sees
//!    the key dead.
//! 3. *Too late*: a linker may have been delayed for so long that the slot
//!    serves another key by the time it takes the sole place. It looks at the
//!    generation once more afterwards, and leaves again. If that other key is
//!    buried in between, the record is orphaned like any holder's, and meets
//!    an obligation that was counted for it.
//!
//! # Why no burial touches a record that is gone
//!
//! Records in the list, and a sole record of another thread's, are touched
//! with the lock held only. An owner whose `unlink` finds its record buried
//! takes that lock before it goes on, so the burial is over by then. Without
//! the lock a burial touches only the releaser's own record.

use core::ptr::{null_mut, NonNull};

use super::holder::{Holder, HolderList, HolderPointer, KeyLinks, Mailbox, Place};
use crate::error::Error;
use crate::sys::lock::Lock;
use crate::sys::sync::{AtomicBool, AtomicPtr, Ordering};

/// In the sole place: the key has been buried.
const BURIED: *mut Holder = NonNull::dangling().as_ptr();

/// What a burial leaves to the releaser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burial {
    /// The releaser's own entry: to be destroyed now.
    pub standing: Option<HolderPointer>,
    /// The releaser has no record of its own that stands for the burial, and
    /// owes an [`obligation_met`](super::slot::KeySlot::obligation_met).
    pub owed: bool,
    /// Obligations of the dead key: its records, and what is owed.
    pub(super) count: u32,
}

/// Why a record could not be linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlinked {
    /// It is in no list.
    Free(Error),
    /// It was linked too late and has been orphaned since: it is to be
    /// finished like any other.
    Orphaned(Error),
}

/// The holders of one key. All zero: none.
#[repr(C)]
pub struct Holders {
    sole: AtomicPtr<Holder>,
    list: HolderList<KeyLinks>,
    shared: AtomicBool,
}

impl Holders {
    /// No holders.
    pub(super) const fn new() -> Self {
        Self {
            sole: AtomicPtr::new(null_mut()),
            list: HolderList::new(),
            shared: AtomicBool::new(false),
        }
    }

    /// Opens for a new key. The caller publishes it.
    pub(super) fn open(&self) {
        self.sole.store(null_mut(), Ordering::Relaxed);
        self.shared.store(false, Ordering::Relaxed);
    }

    /// Enters a record if `alive` says that the key is.
    ///
    /// # Safety
    ///
    /// `holder` is the caller's, filled in, and in no list by these links.
    pub(super) unsafe fn link(
        &self,
        lock: &Lock,
        holder: HolderPointer,
        alive: impl Fn() -> Result<(), Error>,
    ) -> Result<(), Unlinked> {
        // Release: the burial that finds it there sees it filled in.
        let alone = self.sole.load(Ordering::Relaxed).is_null()
            && self
                .sole
                .compare_exchange(null_mut(), holder.as_ptr(), Ordering::Release, Ordering::Relaxed)
                .is_ok();
        if !alone {
            // SAFETY: The caller's premise is the callee's.
            return unsafe { self.link_shared(lock, holder, alive) };
        }
        let Err(error) = alive() else { return Ok(()) };
        // SAFETY: Linked above; the caller owns it.
        Err(match unsafe { self.unlink(lock, holder) } {
            true => Unlinked::Free(error),
            false => Unlinked::Orphaned(error),
        })
    }

    unsafe fn link_shared(
        &self,
        lock: &Lock,
        holder: HolderPointer,
        alive: impl Fn() -> Result<(), Error>,
    ) -> Result<(), Unlinked> {
        lock.with(|| {
            // Before the look at the key: reason 2 in the module's text.
            self.shared.store(true, Ordering::SeqCst);
            alive().map_err(Unlinked::Free)?;
            // SAFETY: The caller: in no list. The lock is held.
            unsafe { self.list.push_back(holder) };
            Ok(())
        })
    }

    /// Takes a record out, if it has not been orphaned. Returns whether it did.
    ///
    /// # Safety
    ///
    /// `holder` was linked here, and the caller owns its map.
    pub(super) unsafe fn unlink(&self, lock: &Lock, holder: HolderPointer) -> bool {
        // Relaxed: it publishes nothing, and what this owner did to the record
        // is nobody else's business.
        let mine = holder.as_ptr();
        let left_alone = self.sole.load(Ordering::Relaxed) == mine
            && self
                .sole
                .compare_exchange(mine, null_mut(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if left_alone {
            return true;
        }
        lock.with(|| {
            // SAFETY: The caller owns it; the lock orders the releaser's store.
            if unsafe { holder.as_ref() }.orphaned.get() {
                return false;
            }
            // SAFETY: Neither sole nor orphaned, so in the list.
            unsafe { self.list.remove(holder) };
            true
        })
    }

    /// Orphans every record of a key that has just died; `count` is told the
    /// obligations before the first other map is.
    ///
    /// `mine` is the mailbox of the calling thread's own map, or null, and
    /// `own` that map's standing record.
    pub(super) fn bury(
        &self,
        lock: &Lock,
        mine: *const Mailbox,
        own: Option<HolderPointer>,
        count: impl Fn(u32),
    ) -> Burial {
        if let Some(burial) = own.and_then(|own| self.bury_alone(own)) {
            count(burial.count);
            return burial;
        }
        lock.with(|| {
            // Acquire: with the Release in `link`. Release: none is needed.
            let sole = self.sole.swap(BURIED, Ordering::Acquire);
            if let Some(sole) = NonNull::new(sole) {
                // SAFETY: In the sole place, so in no list; the lock is held.
                unsafe { self.list.push_back(sole) };
            }
            let burial = self.orphan_all(mine);
            count(burial.count);
            self.post_all(mine);
            burial
        })
    }

    /// The burial of a key that only the releaser holds.
    fn bury_alone(&self, own: HolderPointer) -> Option<Burial> {
        // After the last reference went: reason 2 in the module's text.
        if self.shared.load(Ordering::SeqCst) {
            return None;
        }
        self.sole
            .compare_exchange(own.as_ptr(), BURIED, Ordering::Relaxed, Ordering::Relaxed)
            .ok()?;
        // SAFETY: The calling thread's own record.
        let record = unsafe { own.as_ref() };
        record.orphaned.set(true);
        record.place.set(Place::Orphaned);
        Some(Burial { standing: Some(own), owed: false, count: 1 })
    }

    /// Marks every record as orphaned and counts the obligations: all before
    /// the first owner can hear of it, because a quick one meets its own while
    /// others are still being told.
    fn orphan_all(&self, mine: *const Mailbox) -> Burial {
        let mut burial = Burial { standing: None, owed: true, count: 0 };
        let mut next = self.list.first();
        while let Some(holder) = next {
            // SAFETY: The lock is held, and it is in the list.
            let record = unsafe { holder.as_ref() };
            next = NonNull::new(record.next.get());
            burial.count += 1;
            record.orphaned.set(true);
            if record.mailbox.get() == mine {
                burial.owed = false;
                record.place.set(Place::Orphaned);
                if record.in_table.get() {
                    burial.standing = Some(holder);
                }
            }
        }
        burial.count += u32::from(burial.owed);
        burial
    }

    fn post_all(&self, mine: *const Mailbox) {
        let mut next = self.list.take_all();
        while let Some(holder) = NonNull::new(next) {
            // SAFETY: The lock is held, and it was in the list.
            let record = unsafe { holder.as_ref() };
            next = record.next.get();
            let mailbox = record.mailbox.get();
            if mailbox != mine {
                // SAFETY: Its map can't end before it has unlinked this record,
                // for which it needs the lock that is held here.
                let mailbox = unsafe { &*mailbox };
                // SAFETY: Just orphaned, and the lock is held.
                unsafe { mailbox.put(holder) };
            }
        }
    }
}
