//! Fourth step: from the query of a request to its variant key.
//!
//! Invariant: two queries get one key only if they differ in the order of different parameters, in the spelling of bytes or of
//! parameter names, in empty pieces, or in parameters that change nothing.
//! Not here: what parameters do. Repeats are kept in their order, since it isn't known which of them is effective.
//!
//! A canonical query is told by one pass and borrowed. Any other is cut into pieces on the stack, which are sorted and written
//! once, into a buffer of the right size.

use super::ascii;
use super::bytes::{Class, OPERATION, escape_at, escaped};
use super::error::{Fault, PathError};
use super::explain::{Rule, Trace};
use super::parameters::{PARAMETERS, Role, role};
use super::raw::MAX_INPUT;
use super::sealed;
use smallvec::{Array, SmallVec};
use std::borrow::Cow;
use std::cmp::Ordering;

/// A query that was read.
#[derive(Debug)]
pub(super) struct Query<'t> {
    /// The variant key.
    pub(super) key: Cow<'t, str>,
    /// Whether the path is percent-encoded as a whole.
    pub(super) encodes_path: bool,
}

impl<'t> Query<'t> {
    /// Reads a query that starts with its question mark; no query is an empty one.
    pub(super) fn read(text: Option<&'t [u8]>, trace: &mut impl Trace) -> Result<Self, PathError> {
        let Some(text) = text else {
            return Ok(Self { key: Cow::Borrowed("?"), encodes_path: false });
        };
        match canonical(&text[1..]) {
            Some(encodes_path) => Ok(Self { key: ascii(Cow::Borrowed(text)), encodes_path }),
            None => rewrite(text, 1, trace),
        }
    }

    /// Whether the query was canonical, and says nothing about the path.
    pub(super) fn is_plain(&self) -> bool {
        !self.encodes_path && matches!(self.key, Cow::Borrowed(_))
    }

    /// Reads a query without its question mark.
    pub(super) fn read_bare(text: &'t [u8], trace: &mut impl Trace) -> Result<Self, PathError> {
        rewrite(text, 0, trace)
    }
}

/// The pieces of a query, empty ones left out.
pub(super) fn pieces(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    query.split(|&byte| byte == b'&').filter(|piece| !piece.is_empty())
}

/// Bytes that stay raw. A raw plus is not the same as an encoded one: which of the two is a space depends on the reader.
#[inline]
pub(super) fn stays_raw(byte: u8) -> bool {
    STAYS_RAW.contains(byte)
}

/// Whether the query is its own canonical form, and if so, whether it holds the flag that the path is encoded.
///
/// It may say no of a canonical query in which a parameter has two spellings; the long way finds out.
fn canonical(query: &[u8]) -> Option<bool> {
    let (mut at, mut encodes_path) = (0, false);
    let mut previous: &[u8] = b"";
    while at < query.len() {
        let name = &query[at..skip_settled(query, at)];
        at += name.len();
        let mut value: &[u8] = b"";
        if query.get(at) == Some(&b'=') {
            value = &query[at + 1..skip_settled(query, at + 1)];
            at += 1 + value.len();
        } else if name.is_empty() {
            return None;
        }
        match query.get(at) {
            None => {}
            Some(b'&') if at + 1 < query.len() => at += 1,
            Some(_) => return None,
        }
        if !in_order(previous, name) {
            return None;
        }
        previous = name;
        match role(name) {
            Role::Plain | Role::Canonical(_) => {}
            Role::Sealed => encodes_path |= sealed::holds_flag(value),
            Role::PathFlag if value != b"1" => {}
            Role::Other(_) | Role::Dropped | Role::PathFlag => return None,
        }
    }
    Some(encodes_path)
}

/// Whether `previous` sorts before `name`, or is the same. Nearly always, the first byte tells.
#[inline]
fn in_order(previous: &[u8], name: &[u8]) -> bool {
    match (previous.first(), name.first()) {
        (None, _) => true,
        (Some(one), Some(other)) if one != other => one < other,
        _ => previous <= name,
    }
}

/// Bytes that stay raw, in one table.
const STAYS_RAW: Class = OPERATION.and(b"+");

