//! Receipts: the reply to an invalidation, in the shape that the API documents, with additional
//! members.
//!
//! Invariant: when a receipt is written, everything in it has happened. A client has nothing to
//! wait for, so its status is `DONE`.

use super::hints;
use super::index::Safety;
use super::level::Reached;
use cache_index::canonical::Target;
use cache_index::invalidation::{
    EntryOutcome, EntryReceipt, InvalidationRequest, InvalidationScope, Receipt,
};
use cache_index::{Generation, OverTime, Severity};
use jiff::{Timestamp, Unit};
use serde::Serialize;
use uuid::Uuid;

/// About what a wildcard covers.
const NOT_COUNTED: &str = "not counted: a dry run, /invalidate?dry_run=1, counts";

/// The effect of an invalidation. For a dry run, the effect that it would have. Members are written
/// in the order of the fields.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) scope: &'static str,
    pub(crate) mode: &'static str,
    /// The number of the last purge or flush that the request caused.
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    /// The duration of a flush that is spread over time.
    #[serde(skip_serializing_if = "Option::is_none")]
    over_seconds: Option<u64>,
    entries: Vec<Line>,
    /// Entries that repeated an earlier entry.
    duplicates: usize,
    /// Absent if no data are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    durability: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    durability_error: Option<String>,
    /// How far it has got in the fleet; absent outside of one.
    #[serde(flatten)]
    reached: Option<Reached>,
    #[serde(skip)]
    pub(crate) variants: usize,
    #[serde(skip)]
    pub(crate) overtaken_fills: usize,
    #[serde(skip)]
    matched_nothing: usize,
}

/// The outcome of one entry.
#[derive(Clone, Debug, Serialize)]
struct Line {
    /// In the list of the request, from 0; absent if there was no list.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<usize>,
    origin: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    outcome: &'static str,
    /// Absent if nothing was counted: a flush visits no entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    variants: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_before: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overtaken_fills: Option<usize>,
    /// A hint on the probable mistake, if the entry matched nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

impl Summary {
    pub(crate) fn of<V>(receipt: &Receipt<V>, request: &InvalidationRequest) -> Self {
        let texts: Vec<_> = request.texts().collect();
        Self {
            scope: scope(request.scope()),
            mode: mode(request.severity()),
            generation: Some(receipt.generation().get()),
            over_seconds: None,
            entries: receipt.entries().iter().map(|entry| Line::of(entry, &texts)).collect(),
            duplicates: receipt.duplicates(),
            durability: None,
            durability_error: None,
            reached: None,
            variants: receipt.variants(),
            overtaken_fills: receipt.overtaken_fills(),
            matched_nothing: receipt.matched_nothing(),
        }
    }

    /// A flush of everything, spread over a duration.
    pub(crate) fn of_flush_over(generation: Option<Generation>, over: OverTime) -> Self {
        let everything = Line {
            position: None,
            origin: "/*".to_owned(),
            variant: None,
            outcome: EntryOutcome::Invalidated.as_str(),
            variants: None,
            stale_before: None,
            overtaken_fills: None,
            hint: None,
        };
        Self {
            scope: scope(InvalidationScope::All),
            mode: mode(Severity::Hard),
            generation: generation.map(Generation::get),
            over_seconds: Some(over.duration().as_secs()),
            entries: vec![everything],
            duplicates: 0,
            durability: None,
            durability_error: None,
            reached: None,
            variants: 0,
            overtaken_fills: 0,
            matched_nothing: 0,
        }
    }

    /// Adds whether the invalidation survives a crash.
    pub(crate) fn with_safety(self, safety: Safety) -> Self {
        let (durability, durability_error) = match safety {
            Safety::Memory => (None, None),
            Safety::Durable => (Some("durable"), None),
            Safety::NotDurable(reason) => (Some("not durable"), Some(reason)),
        };
        Self { durability, durability_error, ..self }
    }

    /// Adds how far it has got in the fleet.
    pub(crate) fn with_reached(self, reached: Option<Reached>) -> Self {
        Self { reached, ..self }
    }

    /// Whether some of it was invalidated without being visited.
    pub(crate) fn is_broad(&self) -> bool {
        let broad = [EntryOutcome::Invalidated, EntryOutcome::NotCounted].map(EntryOutcome::as_str);
        self.entries.iter().any(|line| broad.contains(&line.outcome))
    }

    /// How many entries of the request there were, repeated ones left out.
    pub(crate) fn entries(&self) -> usize {
        self.entries.len()
    }

