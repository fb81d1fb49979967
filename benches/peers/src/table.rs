//! The measurements: lines of figures, one figure for each contestant, and the targets.

use crate::adapters::{Class, Contestant};

/// The unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds, also shown as micro- and milliseconds.
    Nanoseconds,
    /// Heap bytes.
    Bytes,
    /// Operations a second.
    Rate,
    /// A factor, the less the better.
    Share,
}

/// A target of this crate in a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// At most so much of the best peer's figure.
    OfBest(f64),
    /// At most.
    Most(f64),
}

/// A contestant as the heading of a column.
#[derive(Clone, Debug)]
pub struct Column {
    /// The name of the contestant.
    pub name: String,
    /// The class of the contestant.
    pub class: Class,
}

impl<V> From<&Contestant<V>> for Column {
    fn from(contestant: &Contestant<V>) -> Self {
        let name = match contestant.class {
            Class::Floor => "floor: strings",
            Class::LossyFloor => "floor: fingerprints",
            Class::Ours | Class::Peer | Class::Apart => contestant.name,
        };
        Self { name: name.into(), class: contestant.class }
    }
}

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// The name of the measurement.
    pub what: String,
    /// In what.
    pub unit: Unit,
    /// By column; `None` where a contestant can't do it or was not asked to.
    pub figures: Vec<Option<f64>>,
    /// The targets of the line.
    pub targets: Vec<Target>,
}

/// All lines.
#[derive(Clone, Debug)]
pub struct Table {
    /// The contestants.
    pub columns: Vec<Column>,
    /// The lines.
    pub lines: Vec<Line>,
}

impl Table {
    /// Without lines.
    pub fn new<V>(contestants: &[Contestant<V>]) -> Self {
        Self { columns: contestants.iter().map(Column::from).collect(), lines: Vec::new() }
    }

    fn of(&self, line: &Line, class: Class) -> Option<f64> {
        let column = self.columns.iter().position(|column| column.class == class)?;
        line.figures[column]
    }

    /// The best peer of a line, and its figure.
    pub fn best<'a>(&'a self, line: &Line) -> Option<(&'a str, f64)> {
        let peers = self.columns.iter().zip(&line.figures);
        let peers = peers.filter(|(column, _)| column.class == Class::Peer);
        let figures = peers.filter_map(|(column, figure)| Some((&*column.name, (*figure)?)));
        match line.unit {
            Unit::Rate => figures.max_by(|a, b| a.1.total_cmp(&b.1)),
            Unit::Nanoseconds | Unit::Bytes | Unit::Share => {
                figures.min_by(|a, b| a.1.total_cmp(&b.1))
            }
        }
    }

    /// This crate's figure.
    pub fn ours(&self, line: &Line) -> Option<f64> {
        self.of(line, Class::Ours)
    }

    /// Returns the value of a target in this line, and whether it is met. Returns `None` if its
    /// reference was not measured.
    pub fn judge(&self, line: &Line, target: Target) -> Option<(String, bool)> {
        let ours = self.ours(line)?;
        Some(match target {
            Target::OfBest(most) => {
                let ratio = ours / self.best(line)?.1;
                (format!("≤ {most} of the best: {}", digits(ratio)), ratio <= most)
            }
            Target::Most(most) => (format!("≤ {}", line.unit.write(most)), ours <= most),
        })
    }

    /// The lines with a target alone, as Markdown: this crate, the best peer, and whether the
    /// target is met.
    pub fn summary(&self) -> String {
        let mut text =
            String::from("| | cache-index | best peer | target |\n|---|---:|---:|---|\n");
        for line in self.lines.iter().filter(|line| !line.targets.is_empty()) {
            let Some(ours) = self.ours(line) else { continue };
            let best = self.best(line).map_or_else(String::new, |(name, best)| {
                format!("{} ({name})", line.unit.write(best))
            });
            let (what, ours) = (&line.what, line.unit.write(ours));
            text += &format!("| {what} | {ours} | {best} | {} |\n", self.judgements(line));
        }
        text
    }

    fn judgements(&self, line: &Line) -> String {
        let judged = line.targets.iter().filter_map(|target| self.judge(line, *target));
        let cells =
            judged.map(
                |(what, met)| {
                    if met { format!("{what}, met") } else { format!("**{what}, missed**") }
                },
            );
        cells.collect::<Vec<_>>().join("; ")
    }

    /// All lines as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::from("| |");
        self.columns.iter().for_each(|column| text += &format!(" {} |", column.name));
        text += " ours / best peer | target |\n|---|";
        text += &"---:|".repeat(self.columns.len() + 1);
        text += "---|\n";
        for line in &self.lines {
            text += &format!("| {} |", line.what);
            for figure in &line.figures {
                let cell = figure.map_or_else(|| "-".into(), |figure| line.unit.write(figure));
                text += &format!(" {cell} |");
            }
            let best = self.ours(line).zip(self.best(line));
            let cell = best.map_or_else(String::new, |(ours, (name, best))| {
                format!("{} ({name})", digits(ours / best))
            });
            text += &format!(" {cell} |");
            text += &format!(" {} |\n", self.judgements(line));
        }
        text
    }
}

