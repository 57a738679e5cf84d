// SPDX-License-Identifier: MIT OR Apache-2.0
//! The threads of a run, and whose turn it is.
//!
//! A fault that depends on the order of threads must fail again, to be shrunk
//! and to be looked at. So threads can take turns: one runs, the others wait,
//! and the turn changes only at *pauses*, before an operation and where a
//! callback begins, as the schedule of the program says. A thread then stands
//! in the middle of a call while others go on. Such a run depends on its input
//! alone. The other way, all at once, finds what lies between two pauses.
//!
//! Each thread also keeps its *frames*: the calls and callbacks that it is in.
//! When it ends inside of them, they are abandoned, and the shadow with them.

use core::cell::Cell;
use core::ffi::c_void;
use core::sync::atomic::{
    AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst,
};
use std::time::Instant;

use crate::ffi;
use crate::frame::{Frame, Kind};
use crate::program::{Code, Program, Without, KEYS, THREADS};
use crate::report::{self, fail};
use crate::shadow::{shadow, Record, ShadowKey, NO_MAP};
use crate::slot::Slot;

/// The number of the thread that starts the others, and checks at the end.
pub(crate) const CONDUCTOR: usize = THREADS;
/// Calls and callbacks that a thread may be in.
const FRAMES: usize = 40;
/// Bodies that a thread may be in.
const NESTED: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One thread at a time.
    Turns,
    /// All at once.
    Free,
    /// All at once, until the time is up; lists are played again and again.
    Many,
}

pub(crate) struct Worker {
    pub(crate) number: usize,
    frames: [Frame; FRAMES],
    depth: AtomicUsize,
    nested: AtomicUsize,
    /// Operations of bodies that it may still do.
    pub(crate) budget: AtomicI32,
    pub(crate) thread: AtomicU64,
    gate: AtomicU32,
    /// Started, and not being joined.
    pub(crate) alive: AtomicBool,
    /// Who has it may cancel the thread, or begin to join it.
    life: AtomicBool,
    /// It has left its list of operations.
    pub(crate) ending: AtomicBool,
    /// By pthread_exit or by cancellation.
    pub(crate) exiting: AtomicBool,
    pub(crate) cancelled: AtomicBool,
    pub(crate) detached: AtomicBool,
    /// Operations in progress that have contexts or maps in their hands.
    pub(crate) holding: AtomicI32,
    pub(crate) handler_body: AtomicUsize,
    /// How often the destructors of the two pthread keys will run again.
    pub(crate) passes: [AtomicI32; 2],
    /// Which of the C library's passes of destructors runs, from 1 on.
    pub(crate) pass: AtomicI32,
    random: AtomicU64,
}

impl Worker {
    const fn new(number: usize) -> Self {
        Self {
            number,
            frames: [const { Frame::new() }; FRAMES],
            depth: AtomicUsize::new(0),
            nested: AtomicUsize::new(0),
            budget: AtomicI32::new(300),
            thread: AtomicU64::new(0),
            gate: AtomicU32::new(0),
            alive: AtomicBool::new(false),
            life: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            exiting: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
            detached: AtomicBool::new(false),
            holding: AtomicI32::new(0),
            handler_body: AtomicUsize::new(0),
            passes: [const { AtomicI32::new(0) }; 2],
            pass: AtomicI32::new(0),
            random: AtomicU64::new(0x1234_5677 + 2 * number as u64),
        }
    }

