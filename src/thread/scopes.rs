//! The scopes that are open in a map, and what each of them hides.
//!
//! ```text
//!   Scopes: depth 2
//!     depth 0    Map.order: entries set outside of any scope
//!     depth 1    Scope { order: set inside, by age; aside: Shadow, Shadow }
//!     depth 2    Scope { order: ...;                aside: Shadow         }
//!                                                           |
//!              the record of an outer entry <---- holder ---+
//!              value ---------------------------> its value
//! ```
//!
//! An entry that a scope hides is *set aside*: it is out of the table, but its
//! room there is kept, its record stays in the list of the depth at which it
//! was set, and in its key's list. So its key's death finds it, and it comes
//! back without memory and at its age.
//!
//! Scopes are in an array, by depth, that grows and is kept: a pool that opens
//! and closes them allocates nothing.

use core::ffi::c_void;
use core::mem::size_of;
use core::ptr::{null_mut, NonNull};

use crate::error::Error;
use crate::key::holder::{Holder, HolderList, HolderPointer, OrderLinks};
use crate::sys::memory::{self, OutOfMemory};
use crate::sys::sync::Cell;

/// Scopes that the first array has room for.
const INITIAL_ROOM: usize = 4;

/// Notes that a map keeps for its next hidden entries.
const SPARE_SHADOWS: usize = 16;

/// One open scope. All zero: nothing was set in it, and it hides nothing.
pub(super) struct Scope {
    /// The number that it was begun with.
    pub(super) id: Cell<u64>,
    /// Records of the entries that were set in it, by age.
    pub(super) order: HolderList<OrderLinks>,
    /// What it hides, the latest first.
    aside: Cell<*mut Shadow>,
    /// Its end has begun: nobody else may end it.
    pub(super) ending: Cell<bool>,
}

/// A note of an entry that is set aside. Its record's `value` leads to it.
pub(super) struct Shadow {
    /// The record.
    pub(super) holder: Cell<*mut Holder>,
    /// The value. Under the map's lock, if the key is reachable.
    pub(super) value: Cell<*mut c_void>,
    /// The depth of the scope that hides it.
    depth: Cell<u16>,
    next: Cell<*mut Shadow>,
    previous: Cell<*mut Shadow>,
}

/// The scopes that are open in a map. All zero: none.
pub(super) struct Scopes {
    scopes: Cell<*mut Scope>,
    room: Cell<usize>,
    depth: Cell<u16>,
    begun: Cell<u64>,
    spare: Cell<*mut Shadow>,
    spares: Cell<usize>,
}

impl Scopes {
    /// How many scopes are open, one in the other.
    #[inline]
    #[must_use]
    pub(super) fn depth(&self) -> u16 {
        self.depth.get()
    }

    /// The scope that is open at a depth, from 1 on.
    pub(super) fn at(&self, depth: u16) -> Option<&Scope> {
        if depth == 0 || depth > self.depth.get() {
            return None;
        }
        // SAFETY: At most the depth, so initialised. A caller lets go of it
        // before the array can grow: before it calls anybody.
        Some(unsafe { &*self.scopes.get().add(usize::from(depth) - 1) })
    }

    /// The entries of the scope at a depth, by age; `None` outside of any.
    pub(super) fn order(&self, depth: u16) -> Option<&HolderList<OrderLinks>> {
        self.at(depth).map(|scope| &scope.order)
    }

    /// Opens one more, for the map with this number. Returns its id.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`]; [`Error::Limit`] at a depth of 65,534.
    pub(super) fn push(&self, map: u64) -> Result<u64, Error> {
        let depth = self.depth.get();
        if depth >= Holder::NEVER - 1 {
            return Err(Error::Limit);
        }
        if usize::from(depth) == self.room.get() {
            self.grow()?;
        }
        // Never 0, and never a number of another map's: 2^40 scopes of a map
        // and 2^24 maps, before one comes again.
        let begun = self.begun.get() + 1;
        self.begun.set(begun);
        let id = (map + 1) << 40 | begun & ((1 << 40) - 1);
        let scope = Scope {
            id: Cell::new(id),
            order: HolderList::new(),
            aside: Cell::new(null_mut()),
            ending: Cell::new(false),
        };
        // SAFETY: Below the room of the array.
        unsafe { self.scopes.get().add(usize::from(depth)).write(scope) };
        self.depth.set(depth + 1);
        Ok(id)
    }

    /// Closes the innermost: nothing was set in it any more, and it hides
    /// nothing.
    pub(super) fn pop(&self) {
        debug_assert!(self.at(self.depth()).is_some_and(|scope| scope.order.is_empty()));
        debug_assert!(self.at(self.depth()).is_some_and(|scope| scope.aside.get().is_null()));
        self.depth.set(self.depth.get() - 1);
    }

