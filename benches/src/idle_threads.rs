// SPDX-License-Identifier: MIT OR Apache-2.0
//! Other threads: one that makes the process multi-threaded, and groups of idle
//! threads that use the library.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::Arc;
use std::thread::{self, JoinHandle, Thread};

use crate::{library, Fallible};

/// Enough for a thread that only waits, and small enough for ten thousand threads.
const STACK: usize = 128 * 1024;

/// Starts a thread that sleeps for as long as the process lives.
pub fn parked_thread() -> Fallible<JoinHandle<()>> {
    thread::Builder::new()
        .name("parked".into())
        .stack_size(STACK)
        .spawn(|| loop {
            thread::park();
        })
        .map_err(|error| format!("cannot start a second thread: {error}"))
}

/// The function that each thread runs first; its argument is the number of the thread.
pub type Task = Arc<dyn Fn(usize) -> Fallible<()> + Send + Sync>;

/// Threads that are attached, have run their task, and sleep.
pub struct IdleThreads {
    meeting: Arc<Meeting>,
    threads: Vec<JoinHandle<Fallible<()>>>,
}

/// Idle threads and the thread that starts them wait for each other with this.
///
/// A barrier would wake all threads when the last one has arrived, and a thousand
/// threads would go back to sleep during a measurement. Here each thread sleeps from
/// its arrival on.
struct Meeting {
    missing: AtomicUsize,
    may_leave: AtomicBool,
    host: Thread,
}

impl Meeting {
    fn arrive(&self) {
        if self.missing.fetch_sub(1, SeqCst) == 1 {
            self.host.unpark();
        }
    }

    fn stay(&self) {
        while !self.may_leave.load(SeqCst) {
            thread::park();
        }
    }

    fn wait_for_all(&self) {
        while self.missing.load(SeqCst) > 0 {
            thread::park();
        }
    }
}

impl IdleThreads {
    /// Returns when all threads are attached and have run their task. They sleep then;
    /// the last one may still be about to.
    pub fn gather(size: usize, task: Task) -> Fallible<IdleThreads> {
        let meeting = Arc::new(Meeting {
            missing: AtomicUsize::new(size),
            may_leave: AtomicBool::new(false),
            host: thread::current(),
        });
        let mut idle = IdleThreads { meeting, threads: Vec::with_capacity(size) };
        for index in 0..size {
            let (meeting, task) = (idle.meeting.clone(), task.clone());
            let member = move || {
                let done = library::attach().and_then(|()| task(index));
                meeting.arrive();
                meeting.stay();
                done
            };
            match thread::Builder::new().stack_size(STACK).spawn(member) {
                Ok(thread) => idle.threads.push(thread),
                Err(error) => {
                    let _ = idle.disperse();
                    return Err(format!("thread {index} of {size}: {error}"));
                }
            }
        }
        idle.meeting.wait_for_all();
        Ok(idle)
    }

    /// Ends the threads, waits for them, and returns the first failure.
    pub fn disperse(self) -> Fallible<()> {
        self.meeting.may_leave.store(true, SeqCst);
        for member in &self.threads {
            member.thread().unpark();
        }
        let mut result = Ok(());
        for member in self.threads {
            let done = member.join().map_err(|_| "an idle thread panicked".to_string());
            result = result.and(done.and_then(|done| done));
        }
        result
    }
}