    /// The frames, the innermost first.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &Frame> {
        self.frames[..self.depth.load(SeqCst).min(FRAMES)].iter().rev()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.depth.load(SeqCst) < FRAMES - 4
    }

    /// The call that the innermost callback is called by.
    pub(crate) fn call(&self) -> Option<&Frame> {
        self.frames().find(|frame| frame.kind() == Kind::Call)
    }

    pub(crate) fn is_in(&self, code: Code) -> bool {
        self.frames().any(|frame| frame.is_call(code))
    }

    /// Whether the thread may be inside a callback of the library. A task's
    /// function is none.
    pub(crate) fn is_inside(&self) -> bool {
        let task = |frame: &Frame| frame.is_call(Code::TaskRun);
        self.frames().any(|frame| frame.kind() == Kind::Call && !task(frame))
    }

    pub(crate) fn is_in_kind(&self, kind: Kind) -> bool {
        self.frames().any(|frame| frame.kind() == kind)
    }

    pub(crate) fn is_at_top(&self) -> bool {
        self.depth.load(SeqCst) == 0 && self.nested.load(SeqCst) == 0
    }

    /// Says what happens, if that is wanted.
    pub(crate) fn trace(&self, what: core::fmt::Arguments<'_>) {
        if world().traces {
            let indent = 2 * self.depth.load(SeqCst);
            report::say(format_args!("   {}: {:indent$}{what}", self.number, ""));
        }
    }

    fn push(&self, kind: Kind, code: u8, key: Option<&ShadowKey>, record: Option<&Record>) {
        let at = self.depth.load(SeqCst);
        if at >= FRAMES {
            fail(format_args!("the hunter's own frames are used up"));
        }
        let frame = &self.frames[at];
        frame.kind.store(kind as u8, SeqCst);
        frame.code.store(code, SeqCst);
        let pointer = |key| core::ptr::from_ref::<ShadowKey>(key).cast_mut();
        frame.key.store(key.map_or(core::ptr::null_mut(), pointer), SeqCst);
        let pointer = |record| core::ptr::from_ref::<Record>(record).cast_mut();
        frame.record.store(record.map_or(core::ptr::null_mut(), pointer), SeqCst);
        frame.foreign.store(0, SeqCst);
        frame.met.store(0, SeqCst);
        self.depth.store(at + 1, SeqCst);
    }

    fn pop(&self) {
        self.depth.fetch_sub(1, SeqCst);
    }

    /// Calls the library.
    pub(crate) fn call_in<T>(
        &self,
        code: Code,
        key: Option<&ShadowKey>,
        call: impl FnOnce(&Frame) -> T,
    ) -> T {
        self.trace(format_args!("{code:?} of key {:?}", key.map(ShadowKey::number)));
        self.push(Kind::Call, code as u8, key, None);
        let frame = &self.frames[self.depth.load(SeqCst) - 1];
        let result = call(frame);
        self.pop();
        result
    }

    /// Runs a callback's body.
    pub(crate) fn callback(
        &self,
        kind: Kind,
        key: Option<&ShadowKey>,
        record: Option<&Record>,
        body: usize,
    ) {
        if let Some(key) = key {
            key.running.fetch_add(1, SeqCst);
        }
        if let Some(record) = record.filter(|_| kind == Kind::Visit) {
            record.visited.store(true, SeqCst);
            record.visitors.fetch_add(1, SeqCst);
        }
        if let Some(record) = record.filter(|_| kind == Kind::Copy) {
            // A copied value is deferred like a visited one.
            record.visited.store(true, SeqCst);
            record.copiers.fetch_add(1, SeqCst);
        }
        self.trace(format_args!("{kind:?} of value {:?}", record.map(Record::number)));
        self.push(kind, 0, key, record);
        self.body(body);
        self.end_callback();
    }

    fn end_callback(&self) {
        let frame = &self.frames[self.depth.load(SeqCst) - 1];
        if let Some(key) = frame.key() {
            key.running.fetch_sub(1, SeqCst);
        }
        if let Some(record) = frame.record().filter(|_| frame.kind() == Kind::Visit) {
            record.visitors.fetch_sub(1, SeqCst);
        }
        if let Some(record) = frame.record().filter(|_| frame.kind() == Kind::Copy) {
            record.copiers.fetch_sub(1, SeqCst);
        }
        self.pop();
    }

    /// The thread ends inside of its calls and callbacks: none of them returns.
    pub(crate) fn abandon_frames(&self) {
        while let Some(frame) = self.frames().next() {
            if frame.kind() == Kind::Call {
                self.pop();
            } else {
                self.end_callback();
            }
        }
        self.nested.store(0, SeqCst);
    }

    fn body(&self, body: usize) {
        let world = world();
        if world.quiet.load(SeqCst) {
            return;
        }
        pause(self);
        let nested = self.nested.load(SeqCst);
        if body == 0 || nested >= NESTED || !self.has_room() {
            return;
        }
        self.nested.store(nested + 1, SeqCst);
        for op in &world.program.bodies[body] {
            if self.budget.fetch_sub(1, SeqCst) <= 0 {
                break;
            }
            crate::ops::perform(self, *op);
            pause(self);
        }
        self.nested.store(nested, SeqCst);
    }

    /// The thread leaves its list of operations, or what it is in.
    pub(crate) fn begin_ending(&self, exiting: bool) {
        if exiting {
            self.exiting.store(true, SeqCst);
        }
        self.ending.store(true, SeqCst);
        let shadow = shadow();
        shadow.touch_all(self.number as u16);
        shadow.maps[self.number].left.store(true, SeqCst);
        let map = self.map();
        if usize::from(map) != self.number {
            shadow.touch_all(map);
        }
        self.abandon_frames();
    }

    /// The thread does not start to be joined meanwhile, nor to be cancelled.
    pub(crate) fn with_life<T>(&self, action: impl FnOnce() -> T) -> T {
        while self.life.swap(true, SeqCst) {
            std::thread::yield_now();
        }
        let result = action();
        self.life.store(false, SeqCst);
        result
    }

    /// In the child of a fork: the thread that had it is not here.
    pub(crate) fn forget_life(&self) {
        self.life.store(false, SeqCst);
    }

    /// A number below `end`, for runs with all threads at once.
    pub(crate) fn below(&self, end: u64) -> u64 {
        let mut x = self.random.load(SeqCst);
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random.store(x, SeqCst);
        (x >> 16) % end
    }

    /// The map that is current on the calling thread, which is this one.
    pub(crate) fn map(&self) -> u16 {
        // SAFETY: Any thread may ask.
        let pointer = unsafe { ffi::tls_map_current() };
        if pointer.is_null() {
            return self.number as u16;
        }
        shadow().map_number(pointer).map_or(NO_MAP, |at| at as u16)
    }
}

