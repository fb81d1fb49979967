//! Fourth step: from the query of a request to its variant key.
//!
//! Invariant: two queries have the same key only if they differ in these ways:
//! - the order of different known parameters
//! - the spelling of bytes or of parameter names
//! - empty pieces
//! - parameters without effect
//!
//! Not here: the effect of parameters. Repeats keep their order, because it is not known which of
//! them is effective. Unknown parameters also keep their order: they may be meant for the source,
//! and only the source knows whether their order matters.
//!
//! One pass splits the query into pieces and detects whether it is canonical; if so, it is
//! borrowed. Otherwise the pieces are sorted and written once. [`write_short`] does this for short
//! texts in which only values need another spelling. [`Query::read`] handles all texts, and reports
//! errors with their position.

use super::super::error::{Fault, PathError, Result};
use super::super::text::bytes::{all_escapes_are_good, ascii, escape_at, is_operation, never_raw};
use super::super::text::scan::{any, is_separator, separators};
use super::super::text::spelling::{IN_OPERATION, longest_operations};
use super::super::text::writer::Writer;
use super::super::trace::{StepKind, Trace};
use super::split::{MAX_PARAMETERS, Piece, Split};
use std::borrow::Cow;
use std::ops::Range;

/// A query that was read.
#[derive(Debug)]
pub(in crate::canonical) struct Query<'t> {
    /// The variant key.
    pub(in crate::canonical) key: Cow<'t, str>,
    /// Whether the path is percent-encoded as a whole.
    pub(in crate::canonical) encodes_path: bool,
}

/// The key of the untransformed picture.
pub(in crate::canonical) const NO_OPERATION: &str = "?";

impl<'t> Query<'t> {
    /// Reads a query, with or without its question mark; no query is an empty one.
    pub(in crate::canonical) fn read<T: Trace>(
        text: Option<&'t [u8]>,
        trace: &mut T,
    ) -> Result<Self> {
        let text = text.unwrap_or_default();
        let start = usize::from(text.first() == Some(&b'?'));
        let mut room = [Piece::default(); MAX_PARAMETERS];
        let (split, pieces) = Split::of(text, start, separators(text, start), &mut room)
            .map_err(|at| Fault::TooManyParameters.at(at))?;
        let is_raw = !split.has(Split::ODD_VALUE) && is_raw_text(&text[start..]);
        if !is_raw && !all_escapes_are_good(text) {
            return Err(bad_escape(text));
        }
        if T::RECORDS {
            note_dropped(text, start, pieces, trace);
        }
        let encodes_path = split.has(Split::ENCODES_PATH);
        if pieces.is_empty() {
            return Ok(Self { key: Cow::Borrowed(NO_OPERATION), encodes_path });
        }
        if !is_raw && !pieces.iter().all(|piece| is_settled(text, piece.name())) {
            let query = respelled(text, pieces, trace)?;
            return Ok(Self { encodes_path: encodes_path || query.encodes_path, ..query });
        }
        let has_settled_values = || pieces.iter().all(|piece| is_settled(text, piece.value()));
        let renamed = split.renamed(pieces);
        let keeps_names = start == 1 && !split.has(Split::REORDERS) && renamed == 0;
        if keeps_names && (is_raw || has_settled_values()) {
            return Ok(Self { key: ascii(Cow::Borrowed(text)), encodes_path });
        }
        pieces.sort_unstable();
        let mut out = Writer::new(text, longest_operations, 0);
        KeyWriter { text, spells_all: !is_raw, renamed }.write(pieces, &mut out, trace)?;
        let key = out.finish_text();
        if split.has(Split::OUT_OF_ORDER) {
            trace.note(StepKind::Order, text, key.as_bytes());
        }
        Ok(Self { key: Cow::Owned(key), encodes_path })
    }
}

/// Returns whether every byte is a separator or stays the same, if no equals sign is in a value.
fn is_raw_text(query: &[u8]) -> bool {
    !any(query, |byte| !(is_operation(byte) | is_separator(byte)))
}

#[cold]
fn bad_escape(text: &[u8]) -> PathError {
    let is_bad = |&at: &usize| text[at] == b'%' && escape_at(text, at).is_none();
    Fault::InvalidEscape.at((0..text.len()).find(is_bad).unwrap_or(text.len()))
}

fn is_settled(text: &[u8], part: Range<usize>) -> bool {
    IN_OPERATION.first_change(&text[..part.end], part.start).is_none()
}

/// Reads a query in which a parameter name is not normalized. It may be the name of any parameter,
/// so names are normalized first.
#[cold]
#[inline(never)]
fn respelled(text: &[u8], pieces: &[Piece], trace: &mut impl Trace) -> Result<Query<'static>> {
    let mut out = Writer::new(text, longest_operations, 0);
    for &piece in pieces {
        out.push(if out.is_empty() { b'?' } else { b'&' });
        let from = out.len();
        // In each piece, the first equals sign stays.
        let (name, value) = (piece.name(), piece.value());
        out.spell(&IN_OPERATION, text, name.start, name.end)?;
        out.copy(text, name.end, value.start);
        out.spell(&IN_OPERATION, text, value.start, value.end)?;
        let piece = &text[piece.start()..piece.end()];
        trace.note(StepKind::ParameterEscapes, piece, &out.written()[from..]);
    }
    let Query { key, encodes_path } = Query::read(Some(out.written()), trace)?;
    Ok(Query { key: Cow::Owned(key.into_owned()), encodes_path })
}