/// Three digits of a number that may be large or small.
fn digits(number: f64) -> String {
    match number.abs() {
        ..0.001 if number != 0.0 => format!("{number:.5}"),
        ..0.1 => format!("{number:.3}"),
        ..10.0 => format!("{number:.2}"),
        ..100.0 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

impl Unit {
    /// A figure with its unit.
    pub fn write(self, figure: f64) -> String {
        match self {
            Self::Nanoseconds => match figure {
                ..10_000.0 => format!("{} ns", digits(figure)),
                ..10_000_000.0 => format!("{} us", digits(figure / 1e3)),
                ..10_000_000_000.0 => format!("{} ms", digits(figure / 1e6)),
                _ => format!("{} s", digits(figure / 1e9)),
            },
            Self::Bytes => format!("{} B", digits(figure)),
            Self::Rate => format!("{} M/s", digits(figure / 1e6)),
            Self::Share => digits(figure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::contestants;

    /// A line in which this crate has the first figure, the peers the second and following ones,
    /// and the floors none.
    fn table(unit: Unit, figures: &[f64], targets: &[Target]) -> Table {
        let mut table = Table::new(&contestants::<u64>());
        let mut figures: Vec<_> = figures.iter().copied().map(Some).collect();
        figures.resize(table.columns.len(), None);
        let what = "something".into();
        table.lines.push(Line { what, unit, figures, targets: targets.to_vec() });
        table
    }

    #[test]
    fn best_is_the_least_of_times_and_the_most_of_rates() {
        let times = table(Unit::Nanoseconds, &[1.0, 30.0, 20.0, 40.0], &[]);
        assert_eq!(times.best(&times.lines[0]), Some(("dashmap", 20.0)));
        let rates = table(Unit::Rate, &[1.0, 30.0, 20.0, 40.0], &[]);
        assert_eq!(rates.best(&rates.lines[0]), Some(("scc", 40.0)));
    }

    #[test]
    fn quick_cache_is_shown_and_not_compared_with() {
        let mut table = table(Unit::Nanoseconds, &[10.0, 30.0], &[Target::OfBest(0.5)]);
        let quick_cache = table.columns.iter().position(|column| column.name == "quick_cache");
        table.lines[0].figures[quick_cache.unwrap()] = Some(1.0);
        assert_eq!(table.best(&table.lines[0]), Some(("striped RwLock", 30.0)));
        assert!(table.markdown().contains("| 1.00 ns |"), "{}", table.markdown());
    }

    #[test]
    fn targets_are_met_up_to_the_limit_and_missed_beyond() {
        let met = |figures: &[f64], target| {
            let table = table(Unit::Nanoseconds, figures, &[target]);
            table.judge(&table.lines[0], target).map(|(_, met)| met)
        };
        assert_eq!(met(&[10.0, 30.0, 20.0], Target::OfBest(0.5)), Some(true));
        assert_eq!(met(&[10.1, 30.0, 20.0], Target::OfBest(0.5)), Some(false));
        assert_eq!(met(&[10.0], Target::Most(10.0)), Some(true));
        assert_eq!(met(&[10.1], Target::Most(10.0)), Some(false));
        // The reference was not measured.
        assert_eq!(met(&[10.0], Target::OfBest(0.5)), None);
    }

    #[test]
    fn table_shows_every_figure_and_says_which_target_was_missed() {
        let table = table(Unit::Nanoseconds, &[12_345.0, 20_000.0], &[Target::OfBest(0.5)]);
        let text = table.markdown();
        assert!(text.contains("| something | 12.3 us | 20.0 us | - |"), "{text}");
        assert!(
            text.contains("0.62 (striped RwLock) | **≤ 0.5 of the best: 0.62, missed** |"),
            "{text}"
        );
        let widths: Vec<_> = text.lines().map(|line| line.matches('|').count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
    }
}