    fn message(&self) -> String {
        let verb = if self.mode == mode(Severity::Soft) { "made stale" } else { "removed" };
        let broad = self.entries.iter().filter(|line| line.variants.is_none()).count();
        let mut parts = Vec::new();
        if broad > 0 {
            parts.push(match (self.scope, self.over_seconds) {
                (_, Some(1)) => "everything will be invalidated within 1 second".to_owned(),
                (_, Some(seconds)) => {
                    format!("everything will be invalidated within {seconds} seconds")
                }
                ("all", None) => "everything invalidated".to_owned(),
                // A valid wildcard may still match nothing, and that looks like success.
                _ => format!("{} invalidated ({NOT_COUNTED})", count(broad, "wildcard")),
            });
        }
        if broad < self.entries.len() {
            parts.push(format!("{} {verb}", count(self.variants, "variant")));
            parts.push(format!("{} overtaken", count(self.overtaken_fills, "open fill")));
        }
        if self.matched_nothing > 0 {
            parts.push(format!(
                "{} of {} matched nothing",
                self.matched_nothing,
                self.entries.len()
            ));
        }
        if let Some(reason) = &self.durability_error {
            parts.push(format!("not durable: {reason}"));
        }
        parts.join(", ")
    }
}

impl Line {
    /// `texts` are the entries as they were sent.
    fn of<V>(entry: &EntryReceipt<V>, texts: &[&[u8]]) -> Self {
        let text = entry.entry_index().and_then(|index| texts.get(index));
        let missed = entry.outcome() == EntryOutcome::MatchedNothing;
        let star = |text: &str| format!("{text}*");
        Self {
            position: entry.entry_index(),
            origin: match entry.target() {
                Some(Target::Path(path)) => path.as_str().to_owned(),
                Some(Target::Prefix(prefix)) => star(prefix.as_str()),
                None => "/*".to_owned(),
            },
            variant: entry.variant().map(|variant| variant.as_str().to_owned()),
            outcome: entry.outcome().as_str(),
            variants: entry.variants(),
            stale_before: entry.stale_before(),
            overtaken_fills: entry.overtaken_fills(),
            hint: text.filter(|_| missed).and_then(|text| hints::of_miss(text)),
        }
    }
}

pub(crate) fn scope(scope: InvalidationScope) -> &'static str {
    match scope {
        InvalidationScope::Original => "original",
        InvalidationScope::Urls => "urls",
        InvalidationScope::All => "all",
        _ => "other",
    }
}

fn mode(severity: Severity) -> &'static str {
    match severity {
        Severity::Hard => "hard",
        Severity::Soft => "soft",
    }
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// An invalidation that was carried out, as it is remembered.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) uuid: Uuid,
    added_at: String,
    /// The entries as they were sent; none for the scope `all`.
    received: Option<Vec<String>>,
    pub(crate) summary: Summary,
}

impl Record {
    pub(crate) fn new(received: Option<Vec<String>>, summary: Summary) -> Self {
        let now = Timestamp::now();
        let added_at = now.round(Unit::Millisecond).unwrap_or(now).to_string();
        Self { uuid: Uuid::new_v4(), added_at, received, summary }
    }

    /// About how much memory it takes up.
    pub(crate) fn weight(&self) -> usize {
        let received: usize = self.received.iter().flatten().map(|url| url.len() + 24).sum();
        let line = |line: &Line| {
            line.origin.len() + line.variant.as_ref().map_or(0, String::len) + size_of::<Line>()
        };
        size_of::<Self>() + received + self.summary.entries.iter().map(line).sum::<usize>()
    }

    /// The reply to the request itself.
    pub(crate) fn created(&self) -> Reply<'_> {
        self.reply(None)
    }

    /// Returns the reply to a later request for the receipt. All accepted entries were invalidated:
    /// invalid ones were refused.
    pub(crate) fn remembered(&self) -> Reply<'_> {
        let everything = || vec!["/*".to_owned()];
        let invalidated = self.received.clone().unwrap_or_else(everything);
        let received = self.received.as_deref();
        self.reply(Some(Urls { received, invalidated, failed: [] }))
    }

    fn reply<'a>(&'a self, urls: Option<Urls<'a>>) -> Reply<'a> {
        let Self { added_at, summary, .. } = self;
        let head = Head { uuid: self.uuid.to_string(), status: "DONE", added_at, urls };
        let msg = summary.message();
        let invalidation = Told { head: Some(head), summary };
        Reply { status: "success", msg, dry_run: None, invalidation }
    }
}

/// A reply. Members come out in the order in which they stand here.
#[derive(Serialize)]
pub(crate) struct Reply<'a> {
    status: &'static str,
    msg: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    dry_run: Option<bool>,
    invalidation: Told<'a>,
}

#[derive(Serialize)]
struct Told<'a> {
    /// The head of a request that was carried out.
    #[serde(flatten)]
    head: Option<Head<'a>>,
    #[serde(flatten)]
    summary: &'a Summary,
}

#[derive(Serialize)]
struct Head<'a> {
    uuid: String,
    status: &'static str,
    added_at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    urls: Option<Urls<'a>>,
}

#[derive(Serialize)]
struct Urls<'a> {
    received: Option<&'a [String]>,
    invalidated: Vec<String>,
    failed: [&'static str; 0],
}

/// The reply to a dry run.
pub(crate) fn dry_run(summary: &Summary) -> Reply<'_> {
    let msg = format!("dry run, nothing was changed: {}", summary.message());
    let invalidation = Told { head: None, summary };
    Reply { status: "success", msg, dry_run: Some(true), invalidation }
}
