// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compares the results with the bars, and defines what `--json` writes.

use serde::Serialize;

use crate::checks::Check;
use crate::machine::Machine;
use crate::measure::Samples;
use crate::memory::MemoryRecord;
use crate::rows::Row;
use crate::statistics::Spread;
use crate::stepping::Proof;

/// All results of one run.
#[derive(Serialize, Default)]
pub struct Record {
    pub machine: Machine,
    pub rows: Vec<RowRecord>,
    pub memory: Vec<MemoryRecord>,
    pub checks: Vec<CheckRecord>,
    /// The proof that the loops do their work; empty if no process may be traced.
    pub proofs: Vec<Proof>,
    /// Names and versions of the peers that were measured.
    pub versions: Vec<(String, String)>,
    /// Peers that are not installed, and their Debian packages.
    pub missing: Vec<(String, String)>,
    /// For the chart of the cost by the number of threads.
    pub points: Vec<PointRecord>,
    pub instructions: Vec<InstructionRecord>,
}

/// The times and ratios of one row.
#[derive(Serialize)]
pub struct RowRecord {
    pub id: &'static str,
    pub work: String,
    /// The name of this library's contender.
    pub us_name: String,
    pub rounds: usize,
    /// Nanoseconds of one operation, with the loop.
    pub us: Spread,
    /// The bar for this library's own time.
    pub nanoseconds: Option<Comparison>,
    pub nanoseconds_aim: Option<Comparison>,
    pub section: Option<&'static str>,
    /// The curve of which the row is a point, and its number of threads.
    pub curve: Option<(&'static str, usize)>,
    /// The picture of the section.
    pub picture: Option<&'static str>,
    pub why: Option<&'static str>,
    pub unfair: Option<&'static str>,
    pub peers: Vec<PeerRecord>,
}

#[derive(Serialize)]
pub struct PeerRecord {
    pub id: String,
    pub name: String,
    /// Nanoseconds of one operation, with the loop.
    pub nanoseconds: Spread,
    /// This library's time divided by the peer's, in each round.
    pub ratio: Spread,
    pub bar: Option<Comparison>,
    pub aim: Option<Comparison>,
}

/// A limit, and whether the median is within it.
#[derive(Clone, Copy, Serialize)]
pub struct Comparison {
    pub limit: f64,
    pub met: bool,
    /// The limit is inside the middle half of the samples, so another run may give
    /// the other verdict.
    pub close: bool,
}

impl Comparison {
    pub fn of(found: Spread, limit: f64) -> Comparison {
        Comparison {
            limit,
            met: found.median <= limit,
            close: found.low <= limit && limit < found.high,
        }
    }
}

#[derive(Serialize)]
pub struct CheckRecord {
    pub id: &'static str,
    pub work: String,
    pub bar: &'static str,
    pub met: bool,
    pub found: String,
    pub seconds: f64,
}

/// The cost of one call, and the number of other threads.
#[derive(Serialize)]
pub struct PointRecord {
    pub line: String,
    pub threads: usize,
    pub nanoseconds: Spread,
}

#[derive(Serialize)]
pub struct InstructionRecord {
    pub row: &'static str,
    pub work: String,
    pub contender: String,
    /// Of one operation, with the loop.
    pub instructions: f64,
    pub counter: &'static str,
}

impl Record {
    pub fn nothing_missed(&self) -> bool {
        self.comparisons().iter().all(|comparison| comparison.met)
            && self.checks.iter().all(|check| check.met)
    }

    /// All bars on times and ratios; aims are not among them.
    pub fn comparisons(&self) -> Vec<Comparison> {
        let of_row = |row: &RowRecord| {
            let peers = row.peers.iter().filter_map(|peer| peer.bar);
            row.nanoseconds.into_iter().chain(peers).collect::<Vec<_>>()
        };
        let memory = self.memory.iter().map(|row| row.bar);
        self.rows.iter().flat_map(of_row).chain(memory).collect()
    }
}

pub fn rows(rows: &[Row], samples: &[Samples]) -> Vec<RowRecord> {
    rows.iter().zip(samples).map(|(row, samples)| compared(row, samples)).collect()
}

fn compared(row: &Row, samples: &Samples) -> RowRecord {
    let column = |index: usize| Spread::of(samples.iter().map(|sample| sample[index]));
    let us = column(0);
    let peers = row.peers.iter().enumerate().map(|(index, peer)| {
        let ratio = Spread::of(samples.iter().map(|sample| sample[0] / sample[index + 1]));
        PeerRecord {
            id: peer.contender.id().to_string(),
            name: peer.contender.name().to_string(),
            nanoseconds: column(index + 1),
            ratio,
            bar: peer.bar.map(|limit| Comparison::of(ratio, limit)),
            aim: peer.aim.map(|limit| Comparison::of(ratio, limit)),
        }
    });
    RowRecord {
        id: row.id,
        work: row.work.clone(),
        us_name: row.us.name().to_string(),
        rounds: samples.len(),
        us,
        nanoseconds: row.nanoseconds.map(|limit| Comparison::of(us, limit)),
        nanoseconds_aim: row.nanoseconds_aim.map(|limit| Comparison::of(us, limit)),
        section: row.story.map(|story| story.section.title),
        curve: row.curve,
        picture: row.story.map(|story| story.section.picture),
        why: row.story.map(|story| story.why),
        unfair: row.story.map(|story| story.unfair),
        peers: peers.collect(),
    }
}

pub fn points(rows: &[Row], samples: &[Samples]) -> Vec<PointRecord> {
    let of_row = |(row, samples): (&Row, &Samples)| {
        let points = row.contenders().enumerate().filter_map(|(index, contender)| {
            let point = contender.point()?;
            let taken = samples.iter().map(|sample| sample[index] * point.times as f64);
            let nanoseconds = Spread::of(taken);
            Some(PointRecord { line: point.line, threads: point.threads, nanoseconds })
        });
        points.collect::<Vec<_>>()
    };
    rows.iter().zip(samples).flat_map(of_row).collect()
}

pub fn check(check: &Check) -> CheckRecord {
    let (found, taken) = check.check();
    CheckRecord {
        id: check.id,
        work: check.work.clone(),
        bar: check.bar,
        met: found.is_ok(),
        found: found.unwrap_or_else(|wrong| wrong),
        seconds: taken.as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Comparison, Spread};

    const FOUND: Spread = Spread { low: 0.9, median: 1.0, high: 1.2 };

    #[test]
    fn the_median_decides_and_the_quartiles_say_whether_it_is_close() {
        let compared = |limit| {
            let comparison = Comparison::of(FOUND, limit);
            (comparison.met, comparison.close)
        };
        assert_eq!(compared(0.8), (false, false));
        assert_eq!(compared(0.95), (false, true));
        assert_eq!(compared(1.0), (true, true));
        assert_eq!(compared(1.3), (true, false));
    }
}
