// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cost of calls by the number of other threads: one line for each call.

use crate::style::{
    bold, text, title, write_svg, Area, Drawn, COLOURS, FAINT, GRID, INK, TITLE_HEIGHT,
};
use plotters::prelude::*;
use serde::Deserialize;
use std::fs;
use std::path::Path;

const CHART_HEIGHT: u32 = 460;
const LEGEND_ROW: i32 = 26;

/// The parts of the output of `bench --json` that are drawn.
#[derive(Debug, Deserialize)]
struct Record {
    points: Vec<Point>,
}

#[derive(Debug, Deserialize)]
struct Point {
    line: String,
    threads: u32,
    nanoseconds: Spread,
}

#[derive(Debug, Deserialize)]
struct Spread {
    median: f64,
}

/// A call, and (threads, nanoseconds) in the order of the threads.
#[derive(Debug, PartialEq)]
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

pub fn draw(record: &Path, svg: &Path) -> Result<(), String> {
    let in_file = |error: &dyn std::fmt::Display| {
        format!("{}: {error}; write it with `bench --json`", record.display())
    };
    let text = fs::read_to_string(record).map_err(|error| in_file(&error))?;
    let record: Record = serde_json::from_str(&text).map_err(|error| in_file(&error))?;
    let lines = lines(record.points);
    if lines.is_empty() {
        return Err(in_file(&"it has no rows about the number of threads (run bench with --filter release --filter idle)"));
    }
    let height = TITLE_HEIGHT + CHART_HEIGHT + LEGEND_ROW as u32 * lines.len() as u32 + 24;
    write_svg(svg, height, |root| draw_all(&lines, root))
}

/// Joins the points of each name. The point without other threads is at 1, because the axis is
/// logarithmic. If two rows have a point with the same number of threads, their mean is used.
fn lines(points: Vec<Point>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for point in points.iter().filter(|point| point.nanoseconds.median > 0.0) {
        let at = (f64::from(point.threads.max(1)), point.nanoseconds.median);
        match lines.iter_mut().find(|line| line.name == point.line) {
            Some(line) => line.points.push(at),
            None => lines.push(Line { name: point.line.clone(), points: vec![at] }),
        }
    }
    for line in &mut lines {
        line.points.sort_by(|one, other| one.0.total_cmp(&other.0));
        let together = line.points.chunk_by(|one, other| one.0 == other.0);
        line.points = together
            .map(|same| {
                (same[0].0, same.iter().map(|point| point.1).sum::<f64>() / same.len() as f64)
            })
            .collect();
    }
    lines
}

fn draw_all(lines: &[Line], root: &Area) -> Drawn {
    let (head, rest) = root.split_vertically(TITLE_HEIGHT);
    let (chart, legend) = rest.split_vertically(CHART_HEIGHT);
    title(
        &head,
        "The cost of a call by the number of other threads",
        "Both axes are logarithmic. A horizontal line means that the cost does not depend on the number of threads.",
    )?;
    draw_chart(lines, &chart)?;
    draw_legend(lines, &legend)
}

fn draw_chart(lines: &[Line], area: &Area) -> Drawn {
    let points = || lines.iter().flat_map(|line| &line.points);
    let threads = points().map(|point| point.0).fold(10.0, f64::max);
    let lowest = points().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let highest = points().map(|point| point.1).fold(lowest, f64::max);
    let range = (lowest / 2.0..highest * 2.0).log_scale();
    let mut chart = ChartBuilder::on(area)
        .margin_left(16)
        .margin_right(28)
        .margin_top(4)
        .x_label_area_size(48)
        .y_label_area_size(84)
        .build_cartesian_2d((0.8..threads * 1.3).log_scale(), range)?;
    chart
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(WHITE)
        .axis_style(FAINT)
        .x_desc("attached threads, without the one that makes the call (1: none)")
        .y_desc("nanoseconds of one call")
        .axis_desc_style(text(16, INK))
        .label_style(text(14, FAINT))
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .draw()?;
    for (index, line) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let points = || line.points.iter().copied();
        chart.draw_series(LineSeries::new(points(), colour.stroke_width(3)))?;
        chart.draw_series(points().map(|point| Circle::new(point, 5, colour.filled())))?;
    }
    Ok(())
}

fn draw_legend(lines: &[Line], area: &Area) -> Drawn {
    for (index, line) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let top = 8 + LEGEND_ROW * index as i32;
        area.draw(&Rectangle::new([(100, top + 7), (124, top + 13)], colour.filled()))?;
        area.draw(&Text::new(line.name.clone(), (136, top), bold(16)))?;
        let found: Vec<String> = line
            .points
            .iter()
            .map(|(threads, nanoseconds)| format!("{nanoseconds:.0} ns at {threads:.0}"))
            .collect();
        area.draw(&Text::new(found.join(", "), (470, top), text(14, FAINT)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(line: &str, threads: u32, median: f64) -> Point {
        Point { line: line.to_string(), threads, nanoseconds: Spread { median } }
    }

    #[test]
    fn points_of_one_name_are_joined_in_the_order_of_the_threads() {
        let joined = lines(vec![point("a", 100, 7.0), point("b", 10, 1.0), point("a", 10, 5.0)]);
        assert_eq!(
            joined[0],
            Line { name: "a".to_string(), points: vec![(10.0, 5.0), (100.0, 7.0)] }
        );
        assert_eq!(joined.len(), 2);
    }

    #[test]
    fn equal_numbers_of_threads_are_averaged_and_no_thread_is_at_one() {
        let joined = lines(vec![point("a", 0, 4.0), point("a", 0, 6.0)]);
        assert_eq!(joined[0].points, [(1.0, 5.0)]);
    }
}
