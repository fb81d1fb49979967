//! The result of a replay, as text for people and as JSON for machines.
//!
//! Invariant: lines = requests + purges + passed over + unreadable, so that a reader can add them
//! up.

use super::merge::Entry;
use super::reason::Reason;
use serde::Serialize;
use std::fmt::{self, Display, Write};
use streams::visible;

/// How much of a line is shown as an example.
const SHOWN: usize = 120;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) lines: Lines,
    pub(crate) counted: Counted,
    pub(crate) rate: Option<Rate>,
    pub(crate) requests: Requests,
    pub(crate) pictures: Pictures,
    pub(crate) memory: Memory,
    pub(crate) purges: Option<Purges>,
    /// Remarks about the logs, and about the reading of their lines.
    pub(crate) notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Lines {
    pub(crate) count: u64,
    pub(crate) passed_over: Vec<Example>,
    pub(crate) unreadable: Vec<Example>,
    /// Why the first log that was not read to its end was not.
    pub(crate) ended_early: Option<String>,
    /// The same for each log.
    pub(crate) failures: Vec<String>,
    pub(crate) time_goes_back: Option<BackInTime>,
}

/// How far lines are out of order.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct BackInTime {
    /// At most, behind the latest line before.
    pub(crate) seconds: u64,
    pub(crate) lines: u64,
    pub(crate) first: Place,
}

/// The lines that count as pictures.
#[derive(Debug, Serialize)]
pub(crate) struct Counted {
    pub(crate) as_pictures: &'static str,
    /// Requests for names without the ending of a picture, such as `.jpg`.
    pub(crate) requests_of_other_names: u64,
}

/// Where a line stands.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Place {
    /// Counted from 1, through all logs in the order in which they were read.
    pub(crate) line: u64,
    /// The log, if there are several, and the line in it.
    log: Option<String>,
    line_in_log: Option<u64>,
}

/// Lines that were left out for one reason, with the first of them.
#[derive(Debug, Serialize)]
pub(crate) struct Example {
    pub(crate) reason: String,
    pub(crate) count: u64,
    #[serde(flatten)]
    place: Place,
    text: String,
    detail: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Rate {
    pub(crate) first: String,
    pub(crate) last: String,
    pub(crate) mean_per_second: f64,
    pub(crate) busiest_second: String,
    pub(crate) most_per_second: u64,
    pub(crate) replayed_lines_per_second: f64,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Requests {
    pub(crate) count: u64,
    pub(crate) hits: u64,
    pub(crate) hits_without_rules: u64,
    /// Hits among these on entries that had been purged under another spelling.
    pub(crate) old_without_rules: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Pictures {
    pub(crate) count: u64,
    pub(crate) variants: u64,
    pub(crate) median: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
    pub(crate) worst: Vec<(String, u64)>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Memory {
    pub(crate) most_entries: u64,
    /// Heap of the index when it held the most.
    pub(crate) bytes: u64,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Purges {
    pub(crate) count: u64,
    pub(crate) matched_nothing: u64,
    pub(crate) removed: u64,
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) max_ns: u64,
}

impl Place {
    pub(crate) fn new(line: u64, entry: Entry<'_>) -> Self {
        let log = entry.log.map(|log| visible(&log.display().to_string()));
        Self { line, line_in_log: log.is_some().then_some(entry.number), log }
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.log, self.line_in_log) {
            (Some(log), Some(line)) => write!(f, "{log}, line {line}"),
            _ => write!(f, "line {}", self.line),
        }
    }
}

impl Example {
    pub(crate) fn new(reason: Reason, place: Place, text: &[u8], detail: Option<String>) -> Self {
        let whole = String::from_utf8_lossy(&text[..text.len().min(4 * SHOWN)]);
        let shown: String = whole.chars().take(SHOWN).collect();
        let more = if whole.chars().count() > SHOWN { "..." } else { "" };
        let text = visible(&shown) + more;
        let details: Vec<_> = detail.into_iter().chain(reason.hint().map(Into::into)).collect();
        let detail = (!details.is_empty()).then(|| details.join("; "));
        Self { reason: reason.to_string(), count: 0, place, text, detail }
    }
}

/// A quotient of counts.
#[expect(clippy::cast_precision_loss, reason = "counts of lines are far below 2^52")]
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.2} %", 100.0 * ratio(part, whole))
}

/// A time in the unit in which it has few digits.
fn time(nanoseconds: u64) -> String {
    match nanoseconds {
        0..10_000 => format!("{nanoseconds} ns"),
        10_000..10_000_000 => format!("{:.1} us", ratio(nanoseconds, 1000)),
        _ => format!("{:.1} ms", ratio(nanoseconds, 1_000_000)),
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_lines(f)?;
        self.write_requests(f)?;
        self.write_pictures(f)?;
        self.write_index(f)?;
        others(f, "Passed over", &self.lines.passed_over)?;
        others(f, "Unreadable", &self.lines.unreadable)?;
        if !self.notes.is_empty() {
            writeln!(f, "\nNotes")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "          {note}"))
    }
}

