// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every schedule, and every value that a weak memory model lets a load see:
//! the checker is loom.
//!
//! Loom's words belong to one execution, so the library's addresses are mapped
//! to them here. Two of loom's ways ask for care:
//!
//! * An atomic counts as written by the thread that makes it. The library's
//!   words are 0 from the beginning of time, so theirs are made before the first
//!   thread is, and handed out when an address is first seen.
//! * To find out which steps must be played in both orders, loom compares a
//!   write with the last use of the same atomic only. A load of the writer's own
//!   just before it (as before every compare-exchange) hides all loads of others.
//!   So each thread that loads a word has a condition variable there, which
//!   nobody waits for: a load and a write by another both notify it, and loom
//!   plays those in both orders. It orders nothing else.
//!
//! Before the other threads are there, and after they have gone, one thread plays
//! all of them in turn: everything is ordered then, so words are plain numbers,
//! and cells and locks are not watched.
//!
//! What is found ends the process at once ([`crate::abort_with`]).

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::Ordering;

use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicU64;
use loom::sync::{Condvar, Mutex, MutexGuard};
use threadlocalmap::sys::modelled::{self, Change, Checker, Place};

use crate::memory::{ByAddress, Memory};
use crate::orderings::{weaker_at, Weakened, Weaker};
use crate::runner::{Machine, Script};

// Each execution makes all of these anew; scenarios use about half of them.
/// Atomics of one execution.
const WORDS: usize = 96;
/// Cells of one execution that are read before they are written.
const CELLS: usize = 160;

/// The thread that touched a cell, where, and whether it wrote.
type Access = (u64, Place, bool);

struct Cell {
    watch: UnsafeCell<()>,
    last: [Option<Access>; 3],
}

#[derive(Default)]
struct Lock {
    mutex: Mutex<()>,
    /// Not dropped with the lock: if an execution is cut off, loom is not there.
    guard: Option<ManuallyDrop<MutexGuard<'static, ()>>>,
    /// Threads that have not taken it, where a test says so.
    without: Vec<u64>,
}

#[derive(Default)]
struct Execution {
    /// Not moved or freed before the execution is over.
    all_words: Vec<AtomicU64>,
    words: ByAddress<usize>,
    /// The threads that have loaded a word.
    loaded: ByAddress<Vec<(u64, Box<Condvar>)>>,
    unused_cells: Vec<UnsafeCell<()>>,
    cells: ByAddress<Cell>,
    locks: ByAddress<Box<Lock>>,
    memory: Memory,
    /// Where each thread has last taken a lock, or changed a word.
    last: HashMap<u64, Place>,
    /// What each thread has last seen in a word, if a test asks for that.
    seen: HashMap<(u64, usize), u64>,
    /// The threads, with their numbers.
    threads: Vec<(loom::thread::ThreadId, u64)>,
    begun: u64,
    /// The thread that the one thread plays while it is alone.
    played: Option<u64>,
    /// What is in the words meanwhile.
    plain: ByAddress<u64>,
    weakened: Vec<Weakened>,
    found: Vec<String>,
}

impl Execution {
    /// Whether no other thread can do anything now.
    fn is_alone(&self) -> bool {
        self.played.is_some()
    }

    /// Looks whether memory is in use.
    fn look(&mut self, address: usize, place: Place) {
        if self.memory.is_gone(address) {
            self.found.push(format!("{place} uses memory that was freed"));
        }
    }

    /// Changes a word while no other thread is there.
    fn change_plain(&mut self, word: usize, how: Change) -> Result<u64, u64> {
        let word = self.plain.entry(word).or_default();
        let old = *word;
        *word = match how {
            Change::Swap(value) => value,
            Change::Add(value) => old.wrapping_add(value),
            Change::Subtract(value) => old.wrapping_sub(value),
            Change::Exchange(current, ..) if current != old => return Err(old),
            Change::Exchange(_, new, _) => new,
        };
        Ok(old)
    }

