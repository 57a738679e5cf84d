// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who has the turn.
//!
//! One thread runs at a time: the one that has the turn. It reads the program
//! from where it was left, does what is for itself, and hands the turn over
//! where something is for another. A callback that is not quiet reads on, too:
//! so a thread can be left in the middle of a call, at any callback, while
//! others go on, and come back to it later. No library call may then wait for
//! another thread: nothing would go on.
//!
//! When the program is at its end, callbacks return at once, one thread after
//! the other; then the turn is the main thread's, which plays the
//! case.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use threadlocalmap::local::stats::tls_stats_t as Stats;

use super::op::{Op, Turn, Who, THREADS};
use super::ops::perform;
use super::shadow::Shadow;

/// Whose turn it is when no thread of the case has it.
const MAIN: usize = THREADS;

/// Callbacks that wait for turns, one in the other, on one thread.
const DEEPEST: usize = 4;

/// Everything that the threads of a case share. Nobody has the lock while the
/// library is called.
pub(crate) struct World {
    pub(crate) shadow: Shadow,
    program: VecDeque<Turn>,
    turn: usize,
    /// A op for the thread that has the turn.
    errand: Option<Op>,
    /// Callbacks that wait for turns, or may, on each thread.
    depth: [usize; THREADS],
    /// Calls of the library that each thread is in.
    pub(crate) calls: [usize; THREADS],
    /// The thread is ending.
    ending: [bool; THREADS],
    handles: [Option<JoinHandle<()>>; THREADS],
}

impl World {
    const fn new() -> Self {
        Self {
            shadow: Shadow::new(),
            program: VecDeque::new(),
            turn: MAIN,
            errand: None,
            depth: [0; THREADS],
            calls: [0; THREADS],
            ending: [false; THREADS],
            handles: [const { None }; THREADS],
        }
    }

    /// Nobody but one thread, if that, is inside a call.
    pub(crate) fn is_quiet_but_for(&self, me: usize) -> bool {
        let others = (0..THREADS).filter(|&at| at != me);
        others.fold(0, |calls, at| calls + self.calls[at]) == 0 && !self.ending.contains(&true)
    }

    /// Nobody is inside a call.
    pub(crate) fn is_quiet(&self) -> bool {
        self.is_quiet_but_for(MAIN)
    }

    /// Whether a thread is in a callback: of a call, or of its end.
    pub(crate) fn is_in_callback(&self, me: usize) -> bool {
        self.calls[me] > 0 || self.ending[me]
    }

    fn pass(&mut self, to: usize) {
        self.turn = to;
        TURNS[to].notify_one();
    }

    /// Who is next when the program is over.
    fn unfinished(&self) -> usize {
        (0..THREADS).find(|&at| self.calls[at] > 0 || self.ending[at]).unwrap_or(MAIN)
    }
}

static WORLD: Mutex<World> = Mutex::new(World::new());
static TURNS: [Condvar; THREADS + 1] = [const { Condvar::new() }; THREADS + 1];

thread_local! {
    /// The calling thread's number. It has no destructor: callbacks at the end
    /// of the thread ask, too.
    static ME: Cell<usize> = const { Cell::new(MAIN) };
}

/// The calling thread's number.
pub(crate) fn me() -> usize {
    ME.get()
}

/// The shared state. Never kept over a call of the library.
pub(crate) fn world() -> MutexGuard<'static, World> {
    WORLD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for the turn, and for something to do; `None`: the program is over.
fn next_op(me: usize) -> Option<Op> {
    let mut world = world();
    loop {
        while world.turn != me {
            world = TURNS[me].wait(world).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(errand) = world.errand.take() {
            return Some(errand);
        }
        let turn = world.program.pop_front()?;
        match turn.who {
            Who::Thread(other) if other != me => {
                world.errand = Some(turn.op);
                world.pass(other);
            }
            _ => return Some(turn.op),
        }
    }
}

/// What a callback does that is not quiet: operations, up to [`Op::Return`]. Returns
/// what that says.
pub(crate) fn inside_callback(may_act: bool) -> u8 {
    let me = me();
    world().depth[me] += 1;
    let mut answer = 0;
    if world().depth[me] <= DEEPEST {
        while let Some(op) = next_op(me) {
            match op {
                Op::Return(how) => {
                    answer = how;
                    break;
                }
                op if may_act => perform(me, op),
                _ => {}
            }
        }
    }
    world().depth[me] -= 1;
    answer
}

/// A thread of the case, until the program ends it.
fn work(me: usize, before: Option<JoinHandle<()>>) {
    ME.set(me);
    if let Some(before) = before {
        // It has the turn until it is gone, callbacks and all; then we have.
        before.join().expect("a thread that ends does not panic");
        let mut world = world();
        world.ending[me] = false;
        world.shadow.thread_has_ended(me);
    }
    loop {
        match next_op(me) {
            Some(Op::EndThread) => break,
            Some(op) => perform(me, op),
            None => {
                let mut world = world();
                let next = world.unfinished();
                world.pass(next);
            }
        }
    }
    let mut world = world();
    world.ending[me] = true;
    world.shadow.thread_ends(me);
    let own = world.handles[me].take();
    world.handles[me] = Some(spawn(me, own));
}

fn spawn(me: usize, before: Option<JoinHandle<()>>) -> JoinHandle<()> {
    std::thread::spawn(move || work(me, before))
}

/// Has the threads play a program, then clear away. Threads stay for the next
/// case.
pub(crate) fn play(program: Vec<Turn>, before: Stats) {
    begin(program, before);
    wait();
    for thread in 0..THREADS {
        send(thread, Op::Leave);
    }
    send(0, Op::ClearAway);
    send(0, Op::Leave);
}

fn begin(program: Vec<Turn>, before: Stats) {
    let mut world = world();
    world.shadow.open(before);
    world.program = program.into();
    for thread in 0..THREADS {
        if world.handles[thread].is_none() {
            world.handles[thread] = Some(spawn(thread, None));
        }
    }
    world.pass(0);
}

/// Has one thread do something when the program is over.
fn send(thread: usize, op: Op) {
    let mut world = world();
    world.errand = Some(op);
    world.pass(thread);
    drop(world);
    wait();
}

fn wait() {
    let mut world = world();
    while world.turn != MAIN {
        world = TURNS[MAIN].wait(world).unwrap_or_else(PoisonError::into_inner);
    }
}
