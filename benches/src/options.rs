// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::rows::Scale;

/// Measures threadlocalmap beside its peers, in one run.
#[derive(Parser)]
pub struct Options {
    /// Only rows whose name or text contains this; may be given again
    #[arg(long, value_name = "NAME")]
    pub filter: Vec<String>,
    /// How many rounds; every row is measured once in each
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Fewer and shorter rounds: to see that it works, not to believe the figures
    #[arg(long)]
    quick: bool,
    /// Write everything that was found to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write what was found beside the peers as a page, with `bench.json`'s figures
    #[arg(long, value_name = "FILE")]
    pub document: Option<PathBuf>,
    /// What Peers.java found, for the same rows
    #[arg(long, value_name = "FILE")]
    pub java: Option<PathBuf>,
    /// What the trace of latency found, for the page
    #[arg(long, value_name = "FILE")]
    pub latency: Option<PathBuf>,
    /// Exit with 1 when a bar is missed
    #[arg(long)]
    pub strict: bool,
    /// Count instructions (perf stat, else valgrind) instead of timing
    #[arg(long)]
    pub instructions: bool,
    /// Name the rows and stop
    #[arg(long)]
    pub list: bool,
    /// How this program starts itself under a counter
    #[arg(long, hide = true, num_args = 3, value_names = ["ROW", "SUBJECT", "OPERATIONS"])]
    pub count: Option<Vec<String>>,
    /// How this program asks a fresh heap
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
