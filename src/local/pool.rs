//! A map's records: where they come from, and go to.
//!
//! Records come in slabs, so that a value costs no header of the allocator's and
//! neighbours in time are neighbours in memory. A slab is freed when none of its
//! records is in use and enough others are spare.
//!
//! ```text
//!   slab:  | header | record 0 | record 1 | ... | record n-1 |
//!            free ------> record -> record -> null      (by `covers`)
//! ```
//!
//! The record that was freed last is kept beside the slabs: a thread that makes and
//! ends one entry after the other uses it again and again.
//!
//! # Invariants
//!
//! 1. A spare record is all zero but for `covers`, which has the next spare one,
//!    and its index: no value's address stays behind in it.
//! 2. A map that ends may leave records to threads that visit their values. Each
//!    has a share in its slab, as the map has; who gives up the last share frees
//!    the slab.

use core::mem::size_of;
use core::ptr::{null, null_mut, NonNull};

use super::record::{Location, Record, RecordPointer, State};
use crate::key::options::Rules;
use crate::sys::memory::{self, OutOfMemory};
use crate::sys::sync::{AtomicU32, Cell, Ordering};

/// Records of the first slab; each further one has twice as many.
const FIRST_SLAB: u32 = if cfg!(modelled) { 1 } else { 4 };
/// Records of the largest slabs: their indices fit in a byte.
const LARGEST_SLAB: u32 = if cfg!(modelled) { 1 } else { 64 };
/// Spare records that a map keeps beside a slab that it frees.
const KEPT: u32 = if cfg!(modelled) { 0 } else { 32 };

/// The header of a slab.
#[repr(C)]
struct Slab {
    next: Cell<*mut Slab>,
    previous: Cell<*mut Slab>,
    free: Cell<*mut Record>,
    used: Cell<u32>,
    size: Cell<u32>,
    /// The map, and each record that was left to a visitor.
    shares: AtomicU32,
    padding: u64,
}

type SlabPointer = NonNull<Slab>;

fn slab<'a>(pointer: SlabPointer) -> &'a Slab {
    // SAFETY: The callers have a share in it.
    unsafe { pointer.as_ref() }
}

fn bytes(size: u32) -> usize {
    size_of::<Slab>() + size as usize * size_of::<Record>()
}

fn slab_of(record: RecordPointer) -> SlabPointer {
    let index = Record::at(record).index_in_slab.get() as usize;
    // SAFETY: Layout: so many records, and the header, are in front of it.
    unsafe { record.sub(index).cast::<Slab>().sub(1) }
}

/// Gives a share in a slab up.
/// Safety: the caller has one, and uses nothing of the slab any more.
unsafe fn drop_share(pointer: SlabPointer) {
    let size = slab(pointer).size.get();
    // AcqRel: what others did with their records comes before the free.
    if slab(pointer).shares.fetch_sub(1, Ordering::AcqRel) == 1 {
        // SAFETY: `grow` allocated so many bytes, and nobody has a share.
        unsafe { memory::free_bytes(pointer.cast(), bytes(size)) };
    }
}

/// Frees a record that its map has [left](Pool::abandon) to the caller.
/// Safety: nobody else has it any more.
pub(crate) unsafe fn free_abandoned(record: RecordPointer) {
    // SAFETY: `abandon` has made a share for it.
    unsafe { drop_share(slab_of(record)) };
}

/// The records of a map. All zero: none.
pub struct Pool {
    /// Slabs with a spare record.
    partial: Cell<*mut Slab>,
    /// Slabs without.
    full: Cell<*mut Slab>,
    /// The record that was freed last, or null; its slab has it in use.
    kept: Cell<*mut Record>,
    spare: Cell<u32>,
    slabs: Cell<u32>,
}

impl Pool {
    /// A spare record: all zero.
    #[inline(always)]
    pub fn allocate(&self) -> Result<RecordPointer, OutOfMemory> {
        NonNull::new(self.kept.replace(null_mut())).map_or_else(|| self.allocate_in_slab(), Ok)
    }

    /// Whether a record is kept for the next entry.
    #[inline(always)]
    pub fn has_kept(&self) -> bool {
        !self.kept.get().is_null()
    }

    #[inline(never)]
    fn allocate_in_slab(&self) -> Result<RecordPointer, OutOfMemory> {
        let first = match NonNull::new(self.partial.get()) {
            Some(first) => first,
            None => self.grow()?,
        };
        let header = slab(first);
        let record = NonNull::new(header.free.get()).ok_or(OutOfMemory)?;
        let next = Record::at(record).covers.replace(null_mut());
        header.free.set(next);
        header.used.set(header.used.get() + 1);
        self.spare.set(self.spare.get() - 1);
        if next.is_null() {
            unlink(&self.partial, first);
            enlist(&self.full, first);
        }
        Ok(record)
    }

