// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counts instructions instead of timing.
//!
//! A count is the same on a busy machine as on an idle one, so the counts of two
//! builds can be compared exactly. The program runs itself with a counter, twice
//! for each contender: with N operations and with 2 N. Both runs include the
//! start and the preparation, so the difference is N operations. The counter is
//! `perf stat` if the processor's counters are available (in a virtual machine
//! they seldom are), or else valgrind's callgrind, which simulates the processor.

use std::process::Command;

use crate::compare::InstructionRecord;
use crate::peers::OWN_NAME;
use crate::rows::Row;
use crate::Fallible;

/// A multiple of every row's granule (1, 2, 100 and 1000).
const OPERATIONS: u64 = 200_000;

/// The work of one counted run: `--count ROW CONTENDER OPERATIONS`.
pub fn run_counted(rows: &mut [Row], arguments: &[String]) -> Fallible<()> {
    let [id, contender, operations] = arguments else {
        return Err("--count takes a row, a contender and a number of operations".into());
    };
    let contender: usize = contender.parse().map_err(|_| "--count: not a contender's number")?;
    let operations: u64 = operations.parse().map_err(|_| "--count: not a number of operations")?;
    let row = rows.iter_mut().find(|row| row.id == id).ok_or("--count: no such row")?;
    let contender = row.contenders_mut().nth(contender).ok_or("--count: no such contender")?;
    contender.prepare()?;
    contender.run(0, operations);
    contender.finish()
}

pub fn count(rows: &[Row]) -> Fallible<Vec<InstructionRecord>> {
    let counter = Counter::available()?;
    let mut records = Vec::new();
    for row in rows.iter().filter(|row| row.counted) {
        for (index, contender) in row.contenders().enumerate() {
            eprintln!("counting {} {}", row.id, contender.name());
            let of = |operations: u64| counter.count(row.id, index, operations);
            let (once, twice) = (of(OPERATIONS)?, of(2 * OPERATIONS)?);
            let name = if index == 0 { OWN_NAME } else { contender.name() };
            records.push(InstructionRecord {
                row: row.id,
                work: row.work.clone(),
                contender: name.to_string(),
                instructions: twice.saturating_sub(once) as f64 / OPERATIONS as f64,
                counter: counter.name(),
            });
        }
    }
    Ok(records)
}

enum Counter {
    Perf,
    Callgrind,
}

impl Counter {
    fn available() -> Fallible<Counter> {
        let has_counters = Command::new("perf")
            .args(["stat", "-x", ",", "-e", "instructions:u", "true"])
            .output()
            .is_ok_and(|output| output.status.success() && perf_count(&output.stderr).is_some());
        if has_counters {
            return Ok(Counter::Perf);
        }
        let has_valgrind = Command::new("valgrind")
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success());
        if has_valgrind {
            return Ok(Counter::Callgrind);
        }
        Err("instructions cannot be counted: perf has no hardware counters here, and valgrind is not installed".into())
    }

    fn name(&self) -> &'static str {
        match self {
            Counter::Perf => "perf stat, in user mode",
            Counter::Callgrind => "valgrind --tool=callgrind",
        }
    }

    /// Counts the instructions of a whole run of this program.
    fn count(&self, row: &str, contender: usize, operations: u64) -> Fallible<u64> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = match self {
            Counter::Perf => {
                let mut command = Command::new("perf");
                command.args(["stat", "-x", ",", "-e", "instructions:u"]);
                command
            }
            Counter::Callgrind => {
                let mut command = Command::new("valgrind");
                command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
                command
            }
        };
        command.arg(program).args([
            "--count",
            row,
            &contender.to_string(),
            &operations.to_string(),
        ]);
        let output = command.output().map_err(|error| error.to_string())?;
        let count = match self {
            Counter::Perf => perf_count(&output.stderr),
            Counter::Callgrind => callgrind_count(&output.stderr),
        };
        count.filter(|_| output.status.success()).ok_or_else(|| {
            format!("counting {row} failed: {}", String::from_utf8_lossy(&output.stderr).trim())
        })
    }
}

/// `123456,,instructions:u,...`
fn perf_count(output: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().find(|line| line.contains("instructions"))?;
    line.split(',').next()?.parse().ok()
}

/// `==1== Collected : 123456`
fn callgrind_count(output: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().find(|line| line.contains("Collected"))?;
    line.rsplit(':').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{callgrind_count, perf_count};

    #[test]
    fn counts_are_found_in_what_the_counters_print() {
        assert_eq!(perf_count(b"189123,,instructions:u,1000,100.00,,\n"), Some(189_123));
        assert_eq!(perf_count(b"<not supported>,,instructions:u,0,100.00,,\n"), None);
        assert_eq!(callgrind_count(b"==7== Events    : Ir\n==7== Collected : 4242\n"), Some(4242));
        assert_eq!(callgrind_count(b"valgrind: cannot run\n"), None);
    }
}
