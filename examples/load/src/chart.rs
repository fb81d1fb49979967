//! The chart of the fetches in each second.

use plotters::prelude::*;
use std::path::Path;

/// The fetches of one run.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) color: RGBColor,
    pub(crate) fetches: Vec<u32>,
}

/// The colors of a flush at once, and of flushes over time: stale and live until then.
pub(crate) const COLORS: [RGBColor; 3] =
    [RGBColor(0xb0, 0x3a, 0x2e), RGBColor(0x8d, 0xa0, 0xb8), RGBColor(0x0b, 0x6e, 0x4f)];

pub(crate) fn draw(
    lines: &[Line],
    file: &Path,
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    const LEFT: i32 = 70;
    const BOTTOM: i32 = 300;
    const WIDTH: i32 = 760;
    let most = lines.iter().flat_map(|line| &line.fetches).max();
    let most = f64::from(most.copied().unwrap_or(1).max(1));
    let count = i32::try_from(lines[0].fetches.len()).unwrap_or(1);
    let root = SVGBackend::new(file, (860, 350)).into_drawing_area();
    root.fill(&WHITE)?;
    let title = ("sans-serif", 16).into_font().style(FontStyle::Bold);
    root.draw(&Text::new("fetches from the origin in each second", (14, 12), title))?;
    #[expect(clippy::cast_possible_truncation, reason = "pixels")]
    let y = |fetches: f64| BOTTOM - (fetches / most * 240.0).round() as i32;
    for part in [0.0, 0.5, 1.0] {
        let line = vec![(LEFT, y(most * part)), (LEFT + WIDTH, y(most * part))];
        root.draw(&PathElement::new(line, RGBColor(0xd9, 0xd3, 0xc2)))?;
        let label = format!("{:.0}", most * part);
        root.draw(&Text::new(label, (14, y(most * part) - 8), ("sans-serif", 15)))?;
    }
    for second in (0..count).step_by(10) {
        let x = LEFT + second * WIDTH / count;
        root.draw(&Text::new(format!("{second} s"), (x, BOTTOM + 8), ("sans-serif", 15)))?;
    }
    for (row, line) in (0..).zip(lines) {
        let points = (0..).zip(&line.fetches);
        let points =
            points.map(|(second, &count_of)| (LEFT + second * WIDTH / count, y(count_of.into())));
        root.draw(&PathElement::new(points.collect::<Vec<_>>(), line.color.stroke_width(2)))?;
        let top = 50 + row * 22;
        root.draw(&Rectangle::new([(520, top), (540, top + 12)], line.color.filled()))?;
        root.draw(&Text::new(line.name, (548, top), ("sans-serif", 15)))?;
    }
    root.present()
}
