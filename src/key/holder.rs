//! Who has an entry under a key, and how that map learns of the key's death.
//!
//! A *holder record* stands for one entry of one map. It is in its key's list
//! from before the entry is visible until after the value's life has ended. It
//! carries the links for everything that can happen to it, so that none of it
//! needs memory: a release never fails for want of any.
//!
//! ```text
//!   in the key's list          orphaned by the key's death
//!   next, previous  ---------> next: in the mailbox of its map (one way)
//!                                then next, previous: in the map's stale list
//! ```
//!
//! # Who may touch what
//!
//! | field | written by | read by |
//! |---|---|---|
//! | `next`, `previous` while in the key's list | anyone with the key's lock | the same |
//! | `orphaned` | the releaser, with the key's lock | the same lock; or the owner, after it took the mailbox |
//! | `next` while in the mailbox | the releaser, before its `Release` | the owner, after its `Acquire` |
//! | all else | the owner of the map | the owner; `mailbox` also the releaser, which the lock orders after |

use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr::{null_mut, NonNull};

use super::options::Rules;
use super::slot::KeySlot;
use crate::sys::lock::Lock;
use crate::sys::sync::{unwatched, AtomicBool, AtomicPtr, AtomicUsize, Cell, Ordering};

/// A pointer to a holder record, as lists and tables keep it.
pub type HolderPointer = NonNull<Holder>;

/// One map's entry under one key.
pub struct Holder {
    /// See the picture above.
    pub next: Cell<*mut Holder>,
    /// See the picture above.
    pub previous: Cell<*mut Holder>,
    /// Where its map is told of the key's death.
    pub mailbox: Cell<*const Mailbox>,
    /// The key's slot. It serves this key as long as this record exists.
    pub slot: Cell<*const KeySlot>,
    /// The key's handle.
    pub handle: Cell<u64>,
    /// In the map's list of entries by age.
    pub order_next: Cell<*mut Holder>,
    /// In the map's list of entries by age.
    pub order_previous: Cell<*mut Holder>,
    /// The value, once the entry has left the table and waits for its end; of an
    /// entry that is set aside, the scope's note of it.
    pub value: Cell<*mut c_void>,
    /// Destroy callbacks that are running on behalf of this record.
    pub callbacks: Cell<u32>,
    /// How many scopes were open, one in the other, when it was set: it ends
    /// with the innermost of them.
    pub depth: Cell<u16>,
    /// The depth at which a set may simply exchange its value: `depth`, or
    /// [`Holder::NEVER`] if there is more to do.
    pub plain_at: Cell<u16>,
    /// Where the owner knows it to be.
    pub place: Cell<Place>,
    /// Where the entry is. Under the map's lock, if the key is reachable.
    pub stand: Cell<Stand>,
    /// The key is dead, and this record is out of its list.
    pub orphaned: Cell<bool>,
    /// The key's rules. A copy: when another thread has reaped the value, the
    /// slot may serve another key before the owner knows.
    pub rules: Cell<Rules>,
    /// Another thread has taken the value out of the table. Under the map's
    /// lock.
    pub reaped: Cell<bool>,
    /// It was reaped while values that were set before were still ending: the
    /// owner finishes it as if it had not been. Under the map's lock.
    pub owes: Cell<bool>,
    /// Values that were replaced and are ending. Under the map's lock.
    pub replacing: Cell<u32>,
    /// Why the value is to end as soon as nobody visits it; 0: it is not to.
    /// Under the key's lock.
    pub deferred: Cell<u8>,
    /// The map is gone: whoever visits the value frees this record. Under the
    /// key's lock.
    pub abandoned: Cell<bool>,
    /// Threads that visit the value. Under the key's lock.
    pub visitors: Cell<u32>,
}

impl Holder {
    /// No depth of scopes.
    pub(crate) const NEVER: u16 = u16::MAX;

    /// Whether the entry stands in the map's table.
    #[must_use]
    pub fn in_table(&self) -> bool {
        self.stand.get() == Stand::Table
    }
}

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stand {
    /// Not there yet, or not there any more; or in a captured context.
    Out = 0,
    /// In the map's table.
    Table = 1,
    /// Out of the table, to come back when the scope ends that hides it.
    Aside = 2,
}

/// What the owner knows of a holder record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Place {
    /// In the key's list, as far as is known; the key may have died since.
    Listed = 0,
    /// Out of the mailbox, in the map's stale list.
    Stale = 1,
    /// Orphaned, and in no list of dead keys.
    Orphaned = 2,
}

