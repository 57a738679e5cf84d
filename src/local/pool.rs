// SPDX-License-Identifier: MIT OR Apache-2.0
//! A map's records: where they come from, and go to.
//!
//! Records come in slabs, so that a value costs no header of the allocator's and
//! neighbours in time are neighbours in memory. A slab is freed when none of its
//! records is in use and enough others are spare.
//!
//! ```text
//!   slabs:  | slab 0 | slab 1 | - | ... |      each less 4096 bytes for each in front
//!               v
//!           | header | record 0 | record 1 | ... | record n-1 | marks 0 | ... | marks n-1 |
//!               free ------> record -> record -> none      (by `covers`)
//!   kept:   record, number
//! ```
//!
//! A record's [`Number`] has 4 bytes: in the table, in the order by age and in other
//! records. It is 512 for each slab in front, and the distance in its own, in units of 8
//! bytes: so the record is so many units behind what `slabs` has for it.
//!
//! The record that was freed last is kept beside the slabs: a thread that makes and
//! ends one entry after the other uses it again and again.
//!
//! # Invariants
//!
//! 1. A spare record has no value's address in it, and nothing of its state: `covers`
//!    has the next spare one.
//! 2. A map that ends may leave records to threads that visit their values. Each has a
//!    share in its slab, as the map has; who gives up the last share frees the slab.
//! 3. A slab's place is another's as soon as it is freed: no record of it is in use
//!    then, so nobody has a number of one.
//! 4. While the map is in the list of all maps, `slabs` changes with the map's lock only:
//!    so who has both goes over all records ([`Pool::for_each`]). Slabs come and go
//!    seldom, and their memory is allocated and freed outside of the lock. (A model plays
//!    no reports. It is without this lock, which would order what must be ordered without.)

use core::mem::size_of;
use core::ptr::{null_mut, NonNull};

use super::record::{Location, Marks, Number, Numbered, Record, RecordPointer, State};
use crate::key::options::Rules;
use crate::sys::array::Array;
use crate::sys::lock::Lock;
use crate::sys::memory::{self, OutOfMemory};
use crate::sys::sync::{AtomicU32, Cell, Ordering};

/// Records of the first slab; each further one has twice as many.
const FIRST_SLAB: u32 = if cfg!(modelled) { 1 } else { 4 };
/// Records of the largest slabs.
const LARGEST_SLAB: u32 = if cfg!(modelled) { 1 } else { 64 };
/// A unit of distance, in bytes; and a record in such units.
const UNIT: usize = 8;
const UNITS: u32 = (size_of::<Record>() / UNIT) as u32;
/// Units that the numbers of a slab take.
const STRIDE: u32 = 512;
/// Spare records that a map keeps beside a slab that it frees.
const KEPT: u32 = if cfg!(modelled) { 0 } else { 128 };
/// What `slabs` has where a slab was freed: where none is, and none less whole strides.
const GAP: *mut Slab = null_mut::<Slab>().wrapping_byte_add(1);

/// The header of a slab.
#[repr(C)]
struct Slab {
    /// Neighbours in the list of slabs with a spare record, or of those without.
    next: Cell<*mut Slab>,
    previous: Cell<*mut Slab>,
    /// Whose it is.
    pool: Cell<*const Pool>,
    free: Cell<Number>,
    /// Where it is in `slabs`.
    place: Cell<u32>,
    used: Cell<u32>,
    size: Cell<u32>,
    /// The map, and each record that was left to a visitor.
    shares: AtomicU32,
}

// Records follow it, each as large.
const _: () = assert!(size_of::<Slab>() == size_of::<Record>());
const _: () = assert!((LARGEST_SLAB as usize + 1) * size_of::<Record>() <= STRIDE as usize * UNIT);

type SlabPointer = NonNull<Slab>;

fn slab<'a>(pointer: SlabPointer) -> &'a Slab {
    // SAFETY: The callers have a share in it.
    unsafe { pointer.as_ref() }
}

/// Changes `slabs`: with the map's lock; `None`: the caller has it, or nobody needs it.
fn change_slabs(lock: Option<&Lock>, change: impl FnOnce()) {
    match lock.filter(|_| !cfg!(modelled)) {
        Some(lock) => lock.with(change),
        None => change(),
    }
}

fn bytes(size: u32) -> usize {
    size_of::<Slab>() + size as usize * (size_of::<Record>() + size_of::<Marks>())
}

fn slab_of(record: RecordPointer) -> SlabPointer {
    let index = Record::at(record).index_in_slab.get() as usize;
    // SAFETY: Layout: so many records, and the header, are in front of it.
    unsafe { record.sub(index).cast::<Slab>().sub(1) }
}

