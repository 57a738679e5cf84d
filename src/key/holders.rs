// SPDX-License-Identifier: MIT OR Apache-2.0
//! The holders of one key: the records that learn of its death.
//!
//! # The problem
//!
//! Most keys die with one holder, on the thread that releases them: that must
//! cost no lock. Others have a thousand, on threads that come, go, walk the
//! list and release at the same time. Nobody may be forgotten, and nobody may
//! touch a record that has gone.
//!
//! # The idea
//!
//! One word heads the list: null, the newest link, or [`DEAD`]. Its lowest bit,
//! the *tag*, says "somebody has walked this list".
//!
//! ```text
//!   head --> link --next--> link --next--> link --> null      the key is live
//!    tag      <--previous--      <--previous--                (previous is filled
//!                                                              in lazily, by
//!   head = DEAD      dying --> link --> link --> null          the one who has the lock)
//! ```
//!
//! | who | does | lock |
//! |---|---|---|
//! | *link* | alone and untagged: one compare-exchange from null; else pushes; then looks at the generation once more | none |
//! | *leave* | alone and untagged: one compare-exchange to null; else takes the link out | none; the key's |
//! | *seize*, by the release of the last reference | alone and untagged: one compare-exchange to [`DEAD`]; else swaps `DEAD` in, and has the whole chain | none; the key's |
//! | *walk* | sets the tag, then goes from link to link | the key's |
//!
//! A link is part of a record, and the record is `crate::local`'s: nothing here
//! knows more of it than these two words.
//!
//! # Invariants
//!
//! 1. *Nobody is forgotten.* Linking and seizing are read-modify-writes of one
//!    word: either the seizing comes later and has the link in its chain, or the
//!    linker finds `DEAD`. A linker that was delayed until the slot serves
//!    another key sees that when it looks at the generation, and leaves.
//! 2. *Nobody who is walked over goes.* The one who leaves without the lock needs an
//!    untagged word, and a walker sets the tag before it follows the first link.
//! 3. `previous` is right, or null; the null ones are a prefix of the list. So
//!    filling in costs what has been pushed since the last time.
//! 4. `next` of a link in the list is written by its pusher before the push, and
//!    with the lock after it. `previous`, `dying`: with the lock.
//! 5. A link of a dead key is in `dying`, or was taken out of it, which says so
//!    in `previous` ([`is_posted`]). It goes from the one to the other once,
//!    with the lock.
//!
//! # Orderings
//!
//! `head` is the one atomic that carries data. *Link* is `AcqRel`: `Release`, so
//! that who finds the link sees the record filled in; `Acquire`, with the
//! `Release` in *open*, so that a linker who comes too late sees the generation
//! that says so. *Leave* is `Release`: a seizing that finds nobody, and the
//! key's `user_free` after it, come after the callbacks of those who have left.
//! *Seize* and *walk* are `AcqRel` or `Acquire`, to see both. All changes are
//! read-modify-writes, so a release sequence goes through all of them. `next` is
//! `Relaxed`: the head, or the lock, orders it.

use core::ptr::{null_mut, NonNull};

use crate::sys::lock::Lock;
use crate::sys::sync::{AtomicPtr, Cell, Ordering};

/// What makes a record a holder of its key. While its key lives it is in the key's list.
/// Of a dead key, `next` is the inbox's ([`crate::local::inbox`]) and then the owner's.
#[repr(C)]
pub struct Link {
    /// The next older one.
    pub next: AtomicPtr<Link>,
    /// The next younger one, null where it is not filled in yet, or [`POSTED`].
    pub previous: Cell<*mut Link>,
}

/// A pointer to a link, as lists have it.
pub type LinkPointer = NonNull<Link>;

/// The head's lowest bit, in bytes: links are aligned to 8.
const TAG: usize = 1;

/// The head of a key that has died.
const DEAD: *mut Link = null_mut::<Link>().wrapping_byte_add(2);

/// In `previous`: taken out of a dead key's chain.
const POSTED: *mut Link = null_mut::<Link>().wrapping_byte_add(4);

/// How a link has left its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// Out of the list of a live key.
    Left,
    /// Out of the chain of a dead key, which has counted it: its pin is to be dropped.
    Counted,
    /// Not here: it was posted to its map's inbox, and has a pin.
    Posted,
}

/// The holders of one key. All zero: none, of a slot that was never opened.
#[repr(C)]
pub struct Holders {
    head: AtomicPtr<Link>,
    /// What is left of the chain of a dead key. With the lock.
    dying: Cell<*mut Link>,
}

fn link<'a>(pointer: LinkPointer) -> &'a Link {
    // SAFETY: The callers have it from the list, with the lock that its record
    // needs to go away, or it is their own.
    unsafe { pointer.as_ref() }
}