/// Where the settled bytes and escapes that start at `at` end.
#[inline]
fn skip_settled(text: &[u8], mut at: usize) -> usize {
    loop {
        let rest = &text[at..];
        match rest.iter().position(|&byte| !STAYS_RAW.contains(byte)) {
            None => return text.len(),
            Some(len) if rest[len] == b'%' && is_settled_escape(rest, len) => at += len + 3,
            Some(len) => return at + len,
        }
    }
}

#[inline]
fn is_settled_escape(text: &[u8], at: usize) -> bool {
    escape_at(text, at)
        .is_some_and(|byte| !OPERATION.contains(byte) && text[at..at + 3] == escaped(byte))
}

/// The long way: sorts and writes the query `text[start..]`.
fn rewrite<'t, T: Trace>(
    text: &'t [u8],
    start: usize,
    trace: &mut T,
) -> Result<Query<'t>, PathError> {
    // The pieces are kept on the stack, in an array that is hardly larger than needed.
    if !T::RECORDS {
        if let Some(query) = rewrite_in::<[Piece; FEW], T>(text, start, trace)? {
            return Ok(query);
        }
    }
    let query = rewrite_in::<[Piece; MAX_INPUT / 2], T>(text, start, trace)?;
    Ok(query.unwrap_or(Query { key: Cow::Borrowed("?"), encodes_path: false }))
}

/// As many parameters as honest requests have.
const FEW: usize = 24;

/// Nothing if there are more pieces than fit into the small array. The large one holds those of the longest input.
#[inline(never)]
fn rewrite_in<'t, A: Array<Item = Piece>, T: Trace>(
    text: &'t [u8],
    start: usize,
    trace: &mut T,
) -> Result<Option<Query<'t>>, PathError> {
    let mut pieces = SmallVec::<A>::new();
    let Some(cut) = Cut::of(text, start, &mut pieces, trace)? else { return Ok(None) };
    // Pieces of one name are ordered by where they stand, so this is stable; and unlike a stable sort it never allocates.
    pieces.sort_unstable_by(|a, b| a.cmp_names(b, text).then(a.start.cmp(&b.start)));
    if T::RECORDS {
        note_changes(text, &pieces, &cut, trace);
    }
    let in_order = pieces.is_sorted_by_key(|piece| piece.start);
    let key = if start == 1 && in_order && !cut.changes && !cut.renames() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(write(text, &pieces, &cut))
    };
    let key = ascii(key);
    if !in_order {
        trace.note(Rule::Order, text, key.as_bytes());
    }
    Ok(Some(Query { key, encodes_path: cut.encodes_path }))
}

/// One parameter: where it stands in the query, and what its name means.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// The first bytes of the canonical name, as a number that compares like them.
    prefix: u32,
    start: u16,
    name_end: u16,
    end: u16,
    role: Role,
    name_changes: bool,
    value_changes: bool,
}

impl Piece {
    fn name<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[usize::from(self.start)..usize::from(self.name_end)]
    }

    /// Compares the canonical names.
    #[inline]
    fn cmp_names(&self, other: &Self, text: &[u8]) -> Ordering {
        // A prefix that ends in a zero is the whole name; no name holds one.
        if self.prefix != other.prefix || self.prefix.trailing_zeros() >= 8 {
            return self.prefix.cmp(&other.prefix);
        }
        let (one, another) = (self.sort_name(text), other.sort_name(text));
        if self.name_changes || other.name_changes {
            settled(one).cmp(settled(another))
        } else {
            one.cmp(another)
        }
    }

    /// The name to sort by, if it is settled.
    fn sort_name<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        match self.role {
            Role::Other(row) => PARAMETERS[usize::from(row)].name.as_bytes(),
            _ => self.name(text),
        }
    }

    fn with_prefix(mut self, text: &[u8]) -> Self {
        let name = self.sort_name(text);
        let mut bytes = [0; 4];
        if self.name_changes {
            bytes.iter_mut().zip(settled(name)).for_each(|(to, from)| *to = from);
        } else {
            bytes.iter_mut().zip(name).for_each(|(to, from)| *to = *from);
        }
        self.prefix = u32::from_be_bytes(bytes);
        self
    }
}

