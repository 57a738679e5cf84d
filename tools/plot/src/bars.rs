//! What the benchmark found beside the peers: one picture for each section of the page, and in it for each
//! row a bar for each of those who were measured. The shortest is the best.

use crate::style::{
    bold, text, title, write_svg, Area, Drawn, FAINT, GRID, INK, TITLE_HEIGHT, WIDTH,
};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde::Deserialize;
use std::fs;
use std::path::Path;

const BAR: i32 = 15;
const STEP: i32 = 21;
const HEADING: i32 = 34;
const GAP: i32 = 22;
/// Where the bars begin, and how long the longest is.
const LEFT: i32 = 290;
const LENGTH: i32 = 540;

const OURS: RGBColor = RGBColor(0x00, 0x72, 0xb2);
const OTHERS: RGBColor = RGBColor(0xb4, 0xb4, 0xb4);
const BAR_MARK: RGBColor = RGBColor(0xd5, 0x5e, 0x00);

/// What `bench --json` writes, as far as it is drawn.
#[derive(Deserialize)]
struct Record {
    rows: Vec<RowRecord>,
    memory: Vec<MemoryRecord>,
}

#[derive(Deserialize)]
struct RowRecord {
    work: String,
    us_name: String,
    us: Spread,
    section: Option<String>,
    picture: Option<String>,
    nanoseconds: Option<Limit>,
    peers: Vec<Peer>,
}

#[derive(Deserialize)]
struct Peer {
    name: String,
    nanoseconds: Spread,
    bar: Option<Limit>,
}

#[derive(Deserialize)]
struct MemoryRecord {
    work: String,
    section: String,
    picture: String,
    bar: Limit,
    bytes: Vec<(String, f64)>,
}

#[derive(Deserialize)]
struct Spread {
    median: f64,
}

#[derive(Deserialize)]
struct Limit {
    limit: f64,
}

/// One row, ready to be drawn.
struct Panel {
    work: String,
    unit: &'static str,
    bars: Vec<(String, f64)>,
    /// What ours may take, in the same unit.
    limit: Option<f64>,
}

struct Picture {
    file: String,
    title: String,
    panels: Vec<Panel>,
}

pub fn draw(record: &Path, folder: &Path) -> Result<(), String> {
    let in_file = |error: &dyn std::fmt::Display| {
        format!("{}: {error}; write it with `bench --json`", record.display())
    };
    let text = fs::read_to_string(record).map_err(|error| in_file(&error))?;
    let record: Record = serde_json::from_str(&text).map_err(|error| in_file(&error))?;
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for picture in pictures(record) {
        let height: i32 = picture.panels.iter().map(Panel::height).sum();
        let height = TITLE_HEIGHT + height as u32 + 12;
        let path = folder.join(format!("{}.svg", picture.file));
        write_svg(&path, height, |root| draw_all(&picture, root))?;
    }
    Ok(())
}

/// The rows that have a section, in their order.
fn pictures(record: Record) -> Vec<Picture> {
    let mut pictures: Vec<Picture> = Vec::new();
    let mut add = |file: String, title: String, panel: Panel| match pictures
        .iter_mut()
        .find(|picture| picture.file == file)
    {
        Some(picture) => picture.panels.push(panel),
        None => pictures.push(Picture { file, title, panels: vec![panel] }),
    };
    for row in record.rows {
        if let (Some(title), Some(file)) = (row.section.clone(), row.picture.clone()) {
            add(file, title, of_row(row));
        }
    }
    for row in record.memory {
        let (work, limit) = (row.work, Some(row.bar.limit));
        let panel = Panel { work, unit: "bytes", bars: row.bytes, limit };
        add(row.picture, row.section, panel);
    }
    pictures
}

fn of_row(row: RowRecord) -> Panel {
    // A bar on a ratio is one on ours, times what the peer took.
    let against =
        row.peers.iter().find_map(|peer| Some((peer.bar.as_ref()?.limit, peer.nanoseconds.median)));
    let limit =
        row.nanoseconds.map(|bar| bar.limit).or(against.map(|(ratio, taken)| ratio * taken));
    let peers = row.peers.into_iter().map(|peer| (peer.name, peer.nanoseconds.median));
    let mut bars = vec![(row.us_name, row.us.median)];
    bars.extend(peers);
    bars.sort_by(|one, other| one.1.total_cmp(&other.1));
    Panel { work: row.work, unit: "ns", bars, limit }
}

impl Panel {
    fn height(&self) -> i32 {
        HEADING + STEP * self.bars.len() as i32 + GAP
    }

