// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations of any peer that involve several threads: the release of a key under which other
//! threads have values, and the sum of all threads' values.

use std::ffi::c_int;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::Arc;

use super::one_thread::{filling, make, VALUES};
use super::Contender;
use crate::idle_threads::IdleThreads;
use crate::kernels::{Input, Kernel};
use crate::measure::processor_time;
use crate::peers::{Peer, ANY, COUNTING, ENUMERABLE, PLAIN};
use crate::{library, Fallible};

/// Keys that are released in one batch, without the warm-up. Each holder has a value of each.
const KEYS: usize = 100;
/// Values that are added up in one batch.
const ADDED: usize = 60_000;

/// Starts threads that have a value under each of the keys, and sleep.
fn holders(peer: &Peer, keys: &[u64], threads: usize, flags: c_int) -> Fallible<IdleThreads> {
    let (peer, keys) = (peer.clone(), keys.to_vec());
    let task = move |_| {
        filling(&peer, flags).run(0, &Input::over(&keys, VALUES), keys.len() as u64);
        Ok(())
    };
    IdleThreads::gather(threads, Arc::new(task))
}

/// The release of keys under which each of some threads has a value. An operation is one thread's
/// share of a release.
pub struct Ends {
    peer: Peer,
    kernel: Kernel,
    threads: usize,
    flags: c_int,
    keys: Vec<u64>,
    ended: usize,
    destroyed_before: u64,
    idle: Option<IdleThreads>,
}

impl Ends {
    /// The thread that releases the key destroys the values.
    pub fn destroying(peer: &Peer, threads: usize) -> Option<Ends> {
        Some(Ends {
            kernel: peer.table.kernel("end")?,
            peer: peer.clone(),
            threads,
            flags: ANY | COUNTING,
            keys: Vec::new(),
            ended: 0,
            destroyed_before: 0,
            idle: None,
        })
    }

    /// Each thread destroys its own values later.
    pub fn leaving(peer: &Peer, threads: usize) -> Option<Ends> {
        Some(Ends { flags: PLAIN, ..Ends::destroying(peer, threads)? })
    }
}

impl Contender for Ends {
    super::named_by_peer!();

    fn granule(&self) -> u64 {
        self.threads as u64
    }

    fn operations(&self) -> Option<u64> {
        Some((KEYS * self.threads) as u64)
    }

    fn prepare(&mut self) -> Fallible<()> {
        library::attach()?;
        // The warm-up needs keys as well.
        self.keys = make(&self.peer, KEYS + KEYS.div_ceil(16), self.flags)?;
        self.ended = 0;
        self.idle = Some(holders(&self.peer, &self.keys, self.threads, self.flags)?);
        self.destroyed_before = self.peer.table.destroyed();
        Ok(())
    }

    fn run(&mut self, placement: usize, operations: u64) {
        let count = operations as usize / self.threads;
        let keys = &self.keys[self.ended..self.ended + count];
        self.kernel.run(placement, &Input::over(keys, VALUES), count as u64);
        self.ended += count;
    }

    fn finish(&mut self) -> Fallible<()> {
        let destroyed = self.peer.table.destroyed() - self.destroyed_before;
        let values = if self.flags & COUNTING != 0 { self.ended * self.threads } else { 0 };
        self.idle.take().map_or(Ok(()), IdleThreads::disperse)?;
        self.peer.table.unmake(&self.keys[self.ended..]);
        library::detach()?;
        if destroyed == values as u64 {
            return Ok(());
        }
        Err(format!("{}: {destroyed} of {values} values were destroyed", self.peer.name))
    }
}

/// Each thread destroys its stale values with one `tls_expunge`. The time is the sum of the processor
/// times of the threads, for each value.
pub struct Expunges {
    peer: Peer,
    threads: usize,
    taken: f64,
}

/// Stale values of one thread when it expunges.
const STALE: usize = 100;

impl Expunges {
    pub fn new(peer: &Peer, threads: usize) -> Expunges {
        Expunges { peer: peer.clone(), threads, taken: 0.0 }
    }

