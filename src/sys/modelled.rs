// SPDX-License-Identifier: MIT OR Apache-2.0
//! A build for model checkers: `--cfg modelled`, for `tests/schedules` alone.
//!
//! # The idea
//!
//! The checker is the test's. The library knows it as a [`Checker`], and hands
//! it every use of a word that two threads may touch: by the word's address,
//! with the ordering, and with the place in the source. Nothing of a checker is
//! in the library, so no build of it depends on one; and the types here have
//! the size, the constant constructor and the all-zero state of those that they
//! stand for, so that statics and zeroed memory stay what they are.
//!
//! What the words hold is not in them but here or with the checker, and begins
//! anew with every execution ([`begin`]): so a `static` does, too.
//!
//! A thread is what the checker says it is (several may take turns on one of
//! the system's); so the thread-local words ([`super::block`]) and the OS key's
//! value are here as well, by its number.

use core::cell::RefCell;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::marker::PhantomData;
use core::mem::{size_of, MaybeUninit};
use core::panic::Location;
use core::ptr::NonNull;
use std::collections::HashMap;

use super::os_key::{Destructor, DESTRUCTOR_PASSES};
use super::sync::Ordering;

/// Where in the source something is done.
pub type Place = &'static Location<'static>;

/// A read-modify-write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Stores this.
    Swap(u64),
    /// Adds this.
    Add(u64),
    /// Subtracts this.
    Subtract(u64),
    /// Stores the second if it finds the first; the ordering if it does not.
    Exchange(u64, u64, Ordering),
}

/// A model checker, as the library sees it. Words, cells, locks and memory are
/// known by their addresses; each word is 0 at first.
pub trait Checker {
    /// A load of an atomic.
    fn load(&self, word: usize, ordering: Ordering, place: Place) -> u64;
    /// A store to an atomic.
    fn store(&self, word: usize, value: u64, ordering: Ordering, place: Place);
    /// A read-modify-write of an atomic: what was there; an error if that was
    /// not what was to be exchanged.
    fn change(
        &self,
        word: usize,
        how: Change,
        ordering: Ordering,
        place: Place,
    ) -> Result<u64, u64>;
    /// A look at what is not atomic.
    fn reads(&self, cell: usize, place: Place);
    /// A change of what is not atomic.
    fn writes(&self, cell: usize, place: Place);
    /// Takes a lock.
    fn acquire(&self, lock: usize, place: Place);
    /// Gives a lock back.
    fn release(&self, lock: usize);
    /// So many zeroed bytes are in use from now on.
    fn allocated(&self, memory: usize, bytes: usize);
    /// They are not any more, and none of them may be used again. (Their
    /// addresses do not come back before the next execution.)
    fn freed(&self, memory: usize, bytes: usize);
    /// The number of the calling thread, from 1 on.
    fn thread(&self) -> u64;
    /// Lets other threads go on: the calling one waits for them.
    fn yield_now(&self);
}

/// What a thread has of its own.
#[derive(Default)]
struct Own {
    block: Option<NonNull<super::block::Block>>,
    under_the_os_key: usize,
}

/// What an execution has beside what the checker keeps.
#[derive(Default)]
struct Execution {
    checker: Option<&'static dyn Checker>,
    cells: HashMap<usize, Box<[MaybeUninit<u8>]>>,
    threads: HashMap<u64, Own>,
    destructor: Option<Destructor>,
    freed: Vec<usize>,
}

std::thread_local! {
    /// All threads of an execution run on one thread of the system.
    static EXECUTION: RefCell<Execution> = RefCell::default();
}

fn with<T>(work: impl FnOnce(&mut Execution) -> T) -> T {
    EXECUTION.with_borrow_mut(work)
}

fn checker() -> &'static dyn Checker {
    with(|execution| execution.checker).expect("`begin` comes before every use of the library")
}

/// Begins an execution on this thread of the system: every word is 0, every
/// thread is new.
pub fn begin(checker: &'static dyn Checker) {
    let last = with(|execution| {
        core::mem::replace(execution, Execution { checker: Some(checker), ..Execution::default() })
    });
    for block in last.threads.values().filter_map(|own| own.block) {
        // SAFETY: Made by `block`, below, and its execution is over.
        drop(unsafe { Box::from_raw(block.as_ptr()) });
    }
    for memory in last.freed {
        // SAFETY: `calloc`'s, and given up in an execution that is over.
        unsafe { libc::free(memory as *mut c_void) };
    }
}

