//! Every schedule, and every value that a weak memory model lets a load see:
//! the checker is loom.
//!
//! Loom's words belong to one execution, so the library's addresses are mapped
//! to them here. Two of loom's ways ask for care:
//!
//! * An atomic counts as written by the thread that makes it. The library's
//!   words are 0 from the beginning of time, so theirs are made before the first
//!   thread is, and handed out when an address is first seen.
//! * `SeqCst` of a load or a store is treated as `Acquire` or `Release`; a
//!   *fence* of that kind is understood. So between a thread's `SeqCst` write
//!   and its next `SeqCst` load stands a fence, which is how compilers do it.
//! * To find out which steps must be played in both orders, loom compares a
//!   write with the last use of the same atomic only. A load of the writer's own
//!   just before it (as before every compare-exchange) hides all loads of others.
//!   So each thread that loads a word has a condition variable there, which
//!   nobody waits for: a load and a write by another both notify it, and loom
//!   plays those in both orders. It orders nothing else.
//!
//! What is found is written down, and ends the execution at the library's next
//! step: what it would do after that, with pointers that nothing has ordered, is
//! anybody's guess. In the middle of a callback, or of the end of a thread, no
//! panic may unwind: then the execution fails when it is over.

use std::cell::RefCell;
use std::collections::HashSet;
use std::mem::ManuallyDrop;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::Ordering;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{fence, AtomicU64};
use loom::sync::{Condvar, Mutex, MutexGuard};
use threadlocalmap::sys::modelled::{self, Change, Checker, Place};

use crate::memory::{ByAddress, Memory};
use crate::orderings::{is_unlocked, weakened, Weakened};
use crate::stage::{Machine, Script, Step};

/// Atomics, and cells that are read before they are written, of one execution.
const MADE_BEFORE: usize = 96;

/// Who touched a cell, where, and whether he wrote.
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
    /// Threads whose last `SeqCst` write has no fence behind it yet.
    unfenced: HashSet<u64>,
    /// The threads, with their numbers.
    threads: Vec<(loom::thread::ThreadId, u64)>,
    begun: u64,
    played: Option<u64>,
    weakened: Vec<Weakened>,
    /// Threads end while others go on.
    exits: bool,
    found: Vec<String>,
}

