//! Cuts a query into pieces.
//!
//! Invariant: pieces stand in the order of the text; empty ones are left out, and those that change nothing.
//! Not here: the spelling of names and values. A name is taken as it stands, settled or not; `query` sees to that.
//!
//! A loop that runs to the end of each name and each value would be mispredicted twice a parameter; see `scan`.

use super::bytes::{escape_at, is_operation};
use super::parameters::{PADDED, PARAMETERS, Role, acts, role};
use super::scan::{self, any, count, find, places};
use super::sealed;
use smallvec::{Array, SmallVec};
use std::ops::Range;

/// One parameter: where it stands in the query, and what it is sorted by.
///
/// From the highest bit to the lowest: the first eight bytes of its canonical name; where it starts, where its name and where it
/// ends; the row of the table that its other name belongs to, plus one. As numbers, pieces are in the order of these eight bytes
/// and, where they are the same, in that of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Piece(u128);

impl Piece {
    #[inline]
    fn new(text: &[u8], start: usize, name_end: usize, end: usize, row: Option<u8>) -> Self {
        let key = match row {
            None => key(text, start, name_end),
            Some(row) => key(&PADDED[usize::from(row)], 0, PADDED[0].len()),
        };
        let row = row.map_or(0, |row| u64::from(row) + 1);
        // No text is longer than a position can say: not the input, and not a key that was made from it.
        let low = (start as u64) << 48 | (name_end as u64) << 32 | (end as u64) << 16 | row;
        Self(u128::from(key) << 64 | u128::from(low))
    }

    #[inline]
    fn field(self, shift: u32) -> usize {
        (self.0 >> shift) as usize & 0xFFFF
    }

    /// The first eight bytes that it is sorted by.
    #[inline]
    pub(super) fn key(self) -> u64 {
        (self.0 >> 64) as u64
    }

    /// Sorts it by other eight bytes.
    pub(super) fn set_key(&mut self, key: u64) {
        self.0 = u128::from(key) << 64 | (self.0 & u128::from(u64::MAX));
    }

    #[inline]
    pub(super) fn start(self) -> usize {
        self.field(48)
    }

    #[inline]
    pub(super) fn name(self) -> Range<usize> {
        self.start()..self.field(32)
    }

    /// The value, without its equals sign.
    #[inline]
    pub(super) fn value(self) -> Range<usize> {
        let (name_end, end) = (self.field(32), self.end());
        (name_end + "=".len()).min(end)..end
    }

    #[inline]
    pub(super) fn end(self) -> usize {
        self.field(16)
    }

    /// The parameter that it is the other name of.
    #[inline]
    pub(super) fn row(self) -> Option<usize> {
        self.field(0).checked_sub(1)
    }

    /// The name that it is sorted by.
    #[inline]
    pub(super) fn sort_name(self, text: &[u8]) -> &[u8] {
        match self.row() {
            Some(row) => PARAMETERS[row].name.as_bytes(),
            None => &text[self.name()],
        }
    }

    /// Whether its name may go on behind what it is sorted by. Otherwise, that ends in a zero, and no name holds one.
    #[inline]
    pub(super) fn goes_on(self) -> bool {
        self.key() & 0xFF != 0
    }

    /// Whether it comes before `next`, which stands behind it and is sorted by the same bytes.
    fn ties(self, next: Self, text: &[u8]) -> bool {
        !self.goes_on() || self.sort_name(text) <= next.sort_name(text)
    }
}

/// Up to eight bytes of `text[start..end]`, as a number that compares like them.
#[inline]
pub(super) fn key(text: &[u8], start: usize, end: usize) -> u64 {
    key_of(scan::word(text, start), end - start)
}

/// The first `len` bytes of a word, likewise.
#[inline]
pub(super) fn key_of(word: u64, len: usize) -> u64 {
    let key = word.swap_bytes();
    if len < 8 { key & !(u64::MAX >> (8 * len)) } else { key }
}