/// A run.
pub(crate) struct World {
    pub(crate) program: Program,
    pub(crate) without: Without,
    pub(crate) mode: Mode,
    pub(crate) workers: Vec<Worker>,
    turn: AtomicUsize,
    step: AtomicUsize,
    /// Says what happens, as it happens.
    pub(crate) traces: bool,
    /// Callbacks do nothing any more.
    pub(crate) quiet: AtomicBool,
    /// This is the child of an operation `Fork`; what its other threads were
    /// doing may have left contexts or maps that can't be reached.
    pub(crate) forked: AtomicBool,
    pub(crate) loose: AtomicBool,
    /// The same, and other threads were inside calls.
    pub(crate) bereft: AtomicBool,
    pub(crate) forks: AtomicU32,
    /// An allocation was made to fail.
    pub(crate) starved: AtomicBool,
    pub(crate) deadline: Instant,
    pub(crate) handles: [AtomicU64; KEYS],
    pub(crate) keys: [AtomicPtr<ShadowKey>; KEYS],
    pub(crate) contexts: [Slot; 3],
    pub(crate) tasks: [Slot; 3],
    pub(crate) maps: [Slot; 3],
    /// Older and younger than the library's pthread key.
    pub(crate) os_keys: [AtomicU32; 3],
}

static WORLD: AtomicPtr<World> = AtomicPtr::new(core::ptr::null_mut());

thread_local! {
    static ME: Cell<usize> = const { Cell::new(usize::MAX) };
    /// The allocation from now on that fails; 0: none.
    static FAILING: Cell<u32> = const { Cell::new(0) };
}

/// The run of this process.
pub(crate) fn world() -> &'static World {
    // SAFETY: `install` comes before everything else, and what it made lives as
    // long as the process.
    unsafe { &*WORLD.load(SeqCst) }
}

/// The calling thread.
pub(crate) fn me() -> &'static Worker {
    &world().workers[ME.get()]
}

pub(crate) fn become_worker(number: usize) {
    ME.set(number);
}

pub(crate) fn fail_allocation(number: u32) {
    FAILING.set(number);
}

/// Whether the allocation that the calling thread is about to make fails: only
/// those of the library do.
#[cfg(not(feature = "asan"))]
pub(crate) fn allocation_fails() -> bool {
    let failing = FAILING.get();
    if failing == 0 || ME.get() == usize::MAX {
        return false;
    }
    let inside = me().frames().next().is_some_and(|frame| frame.kind() == Kind::Call);
    if !inside {
        return false;
    }
    FAILING.set(failing - 1);
    if failing == 1 {
        world().starved.store(true, SeqCst);
    }
    failing == 1
}

