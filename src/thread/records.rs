//! A map's holder records: where they come from and go to.
//!
//! A few are kept for the next entries, so that setting a key again after its
//! removal allocates nothing. A kept record has the fields clear that only
//! records of reachable keys use; the others are filled in each time.

use core::ptr::NonNull;

use super::map::{record, Map};
use crate::error::Error;
use crate::key::holder::{HolderPointer, Place};
use crate::key::options::Rules;
use crate::key::slot::KeySlot;
use crate::map::{OutOfMemory, ThreadLocalMap};
use crate::sys::memory;

/// Holder records that a map keeps for its next entries.
const SPARE_RECORDS: usize = if cfg!(modelled) { 0 } else { 32 };

impl Map {
    /// Room in the table for one more entry, and a record for it, filled in
    /// and not linked yet.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`].
    #[inline(always)]
    pub fn new_record(
        &self,
        slot: &KeySlot,
        key: u64,
        rules: Rules,
    ) -> Result<HolderPointer, Error> {
        if rules.inherits() {
            self.inherited.reserve()?;
        }
        let holder = self.take_spare()?;
        self.reserve().inspect_err(|_| self.give_back(holder))?;
        self.fill_record(holder, slot, key, rules);
        Ok(holder)
    }

    /// Fills in a record that is in no list.
    #[inline(always)]
    pub(super) fn fill_record(
        &self,
        holder: HolderPointer,
        slot: &KeySlot,
        key: u64,
        rules: Rules,
    ) {
        let fields = record(holder);
        fields.mailbox.set(&raw const self.mailbox);
        fields.slot.set(slot);
        fields.handle.set(key);
        fields.place.set(Place::Listed);
        fields.orphaned.set(false);
        fields.rules.set(rules);
        if rules.reachable() {
            self.reachable.set(self.reachable.get() + 1);
        }
    }

    /// Provides for the first entry: a table and a record.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`]; what there is stays for later.
    pub fn provide(&self) -> Result<(), Error> {
        let holder = self.take_spare()?;
        self.give_back(holder);
        self.reserve()
    }

    #[inline(always)]
    pub(super) fn take_spare(&self) -> Result<HolderPointer, OutOfMemory> {
        let Some(spare) = NonNull::new(self.spare.get()) else {
            return memory::allocate();
        };
        self.spare.set(record(spare).order_next.get());
        self.spare_count.set(self.spare_count.get() - 1);
        Ok(spare)
    }

    /// Keeps a record that is in no list for the next entry, or frees it.
    #[inline(always)]
    pub fn give_back(&self, holder: HolderPointer) {
        if record(holder).rules.replace(Rules::NONE).reachable() {
            self.forget_reachable(holder);
        }
        if self.spare_count.get() >= SPARE_RECORDS {
            // SAFETY: `take_spare` allocated it; no list has it.
            unsafe { memory::free(holder) };
            return;
        }
        record(holder).order_next.set(self.spare.replace(holder.as_ptr()));
        self.spare_count.set(self.spare_count.get() + 1);
    }

    /// Frees table and spare records of a map without entries.
    pub fn release_memory(&self) {
        while let Some(spare) = NonNull::new(self.spare.get()) {
            self.spare.set(record(spare).order_next.get());
            // SAFETY: `take_spare` allocated it; it was in the spare list only.
            unsafe { memory::free(spare) };
        }
        self.spare_count.set(0);
        self.scopes.release_memory();
        self.inherited.release_memory();
        self.with_table(|table, _| *table = ThreadLocalMap::new());
    }
}
