// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compares the runs of `examples/pool`: prints a table, and draws an SVG of the memory of each
//! run's scratch buffers over time. Also draws the results of `make bench` and of `make soak`.

mod chart;
mod peers;
mod run;
mod scale;
mod soak;
mod style;
mod table;

use clap::Parser;
use run::Run;
use std::path::PathBuf;
use std::process::ExitCode;

/// Compares runs of examples/pool.
///
/// RUN.json is a file that `pool --json` wrote. The chart also needs RUN.csv in the same folder,
/// which `pool --samples` wrote.
#[derive(Parser)]
#[command(name = "plot", version)]
struct Arguments {
    /// Write the chart to this file: the live bytes of the runs over time, unless another option
    /// selects another chart.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    /// Draw the cost by the number of threads instead, from the output of `bench --json`.
    #[arg(long, value_name = "BENCH.json", requires = "svg", conflicts_with = "runs")]
    scale: Option<PathBuf>,

    /// Draw the results of this library and of the peers instead, from the output of `bench --json`.
    #[arg(long, value_name = "BENCH.json", requires = "folder", conflicts_with_all = ["runs", "scale", "soak"])]
    peers: Option<PathBuf>,

    /// Write the pictures of --peers to this folder.
    #[arg(long, value_name = "FOLDER", requires = "peers")]
    folder: Option<PathBuf>,

    /// Draw memory and live values over time instead, from the output of `soak --csv`.
    #[arg(long, value_name = "SOAK.csv", requires = "svg", conflicts_with_all = ["runs", "scale"])]
    soak: Option<PathBuf>,

    /// The runs to compare, in this order.
    #[arg(value_name = "RUN.json", required_unless_present_any = ["scale", "soak", "peers"])]
    runs: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match work(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("plot: {message}");
            ExitCode::FAILURE
        }
    }
}

fn work(arguments: &Arguments) -> Result<(), String> {
    if let (Some(record), Some(svg)) = (&arguments.scale, &arguments.svg) {
        return scale::draw(record, svg);
    }
    if let (Some(csv), Some(svg)) = (&arguments.soak, &arguments.svg) {
        return soak::draw(csv, svg);
    }
    if let (Some(record), Some(folder)) = (&arguments.peers, &arguments.folder) {
        return peers::draw(record, folder);
    }
    let mut runs = Vec::new();
    for (done, path) in arguments.runs.iter().enumerate() {
        if done > 0 && done % 16 == 0 {
            eprintln!("plot: read {done} of {} runs", arguments.runs.len());
        }
        runs.push(Run::read(path, arguments.svg.is_some())?);
    }
    print!("{}", table::compare(&runs));
    if let Some(path) = &arguments.svg {
        chart::draw(&runs, path)?;
    }
    Ok(())
}