/// What was seen while a query was cut into pieces.
#[derive(Default)]
struct Cut {
    /// The parameters that are there by their canonical name, and those by the other: one bit for each row of the table.
    seen: [u64; 2],
    /// At most how long the pieces are once written.
    longest: usize,
    /// Whether bytes have to be written otherwise, or pieces to be dropped.
    changes: bool,
    encodes_path: bool,
}

impl Cut {
    fn of<A: Array<Item = Piece>>(
        text: &[u8],
        start: usize,
        pieces: &mut SmallVec<A>,
        trace: &mut impl Trace,
    ) -> Result<Option<Self>, PathError> {
        let mut cut = Self { longest: "?".len(), ..Self::default() };
        let mut at = start;
        while at < text.len() {
            if text[at] == b'&' {
                // An empty piece.
                cut.changes = true;
                at += 1;
                continue;
            }
            if A::size() == FEW && pieces.len() == FEW {
                return Ok(None);
            }
            let name = Part::read(text, at, true)?;
            let has_value = text.get(name.end) == Some(&b'=');
            let value = Part::read(text, name.end + usize::from(has_value), false)?;
            cut.push(text, at, &name, &value, pieces, trace);
            // An ampersand at the end is followed by an empty piece.
            cut.changes |= value.end + 1 == text.len();
            at = value.end + 1;
        }
        Ok(Some(cut))
    }

    fn push<A: Array<Item = Piece>>(
        &mut self,
        text: &[u8],
        start: usize,
        name: &Part,
        value: &Part,
        pieces: &mut SmallVec<A>,
        trace: &mut impl Trace,
    ) {
        let value_text = &text[value.start..value.end];
        let role = role_of(&text[start..name.end], name.changes);
        match role {
            Role::Plain => {}
            Role::Canonical(row) => self.seen[0] |= 1 << row,
            Role::Other(row) => self.seen[1] |= 1 << row,
            Role::Sealed => self.encodes_path |= sealed::holds_flag(value_text),
            Role::PathFlag if !settled(value_text).eq([b'1']) => {}
            Role::Dropped | Role::PathFlag => {
                self.changes = true;
                self.encodes_path |= role == Role::PathFlag;
                trace.note(Rule::Dropped, &text[start..value.end], b"");
                return;
            }
        }
        self.changes |= name.changes || value.changes;
        self.longest += name.len + value.len + "=&".len();
        let [start, name_end, end] = [start, name.end, value.end].map(position);
        let piece = Piece {
            prefix: 0,
            start,
            name_end,
            end,
            role,
            name_changes: name.changes,
            value_changes: value.changes,
        };
        pieces.push(piece.with_prefix(text));
    }

    /// Whether the parameter of that row, found by its other name, is renamed. If it is there by both, it isn't known which of
    /// them is effective, and both stay.
    fn renames_row(&self, row: u8) -> bool {
        self.seen[0] >> row & 1 == 0
    }

    fn renames(&self) -> bool {
        self.seen[1] & !self.seen[0] != 0
    }
}

/// Positions are kept in 16 bits, so that all pieces fit on the stack. No text is longer: not the input, and not a key.
fn position(at: usize) -> u16 {
    at.try_into().unwrap_or(u16::MAX)
}

/// A name or a value.
struct Part {
    start: usize,
    end: usize,
    /// How long it is when settled.
    len: usize,
    /// Whether settling changes it.
    changes: bool,
}

impl Part {
    #[inline]
    fn read(text: &[u8], start: usize, is_name: bool) -> Result<Self, PathError> {
        let end = skip_settled(text, start);
        let part = Self { start, end, len: end - start, changes: false };
        match text.get(end) {
            None | Some(b'&') => Ok(part),
            Some(b'=') if is_name => Ok(part),
            Some(_) => part.read_on(text, is_name),
        }
    }

