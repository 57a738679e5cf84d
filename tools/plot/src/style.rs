// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shared by all charts: colours, texts, and writing the file.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::FontFamily;
use std::fs;
use std::path::Path;

pub const WIDTH: u32 = 1000;
pub const TITLE_HEIGHT: u32 = 84;

pub const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
pub const FAINT: RGBColor = RGBColor(0x66, 0x66, 0x66);
pub const GRID: RGBColor = RGBColor(0xe4, 0xe4, 0xe4);

/// The palette of Okabe and Ito, which colour-blind readers can tell apart.
pub const COLOURS: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0x56, 0xb4, 0xe9),
];

pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub type Drawn = Result<(), Box<dyn std::error::Error>>;

pub fn text(size: i32, colour: RGBColor) -> TextStyle<'static> {
    (FontFamily::SansSerif, size).into_font().color(&colour)
}

pub fn bold(size: i32) -> TextStyle<'static> {
    (FontFamily::SansSerif, size, FontStyle::Bold).into_font().color(&INK)
}

/// A heading, and a line below it.
pub fn title(area: &Area, head: &str, line: &str) -> Drawn {
    area.draw(&Text::new(head.to_string(), (24, 18), bold(24)))?;
    area.draw(&Text::new(line.to_string(), (24, 54), text(15, FAINT)))?;
    Ok(())
}

/// Draws on a white background, and writes the file when everything is drawn.
pub fn write_svg(
    path: &Path,
    height: u32,
    draw: impl FnOnce(&Area) -> Drawn,
) -> Result<(), String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        let drawn = || -> Drawn {
            root.fill(&WHITE)?;
            draw(&root)?;
            root.present()?;
            Ok(())
        };
        drawn().map_err(|error| format!("cannot draw: {error}"))?;
    }
    fs::write(path, svg).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// "0.5", "2", "150": without trailing zeros.
pub fn trimmed(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

#[cfg(test)]
mod tests {
    use super::trimmed;

    #[test]
    fn labels_have_no_trailing_zeros() {
        assert_eq!(trimmed(150.0), "150");
        assert_eq!(trimmed(0.5), "0.5");
        assert_eq!(trimmed(0.0), "0");
    }
}
