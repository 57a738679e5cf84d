//! The SVG: live bytes over time, one line for each run, and below it what came of each.

use crate::run::{Run, Sample};
use crate::table::grouped;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::FontFamily;
use std::fs;
use std::path::Path;

const WIDTH: u32 = 1000;
const TITLE_HEIGHT: u32 = 84;
const CHART_HEIGHT: u32 = 420;
const LEGEND_TOP: i32 = 22;
const LEGEND_ROW: i32 = 46;
const MOST_POINTS: usize = 1500;

const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
const FAINT: RGBColor = RGBColor(0x66, 0x66, 0x66);
const GRID: RGBColor = RGBColor(0xe4, 0xe4, 0xe4);

/// The palette of Okabe and Ito, which colour-blind readers can tell apart.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0x56, 0xb4, 0xe9),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub fn draw(runs: &[Run], path: &Path) -> Result<(), String> {
    let legend_height = (LEGEND_TOP + LEGEND_ROW * runs.len() as i32) as u32;
    let height = TITLE_HEIGHT + CHART_HEIGHT + legend_height + 12;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        draw_all(runs, &root).map_err(|error| format!("cannot draw: {error}"))?;
    }
    fs::write(path, svg).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn draw_all(runs: &[Run], root: &Area) -> Result<(), Box<dyn std::error::Error>> {
    root.fill(&WHITE)?;
    let (title, rest) = root.split_vertically(TITLE_HEIGHT);
    let (chart, legend) = rest.split_vertically(CHART_HEIGHT);
    draw_title(runs, &title)?;
    draw_chart(runs, &chart)?;
    draw_legend(runs, &legend)?;
    root.present()?;
    Ok(())
}

fn text(size: i32, colour: RGBColor) -> TextStyle<'static> {
    (FontFamily::SansSerif, size).into_font().color(&colour)
}

fn draw_title(runs: &[Run], area: &Area) -> Result<(), Box<dyn std::error::Error>> {
    let first = &runs[0].summary;
    let head = (FontFamily::SansSerif, 24, FontStyle::Bold).into_font().color(&INK);
    area.draw(&Text::new(
        "What the threads of a pool still hold for finished documents",
        (24, 18),
        head,
    ))?;
    let line = format!(
        "Scratch buffers alive while {} threads count the words of {} documents; \
         {} KiB for each thread and document. Dot: all documents are finished.",
        first.threads,
        grouped(runs.iter().map(|run| run.summary.documents).max().unwrap_or(0)),
        first.buffer_bytes / 1024
    );
    area.draw(&Text::new(line, (24, 54), text(15, FAINT)))?;
    Ok(())
}

/// At most [`MOST_POINTS`] of them: of neighbours, the one with the most live bytes.
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

fn draw_chart(runs: &[Run], area: &Area) -> Result<(), Box<dyn std::error::Error>> {
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

/// "0.5", "2", "150": no zeros that say nothing.
fn trimmed(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

fn draw_legend(runs: &[Run], area: &Area) -> Result<(), Box<dyn std::error::Error>> {
    for (index, run) in runs.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let top = LEGEND_TOP + LEGEND_ROW * index as i32;
        area.draw(&Rectangle::new([(88, top + 10), (112, top + 16)], colour.filled()))?;
        let name = (FontFamily::SansSerif, 16, FontStyle::Bold).into_font().color(&INK);
        area.draw(&Text::new(title_of(&run.summary.with), (124, top + 4), name))?;
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

/// What came of a run, in one sentence.
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
            "{} of {} buffers left when all was done",
            grouped(summary.alive_when_done),
            grouped(summary.buffers_made)
        )
    }];
    if summary.documents_without_key > 0 {
        parts.push(format!("no key left for {} documents", grouped(summary.documents_without_key)));
    }
    if summary.stale_buffers_reused > 0 {
        parts.push(format!(
            "{} dead documents' buffers reused",
            grouped(summary.stale_buffers_reused)
        ));
    }
    parts.push(if summary.miscounted_documents == 0 {
        "every word counted right".to_string()
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

    #[test]
    fn labels_have_no_trailing_zeros() {
        assert_eq!(trimmed(150.0), "150");
        assert_eq!(trimmed(0.5), "0.5");
        assert_eq!(trimmed(0.0), "0");
    }
}
