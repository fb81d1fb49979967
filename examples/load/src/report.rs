//! The observations: counts, times, and errors.

use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The number of faults of a kind that are reported in full.
const TOLD: usize = 10;

/// The observations of the clients so far.
#[derive(Default)]
pub(crate) struct Report {
    hits: Times,
    stale: Times,
    misses: Times,
    invalidations: Times,
    errors: Faults,
    too_old: Faults,
    /// Requests up to the last line that was printed, and when that was, in microseconds.
    last: (AtomicU64, AtomicU64),
}

/// How long something took, each time.
struct Times([AtomicU64; 160]);

#[derive(Default)]
struct Faults {
    count: AtomicU64,
    first: Mutex<Vec<String>>,
}

impl Default for Times {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Times {
    /// Four steps to each power of two, in microseconds: the figures are off by less than a
    /// quarter.
    fn note(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(4);
        let power = micros.ilog2();
        let step = (micros >> (power - 2)) & 3;
        let place = usize::try_from(u64::from(power) * 4 + step).unwrap_or(usize::MAX);
        self.0[place.min(self.0.len() - 1)].fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// The upper end of the step in which the part `of` of all lies.
    fn quantile(&self, of: f64) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let wanted = self.count() as f64 * of;
        let mut seen = 0.0;
        for (place, bucket) in self.0.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "a count")]
            let count = bucket.load(Ordering::Relaxed) as f64;
            seen += count;
            if seen >= wanted && seen > 0.0 {
                let (power, step) = (place / 4, place as u64 % 4);
                return Duration::from_micros((5 + step) << power.saturating_sub(2));
            }
        }
        Duration::ZERO
    }
}

impl Faults {
    fn note(&self, what: &str) {
        self.count.fetch_add(1, Ordering::Relaxed);
        if let Ok(mut first) = self.first.lock() {
            if first.len() < TOLD {
                first.push(what.to_owned());
            }
        }
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    fn told(&self) -> String {
        let first = self.first.lock().map(|first| first.clone()).unwrap_or_default();
        first.into_iter().map(|what| ["  ", &what, "\n"].concat()).collect()
    }
}

impl Report {
    pub(crate) fn answered(&self, cache: &str, time: Duration) {
        match cache {
            "HIT" => self.hits.note(time),
            "STALE" => self.stale.note(time),
            _ => self.misses.note(time),
        }
    }

    pub(crate) fn invalidated(&self, time: Duration) {
        self.invalidations.note(time);
    }

    pub(crate) fn error(&self, what: &str) {
        self.errors.note(what);
    }

    pub(crate) fn too_old(&self, what: &str) {
        self.too_old.note(what);
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.errors.count() == 0 && self.too_old.count() == 0 && self.hits.count() > 0
    }

    fn requests(&self) -> u64 {
        self.hits.count() + self.stale.count() + self.misses.count()
    }

    #[expect(clippy::unused_self, reason = "belongs to the lines")]
    pub(crate) fn heading(&self) -> String {
        "    time  requests/s   hits    hit p50    hit p99  invalidations  errors  too old    memory  entries"
            .to_owned()
    }

    pub(crate) fn line(&self, time: Duration, metrics: &Metrics) -> String {
        let (requests, now) = (self.requests(), u64::try_from(time.as_micros()).unwrap_or(0));
        let new = requests - self.last.0.swap(requests, Ordering::Relaxed);
        let passed = now.saturating_sub(self.last.1.swap(now, Ordering::Relaxed)).max(1);
        format!(
            "{:>7.0}s {:>11} {:>5.1}% {:>10.2?} {:>10.2?} {:>14} {:>7} {:>8} {:>6} MiB {:>8}",
            time.as_secs_f64(),
            new * 1_000_000 / passed,
            share(self.hits.count(), requests),
            self.hits.quantile(0.5),
            self.hits.quantile(0.99),
            self.invalidations.count(),
            self.errors.count(),
            self.too_old.count(),
            mebibytes(metrics.value("edge_process_resident_memory_bytes")),
            metrics.value("edge_entries{state=\"live\"}"),
        )
    }

