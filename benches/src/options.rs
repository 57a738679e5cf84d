// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::rows::Scale;

/// Measures threadlocalmap and comparable libraries in one run.
#[derive(Parser)]
pub struct Options {
    /// Measure only rows whose name or text contains NAME; may be repeated
    #[arg(long, value_name = "NAME")]
    pub filter: Vec<String>,
    /// The number of rounds; most rows are measured once in each
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Run few, short rounds: a test that everything works, whose results are not reliable
    #[arg(long)]
    quick: bool,
    /// Write all results to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the page (docs/benchmarks.md) to this file
    #[arg(long, value_name = "FILE")]
    pub document: Option<PathBuf>,
    /// Read the results of Peers.java from this file
    #[arg(long, value_name = "FILE")]
    pub java: Option<PathBuf>,
    /// Read the results of `make latency` from this file, for the page
    #[arg(long, value_name = "FILE")]
    pub latency: Option<PathBuf>,
    /// Exit with 1 if a bar is missed
    #[arg(long)]
    pub strict: bool,
    /// Count instructions (with perf stat or valgrind), and measure no time
    #[arg(long)]
    pub instructions: bool,
    /// Print the names of all rows and checks, and exit
    #[arg(long)]
    pub list: bool,
    /// For this program itself: the run of one contender whose instructions are counted
    #[arg(long, hide = true, num_args = 3, value_names = ["ROW", "CONTENDER", "OPERATIONS"])]
    pub count: Option<Vec<String>>,
    /// For this program itself: the measurement of memory in a separate process
    #[arg(long, hide = true, num_args = 2, value_names = ["ROW", "PEER"])]
    pub memory: Option<Vec<String>>,
}

impl Options {
    pub fn wants(&self, id: &str, work: &str) -> bool {
        self.filter.is_empty()
            || self.filter.iter().any(|part| id.contains(part) || work.contains(part))
    }

    pub fn rounds(&self) -> u32 {
        if self.quick {
            self.rounds.min(9)
        } else {
            self.rounds
        }
    }

    pub fn scale(&self) -> Scale {
        Scale { quick: self.quick }
    }

    /// How long one contender runs in one round.
    pub fn batch_nanoseconds(&self) -> f64 {
        if self.quick {
            0.5e6
        } else {
            2.5e6
        }
    }
}