    /// Other threads come: the words are loom's.
    fn publish(&mut self) {
        let plain = std::mem::take(&mut self.plain);
        for (address, value) in plain.into_iter().filter(|(word, _)| !self.memory.is_gone(*word)) {
            let next = self.words.len();
            let number = *self.words.entry(address).or_insert(next);
            let word = self.all_words.get_mut(number).expect("WORDS is too small");
            word.with_mut(|word| *word = value);
        }
    }

    /// They have gone: the words are numbers.
    fn withdraw(&mut self) {
        for (address, number) in &self.words {
            let value = self.all_words[*number].with_mut(|word| *word);
            self.plain.insert(*address, value);
        }
    }
}

std::thread_local! {
    static EXECUTION: RefCell<Execution> = RefCell::default();
}

fn with<T>(work: impl FnOnce(&mut Execution) -> T) -> T {
    EXECUTION.with_borrow_mut(work)
}

fn find(what: String) {
    with(|execution| execution.found.push(what));
}

/// Ends the process if something was found.
fn stop_if_found() {
    let found = with(|execution| std::mem::take(&mut execution.found));
    if !found.is_empty() {
        crate::abort_with(&found);
    }
}

/// Loom, for the library.
pub struct Loom;

impl Loom {
    /// What a test makes weaker at a place.
    fn weaker(&self, place: Place) -> Option<Weaker> {
        stop_if_found();
        if with(|execution| execution.weakened.is_empty()) {
            return None;
        }
        let thread = self.thread();
        with(|execution| {
            weaker_at(&execution.weakened, place, execution.last.get(&thread).copied())
        })
    }

    /// This thread takes a lock or changes a word here.
    fn passes(&self, place: Place) {
        if !with(|execution| execution.weakened.is_empty()) {
            let thread = self.thread();
            with(|execution| execution.last.insert(thread, place));
        }
    }

    fn sees(&self, word: usize, value: u64) {
        if !with(|execution| execution.weakened.is_empty()) {
            let thread = self.thread();
            with(|execution| execution.seen.insert((thread, word), value));
        }
    }

    fn word(address: usize, place: Place) -> &'static AtomicU64 {
        let word: *const AtomicU64 = with(|execution| {
            execution.look(address, place);
            let next = execution.words.len();
            let number = *execution.words.entry(address).or_insert(next);
            &raw const *execution.all_words.get(number).expect("WORDS is too small")
        });
        // SAFETY: It stays until the next execution begins.
        unsafe { &*word }
    }

    /// Says that this thread loads a word: see the module's text.
    fn announce_load(&self, address: usize) {
        let thread = self.thread();
        let mine: *const Condvar = with(|execution| {
            let loaded = execution.loaded.entry(address).or_default();
            if !loaded.iter().any(|(other, _)| *other == thread) {
                loaded.push((thread, Box::default()));
            }
            let mine = loaded.iter().find(|(other, _)| *other == thread);
            &raw const *mine.expect("it was put in above").1
        });
        // SAFETY: It stays until the next execution begins.
        unsafe { &*mine }.notify_all();
    }

    /// Says that this thread writes a word.
    fn announce_write(&self, address: usize) {
        let thread = self.thread();
        let others: Vec<*const Condvar> = with(|execution| {
            let loaded = execution.loaded.get(&address).into_iter().flatten();
            loaded
                .filter(|(other, _)| *other != thread)
                .map(|(_, condition)| &raw const **condition)
                .collect()
        });
        for other in others {
            // SAFETY: It stays until the next execution begins.
            unsafe { &*other }.notify_all();
        }
    }

    fn touch(&self, address: usize, place: Place, write: bool) {
        stop_if_found();
        let is_alone = with(|execution| {
            execution.look(address, place);
            execution.is_alone()
        });
        if is_alone {
            return;
        }
        let thread = self.thread();
        let cell: *mut Cell = with(|execution| {
            let unused = &mut execution.unused_cells;
            let cell = execution.cells.entry(address).or_insert_with(|| {
                let watch = match write {
                    true => UnsafeCell::new(()),
                    false => unused.pop().expect("CELLS is too small"),
                };
                Cell { watch, last: [None; 3] }
            });
            &raw mut *cell
        });
        // SAFETY: In the execution's map, which is not touched before this is
        // over: a cell's watch lets no other thread go on.
        let cell = unsafe { &mut *cell };
        let touched = catch_unwind(AssertUnwindSafe(|| match write {
            true => cell.watch.with_mut(|_| ()),
            false => cell.watch.with(|_| ()),
        }));
        if touched.is_err() {
            let what = if write { "changes" } else { "reads" };
            find(format!(
                "{place} (thread {thread}) {what} a cell, unordered with one of {:?}",
                cell.last
            ));
        }
        cell.last.rotate_right(1);
        cell.last[0] = Some((thread, place, write));
    }

    fn lock(address: usize, place: Place) -> *mut Lock {
        with(|execution| {
            execution.look(address, place);
            &raw mut **execution.locks.entry(address).or_default()
        })
    }
}