/// The calling thread ends: runs the OS key's destructor as the C library does.
pub fn end_thread() {
    let number = checker().thread();
    for _ in 0..DESTRUCTOR_PASSES {
        let (value, destructor) = with(|execution| {
            let own = execution.threads.entry(number).or_default();
            (core::mem::take(&mut own.under_the_os_key), execution.destructor)
        });
        let Some(destructor) = destructor.filter(|_| value != 0) else { return };
        // SAFETY: The value was set under the key that has this destructor.
        unsafe { destructor(value as *mut c_void) };
    }
}

/// The OS key has this destructor.
pub(super) fn has_destructor(destructor: Destructor) {
    with(|execution| execution.destructor = Some(destructor));
}

/// The calling thread's value under the OS key.
pub(super) fn set_os_value(value: *mut c_void) {
    let number = checker().thread();
    with(|execution| {
        execution.threads.entry(number).or_default().under_the_os_key = value as usize
    });
}

/// The number of the calling thread.
#[must_use]
pub fn current_thread() -> u64 {
    checker().thread()
}

/// The calling thread's block.
pub(super) fn block(new: impl FnOnce() -> super::block::Block) -> &'static super::block::Block {
    let number = checker().thread();
    let block = with(|execution| {
        let own = execution.threads.entry(number).or_default();
        *own.block.get_or_insert_with(|| NonNull::from(Box::leak(Box::new(new()))))
    });
    // SAFETY: It lives until the execution is over.
    unsafe { block.as_ref() }
}

/// Memory is in use.
pub(super) fn allocated(memory: usize, bytes: usize) {
    checker().allocated(memory, bytes);
}

/// Memory is in use no more. It is kept, so that its addresses stay its own.
pub(super) fn freed(memory: usize, bytes: usize) {
    if !std::thread::panicking() {
        checker().freed(memory, bytes);
    }
    with(|execution| execution.freed.push(memory));
}

/// Takes a lock.
#[track_caller]
pub(super) fn acquire(lock: usize) {
    checker().acquire(lock, Location::caller());
}

/// Gives a lock back.
pub(super) fn release(lock: usize) {
    checker().release(lock);
}

/// Lets other threads go on.
pub(super) fn yield_now() {
    checker().yield_now();
}

/// A look at what is not atomic.
#[track_caller]
pub(super) fn reads(cell: usize) {
    checker().reads(cell, Location::caller());
}

/// A change of what is not atomic.
#[track_caller]
pub(super) fn writes(cell: usize) {
    checker().writes(cell, Location::caller());
}

/// Whether an address is that of a null pointer's field, or near it. The
/// checker will say so; what is there is 0, so that it gets the chance.
#[must_use]
pub fn is_wild(address: usize) -> bool {
    address < 4096
}

/// Stands for [`core::cell::Cell`].
#[repr(transparent)]
#[derive(Default)]
pub struct Cell<T: Copy>(UnsafeCell<T>);

#[track_caller]
fn load(word: usize, ordering: Ordering) -> u64 {
    checker().load(word, ordering, Location::caller())
}

#[track_caller]
fn store(word: usize, value: u64, ordering: Ordering) {
    checker().store(word, value, ordering, Location::caller());
}

#[track_caller]
fn change(word: usize, how: Change, ordering: Ordering) -> Result<u64, u64> {
    checker().change(word, how, ordering, Location::caller())
}

#[allow(missing_docs)] // as the types that they stand for
impl<T: Copy> Cell<T> {
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Where its bytes are in this execution: at first those that it was made
    /// with.
    fn bytes<R>(&self, work: impl FnOnce(*mut T) -> R) -> R {
        with(|execution| {
            let bytes = execution.cells.entry(self.0.get() as usize).or_insert_with(|| {
                let mut bytes = Box::new_uninit_slice(size_of::<T>());
                if is_wild(self.0.get() as usize) {
                    bytes.fill(MaybeUninit::new(0));
                    return bytes;
                }
                // SAFETY: Nobody writes to the cell itself; bytes of any kind
                // can be copied.
                unsafe {
                    let made_with: *const MaybeUninit<u8> = self.0.get().cast_const().cast();
                    core::ptr::copy_nonoverlapping(made_with, bytes.as_mut_ptr(), bytes.len());
                }
                bytes
            });
            work(bytes.as_mut_ptr().cast())
        })
    }

