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
//! with the lock held only; each is orphaned and posted in one go. (The lock is
//! given back between two of them when somebody is to be notified. An owner
//! may take its record out then: it was counted, and meets its obligation.) An owner whose `unlink` finds its record buried
//! takes that lock before it goes on, so the burial is over by then. Without
//! the lock a burial touches only the releaser's own record.

use core::ptr::{null_mut, NonNull};

use super::holder::{Holder, HolderList, HolderPointer, KeyLinks, Mailbox, Notice, Place, Stand};
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
    /// The releaser has no record of its own that stands for the burial, or
    /// others have to be told as well: it owes an [`obligation_met`](super::slot::KeySlot::obligation_met).
    pub owed: bool,
    /// Nobody else has a record.
    pub lonely: bool,
    /// Scopes of the releaser's map hide values: told of like others', to be
    /// destroyed after that.
    pub hidden: bool,
    /// Obligations of the calling thread.
    own: u32,
}

/// How a record has left its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// Out of a live key's holders.
    Left,
    /// Out of the holders of a key that is being buried, which had counted it:
    /// its obligation is to be met.
    Counted,
    /// Not here: it has been orphaned, and is in its map's mailbox.
    Orphaned,
}

/// Why a record could not be linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlinked {
    /// It is in no list.
    Free(Error),
    /// It was linked too late, and counted by a burial; it is in no list, but
    /// its obligation is to be met.
    Counted(Error),
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

    /// Opens for a new key. The caller publishes it. With `shared`, all its
    /// records go into the list.
    pub(super) fn open(&self, shared: bool) {
        // Release: see `link`.
        self.sole.store(null_mut(), Ordering::Release);
        self.shared.store(shared, Ordering::Relaxed);
    }

    /// The records in the list. The caller has the lock.
    pub(super) fn list(&self) -> &HolderList<KeyLinks> {
        &self.list
    }

    /// Enters a record if `alive` says that the key is.
    ///
    /// # Safety
    ///
    /// `holder` is the caller's, filled in, and in no list by these links.
    #[inline(always)]
    pub(super) unsafe fn link(
        &self,
        lock: &Lock,
        holder: HolderPointer,
        alive: impl Fn() -> Result<(), Error>,
    ) -> Result<(), Unlinked> {
        // Release: the burial that finds it there sees it filled in. Acquire:
        // with the Release in `open`, so that a linker that comes too late sees
        // that its key is dead.
        let alone = !self.shared.load(Ordering::Relaxed)
            && self.sole.load(Ordering::Relaxed).is_null()
            && self
                .sole
                .compare_exchange(null_mut(), holder.as_ptr(), Ordering::AcqRel, Ordering::Relaxed)
                .is_ok();
        if !alone {
            // SAFETY: The caller's premise is the callee's.
            return unsafe { self.link_shared(lock, holder, alive) };
        }
        let Err(error) = alive() else { return Ok(()) };
        // SAFETY: Linked above; the caller owns it.
        Err(match unsafe { self.unlink(lock, holder) } {
            Departure::Left => Unlinked::Free(error),
            Departure::Counted => Unlinked::Counted(error),
            Departure::Orphaned => Unlinked::Orphaned(error),
        })
    }

    #[inline(never)]
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

    /// Takes a record out, and says how it left.
    ///
    /// # Safety
    ///
    /// `holder` was linked here, and the caller owns its map.
    pub(super) unsafe fn unlink(&self, lock: &Lock, holder: HolderPointer) -> Departure {
        // Release: a burial that finds nobody here comes after the callbacks of
        // those who have left, and so does the key's `user_free`.
        let mine = holder.as_ptr();
        let left_alone = self.sole.load(Ordering::Relaxed) == mine
            && self
                .sole
                .compare_exchange(mine, null_mut(), Ordering::Release, Ordering::Relaxed)
                .is_ok();
        if left_alone {
            return Departure::Left;
        }
        lock.with(|| {
            // SAFETY: The caller owns it; the lock orders the releaser's store.
            if unsafe { holder.as_ref() }.orphaned.get() {
                return Departure::Orphaned;
            }
            // SAFETY: Neither sole nor orphaned, so in the list.
            unsafe { self.list.remove(holder) };
            if self.sole.load(Ordering::Relaxed) == BURIED {
                return Departure::Counted;
            }
            Departure::Left
        })
    }

    /// Begins the burial of a key that has just died: `count` is told the
    /// obligations before the first other map is told anything.
    ///
    /// `mine` is the mailbox of the calling thread's own map, or null, and
    /// `own` that map's standing record. The caller then calls
    /// [`post`](Self::post) until that returns nothing, and has an obligation
    /// that is not met meanwhile.
    #[inline(always)]
    pub(super) fn bury(
        &self,
        lock: &Lock,
        mine: *const Mailbox,
        own: Option<HolderPointer>,
        count: impl Fn(u32),
    ) -> Burial {
        if let Some(burial) = own.and_then(|own| self.bury_alone(own)) {
            // One obligation, which is what stands there from the first.
            return burial;
        }
        self.bury_shared(lock, mine, own, count)
    }

    /// [`bury`](Self::bury) of a key that others may hold.
    #[inline(never)]
    fn bury_shared(
        &self,
        lock: &Lock,
        mine: *const Mailbox,
        own: Option<HolderPointer>,
        count: impl Fn(u32),
    ) -> Burial {
        lock.with(|| {
            // Acquire: with the Release in `link`.
            let sole = self.sole.swap(BURIED, Ordering::Acquire);
            if let Some(sole) = NonNull::new(sole) {
                // SAFETY: In the sole place, so in no list; the lock is held.
                unsafe { self.list.push_back(sole) };
            }
            let burial = self.keep_own(mine, own);
            count(self.present() + burial.own);
            burial
        })
    }

    /// The burial of a key that only the releaser holds.
    #[inline(always)]
    fn bury_alone(&self, own: HolderPointer) -> Option<Burial> {
        // After the last reference went: reason 2 in the module's text.
        if self.shared.load(Ordering::SeqCst) {
            return None;
        }
        self.sole
            .compare_exchange(own.as_ptr(), BURIED, Ordering::Acquire, Ordering::Relaxed)
            .ok()?;
        // SAFETY: The calling thread's own record.
        let record = unsafe { own.as_ref() };
        record.orphaned.set(true);
        record.place.set(Place::Orphaned);
        Some(Burial { standing: Some(own), owed: false, lonely: true, hidden: false, own: 1 })
    }

    /// Orphans the calling thread's own records, and takes them out of the
    /// list: no other thread has to be told of them.
    ///
    /// Of several, `own` is the one that stands: the others are of values that
    /// have been taken, or are being made or ended.
    fn keep_own(&self, mine: *const Mailbox, own: Option<HolderPointer>) -> Burial {
        let mut burial =
            Burial { standing: None, owed: false, lonely: false, hidden: false, own: 0 };
        let mut next = self.list.first();
        while let Some(holder) = next {
            // SAFETY: The lock is held, and it is in the list.
            let record = unsafe { holder.as_ref() };
            next = NonNull::new(record.next.get());
            if record.mailbox.get() != mine {
                continue;
            }
            // One that a scope hides is told of like other maps' (and ended by
            // the releaser when it has been).
            if record.stand.get() == Stand::Aside {
                burial.hidden = true;
                continue;
            }
            // SAFETY: As above.
            unsafe { self.list.remove(holder) };
            record.orphaned.set(true);
            record.place.set(Place::Orphaned);
            burial.own += 1;
            if own == Some(holder) {
                burial.standing = own;
            }
        }
        burial.lonely = self.list.is_empty();
        // Without a record of its own, or if it is going to call out, the
        // burial itself is an obligation.
        burial.owed = burial.own == 0 || !burial.lonely;
        burial.own += u32::from(burial.owed);
        burial
    }

    /// Records in the list whose maps are in this process.
    fn present(&self) -> u32 {
        let mut number = 0;
        let mut next = self.list.first();
        while let Some(holder) = next {
            // SAFETY: The lock is held, and it is in the list.
            let record = unsafe { holder.as_ref() };
            next = NonNull::new(record.next.get());
            number += u32::from(!has_vanished(record));
        }
        number
    }

    /// Orphans the remaining records of a key that is being buried and tells
    /// their maps, until one of them wants somebody to be notified: that is to
    /// be done with no lock held, and then this is to be called again.
    pub(super) fn post(&self, lock: &Lock) -> Option<Notice> {
        lock.with(|| self.post_some())
    }

    /// Begins the burial of a dead key that its releaser had not begun when it
    /// was left behind by a fork. All locks are held. Returns whether there was
    /// anybody to bury it for.
    pub(super) fn bury_after_fork(&self) -> bool {
        let sole = self.present_sole();
        if sole == BURIED || (sole.is_null() && self.list.is_empty()) {
            return false;
        }
        self.sole.store(BURIED, Ordering::Relaxed);
        if let Some(sole) = NonNull::new(sole) {
            // SAFETY: In the sole place, so in no list; the lock is held.
            unsafe { self.list.push_back(sole) };
        }
        true
    }

    /// In a forked process: what is in the sole place, after a record whose map
    /// is not here has been taken out of it.
    pub(super) fn present_sole(&self) -> *mut Holder {
        let sole = self.sole.load(Ordering::Relaxed);
        if sole == BURIED {
            return sole;
        }
        // SAFETY: Its memory is there, and only this thread is.
        if unsafe { sole.as_ref() }.is_some_and(has_vanished) {
            self.sole.store(null_mut(), Ordering::Relaxed);
        }
        self.sole.load(Ordering::Relaxed)
    }

    /// The rest of a burial that a fork has cut off. All locks are held.
    pub(super) fn post_after_fork(&self) {
        if self.sole.load(Ordering::Relaxed) == BURIED {
            while self.post_some().is_some() {}
        }
    }

    fn post_some(&self) -> Option<Notice> {
        while let Some(holder) = self.list.first() {
            // SAFETY: It is in the list, and the lock is held.
            unsafe { self.list.remove(holder) };
            // SAFETY: As above.
            let record = unsafe { holder.as_ref() };
            if has_vanished(record) {
                continue;
            }
            record.orphaned.set(true);
            // An end that was put off has been counted already.
            let counted = record.deferred.get() == 0 && !record.reaped.get();
            // SAFETY: Its map can't end before it has unlinked this record,
            // for which it needs the lock that is held here.
            let mailbox = unsafe { &*record.mailbox.get() };
            // Looked at before: once the record is in the mailbox, the map's
            // thread may take it out and end, and the map with it.
            let notice = mailbox.notice();
            // SAFETY: Just orphaned, and the lock is held.
            let first = unsafe { mailbox.put(holder, counted) };
            if let Some(notice) = notice.filter(|_| first) {
                return Some(notice);
            }
        }
        None
    }

    /// Has every record in the list, for a report. The caller has the lock.
    ///
    /// The sole record's owner may be leaving, which takes no lock: whichever
    /// exchange comes first decides, and an owner that comes second waits for
    /// the lock. From here on the key is shared.
    pub(super) fn share_all(&self) {
        let sole = self.sole.load(Ordering::Relaxed);
        if sole == BURIED {
            return;
        }
        let Some(record) = NonNull::new(sole) else { return };
        // Before the exchange, like a linker: reason 2 in the module's text.
        self.shared.store(true, Ordering::SeqCst);
        // Acquire: with the Release in `link`.
        let moved =
            self.sole.compare_exchange(sole, null_mut(), Ordering::Acquire, Ordering::Relaxed);
        if moved.is_ok() {
            // SAFETY: Just taken out of the sole place, so in no list; its owner
            // needs the lock to take it away.
            unsafe { self.list.push_back(record) };
        }
    }

    /// How many maps of this process have a record here.
    pub(super) fn number(&self, lock: &Lock) -> u32 {
        lock.with(|| {
            // Acquire: who waits for the last one to leave comes after it.
            let sole = self.sole.load(Ordering::Acquire);
            self.present() + u32::from(!sole.is_null() && sole != BURIED)
        })
    }
}

/// Whether a record's map was left behind by a fork.
pub(crate) fn has_vanished(record: &Holder) -> bool {
    // SAFETY: The caller found it in a list under its lock, so its map lives;
    // or has vanished, with its memory left in place.
    unsafe { &*record.mailbox.get() }.vanished.load(Ordering::Relaxed)
}
