//! A map's records that are known stale: the youngest is the first to be ended.
//!
//! # The problem
//!
//! What depends on something else is set after it, and must end before it: so of all
//! that is stale the youngest ends first. But keys die in any order, and a call that
//! is there for something else ends a few values of many: it must neither sort nor
//! search them all, and ending a value must not need memory.
//!
//! # The idea
//!
//! A search tree by age, whose links are the two words of the records' own links,
//! which no key's list needs any more. So that it is as deep as the logarithm of its
//! size, whatever the order of deaths, it is a heap as well, by a number that is
//! mixed from the handle (a *treap*: Aragon and Seidel, 1989).
//!
//! ```text
//!              rank 9, age 5
//!              /           \          `next`: older       `previous`: younger
//!       rank 4, age 2    rank 7, age 8
//!                            \
//!                          rank 1, age 9     <-- ended first
//! ```
//!
//! # Invariants
//!
//! 1. Whatever hangs on `next` is older than its parent, and on `previous` younger;
//!    age is the index in `order`, and those keep their order when gaps are closed.
//! 2. No child's rank is above its parent's.

use core::ptr::{null_mut, NonNull};

use super::record::{Record, RecordPointer};
use crate::key::holders::Link;
use crate::sys::sync::{Cell, Ordering};

/// The records that a map knows to be stale. All zero: none.
pub struct Stale {
    root: Cell<*mut Link>,
}

/// A side of a record in the tree.
#[derive(Clone, Copy)]
enum Side {
    Older,
    Younger,
}

/// Where a subtree hangs: on a record, or, on none, as the root.
type Place = Option<(RecordPointer, Side)>;

/// The subtree on one side of a record.
fn child(record: RecordPointer, side: Side) -> Option<RecordPointer> {
    let link = &Record::at(record).link;
    let child = match side {
        // Relaxed: the owner's alone, since it was drained.
        Side::Older => link.next.load(Ordering::Relaxed),
        Side::Younger => link.previous.get(),
    };
    NonNull::new(child).map(Record::of)
}

fn age(record: RecordPointer) -> u32 {
    Record::at(record).position.get()
}

/// On which side of `at` a record of this age is.
fn side(age_of_it: u32, at: RecordPointer) -> Side {
    if age_of_it < age(at) {
        Side::Older
    } else {
        Side::Younger
    }
}

/// A number that has nothing to do with the record's age.
fn rank(record: RecordPointer) -> u64 {
    let mut number = Record::at(record).handle.get();
    number = (number ^ number >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    number ^ number >> 33
}

impl Stale {
    /// Whether there is none.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.root.get().is_null()
    }

    fn at(&self, place: Place) -> Option<RecordPointer> {
        match place {
            Some((record, side)) => child(record, side),
            None => NonNull::new(self.root.get()).map(Record::of),
        }
    }

    fn put(&self, place: Place, subtree: Option<RecordPointer>) {
        let subtree = subtree.map_or(null_mut(), |record| Record::link_of(record).as_ptr());
        match place {
            None => self.root.set(subtree),
            Some((record, Side::Older)) => {
                Record::at(record).link.next.store(subtree, Ordering::Relaxed);
            }
            Some((record, Side::Younger)) => Record::at(record).link.previous.set(subtree),
        }
    }

    /// Enters a record: where the first of a lower rank hangs, with what hangs there
    /// divided into what is older and what is younger.
    pub fn insert(&self, record: RecordPointer) {
        let (age, rank_of_it) = (age(record), rank(record));
        let mut place = None;
        while let Some(at) = self.at(place).filter(|at| rank(*at) >= rank_of_it) {
            place = Some((at, side(age, at)));
        }
        let mut rest = self.at(place);
        let (mut older, mut younger) = (Some((record, Side::Older)), Some((record, Side::Younger)));
        while let Some(at) = rest {
            match side(age, at) {
                Side::Younger => {
                    self.put(older, Some(at));
                    older = Some((at, Side::Younger));
                    rest = child(at, Side::Younger);
                }
                Side::Older => {
                    self.put(younger, Some(at));
                    younger = Some((at, Side::Older));
                    rest = child(at, Side::Older);
                }
            }
        }
        self.put(older, None);
        self.put(younger, None);
        self.put(place, Some(record));
    }

    /// Takes a record out: its two subtrees are woven into one by their ranks.
    pub fn remove(&self, record: RecordPointer) {
        let mut place = None;
        while let Some(at) = self.at(place).filter(|at| *at != record) {
            place = Some((at, side(age(record), at)));
        }
        debug_assert_eq!(self.at(place), Some(record), "it is in the tree");
        let (mut older, mut younger) = (child(record, Side::Older), child(record, Side::Younger));
        while let (Some(left), Some(right)) = (older, younger) {
            if rank(left) > rank(right) {
                self.put(place, Some(left));
                place = Some((left, Side::Younger));
                older = child(left, Side::Younger);
            } else {
                self.put(place, Some(right));
                place = Some((right, Side::Older));
                younger = child(right, Side::Older);
            }
        }
        self.put(place, older.or(younger));
    }

    /// The youngest record.
    pub fn youngest(&self) -> Option<RecordPointer> {
        let mut youngest = self.at(None)?;
        while let Some(younger) = child(youngest, Side::Younger) {
            youngest = younger;
        }
        Some(youngest)
    }

    /// A record that `of` is true of.
    pub fn find(&self, of: impl Fn(RecordPointer) -> bool) -> Option<RecordPointer> {
        find(self.at(None), &of)
    }

    /// Forgets all.
    pub fn forget(&self) {
        self.root.set(null_mut());
    }
}

/// A record of a subtree that `of` is true of. As many calls as the tree is deep.
fn find(at: Option<RecordPointer>, of: &impl Fn(RecordPointer) -> bool) -> Option<RecordPointer> {
    let at = at?;
    if of(at) {
        return Some(at);
    }
    find(child(at, Side::Younger), of).or_else(|| find(child(at, Side::Older), of))
}
