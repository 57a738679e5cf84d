// SPDX-License-Identifier: MIT OR Apache-2.0
//! The results of OpenJDK's ThreadLocal (`java/Peers.java`).
//!
//! It ran in a separate process before this one. So each row has one number, and its ratio is the
//! quotient of two medians that were measured minutes apart, not the median of ratios of rounds.

use std::fs;
use std::path::Path;

use crate::compare::{PeerRecord, Record};
use crate::statistics::Spread;
use crate::Fallible;

/// The id of its records.
pub const ID: &str = "java";
const NAME: &str = "OpenJDK (separate process)";

/// Adds the numbers of the file to the rows of the record.
pub fn add(record: &mut Record, path: &Path) -> Fallible<()> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (version, found) = parse(&text)?;
    for row in &mut record.rows {
        let Some((_, nanoseconds)) = found.iter().find(|(id, _)| id == row.id) else {
            continue;
        };
        let once = |value| Spread { low: value, median: value, high: value };
        row.peers.push(PeerRecord {
            id: ID.into(),
            name: NAME.into(),
            nanoseconds: once(*nanoseconds),
            ratio: once(row.us.median / nanoseconds),
            bar: None,
            aim: None,
        });
    }
    record.versions.push(("OpenJDK".into(), version));
    Ok(())
}

type Found = Vec<(String, f64)>;

/// Reads "version V", and lines with the id of a row and its nanoseconds.
fn parse(text: &str) -> Fallible<(String, Found)> {
    let mut version = String::new();
    let mut found = Vec::new();
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("version", words)) => version = words.to_string(),
            Some((row, number)) => {
                let nanoseconds = number.parse().ok().filter(|&number: &f64| number > 0.0);
                found.push((
                    row.to_string(),
                    nanoseconds.ok_or_else(|| format!("not a line of Peers.java: {line}"))?,
                ));
            }
            None => return Err(format!("not a line of Peers.java: {line}")),
        }
    }
    Ok((version, found))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_version_and_rows_are_read() {
        let (version, found) = parse("version 17.0.15\nget-1 2.500\n").unwrap();
        assert_eq!(version, "17.0.15");
        assert_eq!(found, [("get-1".to_string(), 2.5)]);
    }

    #[test]
    fn a_line_without_a_number_is_refused() {
        assert!(parse("get-1 much\n").is_err());
        assert!(parse("get-1 0\n").is_err());
        assert!(parse("get-1\n").is_err());
    }
}
