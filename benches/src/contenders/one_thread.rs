// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any peer's loops on one thread: reading, storing, and the life of a key.

use std::ffi::{c_int, c_void};
use std::ptr;

use super::{shuffle, Contender};
use crate::kernels::{Input, Kernel};
use crate::peers::{Peer, COUNTING, PLAIN};
use crate::{library, Fallible};

/// Two numbers that nobody follows, stored in turn. The second is what a first key is filled with: the
/// first store is to be one of another value.
pub const VALUES: [*mut c_void; 2] =
    [ptr::without_provenance_mut(32), ptr::without_provenance_mut(16)];

/// One of a peer's loops over some live keys.
pub struct OneThread {
    peer: Peer,
    kernel: Kernel,
    /// The keys that the loop goes over.
    used: usize,
    /// The keys that are live.
    live: usize,
    flags: c_int,
    /// Whether the keys that are used have values.
    filled: bool,
    granule: u64,
    keys: Vec<u64>,
    /// In the order of their creation; they are unmade in this order.
    created: Vec<u64>,
    done: u64,
    destroyed_before: u64,
}

impl OneThread {
    /// None: the peer has no such loop, or can't have so many keys.
    fn with(peer: &Peer, kernel: &str, used: usize) -> Option<OneThread> {
        let kernel = peer.table.kernel(kernel)?;
        let peer = peer.clone();
        peer.can_have(used).then(|| OneThread {
            peer,
            kernel,
            used,
            live: used,
            flags: PLAIN,
            filled: false,
            granule: used.max(1) as u64,
            keys: Vec::new(),
            created: Vec::new(),
            done: 0,
            destroyed_before: 0,
        })
    }

    /// The values of `count` keys are read, one after the other.
    pub fn get(peer: &Peer, count: usize) -> Option<OneThread> {
        let kernel = if count == 1 { "get_one" } else { "get_many" };
        Some(OneThread { filled: true, ..OneThread::with(peer, kernel, count)? })
    }

    /// The same with `used` of `live` keys, which alone have values, in no order.
    pub fn get_some(peer: &Peer, used: usize, live: usize) -> Option<OneThread> {
        let of = OneThread::get(peer, used)?;
        peer.can_have(live).then_some(OneThread { live, ..of })
    }

    /// A value is stored over another, and nothing is destroyed.
    pub fn set(peer: &Peer) -> Option<OneThread> {
        Some(OneThread { filled: true, granule: 2, ..OneThread::with(peer, "set", 1)? })
    }

    /// The same, and the one before is destroyed.
    pub fn replace(peer: &Peer) -> Option<OneThread> {
        let of = OneThread::with(peer, "replace", 1)?;
        Some(OneThread { filled: true, granule: 2, flags: COUNTING, ..of })
    }

    /// Each key gets a first value, and loses it.
    pub fn first(peer: &Peer, count: usize) -> Option<OneThread> {
        OneThread::with(peer, "first", count)
    }

    /// Create, set, get, destroy.
    pub fn life(peer: &Peer) -> Option<OneThread> {
        OneThread::with(peer, "life", 0)
    }

    fn input(&self) -> Input {
        Input::over(&self.keys, VALUES)
    }

    /// Reads all values once, with the very code of the loop that is timed, and adds them up.
    fn check_sum(&self) -> Fallible<()> {
        let Some(kernel) = self.peer.table.kernel("sum") else {
            return Ok(());
        };
        let mut sum = 0;
        kernel.run(0, &Input { result: &mut sum, ..self.input() }, 0);
        let count = self.keys.len() as u64;
        let right = 16 * count * (count + 1) / 2;
        if sum == right {
            return Ok(());
        }
        Err(format!("{}: the values read are {sum} together, of {right}", self.peer.name))
    }

    fn check_destroyed(&self) -> Fallible<()> {
        let destroyed = self.peer.table.destroyed() - self.destroyed_before;
        if destroyed == self.done {
            return Ok(());
        }
        Err(format!(
            "{}: {} values were replaced and {destroyed} destroyed",
            self.peer.name, self.done
        ))
    }
}

/// Makes `count` keys of a peer.
pub fn make(peer: &Peer, count: usize, flags: c_int) -> Fallible<Vec<u64>> {
    let mut keys = vec![0; count];
    if peer.table.make(&mut keys, flags) {
        Ok(keys)
    } else {
        Err(format!("{}: {count} keys could not be made", peer.name))
    }
}

/// The loop that gives each key its first value.
pub fn filling(peer: &Peer, flags: c_int) -> Kernel {
    let counting = peer.table.kernel("fill_counting").filter(|_| flags & COUNTING != 0);
    counting.or_else(|| peer.table.kernel("fill")).expect("every peer can store a value")
}

impl Contender for OneThread {
    super::named_by_peer!();

    fn granule(&self) -> u64 {
        self.granule
    }

    fn prepare(&mut self) -> Fallible<()> {
        self.created = make(&self.peer, self.live, self.flags)?;
        self.keys.clone_from(&self.created);
        if self.used < self.live {
            shuffle(&mut self.keys);
            self.keys.truncate(self.used);
        }
        if self.filled {
            filling(&self.peer, self.flags).run(0, &self.input(), self.keys.len() as u64);
        }
        if self.filled && self.flags == PLAIN {
            self.check_sum()?;
        }
        self.done = 0;
        self.destroyed_before = self.peer.table.destroyed();
        Ok(())
    }

    fn run(&mut self, placement: usize, operations: u64) {
        self.kernel.run(placement, &self.input(), operations);
        self.done += operations;
    }

    fn finish(&mut self) -> Fallible<()> {
        if self.flags & COUNTING != 0 {
            self.check_destroyed()?;
        }
        self.peer.table.unmake(&self.created);
        self.created.clear();
        self.keys.clear();
        if self.peer.is_ours() {
            return library::detach();
        }
        Ok(())
    }
}