impl Checker for Loom {
    fn load(&self, word: usize, ordering: Ordering, place: Place) -> u64 {
        if with(|execution| execution.is_alone()) {
            return with(|execution| {
                execution.look(word, place);
                execution.plain.get(&word).copied().unwrap_or(0)
            });
        }
        let ordering = match self.weaker(place) {
            Some(Weaker::Ordered(weaker)) => weaker,
            Some(Weaker::Repeated) => {
                let thread = self.thread();
                return with(|execution| execution.seen.get(&(thread, word)).copied())
                    .expect("it was looked at before");
            }
            _ => ordering,
        };
        self.announce_load(word);
        let value = Self::word(word, place).load(ordering);
        self.sees(word, value);
        value
    }

    fn store(&self, word: usize, value: u64, ordering: Ordering, place: Place) {
        if with(|execution| execution.is_alone()) {
            with(|execution| {
                execution.look(word, place);
                execution.plain.insert(word, value);
            });
            return;
        }
        let ordering = match self.weaker(place) {
            Some(Weaker::Ordered(weaker)) => weaker,
            _ => ordering,
        };
        self.announce_write(word);
        Self::word(word, place).store(value, ordering);
    }

    fn change(
        &self,
        word: usize,
        how: Change,
        ordering: Ordering,
        place: Place,
    ) -> Result<u64, u64> {
        if with(|execution| execution.is_alone()) {
            return with(|execution| {
                execution.look(word, place);
                execution.change_plain(word, how)
            });
        }
        let weaker = self.weaker(place);
        if let (Some(Weaker::Skipped), Change::Exchange(current, ..)) = (weaker, how) {
            return Ok(current);
        }
        let (ordering, how) = match (weaker, how) {
            // Of a failure as well.
            (Some(Weaker::Ordered(Ordering::Relaxed)), Change::Exchange(current, new, _)) => {
                (Ordering::Relaxed, Change::Exchange(current, new, Ordering::Relaxed))
            }
            (Some(Weaker::Ordered(weaker)), how) => (weaker, how),
            _ => (ordering, how),
        };
        self.announce_write(word);
        self.passes(place);
        let word = Self::word(word, place);
        match how {
            Change::Swap(value) => Ok(word.swap(value, ordering)),
            Change::Add(value) => Ok(word.fetch_add(value, ordering)),
            Change::Subtract(value) => Ok(word.fetch_sub(value, ordering)),
            Change::Exchange(current, new, failure) => {
                word.compare_exchange(current, new, ordering, failure)
            }
        }
    }

    fn reads(&self, cell: usize, place: Place) {
        self.touch(cell, place, false);
    }

    fn writes(&self, cell: usize, place: Place) {
        self.touch(cell, place, true);
    }

