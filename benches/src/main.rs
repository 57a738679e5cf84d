// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures threadlocalmap and its peers in one run, and compares the results with
//! the bars.
//!
//! A *contender* (`contenders`) is an operation of this library or of a peer that can
//! be repeated. A *row* (`rows`) has a contender of this library, those of the peers
//! that it is compared with, and the limits of the ratios (*bars* and *aims*).
//! `measure` runs all rows in interleaved rounds, `statistics` computes medians,
//! `compare` compares them with the bars, and `report` prints them. A *check*
//! (`checks`) tests a property that is not a time. `instructions` counts
//! instructions, for machines that are too busy to measure time. `README.md` says
//! how to read the results.

mod checks;
mod compare;
mod contenders;
mod document;
mod idle_threads;
mod instructions;
mod java;
mod kernels;
mod library;
mod machine;
mod measure;
mod memory;
mod options;
mod peers;
mod report;
mod rows;
mod statistics;
mod stepping;

use std::process::ExitCode;

use clap::Parser;

use crate::compare::Record;
use crate::machine::Machine;
use crate::options::Options;
use crate::peers::Peers;

/// The error is a message for the user.
type Fallible<T> = Result<T, String>;

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(u8::from(options.strict)),
        Err(what) => {
            eprintln!("bench: {what}");
            ExitCode::from(2)
        }
    }
}

/// Returns whether all bars are met.
fn run(options: &Options) -> Fallible<bool> {
    // glibc leaves out atomic instructions while a process has one thread only. A
    // program with a thread pool has more, so no contender may profit from this.
    let _second = idle_threads::parked_thread()?;

    let kernels = kernels::load()?;
    let scale = options.scale();
    let peers = Peers::find(&kernels);
    let mut rows = rows::all(&kernels, &peers, scale);
    rows.retain(|row| options.wants(row.id, &row.work));

    if let Some(asked) = &options.memory {
        memory::run_one(&peers, asked)?;
        return Ok(true);
    }
    if let Some(counted) = &options.count {
        instructions::run_counted(&mut rows, counted)?;
        return Ok(true);
    }
    let mut checks = checks::all(scale);
    checks.retain(|check| options.wants(check.id, &check.work));
    if options.list {
        report::list(&rows, &checks);
        return Ok(true);
    }
    if rows.is_empty() && checks.is_empty() {
        return Err("no row or check matches --filter; --list prints the names".into());
    }

    let machine = Machine::look();
    report::machine(&machine);
    let mut record = Record { machine, versions: peers.versions(), ..Record::default() };
    let missing = peers::missing().into_iter().map(|(name, package)| (name.into(), package.into()));
    record.missing = missing.collect();
    report::missing(&record);
    if options.instructions {
        record.instructions = instructions::count(&rows)?;
        report::instructions(&record.instructions);
    } else {
        measure_all(&mut record, &peers, &mut rows, &checks, options)?;
        report::table(&record);
    }
    write(&record, options)?;
    Ok(record.nothing_missed())
}

fn measure_all(
    record: &mut Record,
    peers: &Peers,
    rows: &mut [rows::Row],
    checks: &[checks::Check],
    options: &Options,
) -> Fallible<()> {
    report::method(options);
    let (first, later): (Vec<_>, Vec<_>) = checks.iter().partition(|check| check.first);
    record.checks.extend(first.into_iter().map(compare::check));
    record.memory = memory::records(peers, |id, work| options.wants(id, work))?;
    match stepping::proofs(rows)? {
        Some(proofs) => record.proofs = proofs,
        None => report::no_proofs(),
    }
    let samples = measure::rounds(rows, options)?;
    record.rows = compare::rows(rows, &samples);
    record.points = compare::points(rows, &samples);
    if let Some(path) = &options.java {
        java::add(record, path)?;
    }
    record.checks.extend(later.into_iter().map(compare::check));
    Ok(())
}

fn write(record: &Record, options: &Options) -> Fallible<()> {
    let write = |path: &std::path::Path, text: String| {
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(record).map_err(|error| error.to_string())?;
        write(path, text + "\n")?;
    }
    if let Some(path) = &options.document {
        write(path, document::page(record, options)?)?;
    }
    Ok(())
}
