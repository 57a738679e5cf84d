// SPDX-License-Identifier: MIT OR Apache-2.0
//! One operation over the number of threads: a line for each contender.

use super::{capital, figure, is_ours, LIMIT, OURS};
use crate::style::{bold, text, Area, Drawn, COLOURS, FAINT, GRID, INK};
use plotters::prelude::*;

const HEADING: i32 = 30;
const CHART: i32 = 270;
const LEGEND_ROW: i32 = 24;
const GAP: i32 = 40;

pub struct Curves {
    pub name: String,
    /// The names, and their points (threads, nanoseconds).
    lines: Vec<(String, Vec<(f64, f64)>)>,
    /// The limits for this library, as points (threads, nanoseconds).
    pub limits: Vec<(f64, f64)>,
}

impl Curves {
    pub fn new(name: String) -> Curves {
        Curves { name, lines: Vec::new(), limits: Vec::new() }
    }

    pub fn add(&mut self, name: &str, threads: f64, nanoseconds: f64) {
        let point = (threads, nanoseconds);
        match self.lines.iter_mut().find(|line| line.0 == name) {
            Some(line) => line.1.push(point),
            None => self.lines.push((name.to_string(), vec![point])),
        }
    }

    pub fn height(&self) -> i32 {
        HEADING + CHART + LEGEND_ROW * (self.lines.len() as i32 + 1) + GAP
    }

    pub fn draw(&self, area: &Area) -> Drawn {
        let heading = format!("{}: nanoseconds for each thread or value", capital(&self.name));
        area.draw(&Text::new(heading, (24, 4), bold(16)))?;
        let (_, below) = area.split_vertically(HEADING);
        let (chart, legend) = below.split_vertically(CHART);
        self.draw_chart(&chart)?;
        self.draw_legend(&legend)
    }

    fn draw_chart(&self, area: &Area) -> Drawn {
        let all = || self.lines.iter().flat_map(|line| &line.1).chain(&self.limits);
        let lowest = all().map(|point| point.1).fold(f64::INFINITY, f64::min);
        let highest = all().map(|point| point.1).fold(lowest, f64::max);
        let range = (lowest / 1.6..highest * 1.6).log_scale();
        let mut chart = ChartBuilder::on(area)
            .margin_left(16)
            .margin_right(40)
            .margin_top(6)
            .x_label_area_size(48)
            .y_label_area_size(64)
            .build_cartesian_2d((8.0..1250.0).log_scale(), range)?;
        chart
            .configure_mesh()
            .bold_line_style(GRID)
            .light_line_style(WHITE)
            .axis_style(FAINT)
            .x_desc("threads that have a value (both axes are logarithmic)")
            .y_desc("nanoseconds")
            .axis_desc_style(text(14, INK))
            .label_style(text(13, FAINT))
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| crate::style::trimmed(*y))
            .draw()?;
        let dashes = self.limits.iter().copied();
        chart.draw_series(DashedLineSeries::new(dashes, 6, 5, LIMIT.stroke_width(2)))?;
        for (index, (name, points)) in self.lines.iter().enumerate() {
            let colour = colour(index, name);
            let points = || points.iter().copied();
            chart.draw_series(LineSeries::new(points(), colour.stroke_width(3)))?;
            chart.draw_series(points().map(|point| Circle::new(point, 4, colour.filled())))?;
        }
        Ok(())
    }

    fn draw_legend(&self, area: &Area) -> Drawn {
        let row = |index: usize, name: &str, points: &[(f64, f64)], colour: RGBColor| -> Drawn {
            let top = 14 + LEGEND_ROW * index as i32;
            let style = if is_ours(name) { bold(14) } else { text(14, INK) };
            area.draw(&Rectangle::new([(88, top + 6), (112, top + 11)], colour.filled()))?;
            area.draw(&Text::new(name.to_string(), (124, top), style))?;
            let found = points.iter().map(|(threads, nanoseconds)| {
                format!("{} ns at {}", figure(*nanoseconds), crate::table::grouped(*threads as u64))
            });
            let found = found.collect::<Vec<_>>().join(", ");
            area.draw(&Text::new(found, (400, top), text(14, FAINT)))?;
            Ok(())
        };
        for (index, (name, points)) in self.lines.iter().enumerate() {
            row(index, name, points, colour(index, name))?;
        }
        row(self.lines.len(), "limit for threadlocalmap (dashed)", &self.limits, LIMIT)
    }
}

/// Blue is for this library, and orange for the limit.
fn colour(index: usize, name: &str) -> RGBColor {
    if is_ours(name) {
        return OURS;
    }
    let others: Vec<RGBColor> =
        COLOURS.into_iter().filter(|&colour| colour != OURS && colour != LIMIT).collect();
    others[index % others.len()]
}
