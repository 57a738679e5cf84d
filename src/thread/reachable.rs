//! The part of a map that other threads reach.
//!
//! A map with at least one record of a reachable key ([`Rules::reachable`]) has
//! its table changed under the mailbox's lock only. Whoever else has that lock,
//! and knows by the key's lock that the map is there, may take a value out of
//! the table ([`Map::reap`]); the owner, which moves entries, may not be in the
//! middle of it then.
//!
//! [`Rules::reachable`]: crate::key::options::Rules::reachable

use core::ffi::c_void;
use core::ptr::null_mut;

use super::map::{record, Map};
use super::scopes::Shadow;
use crate::key::holder::{Holder, HolderPointer, Stand};
use crate::sys::sync::{Cell, Ordering};

impl Map {
    /// Whether another thread has taken the entry's value.
    #[must_use]
    pub fn is_reaped(&self, holder: HolderPointer) -> bool {
        let fields = record(holder);
        if !fields.rules.get().reachable() {
            return false;
        }
        if self.busy.get() {
            // Inside `with_table`, which has the lock.
            return fields.reaped.get();
        }
        self.mailbox.lock.with(|| fields.reaped.get())
    }

    /// The map that a record belongs to.
    ///
    /// # Safety
    ///
    /// The record is in its key's list, whose lock the caller has: so the map
    /// can't end.
    #[must_use]
    pub unsafe fn of<'a>(holder: HolderPointer) -> &'a Map {
        // SAFETY: Layout: a mailbox is the first field of its map.
        unsafe { &*record(holder).mailbox.get().cast::<Map>() }
    }

    /// The value of a reachable key's entry, if it has one: in the table, or set
    /// aside. Any thread may ask, as in [`of`](Self::of).
    #[must_use]
    pub fn peek(&self, holder: HolderPointer) -> Option<*mut c_void> {
        self.mailbox.lock.with(|| {
            if let Some(shadow) = self.reachable_shadow(holder) {
                return Some(shadow.value.get());
            }
            let position = self.reachable_position(holder)?;
            Some(self.table().value(position))
        })
    }

    /// Takes the value of a reachable key's entry, if it has one. Any thread
    /// may, as in [`of`](Self::of); the record is then to be put into the
    /// mailbox, for the owner to clear the entry away.
    #[must_use]
    pub fn reap(&self, holder: HolderPointer) -> Option<*mut c_void> {
        self.mailbox.lock.with(|| {
            let fields = record(holder);
            let value = match self.reachable_shadow(holder) {
                Some(shadow) => shadow.value.replace(null_mut()),
                None => self.table().vacate(self.reachable_position(holder)?),
            };
            fields.reaped.set(true);
            fields.owes.set(fields.replacing.get() > 0);
            self.mailbox.reaped.fetch_add(1, Ordering::Relaxed);
            Some(value)
        })
    }

    /// Where a reachable key's entry stands. The caller has the lock.
    fn reachable_position(&self, holder: HolderPointer) -> Option<usize> {
        let fields = record(holder);
        if !fields.in_table() || fields.reaped.get() {
            return None;
        }
        self.table().position_of(fields.handle.get(), holder)
    }

    /// Where the value of a reachable key's entry is that a scope hides. The
    /// caller has the lock.
    fn reachable_shadow(&self, holder: HolderPointer) -> Option<&Shadow> {
        let fields = record(holder);
        if fields.stand.get() != Stand::Aside || fields.reaped.get() {
            return None;
        }
        // SAFETY: Set aside, so its `value` leads to the scope's note; that goes
        // under the lock only.
        Some(unsafe { &*fields.value.get().cast::<Shadow>() })
    }

    /// Exchanges the value of a standing entry of a reachable key; `None` if
    /// it has been reaped. With `ending`, the old value is going to be ended,
    /// until [`end_replacing`](Self::end_replacing).
    pub fn exchange(
        &self,
        holder: HolderPointer,
        value: *mut c_void,
        ending: bool,
    ) -> Option<*mut c_void> {
        self.mailbox.lock.with(|| {
            let position = self.reachable_position(holder)?;
            // SAFETY: This thread owns the map, and has the lock.
            let old = unsafe { &mut *self.table.write() }.replace_value(position, value);
            let replacing = &record(holder).replacing;
            replacing.set(replacing.get() + u32::from(ending));
            Some(old)
        })
    }

    /// Takes the value of a standing entry of a reachable key, so that nobody
    /// reaches it any more; `None` if it has been reaped. The entry is then to
    /// be taken out.
    pub fn withdraw_value(&self, holder: HolderPointer) -> Option<*mut c_void> {
        self.mailbox.lock.with(|| {
            let position = self.reachable_position(holder)?;
            record(holder).stand.set(Stand::Out);
            Some(self.table().vacate(position))
        })
    }

    /// A value that was replaced has ended. Returns whether the record has been
    /// reaped meanwhile, and left to its owner.
    #[must_use]
    pub fn end_replacing(&self, holder: HolderPointer) -> bool {
        let fields = record(holder);
        self.mailbox.lock.with(|| {
            fields.replacing.set(fields.replacing.get() - 1);
            fields.reaped.get() && fields.owes.get() && fields.replacing.get() == 0
        })
    }

    /// Whether a reaped record is to be finished as if it had not been.
    #[must_use]
    pub fn owes(&self, holder: HolderPointer) -> bool {
        self.mailbox.lock.with(|| record(holder).owes.get())
    }

    /// Gives the entry of `old` to the record `new`, with its place in the
    /// order; `None` if it has been reaped. `old` has its value then, and is
    /// in no list by age.
    pub fn substitute(
        &self,
        old: HolderPointer,
        new: HolderPointer,
        value: *mut c_void,
    ) -> Option<()> {
        let ended = self.mailbox.lock.with(|| {
            let position = self.reachable_position(old)?;
            record(old).stand.set(Stand::Out);
            record(new).stand.set(Stand::Table);
            record(new).depth.set(record(old).depth.get());
            record(new).plain_at.set(Holder::NEVER);
            // SAFETY: This thread owns the map, and has the lock.
            Some(unsafe { &mut *self.table.write() }.substitute(position, new, value))
        })?;
        record(old).value.set(ended);
        self.mend_cursors(old);
        let order = self.order_at(record(old).depth.get());
        // SAFETY: `old` stood, so it is in the list; `new` is in none.
        unsafe {
            order.insert_after(old, new);
            order.remove(old);
        }
        if record(old).rules.get().inherits() {
            self.inherited.remove(old);
            self.inherited.push(new);
        }
        Some(())
    }

    /// A record of a reachable key is not this map's any more, but that of those
    /// who visit its value.
    pub fn forget_record(&self) {
        self.reachable.set(self.reachable.get() - 1);
    }

    /// Ends that are put off until nobody visits the value.
    #[must_use]
    pub fn put_off(&self) -> &Cell<usize> {
        &self.put_off
    }

    /// Clears what only records of reachable keys use, for the next entry.
    pub(super) fn forget_reachable(&self, holder: HolderPointer) {
        let fields = record(holder);
        fields.reaped.set(false);
        fields.owes.set(false);
        fields.replacing.set(0);
        fields.deferred.set(0);
        fields.abandoned.set(false);
        fields.visitors.set(0);
        self.forget_record();
    }
}
