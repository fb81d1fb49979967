//! The table's main lines as a picture: a panel for each, a bar for each contestant.

use crate::adapters::Class;
use crate::table::{Line, Table};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::path::Path;

/// The prefixes of the lines that are shown.
const SHOWN: [&str; 8] = [
    "heap bytes per entry, V = u64, 1,",
    "look-up, hit, in a loop, Zipf, 1,",
    "look-up, hit, one at a time, uniform, 1,",
    "insert, fresh paths into presized tables, 1,",
    "purge of 4 variants: the call, 1,",
    "mixed, 1 thread: p99.9, 1,",
    "mixed, 8 threads: p99.9, 1,",
    "insert while 1,000,000 paths become 2,000,000: longest",
];

const PANEL: (u32, u32) = (440, 250);
const ROW: i32 = 22;
const NAMES: i32 = 128;
const LONGEST: f64 = 210.0;

/// Draws the lines of the table that are in `SHOWN`.
///
/// # Errors
/// If the file cannot be written, or there is no line to draw.
pub fn draw(table: &Table, file: &Path) -> Result<(), String> {
    let shown = SHOWN.iter().filter_map(|start| {
        // A run with one size of site shows the lines that it has.
        let general = start.trim_end_matches(" 1,");
        let mut lines = table.lines.iter();
        let exact = lines.find(|line| line.what.starts_with(start));
        exact.or_else(|| table.lines.iter().find(|line| line.what.starts_with(general)))
    });
    let shown: Vec<&Line> = shown.collect();
    if shown.is_empty() {
        return Err("nothing was measured that the chart shows".into());
    }
    let rows = shown.len().div_ceil(2);
    let height = (0..rows).map(|_| PANEL.1).sum();
    let root = SVGBackend::new(file, (PANEL.0 * 2, height)).into_drawing_area();
    let result = (|| {
        root.fill(&WHITE)?;
        let panels = root.split_evenly((rows, 2));
        panels.iter().zip(&shown).try_for_each(|(area, line)| panel(area, table, line))?;
        root.present()
    })();
    result.map_err(|error| format!("{}: {error}", file.display()))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn panel(area: &Area<'_>, table: &Table, line: &Line) -> Drawn {
    area.draw(&Text::new(
        line.what.clone(),
        (14, 12),
        ("sans-serif", 16).into_font().style(FontStyle::Bold),
    ))?;
    let bars = table.columns.iter().zip(&line.figures);
    let bars: Vec<_> = bars.filter_map(|(column, figure)| Some((column, (*figure)?))).collect();
    // A few times the median, so that one long bar does not reduce all others to points.
    let mut sorted: Vec<_> = bars.iter().map(|(_, figure)| *figure).collect();
    sorted.sort_by(f64::total_cmp);
    let end = sorted.last().copied().unwrap_or(1.0).min(sorted[sorted.len() / 2] * 2.5);
    for (row, (column, figure)) in (0..).zip(&bars) {
        let top = 38 + row * ROW;
        #[expect(clippy::cast_possible_truncation, reason = "pixels")]
        let length = (figure.min(end) / end * LONGEST).round() as i32;
        let color = match column.class {
            Class::Ours => RGBColor(0x0b, 0x6e, 0x4f),
            Class::Peer | Class::Apart => RGBColor(0x8d, 0xa0, 0xb8),
            Class::Floor | Class::LossyFloor => RGBColor(0xd9, 0xd3, 0xc2),
        };
        let corners = [(NAMES, top), (NAMES + length.max(1), top + ROW - 6)];
        area.draw(&Rectangle::new(corners, color.filled()))?;
        area.draw(&Text::new(column.name.clone(), (14, top + 2), ("sans-serif", 15.5)))?;
        let cut = if *figure > end { " »" } else { "" };
        let value = format!("{}{cut}", line.unit.write(*figure));
        area.draw(&Text::new(value, (NAMES + length + 6, top + 2), ("sans-serif", 15.5)))?;
    }
    Ok(())
}