    /// What the longest bar stands for. One that is far longer than all others is cut off, or the others could
    /// not be told apart.
    fn longest(&self) -> f64 {
        let mut sorted: Vec<f64> = self.bars.iter().map(|bar| bar.1).collect();
        sorted.sort_by(f64::total_cmp);
        let longest = sorted.last().copied().unwrap_or(1.0);
        let ours =
            self.bars.iter().filter(|bar| is_ours(&bar.0)).map(|bar| bar.1).fold(0.0, f64::max);
        let most = (sorted[sorted.len() / 2] * 6.0).max(ours * 1.3).max(self.limit.unwrap_or(0.0));
        longest.max(self.limit.unwrap_or(0.0)).min(most)
    }
}

fn is_ours(name: &str) -> bool {
    name.starts_with("ours")
}

fn draw_all(picture: &Picture, root: &Area) -> Drawn {
    let (head, rest) = root.split_vertically(TITLE_HEIGHT);
    title(
        &head,
        &picture.title,
        "Shorter is better. Blue: this library. The orange line: the design's bar on it. Each row has a scale of its own.",
    )?;
    let mut top = 0;
    for panel in &picture.panels {
        draw_panel(panel, &rest, top)?;
        top += panel.height();
    }
    Ok(())
}

fn draw_panel(panel: &Panel, area: &Area, top: i32) -> Drawn {
    area.draw(&Text::new(capital(&panel.work), (24, top + 4), bold(16)))?;
    let right = Pos::new(HPos::Right, VPos::Top);
    let unit = match panel.unit {
        "ns" => "nanoseconds of one operation",
        other => other,
    };
    area.draw(&Text::new(unit, (WIDTH as i32 - 28, top + 6), text(13, FAINT).pos(right)))?;
    let first = top + HEADING;
    let bottom = first + STEP * panel.bars.len() as i32;
    area.draw(&PathElement::new([(LEFT, first - 4), (LEFT, bottom)], GRID))?;
    let longest = panel.longest();
    let pixels = |value: f64| (value / longest * f64::from(LENGTH)).round() as i32;
    for (index, (name, value)) in panel.bars.iter().enumerate() {
        let y = first + STEP * index as i32;
        let (colour, label) =
            if is_ours(name) { (OURS, bold(13)) } else { (OTHERS, text(13, INK)) };
        area.draw(&Text::new(name.clone(), (LEFT - 10, y), label.clone().pos(right)))?;
        let end = LEFT + pixels(value.min(longest)).max(1);
        area.draw(&Rectangle::new([(LEFT, y), (end, y + BAR)], colour.filled()))?;
        if *value > longest {
            // White strokes over the end: the bar goes on.
            for left in [end - 24, end - 17] {
                area.draw(&Polygon::new(
                    [(left, y + BAR), (left + 6, y), (left + 9, y), (left + 3, y + BAR)],
                    WHITE.filled(),
                ))?;
            }
        }
        area.draw(&Text::new(figure(*value), (end + 8, y), label))?;
    }
    if let Some(limit) = panel.limit {
        let x = LEFT + pixels(limit);
        area.draw(&PathElement::new([(x, first - 4), (x, bottom)], BAR_MARK.stroke_width(2)))?;
    }
    Ok(())
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// 0.56, 12.3, 176, 47,800.
fn figure(value: f64) -> String {
    match value {
        _ if value < 10.0 => format!("{value:.2}"),
        _ if value < 100.0 => format!("{value:.1}"),
        _ => crate::table::grouped(value.round() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(values: &[(&str, f64)], limit: Option<f64>) -> Panel {
        let bars = values.iter().map(|(name, value)| (name.to_string(), *value)).collect();
        Panel { work: String::new(), unit: "ns", bars, limit }
    }

    #[test]
    fn one_that_is_far_slower_is_cut_off() {
        let cut = panel(&[("ours", 1.0), ("a", 2.0), ("b", 1000.0)], None);
        assert_eq!(cut.longest(), 12.0);
    }

    #[test]
    fn ours_is_never_cut_off() {
        let slow = panel(&[("a", 1.0), ("b", 1.0), ("ours", 100.0)], None);
        assert_eq!(slow.longest(), 100.0);
    }

    #[test]
    fn a_bar_on_a_ratio_is_drawn_where_the_peer_would_just_meet_it() {
        let text = r#"{"work":"w","us_name":"ours","us":{"median":3.0},"section":"s","picture":"p","nanoseconds":null,
            "peers":[{"name":"pthread","nanoseconds":{"median":4.0},"bar":{"limit":0.5}}]}"#;
        let panel = of_row(serde_json::from_str(text).unwrap());
        assert_eq!(panel.limit, Some(2.0));
        assert_eq!(panel.bars[0].0, "ours");
    }
}