impl Report {
    fn write_lines(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |others: &[Example]| others.iter().map(|example| example.count).sum::<u64>();
        row(f, "lines", self.lines.count)?;
        row(f, "  requests", self.requests.count)?;
        row(f, "  purges", self.purges.as_ref().map_or(0, |purges| purges.count))?;
        row(f, "  passed over", sum(&self.lines.passed_over))?;
        row(f, "  unreadable", sum(&self.lines.unreadable))?;
        for failure in &self.lines.failures {
            row(f, "  ended early", failure)?;
        }
        if let Some(back) = &self.lines.time_goes_back {
            let BackInTime { seconds, lines, first } = back;
            let back = format_args!("{seconds} s at most, in {lines} lines, first in {first}");
            row(f, "  time goes back", back)?;
        }
        Ok(())
    }

    fn write_requests(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = &self.requests;
        if let Some(rate) = &self.rate {
            f.write_char('\n')?;
            row(f, "from", &rate.first)?;
            row(f, "to", &rate.last)?;
            row(f, "requests per second", format_args!("{:.2}", rate.mean_per_second))?;
            let most = format_args!("{}, at {}", rate.most_per_second, rate.busiest_second);
            row(f, "  in the busiest", most)?;
            let speed = format_args!("{:.0} lines a second", rate.replayed_lines_per_second);
            row(f, "replayed at", speed)?;
        }
        f.write_char('\n')?;
        row(f, "hit ratio", percent(requests.hits, requests.count))?;
        row(f, "  without the rules", percent(requests.hits_without_rules, requests.count))?;
        row(f, "    of them old", requests.old_without_rules)
    }

    fn write_pictures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pictures = &self.pictures;
        f.write_char('\n')?;
        row(f, "counted as a picture", self.counted.as_pictures)?;
        row(f, "  requests of others", self.counted.requests_of_other_names)?;
        row(f, "distinct pictures", pictures.count)?;
        row(f, "distinct variants", pictures.variants)?;
        row(f, "variants per picture", format_args!("median {}", pictures.median))?;
        row(f, "", format_args!("p99    {}", pictures.p99))?;
        row(f, "", format_args!("max    {}", pictures.max))?;
        for (path, count) in &pictures.worst {
            row(f, "", format_args!("{count:>6}  {path}"))?;
        }
        Ok(())
    }

    fn write_index(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = &self.memory;
        f.write_char('\n')?;
        row(f, "most entries at a time", memory.most_entries)?;
        row(f, "  heap of the index", format_args!("{} bytes", memory.bytes))?;
        let each = ratio(memory.bytes, memory.most_entries);
        row(f, "  per entry", format_args!("{each:.1} bytes"))?;
        let Some(purges) = &self.purges else { return Ok(()) };
        f.write_char('\n')?;
        row(f, "purges", purges.count)?;
        let removed = format_args!("{}, those of wildcards not counted", purges.removed);
        row(f, "  removed variants", removed)?;
        row(f, "  matched nothing", purges.matched_nothing)?;
        row(f, "  time of each", format_args!("p50 {}", time(purges.p50_ns)))?;
        row(f, "", format_args!("p99 {}", time(purges.p99_ns)))?;
        row(f, "", format_args!("max {}", time(purges.max_ns)))
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, value: impl Display) -> fmt::Result {
    writeln!(f, "{name:<24}{value}")
}

fn others(f: &mut fmt::Formatter<'_>, title: &str, others: &[Example]) -> fmt::Result {
    if others.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title}, with the first line of each kind")?;
    for example in others {
        writeln!(f, "{:>8}  {}", example.count, example.reason)?;
        if let Some(detail) = &example.detail {
            writeln!(f, "          {detail}")?;
        }
        writeln!(f, "          {}: {}", example.place, example.text)?;
    }
    Ok(())
}