    /// The depth of the scope with this id, if it is open.
    pub(super) fn find(&self, id: u64) -> Option<u16> {
        (1..=self.depth()).rev().find(|depth| self.at(*depth).is_some_and(|s| s.id.get() == id))
    }

    /// Scopes whose end was cut off, with its thread, are as open as the others.
    pub(super) fn forget_endings(&self) {
        for scope in (1..=self.depth()).filter_map(|depth| self.at(depth)) {
            scope.ending.set(false);
        }
    }

    fn grow(&self) -> Result<(), OutOfMemory> {
        let room = (self.room.get() * 2).max(INITIAL_ROOM);
        let larger = memory::allocate_bytes(room * size_of::<Scope>())?.cast::<Scope>().as_ptr();
        if self.room.get() > 0 {
            // SAFETY: Both arrays have room for as many; they are apart.
            unsafe { core::ptr::copy_nonoverlapping(self.scopes.get(), larger, self.room.get()) };
        }
        self.release();
        self.scopes.set(larger);
        self.room.set(room);
        Ok(())
    }

    fn release(&self) {
        if let Some(scopes) = NonNull::new(self.scopes.replace(null_mut())) {
            let bytes = self.room.replace(0) * size_of::<Scope>();
            // SAFETY: `grow` allocated it with this size; it is given up.
            unsafe { memory::free_bytes(scopes.cast(), bytes) };
        }
    }

    /// A note for an entry that is to be set aside.
    pub(super) fn new_shadow(&self) -> Result<NonNull<Shadow>, OutOfMemory> {
        let Some(spare) = NonNull::new(self.spare.get()) else { return memory::allocate() };
        // SAFETY: In the list of spare ones, so whole.
        self.spare.set(unsafe { spare.as_ref() }.next.get());
        self.spares.set(self.spares.get() - 1);
        Ok(spare)
    }

    /// Keeps a note for the next entry, or frees it.
    pub(super) fn give_back(&self, shadow: NonNull<Shadow>) {
        if self.spares.get() >= SPARE_SHADOWS {
            // SAFETY: `new_shadow` allocated it; it is in no list.
            unsafe { memory::free(shadow) };
            return;
        }
        // SAFETY: Not freed, and this map's alone.
        unsafe { shadow.as_ref() }.next.set(self.spare.replace(shadow.as_ptr()));
        self.spares.set(self.spares.get() + 1);
    }

    /// Makes sure that so many notes are there without memory.
    pub(super) fn provide_shadows(&self, number: usize) -> Result<(), OutOfMemory> {
        while self.spares.get() < number {
            let shadow = memory::allocate::<Shadow>()?;
            // SAFETY: Just allocated.
            unsafe { shadow.as_ref() }.next.set(self.spare.replace(shadow.as_ptr()));
            self.spares.set(self.spares.get() + 1);
        }
        Ok(())
    }

    /// Enters a note into the innermost scope.
    pub(super) fn hide(&self, shadow: NonNull<Shadow>, holder: HolderPointer, value: *mut c_void) {
        let Some(scope) = self.at(self.depth()) else { return };
        // SAFETY: The caller's, in no list.
        let note = unsafe { shadow.as_ref() };
        note.holder.set(holder.as_ptr());
        note.value.set(value);
        note.depth.set(self.depth());
        note.previous.set(null_mut());
        note.next.set(scope.aside.replace(shadow.as_ptr()));
        // SAFETY: In the scope's list, so whole.
        if let Some(next) = unsafe { note.next.get().as_ref() } {
            next.previous.set(shadow.as_ptr());
        }
    }

    /// Takes a note out of its scope's list.
    pub(super) fn unhide(&self, shadow: NonNull<Shadow>) {
        // SAFETY: In the list of an open scope, so whole.
        let note = unsafe { shadow.as_ref() };
        // SAFETY: As above: both neighbours are.
        if let Some(next) = unsafe { note.next.get().as_ref() } {
            next.previous.set(note.previous.get());
        }
        // SAFETY: As above.
        match unsafe { note.previous.get().as_ref() } {
            Some(previous) => previous.next.set(note.next.get()),
            None => {
                if let Some(scope) = self.at(note.depth.get()) {
                    scope.aside.set(note.next.get());
                }
            }
        }
    }

    /// What the innermost scope has hidden last.
    pub(super) fn last_hidden(&self) -> Option<NonNull<Shadow>> {
        self.at(self.depth()).and_then(|scope| NonNull::new(scope.aside.get()))
    }

    /// Frees what a map without open scopes keeps for the next.
    pub(super) fn release_memory(&self) {
        debug_assert_eq!(self.depth(), 0, "a scope is open");
        while let Some(spare) = NonNull::new(self.spare.get()) {
            // SAFETY: In the list of spare ones, so whole.
            self.spare.set(unsafe { spare.as_ref() }.next.get());
            // SAFETY: `new_shadow` or `provide_shadows` allocated it.
            unsafe { memory::free(spare) };
        }
        self.spares.set(0);
        self.release();
    }
}
