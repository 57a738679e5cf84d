//! Looking at the calling thread's own entries.

use core::ffi::c_void;
use core::mem::size_of;
use core::ptr::NonNull;

use super::map::{record as fields, Map};
use super::record;
use crate::error::Error;
use crate::key;
use crate::key::holder::{HolderPointer, Place, Stand};
use crate::sys::memory;

/// What a look at the calling thread's entries calls with each.
pub type VisitLocal = unsafe extern "C" fn(key: u64, value: *mut c_void, argument: *mut c_void);

/// One entry of the calling thread's map, as a report has it.
#[derive(Clone, Copy)]
pub(super) struct Sight {
    pub(super) key: u64,
    pub(super) value: *mut c_void,
    pub(super) depth: u16,
    pub(super) hidden: bool,
    pub(super) stale: bool,
}

/// The calling thread's entries at one moment, the oldest first.
pub(super) struct Sights {
    memory: Option<NonNull<Sight>>,
    room: usize,
    length: usize,
}

impl Sights {
    /// What the map has now. Calls nobody but the allocator.
    pub(super) fn of(map: &Map) -> Result<Self, Error> {
        map.take_mail();
        let depths = || 0..=map.scopes.depth();
        let room = depths().map(|depth| map.order_at(depth).iter().count()).sum::<usize>();
        let memory = memory::allocate_bytes(room * size_of::<Sight>())?.cast::<Sight>();
        let mut sights = Self { memory: Some(memory), room, length: 0 };
        for depth in depths() {
            for holder in map.order_at(depth).iter() {
                if let Some(sight) = Self::one(map, holder) {
                    // SAFETY: As many as were counted.
                    unsafe { memory.as_ptr().add(sights.length).write(sight) };
                    sights.length += 1;
                }
            }
        }
        Ok(sights)
    }

    /// A record's entry; `None` if another thread has taken the value.
    fn one(map: &Map, holder: HolderPointer) -> Option<Sight> {
        let record = fields(holder);
        let value = match record.rules.get().reachable() {
            true => map.peek(holder)?,
            false => map.value_of(holder)?,
        };
        Some(Sight {
            key: record.handle.get(),
            value,
            depth: record.depth.get(),
            hidden: record.stand.get() == Stand::Aside,
            stale: record.place.get() != Place::Listed,
        })
    }

    pub(super) fn get(&self, index: usize) -> Option<Sight> {
        if index >= self.length {
            return None;
        }
        // SAFETY: Below the length, so written.
        self.memory.map(|memory| unsafe { memory.as_ptr().add(index).read() })
    }

    /// Frees the memory. (Not by `Drop`: a callback may never return.)
    pub(super) fn free(mut self) {
        if let Some(memory) = self.memory.take() {
            // SAFETY: `of` allocated it with this room.
            unsafe { memory::free_bytes(memory.cast(), self.room * size_of::<Sight>()) };
        }
    }
}

/// Calls `visit` with each of the calling thread's visible entries of live keys,
/// as they were when the call was made and as long as they are there.
///
/// # Errors
///
/// [`Error::NoMemory`]; [`Error::Reentrant`] inside the allocator.
#[allow(clippy::not_unsafe_ptr_arg_deref)] // nothing here dereferences it
pub fn for_each_local(visit: VisitLocal, argument: *mut c_void) -> Result<(), Error> {
    let Some(thread) = record::current() else { return Ok(()) };
    let map = thread.map();
    if map.is_busy() {
        return Err(Error::Reentrant);
    }
    let sights = Sights::of(map)?;
    let mut index = 0;
    while let Some(sight) = sights.get(index) {
        index += 1;
        // A visitor may have changed or removed it, or its key may have died.
        let position = map.find(sight.key).filter(|_| !sight.hidden);
        if let Some(position) = position.filter(|_| key::live(sight.key).is_ok()) {
            let value = map.value_at(position);
            // SAFETY: The caller promises a function that may be called with
            // each entry; no lock is held.
            thread.call_out(|| unsafe { visit(sight.key, value, argument) });
        }
    }
    sights.free();
    Ok(())
}
