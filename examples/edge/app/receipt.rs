//! Receipts: what the reply to an invalidation says, in the shape that the API documents, with what it leaves out.
//!
//! Invariant: when a receipt is written, what it tells has happened; there is nothing to wait for, so its status is `DONE`.

use super::edge::PurgeReceipt;
use super::request::Entry;
use cache_index::Generation;
use jiff::{Timestamp, Unit};
use serde::Serialize;
use uuid::Uuid;

/// The reply. Members come out in the order in which they stand here.
#[derive(Debug, Serialize)]
pub(crate) struct Reply {
    status: &'static str,
    msg: String,
    invalidation: Receipt,
}

#[derive(Debug, Serialize)]
struct Receipt {
    uuid: String,
    status: &'static str,
    added_at: String,
    /// The number of the last purge or flush that this request caused.
    generation: u64,
    entries: Vec<Line>,
    /// Entries that named a picture again that an earlier one had named.
    duplicates: usize,
}

/// What became of one entry.
#[derive(Debug, Serialize)]
struct Line {
    /// In the list of the request, from 0; absent if there was no list.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<usize>,
    origin: String,
    outcome: &'static str,
    /// Absent where nobody counted: a flush visits no entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    variants: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    voided_fills: Option<usize>,
}

impl Reply {
    /// For the scope `all`.
    pub(crate) fn flushed(generation: Generation) -> Self {
        let line = Line {
            position: None,
            origin: "/*".to_owned(),
            outcome: "flushed",
            variants: None,
            voided_fills: None,
        };
        Self::new("everything invalidated".to_owned(), generation, vec![line], 0)
    }

    /// For the scope `original`.
    pub(crate) fn purged(receipts: Vec<(&Entry, PurgeReceipt)>, duplicates: usize) -> Self {
        let variants: usize = receipts.iter().map(|(_, receipt)| receipt.variants).sum();
        let fills: usize = receipts.iter().map(|(_, receipt)| receipt.voided_fills).sum();
        let generation = receipts.iter().map(|(_, receipt)| receipt.generation).max();
        let lost = receipts.iter().filter(|(_, receipt)| receipt.found_nothing()).count();
        let mut msg = count(variants, "variant", "removed");
        msg += &format!(", {}", count(fills, "open fill", "voided"));
        if lost > 0 {
            msg += &format!(", {lost} of {} matched nothing", receipts.len());
        }
        let lines = receipts.into_iter().map(|(entry, receipt)| Line::new(entry, receipt));
        Self::new(msg, generation.unwrap_or_default(), lines.collect(), duplicates)
    }

    fn new(msg: String, generation: Generation, entries: Vec<Line>, duplicates: usize) -> Self {
        let now = Timestamp::now();
        let invalidation = Receipt {
            uuid: Uuid::new_v4().to_string(),
            status: "DONE",
            added_at: now.round(Unit::Millisecond).unwrap_or(now).to_string(),
            generation: generation.get(),
            entries,
            duplicates,
        };
        Self { status: "success", msg, invalidation }
    }
}

impl Line {
    fn new(entry: &Entry, receipt: PurgeReceipt) -> Self {
        Self {
            position: Some(entry.position),
            origin: entry.origin.as_str().to_owned(),
            outcome: match receipt.variants {
                0 if receipt.found_nothing() => "matched nothing",
                0 => "voided open fills",
                _ => "purged",
            },
            variants: Some(receipt.variants),
            voided_fills: Some(receipt.voided_fills),
        }
    }
}

fn count(number: usize, noun: &str, verb: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural} {verb}")
}
