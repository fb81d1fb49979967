//! Fourth step: from the query of a request to its variant key.
//!
//! Invariant: two queries get one key only if they differ in the order of different known
//! parameters, in the spelling of bytes or of parameter names, in empty pieces, or in parameters
//! that change nothing. Not here: what parameters do. Repeats are kept in their order, since it
//! isn't known which of them is effective. So are parameters that aren't known: they may be meant
//! for the source, and only that knows whether their order matters.
//!
//! One pass cuts the query into pieces and sees whether it is canonical; then it is borrowed. Otherwise the pieces are sorted and
//! written once. There are two ways to the same key: [`write_key`] for short texts that were looked at before, in which only values need
//! another spelling; and [`Query::read`] for all, which tells what is wrong and where.

use super::ascii;
use super::bytes::{all_escapes_are_good, escape_at};
use super::cut::{self, Cut, Piece};
use super::error::{Fault, PathError};
use super::explain::{StepKind, Trace};
use super::order;
use super::parameters::{PADDED, PARAMETERS};
use super::raw::MAX_INPUT;
use super::scan::{Places, STRIDE, stride};
use super::spelling::{IN_OPERATION, longest_operations};
use super::writer::Writer;
use std::borrow::Cow;
use std::ops::Range;

/// A query that was read.
#[derive(Debug)]
pub(super) struct Query<'t> {
    /// The variant key.
    pub(super) key: Cow<'t, str>,
    /// Whether the path is percent-encoded as a whole.
    pub(super) encodes_path: bool,
}

/// The key of the picture as it is.
const NO_OPERATION: &str = "?";

impl<'t> Query<'t> {
    /// Reads a query that starts with its question mark; no query is an empty one.
    #[inline]
    pub(super) fn read(text: Option<&'t [u8]>, trace: &mut impl Trace) -> Result<Self, PathError> {
        match text {
            None => Ok(Self::without_operations()),
            Some(text) => read(text, 1, trace),
        }
    }

    /// Reads a query without its question mark.
    pub(super) fn read_bare(text: &'t [u8], trace: &mut impl Trace) -> Result<Self, PathError> {
        read(text, 0, trace)
    }

    const fn without_operations() -> Self {
        Self { key: Cow::Borrowed(NO_OPERATION), encodes_path: false }
    }

    fn into_owned(self) -> Query<'static> {
        Query { key: Cow::Owned(self.key.into_owned()), encodes_path: self.encodes_path }
    }
}

/// What came of [`write_key`].
pub(super) struct Written {
    /// Whether the key is the query as it stands; then nothing is written.
    pub(super) is_key: bool,
    /// Whether the path is percent-encoded as a whole.
    pub(super) encodes_path: bool,
}

/// Writes the key of the query `text[start..]` in a text that was looked at; nothing if
/// there is more to it than parameters to be dropped, renamed and sorted, and values to be respelled.
#[inline]
pub(super) fn write_key(
    text: &[u8],
    start: usize,
    places: &Places,
    out: &mut Writer<'_>,
) -> Option<Written> {
    let mut pieces = [Piece::default(); FEW];
    let (cut, pieces) = Cut::seen(text, start + 1, places.ones(start + 1), &mut pieces)?;
    if cut.has_inner_equals || pieces.is_empty() {
        return None;
    }
    if cut.out_of_order {
        order::sort_few(pieces, text);
    }
    let renamed = cut.renamed();
    let is_settled = !cut.out_of_order && !cut.leaves_out && renamed == 0;
    let mut written = Written { is_key: is_settled, encodes_path: cut.encodes_path };
    if is_settled && !cut.has_odd_value {
        return Some(written);
    }
    let new = New { text, is_raw: true, renamed, room: 0 };
    let mut separator = b'?';
    for &piece in &*pieces {
        let kept = new.write_name(piece, separator, out);
        separator = b'&';
        let mut rest = kept;
        if piece.is_odd() {
            let value = piece.value();
            out.copy(text, kept, value.start);
            rest = out.respell(&IN_OPERATION, &text[..value.end], value.start, places)?.rest;
        }
        out.copy(text, rest, piece.end());
    }
    if is_settled && out.written() == &text[start..] {
        out.truncate(0);
    } else {
        written.is_key = false;
    }
    Some(written)
}

/// The pieces of a query, empty ones left out.
pub(super) fn pieces(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    query.split(|&byte| byte == b'&').filter(|piece| !piece.is_empty())
}

/// As many parameters as honest requests have.
const FEW: usize = 16;
/// As many as the longest input can have.
const MANY: usize = MAX_INPUT / 2;

