// SPDX-License-Identifier: MIT OR Apache-2.0
//! The whole life of a thread that sets values, for any peer; and very many keys.

use std::ffi::c_void;
use std::ptr;

use super::one_thread::{filling, make, VALUES};
use super::Contender;
use crate::kernels::{Input, Kernel};
use crate::measure::time_of;
use crate::peers::{Peer, COUNTING, PLAIN};
use crate::{library, Fallible};

/// A thread starts, sets the first values of some keys, and ends, which destroys the values. The time
/// is the processor time of the whole process.
pub struct ThreadLives {
    peer: Peer,
    count: usize,
    keys: Vec<u64>,
    taken: f64,
    done: u64,
    destroyed_before: u64,
    failed: bool,
}

struct Start {
    kernel: Kernel,
    input: Input,
}

extern "C" fn thread_main(start: *mut c_void) -> *mut c_void {
    // SAFETY: `run` waits for this thread while `start` exists.
    let start = unsafe { &*(start as *const Start) };
    start.kernel.run(0, &start.input, start.input.count as u64);
    ptr::null_mut()
}

impl ThreadLives {
    pub fn new(peer: &Peer, count: usize) -> ThreadLives {
        let peer = peer.clone();
        ThreadLives {
            peer,
            count,
            keys: Vec::new(),
            taken: 0.0,
            done: 0,
            destroyed_before: 0,
            failed: false,
        }
    }
}

impl Contender for ThreadLives {
    super::named_by_peer!();

    fn operations(&self) -> Option<u64> {
        Some(100)
    }

    fn taken(&self) -> Option<f64> {
        Some(self.taken)
    }

    fn prepare(&mut self) -> Fallible<()> {
        self.keys = make(&self.peer, self.count, COUNTING)?;
        (self.done, self.failed) = (0, false);
        self.destroyed_before = self.peer.table.destroyed();
        Ok(())
    }

    fn run(&mut self, _placement: usize, operations: u64) {
        let kernel = filling(&self.peer, COUNTING);
        let mut start = Start { kernel, input: Input::over(&self.keys, VALUES) };
        let argument: *mut c_void = (&raw mut start).cast();
        let before = time_of(libc::CLOCK_PROCESS_CPUTIME_ID);
        for _ in 0..operations {
            let mut thread = 0;
            // SAFETY: `start` outlives the thread, which is waited for.
            let failed = unsafe {
                libc::pthread_create(&mut thread, ptr::null(), thread_main, argument) != 0
                    || libc::pthread_join(thread, ptr::null_mut()) != 0
            };
            self.failed |= failed;
        }
        self.taken = time_of(libc::CLOCK_PROCESS_CPUTIME_ID) - before;
        self.done += operations;
    }

    fn finish(&mut self) -> Fallible<()> {
        let destroyed = self.peer.table.destroyed() - self.destroyed_before;
        self.peer.table.unmake(&self.keys);
        library::detach()?;
        let values = self.done * self.count as u64;
        if destroyed == values && !self.failed {
            return Ok(());
        }
        Err(format!(
            "{}: {destroyed} of {values} values were destroyed with their threads",
            self.peer.name
        ))
    }
}

/// Very many keys that are live at the same time. Either their creation is timed, or the first set of
/// each.
pub struct VeryMany {
    peer: Peer,
    count: usize,
    /// Whether the creation is timed.
    making: bool,
    keys: Vec<u64>,
    done: usize,
}

impl VeryMany {
    pub fn created(peer: &Peer, count: usize) -> VeryMany {
        VeryMany { peer: peer.clone(), count, making: true, keys: Vec::new(), done: 0 }
    }

    pub fn first_set(peer: &Peer, count: usize) -> VeryMany {
        VeryMany { making: false, ..VeryMany::created(peer, count) }
    }
}

impl Contender for VeryMany {
    super::named_by_peer!();

    fn operations(&self) -> Option<u64> {
        Some(self.count as u64)
    }

    fn prepare(&mut self) -> Fallible<()> {
        self.done = 0;
        // The warm-up needs keys as well.
        let all = self.count + self.count.div_ceil(16);
        self.keys = if self.making { vec![0; all] } else { make(&self.peer, all, PLAIN)? };
        Ok(())
    }

    fn run(&mut self, placement: usize, operations: u64) {
        let keys = &mut self.keys[self.done..self.done + operations as usize];
        if self.making {
            self.peer.table.make(keys, PLAIN);
        } else {
            filling(&self.peer, PLAIN).run(placement, &Input::over(keys, VALUES), operations);
        }
        self.done += operations as usize;
    }

    fn finish(&mut self) -> Fallible<()> {
        self.keys.truncate(self.done);
        let made = !self.keys.contains(&0);
        self.peer.table.unmake(&self.keys);
        self.keys = Vec::new();
        library::detach()?;
        if made {
            return Ok(());
        }
        Err(format!("{}: {} keys could not be made", self.peer.name, self.count))
    }
}