    pub(crate) fn summary(
        &self,
        time: Duration,
        metrics: &Metrics,
        memory: &[f64],
        agreement: &str,
    ) -> String {
        let mut text = String::from("\n");
        let mut line = |what: &str, value: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{what:<44} {value}");
        };
        let requests = self.requests();
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = requests as f64 / time.as_secs_f64();
        line("requests", format!("{requests} ({rate:.0}/s)"));
        for (name, times) in
            [("hits", &self.hits), ("stale", &self.stale), ("misses", &self.misses)]
        {
            line(
                name,
                format!(
                    "{} (p50 {:.2?}, p99 {:.2?})",
                    times.count(),
                    times.quantile(0.5),
                    times.quantile(0.99)
                ),
            );
        }
        let times = &self.invalidations;
        line(
            "invalidations, as the client sees them",
            format!(
                "{} (p50 {:.2?}, p99 {:.2?})",
                times.count(),
                times.quantile(0.5),
                times.quantile(0.99)
            ),
        );
        line(
            "invalidations, at the server, under 1 ms",
            metrics.below("edge_invalidation_seconds", 0.001),
        );
        line("of these in the index, under 1 ms", metrics.below("edge_purge_seconds", 0.001));
        for (name, metric) in [
            ("fills", "edge_fills_total"),
            ("fills refused: purged", "edge_fills_refused_total{reason=\"purged\"}"),
            ("fills refused: flushed", "edge_fills_refused_total{reason=\"flushed\"}"),
            ("misses that waited for the fill of another", "edge_misses_joined_total"),
            ("refreshes", "edge_refreshes_total"),
            ("evictions", "edge_evictions_total"),
        ] {
            line(name, metrics.value(metric).to_string());
        }
        let (first, last) = (memory.first().copied(), memory.last().copied());
        line(
            "memory of the server, first and last",
            format!(
                "{} and {} MiB",
                mebibytes(first.unwrap_or(0.0)),
                mebibytes(last.unwrap_or(0.0))
            ),
        );
        let agreement: String = agreement.split_whitespace().collect::<Vec<_>>().join(" ");
        line("store and index", agreement);
        line("errors", self.errors.count().to_string());
        line("pictures that were too old", self.too_old.count().to_string());
        text + &self.errors.told() + &self.too_old.told()
    }
}

fn share(part: u64, whole: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let (part, whole) = (part as f64, whole.max(1) as f64);
    100.0 * part / whole
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size")]
fn mebibytes(bytes: f64) -> u64 {
    (bytes / f64::from(1 << 20)).round() as u64
}

/// The edge's own metrics.
pub(crate) struct Metrics(String);

impl Metrics {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// 0 if there is no such metric yet.
    pub(crate) fn value(&self, name: &str) -> f64 {
        let of = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        self.0.lines().find_map(of).unwrap_or(0.0)
    }

    /// Returns how many values of a histogram are below a number of seconds, as far as its steps
    /// show.
    fn below(&self, histogram: &str, seconds: f64) -> String {
        let bucket = |line: &str| -> Option<(f64, u64)> {
            let rest = line.strip_prefix(histogram)?.strip_prefix("_bucket{le=\"")?;
            let (edge, count) = rest.split_once("\"} ")?;
            Some((edge.parse().ok()?, count.parse().ok()?))
        };
        let buckets: Vec<_> = self.0.lines().filter_map(bucket).collect();
        let all = buckets.iter().map(|(_, count)| *count).max().unwrap_or(0);
        let below =
            buckets.iter().filter(|(edge, _)| *edge <= seconds).map(|(_, count)| *count).max();
        let at = |of: f64| {
            #[expect(clippy::cast_precision_loss, reason = "a share")]
            let place = buckets.iter().find(|(_, count)| *count as f64 >= all as f64 * of);
            place.map_or(f64::INFINITY, |(edge, _)| *edge * 1e6)
        };
        format!(
            "{:.2}% of {all} (p50 <= {:.0} us, p99 <= {:.0} us)",
            share(below.unwrap_or(0), all),
            at(0.5),
            at(0.99)
        )
    }
}
