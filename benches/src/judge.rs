//! Holds what was measured against the bars, and is what `--json` writes.

use serde::Serialize;

use crate::machine::Machine;
use crate::measure::Samples;
use crate::outcomes::Outcome;
use crate::rows::Row;
use crate::statistics::Spread;

/// Everything that one run found.
#[derive(Serialize, Default)]
pub struct Record {
    pub machine: Machine,
    pub rows: Vec<RowRecord>,
    pub outcomes: Vec<OutcomeRecord>,
    /// For the chart of cost against threads.
    pub points: Vec<PointRecord>,
    pub instructions: Vec<InstructionRecord>,
}

/// One row's sides and ratios.
#[derive(Serialize)]
pub struct RowRecord {
    pub id: &'static str,
    pub work: String,
    pub rounds: usize,
    /// Nanoseconds of one operation, loop included.
    pub us: Spread,
    /// On ours alone.
    pub nanoseconds: Option<Judgement>,
    pub peers: Vec<PeerRecord>,
}

#[derive(Serialize)]
pub struct PeerRecord {
    pub name: String,
    /// Nanoseconds of one operation, loop included.
    pub nanoseconds: Spread,
    /// Ours to the peer's, taken in each round.
    pub ratio: Spread,
    pub bar: Option<Judgement>,
    pub aim: Option<Judgement>,
}

/// A limit, and whether the median kept it.
#[derive(Clone, Copy, Serialize)]
pub struct Judgement {
    pub limit: f64,
    pub met: bool,
    /// The limit lies inside the middle half of the samples: another run may
    /// say otherwise.
    pub close: bool,
}

impl Judgement {
    fn of(found: Spread, limit: f64) -> Judgement {
        Judgement {
            limit,
            met: found.median <= limit,
            close: found.low <= limit && limit < found.high,
        }
    }
}

#[derive(Serialize)]
pub struct OutcomeRecord {
    pub id: &'static str,
    pub work: String,
    pub bar: &'static str,
    pub met: bool,
    pub found: String,
    pub seconds: f64,
}

/// What one call cost beside so many other threads.
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
    pub subject: String,
    /// Of one operation, loop included.
    pub instructions: f64,
    pub counter: &'static str,
}

impl Record {
    pub fn nothing_missed(&self) -> bool {
        self.judgements().iter().all(|judgement| judgement.met)
            && self.outcomes.iter().all(|outcome| outcome.met)
    }

    /// All bars on times and ratios; aims are not among them.
    pub fn judgements(&self) -> Vec<Judgement> {
        let of_row = |row: &RowRecord| {
            let peers = row.peers.iter().filter_map(|peer| peer.bar);
            row.nanoseconds.into_iter().chain(peers).collect::<Vec<_>>()
        };
        self.rows.iter().flat_map(of_row).collect()
    }
}

pub fn rows(rows: &[Row], samples: &[Samples]) -> Vec<RowRecord> {
    rows.iter().zip(samples).map(|(row, samples)| judged(row, samples)).collect()
}

fn judged(row: &Row, samples: &Samples) -> RowRecord {
    let column = |index: usize| Spread::of(samples.iter().map(|sample| sample[index]));
    let us = column(0);
    let peers = row.peers.iter().enumerate().map(|(index, peer)| {
        let ratio = Spread::of(samples.iter().map(|sample| sample[0] / sample[index + 1]));
        PeerRecord {
            name: peer.subject.name().to_string(),
            nanoseconds: column(index + 1),
            ratio,
            bar: peer.bar.map(|limit| Judgement::of(ratio, limit)),
            aim: peer.aim.map(|limit| Judgement::of(ratio, limit)),
        }
    });
    RowRecord {
        id: row.id,
        work: row.work.clone(),
        rounds: samples.len(),
        us,
        nanoseconds: row.nanoseconds.map(|limit| Judgement::of(us, limit)),
        peers: peers.collect(),
    }
}

pub fn points(rows: &[Row], samples: &[Samples]) -> Vec<PointRecord> {
    let of_row = |(row, samples): (&Row, &Samples)| {
        let points = row.subjects().enumerate().filter_map(|(index, subject)| {
            let point = subject.point()?;
            let taken = samples.iter().map(|sample| sample[index] * point.times as f64);
            let nanoseconds = Spread::of(taken);
            Some(PointRecord { line: point.line, threads: point.threads, nanoseconds })
        });
        points.collect::<Vec<_>>()
    };
    rows.iter().zip(samples).flat_map(of_row).collect()
}

pub fn outcome(outcome: &Outcome) -> OutcomeRecord {
    let (found, taken) = outcome.check();
    OutcomeRecord {
        id: outcome.id,
        work: outcome.work.clone(),
        bar: outcome.bar,
        met: found.is_ok(),
        found: found.unwrap_or_else(|wrong| wrong),
        seconds: taken.as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Judgement, Spread};

    const FOUND: Spread = Spread { low: 0.9, median: 1.0, high: 1.2 };

    #[test]
    fn the_median_decides_and_the_quartiles_tell_how_surely() {
        let judged = |limit| {
            let judgement = Judgement::of(FOUND, limit);
            (judgement.met, judgement.close)
        };
        assert_eq!(judged(0.8), (false, false));
        assert_eq!(judged(0.95), (false, true));
        assert_eq!(judged(1.0), (true, true));
        assert_eq!(judged(1.3), (true, false));
    }
}