/// Where a map is told that keys of its entries have died.
///
/// Many releasers put in, each under some key's lock; one owner takes all. It
/// also has the one lock of the map.
#[repr(C)]
pub struct Mailbox {
    /// Stale entries of the map: in the mailbox, or in the owner's stale list.
    ///
    /// `Relaxed`: whoever knows by other means that a release has returned is
    /// ordered after it by those means; it counts, it publishes nothing.
    pub stale: AtomicUsize,
    /// Entries of the map whose value another thread has taken, and which the
    /// owner has not cleared away yet. `Relaxed`: for reports.
    pub reaped: unwatched::AtomicUsize,
    /// The holder records that were put in, the latest first.
    first: AtomicPtr<Holder>,
    /// The map's thread is not in this process: it was left behind by a fork.
    pub vanished: unwatched::AtomicBool,
    /// The OS's number of the thread that has the map, 0 for none.
    pub owner: unwatched::AtomicU64,
    /// There is a notice. A hint: `notice` is looked at under the lock.
    has_notice: AtomicBool,
    /// Over `notice`, and over the table where other threads reach it.
    pub lock: Lock,
    notice: Cell<Notice>,
}

/// Whom to tell that a mailbox is not empty any more.
#[derive(Clone, Copy)]
pub struct Notice {
    /// What to call; nothing: nobody.
    pub notify: Option<unsafe extern "C" fn(argument: *mut c_void)>,
    /// What to call it with.
    pub argument: *mut c_void,
}

// SAFETY: Layout: all but `notice` is atomic or a lock, and that is touched
// under the lock only.
unsafe impl Sync for Mailbox {}

impl Mailbox {
    /// An empty mailbox.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            stale: AtomicUsize::new(0),
            reaped: unwatched::AtomicUsize::new(0),
            first: AtomicPtr::new(null_mut()),
            vanished: unwatched::AtomicBool::new(false),
            owner: unwatched::AtomicU64::new(0),
            has_notice: AtomicBool::new(false),
            lock: Lock::new(),
            notice: Cell::new(Notice { notify: None, argument: null_mut() }),
        }
    }

    /// Has `notice` called whenever the mailbox becomes non-empty.
    pub fn set_notice(&self, notice: Notice) {
        self.lock.with(|| {
            self.notice.set(notice);
            // Relaxed: who misses it was not ordered after this call anyway.
            self.has_notice.store(notice.notify.is_some(), Ordering::Relaxed);
        });
    }

    /// Whom to tell, if anybody. The caller keeps the map in place.
    pub fn notice(&self) -> Option<Notice> {
        if !self.has_notice.load(Ordering::Relaxed) {
            return None;
        }
        let notice = self.lock.with(|| self.notice.get());
        notice.notify.map(|_| notice)
    }

    /// Puts an orphaned record in; `counted` says whether there is a value to
    /// end, and not just a record to clear away. Returns whether it is the
    /// first: of all, or of those with a value to end.
    ///
    /// # Safety
    ///
    /// The caller has just orphaned `holder` and still has its key's lock,
    /// which is what keeps the map, and so this mailbox, from going away.
    pub unsafe fn put(&self, holder: HolderPointer, counted: bool) -> bool {
        // Counted first: an owner that is quick never takes more than counted.
        let first_stale = counted && self.stale.fetch_add(1, Ordering::Relaxed) == 0;
        let mut first = self.first.load(Ordering::Relaxed);
        loop {
            // SAFETY: The caller: until the exchange succeeds it is ours.
            unsafe { holder.as_ref() }.next.set(first);
            // Release: the owner that takes it sees `next` and `orphaned`.
            match self.first.compare_exchange_weak(
                first,
                holder.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return first.is_null() || first_stale,
                Err(now) => first = now,
            }
        }
    }

    /// Takes all records out: a list by `next`. Called by the owner only.
    #[must_use]
    pub fn take(&self) -> *mut Holder {
        if self.first.load(Ordering::Relaxed).is_null() {
            return null_mut();
        }
        // Acquire: pairs with every `put` in the list; each of them read the
        // one before it by a read-modify-write, so this one swap sees all.
        self.first.swap(null_mut(), Ordering::Acquire)
    }

    /// Whether something was put in that the owner has not taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.load(Ordering::Relaxed).is_null()
    }
}

impl Default for Mailbox {
    fn default() -> Self {
        Self::new()
    }
}

/// A pair of links of a [`Holder`], by which it can be in one list at a time.
pub trait Links {
    /// The link forward.
    fn next(holder: &Holder) -> &Cell<*mut Holder>;
    /// The link backward.
    fn previous(holder: &Holder) -> &Cell<*mut Holder>;
}

