// SPDX-License-Identifier: MIT OR Apache-2.0
//! A few threads' records that are always there, for calls that can't be refused.
//!
//! A release, and the end of a context or a task, must be done even where memory has
//! run out, on a thread that is not attached. They call back; and what a callback that
//! never returns, or that forks, has left of them is found from the thread's record
//! only. So where that can't be allocated it is one of these, for as long as the call
//! lasts, or until the thread ends if a callback has stored something.
//!
//! # Invariants
//!
//! 1. A record that is not taken is all zero.
//! 2. Who has taken one has it alone until it is given back. *Taking* is `Acquire` and
//!    *giving back* `Release`: the next one finds it as the last one has left it, zero.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use crate::local::thread::Thread;
use crate::sys::memory::OutOfMemory;
use crate::sys::sync::untracked::AtomicBool;
use crate::sys::sync::Ordering;

/// Threads that may be in such a call at once.
const NUMBER: usize = 8;

struct Spare {
    taken: AtomicBool,
    record: UnsafeCell<MaybeUninit<Thread>>,
}

// SAFETY: Invariant 2.
unsafe impl Sync for Spare {}

static SPARES: [Spare; NUMBER] = [const {
    Spare { taken: AtomicBool::new(false), record: UnsafeCell::new(MaybeUninit::zeroed()) }
}; NUMBER];

impl Spare {
    fn record(&self) -> NonNull<Thread> {
        // SAFETY: A static's address.
        unsafe { NonNull::new_unchecked(self.record.get().cast()) }
    }

    fn give_back(&self) {
        // SAFETY: The caller has taken it, and uses nothing of it any more.
        unsafe { self.record().write_bytes(0, 1) };
        self.taken.store(false, Ordering::Release);
    }
}

/// One that nobody has: all zero. Errors: `OutOfMemory` if all are taken.
pub fn take() -> Result<NonNull<Thread>, OutOfMemory> {
    let mut free = SPARES.iter().filter(|spare| !spare.taken.swap(true, Ordering::Acquire));
    free.next().map(Spare::record).ok_or(OutOfMemory)
}

fn of(thread: NonNull<Thread>) -> Option<&'static Spare> {
    SPARES.iter().find(|spare| spare.record() == thread)
}

/// Whether a thread's record is one of these.
pub fn is_one(thread: &Thread) -> bool {
    of(NonNull::from(thread)).is_some()
}

/// Gives one back, if it is one of these; else false. The caller uses nothing of it any
/// more.
pub fn give_back(thread: NonNull<Thread>) -> bool {
    of(thread).inspect(|spare| spare.give_back()).is_some()
}

/// In the child of a fork: those of threads that are not here.
pub fn keep_only(thread: Option<&Thread>) {
    let mine = thread.map(NonNull::from);
    let gone = |spare: &&Spare| spare.taken.load(Ordering::Relaxed) && mine != Some(spare.record());
    SPARES.iter().filter(gone).for_each(Spare::give_back);
}
