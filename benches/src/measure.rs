// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs the rows in rounds.
//!
//! In each round every row is measured once: its contenders run directly one after
//! the other, each for a few milliseconds, and in reverse order in half of the
//! rounds. So the contenders of a row always run on the machine in the same state,
//! and a slow second affects one round of each row instead of one whole row.
//!
//! Time is the processor time of the thread, so the time of other processes on the
//! core is not counted. Each batch is prepared, warmed up with a sixteenth of its
//! operations, timed, and cleaned up. Only the timed part counts; it includes the
//! loop.

use std::io::{IsTerminal, Write};

use crate::contenders::Contender;
use crate::options::Options;
use crate::rows::Row;
use crate::Fallible;

/// For one row: for each round that measured it, the nanoseconds of one operation
/// of this library, and then of each peer.
pub type Samples = Vec<Vec<f64>>;

pub fn rounds(rows: &mut [Row], options: &Options) -> Fallible<Vec<Samples>> {
    let mut progress = Progress::new(options.rounds());
    let mut batches = Vec::with_capacity(rows.len());
    for row in rows.iter_mut() {
        let mut sizes = Vec::new();
        for contender in row.contenders_mut() {
            sizes.push(batch_size(contender, options.batch_nanoseconds())?);
        }
        batches.push(sizes);
    }
    let mut samples = vec![Samples::new(); rows.len()];
    for round in 0..options.rounds() {
        progress.show(round);
        for (index, row) in rows.iter_mut().enumerate() {
            if round.is_multiple_of(row.every) {
                let sample = one_round(row, &batches[index], round)?;
                samples[index].push(sample);
            }
        }
    }
    progress.end();
    Ok(samples)
}

fn one_round(row: &mut Row, sizes: &[u64], round: u32) -> Fallible<Vec<f64>> {
    let turn = round / row.every;
    let mut sample = vec![0.0; sizes.len()];
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    // The order changes after all placements were used, so that each placement
    // runs in both orders.
    let placements = crate::kernels::PLACEMENTS as u32;
    if turn / placements % 2 == 1 {
        order.reverse();
    }
    let mut contenders: Vec<&mut dyn Contender> = row.contenders_mut().collect();
    for index in order {
        sample[index] = timed(&mut *contenders[index], (turn % placements) as usize, sizes[index])?;
    }
    Ok(sample)
}

/// Runs one batch, and returns the nanoseconds of one operation.
fn timed(contender: &mut dyn Contender, placement: usize, operations: u64) -> Fallible<f64> {
    contender.prepare()?;
    let granule = contender.granule();
    contender.run(placement, (operations / 16).next_multiple_of(granule));
    let start = processor_time();
    contender.run(placement, operations);
    let taken = processor_time() - start;
    let taken = contender.taken().unwrap_or(taken);
    contender.finish()?;
    Ok(taken / operations as f64)
}

/// Finds how many operations take about as long as a batch should.
fn batch_size(contender: &mut dyn Contender, nanoseconds: f64) -> Fallible<u64> {
    if let Some(operations) = contender.operations() {
        return Ok(operations);
    }
    if let Some(inner) = contender.sized_by() {
        return batch_size(inner, nanoseconds);
    }
    let granule = contender.granule();
    let mut operations = 1000_u64.next_multiple_of(granule);
    loop {
        let taken = timed(contender, 0, operations)? * operations as f64;
        if taken >= nanoseconds / 4.0 {
            let wanted = operations as f64 * nanoseconds / taken;
            return Ok((wanted as u64).max(1).next_multiple_of(granule));
        }
        operations = (operations * 2).next_multiple_of(granule);
    }
}

/// The processor time of the calling thread, in nanoseconds.
pub fn processor_time() -> f64 {
    time_of(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// The time of a clock for processor time, in nanoseconds.
pub fn time_of(clock: libc::clockid_t) -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists on every Linux.
    let result = unsafe { libc::clock_gettime(clock, &mut time) };
    assert_eq!(result, 0, "the clock for processor time cannot be read");
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// One line that shows the progress of the run. On a terminal it is rewritten in
/// place; otherwise it is printed again after every quarter.
struct Progress {
    rounds: u32,
    terminal: bool,
}

impl Progress {
    fn new(rounds: u32) -> Progress {
        let terminal = std::io::stderr().is_terminal();
        let progress = Progress { rounds, terminal };
        progress.line("finding the sizes of the batches");
        progress
    }

    fn show(&mut self, round: u32) {
        if self.terminal || round.is_multiple_of(self.rounds.div_ceil(4)) {
            self.line(&format!("round {} of {}", round + 1, self.rounds));
        }
    }

    fn line(&self, text: &str) {
        let mut stderr = std::io::stderr();
        // If this fails, the failure cannot be reported either.
        let _ = if self.terminal {
            write!(stderr, "\r\x1b[K{text}")
        } else {
            writeln!(stderr, "{text}")
        };
        let _ = stderr.flush();
    }

    fn end(&self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}