    /// Makes sure that so many records are spare. With an error what there is stays for
    /// later.
    pub fn reserve(&self, number: u32) -> Result<(), OutOfMemory> {
        while self.spare.get() + u32::from(self.has_kept()) < number {
            self.grow()?;
        }
        Ok(())
    }

    /// Adds a slab.
    #[cold]
    fn grow(&self) -> Result<SlabPointer, OutOfMemory> {
        let size = (FIRST_SLAB << self.slabs.get().min(8)).min(LARGEST_SLAB);
        let made = memory::allocate_bytes(bytes(size))?.cast::<Slab>();
        let header = slab(made);
        header.size.set(size);
        header.shares.store(1, Ordering::Relaxed);
        for index in (0..size).rev() {
            // SAFETY: Layout: so many records follow the header.
            let record = unsafe { made.add(1).cast::<Record>().add(index as usize) };
            Record::at(record).index_in_slab.set(index as u8);
            Record::at(record).covers.set(header.free.replace(record.as_ptr()));
        }
        enlist(&self.partial, made);
        self.spare.set(self.spare.get() + size);
        self.slabs.set(self.slabs.get() + 1);
        Ok(made)
    }

    /// Takes a record back that nobody has any more.
    pub fn free(&self, record: RecordPointer) {
        if !self.has_kept() {
            return self.keep(record);
        }
        Self::clear(record);
        self.free_in_slab(record);
    }

    /// [`free`](Self::free), where none is kept.
    #[inline(always)]
    pub fn keep(&self, record: RecordPointer) {
        Self::clear(record);
        if cfg!(modelled) {
            // A model checker is to see who uses what its slab has got back.
            return self.free_in_slab(record);
        }
        self.kept.set(record.as_ptr());
    }

    #[inline(always)]
    fn clear(record: RecordPointer) {
        let fields = Record::at(record);
        debug_assert_eq!(fields.state(), State::Free);
        debug_assert_eq!((fields.pins.get(), fields.visitors.get()), (0, 0));
        fields.value.set(null_mut());
        fields.slot.set(null());
        fields.inbox.set(null());
        fields.rules.set(Rules::NONE);
        fields.depth.set(0);
        fields.location.set(Location::Unlinked);
        fields.reason.set(0);
    }

    fn free_in_slab(&self, record: RecordPointer) {
        let fields = Record::at(record);
        let home = slab_of(record);
        let header = slab(home);
        fields.covers.set(header.free.replace(record.as_ptr()));
        let used = header.used.get() - 1;
        header.used.set(used);
        self.spare.set(self.spare.get() + 1);
        if used + 1 == header.size.get() {
            unlink(&self.full, home);
            enlist(&self.partial, home);
        }
        if used == 0 && self.spare.get() >= header.size.get() + KEPT {
            self.free_slab(home);
        }
    }

    #[cold]
    fn free_slab(&self, home: SlabPointer) {
        unlink(&self.partial, home);
        self.spare.set(self.spare.get() - slab(home).size.get());
        self.slabs.set(self.slabs.get() - 1);
        // SAFETY: The map's own, and none of its records is in use.
        unsafe { drop_share(home) };
    }

    /// Leaves a record to the last thread that visits its value, which
    /// [frees](free_abandoned) it. The map is about to end.
    pub fn abandon(&self, record: RecordPointer) {
        // Relaxed: the caller has a share.
        slab(slab_of(record)).shares.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives all slabs up. Every record is free, or abandoned.
    pub fn free_all(&self) {
        for list in [&self.partial, &self.full] {
            while let Some(first) = NonNull::new(list.get()) {
                list.set(slab(first).next.get());
                // SAFETY: The map's own.
                unsafe { drop_share(first) };
            }
        }
        self.kept.set(null_mut());
        self.spare.set(0);
        self.slabs.set(0);
    }
}

fn enlist(list: &Cell<*mut Slab>, pointer: SlabPointer) {
    let header = slab(pointer);
    header.previous.set(null_mut());
    header.next.set(list.replace(pointer.as_ptr()));
    if let Some(next) = NonNull::new(header.next.get()) {
        slab(next).previous.set(pointer.as_ptr());
    }
}

fn unlink(list: &Cell<*mut Slab>, pointer: SlabPointer) {
    let header = slab(pointer);
    match NonNull::new(header.previous.get()) {
        Some(previous) => slab(previous).next.set(header.next.get()),
        None => list.set(header.next.get()),
    }
    if let Some(next) = NonNull::new(header.next.get()) {
        slab(next).previous.set(header.previous.get());
    }
}
