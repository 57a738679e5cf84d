//! Taking an entry out of a map's table so that it comes back.
//!
//! Its room stays promised ([`ThreadLocalMap::promise`]), so coming back needs
//! no memory and can't fail. While it is away its record is where it was, in
//! the key's list and in the map's; `Stand::Aside` says so, and its `value`
//! leads to the scope's note, which has the value.
//!
//! [`ThreadLocalMap::promise`]: crate::map::ThreadLocalMap::promise

use core::ptr::{null_mut, NonNull};

use super::map::{record, Map};
use super::scopes::Shadow;
use crate::key::holder::{HolderPointer, Stand};

impl Map {
    /// Sets a standing entry aside, to be hidden by the innermost scope. With
    /// false it has been reaped, and the note is the caller's again.
    #[must_use]
    pub(super) fn set_aside(&self, holder: HolderPointer, shadow: NonNull<Shadow>) -> bool {
        let fields = record(holder);
        self.with_table(|table, keeper| {
            if fields.reaped.get() || !fields.in_table() {
                return false;
            }
            let Some(position) = table.position_of(fields.handle.get(), holder) else {
                return false;
            };
            table.promise();
            let removed = table.remove_at(position, keeper);
            fields.stand.set(Stand::Aside);
            fields.value.set(shadow.as_ptr().cast());
            self.scopes.hide(shadow, holder, removed.value);
            true
        })
    }

    /// Brings back what the innermost scope has hidden last, but for what has
    /// been reaped: that is returned, out of all lists, to be finished. `None`:
    /// it hides nothing.
    #[must_use]
    pub(super) fn bring_back(&self) -> Option<Option<HolderPointer>> {
        let shadow = self.scopes.last_hidden()?;
        // SAFETY: In the list of an open scope, so whole.
        let note = unsafe { shadow.as_ref() };
        let holder = NonNull::new(note.holder.get())?;
        let fields = record(holder);
        let reaped = self.with_table(|table, keeper| {
            self.scopes.unhide(shadow);
            table.redeem();
            if fields.rules.get().reachable() && fields.reaped.get() {
                fields.stand.set(Stand::Out);
                return true;
            }
            fields.stand.set(Stand::Table);
            fields.value.set(null_mut());
            let replaced = table.set(fields.handle.get(), note.value.get(), holder, keeper);
            debug_assert!(replaced.is_none(), "what was set in the scope has ended");
            false
        });
        self.scopes.give_back(shadow);
        if reaped {
            self.left(holder, null_mut());
        }
        Some(reaped.then_some(holder))
    }

    /// An entry that is set aside will not come back: its record is then out of
    /// all lists by age, and has the value.
    pub(super) fn drop_aside(&self, holder: HolderPointer) {
        let fields = record(holder);
        let Some(shadow) = NonNull::new(fields.value.get().cast::<Shadow>()) else { return };
        let value = self.with_table(|table, _| {
            self.scopes.unhide(shadow);
            table.redeem();
            fields.stand.set(Stand::Out);
            // SAFETY: Of an entry that is set aside, so whole.
            unsafe { shadow.as_ref() }.value.get()
        });
        self.scopes.give_back(shadow);
        self.left(holder, value);
    }

    /// Forgets the innermost scope, in which nothing is left.
    pub(super) fn close_scope(&self) {
        self.scopes.pop();
        self.show_depth();
    }

    /// Opens a scope. Returns its id.
    ///
    /// # Errors
    ///
    /// As [`Scopes::push`](super::scopes::Scopes::push).
    pub(super) fn open_scope(&self) -> Result<u64, crate::error::Error> {
        let id = self.scopes.push(self.number.get())?;
        self.show_depth();
        Ok(id)
    }
}
