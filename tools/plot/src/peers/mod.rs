// SPDX-License-Identifier: MIT OR Apache-2.0
//! Draws the results of this library and of the peers: one picture for each section of the page. Rows that differ
//! only in the number of threads become curves. Every other row becomes a group of bars, one for each contender.

mod bars;
mod curves;

use crate::style::{title, write_svg, Area, Drawn, TITLE_HEIGHT};
use bars::Bars;
use curves::Curves;
use plotters::prelude::RGBColor;
use serde::Deserialize;
use std::fs;
use std::path::Path;

/// The names of this library's contenders begin with this, as in `benches/src/peers.rs`.
const OWN_NAME: &str = "threadlocalmap";

const OURS: RGBColor = RGBColor(0x00, 0x72, 0xb2);
const LIMIT: RGBColor = RGBColor(0xd5, 0x5e, 0x00);

/// The parts of the output of `bench --json` that are drawn.
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
    curve: Option<(String, u32)>,
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

/// A part of a picture.
enum Panel {
    Bars(Bars),
    Curves(Curves),
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
    for row in record.rows {
        if let (Some(title), Some(file)) = (row.section.clone(), row.picture.clone()) {
            of(&mut pictures, file, title).add(row);
        }
    }
    for row in record.memory {
        let bars = Bars::new(row.work, "bytes", row.bytes, Some(row.bar.limit));
        of(&mut pictures, row.picture, row.section).panels.push(Panel::Bars(bars));
    }
    pictures
}

/// Finds the picture of that file, or adds it.
fn of(pictures: &mut Vec<Picture>, file: String, title: String) -> &mut Picture {
    let at = pictures.iter().position(|picture| picture.file == file).unwrap_or(pictures.len());
    if at == pictures.len() {
        pictures.push(Picture { file, title, panels: Vec::new() });
    }
    &mut pictures[at]
}

impl Picture {
    fn add(&mut self, row: RowRecord) {
        let Some((curve, threads)) = row.curve.clone() else {
            return self.panels.push(Panel::Bars(of_row(row)));
        };
        let known = self.panels.iter_mut().find_map(|panel| match panel {
            Panel::Curves(curves) if curves.name == curve => Some(curves),
            _ => None,
        });
        if let Some(curves) = known {
            return add_points(curves, f64::from(threads), row);
        }
        let mut curves = Curves::new(curve);
        add_points(&mut curves, f64::from(threads), row);
        self.panels.push(Panel::Curves(curves));
    }
}

fn add_points(curves: &mut Curves, threads: f64, row: RowRecord) {
    curves.add(&row.us_name, threads, row.us.median);
    for peer in row.peers {
        curves.add(&peer.name, threads, peer.nanoseconds.median);
    }
    if let Some(bar) = row.nanoseconds {
        curves.limits.push((threads, bar.limit));
    }
}

fn of_row(row: RowRecord) -> Bars {
    // A limit on a ratio, times the peer's nanoseconds, is a limit on this library's nanoseconds.
    let against =
        row.peers.iter().find_map(|peer| Some(peer.bar.as_ref()?.limit * peer.nanoseconds.median));
    let limit = row.nanoseconds.map(|bar| bar.limit).or(against);
    let mut bars = vec![(row.us_name, row.us.median)];
    bars.extend(row.peers.into_iter().map(|peer| (peer.name, peer.nanoseconds.median)));
    Bars::new(row.work, "nanoseconds of one operation", bars, limit)
}

impl Panel {
    fn height(&self) -> i32 {
        match self {
            Panel::Bars(bars) => bars.height(),
            Panel::Curves(curves) => curves.height(),
        }
    }
}

fn draw_all(picture: &Picture, root: &Area) -> Drawn {
    let (head, mut rest) = root.split_vertically(TITLE_HEIGHT);
    title(
        &head,
        &picture.title,
        "Lower, or shorter, is better. Blue: this library. Orange: its limit (the bar). Each part has its own scale.",
    )?;
    for panel in &picture.panels {
        let (area, below) = rest.split_vertically(panel.height());
        match panel {
            Panel::Bars(bars) => bars.draw(&area)?,
            Panel::Curves(curves) => curves.draw(&area)?,
        }
        rest = below;
    }
    Ok(())
}

fn is_ours(name: &str) -> bool {
    name.starts_with(OWN_NAME)
}

/// A heading begins with a capital.
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

    fn row(curve: &str, threads: u32, ours: f64) -> RowRecord {
        let text = format!(
            r#"{{"work":"w","us_name":"threadlocalmap","us":{{"median":{ours}}},"section":"s","picture":"p",
            "curve":["{curve}",{threads}],"nanoseconds":{{"limit":7.0}},"peers":[]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn rows_of_one_curve_become_one_panel() {
        let rows = vec![row("a", 10, 1.0), row("a", 100, 2.0), row("b", 10, 3.0)];
        let pictures = pictures(Record { rows, memory: Vec::new() });
        assert_eq!(pictures.len(), 1);
        assert_eq!(pictures[0].panels.len(), 2);
        let Panel::Curves(first) = &pictures[0].panels[0] else { panic!("not a curve") };
        assert_eq!(first.limits, [(10.0, 7.0), (100.0, 7.0)]);
    }
}