    /// Goes on behind bytes that are settled.
    fn read_on(mut self, text: &[u8], is_name: bool) -> Result<Self, PathError> {
        self.changes = true;
        let mut at = self.end;
        while let Some(&byte) = text.get(at) {
            if byte == b'&' || (is_name && byte == b'=') {
                break;
            }
            let (unit, read) = unit(text, at).ok_or(Fault::InvalidEscape.at(at))?;
            self.len += if matches!(unit, Unit::Raw(_)) { 1 } else { 3 };
            at += read;
        }
        self.end = at;
        Ok(self)
    }
}

fn role_of(name: &[u8], changes: bool) -> Role {
    if !changes {
        return role(name);
    }
    // No special name is longer.
    let start: SmallVec<[u8; 16]> = settled(name).take(16).collect();
    role(&start)
}

/// Notes what becomes of each piece.
fn note_changes(text: &[u8], pieces: &[Piece], cut: &Cut, trace: &mut impl Trace) {
    for piece in pieces {
        let mut out = Vec::new();
        write_piece(text, piece, cut, &mut out);
        let renamed = matches!(piece.role, Role::Other(row) if cut.renames_row(row));
        let rule = if renamed { Rule::ParameterName } else { Rule::ParameterEscapes };
        trace.note(rule, &text[usize::from(piece.start)..usize::from(piece.end)], &out);
    }
}

fn write_piece(text: &[u8], piece: &Piece, cut: &Cut, out: &mut Vec<u8>) {
    let (name_end, end) = (usize::from(piece.name_end), usize::from(piece.end));
    let settled_from = match piece.role {
        Role::Other(row) if cut.renames_row(row) => {
            out.extend_from_slice(PARAMETERS[usize::from(row)].name.as_bytes());
            name_end
        }
        _ if piece.name_changes => {
            write_settled(piece.name(text), out);
            name_end
        }
        _ => usize::from(piece.start),
    };
    if piece.value_changes {
        let value_start = name_end + "=".len();
        out.extend_from_slice(&text[settled_from..value_start]);
        write_settled(&text[value_start..end], out);
    } else {
        out.extend_from_slice(&text[settled_from..end]);
    }
}

fn write(text: &[u8], pieces: &[Piece], cut: &Cut) -> Vec<u8> {
    let mut out = Vec::with_capacity(cut.longest);
    for piece in pieces {
        out.push(if out.is_empty() { b'?' } else { b'&' });
        write_piece(text, piece, cut, &mut out);
    }
    if out.is_empty() {
        out.push(b'?');
    }
    out
}

/// What becomes of a byte or an escape of a name or a value.
#[derive(Clone, Copy)]
enum Unit {
    Raw(u8),
    Escape(u8),
}

/// The unit that starts at `at`, and how many bytes of the text it takes; nothing if the escape is bad.
#[inline]
fn unit(text: &[u8], at: usize) -> Option<(Unit, usize)> {
    match text[at] {
        byte if stays_raw(byte) => Some((Unit::Raw(byte), 1)),
        b'%' => escape_at(text, at).map(|byte| {
            (if OPERATION.contains(byte) { Unit::Raw(byte) } else { Unit::Escape(byte) }, 3)
        }),
        byte => Some((Unit::Escape(byte), 1)),
    }
}

fn write_settled(text: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while at < text.len() {
        let end = skip_settled(text, at);
        out.extend_from_slice(&text[at..end]);
        at = end;
        if at < text.len() {
            let (unit, read) = unit(text, at).unwrap_or((Unit::Escape(text[at]), 1));
            match unit {
                Unit::Raw(byte) => out.push(byte),
                Unit::Escape(byte) => out.extend_from_slice(&escaped(byte)),
            }
            at += read;
        }
    }
}

/// The bytes that [`write_settled`] writes.
fn settled(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut at = 0;
    let (mut digits, mut left) = ([0; 2], 0);
    std::iter::from_fn(move || {
        if left > 0 {
            left -= 1;
            return Some(digits[1 - left]);
        }
        let (unit, read) = (at < text.len()).then(|| unit(text, at))??;
        at += read;
        match unit {
            Unit::Raw(byte) => Some(byte),
            Unit::Escape(byte) => {
                let [percent, high, low] = escaped(byte);
                (digits, left) = ([high, low], 2);
                Some(percent)
            }
        }
    })
}
