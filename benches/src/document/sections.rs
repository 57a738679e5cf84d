// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sections: each has a picture, and a table and an explanation for each of its rows.

use super::bars::fastest_other;
use super::figure;
use crate::compare::{Record, RowRecord};
use crate::memory::MemoryRecord;

pub fn sections(record: &Record) -> String {
    let mut text = String::new();
    let told: Vec<&RowRecord> = record.rows.iter().filter(|row| row.section.is_some()).collect();
    for rows in told.chunk_by(|one, other| one.section == other.section) {
        text += &heading(rows[0].section.unwrap_or_default(), rows[0].picture.unwrap_or_default());
        for (index, row) in rows.iter().enumerate() {
            text += &table(row);
            // Consecutive rows with the same explanation have it once, after the last of them.
            if rows.get(index + 1).is_none_or(|next| next.why != row.why) {
                text += &said(row.why.unwrap_or_default(), row.unfair.unwrap_or_default());
            }
        }
    }
    if let Some(first) = record.memory.first() {
        text += &heading(first.section, first.picture);
    }
    for row in &record.memory {
        text += &memory(row);
        text += &said(row.why, row.unfair);
    }
    text
}

fn heading(section: &str, picture: &str) -> String {
    format!(
        "\n## {section}\n\n![{section}: this library and the peers](benchmarks/{picture}.svg)\n"
    )
}

fn said(why: &str, unfair: &str) -> String {
    let mut text = format!("\n**Why.** {why}\n");
    if !unfair.is_empty() {
        text += &format!("\n**Unequal conditions.** {unfair}\n");
    }
    text
}

fn table(row: &RowRecord) -> String {
    let mut text = format!("\n### {}\n", capital(&row.work));
    if let Some(other) = fastest_other(row) {
        text += &format!(
            "\nThis library takes {} ns; the fastest peer is {} with {} ns.\n",
            figure(row.us.median),
            other.name,
            figure(other.nanoseconds.median)
        );
    }
    text += "\n| | ns | middle half | ratio | middle half |\n|---|---:|---|---:|---|\n";
    text += &format!(
        "| **{}** | **{}** | {} to {} | | |\n",
        row.us_name,
        figure(row.us.median),
        figure(row.us.low),
        figure(row.us.high)
    );
    for peer in &row.peers {
        let (ns, ratio) = (peer.nanoseconds, peer.ratio);
        // A single number has no middle half.
        let (taken, ratios) = if ns.low == ns.high {
            (String::new(), String::new())
        } else {
            (
                format!("{} to {}", figure(ns.low), figure(ns.high)),
                format!("{:.2} to {:.2}", ratio.low, ratio.high),
            )
        };
        text += &format!(
            "| {} | {} | {taken} | {:.2} | {ratios} |\n",
            peer.name,
            figure(ns.median),
            ratio.median
        );
    }
    text
}

fn memory(row: &MemoryRecord) -> String {
    let mut text = format!("\n### {}\n\n| | bytes | ratio |\n|---|---:|---:|\n", capital(row.work));
    let ours = row.bytes[0].1;
    text += &format!("| **{}** | **{}** | |\n", row.bytes[0].0, figure(ours));
    for (name, bytes) in &row.bytes[1..] {
        text += &format!("| {name} | {} | {:.2} |\n", figure(*bytes), ours / bytes);
    }
    text
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::capital;

    #[test]
    fn a_heading_begins_with_a_capital() {
        assert_eq!(capital("get, 1 key"), "Get, 1 key");
        assert_eq!(capital(""), "");
    }
}
