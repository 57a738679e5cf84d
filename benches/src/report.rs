// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints the results on the terminal.

use crate::checks::Check;
use crate::compare::{Comparison, InstructionRecord, Record, RowRecord};
use crate::machine::Machine;
use crate::options::Options;
use crate::rows::Row;

const WIDTH: usize = 138;

pub fn list(rows: &[Row], checks: &[Check]) {
    for row in rows {
        println!("{:<30} {}", row.id, row.work);
    }
    for check in checks {
        println!("{:<30} {}", check.id, check.work);
    }
}

pub fn machine(machine: &Machine) {
    let Machine { processor, cores, kernel, libc, compiler, rustc, library, load } = machine;
    println!("threadlocalmap {library}, {libc}, {compiler}, rustc {rustc}");
    println!("{processor}, {cores} cores, Linux {kernel}, load {load}");
}

pub fn method(options: &Options) {
    println!(
        "{} rounds, with batches of {} ms. Times are medians of thread CPU time, and include the loop. A ratio is the\n\
         median of the ratios of all rounds. A second thread sleeps during the run, so that the C library works as in\n\
         a program with threads.",
        options.rounds(),
        options.batch_nanoseconds() / 1e6
    );
}

/// One line for each peer that is not installed.
pub fn missing(record: &Record) {
    for (name, package) in &record.missing {
        println!(
            "{name} is left out, because it is not installed (Debian: apt-get install {package})"
        );
    }
}

pub fn no_proofs() {
    println!("the instructions of the loops are not counted, because the system does not let a process trace another one");
}

fn proofs(record: &Record) {
    let Some(first) = record.proofs.first() else {
        return;
    };
    println!(
        "\nproof that the loops do their work: instructions of one operation, with the loop (an empty loop has {:.1})\n{}",
        first.empty,
        "-".repeat(WIDTH)
    );
    for of_row in record.proofs.chunk_by(|one, other| one.row == other.row) {
        let counts = of_row
            .iter()
            .map(|proof| format!("{} {:.1}", proof.contender, proof.instructions))
            .collect::<Vec<_>>();
        println!("{:<8} {}", of_row[0].row, counts.join(", "));
    }
}

fn memory(record: &Record) {
    if record.memory.is_empty() {
        return;
    }
    println!("\nmemory\n{}", "-".repeat(WIDTH));
    for row in &record.memory {
        println!("{:<64} bar {:.0}  {}", row.work, row.bar.limit, verdict(row.bar));
        let of = row.bytes.iter().map(|(name, bytes)| format!("{name} {bytes:.0}"));
        println!("  {}", of.collect::<Vec<_>>().join(", "));
    }
}

pub fn table(record: &Record) {
    println!();
    if !record.rows.is_empty() {
        heading();
        record.rows.iter().for_each(row);
    }
    memory(record);
    proofs(record);
    checks(record);
    aims(record);
    summary(record);
}

fn heading() {
    println!(
        "{:<58} {:>7}  {:<27} {:>7}  {:>6} {:>13}  {:>8}  verdict",
        "work", "ns", "peer", "peer ns", "ratio", "[middle half]", "bar"
    );
    println!("{}", "-".repeat(WIDTH));
}

fn row(row: &RowRecord) {
    let mut work = row.work.as_str();
    let mut us = format!("{:.2}", row.us.median);
    if let Some(comparison) = row.nanoseconds {
        let limit = format!("{:.0} ns", comparison.limit);
        println!("{work:<58} {us:>7}  {:<58}  {limit:>8}  {}", "", verdict(comparison));
        (work, us) = ("", String::new());
    }
    for peer in &row.peers {
        let ratio = peer.ratio;
        let (bar, met) = match peer.bar {
            Some(comparison) => (format!("{:.2}", comparison.limit), verdict(comparison)),
            None => (String::new(), ""),
        };
        println!(
            "{work:<58} {us:>7}  {:<27} {:>7.2}  {:>6.3} {:>13}  {bar:>8}  {met}",
            peer.name,
            peer.nanoseconds.median,
            ratio.median,
            format!("[{:.3}-{:.3}]", ratio.low, ratio.high),
        );
        (work, us) = ("", String::new());
    }
}

fn verdict(comparison: Comparison) -> &'static str {
    match (comparison.met, comparison.close) {
        (true, false) => "met",
        (true, true) => "met, barely",
        (false, true) => "missed, barely",
        (false, false) => "MISSED",
    }
}

fn checks(record: &Record) {
    if record.checks.is_empty() {
        return;
    }
    println!("\nchecks\n{}", "-".repeat(WIDTH));
    for check in &record.checks {
        let met = if check.met { "met" } else { "MISSED" };
        println!("{:<58} {}: {met} ({:.2} s)", check.work, check.bar, check.seconds);
        println!("  {}", check.found);
    }
}

fn aims(record: &Record) {
    let alone = record.rows.iter().filter_map(|row| Some((row, row.nanoseconds_aim?)));
    let alone: Vec<_> = alone.collect();
    let aims: Vec<_> = record
        .rows
        .iter()
        .flat_map(|row| row.peers.iter().filter_map(move |peer| Some((row, peer, peer.aim?))))
        .collect();
    if aims.is_empty() && alone.is_empty() {
        return;
    }
    println!("\naims\n{}", "-".repeat(WIDTH));
    let reached = |met| if met { "reached" } else { "not yet" };
    for (row, aim) in alone {
        println!(
            "{:<86} {:>6.1}  aim {:.1} ns  {}",
            row.work,
            row.us.median,
            aim.limit,
            reached(aim.met)
        );
    }
    for (row, peer, aim) in aims {
        let reached = reached(aim.met);
        println!(
            "{:<58} {:<27} {:>6.3}  aim {:.2}  {reached}",
            row.work, peer.name, peer.ratio.median, aim.limit
        );
    }
}

fn summary(record: &Record) {
    let comparisons = record.comparisons();
    let bars = comparisons.len() + record.checks.len();
    let met = comparisons.iter().filter(|comparison| comparison.met).count()
        + record.checks.iter().filter(|check| check.met).count();
    println!("\n{met} of {bars} bars are met");
}

pub fn instructions(records: &[InstructionRecord]) {
    let Some(first) = records.first() else {
        return;
    };
    println!(
        "\ninstructions of one operation, with the loop ({})\n{}",
        first.counter,
        "-".repeat(WIDTH)
    );
    let mut last = "";
    for record in records {
        let work = if record.row == last { "" } else { &record.work };
        last = record.row;
        println!("{work:<58} {:<27} {:>8.1}", record.contender, record.instructions);
    }
}
