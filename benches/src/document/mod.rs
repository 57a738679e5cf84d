// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes `docs/benchmarks.md`: the results of this library and of the peers.
//!
//! Every number on the page is from the record of one run. The explanations of a row, and its
//! unequal conditions, are in the source of the row (`rows::Story`).

mod bars;
mod latency;
mod sections;

use crate::compare::Record;
use crate::options::Options;
use crate::Fallible;

/// Texts that do not depend on the run.
const HEAD: &str = include_str!("head.md");
const PROOFS: &str = include_str!("proofs.md");
const UNFAIR: &str = include_str!("unfair.md");
const REPEAT: &str = include_str!("repeat.md");

pub fn page(record: &Record, options: &Options) -> Fallible<String> {
    let mut page = String::from(HEAD);
    page += &machine(record, options);
    page += &bars::fastest(record);
    page += &bars::bars(record);
    page += &sections::sections(record);
    if let Some(path) = options.latency.as_deref().filter(|path| path.exists()) {
        page += &latency::section(path)?;
    }
    page += &proofs(record);
    page += "\n";
    page += UNFAIR;
    page += "\n";
    page += REPEAT;
    Ok(page)
}

fn machine(record: &Record, options: &Options) -> String {
    let machine = &record.machine;
    let mut lines = vec![
        ("processor", format!("{}, {} cores", machine.processor, machine.cores)),
        ("kernel", format!("Linux {}", machine.kernel)),
        ("C library", machine.libc.clone()),
        ("compilers", format!("{}; rustc {}", machine.compiler, machine.rustc)),
        ("this library", machine.library.clone()),
        ("load before the run", machine.load.clone()),
        ("rounds", options.rounds().to_string()),
    ];
    let peers = record.versions.iter().map(|(name, version)| format!("{name} {version}"));
    lines.push(("peers", peers.collect::<Vec<_>>().join(", ")));
    if !record.missing.is_empty() {
        let missing = record.missing.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
        lines.push(("peers that are not installed", missing.join(", ")));
    }
    let mut text = String::from("\n## The machine\n\n| | |\n|---|---|\n");
    for (what, is) in lines {
        text += &format!("| {what} | {is} |\n");
    }
    text
}

fn proofs(record: &Record) -> String {
    let mut text = format!("\n{PROOFS}");
    if record.proofs.is_empty() {
        return text + "\nThe instructions were not counted, because the system does not let a process trace another one.\n";
    }
    text += "\n| row | instructions of one operation, with the loop |\n|---|---|\n";
    for of_row in record.proofs.chunk_by(|one, other| one.row == other.row) {
        let counts =
            of_row.iter().map(|proof| format!("{} {:.1}", proof.contender, proof.instructions));
        text += &format!("| {} | {} |\n", of_row[0].row, counts.collect::<Vec<_>>().join(", "));
    }
    text
}

/// 0.56, 12.3, 176, 47,800.
fn figure(number: f64) -> String {
    if number < 10.0 {
        format!("{number:.2}")
    } else if number < 100.0 {
        format!("{number:.1}")
    } else {
        crate::checks::grouped(number.round() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::figure;

    #[test]
    fn numbers_have_three_digits_or_grouped_thousands() {
        assert_eq!(figure(0.561), "0.56");
        assert_eq!(figure(12.34), "12.3");
        assert_eq!(figure(176.4), "176");
        assert_eq!(figure(47_800.2), "47,800");
    }
}
