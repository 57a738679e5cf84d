// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two tables of all rows: this library and the fastest peer of each row, and the bars.

use super::figure;
use crate::compare::{Comparison, PeerRecord, Record, RowRecord};
use crate::java;
use crate::peers::OWN_NAME;
use crate::statistics::Spread;

const RESULTS: &str = "
## Results

Each row compares this library with the best peer. Numbers are nanoseconds, or bytes if the row says so. *Even*: the
middle half of the ratios includes 1. OpenJDK is left out, because it did not run in the same rounds.

| work | threadlocalmap | best peer | its number | ratio | threadlocalmap is |
|---|---:|---|---:|---:|---|
";

const BARS: &str = "
## Bars and aims

A bar is a limit that this library must not exceed; an aim is a lower limit, and a goal for later versions. If the
second column names a peer, the limits are for the ratio. Otherwise they are for the nanoseconds or bytes of this
library. Limits in nanoseconds were set on one machine: a slower or busier machine misses more of them. *Barely*:
the bar is inside the middle half, so another run may give the other verdict.

| work | peer or unit | result | bar | verdict | aim | verdict |
|---|---|---:|---:|---|---:|---|
";

/// The fastest peer.
pub fn fastest_other(row: &RowRecord) -> Option<&PeerRecord> {
    // OpenJDK did not run in the rounds of the other peers: the tables have it, this comparison
    // does not.
    let others =
        row.peers.iter().filter(|peer| !peer.id.starts_with("ours") && peer.id != java::ID);
    others.min_by(|one, other| one.nanoseconds.median.total_cmp(&other.nanoseconds.median))
}

struct Line {
    work: String,
    ours: f64,
    /// The best peer's name, its number, and the ratio.
    other: Option<(String, f64, Spread)>,
}

pub fn fastest(record: &Record) -> String {
    let rows = record.rows.iter().filter(|row| row.section.is_some()).map(|row| Line {
        work: row.work.clone(),
        ours: row.us.median,
        other: fastest_other(row)
            .map(|peer| (peer.name.clone(), peer.nanoseconds.median, peer.ratio)),
    });
    let memory = record.memory.iter().map(|row| Line {
        work: row.work.to_string(),
        ours: row.bytes[0].1,
        other: row.bytes[1..]
            .iter()
            .filter(|(name, _)| !name.starts_with(OWN_NAME))
            .min_by(|one, other| one.1.total_cmp(&other.1))
            .map(|(name, bytes)| (name.clone(), *bytes, Spread::of([row.bytes[0].1 / bytes]))),
    });
    let mut text = String::from(RESULTS);
    for line in rows.chain(memory) {
        let ours = figure(line.ours);
        text += &match line.other {
            None => format!("| {} | {ours} | no peer can do this | | | |\n", line.work),
            Some((name, taken, ratio)) => format!(
                "| {} | {ours} | {name} | {} | {:.2} | {} |\n",
                line.work,
                figure(taken),
                ratio.median,
                outcome(ratio)
            ),
        };
    }
    text
}

fn outcome(ratio: Spread) -> &'static str {
    match ratio {
        _ if ratio.high < 1.0 => "better",
        _ if ratio.low > 1.0 => "**worse**",
        _ => "even",
    }
}

pub fn bars(record: &Record) -> String {
    let mut text = String::from(BARS);
    let mut met = 0;
    let mut all = 0;
    let mut line =
        |work: &str, against: &str, found: String, bar: Comparison, aim: Option<Comparison>| {
            all += 1;
            met += usize::from(bar.met);
            let goal = aim.map_or(String::new(), |aim| trimmed(aim.limit));
            let reached = aim.map_or("", |aim| if aim.met { "reached" } else { "not yet" });
            text += &format!(
                "| {work} | {against} | {found} | {} | {} | {goal} | {reached} |\n",
                trimmed(bar.limit),
                verdict(bar)
            );
        };
    for row in record.rows.iter().filter(|row| row.section.is_some()) {
        if let Some(bar) = row.nanoseconds {
            line(&row.work, "nanoseconds", figure(row.us.median), bar, row.nanoseconds_aim);
        }
        for peer in &row.peers {
            if let Some(bar) = peer.bar {
                line(&row.work, &peer.name, format!("{:.2}", peer.ratio.median), bar, peer.aim);
            }
        }
    }
    for row in &record.memory {
        line(row.work, "bytes", figure(row.bytes[0].1), row.bar, Some(row.aim));
    }
    text += &format!("\n{met} of {all} bars are met.\n");
    text
}

fn verdict(bar: Comparison) -> &'static str {
    match (bar.met, bar.close) {
        (true, false) => "met",
        (true, true) => "met, barely",
        (false, true) => "missed, barely",
        (false, false) => "**missed**",
    }
}

/// 30, 0.35, 1.5.
fn trimmed(limit: f64) -> String {
    format!("{limit}")
}

#[cfg(test)]
mod tests {
    use super::{fastest_other, outcome, OWN_NAME};
    use crate::compare::{PeerRecord, RowRecord};
    use crate::statistics::Spread;

    fn peer(id: &str, nanoseconds: f64) -> PeerRecord {
        let spread = Spread::of([nanoseconds]);
        let (id, name) = (id.to_string(), id.to_string());
        PeerRecord { id, name, nanoseconds: spread, ratio: spread, bar: None, aim: None }
    }

    #[test]
    fn the_best_peer_is_neither_this_library_nor_java() {
        let row = RowRecord {
            id: "row",
            work: String::new(),
            us_name: OWN_NAME.into(),
            rounds: 1,
            us: Spread::of([1.0]),
            nanoseconds: None,
            nanoseconds_aim: None,
            section: None,
            curve: None,
            picture: None,
            why: None,
            unfair: None,
            peers: vec![
                peer("ours-cpp", 0.5),
                peer("java", 0.5),
                peer("boost", 9.0),
                peer("pthread", 3.0),
            ],
        };
        assert_eq!(fastest_other(&row).map(|peer| peer.name.as_str()), Some("pthread"));
    }

    #[test]
    fn the_outcome_is_even_if_the_middle_half_includes_1() {
        assert_eq!(outcome(Spread { low: 0.8, median: 0.9, high: 0.95 }), "better");
        assert_eq!(outcome(Spread { low: 0.9, median: 1.2, high: 1.5 }), "even");
        assert_eq!(outcome(Spread { low: 1.1, median: 1.2, high: 1.5 }), "**worse**");
    }
}