/// All places from the `len`th on.
#[inline]
fn from_place(len: usize) -> u64 {
    u32::try_from(len).ok().and_then(|len| u64::MAX.checked_shl(len)).unwrap_or(0)
}

/// Whether a byte separates, or stays as it is.
#[inline]
#[expect(clippy::needless_bitwise_bool, reason = "see `any`")]
fn is_raw(byte: u8) -> bool {
    is_operation(byte) | (byte == b'&') | (byte == b'=')
}

/// What was seen while a query was cut into pieces.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a different thing that was seen")]
pub(super) struct Cut {
    /// Whether every byte separates, or stays as it is.
    is_raw: bool,
    /// Whether the pieces are in order.
    pub(super) in_order: bool,
    /// Whether an empty piece or a parameter that changes nothing was left out.
    pub(super) leaves_out: bool,
    /// The parameters that are there by their other name, one bit for each row of the table.
    pub(super) others: u64,
    /// Whether there are equals signs in values.
    pub(super) has_inner_equals: bool,
    /// Whether the path is percent-encoded as a whole.
    pub(super) encodes_path: bool,
}

impl Cut {
    /// Cuts `text[start..]`, which is not empty; nothing if there are more pieces than `limit`.
    #[inline]
    pub(super) fn of<A: Array<Item = Piece>>(
        text: &[u8],
        start: usize,
        limit: usize,
        pieces: &mut SmallVec<A>,
    ) -> Option<Self> {
        let mut cut = Self {
            is_raw: !any(&text[start..], |byte| !is_raw(byte)),
            in_order: true,
            leaves_out: false,
            others: 0,
            has_inner_equals: false,
            encodes_path: false,
        };
        let mut from = start;
        while from < text.len() {
            let [equals, mut ends] = places(text, from, [b'=', b'&']);
            // The end of the text ends a piece.
            let behind = from_place(text.len() - from);
            ends |= behind & behind.wrapping_neg();
            if ends == 0 {
                if pieces.len() == limit {
                    return None;
                }
                from = cut.push_long(text, from, pieces);
            }
            let base = from;
            while ends != 0 {
                let empty = (ends >> (from - base)).trailing_ones() as usize;
                if empty > 0 {
                    // Empty pieces.
                    cut.leaves_out = true;
                    from += empty;
                    ends &= from_place(from - base);
                    continue;
                }
                if pieces.len() == limit {
                    return None;
                }
                let end = ends.trailing_zeros();
                ends &= ends - 1;
                let in_piece = equals & (u64::MAX << (from - base)) & !(u64::MAX << end);
                let name_end = in_piece.trailing_zeros().min(end);
                cut.has_inner_equals |= in_piece & in_piece.wrapping_sub(1) != 0;
                let [name_end, end] = [name_end, end].map(|at| base + at as usize);
                cut.push(text, from..name_end, end, pieces);
                from = end + 1;
            }
        }
        // So is one behind an ampersand at the end.
        cut.leaves_out |= from == text.len() && from > start;
        Some(cut)
    }

    /// A piece that is longer than [`PLACES`].
    #[cold]
    fn push_long<A: Array<Item = Piece>>(
        &mut self,
        text: &[u8],
        start: usize,
        pieces: &mut SmallVec<A>,
    ) -> usize {
        let find_in =
            |from: usize, to: usize, byte| find(&text[from..to], byte).map_or(to, |at| from + at);
        let end = find_in(start, text.len(), b'&');
        let name_end = find_in(start, end, b'=');
        self.has_inner_equals |= name_end < end && find_in(name_end + 1, end, b'=') < end;
        self.push(text, start..name_end, end, pieces);
        end + 1
    }

