// SPDX-License-Identifier: MIT OR Apache-2.0
//! One row: a bar for each contender, the shortest one first.

use super::{capital, figure, is_ours, LIMIT, OURS};
use crate::style::{bold, text, Area, Drawn, FAINT, GRID, INK, WIDTH};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

const BAR: i32 = 15;
const STEP: i32 = 21;
const HEADING: i32 = 34;
const GAP: i32 = 22;
/// Where the bars begin, and how long the longest is.
const LEFT: i32 = 290;
const LENGTH: i32 = 540;

const OTHERS: RGBColor = RGBColor(0xb4, 0xb4, 0xb4);

pub struct Bars {
    work: String,
    unit: &'static str,
    bars: Vec<(String, f64)>,
    /// The name of the bar that has a limit, and the limit.
    limit: Option<(String, f64)>,
}

impl Bars {
    /// The first of the bars is this library's; the limit is for it.
    pub fn new(
        work: String,
        unit: &'static str,
        mut bars: Vec<(String, f64)>,
        limit: Option<f64>,
    ) -> Bars {
        let limit = limit.map(|limit| (bars[0].0.clone(), limit));
        bars.sort_by(|one, other| one.1.total_cmp(&other.1));
        Bars { work, unit, bars, limit }
    }

    pub fn height(&self) -> i32 {
        HEADING + STEP * self.bars.len() as i32 + GAP
    }

    fn limit(&self) -> f64 {
        self.limit.as_ref().map_or(0.0, |limit| limit.1)
    }

    /// The value of a bar of full length. A bar that is far longer than all others is cut off, because the
    /// others would be too short to compare.
    fn longest(&self) -> f64 {
        let mut sorted: Vec<f64> = self.bars.iter().map(|bar| bar.1).collect();
        sorted.sort_by(f64::total_cmp);
        let longest = sorted.last().copied().unwrap_or(1.0);
        let ours =
            self.bars.iter().filter(|bar| is_ours(&bar.0)).map(|bar| bar.1).fold(0.0, f64::max);
        let most = (sorted[sorted.len() / 2] * 6.0).max(ours * 1.3).max(self.limit());
        longest.max(self.limit()).min(most)
    }

    pub fn draw(&self, area: &Area) -> Drawn {
        area.draw(&Text::new(capital(&self.work), (24, 4), bold(16)))?;
        let right = Pos::new(HPos::Right, VPos::Top);
        area.draw(&Text::new(self.unit, (WIDTH as i32 - 28, 6), text(13, FAINT).pos(right)))?;
        let bottom = HEADING + STEP * self.bars.len() as i32;
        area.draw(&PathElement::new([(LEFT, HEADING - 4), (LEFT, bottom)], GRID))?;
        for (index, (name, value)) in self.bars.iter().enumerate() {
            self.draw_bar(area, HEADING + STEP * index as i32, name, *value)?;
        }
        Ok(())
    }

    fn draw_bar(&self, area: &Area, y: i32, name: &str, value: f64) -> Drawn {
        let longest = self.longest();
        let pixels = |value: f64| (value / longest * f64::from(LENGTH)).round() as i32;
        let (colour, label) =
            if is_ours(name) { (OURS, bold(13)) } else { (OTHERS, text(13, INK)) };
        let right = Pos::new(HPos::Right, VPos::Top);
        area.draw(&Text::new(name.to_string(), (LEFT - 10, y), label.clone().pos(right)))?;
        let end = LEFT + pixels(value.min(longest)).max(1);
        area.draw(&Rectangle::new([(LEFT, y), (end, y + BAR)], colour.filled()))?;
        if value > longest {
            // White strokes near the end show that the bar is cut off.
            for left in [end - 24, end - 17] {
                let stroke = [(left, y + BAR), (left + 6, y), (left + 9, y), (left + 3, y + BAR)];
                area.draw(&Polygon::new(stroke, WHITE.filled()))?;
            }
        }
        let mut beside = end + 8;
        if let Some((_, limit)) = self.limit.as_ref().filter(|limit| limit.0 == name) {
            let x = LEFT + pixels(*limit);
            let mark = [(x - 1, y - 3), (x + 2, y + BAR + 3)];
            area.draw(&Rectangle::new(mark, LIMIT.filled()))?;
            // The number must not overlap the mark.
            if x + 8 > beside && x < beside + 60 {
                beside = x + 8;
            }
        }
        area.draw(&Text::new(figure(value), (beside, y), label))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn longest(values: &[(&str, f64)]) -> f64 {
        let bars = values.iter().map(|(name, value)| (name.to_string(), *value)).collect();
        Bars::new(String::new(), "ns", bars, None).longest()
    }

    #[test]
    fn a_bar_that_is_far_longer_is_cut_off() {
        assert_eq!(longest(&[("threadlocalmap", 1.0), ("a", 2.0), ("b", 1000.0)]), 12.0);
    }

    #[test]
    fn this_librarys_bar_is_never_cut_off() {
        assert_eq!(longest(&[("threadlocalmap", 100.0), ("a", 1.0), ("b", 1.0)]), 100.0);
    }
}