fn untagged(head: *mut Link) -> *mut Link {
    head.wrapping_byte_sub(head as usize & TAG)
}

/// Whether a link was taken out of a dead key's chain. With the key's lock.
pub fn is_posted(pointer: LinkPointer) -> bool {
    link(pointer).previous.get() == POSTED
}

/// Says of a link of a dead key that it is in nobody's chain.
pub fn mark_posted(pointer: LinkPointer) {
    link(pointer).previous.set(POSTED);
}

impl Holders {
    /// Opens for a new key, which the caller publishes.
    pub(super) fn open(&self) {
        // Release: a linker of the slot's last key that pushes onto this sees
        // that its key is dead.
        self.head.store(null_mut(), Ordering::Release);
    }

    /// Enters a link. With false the key is dead, and nothing was done.
    /// Safety: the link is the caller's, in no list, and its record is filled in.
    pub(super) unsafe fn link(&self, mine: LinkPointer) -> bool {
        let fields = link(mine);
        fields.previous.set(null_mut());
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            if head == DEAD {
                return false;
            }
            fields.next.store(untagged(head), Ordering::Relaxed);
            let new = mine.as_ptr().wrapping_byte_add(head as usize & TAG);
            // AcqRel: see the module's text.
            match self.head.compare_exchange_weak(head, new, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => head = now,
            }
        }
    }

    /// [`link`](Self::link), if there is no other holder and nobody has walked. With
    /// false nothing was done.
    /// Safety: as [`link`](Self::link).
    #[inline(always)]
    pub(super) unsafe fn link_alone(&self, mine: LinkPointer) -> bool {
        link(mine).previous.set(null_mut());
        link(mine).next.store(null_mut(), Ordering::Relaxed);
        let (none, new) = (null_mut(), mine.as_ptr());
        // AcqRel: see the module's text.
        self.head.compare_exchange(none, new, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Takes a link out, and says how it left.
    /// Safety: it was linked here, and the caller owns its record.
    #[inline(always)]
    pub(super) unsafe fn leave(&self, lock: &Lock, mine: LinkPointer) -> Departure {
        if self.leave_alone(mine) {
            return Departure::Left;
        }
        // SAFETY: The caller's premise.
        unsafe { self.leave_shared(lock, mine) }
    }

    /// [`leave`](Self::leave), if there is no other holder and nobody has walked. With false
    /// nothing was done.
    #[inline(always)]
    pub(super) fn leave_alone(&self, mine: LinkPointer) -> bool {
        self.exchange_alone(mine, null_mut(), Ordering::Release)
    }

    #[inline(never)]
    unsafe fn leave_shared(&self, lock: &Lock, mine: LinkPointer) -> Departure {
        lock.with(|| {
            if is_posted(mine) {
                return Departure::Posted;
            }
            // SAFETY: The caller's premise, and the lock is held.
            unsafe { self.remove(mine) }
        })
    }

    /// Takes a link out that was not posted. With the lock.
    /// Safety: it is in this list or chain.
    pub(crate) unsafe fn remove(&self, mine: LinkPointer) -> Departure {
        let head = self.tag();
        if head == DEAD {
            self.remove_dying(mine);
            return Departure::Counted;
        }
        let next = link(mine).next.load(Ordering::Relaxed);
        if head == mine.as_ptr() && self.replace_head(mine, next) {
            // The new head's is not known, which null says.
            if let Some(next) = NonNull::new(next) {
                link(next).previous.set(null_mut());
            }
            return Departure::Left;
        }
        self.fill_previous(mine);
        if let Some(previous) = NonNull::new(link(mine).previous.get()) {
            link(previous).next.store(next, Ordering::Relaxed);
            if let Some(next) = NonNull::new(next) {
                link(next).previous.set(previous.as_ptr());
            }
        }
        Departure::Left
    }

    /// Puts a new link in front of another: the one who has walked past that one, or is
    /// at it, does not come to the new one; all others do. With the lock.
    /// Safety: `new` is the caller's, in no list, and its record is filled in; `at` is in
    /// the list of this live key.
    pub(crate) unsafe fn insert_before(&self, at: LinkPointer, new: LinkPointer) {
        let head = self.tag();
        debug_assert_ne!(head, DEAD, "somebody who walks keeps the key alive");
        link(new).next.store(at.as_ptr(), Ordering::Relaxed);
        link(new).previous.set(null_mut());
        if head == at.as_ptr() && self.replace_head(at, new.as_ptr()) {
            link(at).previous.set(new.as_ptr());
            return;
        }
        self.fill_previous(at);
        if let Some(previous) = NonNull::new(link(at).previous.replace(new.as_ptr())) {
            link(new).previous.set(previous.as_ptr());
            link(previous).next.store(new.as_ptr(), Ordering::Relaxed);
        }
    }

    /// Makes a link the newest of its live key: who walks does not come to it. With the
    /// lock.
    /// Safety: it is in this list or chain, and the caller owns its record.
    pub(crate) unsafe fn make_newest(&self, mine: LinkPointer) {
        if self.tag() == DEAD {
            return;
        }
        // SAFETY: The caller's premise; and then it is in none.
        let linked = unsafe { self.remove(mine) == Departure::Left && self.link(mine) };
        debug_assert!(linked, "a tagged list is seized with the lock");
    }

    /// Puts another link at the tagged head's place, if nobody has pushed.
    fn replace_head(&self, at: LinkPointer, new: *mut Link) -> bool {
        let (old, new) = (at.as_ptr().wrapping_byte_add(TAG), new.wrapping_byte_add(TAG));
        // AcqRel: what is put there is published, and walkers see the rest.
        self.head.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// One exchange of the head, if `mine` is all there is and nobody has walked.
    #[inline(always)]
    fn exchange_alone(&self, mine: LinkPointer, new: *mut Link, ordering: Ordering) -> bool {
        link(mine).next.load(Ordering::Relaxed).is_null()
            && self.head.compare_exchange(mine.as_ptr(), new, ordering, Ordering::Relaxed).is_ok()
    }

    /// Sets the tag; returns the head without it. With the lock.
    fn tag(&self) -> *mut Link {
        let mut head = self.head.load(Ordering::Acquire);
        while head != DEAD && head == untagged(head) {
            let tagged = head.wrapping_byte_add(TAG);
            // Acquire: with the Release of each push. Release: those who leave
            // later go on with it.
            match self.head.compare_exchange_weak(head, tagged, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => head = tagged,
                Err(now) => head = now,
            }
        }
        untagged(head)
    }

    /// Fills in `previous` up to a link of the list. With the lock, and the tag.
    fn fill_previous(&self, upto: LinkPointer) {
        if !link(upto).previous.get().is_null() {
            return;
        }
        let mut at = untagged(self.head.load(Ordering::Acquire));
        while let Some(here) = NonNull::new(at).filter(|here| *here != upto) {
            at = link(here).next.load(Ordering::Relaxed);
            if let Some(next) = NonNull::new(at) {
                link(next).previous.set(here.as_ptr());
            }
        }
    }

    /// Makes the key dead if `own` is its only holder, and nobody has walked.
    #[inline(always)]
    pub(super) fn seize_alone(&self, own: LinkPointer) -> bool {
        self.exchange_alone(own, DEAD, Ordering::AcqRel)
    }

    /// Makes the key dead, and takes its whole list over as a chain. With the
    /// lock. Returns how many there are.
    pub(super) fn seize(&self) -> u32 {
        // AcqRel: see the module's text.
        let chain = untagged(self.head.swap(DEAD, Ordering::AcqRel));
        if chain == DEAD {
            return 0;
        }
        self.dying.set(chain);
        let mut number = 0;
        let mut previous = null_mut();
        let mut next = chain;
        while let Some(here) = NonNull::new(next) {
            link(here).previous.set(previous);
            previous = here.as_ptr();
            next = link(here).next.load(Ordering::Relaxed);
            number += 1;
        }
        number
    }

    /// Takes the next link out of a dead key's chain, to be posted. With the lock.
    pub fn next_dying(&self) -> Option<LinkPointer> {
        let first = NonNull::new(self.dying.get())?;
        self.remove_dying(first);
        mark_posted(first);
        Some(first)
    }

    fn remove_dying(&self, mine: LinkPointer) {
        let next = link(mine).next.load(Ordering::Relaxed);
        let previous = link(mine).previous.get();
        match NonNull::new(previous) {
            Some(previous) => link(previous).next.store(next, Ordering::Relaxed),
            None => self.dying.set(next),
        }
        if let Some(next) = NonNull::new(next) {
            link(next).previous.set(previous);
        }
    }

    /// The newest link of a live key. From here on all who leave take the lock.
    /// With the lock.
    pub fn first(&self) -> Option<LinkPointer> {
        NonNull::new(self.tag()).filter(|head| head.as_ptr() != DEAD)
    }

    /// The link after another one. With the lock.
    pub fn after(at: LinkPointer) -> Option<LinkPointer> {
        NonNull::new(link(at).next.load(Ordering::Relaxed))
    }

    /// In the child of a fork: forgets everybody. The one who is there is linked
    /// anew. The key is live, or `dead`.
    pub(super) fn forget_all(&self, dead: bool) {
        self.dying.set(null_mut());
        self.head.store(if dead { DEAD } else { null_mut() }, Ordering::Relaxed);
    }
}
