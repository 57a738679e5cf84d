//! Other threads: the one that makes the process multi-threaded, and crowds of
//! idle ones that use the library.

use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle};

use crate::{library, Fallible};

/// Enough for a thread that only waits; a thousand of them stay small.
const STACK: usize = 128 * 1024;

/// Starts a thread that sleeps for as long as the process lives.
pub fn parked_thread() -> Fallible<JoinHandle<()>> {
    thread::Builder::new()
        .name("parked".into())
        .stack_size(STACK)
        .spawn(|| loop {
            thread::park();
        })
        .map_err(|error| format!("no second thread: {error}"))
}

/// Threads that are attached, hold one value each, and sleep.
pub struct Crowd {
    key: u64,
    leave: Arc<Barrier>,
    threads: Vec<JoinHandle<Fallible<()>>>,
}

impl Crowd {
    /// Returns when all of them are attached and asleep or about to be.
    pub fn gather(size: usize) -> Fallible<Crowd> {
        let key = library::create()?;
        let arrived = Arc::new(Barrier::new(size + 1));
        let leave = Arc::new(Barrier::new(size + 1));
        let mut threads = Vec::with_capacity(size);
        for _ in 0..size {
            let (arrived, leave) = (arrived.clone(), leave.clone());
            let member = move || {
                let stored =
                    library::attach().and_then(|()| library::set(key, library::two_values()[0]));
                arrived.wait();
                leave.wait();
                stored
            };
            let thread = thread::Builder::new().stack_size(STACK).spawn(member);
            threads.push(
                thread.map_err(|error| format!("thread {} of {size}: {error}", threads.len()))?,
            );
        }
        arrived.wait();
        Ok(Crowd { key, leave, threads })
    }

    /// Lets them end, waits for it, and tells the first thing that failed.
    pub fn disperse(self) -> Fallible<()> {
        self.leave.wait();
        for thread in self.threads {
            thread.join().map_err(|_| "a thread of the crowd panicked".to_string())??;
        }
        library::release(self.key)
    }
}
