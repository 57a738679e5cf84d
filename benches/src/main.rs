//! threadlocalmap beside its peers, in one run, against the bars of its design.
//!
//! How it hangs together: a *contender* (`contenders`) is one piece of work that
//! can be repeated: ours or a peer's. A *row* (`rows`) is one of ours, the
//! peers beside it, and what is asked of the ratio. `measure` runs all rows in
//! interleaved rounds, `statistics` takes medians, `compare` holds them against
//! the bars, `report` prints. A *check* (`checks`) is a promise that is
//! checked and not timed. `instructions` counts instead of timing, for
//! machines that are too busy for nanoseconds. `README.md` says how to read
//! the result.

mod checks;
mod compare;
mod contenders;
mod idle_threads;
mod instructions;
mod kernels;
mod library;
mod machine;
mod measure;
mod options;
mod report;
mod rows;
mod statistics;

use std::process::ExitCode;

use clap::Parser;

use crate::compare::Record;
use crate::machine::Machine;
use crate::options::Options;

/// What went wrong, for a person.
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

/// True when nothing that was asked for missed its bar.
fn run(options: &Options) -> Fallible<bool> {
    // glibc leaves out atomic instructions while a process has one thread
    // only. No thread pool has; so neither side may profit.
    let _second = idle_threads::parked_thread()?;

    let kernels = kernels::load()?;
    let scale = options.scale();
    let mut rows = rows::all(&kernels, scale);
    rows.retain(|row| options.wants(row.id, &row.work));

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
        return Err("no row has such a name; --list shows them all".into());
    }

    let machine = Machine::look();
    report::machine(&machine);
    let mut record = Record { machine, ..Record::default() };
    if options.instructions {
        record.instructions = instructions::count(&rows)?;
        report::instructions(&record.instructions);
    } else {
        report::method(options);
        let (first, later): (Vec<_>, Vec<_>) = checks.iter().partition(|check| check.first);
        record.checks.extend(first.into_iter().map(compare::check));
        let samples = measure::rounds(&mut rows, options)?;
        record.rows = compare::rows(&rows, &samples);
        record.points = compare::points(&rows, &samples);
        record.checks.extend(later.into_iter().map(compare::check));
        report::table(&record);
    }
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&record).map_err(|error| error.to_string())?;
        std::fs::write(path, text + "\n")
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(record.nothing_missed())
}