impl Execution {
    /// Whether no other thread can do anything now.
    fn is_alone(&self) -> bool {
        self.played.is_some()
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

/// Ends an execution in which something was found, if that can be done here.
fn stop_if_found(place: Place) {
    let in_a_callback = place.file().ends_with("ledger.rs");
    let found = with(|execution| {
        // The ends of threads are played, too.
        let can_stop = !in_a_callback && !execution.exits && execution.played.is_none();
        if can_stop {
            std::mem::take(&mut execution.found)
        } else {
            Vec::new()
        }
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Loom, for the library.
pub struct Loom;

impl Loom {
    fn ordering(ordering: Ordering, place: Place) -> Ordering {
        stop_if_found(place);
        with(|execution| weakened(&execution.weakened, ordering, place))
    }

    fn word(address: usize, place: Place) -> &'static AtomicU64 {
        let word: *const AtomicU64 = with(|execution| {
            if execution.memory.is_gone(address) {
                execution.found.push(format!("{place} uses an atomic in memory that is gone"));
            }
            let next = execution.words.len();
            let number = *execution.words.entry(address).or_insert(next);
            &raw const *execution.all_words.get(number).expect("MADE_BEFORE is too small")
        });
        // SAFETY: It stays until the next execution begins.
        unsafe { &*word }
    }

    /// Says that this thread loads a word: see the module's text.
    fn announce_load(&self, address: usize) {
        if with(|execution| execution.is_alone()) {
            return;
        }
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
        if with(|execution| execution.is_alone()) {
            return;
        }
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

    /// Whether a fence is due before this thread's next `SeqCst` load.
    fn fence_before(&self, ordering: Ordering) {
        if ordering == Ordering::SeqCst {
            let thread = self.thread();
            if with(|execution| execution.unfenced.remove(&thread)) {
                fence(Ordering::SeqCst);
            }
        }
    }

    fn written(&self, ordering: Ordering) {
        if ordering == Ordering::SeqCst {
            let thread = self.thread();
            with(|execution| execution.unfenced.insert(thread));
        }
    }

    fn touch(&self, address: usize, place: Place, write: bool) {
        stop_if_found(place);
        let thread = self.thread();
        let cell: *mut Cell = with(|execution| {
            if execution.memory.is_gone(address) {
                execution.found.push(format!("{place} uses a cell in memory that is gone"));
            }
            let unused = &mut execution.unused_cells;
            let cell = execution.cells.entry(address).or_insert_with(|| {
                let watch = match write {
                    true => UnsafeCell::new(()),
                    false => unused.pop().expect("MADE_BEFORE is too small"),
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
            if execution.memory.is_gone(address) {
                execution.found.push(format!("{place} uses a lock in memory that is gone"));
            }
            &raw mut **execution.locks.entry(address).or_default()
        })
    }
}

impl Checker for Loom {
    fn load(&self, word: usize, ordering: Ordering, place: Place) -> u64 {
        let ordering = Self::ordering(ordering, place);
        self.fence_before(ordering);
        self.announce_load(word);
        Self::word(word, place).load(ordering)
    }

    fn store(&self, word: usize, value: u64, ordering: Ordering, place: Place) {
        let ordering = Self::ordering(ordering, place);
        self.announce_write(word);
        Self::word(word, place).store(value, ordering);
        self.written(ordering);
    }

    fn change(
        &self,
        word: usize,
        how: Change,
        ordering: Ordering,
        place: Place,
    ) -> Result<u64, u64> {
        let ordering = Self::ordering(ordering, place);
        self.announce_write(word);
        let word = Self::word(word, place);
        let changed = match how {
            Change::Swap(value) => Ok(word.swap(value, ordering)),
            Change::Add(value) => Ok(word.fetch_add(value, ordering)),
            Change::Subtract(value) => Ok(word.fetch_sub(value, ordering)),
            Change::Exchange(current, new, failure) => {
                word.compare_exchange(current, new, ordering, failure)
            }
        };
        if changed.is_ok() {
            self.written(ordering);
        }
        changed
    }

    fn reads(&self, cell: usize, place: Place) {
        self.touch(cell, place, false);
    }

    fn writes(&self, cell: usize, place: Place) {
        self.touch(cell, place, true);
    }

    fn acquire(&self, lock: usize, place: Place) {
        if with(|execution| is_unlocked(&execution.weakened, place)) {
            return;
        }
        let lock = Self::lock(lock, place);
        // SAFETY: It stays until the next execution begins.
        let guard = unsafe { &(*lock).mutex }.lock().expect("nobody panics with a lock");
        // SAFETY: As above; this thread has the lock.
        unsafe { (*lock).guard = Some(ManuallyDrop::new(guard)) };
    }

    fn release(&self, lock: usize) {
        // If it was taken: see `acquire`. Not dropped in there: others go on then.
        let guard =
            with(|execution| execution.locks.get_mut(&lock).and_then(|lock| lock.guard.take()));
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
        // Whoever has used it has done so before: as if it were written now.
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
                find("memory is given back, unordered with a use of an atomic in it".to_owned());
            }
        }
        for cell in cells {
            // SAFETY: In the execution's map, which nobody touches meanwhile.
            let cell = unsafe { &*cell };
            if catch_unwind(AssertUnwindSafe(|| cell.watch.with_mut(|_| ()))).is_err() {
                find(format!("memory is given back, unordered with one of {:?}", cell.last));
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

    fn begin(&'static self, script: &Script, weakened: &[Weakened]) {
        let fresh = Execution {
            all_words: (0..MADE_BEFORE).map(|_| AtomicU64::new(0)).collect(),
            unused_cells: (0..MADE_BEFORE).map(|_| UnsafeCell::new(())).collect(),
            threads: vec![(loom::thread::current().id(), 1)],
            begun: 1,
            exits: script.has(&[Step::Exit]),
            weakened: weakened.to_vec(),
            ..Execution::default()
        };
        EXECUTION.with(|execution| *execution.borrow_mut() = fresh);
        modelled::begin(self);
    }

    fn play(&self, thread: Option<u64>) {
        with(|execution| execution.played = thread);
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

/// Preemptions that whoever has more time asks for.
fn more_preemptions() -> usize {
    let asked = std::env::var("THREADLOCALMAP_MORE_PREEMPTIONS").ok();
    asked.map_or(0, |number| {
        number.parse().expect("THREADLOCALMAP_MORE_PREEMPTIONS is to be a number")
    })
}

/// Plays the script in every schedule with at most so many preemptions.
pub fn check(preemptions: usize, script: Script, weakened: &[Weakened]) {
    let weakened = weakened.to_vec();
    let mut model = loom::model::Builder::new();
    model.max_branches = 20_000;
    model.preemption_bound = Some(preemptions + more_preemptions());
    let executions = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = executions.clone();
    model.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        crate::stage::play(&Loom, &script, &weakened);
    });
    println!("{} executions", executions.load(Ordering::Relaxed));
}