/// Reads the query `text[start..]`. The pieces are kept on the stack, in an array that is hardly larger than needed.
#[inline]
fn read<'t, T: Trace>(text: &'t [u8], start: usize, trace: &mut T) -> Result<Query<'t>, PathError> {
    let mut few = [Piece::default(); FEW];
    match Cut::of(text, start, &mut few) {
        Some((cut, pieces)) => rewrite(text, start, &cut, pieces, trace),
        None => read_many(text, start, trace),
    }
}

/// In a function of its own, so that only who needs it pays for the large array.
#[cold]
#[inline(never)]
#[expect(
    clippy::large_stack_arrays,
    reason = "64 KB, and nothing is called that needs as much again"
)]
fn read_many<'t>(
    text: &'t [u8],
    start: usize,
    trace: &mut impl Trace,
) -> Result<Query<'t>, PathError> {
    let (mut on_stack, mut on_heap);
    let pieces: &mut [Piece] = if text.len() <= MAX_INPUT {
        on_stack = [Piece::default(); MANY];
        &mut on_stack
    } else {
        // Names that were settled before, and keys that are said to be canonical, can be longer than any input.
        on_heap = vec![Piece::default(); text.len() / 2 + 1];
        &mut on_heap
    };
    match Cut::of(text, start, pieces) {
        Some((cut, pieces)) => rewrite(text, start, &cut, pieces, trace),
        None => Ok(Query::without_operations()),
    }
}

/// The long way, for a query that may not be canonical.
fn rewrite<'t, T: Trace>(
    text: &'t [u8],
    start: usize,
    cut: &Cut,
    pieces: &mut [Piece],
    trace: &mut T,
) -> Result<Query<'t>, PathError> {
    let is_raw = !cut.has_inner_equals && cut::is_raw_text(&text[start..]);
    if !is_raw && !all_escapes_are_good(text) {
        return Err(bad_escape(text));
    }
    if !is_raw && !pieces.iter().all(|piece| is_settled(text, piece.name())) {
        return respelled(text, start, trace);
    }
    if T::RECORDS {
        note_dropped(&text[start..], trace);
    }
    let encodes_path = cut.encodes_path;
    if pieces.is_empty() {
        return Ok(Query { encodes_path, ..Query::without_operations() });
    }
    let renamed = cut.renamed();
    let is_canonical = start == 1
        && !cut.out_of_order
        && !cut.leaves_out
        && renamed == 0
        && (is_raw || pieces.iter().all(|piece| is_settled(text, piece.value())));
    if is_canonical {
        return Ok(Query { key: ascii(Cow::Borrowed(text)), encodes_path });
    }
    let new = New { text, is_raw, renamed, room: cut.room(text) };
    let key = if !cut.out_of_order {
        new.write(pieces.iter().copied(), trace)
    } else if pieces.len() <= FEW {
        order::sort_few(pieces, text);
        new.write(pieces.iter().copied(), trace)
    } else {
        let order = order::sort_many(pieces, text);
        new.write_many(order.iter().map(|&at| pieces[usize::from(at)]), trace)
    };
    if cut.out_of_order {
        trace.note(StepKind::Order, text, key.as_bytes());
    }
    Ok(Query { key: Cow::Owned(key), encodes_path })
}

#[cold]
fn bad_escape(text: &[u8]) -> PathError {
    let is_bad = |&at: &usize| text[at] == b'%' && escape_at(text, at).is_none();
    Fault::InvalidEscape.at((0..text.len()).find(is_bad).unwrap_or(text.len()))
}

fn is_settled(text: &[u8], part: Range<usize>) -> bool {
    IN_OPERATION.first_change(&text[..part.end], part.start).is_none()
}

/// Reads a query in which the name of a parameter isn't settled. It may be that of any other, so that names are settled first.
#[cold]
#[inline(never)]
fn respelled(
    text: &[u8],
    start: usize,
    trace: &mut impl Trace,
) -> Result<Query<'static>, PathError> {
    // Of the equals signs, the first of each piece stays.
    let mut out = Writer::new(text, longest_operations, 2 * text.len());
    for piece in pieces(&text[start..]) {
        out.push(if out.is_empty() { b'?' } else { b'&' });
        let from = out.len();
        let name_end = piece.iter().position(|&byte| byte == b'=').unwrap_or(piece.len());
        let value_start = piece.len().min(name_end + "=".len());
        out.spell_checked(&IN_OPERATION, piece, 0, name_end);
        out.copy(piece, name_end, value_start);
        out.spell_checked(&IN_OPERATION, piece, value_start, piece.len());
        trace.note(StepKind::ParameterEscapes, piece, &out.written()[from..]);
    }
    Query::read(Some(out.written()), trace).map(Query::into_owned)
}

