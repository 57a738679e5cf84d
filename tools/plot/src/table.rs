// SPDX-License-Identifier: MIT OR Apache-2.0
//! The comparison as a plain text table: a row for each number, a column for each run.

use crate::run::Run;

/// 1234567 as "1,234,567".
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

type Measure = (&'static str, fn(&Run) -> String);

const MEASURES: &[Measure] = &[
    ("threads", |run| grouped(run.summary.threads)),
    ("documents", |run| {
        let early = if run.summary.stopped_early { " STOPPED" } else { "" };
        grouped(run.summary.documents) + early
    }),
    ("  without a key", |run| grouped(run.summary.documents_without_key)),
    ("  miscounted", |run| grouped(run.summary.miscounted_documents)),
    ("chunks", |run| grouped(run.summary.chunks)),
    ("words counted", |run| grouped(run.summary.words)),
    ("correct number of words", |run| grouped(run.summary.true_words)),
    ("buffers made", |run| grouped(run.summary.buffers_made)),
    ("  freed", |run| grouped(run.summary.buffers_freed)),
    ("  freed by another thread", |run| grouped(run.summary.freed_elsewhere)),
    ("  of dead documents, reused", |run| grouped(run.summary.stale_buffers_reused)),
    ("  most alive at once", |run| grouped(run.summary.peak_alive)),
    ("  alive when all were finished", |run| grouped(run.summary.alive_when_done)),
    ("  alive after the pool's end", |run| grouped(run.summary.alive_at_end)),
    ("most table slots", |run| run.summary.peak_slots.map_or("-".to_string(), grouped)),
    ("peak RSS, MiB", |run| format!("{:.1}", run.summary.peak_rss_kib as f64 / 1024.0)),
    ("seconds", |run| format!("{:.2}", run.summary.seconds)),
];

pub fn compare(runs: &[Run]) -> String {
    let mut columns: Vec<Vec<String>> = vec![std::iter::once(String::new())
        .chain(MEASURES.iter().map(|m| m.0.to_string()))
        .collect()];
    for run in runs {
        let cells = MEASURES.iter().map(|measure| measure.1(run));
        columns.push(std::iter::once(run.summary.with.clone()).chain(cells).collect());
    }
    let widths: Vec<usize> =
        columns.iter().map(|cells| cells.iter().map(String::len).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for row in 0..=MEASURES.len() {
        let mut line = format!("  {:<width$}", columns[0][row], width = widths[0]);
        for (cells, width) in columns.iter().zip(&widths).skip(1) {
            line += &format!("  {:>width$}", cells[row]);
        }
        out += line.trim_end();
        out.push('\n');
        if row == 0 {
            let total = 2 + widths.iter().sum::<usize>() + 2 * runs.len();
            out += &format!("  {}\n", "-".repeat(total - 2));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1,000");
        assert_eq!(grouped(12_345_678), "12,345,678");
    }
}
