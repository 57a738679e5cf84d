// SPDX-License-Identifier: MIT OR Apache-2.0
//! This library's own words of thread-local storage.
//!
//! # The problem
//!
//! A hit must cost a nanosecond, from a shared library too. A Rust `thread_local!` in a
//! shared library is reached through `__tls_get_addr`, a function call (4.4 ns a hit);
//! stable Rust has no way to ask for another TLS model.
//!
//! # The idea
//!
//! Where the processor is known, the block is defined in assembly and read
//! with the *initial-exec* sequence: its distance from the thread pointer is a
//! load-time constant, so an access is two loads. [`offset`] hands that same
//! distance to the code inlined in the callers. With the feature
//! `global-dynamic` the same block is read with the *general-dynamic* sequence,
//! and where the processor is not known a `thread_local!` without a destructor
//! holds it; `offset` is 0 then, and inlined code always makes the call.
//!
//! # Layout
//!
//! ```text
//!            +---------+---------+---------+---------+---------+---------+------------+-----------+
//!   block -> | table   | mask    | stale   | thread  | moving  | map     | allocating | callbacks |
//!            +----|----+---------+----|----+---------+---------+---------+------------+-----------+
//!                 v        hot slot   v         0: this thread is not attached
//!            Entry[capacity]       count of     1..4: it is ending, so often have
//!            (16 bytes each)    stale entries         its destructors run
//!            version 1: known to                else: address of its record
//!            threadlocalmap_inline.h
//!
//!   moving: while table and mask are being changed, where both are right
//!   map: address of the map that the table is of, or 0
//!   callbacks: callbacks of the library that are running, one in the other
//!   allocating: 1 while the library is inside the C library's allocator, 2 in a visit
//!   that has locks: calls are refused
//!   mask = (capacity - 1) * 16: a handle masked with it is the distance in
//!   bytes of its home from the table, so that a hit needs no shift
//! ```
//!
//! The first three words are the *hot slot*, version 1: compiled into every user of the
//! header, so their meaning can never change. A library that wants another layout gives
//! it another name and lets version 1 point at [`EMPTY_TABLE`] for ever.
//!
//! # Invariants
//!
//! 1. `table` points at `mask / 16 + 1` entries that are readable now. The initial
//!    image holds the address of [`EMPTY_TABLE`] (a relocation in `.tdata`,
//!    which works at start-up, under `dlopen` for threads already running, and
//!    statically), so a thread that was never seen before needs no check.
//! 2. `stale` points at a count that is readable now; initially at [`NO_STALE`].
//! 3. Only the owning thread touches its block (and a signal handler that
//!    interrupts it): `Relaxed` everywhere, with compiler fences where a
//!    handler in the middle of an update must still see invariant 1.

use core::ffi::c_void;
use core::mem::size_of;

/// The word `allocating` in a visit that has locks.
const LOCKED: usize = 2;