/// Notes the parameters that are left out.
fn note_dropped(query: &[u8], trace: &mut impl Trace) {
    for piece in pieces(query) {
        let name_end = piece.iter().position(|&byte| byte == b'=');
        if cut::is_dropped(piece, name_end) {
            trace.note(StepKind::Dropped, piece, b"");
        }
    }
}

/// What a key is written from.
struct New<'t> {
    text: &'t [u8],
    /// Whether every byte stays as it is.
    is_raw: bool,
    /// The parameters that get their canonical name.
    renamed: u64,
    /// For what is longer than it looks.
    room: usize,
}

impl New<'_> {
    fn write<T: Trace>(&self, pieces: impl Iterator<Item = Piece>, trace: &mut T) -> String {
        let longest = if self.is_raw { <[u8]>::len } else { longest_operations };
        let mut out = Writer::new(self.text, longest, self.room);
        let mut separator = b'?';
        for piece in pieces {
            self.write_piece(piece, separator, &mut out);
            separator = b'&';
            if T::RECORDS {
                self.note(piece, trace);
            }
        }
        out.finish_text()
    }

    /// The same for pieces that are so many that a block would be full again and again.
    fn write_many<T: Trace>(&self, pieces: impl Iterator<Item = Piece>, trace: &mut T) -> String {
        if !self.is_raw || T::RECORDS {
            return self.write(pieces, trace);
        }
        // No name and no value gets longer.
        let mut out = vec![0; self.text.len() + "?".len() + STRIDE];
        let mut len = 0;
        for piece in pieces {
            out[len] = b'&';
            len += 1;
            let mut from = piece.start();
            if let Some(row) = self.renamed_row(piece) {
                let name = PARAMETERS[row].name.as_bytes();
                out[len..len + name.len()].copy_from_slice(name);
                len += name.len();
                from = piece.name().end;
            }
            let rest = piece.end() - from;
            out[len..len + STRIDE].copy_from_slice(&stride(self.text, from));
            if rest > STRIDE {
                out[len + STRIDE..len + rest]
                    .copy_from_slice(&self.text[from + STRIDE..piece.end()]);
            }
            len += rest;
        }
        out[0] = b'?';
        out.truncate(len);
        ascii(Cow::Owned(out)).into_owned()
    }

    /// The row of the table whose canonical name a parameter gets.
    #[inline]
    fn renamed_row(&self, piece: Piece) -> Option<usize> {
        piece.row().filter(|row| self.renamed >> row & 1 == 1)
    }

    #[inline]
    fn write_piece(&self, piece: Piece, separator: u8, out: &mut Writer<'_>) {
        let text = self.text;
        let kept = self.write_name(piece, separator, out);
        if self.is_raw {
            out.copy(text, kept, piece.end());
        } else {
            let value = piece.value();
            out.copy(text, kept, value.start);
            out.spell_checked(&IN_OPERATION, text, value.start, value.end);
        }
    }

    /// Writes the name of a parameter behind a separator; gives where the rest starts.
    #[inline]
    fn write_name(&self, piece: Piece, separator: u8, out: &mut Writer<'_>) -> usize {
        let name = piece.name();
        let (text, written) = match self.renamed_row(piece) {
            None => (self.text, name.clone()),
            Some(row) => (&PADDED[row][..], 0..PARAMETERS[row].name.len()),
        };
        out.copy_behind(separator, text, written.start, written.end);
        name.end
    }

    fn note(&self, piece: Piece, trace: &mut impl Trace) {
        let mut out = Writer::new(self.text, longest_operations, self.room);
        self.write_piece(piece, b'?', &mut out);
        let is_renamed = self.renamed_row(piece).is_some();
        let kind = if is_renamed { StepKind::ParameterName } else { StepKind::ParameterEscapes };
        trace.note(kind, &self.text[piece.start()..piece.end()], &out.written()[1..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parameters in any order but the right one, with values of many lengths: some of a block of bytes, some of several.
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
        for count in 0..90 {
            let (text, expected) = (format!("?{}", many(count).join("&")), canonical(many(count)));
            let query = Query::read(Some(text.as_bytes()), &mut ()).unwrap();
            assert_eq!(query.key, expected);
            // Something to respell, too.
            let text = format!("{text}&zz=%2c%3A");
            let query = Query::read(Some(text.as_bytes()), &mut ()).unwrap();
            assert_eq!(query.key, format!("{expected}&zz=,:"));
        }
    }
}