    /// Sets values under all keys, reports that, waits for the signal, expunges, and reports the time.
    fn member(peer: &Peer, keys: &[u64], ready: &Sender<f64>, word: &Receiver<()>) {
        filling(peer, COUNTING).run(0, &Input::over(keys, VALUES), keys.len() as u64);
        let _ = ready.send(0.0);
        let _ = word.recv();
        let start = processor_time();
        let expunged = library::expunge();
        let taken = processor_time() - start;
        assert_eq!(expunged, keys.len(), "all values are stale");
        let _ = ready.send(taken);
    }

    fn expunge_on_all(&self) -> Fallible<f64> {
        let keys = make(&self.peer, STALE, COUNTING)?;
        let (ready, answers) = mpsc::channel();
        let mut members = Vec::new();
        for _ in 0..self.threads {
            let (word, heard) = mpsc::channel();
            let (peer, keys, ready) = (self.peer.clone(), keys.clone(), ready.clone());
            let member = move || Expunges::member(&peer, &keys, &ready, &heard);
            let builder = std::thread::Builder::new().stack_size(128 * 1024);
            let thread = builder.spawn(member).map_err(|error| error.to_string())?;
            members.push((word, thread));
        }
        let answer = || answers.recv().map_err(|_| "a thread ended too early".to_string());
        for _ in 0..self.threads {
            answer()?;
        }
        self.peer.table.unmake(&keys);
        let mut taken = 0.0;
        for (word, _) in &members {
            word.send(()).map_err(|_| "a thread ended too early")?;
            // One after the other, because they count the destroyed values without atomic instructions.
            taken += answer()?;
        }
        for (_, thread) in members {
            thread.join().map_err(|_| "a thread panicked")?;
        }
        Ok(taken)
    }
}

impl Contender for Expunges {
    super::named_by_peer!();

    fn granule(&self) -> u64 {
        (self.threads * STALE) as u64
    }

    fn operations(&self) -> Option<u64> {
        Some(self.granule() * (200 / self.threads as u64).max(1))
    }

    fn taken(&self) -> Option<f64> {
        Some(self.taken)
    }

    fn prepare(&mut self) -> Fallible<()> {
        Ok(())
    }

    fn run(&mut self, _placement: usize, operations: u64) {
        self.taken = 0.0;
        for _ in 0..operations / self.granule() {
            // A run that failed has no time; `finish` reports it.
            self.taken += self.expunge_on_all().unwrap_or(f64::NAN);
        }
    }

    fn finish(&mut self) -> Fallible<()> {
        if self.taken.is_nan() {
            return Err(format!("{}: its threads could not be run", self.peer.name));
        }
        library::detach()
    }
}

/// The sum of all threads' values of one key. An operation is one thread's share.
pub struct Totals {
    peer: Peer,
    kernel: Kernel,
    threads: usize,
    keys: Vec<u64>,
    sum: u64,
    idle: Option<IdleThreads>,
}

impl Totals {
    pub fn new(peer: &Peer, kernel: &str, threads: usize) -> Option<Totals> {
        Some(Totals {
            kernel: peer.table.kernel(kernel)?,
            peer: peer.clone(),
            threads,
            keys: Vec::new(),
            sum: 0,
            idle: None,
        })
    }
}

impl Contender for Totals {
    super::named_by_peer!();

    fn granule(&self) -> u64 {
        self.threads as u64
    }

    fn operations(&self) -> Option<u64> {
        Some((self.threads * (ADDED / self.threads)) as u64)
    }

    fn prepare(&mut self) -> Fallible<()> {
        self.keys = make(&self.peer, 1, ENUMERABLE)?;
        self.idle = Some(holders(&self.peer, &self.keys, self.threads, PLAIN)?);
        Ok(())
    }

    fn run(&mut self, placement: usize, operations: u64) {
        let mut sum = 0;
        let input = Input { result: &mut sum, ..Input::over(&self.keys, VALUES) };
        self.kernel.run(placement, &input, operations / self.threads as u64);
        self.sum = sum;
    }

    fn finish(&mut self) -> Fallible<()> {
        self.idle.take().map_or(Ok(()), IdleThreads::disperse)?;
        self.peer.table.unmake(&self.keys);
        library::detach()?;
        let right = 16 * self.threads as u64;
        if self.sum == right {
            return Ok(());
        }
        Err(format!(
            "{}: the sum of the values is {}, and should be {right}",
            self.peer.name, self.sum
        ))
    }
}