/// A record's number in its map.
pub fn number_of(record: RecordPointer) -> Number {
    let units = (u32::from(Record::at(record).index_in_slab.get()) + 1) * UNITS;
    Number(slab(slab_of(record)).place.get() * STRIDE + units)
}

/// What those who look at its value say of a record.
pub fn marks<'a>(record: RecordPointer) -> &'a Marks {
    marks_at(slab_of(record), Record::at(record).index_in_slab.get().into())
}

/// The marks of a slab's record with this index.
fn marks_at<'a>(home: SlabPointer, index: usize) -> &'a Marks {
    let records = 1 + slab(home).size.get() as usize;
    // SAFETY: Layout: behind the records, as many; all fields are cells.
    unsafe { home.cast::<Record>().add(records).cast::<Marks>().add(index).as_ref() }
}

/// The pool that a record is of; it may have [left](Pool::abandon) the record, and gone.
pub(super) fn pool_of(record: RecordPointer) -> *const Pool {
    slab(slab_of(record)).pool.get()
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
    /// See the module's text.
    slabs: Array<*mut Slab>,
    /// The first slab with a spare record, and the first without. Leak checkers look for
    /// pointers to the start of what was allocated, which `slabs` has not.
    partial: Cell<*mut Slab>,
    full: Cell<*mut Slab>,
    /// The record that was freed last, or null; its slab has it in use.
    kept: Cell<*mut Record>,
    kept_number: Cell<Number>,
    spare: Cell<u32>,
    /// `slabs` has no gap in front of this place.
    gap: Cell<u32>,
}

impl Pool {
    /// The record with a number.
    #[inline(always)]
    pub fn at(&self, number: Number) -> RecordPointer {
        debug_assert!(number != Number::NONE);
        // SAFETY: Invariant 3: who has a number has it of a slab that is there.
        let base = unsafe { self.slabs.get_unchecked((number.0 / STRIDE) as usize) };
        let record = base.wrapping_byte_add(number.0 as usize * UNIT).cast();
        // SAFETY: Layout: see the module's text.
        unsafe { NonNull::new_unchecked(record) }
    }

    /// The record with a number, if it is one's.
    pub fn find(&self, number: Number) -> Option<RecordPointer> {
        (number != Number::NONE).then(|| self.at(number))
    }

    /// A spare record. `lock`: the map's, which nobody here has.
    #[inline(always)]
    pub fn allocate(&self, lock: &Lock) -> Result<Numbered, OutOfMemory> {
        match NonNull::new(self.kept.replace(null_mut())) {
            Some(kept) => Ok((kept, self.kept_number.get())),
            None => self.allocate_in_slab(lock),
        }
    }

    /// Whether a record is kept for the next entry.
    #[inline(always)]
    pub fn has_kept(&self) -> bool {
        !self.kept.get().is_null()
    }

    /// Whether a record can be had without memory.
    #[inline(always)]
    pub fn has_spare(&self) -> bool {
        self.has_kept() || self.spare.get() > 0
    }

    #[inline(never)]
    fn allocate_in_slab(&self, lock: &Lock) -> Result<Numbered, OutOfMemory> {
        let first = NonNull::new(self.partial.get()).map_or_else(|| self.grow(lock), Ok)?;
        let header = slab(first);
        let number = header.free.get();
        let record = self.at(number);
        header.free.set(Record::at(record).covers.replace(Number::NONE));
        header.used.set(header.used.get() + 1);
        self.spare.set(self.spare.get() - 1);
        if header.free.get() == Number::NONE {
            unlink(&self.partial, first);
            enlist(&self.full, first);
        }
        Ok((record, number))
    }

    /// Makes sure that so many records are spare. With an error what there is stays for
    /// later. `lock`: as for [`allocate`](Self::allocate).
    pub fn reserve(&self, number: u32, lock: &Lock) -> Result<(), OutOfMemory> {
        while self.spare.get() + u32::from(self.has_kept()) < number {
            self.grow(lock)?;
        }
        Ok(())
    }