    #[track_caller]
    pub fn get(&self) -> T {
        reads(self.0.get() as usize);
        // SAFETY: The bytes of a `T`.
        self.bytes(|bytes| unsafe { bytes.read_unaligned() })
    }

    #[track_caller]
    pub fn set(&self, value: T) {
        self.replace(value);
    }

    #[track_caller]
    pub fn replace(&self, value: T) -> T {
        writes(self.0.get() as usize);
        self.bytes(|bytes| {
            // SAFETY: The bytes of a `T`.
            let old = unsafe { bytes.read_unaligned() };
            // SAFETY: As above, and `T` is `Copy`.
            unsafe { bytes.write_unaligned(value) };
            old
        })
    }
}

/// What every atomic can do.
macro_rules! operations {
    ($type:ty, $from:expr, $to:expr) => {
        fn word(&self) -> usize {
            self.0.get() as usize
        }

        #[track_caller]
        pub fn load(&self, ordering: Ordering) -> $type {
            $from(load(self.word(), ordering))
        }

        #[track_caller]
        pub fn store(&self, value: $type, ordering: Ordering) {
            store(self.word(), $to(value), ordering);
        }

        #[track_caller]
        pub fn swap(&self, value: $type, ordering: Ordering) -> $type {
            $from(change(self.word(), Change::Swap($to(value)), ordering).unwrap_or_default())
        }

        #[track_caller]
        pub fn compare_exchange(
            &self,
            current: $type,
            new: $type,
            success: Ordering,
            failure: Ordering,
        ) -> Result<$type, $type> {
            let how = Change::Exchange($to(current), $to(new), failure);
            change(self.word(), how, success).map($from).map_err($from)
        }

        #[track_caller]
        pub fn compare_exchange_weak(
            &self,
            current: $type,
            new: $type,
            success: Ordering,
            failure: Ordering,
        ) -> Result<$type, $type> {
            self.compare_exchange(current, new, success, failure)
        }
    };
}

/// The integers among them.
macro_rules! integers {
    ($($name:ident: $type:ty;)*) => { $(
        /// Stands for the atomic of this name. 0 at first.
        #[repr(transparent)]
        #[derive(Default)]
        pub struct $name(UnsafeCell<$type>);

        // SAFETY: Nobody reads or writes what is in it.
        unsafe impl Sync for $name {}

        #[allow(missing_docs)] // as the types that they stand for
        impl $name {
            pub const fn new(value: $type) -> Self {
                assert!(value == 0, "every word is 0 at first");
                Self(UnsafeCell::new(value))
            }

            operations!($type, |bits: u64| bits as $type, |value: $type| value as u64);

            #[track_caller]
            pub fn fetch_add(&self, value: $type, ordering: Ordering) -> $type {
                change(self.word(), Change::Add(value as u64), ordering).unwrap_or_default() as $type
            }

            #[track_caller]
            pub fn fetch_sub(&self, value: $type, ordering: Ordering) -> $type {
                let how = Change::Subtract(value as u64);
                change(self.word(), how, ordering).unwrap_or_default() as $type
            }
        }
    )* };
}

integers! {
    AtomicU8: u8;
    AtomicU16: u16;
    AtomicU32: u32;
    AtomicU64: u64;
    AtomicUsize: usize;
}

/// Stands for the atomic of this name. False at first.
#[repr(transparent)]
#[derive(Default)]
pub struct AtomicBool(UnsafeCell<bool>);

// SAFETY: Nobody reads or writes what is in it.
unsafe impl Sync for AtomicBool {}

#[allow(missing_docs)] // as the type that it stands for
impl AtomicBool {
    pub const fn new(value: bool) -> Self {
        assert!(!value, "every word is 0 at first");
        Self(UnsafeCell::new(value))
    }

    operations!(bool, |bits: u64| bits != 0, |value: bool| u64::from(value));
}

/// Stands for the atomic of this name. Null at first.
#[repr(transparent)]
pub struct AtomicPtr<T>(UnsafeCell<*mut T>, PhantomData<T>);

// SAFETY: Nobody reads or writes what is in it.
unsafe impl<T> Sync for AtomicPtr<T> {}

#[allow(missing_docs)] // as the type that it stands for
impl<T> AtomicPtr<T> {
    pub const fn new(value: *mut T) -> Self {
        Self(UnsafeCell::new(value), PhantomData)
    }

    operations!(*mut T, |bits: u64| bits as *mut T, |value: *mut T| value as u64);
}