/// Records the dropped parameters: the text between the pieces.
fn note_dropped(text: &[u8], start: usize, pieces: &[Piece], trace: &mut impl Trace) {
    let mut from = start;
    for (next, end) in pieces.iter().map(|p| (p.start(), p.end())).chain([(text.len(), 0)]) {
        let dropped = text[from..next].split(|&byte| byte == b'&').filter(|gap| !gap.is_empty());
        dropped.for_each(|piece| trace.note(StepKind::Dropped, piece, b""));
        from = end;
    }
}

/// Writes the key of the query `text[start..]`, which was split into `pieces`, in a short text.
/// Returns whether a key was written; if not, the key is the query without a change. Returns `None`
/// if the query needs more than dropping, renaming and sorting parameters, and respelling values.
#[inline]
pub(in crate::canonical) fn write_short(
    text: &[u8],
    start: usize,
    split: Split,
    pieces: &mut [Piece],
    out: &mut Writer<'_>,
) -> Option<bool> {
    if split.has(Split::ODD_REST) {
        return None;
    }
    let renamed = split.renamed(pieces);
    let keeps_names = !split.has(Split::REORDERS) && renamed == 0;
    if keeps_names && !split.has(Split::ODD_VALUE) {
        return Some(false);
    }
    // The first step has not checked text that was only scanned.
    if pieces.iter().any(|piece| piece.is_odd() && any(&text[piece.value()], never_raw)) {
        return None;
    }
    if split.has(Split::OUT_OF_ORDER) {
        pieces.sort_unstable();
    }
    KeyWriter { text, spells_all: false, renamed }.write(pieces, out, &mut ()).ok()?;
    let is_same = keeps_names && out.written() == &text[start..];
    if is_same {
        out.truncate(0);
    }
    Some(!is_same)
}

/// Writes the key of a query that is not canonical.
struct KeyWriter<'t> {
    text: &'t [u8],
    /// Whether any value may contain bytes that change, and not only the odd ones.
    spells_all: bool,
    /// The parameters that get their canonical name.
    renamed: u64,
}

impl KeyWriter<'_> {
    #[inline]
    fn write<T: Trace>(&self, pieces: &[Piece], out: &mut Writer<'_>, trace: &mut T) -> Result<()> {
        let mut separator = b'?';
        for &piece in pieces {
            out.push(separator);
            separator = b'&';
            let from = if T::RECORDS { out.len() } else { 0 };
            let name = piece.new_name(self.renamed);
            let mut rest = piece.start();
            if let Some(name) = name {
                out.copy(name, 0, name.len());
                rest = piece.name().end;
            }
            if self.spells_all || piece.is_odd() {
                let value = piece.value();
                out.copy(self.text, rest, value.start);
                out.spell(&IN_OPERATION, self.text, value.start, value.end)?;
            } else {
                out.copy(self.text, rest, piece.end());
            }
            if T::RECORDS {
                let is_renamed = name.is_some();
                let kind =
                    if is_renamed { StepKind::ParameterName } else { StepKind::ParameterEscapes };
                let piece = &self.text[piece.start()..piece.end()];
                trace.note(kind, piece, &out.written()[from..]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parameters in any order but the canonical one, with values of many lengths: within one
    /// block, and over several.
    fn many(count: usize) -> Vec<String> {
        let names = ["wat_text", "wat_font", "bg_color", "f", "zz", "a", "wat_fontsize", "wa"];
        let parameter = |n: usize| format!("{}={n}{}", names[n % 8], "v".repeat(n * 7 % 60));
        let mut all: Vec<_> = (0..count).map(parameter).collect();
        all.extend(["width=1", "y", "height=2000000000000000000000", "q=3"].map(str::to_owned));
        all
    }

    fn canonical(mut all: Vec<String>) -> String {
        for parameter in &mut all {
            *parameter = parameter.replace("width", "w").replace("height", "h");
        }
        all.sort_by_key(|parameter| {
            let name = parameter.split('=').next().unwrap();
            if ["zz", "a", "wa", "y"].contains(&name) { "~".into() } else { name.to_owned() }
        });
        format!("?{}", all.join("&"))
    }

    #[test]
    fn keys_of_any_length_are_whole() {
        for len in 0..600 {
            for filler in ["v", "!"] {
                let text = format!("?z=1&width={}", filler.repeat(len));
                let query = Query::read(Some(text.as_bytes()), &mut ()).unwrap();
                let value = filler.repeat(len).replace('!', "%21");
                assert_eq!(query.key, format!("?w={value}&z=1"));
            }
        }
    }

    #[test]
    fn however_many_parameters_there_are_they_are_sorted_renamed_and_whole() {
        for count in (0..90).chain([200, 251]) {
            let (text, expected) = (format!("?{}", many(count).join("&")), canonical(many(count)));
            let query = Query::read(Some(text.as_bytes()), &mut ()).unwrap();
            assert_eq!(query.key, expected);
            // A value to respell as well.
            let text = format!("{text}&zz=%2c%3A");
            let query = Query::read(Some(text.as_bytes()), &mut ()).unwrap();
            assert_eq!(query.key, format!("{expected}&zz=,:"));
        }
    }
}
