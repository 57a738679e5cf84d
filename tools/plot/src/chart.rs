// SPDX-License-Identifier: MIT OR Apache-2.0
//! The SVG: live bytes over time, one line for each run, and the outcome of each run below.

use crate::run::{Run, Sample};
use crate::style::{
    bold, text, title, trimmed, write_svg, Area, Drawn, COLOURS, FAINT, GRID, INK, TITLE_HEIGHT,
};
use crate::table::grouped;
use plotters::prelude::*;
use std::path::Path;

const CHART_HEIGHT: u32 = 420;
const LEGEND_TOP: i32 = 22;
const LEGEND_ROW: i32 = 46;
const MOST_POINTS: usize = 1500;

pub fn draw(runs: &[Run], path: &Path) -> Result<(), String> {
    let legend_height = (LEGEND_TOP + LEGEND_ROW * runs.len() as i32) as u32;
    let height = TITLE_HEIGHT + CHART_HEIGHT + legend_height + 12;
    write_svg(path, height, |root| draw_all(runs, root))
}

fn draw_all(runs: &[Run], root: &Area) -> Drawn {
    let (title, rest) = root.split_vertically(TITLE_HEIGHT);
    let (chart, legend) = rest.split_vertically(CHART_HEIGHT);
    draw_title(runs, &title)?;
    draw_chart(runs, &chart)?;
    draw_legend(runs, &legend)
}

fn draw_title(runs: &[Run], area: &Area) -> Drawn {
    let first = &runs[0].summary;
    let line = format!(
        "Scratch buffers alive while {} threads count the words of {} documents; \
         {} KiB for each thread and document. Dot: all documents are finished.",
        first.threads,
        grouped(runs.iter().map(|run| run.summary.documents).max().unwrap_or(0)),
        first.buffer_bytes / 1024
    );
    title(area, "What the threads of a pool still hold for finished documents", &line)
}

/// At most [`MOST_POINTS`] samples: of each group of neighbours, the one with the most live bytes.
fn thinned(samples: &[Sample]) -> Vec<Sample> {
    let together = samples.len().div_ceil(MOST_POINTS).max(1);
    samples
        .chunks(together)
        .filter_map(|near| near.iter().copied().max_by_key(|sample| sample.live_bytes))
        .collect()
}

fn point(sample: &Sample) -> (f64, f64) {
    (sample.time_ms / 1000.0, sample.live_bytes as f64 / (1024.0 * 1024.0))
}

fn draw_chart(runs: &[Run], area: &Area) -> Drawn {
    let points = || runs.iter().flat_map(|run| run.samples.iter().map(point));
    let seconds = points().map(|p| p.0).fold(0.01, f64::max);
    let mib = points().map(|p| p.1).fold(0.1, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin_left(16)
        .margin_right(28)
        .margin_top(4)
        .x_label_area_size(48)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..seconds * 1.02, 0.0..mib * 1.06)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID)
        .light_line_style(WHITE)
        .axis_style(FAINT)
        .x_desc("seconds since the start")
        .y_desc("MiB alive")
        .axis_desc_style(text(16, INK))
        .label_style(text(14, FAINT))
        .x_label_formatter(&|x| trimmed(*x))
        .y_label_formatter(&|y| trimmed(*y))
        .draw()?;
    // The first run is drawn last, on top of the others.
    for (index, run) in runs.iter().enumerate().rev() {
        let colour = COLOURS[index % COLOURS.len()];
        let line = thinned(&run.samples);
        chart.draw_series(LineSeries::new(line.iter().map(point), colour.stroke_width(3)))?;
        let done = (run.summary.seconds, run.mib(run.summary.alive_when_done));
        chart.draw_series([Circle::new(done, 6, colour.filled())])?;
    }
    Ok(())
}

fn draw_legend(runs: &[Run], area: &Area) -> Drawn {
    for (index, run) in runs.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let top = LEGEND_TOP + LEGEND_ROW * index as i32;
        area.draw(&Rectangle::new([(88, top + 10), (112, top + 16)], colour.filled()))?;
        area.draw(&Text::new(title_of(&run.summary.with), (124, top + 4), bold(16)))?;
        area.draw(&Text::new(outcome(run), (124, top + 24), text(14, FAINT)))?;
    }
    Ok(())
}

fn title_of(with: &str) -> String {
    match with {
        "tls" => "this library: a key for each document, released with it".to_string(),
        "pthread" => "pthread keys: one for each document, deleted with it".to_string(),
        "pthread-kept" => "pthread keys: one for each document, never deleted".to_string(),
        "thread_local" => {
            "a thread_local table, from the document's address to the buffer".to_string()
        }
        other => other.to_string(),
    }
}

/// The outcome of a run, in one sentence.
fn outcome(run: &Run) -> String {
    let summary = &run.summary;
    let mut parts = vec![if summary.alive_at_end > 0 {
        format!(
            "{} of {} buffers leaked ({} MiB)",
            grouped(summary.alive_at_end),
            grouped(summary.buffers_made),
            grouped(run.mib(summary.alive_at_end).round() as u64)
        )
    } else {
        format!(
            "{} of {} buffers left when all documents were finished",
            grouped(summary.alive_when_done),
            grouped(summary.buffers_made)
        )
    }];
    if summary.documents_without_key > 0 {
        parts.push(format!("no key left for {} documents", grouped(summary.documents_without_key)));
    }
    if summary.stale_buffers_reused > 0 {
        parts.push(format!(
            "{} buffers of dead documents reused",
            grouped(summary.stale_buffers_reused)
        ));
    }
    parts.push(if summary.miscounted_documents == 0 {
        "all words were counted correctly".to_string()
    } else {
        format!("{} documents miscounted", grouped(summary.miscounted_documents))
    });
    if summary.stopped_early {
        parts.push("stopped at its memory limit".to_string());
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_highest_of_neighbours() {
        let samples: Vec<Sample> = (0..MOST_POINTS as u64 * 3)
            .map(|i| Sample { time_ms: i as f64, live_bytes: if i % 3 == 1 { 7 } else { 0 } })
            .collect();
        let line = thinned(&samples);
        assert_eq!(line.len(), MOST_POINTS);
        assert!(line.iter().all(|sample| sample.live_bytes == 7));
    }

    #[test]
    fn short_runs_are_not_thinned() {
        let samples = [Sample { time_ms: 0.0, live_bytes: 1 }; 5];
        assert_eq!(thinned(&samples).len(), 5);
    }
}