/// `next` and `previous`: the key's list, or the map's stale list.
pub struct KeyLinks;

/// `order_next` and `order_previous`: the map's entries by age, or those that
/// have left the table and wait for their end.
pub struct OrderLinks;

impl Links for KeyLinks {
    fn next(holder: &Holder) -> &Cell<*mut Holder> {
        &holder.next
    }
    fn previous(holder: &Holder) -> &Cell<*mut Holder> {
        &holder.previous
    }
}

impl Links for OrderLinks {
    fn next(holder: &Holder) -> &Cell<*mut Holder> {
        &holder.order_next
    }
    fn previous(holder: &Holder) -> &Cell<*mut Holder> {
        &holder.order_previous
    }
}

/// A doubly linked list of holder records, in the order of `push_back`.
///
/// All zero is an empty list.
pub struct HolderList<L: Links> {
    first: Cell<*mut Holder>,
    last: Cell<*mut Holder>,
    links: PhantomData<L>,
}

impl<L: Links> HolderList<L> {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { first: Cell::new(null_mut()), last: Cell::new(null_mut()), links: PhantomData }
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.get().is_null()
    }

    /// The record that came first.
    #[must_use]
    pub fn first(&self) -> Option<HolderPointer> {
        NonNull::new(self.first.get())
    }

    /// The record that came last.
    #[must_use]
    pub fn last(&self) -> Option<HolderPointer> {
        NonNull::new(self.last.get())
    }

    /// The records, the one that came first first. Whoever may touch the list
    /// may use it, and must not change the list meanwhile.
    pub fn iter(&self) -> impl Iterator<Item = HolderPointer> + '_ {
        core::iter::successors(self.first(), |holder| {
            // SAFETY: The caller may touch the list's records.
            NonNull::new(L::next(unsafe { holder.as_ref() }).get())
        })
    }

    /// Appends a record.
    ///
    /// # Safety
    ///
    /// `holder` is in no list by these links, and the caller may touch it and
    /// the list's records (it is the owner, or has the key's lock).
    pub unsafe fn push_back(&self, holder: HolderPointer) {
        // SAFETY: The caller may touch it.
        let record = unsafe { holder.as_ref() };
        let last = self.last.replace(holder.as_ptr());
        L::next(record).set(null_mut());
        L::previous(record).set(last);
        match NonNull::new(last) {
            // SAFETY: The caller may touch the list's records.
            Some(last) => L::next(unsafe { last.as_ref() }).set(holder.as_ptr()),
            None => self.first.set(holder.as_ptr()),
        }
    }

    /// Puts a record behind another.
    ///
    /// # Safety
    ///
    /// `place` is in this list, `holder` in none by these links, and the caller
    /// may touch the list's records.
    pub unsafe fn insert_after(&self, place: HolderPointer, holder: HolderPointer) {
        // SAFETY: The caller may touch both.
        let (before, record) = unsafe { (place.as_ref(), holder.as_ref()) };
        let next = L::next(before).replace(holder.as_ptr());
        L::next(record).set(next);
        L::previous(record).set(place.as_ptr());
        match NonNull::new(next) {
            // SAFETY: The caller may touch the list's records.
            Some(next) => L::previous(unsafe { next.as_ref() }).set(holder.as_ptr()),
            None => self.last.set(holder.as_ptr()),
        }
    }

    /// Takes a record out.
    ///
    /// # Safety
    ///
    /// `holder` is in this list, and the caller may touch its records.
    pub unsafe fn remove(&self, holder: HolderPointer) {
        // SAFETY: The caller may touch it.
        let record = unsafe { holder.as_ref() };
        let next = L::next(record).replace(null_mut());
        let previous = L::previous(record).replace(null_mut());
        match NonNull::new(previous) {
            // SAFETY: The caller may touch the list's records.
            Some(previous) => L::next(unsafe { previous.as_ref() }).set(next),
            None => self.first.set(next),
        }
        match NonNull::new(next) {
            // SAFETY: The caller may touch the list's records.
            Some(next) => L::previous(unsafe { next.as_ref() }).set(previous),
            None => self.last.set(previous),
        }
    }

    /// Takes all records out; they hang together by their forward links.
    #[must_use]
    pub fn take_all(&self) -> *mut Holder {
        self.last.set(null_mut());
        self.first.replace(null_mut())
    }
}

impl<L: Links> Default for HolderList<L> {
    fn default() -> Self {
        Self::new()
    }
}
