// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random schedules, for more threads and more steps than all schedules can be
//! played of: the checker is shuttle.
//!
//! Every atomic is sequentially consistent here, and cells order nothing: what
//! is looked for is a step that some interleaving makes wrong, and memory that
//! is used after it was given back.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::sync::atomic::Ordering;

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::atomic::AtomicU64;
use shuttle::sync::{Mutex, MutexGuard};
use shuttle::thread::ThreadId;
use threadlocalmap::sys::modelled::{self, Change, Checker, Place};

use crate::memory::{ByAddress, Memory};
use crate::orderings::{weaker_at, Weakened, Weaker};
use crate::runner::{self, Machine, Script};

#[derive(Default)]
struct Lock {
    mutex: Mutex<()>,
    /// Not dropped with the lock: if an execution is cut off, shuttle is not there.
    guard: Option<ManuallyDrop<MutexGuard<'static, ()>>>,
    /// Threads that have not taken it, where a test says so.
    without: Vec<u64>,
}

#[derive(Default)]
struct Execution {
    words: ByAddress<Box<AtomicU64>>,
    locks: ByAddress<Box<Lock>>,
    memory: Memory,
    /// The threads, with their numbers.
    threads: Vec<(ThreadId, u64)>,
    begun: u64,
    played: Option<u64>,
    weakened: Vec<Weakened>,
    found: Vec<String>,
}

std::thread_local! {
    static EXECUTION: RefCell<Execution> = RefCell::default();
}

fn with<T>(work: impl FnOnce(&mut Execution) -> T) -> T {
    EXECUTION.with_borrow_mut(work)
}

/// Shuttle, for the library.
pub struct Shuttle;

fn look(execution: &mut Execution, address: usize, place: Place) {
    if execution.memory.is_gone(address) {
        execution.found.push(format!("{place} uses memory that is gone"));
    }
}

fn word(address: usize, place: Place) -> &'static AtomicU64 {
    let word: *const AtomicU64 = with(|execution| {
        look(execution, address, place);
        &raw const **execution.words.entry(address).or_default()
    });
    // SAFETY: It stays until the next execution begins.
    unsafe { &*word }
}

impl Checker for Shuttle {
    fn load(&self, address: usize, _: Ordering, place: Place) -> u64 {
        word(address, place).load(Ordering::SeqCst)
    }

    fn store(&self, address: usize, value: u64, _: Ordering, place: Place) {
        word(address, place).store(value, Ordering::SeqCst);
    }

    fn change(&self, address: usize, how: Change, _: Ordering, place: Place) -> Result<u64, u64> {
        let word = word(address, place);
        match how {
            Change::Swap(value) => Ok(word.swap(value, Ordering::SeqCst)),
            Change::Add(value) => Ok(word.fetch_add(value, Ordering::SeqCst)),
            Change::Subtract(value) => Ok(word.fetch_sub(value, Ordering::SeqCst)),
            Change::Exchange(current, new, _) => {
                word.compare_exchange(current, new, Ordering::SeqCst, Ordering::SeqCst)
            }
        }
    }

    fn reads(&self, cell: usize, place: Place) {
        with(|execution| look(execution, cell, place));
    }

    fn writes(&self, cell: usize, place: Place) {
        with(|execution| look(execution, cell, place));
    }

    fn acquire(&self, lock: usize, place: Place) {
        let lock: *mut Lock = with(|execution| {
            look(execution, lock, place);
            &raw mut **execution.locks.entry(lock).or_default()
        });
        let weaker = with(|execution| weaker_at(&execution.weakened, place, None));
        if matches!(weaker, Some(Weaker::Unlocked)) {
            let thread = self.thread();
            // SAFETY: It stays until the next execution begins.
            unsafe { &mut (*lock).without }.push(thread);
            return;
        }
        // SAFETY: It stays until the next execution begins.
        let guard = unsafe { &(*lock).mutex }.lock().expect("nobody panics with a lock");
        // SAFETY: As above; this thread has the lock.
        unsafe { (*lock).guard = Some(ManuallyDrop::new(guard)) };
    }

    fn release(&self, lock: usize) {
        let thread = self.thread();
        // Not dropped in there: others go on then.
        let guard = with(|execution| {
            let lock = execution.locks.get_mut(&lock)?;
            if let Some(without) = lock.without.iter().position(|other| *other == thread) {
                lock.without.remove(without);
                return None;
            }
            lock.guard.take()
        });
        drop(guard.map(ManuallyDrop::into_inner));
    }

    fn allocated(&self, memory: usize, bytes: usize) {
        with(|execution| execution.memory.allocated(memory, bytes));
    }

    fn freed(&self, memory: usize, _: usize) {
        with(|execution| {
            let found = execution.memory.freed(memory).err();
            execution.found.extend(found.map(str::to_owned));
        });
    }

    fn thread(&self) -> u64 {
        if let Some(played) = with(|execution| execution.played) {
            return played;
        }
        let me = shuttle::thread::current().id();
        with(|execution| {
            let mine = execution.threads.iter().find(|(thread, _)| *thread == me);
            mine.expect("`spawn` has put it in").1
        })
    }

    fn yield_now(&self) {
        shuttle::thread::yield_now();
    }
}

impl Machine for Shuttle {
    type Thread = shuttle::thread::JoinHandle<()>;

    fn begin(&'static self, _: &Script, weakened: &[Weakened]) {
        let fresh = Execution {
            threads: vec![(shuttle::thread::current().id(), 1)],
            begun: 1,
            weakened: weakened.to_vec(),
            ..Execution::default()
        };
        EXECUTION.with(|execution| *execution.borrow_mut() = fresh);
        modelled::begin(self);
    }

    fn play(&self, thread: Option<u64>) {
        with(|execution| execution.played = thread);
    }

    fn spawn(&self, work: impl FnOnce() + Send + 'static) -> Self::Thread {
        let number = with(|execution| {
            execution.begun += 1;
            execution.begun
        });
        shuttle::thread::spawn(move || {
            let me = shuttle::thread::current().id();
            with(|execution| execution.threads.push((me, number)));
            work();
        })
    }

    fn join(&self, thread: Self::Thread) {
        thread.join().expect("what is found does not stop a thread");
    }

    fn memory_in_use(&self) -> usize {
        with(|execution| execution.memory.in_use())
    }

    fn found(&self) -> Vec<String> {
        with(|execution| std::mem::take(&mut execution.found))
    }
}

/// Plays the script in so many random schedules, and in as many that are random
/// in another way: threads have priorities that change a few times (Burckhardt
/// and others, "A randomized scheduler with probabilistic guarantees").
pub fn check(seed: u64, schedules: usize, script: &Script, weakened: &[Weakened]) {
    let play = || {
        let (script, weakened) = (script.clone(), weakened.to_vec());
        move || runner::play(&Shuttle, &script, &weakened)
    };
    let mut config = shuttle::Config::new();
    config.silence_warnings = true;
    config.stack_size = 1 << 16;
    crate::show_panics();
    let random = RandomScheduler::new_from_seed(seed, schedules);
    shuttle::Runner::new(random, config.clone()).run(play());
    let priorities = PctScheduler::new_from_seed(seed, 4, schedules);
    shuttle::Runner::new(priorities, config).run(play());
}
