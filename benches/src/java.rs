// SPDX-License-Identifier: MIT OR Apache-2.0
//! What OpenJDK's ThreadLocal took (`java/Peers.java`), beside ours.
//!
//! It ran in a process of its own, before this one: so there is one figure for each row and no
//! ratio within a round, and the ratio here is that of two medians, of two different minutes.

use std::fs;
use std::path::Path;

use crate::compare::{PeerRecord, Record};
use crate::statistics::Spread;
use crate::Fallible;

/// What its records are called.
pub const ID: &str = "java";
const NAME: &str = "OpenJDK ThreadLocal, own process";

/// Adds what the file says to the rows of the record.
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

/// "version V", and lines of a row and its nanoseconds.
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
                    nanoseconds.ok_or_else(|| format!("of Java: {line}"))?,
                ));
            }
            None => return Err(format!("of Java: {line}")),
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
    fn what_is_no_figure_is_refused() {
        assert!(parse("get-1 much\n").is_err());
        assert!(parse("get-1 0\n").is_err());
        assert!(parse("get-1\n").is_err());
    }
}
