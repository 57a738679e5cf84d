// SPDX-License-Identifier: MIT OR Apache-2.0
//! A fork, at any operation and in any callback.
//!
//! The child goes on with the forking thread's program, alone: every function
//! must work there, and its keys must drain. The parent waits for it, so that a
//! run in turns stays a function of its input.

use core::sync::atomic::Ordering::SeqCst;

use crate::frame::Kind;
use crate::program::{Code, THREADS};
use crate::report::{fail, FAILED};
use crate::shadow::{shadow, state};
use crate::slot::Slot;
use crate::world::{world, Worker, CONDUCTOR};

/// Forks of one run.
const FORKS: u32 = 2;
/// Seconds that a child may take.
const PATIENCE: u32 = 3;

pub(crate) fn fork(me: &Worker) {
    let world = world();
    if world.forked.load(SeqCst) || world.forks.fetch_add(1, SeqCst) >= FORKS {
        return;
    }
    // SAFETY: The child uses what the library allows, and memory that was
    // allocated before.
    let child = me.call_in(Code::Fork, None, |_| unsafe { libc::fork() });
    if child == 0 {
        // SAFETY: Ends the child if it hangs.
        unsafe { libc::alarm(PATIENCE) };
        become_alone(me);
        return;
    }
    if child < 0 {
        return;
    }
    let mut status = 0;
    // SAFETY: The pointer is good.
    while unsafe { libc::waitpid(child, &mut status, 0) } < 0 {}
    if libc::WIFSIGNALED(status) {
        match libc::WTERMSIG(status) {
            libc::SIGALRM => fail(format_args!("a forked child hangs")),
            signal => fail(format_args!("a forked child is ended by signal {signal}")),
        }
    }
    if libc::WEXITSTATUS(status) == FAILED {
        fail(format_args!("a forked child fails"));
    }
}

/// The child: the other threads are gone, and their values with them.
fn become_alone(me: &Worker) {
    let world = world();
    world.forked.store(true, SeqCst);
    for worker in world.workers[..THREADS].iter().filter(|worker| worker.number != me.number) {
        // What an operation was just making or ending may be out of reach.
        if worker.holding.load(SeqCst) > 0 {
            world.loose.store(true, SeqCst);
        }
        if !worker.is_at_top() || worker.ending.load(SeqCst) {
            world.bereft.store(true, SeqCst);
        }
        worker.alive.store(false, SeqCst);
        worker.forget_life();
    }
    // Who had a slot's lock is not here.
    let slots = [&world.contexts, &world.tasks, &world.maps];
    slots.into_iter().flatten().for_each(Slot::forget_lock);
    count_own(me);
    let shadow = shadow();
    for record in shadow.alive() {
        let map = usize::from(record.map.load(SeqCst));
        let attached = shadow.maps.get(map).map_or(0, |map| map.attached.load(SeqCst));
        if attached != 0 && attached != me.number + 1 {
            world.loose.store(true, SeqCst);
        }
        if map <= CONDUCTOR && map != me.number {
            record.state.store(state::GONE, SeqCst);
            world.bereft.store(true, SeqCst);
        }
    }
    // Nulls are not counted: another thread may have had one.
    if world.program.nulls {
        world.bereft.store(true, SeqCst);
    }
}

/// Counts what runs anew: a thread that is gone may have been about to count what
/// it had just begun or ended.
fn count_own(me: &Worker) {
    let shadow = shadow();
    for key in &shadow.keys {
        key.running.store(0, SeqCst);
    }
    for record in shadow.used() {
        record.visitors.store(0, SeqCst);
        record.copiers.store(0, SeqCst);
    }
    for frame in me.frames().filter(|frame| frame.kind() != Kind::Call) {
        if let Some(key) = frame.key() {
            key.running.fetch_add(1, SeqCst);
        }
        match (frame.kind(), frame.record()) {
            (Kind::Visit, Some(record)) => record.visitors.fetch_add(1, SeqCst),
            (Kind::Copy, Some(record)) => record.copiers.fetch_add(1, SeqCst),
            _ => 0,
        };
    }
}