    fn acquire(&self, lock: usize, place: Place) {
        if with(|execution| execution.is_alone()) {
            with(|execution| execution.look(lock, place));
            return;
        }
        let weaker = self.weaker(place);
        let lock = Self::lock(lock, place);
        if matches!(weaker, Some(Weaker::Unlocked)) {
            let thread = self.thread();
            // SAFETY: It stays until the next execution begins.
            unsafe { &mut (*lock).without }.push(thread);
            return;
        }
        self.passes(place);
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

    #[track_caller]
    fn freed(&self, memory: usize, bytes: usize) {
        if let Err(what) = with(|execution| execution.memory.freed(memory)) {
            find(what.to_owned());
        }
        if with(|execution| execution.is_alone()) {
            return;
        }
        // Every use has come before: as if it were written now.
        let (words, cells) = with(|execution| {
            let range = memory..memory + bytes;
            let words: Vec<*const AtomicU64> = (execution.words.iter())
                .filter(|(address, _)| range.contains(address))
                .map(|(_, word)| &raw const execution.all_words[*word])
                .collect();
            let cells: Vec<*const Cell> = (execution.cells.iter())
                .filter(|(address, _)| range.contains(address))
                .map(|(_, cell)| &raw const *cell)
                .collect();
            (words, cells)
        });
        for word in words {
            // SAFETY: Loom's counter of who has used it; it holds no memory of
            // ours, and no other thread goes on meanwhile.
            let word = unsafe { &mut *word.cast_mut() };
            if catch_unwind(AssertUnwindSafe(|| word.with_mut(|_| ()))).is_err() {
                find("memory is freed, unordered with a use of an atomic in it".to_owned());
            }
        }
        for cell in cells {
            // SAFETY: In the execution's map, which nobody touches meanwhile.
            let cell = unsafe { &*cell };
            if catch_unwind(AssertUnwindSafe(|| cell.watch.with_mut(|_| ()))).is_err() {
                find(format!("memory is freed, unordered with one of {:?}", cell.last));
            }
        }
    }

    fn thread(&self) -> u64 {
        if let Some(played) = with(|execution| execution.played) {
            return played;
        }
        let me = loom::thread::current().id();
        with(|execution| {
            let mine = execution.threads.iter().find(|(thread, _)| *thread == me);
            mine.expect("`spawn` has put it in").1
        })
    }

    fn yield_now(&self) {
        loom::thread::yield_now();
    }
}

impl Machine for Loom {
    type Thread = loom::thread::JoinHandle<()>;

    fn begin(&'static self, _: &Script, weakened: &[Weakened]) {
        let fresh = Execution {
            all_words: (0..WORDS).map(|_| AtomicU64::new(0)).collect(),
            unused_cells: (0..CELLS).map(|_| UnsafeCell::new(())).collect(),
            threads: vec![(loom::thread::current().id(), 1)],
            begun: 1,
            played: Some(1),
            weakened: weakened.to_vec(),
            ..Execution::default()
        };
        EXECUTION.with(|execution| *execution.borrow_mut() = fresh);
        modelled::begin(self);
    }

    fn play(&self, thread: Option<u64>) {
        stop_if_found();
        with(|execution| {
            match (execution.played.is_some(), thread.is_some()) {
                (true, false) => execution.publish(),
                (false, true) => execution.withdraw(),
                _ => {}
            }
            execution.played = thread;
        });
    }

    fn spawn(&self, work: impl FnOnce() + 'static) -> Self::Thread {
        let number = with(|execution| {
            execution.begun += 1;
            execution.begun
        });
        loom::thread::spawn(move || {
            let me = loom::thread::current().id();
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

/// Whether scenarios are to be played with all of their preemptions, however long
/// that takes: `make check-deep`.
#[must_use]
pub fn is_deep() -> bool {
    std::env::var_os("THREADLOCALMAP_DEEP").is_some_and(|value| !value.is_empty())
}

/// Preemptions that are asked for beside a scenario's own.
fn more_preemptions() -> usize {
    let asked = std::env::var("THREADLOCALMAP_MORE_PREEMPTIONS").ok();
    asked.map_or(0, |number| {
        number.parse().expect("THREADLOCALMAP_MORE_PREEMPTIONS is to be a number")
    })
}

/// Plays the script in every schedule with at most so many preemptions.
pub fn check(preemptions: usize, script: Script, weakened: &[Weakened]) {
    crate::show_panics();
    let weakened = weakened.to_vec();
    let mut model = loom::model::Builder::new();
    model.max_branches = 20_000;
    model.preemption_bound = Some(preemptions + more_preemptions());
    let executions = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = executions.clone();
    model.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        crate::runner::play(&Loom, &script, &weakened);
    });
    println!("{} executions", executions.load(Ordering::Relaxed));
}
