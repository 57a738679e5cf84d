// SPDX-License-Identifier: MIT OR Apache-2.0
//! The longest single calls, from the file that `make latency` writes.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::figure;
use crate::checks::grouped;
use crate::Fallible;

#[derive(Deserialize)]
struct Latency {
    entries: usize,
    stale: usize,
    calls: Vec<Call>,
}

#[derive(Deserialize)]
struct Call {
    call: String,
    count: usize,
    median_ns: f64,
    p999_ns: f64,
    longest_ns: f64,
    #[serde(default)]
    note: String,
}

pub fn section(path: &Path) -> Fallible<String> {
    let in_file = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(|error| in_file(&error))?;
    let latency = serde_json::from_str(&text).map_err(|error| in_file(&error))?;
    Ok(table(&latency))
}

fn table(latency: &Latency) -> String {
    let (entries, stale) = (grouped(latency.entries), grouped(latency.stale));
    let mut text = format!(
        "\n## The longest single call\n\n\
         Nanoseconds of single calls on a thread with {entries} values of live keys and {stale} stale values.\n\n\
         | call | calls | median | 999 of 1,000 are below | longest | what it does |\n\
         |---|---:|---:|---:|---:|---|\n"
    );
    for call in &latency.calls {
        text += &format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            call.call,
            grouped(call.count),
            figure(call.median_ns),
            figure(call.p999_ns),
            figure(call.longest_ns),
            call.note
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{table, Latency};

    #[test]
    fn a_trace_becomes_a_table() {
        let text = r#"{"entries":1000000,"stale":100000,"calls":[{"call":"tls_set","count":5000,
            "median_ns":12.5,"p999_ns":900,"longest_ns":41000000,"note":"the table grew"}]}"#;
        let latency: Latency = serde_json::from_str(text).unwrap();
        let table = table(&latency);
        assert!(table.contains("with 1,000,000 values of live keys and 100,000 stale values"));
        assert!(table.ends_with("| tls_set | 5,000 | 12.5 | 900 | 41,000,000 | the table grew |\n"));
    }
}
