// SPDX-License-Identifier: MIT OR Apache-2.0
//! The loops of any peer on one thread: get, set, and the life of a key.

use std::ffi::{c_int, c_void};
use std::ptr;

use super::{shuffle, Contender};
use crate::kernels::{Input, Kernel};
use crate::peers::{Peer, COUNTING, PLAIN};
use crate::{library, Fallible};

/// Two numbers that are stored in turn, and never used as addresses. A first key is filled with the
/// second one, so that the first store changes the value.
pub const VALUES: [*mut c_void; 2] =
    [ptr::without_provenance_mut(32), ptr::without_provenance_mut(16)];

/// A loop of a peer, over some live keys.
pub struct OneThread {
    peer: Peer,
    kernel: Kernel,
    /// How many keys the loop uses.
    used: usize,
    /// How many keys are live.
    live: usize,
    flags: c_int,
    /// Whether the used keys have values.
    filled: bool,
    granule: u64,
    keys: Vec<u64>,
    /// In the order of their creation; they are unmade in this order.
    created: Vec<u64>,
    done: u64,
    destroyed_before: u64,
}

impl OneThread {
    /// Returns `None` if the peer has no such loop, or cannot have so many keys.
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

    /// Gets the values of `count` keys, one after the other.
    pub fn get(peer: &Peer, count: usize) -> Option<OneThread> {
        let kernel = if count == 1 { "get_one" } else { "get_many" };
        Some(OneThread { filled: true, ..OneThread::with(peer, kernel, count)? })
    }

    /// The same for `used` of `live` keys, in an arbitrary order. The other keys have no values.
    pub fn get_some(peer: &Peer, used: usize, live: usize) -> Option<OneThread> {
        let of = OneThread::get(peer, used)?;
        peer.can_have(live).then_some(OneThread { live, ..of })
    }

    /// Replaces a value by another, and destroys nothing.
    pub fn set(peer: &Peer) -> Option<OneThread> {
        Some(OneThread { filled: true, granule: 2, ..OneThread::with(peer, "set", 1)? })
    }

    /// Replaces a value by another, and destroys the old one.
    pub fn replace(peer: &Peer) -> Option<OneThread> {
        let of = OneThread::with(peer, "replace", 1)?;
        Some(OneThread { filled: true, granule: 2, flags: COUNTING, ..of })
    }

    /// Sets the first value of each key, and removes it.
    pub fn first(peer: &Peer, count: usize) -> Option<OneThread> {
        OneThread::with(peer, "first", count)
    }

    /// Creates a key, sets and gets a value, and destroys the key.
    pub fn life(peer: &Peer) -> Option<OneThread> {
        OneThread::with(peer, "life", 0)
    }

    fn input(&self) -> Input {
        Input::over(&self.keys, VALUES)
    }

    /// Reads all values once, with the code of the timed loop, and adds them up.
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
        Err(format!("{}: the sum of the values is {sum}, and should be {right}", self.peer.name))
    }

    fn check_destroyed(&self) -> Fallible<()> {
        let destroyed = self.peer.table.destroyed() - self.destroyed_before;
        if destroyed == self.done {
            return Ok(());
        }
        Err(format!(
            "{}: {} values were replaced, but {destroyed} were destroyed",
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
