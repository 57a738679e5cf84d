// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two tables that tell all at once: who is fastest in each row, and which bars are met.

use super::figure;
use crate::compare::{Comparison, PeerRecord, Record, RowRecord};
use crate::java;
use crate::statistics::Spread;

const WINS: &str = "
## Where ours wins and where it loses

Nanoseconds, or bytes where it says so. *Ours to it* above 1 is a loss: the median of the
rounds' ratios. *Even*: the middle half of them has both wins and losses. OpenJDK is not among these, for it did not
run in the same rounds.

| work | ours | the best of the others | its figure | ours to it | |
|---|---:|---|---:|---:|---|
";

const BARS: &str = "
## The design's bars

A bar is to be met; an aim is where the design wants to go. *Barely*: another run may say otherwise.
Bars on a ratio are ours to the peer that is named. Bars in nanoseconds are of the machine that they were set on: a
slower or a busier one misses more of them.

| work | against | found | bar | | aim | |
|---|---|---:|---:|---|---:|---|
";

/// The fastest that is not ours.
pub fn fastest_other(row: &RowRecord) -> Option<&PeerRecord> {
    // OpenJDK ran at another time than the others: the tables have it, the comparison does not.
    let others =
        row.peers.iter().filter(|peer| !peer.id.starts_with("ours") && peer.id != java::ID);
    others.min_by(|one, other| one.nanoseconds.median.total_cmp(&other.nanoseconds.median))
}

struct Line {
    work: String,
    ours: f64,
    /// Its name, its figure, and ours to it.
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
            .filter(|(name, _)| !name.starts_with("ours"))
            .min_by(|one, other| one.1.total_cmp(&other.1))
            .map(|(name, bytes)| (name.clone(), *bytes, Spread::of([row.bytes[0].1 / bytes]))),
    });
    let mut text = String::from(WINS);
    for line in rows.chain(memory) {
        let ours = figure(line.ours);
        text += &match line.other {
            None => format!("| {} | {ours} | nobody else does it | | | |\n", line.work),
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
        _ if ratio.high < 1.0 => "wins",
        _ if ratio.low > 1.0 => "**loses**",
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
    use super::{fastest_other, outcome};
    use crate::compare::{PeerRecord, RowRecord};
    use crate::statistics::Spread;

    fn peer(id: &str, nanoseconds: f64) -> PeerRecord {
        let spread = Spread::of([nanoseconds]);
        let (id, name) = (id.to_string(), id.to_string());
        PeerRecord { id, name, nanoseconds: spread, ratio: spread, bar: None, aim: None }
    }

    #[test]
    fn neither_ours_through_another_door_nor_java_is_the_other() {
        let row = RowRecord {
            id: "row",
            work: String::new(),
            us_name: "ours".into(),
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
    fn who_wins_is_open_where_the_rounds_do_not_agree() {
        assert_eq!(outcome(Spread { low: 0.8, median: 0.9, high: 0.95 }), "wins");
        assert_eq!(outcome(Spread { low: 0.9, median: 1.2, high: 1.5 }), "even");
        assert_eq!(outcome(Spread { low: 1.1, median: 1.2, high: 1.5 }), "**loses**");
    }
}