impl World {
    pub(crate) fn install(program: Program, settings: crate::run::Settings, deadline: Instant) {
        let mode = settings.mode;
        let world = Self {
            program,
            without: settings.without,
            mode,
            traces: settings.traces,
            workers: (0..=THREADS).map(Worker::new).collect(),
            turn: AtomicUsize::new(CONDUCTOR),
            step: AtomicUsize::new(0),
            quiet: AtomicBool::new(false),
            forked: AtomicBool::new(false),
            loose: AtomicBool::new(false),
            bereft: AtomicBool::new(false),
            forks: AtomicU32::new(0),
            starved: AtomicBool::new(false),
            deadline,
            handles: [const { AtomicU64::new(0) }; KEYS],
            keys: [const { AtomicPtr::new(core::ptr::null_mut()) }; KEYS],
            contexts: [const { Slot::new() }; 3],
            tasks: [const { Slot::new() }; 3],
            maps: [const { Slot::new() }; 3],
            os_keys: [const { AtomicU32::new(0) }; 3],
        };
        if mode == Mode::Many {
            for worker in &world.workers {
                worker.budget.store(i32::MAX, SeqCst);
            }
        }
        WORLD.store(Box::into_raw(Box::new(world)), SeqCst);
    }

    /// Waits until the turn is the worker's.
    pub(crate) fn wait_for_turn(&self, worker: &Worker) {
        loop {
            let seen = worker.gate.load(SeqCst);
            if self.turn.load(SeqCst) == worker.number {
                return;
            }
            futex(&worker.gate, libc::FUTEX_WAIT, seen);
        }
    }

    /// The turn is that worker's from now on.
    pub(crate) fn pass(&self, to: usize) {
        self.turn.store(to, SeqCst);
        let gate = &self.workers[to].gate;
        gate.fetch_add(1, SeqCst);
        futex(gate, libc::FUTEX_WAKE, 1);
    }

    /// The worker was joined: the next one goes on, or the conductor.
    pub(crate) fn pass_on_from(&self, worker: &Worker) {
        worker.alive.store(false, SeqCst);
        let next = self.workers[..THREADS].iter().find(|other| other.alive.load(SeqCst));
        self.pass(next.map_or(CONDUCTOR, |next| next.number));
    }

    fn take_turns(&self, me: &Worker) {
        let at = self.step.fetch_add(1, SeqCst);
        let Some(&step) = self.program.schedule.get(at) else { return };
        if step == 0 {
            return;
        }
        let others = || {
            let all = self.workers[..THREADS].iter();
            all.filter(|other| other.alive.load(SeqCst) && other.number != me.number)
        };
        let count = others().count();
        if count > 0 {
            if let Some(next) = others().nth(usize::from(step - 1) % count) {
                self.pass(next.number);
                self.wait_for_turn(me);
            }
        }
    }

    /// Nobody but the calling thread is inside a call, or ending.
    pub(crate) fn stands_still(&self) -> bool {
        self.workers[..THREADS].iter().all(|worker| {
            !worker.alive.load(SeqCst) || (worker.is_at_top() && !worker.ending.load(SeqCst))
        })
    }
}

/// Where the turn may change, and where a cancelled thread ends.
pub(crate) fn pause(me: &Worker) {
    let world = world();
    match world.mode {
        Mode::Turns => world.take_turns(me),
        _ => match me.below(64) {
            0 => {
                // SAFETY: A sleep; cancellation is off.
                unsafe { libc::usleep(me.below(60) as u32) };
            }
            1..8 => std::thread::yield_now(),
            _ => {}
        },
    }
    let cancelled = me.cancelled.load(SeqCst) && !me.exiting.load(SeqCst);
    if cancelled && !me.is_in_kind(Kind::Waker) {
        me.begin_ending(true);
        // SAFETY: Frames up to the thread's start are left without being
        // unwound; none has anything to drop.
        unsafe {
            ffi::pthread_setcancelstate(libc_cancel::ENABLE, core::ptr::null_mut());
            ffi::pthread_testcancel();
        }
        fail(format_args!("the hunter's thread was cancelled, and goes on"));
    }
}

/// Numbers of `pthread_setcancelstate`.
pub(crate) mod libc_cancel {
    pub(crate) const ENABLE: i32 = 0;
    pub(crate) const DISABLE: i32 = 1;
}

fn futex(word: &AtomicU32, operation: i32, value: u32) {
    let null = core::ptr::null::<c_void>();
    // SAFETY: The word outlives the process's threads.
    unsafe {
        let operation = operation | libc::FUTEX_PRIVATE_FLAG;
        libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, null, null, 0);
    }
}
