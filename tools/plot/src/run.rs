// SPDX-License-Identifier: MIT OR Apache-2.0
//! One run of `examples/pool`, read from its files and checked.

use serde::Deserialize;
use std::fs;
use std::path::Path;

/// The output of `pool --json`.
#[derive(Debug, Clone, Deserialize)]
pub struct Summary {
    pub with: String,
    pub threads: u64,
    pub documents: u64,
    pub chunks: u64,
    pub words: u64,
    pub true_words: u64,
    pub miscounted_documents: u64,
    pub buffer_bytes: u64,
    pub buffers_made: u64,
    pub buffers_freed: u64,
    pub freed_elsewhere: u64,
    pub peak_alive: u64,
    pub alive_when_done: u64,
    pub alive_at_end: u64,
    pub stale_buffers_reused: u64,
    pub documents_without_key: u64,
    pub peak_slots: Option<u64>,
    pub peak_rss_kib: u64,
    pub stopped_early: bool,
    pub seconds: f64,
}

/// One row of the output of `pool --samples`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Sample {
    pub time_ms: f64,
    pub live_bytes: u64,
}

#[derive(Debug, Clone)]
pub struct Run {
    pub summary: Summary,
    /// In the order of time; empty if they were not requested.
    pub samples: Vec<Sample>,
}

impl Run {
    /// Reads `path`, and its samples from the `.csv` file in the same folder.
    pub fn read(path: &Path, with_samples: bool) -> Result<Run, String> {
        let text = fs::read_to_string(path).map_err(|error| {
            format!("cannot read {}: {error}; write it with `pool --json`", path.display())
        })?;
        let summary = parse_summary(&text)
            .map_err(|error| format!("{}: {error}; write it with `pool --json`", path.display()))?;
        let mut samples = Vec::new();
        if with_samples {
            let path = path.with_extension("csv");
            let text = fs::read_to_string(&path).map_err(|error| {
                format!("cannot read {}: {error}; write it with `pool --samples`", path.display())
            })?;
            samples =
                parse_samples(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(Run { summary, samples })
    }

    pub fn mib(&self, buffers: u64) -> f64 {
        buffers as f64 * self.summary.buffer_bytes as f64 / (1024.0 * 1024.0)
    }
}

fn parse_summary(text: &str) -> Result<Summary, String> {
    let summary: Summary = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if summary.buffers_freed > summary.buffers_made {
        return Err("more buffers freed than made".to_string());
    }
    if !summary.seconds.is_finite() || summary.seconds < 0.0 {
        return Err(format!("{} seconds is not a duration", summary.seconds));
    }
    Ok(summary)
}

fn parse_samples(text: &str) -> Result<Vec<Sample>, String> {
    let mut samples: Vec<Sample> = Vec::new();
    for (index, row) in csv::Reader::from_reader(text.as_bytes()).deserialize().enumerate() {
        let line = index + 2; // the first line is the header
        let sample: Sample = row.map_err(|error| format!("line {line}: {error}"))?;
        let last = samples.last().map_or(0.0, |sample| sample.time_ms);
        if !sample.time_ms.is_finite() || sample.time_ms < last {
            return Err(format!(
                "line {line}: the time {} is before the time {last} of the line above",
                sample.time_ms
            ));
        }
        samples.push(sample);
    }
    if samples.is_empty() {
        return Err("the file has no samples".to_string());
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_in_order() {
        let samples = parse_samples("time_ms,live_bytes\n0.0,0\n5.1,65536\n").unwrap();
        assert_eq!(samples[1], Sample { time_ms: 5.1, live_bytes: 65536 });
    }

    #[test]
    fn samples_that_go_back_in_time_are_refused_with_their_line() {
        let error = parse_samples("time_ms,live_bytes\n5.0,0\n4.0,0\n").unwrap_err();
        assert!(error.starts_with("line 3:"), "{error}");
    }

    #[test]
    fn a_row_that_is_no_number_is_refused_with_its_line() {
        let error = parse_samples("time_ms,live_bytes\n0,0\n1,many\n").unwrap_err();
        assert!(error.starts_with("line 3:"), "{error}");
    }

    #[test]
    fn an_empty_file_is_refused() {
        assert!(parse_samples("time_ms,live_bytes\n").is_err());
        assert!(parse_samples("").is_err());
    }

    #[test]
    fn a_summary_without_a_field_names_the_field() {
        let error = parse_summary("{\"with\": \"tls\"}").unwrap_err();
        assert!(error.contains("threads"), "{error}");
    }
}