    #[inline]
    fn push<A: Array<Item = Piece>>(
        &mut self,
        text: &[u8],
        name: Range<usize>,
        end: usize,
        pieces: &mut SmallVec<A>,
    ) {
        let (start, name_end) = (name.start, name.end);
        let name = &text[name];
        let mut row = None;
        if acts(name) {
            let value = text.get(name_end + 1..end).unwrap_or_default();
            match role(name) {
                Role::Plain | Role::Canonical(_) => {}
                Role::Other(of) => {
                    row = Some(of);
                    self.others |= 1 << of;
                }
                Role::Sealed => self.encodes_path |= sealed::holds_flag(value),
                Role::PathFlag if !is_one(value) => {}
                role @ (Role::Dropped | Role::PathFlag) => {
                    self.encodes_path |= role == Role::PathFlag;
                    self.leaves_out = true;
                    return;
                }
            }
        }
        let piece = Piece::new(text, start, name_end, end, row);
        if let Some(previous) = pieces.last().filter(|_| self.in_order) {
            let (one, next) = (previous.key(), piece.key());
            self.in_order = one < next || (one == next && previous.ties(piece, text));
        }
        pieces.push(piece);
    }

    /// Whether the query is its own canonical form at a glance. It may say no of one that is; a closer look finds out.
    #[inline]
    pub(super) fn is_canonical(&self) -> bool {
        self.is_raw() && self.in_order && !self.leaves_out && self.others == 0
    }

    /// Whether every byte stays as it is.
    #[inline]
    pub(super) fn is_raw(&self) -> bool {
        self.is_raw && !self.has_inner_equals
    }

    /// How much longer a key can become than it looks: equals signs in values are written as escapes.
    pub(super) fn room(&self, text: &[u8]) -> usize {
        if self.has_inner_equals { 2 * count(text, |byte| byte == b'=') } else { 0 }
    }

    /// Which of the parameters that are there by their other name are renamed. If one is there by both, it isn't known which of them
    /// is effective, and both stay.
    pub(super) fn renamed(&self, text: &[u8], pieces: &[Piece]) -> u64 {
        let mut renamed = self.others;
        let mut others = self.others;
        while others != 0 {
            let row = others.trailing_zeros();
            others &= others - 1;
            let padded = &PADDED[row as usize];
            let key = key(padded, 0, padded.len());
            let is_canonical = |piece: &Piece| {
                piece.key() == key
                    && piece.row().is_none()
                    && text[piece.name()] == *PARAMETERS[row as usize].name.as_bytes()
            };
            if pieces.iter().any(is_canonical) {
                renamed &= !(1 << row);
            }
        }
        renamed
    }
}

/// Whether a piece is one of those that change nothing.
pub(super) fn is_dropped(piece: &[u8], name_end: Option<usize>) -> bool {
    let (name, value) = match name_end {
        Some(at) => (&piece[..at], &piece[at + 1..]),
        None => (piece, &piece[..0]),
    };
    match role(name) {
        Role::Dropped => true,
        Role::PathFlag => is_one(value),
        _ => false,
    }
}

/// Whether a value is `1`, in any spelling.
fn is_one(value: &[u8]) -> bool {
    value == b"1" || (value.len() == 3 && escape_at(value, 0) == Some(b'1'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_compare_like_their_bytes() {
        let text = b"abcdefghijklm";
        for start in 0..text.len() {
            for end in start..text.len() {
                let mut first = [0; 8];
                let bytes = &text[start..end.min(start + 8)];
                first[..bytes.len()].copy_from_slice(bytes);
                assert_eq!(key(text, start, end), u64::from_be_bytes(first), "{start}..{end}");
            }
        }
        assert_eq!(key(b"ab", 1, 2), u64::from(b'b') << 56);
    }

    #[test]
    fn pieces_are_found_wherever_blocks_end() {
        for len in 1..200 {
            let text = format!("?{}=1&b=2", "a".repeat(len));
            let mut pieces = SmallVec::<[Piece; 4]>::new();
            let cut = Cut::of(text.as_bytes(), 1, 4, &mut pieces).unwrap();
            assert!(cut.is_canonical());
            let found: Vec<_> = pieces.iter().map(|piece| (piece.name(), piece.value())).collect();
            let expected = [(1..len + 1, len + 2..len + 3), (len + 4..len + 5, len + 6..len + 7)];
            assert_eq!(found, expected);
        }
    }
}