    /// Adds a slab.
    #[cold]
    fn grow(&self, lock: &Lock) -> Result<SlabPointer, OutOfMemory> {
        let slabs = self.slabs.len();
        let is_gap = |place: &u32| self.slabs.get(*place) == Some(GAP);
        let place = (self.gap.get()..slabs).find(is_gap).unwrap_or(slabs);
        let units = place.checked_mul(STRIDE).ok_or(OutOfMemory)?;
        self.slabs.reserve_guarded(1, |exchange| change_slabs(Some(lock), exchange))?;
        let size = (FIRST_SLAB << slabs.min(8)).min(LARGEST_SLAB);
        let made = memory::allocate_bytes(bytes(size))?.cast::<Slab>();
        let header = slab(made);
        header.pool.set(self);
        header.place.set(place);
        header.size.set(size);
        header.shares.store(1, Ordering::Relaxed);
        for index in (0..size).rev() {
            let number = Number(units + (index + 1) * UNITS);
            // SAFETY: Layout: so many records follow the header.
            let record = Record::at(unsafe { made.cast::<Record>().add(1 + index as usize) });
            record.index_in_slab.set(index as u8);
            record.covers.set(header.free.replace(number));
        }
        change_slabs(Some(lock), || {
            if place == slabs {
                self.slabs.push(GAP);
            }
            self.slabs.set(place, made.as_ptr().wrapping_byte_sub(units as usize * UNIT));
        });
        self.gap.set(place + 1);
        enlist(&self.partial, made);
        self.spare.set(self.spare.get() + size);
        Ok(made)
    }

    /// Takes a record back that nobody has any more. `lock`: the map's; `None`: the caller
    /// has it.
    pub fn free(&self, record: RecordPointer, lock: Option<&Lock>) {
        match self.has_kept() {
            true => self.free_in_slab(record, lock),
            false => self.keep((record, number_of(record))),
        }
    }

    /// [`free`](Self::free), where none is kept.
    #[inline(always)]
    pub fn keep(&self, (record, number): Numbered) {
        if cfg!(modelled) {
            // A model checker is to see who uses what its slab has got back.
            return self.free_in_slab(record, None);
        }
        Self::clear(record);
        self.kept.set(record.as_ptr());
        self.kept_number.set(number);
    }

    #[inline(always)]
    fn clear(record: RecordPointer) {
        let fields = Record::at(record);
        debug_assert_eq!(fields.state(), State::Free);
        debug_assert!(fields.pins.get() == 0 && !marks(record).are_there());
        // Neighbours: one store.
        fields.depth.set(0);
        fields.location.set(Location::Unlinked);
        fields.rules.set(Rules::NONE);
        fields.value.set(null_mut());
    }

    fn free_in_slab(&self, record: RecordPointer, lock: Option<&Lock>) {
        Self::clear(record);
        let home = slab_of(record);
        let header = slab(home);
        let next = header.free.replace(number_of(record));
        Record::at(record).covers.set(next);
        let used = header.used.get() - 1;
        header.used.set(used);
        self.spare.set(self.spare.get() + 1);
        if next == Number::NONE {
            unlink(&self.full, home);
            enlist(&self.partial, home);
        }
        if used == 0 && self.spare.get() >= header.size.get() + KEPT {
            self.free_slab(home, lock);
        }
    }

    #[cold]
    fn free_slab(&self, home: SlabPointer, lock: Option<&Lock>) {
        unlink(&self.partial, home);
        self.spare.set(self.spare.get() - slab(home).size.get());
        change_slabs(lock, || self.slabs.set(slab(home).place.get(), GAP));
        self.gap.set(self.gap.get().min(slab(home).place.get()));
        // SAFETY: The map's own, and none of its records is in use.
        unsafe { drop_share(home) };
    }

    /// Leaves a record to the last thread that visits its value, which
    /// [frees](free_abandoned) it. The map is about to end.
    pub fn abandon(&self, record: RecordPointer) {
        // Relaxed: the caller has a share.
        slab(slab_of(record)).shares.fetch_add(1, Ordering::Relaxed);
    }

    /// Runs `visit` for each record, free ones as well. With the lock of the list that has
    /// the map, and the map's.
    pub fn for_each<'a>(&self, mut visit: impl FnMut(&'a Record, &'a Marks)) {
        for (place, base) in self.slabs.iter().enumerate().filter(|(_, base)| *base != GAP) {
            let first = base.wrapping_byte_add(place * STRIDE as usize * UNIT);
            // SAFETY: Invariant 4: a slab that is there.
            let home = unsafe { NonNull::new_unchecked(first) };
            for index in 0..slab(home).size.get() as usize {
                // SAFETY: Layout: so many records follow the header.
                let record = unsafe { home.cast::<Record>().add(1 + index) };
                visit(Record::at(record), marks_at(home, index));
            }
        }
    }

    /// Gives all slabs up. Every record is free, or abandoned; no list has the map.
    pub fn free_all(&self) {
        for list in [&self.partial, &self.full] {
            while let Some(first) = NonNull::new(list.get()) {
                list.set(slab(first).next.get());
                // SAFETY: The map's own.
                unsafe { drop_share(first) };
            }
        }
        self.slabs.free();
        self.kept.set(null_mut());
        self.spare.set(0);
        self.gap.set(0);
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