use super::sync::{compiler_fence, untracked, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

// `build.rs` decides which.
#[cfg(not(storage = "plain"))]
mod image;
#[cfg_attr(storage = "initial_exec", path = "initial_exec.rs")]
#[cfg_attr(storage = "general_dynamic", path = "general_dynamic.rs")]
#[cfg_attr(storage = "plain", path = "plain.rs")]
mod storage;

/// One entry of a table, as the inlined hit knows it: 16 bytes, version 1.
///
/// `key` is 0 in an empty entry, whose `value` is then null: so a look-up of
/// handle 0 finds null, which is the right answer.
#[repr(C)]
pub struct Entry {
    /// The handle, 0 for an empty entry, [`Entry::reserved`] for one in change.
    pub key: AtomicU64,
    /// What is stored under it.
    pub value: AtomicPtr<c_void>,
}

impl Entry {
    /// What stands in an entry in change: neither empty nor any handle (its
    /// generation is below 16), and found by no look-up of that number.
    ///
    /// An entry in change may have a value already, or still. So the word that stands at
    /// a position has the position behind it as its home. The inlined look-up reads the
    /// entry at a number's home only, and sees another one. The exported look-up goes on
    /// from there until it comes to an empty entry, of which every table has one, so it
    /// stops before it has come round. That holds with every mask that the table can be
    /// seen with but the mask of one entry, and a table of one entry is never changed.
    pub const fn reserved(position: usize) -> u64 {
        ((position as u64 + 1) * size_of::<Self>() as u64) | 1
    }

    /// What stands in an entry whose value another thread has taken out: no
    /// handle (its generation is below 16), but with the home of `key`.
    pub const fn vacated(key: u64) -> u64 {
        key & 0xf_ffff_fff0 | 1
    }

    /// An entry that holds nothing.
    pub const fn empty() -> Self {
        Self { key: AtomicU64::new(0), value: AtomicPtr::new(core::ptr::null_mut()) }
    }
}

/// The table of a thread that has none: one entry, for ever empty.
pub static EMPTY_TABLE: Entry = Entry::empty();

/// The stale count of a thread that has no map: for ever 0.
pub static NO_STALE: AtomicUsize = AtomicUsize::new(0);

/// The calling thread's words.
#[repr(C, align(32))]
pub struct Block {
    table: untracked::AtomicPtr<Entry>,
    mask: untracked::AtomicUsize,
    stale: untracked::AtomicPtr<AtomicUsize>,
    thread: untracked::AtomicUsize,
    moving: untracked::AtomicPtr<View>,
    map: untracked::AtomicUsize,
    allocating: untracked::AtomicUsize,
    callbacks: untracked::AtomicUsize,
}

/// What the hot slot says now: where a look-up starts.
#[derive(Clone, Copy)]
pub struct View {
    /// The first entry.
    pub table: *mut Entry,
    /// The capacity minus one, in bytes of entries.
    pub mask: usize,
}

impl View {
    /// The view of a table of `capacity` entries.
    pub const fn new(table: *mut Entry, capacity: usize) -> Self {
        Self { table, mask: (capacity - 1) * size_of::<Entry>() }
    }

    /// The entry so many bytes behind the first.
    ///
    /// Safety: `distance` was masked with the view's mask, the view's table is
    /// there now, and the entry is not used after that.
    #[inline(always)]
    pub(crate) unsafe fn entry<'a>(self, distance: usize) -> &'a Entry {
        // SAFETY: The caller: it is inside the table.
        unsafe { &*self.table.byte_add(distance) }
    }

    /// How many entries there are.
    pub const fn capacity(self) -> usize {
        self.mask / size_of::<Entry>() + 1
    }

    /// The view of no table.
    pub fn empty() -> Self {
        Self { table: (&raw const EMPTY_TABLE).cast_mut(), mask: 0 }
    }
}

/// The distance of every thread's [`Block`] from its thread pointer; 0 where
/// that distance is not a constant.
pub fn offset() -> isize {
    #[cfg(storage = "initial_exec")]
    return storage::offset();
    #[cfg(not(storage = "initial_exec"))]
    0
}

/// The hot slot's table and mask.
#[inline(always)]
pub fn view() -> View {
    #[cfg(all(storage = "initial_exec", target_arch = "x86_64"))]
    return View { table: storage::word::<0>() as *mut Entry, mask: storage::word::<8>() };
    #[allow(unreachable_code)] // there, a word needs no address of the block
    let block = storage::block();
    View { table: block.table.load(Ordering::Relaxed), mask: block.mask.load(Ordering::Relaxed) }
}

/// The hot slot's table and mask, right even for a signal handler that has
/// come in the middle of [`set_view`]. For those whom [`view`] made miss.
pub fn whole_view() -> View {
    let moving = storage::block().moving.load(Ordering::Relaxed);
    // SAFETY: Not null only while `set_view`, further out on this very stack,
    // has its argument there.
    unsafe { moving.as_ref() }.copied().unwrap_or_else(view)
}

/// Points the hot slot at another table.
///
/// A signal handler may look between any two stores. The mask is never larger
/// than the table that it can be seen with: a larger table is shown before its
/// mask, a smaller one after. A look-up in between starts at the wrong place
/// and misses (or hits, and then rightly: the whole handle is compared); a
/// miss looks once more, where [`whole_view`] says.
pub fn set_view(view: View) {
    let block = storage::block();
    block.moving.store((&raw const view).cast_mut(), Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
    if view.mask >= block.mask.load(Ordering::Relaxed) {
        block.table.store(view.table, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        block.mask.store(view.mask, Ordering::Relaxed);
    } else {
        block.mask.store(view.mask, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        block.table.store(view.table, Ordering::Relaxed);
    }
    // The one who frees the old table does so after this.
    compiler_fence(Ordering::SeqCst);
    block.moving.store(core::ptr::null_mut(), Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
}

/// The calling thread's stale count: 0 at once where it has no map.
#[inline(always)]
pub fn stale_count() -> usize {
    let stale = storage::block().stale.load(Ordering::Relaxed);
    // SAFETY: Invariant 2: it points at a living count.
    unsafe { &*stale }.load(Ordering::Relaxed)
}

/// Points the hot slot at a map's stale count; null: at the constant 0.
pub fn set_stale(count: *const AtomicUsize) {
    let count = if count.is_null() { &raw const NO_STALE } else { count };
    storage::block().stale.store(count.cast_mut(), Ordering::Relaxed);
}

/// The word `map`: see the picture in the module's text.
#[inline(always)]
pub fn map() -> usize {
    #[cfg(all(storage = "initial_exec", target_arch = "x86_64"))]
    return storage::word::<{ core::mem::offset_of!(Block, map) }>();
    #[allow(unreachable_code)] // as in `view`
    storage::block().map.load(Ordering::Relaxed)
}

/// Stores the word `map`.
pub fn set_map(word: usize) {
    storage::block().map.store(word, Ordering::Relaxed);
}

/// Runs a callback of the user's, counted.
#[inline(always)]
pub fn call_out<T>(callback: impl FnOnce() -> T) -> T {
    let count = |more: usize| {
        let word = &storage::block().callbacks;
        word.store(word.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    };
    count(1);
    let result = callback();
    count(usize::MAX);
    result
}

/// Whether a callback of the library is running on the calling thread.
pub fn is_in_callback() -> bool {
    storage::block().callbacks.load(Ordering::Relaxed) != 0
}

/// Those that were running will never return.
pub fn forget_callbacks() {
    storage::block().callbacks.store(0, Ordering::Relaxed);
    if is_locked() {
        storage::block().allocating.store(0, Ordering::Relaxed);
    }
}

/// Whether the calling thread is inside one of this library's own allocations:
/// an allocator that calls the library back is answered so.
#[inline(always)]
pub fn is_allocating() -> bool {
    storage::block().allocating.load(Ordering::Relaxed) != 0
}

/// Runs `allocate`, which calls the C library's allocator, with [`is_allocating`] true.
pub(super) fn while_allocating<T>(allocate: impl FnOnce() -> T) -> T {
    let word = &storage::block().allocating;
    let outer = word.load(Ordering::Relaxed);
    word.store(1, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
    let result = allocate();
    compiler_fence(Ordering::SeqCst);
    word.store(outer, Ordering::Relaxed);
    result
}

/// Runs `visit`, which has locks of the library's, with [`is_allocating`] true: it is
/// answered as if it were an allocator.
pub fn while_locked<T>(visit: impl FnOnce() -> T) -> T {
    let word = &storage::block().allocating;
    word.store(LOCKED, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
    let result = visit();
    compiler_fence(Ordering::SeqCst);
    word.store(0, Ordering::Relaxed);
    result
}

/// Whether the calling thread is inside a visit that has locks.
pub fn is_locked() -> bool {
    storage::block().allocating.load(Ordering::Relaxed) == LOCKED
}

/// The word `thread`: see the picture in the module's text.
#[inline(always)]
pub fn thread() -> usize {
    storage::block().thread.load(Ordering::Relaxed)
}

/// The word `thread`, or 0 if [`is_allocating`]: by one look at the thread pointer.
#[inline(always)]
#[must_use]
pub fn thread_unless_allocating() -> usize {
    let block = storage::block();
    if block.allocating.load(Ordering::Relaxed) != 0 {
        return 0;
    }
    block.thread.load(Ordering::Relaxed)
}

/// Stores the word `thread`.
pub fn set_thread(word: usize) {
    storage::block().thread.store(word, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_never_seen_before_has_the_empty_table_and_no_stale_entries() {
        std::thread::spawn(|| {
            let view = view();
            assert_eq!(view.mask, 0);
            assert_eq!(view.table.cast_const(), &raw const EMPTY_TABLE);
            assert_eq!(stale_count(), 0);
            assert_eq!(thread(), 0);
        })
        .join()
        .expect("no panic");
    }

    #[test]
    fn each_thread_has_its_own_words() {
        set_thread(77);
        std::thread::spawn(|| {
            assert_eq!(thread(), 0);
            set_thread(78);
        })
        .join()
        .expect("no panic");
        assert_eq!(thread(), 77);
        set_thread(0);
    }

    #[test]
    #[cfg(storage = "initial_exec")] // the others promise nothing
    fn the_offset_leads_from_the_thread_pointer_to_the_block() {
        let block = core::ptr::from_ref(storage::block()) as usize;
        assert_eq!(storage::thread_pointer().wrapping_add_signed(offset()), block);
    }
}
