// SPDX-License-Identifier: MIT OR Apache-2.0
//! A soak test over time: the memory of the process, and the number of live values.

use crate::style::{text, title, write_svg, Area, Drawn, COLOURS, FAINT, GRID, INK, TITLE_HEIGHT};
use crate::table::grouped;
use plotters::prelude::*;
use serde::Deserialize;
use std::path::Path;

const PANEL_HEIGHT: u32 = 280;
const MOST_POINTS: usize = 1500;

/// The parts of a row of the output of `soak --csv` that are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
struct Sample {
    seconds: f64,
    tasks: u64,
    made: u64,
    live: u64,
    stale: u64,
    rss_kib: u64,
    forks: u64,
    reloads: u64,
}

/// The name of a line, and its points in the order of time.
type Series = (&'static str, Vec<(f64, f64)>);

pub fn draw(csv: &Path, svg: &Path) -> Result<(), String> {
    let in_file = |error: &dyn std::fmt::Display| {
        format!("{}: {error}; write it with `soak --csv`", csv.display())
    };
    let rows = csv::Reader::from_path(csv)
        .and_then(|mut reader| reader.deserialize().collect::<Result<Vec<Sample>, _>>())
        .map_err(|error| in_file(&error))?;
    let last = *rows.last().ok_or_else(|| in_file(&"the file has no samples"))?;
    let rows = thinned(&rows);
    let series = |of: fn(&Sample) -> f64| rows.iter().map(|row| (row.seconds, of(row))).collect();
    let memory = ("MiB of resident memory", series(|row| row.rss_kib as f64 / 1024.0));
    let values = ("live values", series(|row| row.live as f64));
    let stale = ("stale values", series(|row| row.stale as f64));
    let line = format!(
        "{} tasks, {} values, {} forks and {} plugin reloads in {:.0} seconds.",
        grouped(last.tasks),
        grouped(last.made),
        grouped(last.forks),
        grouped(last.reloads),
        last.seconds
    );
    write_svg(svg, TITLE_HEIGHT + 2 * PANEL_HEIGHT, |root| {
        let (head, rest) = root.split_vertically(TITLE_HEIGHT);
        let (above, below) = rest.split_vertically(PANEL_HEIGHT);
        title(&head, "The soak test: memory must not grow, and no value may be left", &line)?;
        draw_panel(&[&memory], &above)?;
        draw_panel(&[&values, &stale], &below)
    })
}

/// At most [`MOST_POINTS`] samples and the last one: of each group of neighbours, the one with the most
/// memory.
fn thinned(rows: &[Sample]) -> Vec<Sample> {
    let together = rows.len().div_ceil(MOST_POINTS).max(1);
    let highest = |near: &[Sample]| near.iter().copied().max_by_key(|row| row.rss_kib);
    let (last, before) = rows.split_last().expect("there is a last one");
    before.chunks(together).filter_map(highest).chain([*last]).collect()
}

fn draw_panel(series: &[&Series], area: &Area) -> Drawn {
    let points = || series.iter().flat_map(|(_, points)| points);
    let seconds = points().map(|point| point.0).fold(0.1, f64::max);
    let most = points().map(|point| point.1).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin_left(16)
        .margin_right(28)
        .margin_top(8)
        .x_label_area_size(48)
        .y_label_area_size(84)
        .build_cartesian_2d(0.0..seconds * 1.02, 0.0..most * 1.15)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID)
        .light_line_style(WHITE)
        .axis_style(FAINT)
        .x_desc("seconds since the start")
        .y_desc(series[0].0)
        .axis_desc_style(text(16, INK))
        .label_style(text(14, FAINT))
        .draw()?;
    for (index, (name, points)) in series.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let line = chart.draw_series(LineSeries::new(points.iter().copied(), &colour))?;
        line.label(*name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour));
    }
    if series.len() > 1 {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::MiddleLeft)
            .label_font(text(14, INK))
            .background_style(WHITE)
            .draw()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_highest_memory_and_the_last_sample() {
        let row = |at: usize| Sample {
            seconds: at as f64,
            tasks: 0,
            made: 0,
            live: 0,
            stale: 0,
            rss_kib: if at % 2 == 1 { 9 } else { 1 },
            forks: 0,
            reloads: 0,
        };
        let rows: Vec<Sample> = (0..=2 * MOST_POINTS - 2).map(row).collect();
        let line = thinned(&rows);
        assert!(line.len() <= MOST_POINTS + 1);
        assert_eq!(line.last(), rows.last());
        assert!(line[..line.len() - 1].iter().all(|row| row.rss_kib == 9));
    }
}
