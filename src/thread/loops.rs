//! Loops over a map's records that call out.
//!
//! Such a loop can't hold on to the next record: a callback may remove it, and
//! its memory with it. So its place is in a *cursor* that the map knows of, and
//! whoever takes a record out of its list moves the cursors that stand there.
//! Cursors are on the stack, in a chain; where a callback never returned, the
//! thread's exit forgets the chain.

use core::ptr::{null_mut, NonNull};

use super::map::{record, Map};
use crate::key::holder::{Holder, HolderPointer};

/// Where a loop over records by age stands. Lives on the loop's stack.
pub(super) struct Cursor {
    at: core::cell::Cell<*mut Holder>,
    outer: *const Cursor,
}

impl Map {
    /// Runs `visit` for each entry that was set at a depth of scopes, from the
    /// youngest to the oldest. It may do anything to the map; what it adds is
    /// not visited.
    pub fn from_youngest(&self, depth: u16, visit: impl Fn(HolderPointer)) {
        let youngest = self.order_at(depth).last();
        let cursor = Cursor {
            at: core::cell::Cell::new(youngest.map_or(null_mut(), NonNull::as_ptr)),
            outer: self.cursors.get(),
        };
        self.cursors.set(&raw const cursor);
        while let Some(holder) = NonNull::new(cursor.at.get()) {
            cursor.at.set(record(holder).order_previous.get());
            visit(holder);
        }
        self.cursors.set(cursor.outer);
    }

    /// Forgets callbacks that did not return.
    pub fn forget_callbacks(&self) {
        self.for_each_record(|holder| {
            record(holder).callbacks.set(0);
            self.mailbox.lock.with(|| record(holder).replacing.set(0));
        });
    }

    /// Runs `visit` for each record of an entry, or of one that is ending.
    pub fn for_each_record(&self, visit: impl Fn(HolderPointer)) {
        let depths = (0..=self.scopes.depth()).map(|depth| self.order_at(depth));
        for list in depths.chain([&self.condemned, &self.ending]) {
            let mut next = list.first();
            while let Some(holder) = next {
                next = NonNull::new(record(holder).order_next.get());
                visit(holder);
            }
        }
    }

    /// Forgets loops whose stack is gone.
    pub fn forget_cursors(&self) {
        self.cursors.set(core::ptr::null());
    }

    pub(super) fn mend_cursors(&self, leaving: HolderPointer) {
        let mut next = self.cursors.get();
        // SAFETY: A loop takes its cursor out before its stack goes, and
        // `forget_cursors` is called where it could not.
        while let Some(cursor) = unsafe { next.as_ref() } {
            if cursor.at.get() == leaving.as_ptr() {
                cursor.at.set(record(leaving).order_previous.get());
            }
            next = cursor.outer;
        }
    }
}
