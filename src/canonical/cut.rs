//! Cuts a query into pieces.
//!
//! Invariant: pieces stand in the order of the text; empty ones are left out, and those that change nothing.
//! Not here: the spelling of names and values. A name is taken as it stands, settled or not; `query` sees to that.
//!
//! A loop that runs to the end of each name and each value would be mispredicted twice a parameter; so all ends are known before, see
//! `scan`.

use super::bytes::{escape_at, is_operation};
use super::parameters::{PARAMETERS, Role, meaning, role};
use super::scan::{self, PLACES, any, count, places};
use super::sealed;
use std::ops::Range;

/// One parameter: where it stands in the query, and what it is sorted by.
///
/// From the highest bit to the lowest: the first eight bytes of its canonical name, or `UNKNOWN`;
/// where it starts, where its name and where it ends; whether its value is odd; the row of the
/// table that its other name belongs to, plus one. As numbers, pieces are in the order of these
/// eight bytes and, where they are the same, in that of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Piece(u128);

/// The bit beside the row that marks values in which something may have to change.
const ODD: usize = 0x100;

impl Piece {
    #[inline]
    fn new(key: u64, start: usize, name_end: usize, end: usize, row: u64) -> Self {
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
        (self.field(0) & 0xFF).checked_sub(1)
    }

    /// Whether something in its value may have to change; known of texts that were looked at.
    #[inline]
    pub(super) fn is_odd(self) -> bool {
        self.field(0) & ODD > 0
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

/// Whether every byte separates, or stays as it is, if no equals sign stands in a value.
#[inline]
pub(super) fn is_raw_text(query: &[u8]) -> bool {
    !any(query, |byte| !is_raw(byte))
}

#[inline]
#[expect(clippy::needless_bitwise_bool, reason = "see `any`")]
fn is_raw(byte: u8) -> bool {
    is_operation(byte) | (byte == b'&') | (byte == b'=')
}

/// What was seen while a query was cut into pieces.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a different thing that was seen")]
pub(super) struct Cut {
    /// Whether the pieces are not in order.
    pub(super) out_of_order: bool,
    /// Whether an empty piece or a parameter that changes nothing was left out.
    pub(super) leaves_out: bool,
    /// The parameters that are there by their other name, one bit for each row of the table.
    others: u64,
    /// Those with two names that are there by their canonical one.
    canonicals: u64,
    /// Whether there are equals signs in values, or, in a text that was looked at, question marks.
    pub(super) has_inner_equals: bool,
    /// Whether there is an odd value.
    pub(super) has_odd_value: bool,
    /// Whether the path is percent-encoded as a whole.
    pub(super) encodes_path: bool,
    /// The piece before the next one.
    last: Piece,
}

impl Cut {
    /// Cuts `text[start..]`; gives the pieces. Nothing if they are more than there is room for.
    pub(super) fn of<'p>(
        text: &[u8],
        start: usize,
        pieces: &'p mut [Piece],
    ) -> Option<(Self, &'p mut [Piece])> {
        let mut cut = Self::default();
        let (mut from, mut count, mut name_end) = (start, 0, usize::MAX);
        for base in (start..=text.len()).step_by(PLACES) {
            let [mut equals, mut ends] = places(text, base, [b'=', b'&']);
            // The end of the text ends a piece.
            if text.len() - base < PLACES {
                ends |= 1 << (text.len() - base);
            }
            while ends != 0 {
                let first = ends.trailing_zeros();
                let end = base + first as usize;
                if from == end {
                    // Empty pieces.
                    let run = (ends >> first).trailing_ones();
                    ends &= u64::MAX.checked_shl(first + run).unwrap_or(0);
                    from += run as usize;
                    cut.leaves_out = true;
                    continue;
                }
                let before = !ends & (ends - 1);
                cut.has_inner_equals |= is_named(&mut name_end, base, equals & before);
                equals &= !before;
                ends &= ends - 1;
                if let Some(piece) = cut.piece(text, from, name_end.min(end), end) {
                    *pieces.get_mut(count)? = piece;
                    count += 1;
                }
                (from, name_end) = (end + 1, usize::MAX);
            }
            cut.has_inner_equals |= is_named(&mut name_end, base, equals);
        }
        Some((cut, &mut pieces[..count]))
    }

    /// The same for a text that was looked at: `places` are those of all ampersands and equals signs, and of anything else that may have
    /// to change. Nothing, too, if that is in a name, or anywhere in a parameter that changes nothing.
    #[inline]
    pub(super) fn seen<'p>(
        text: &[u8],
        start: usize,
        mut places: impl Iterator<Item = usize>,
        pieces: &'p mut [Piece],
    ) -> Option<(Self, &'p mut [Piece])> {
        let mut cut = Self::default();
        let len = text.len();
        // The end of the text ends a piece.
        let mut next = move || places.next().unwrap_or(len);
        let (mut from, mut count) = (start, 0);
        while from < len {
            let mut name_end = next();
            // Empty pieces.
            while name_end == from && text.get(from) == Some(&b'&') {
                cut.leaves_out = true;
                from += 1;
                name_end = next();
            }
            if from == len {
                break;
            }
            let (mut end, mut is_odd) = (name_end, false);
            match text.get(name_end) {
                None | Some(b'&') => {}
                Some(b'=') => {
                    end = next();
                    while let Some(&byte) = text.get(end).filter(|&&byte| byte != b'&') {
                        let separates = byte == b'=' || byte == b'?';
                        cut.has_inner_equals |= separates;
                        is_odd |= !separates;
                        end = next();
                    }
                }
                Some(_) => return None,
            }
            match cut.piece(text, from, name_end, end) {
                None if is_odd => return None,
                None => {}
                Some(mut piece) => {
                    if is_odd {
                        cut.has_odd_value = true;
                        piece.0 |= ODD as u128;
                    }
                    *pieces.get_mut(count)? = piece;
                    count += 1;
                }
            }
            from = end + 1;
        }
        // So is an empty piece behind an ampersand at the end.
        cut.leaves_out |= from == len && from > start;
        Some((cut, &mut pieces[..count]))
    }

    /// The parameter `text[start..end]`, unless it is one of those that change nothing.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call takes as long as what it does")]
    fn piece(&mut self, text: &[u8], start: usize, name_end: usize, end: usize) -> Option<Piece> {
        let meaning = meaning(key(text, start, name_end), &text[start..name_end]);
        if meaning.acts && !self.is_kept(&text[start..end], name_end - start) {
            self.leaves_out = true;
            return None;
        }
        self.others |= meaning.others;
        self.canonicals |= meaning.canonicals;
        let key = meaning.rank;
        let piece = Piece::new(key, start, name_end, end, meaning.row);
        // Whether the next name is smaller can't be foretold, so no branch depends on it.
        self.out_of_order |= self.last.key() > key;
        if self.last.key() == key && piece.goes_on() {
            self.out_of_order |= self.last.sort_name(text) > piece.sort_name(text);
        }
        self.last = piece;
        Some(piece)
    }

    /// How much longer a key can become than it looks: equals signs in values are written as escapes.
    pub(super) fn room(&self, text: &[u8]) -> usize {
        if self.has_inner_equals { 2 * count(text, |byte| byte == b'=') } else { 0 }
    }

    /// Whether a parameter that has to be acted on stays.
    fn is_kept(&mut self, piece: &[u8], name_len: usize) -> bool {
        let value = piece.get(name_len + 1..).unwrap_or_default();
        match role(&piece[..name_len]) {
            Role::Dropped => false,
            Role::PathFlag if is_one(value) => {
                self.encodes_path = true;
                false
            }
            Role::Sealed => {
                self.encodes_path |= sealed::holds_flag(value);
                true
            }
            _ => true,
        }
    }

    /// Which of the parameters that are there by their other name are renamed. If one is there by both, it isn't known which of them
    /// is effective, and both stay.
    #[inline]
    pub(super) fn renamed(&self) -> u64 {
        self.others & !self.canonicals
    }
}

/// Sets the end of a name to the first of the equals signs, if it isn't set; says whether there are more.
#[inline]
fn is_named(name_end: &mut usize, base: usize, equals: u64) -> bool {
    if equals == 0 {
        return false;
    }
    let is_first = *name_end == usize::MAX;
    if is_first {
        *name_end = base + equals.trailing_zeros() as usize;
    }
    !is_first || equals & (equals - 1) != 0
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
    fn what_changes_nothing_is_told_by_name_and_value() {
        for (piece, dropped) in [
            ("ci_sign", true),
            ("ci_sign=", true),
            ("ci_sign=abc", true),
            ("ci_url_encoded=1", true),
            ("ci_url_encoded=%31", true),
            ("ci_url_encoded=%32", false),
            ("ci_url_encoded=abc", false),
            ("ci_url_encoded=11", false),
            ("ci_url_encoded", false),
            ("w=1", false),
        ] {
            let is_dropped = is_dropped(piece.as_bytes(), piece.find('='));
            assert_eq!(is_dropped, dropped, "{piece}");
        }
    }

    #[test]
    fn names_are_compared_beyond_their_first_eight_bytes_unless_they_are_unknown() {
        for (text, expected) in [
            ("?wat_font&wat_fontsize", false),
            ("?wat_fontsize&wat_font", true),
            ("?bg_color&bg_colourise", false),
            ("?bg_colourise&bg_colour", true),
            ("?bg_colorize&bg_colourise", false),
            ("?wat_text&wat_font", true),
            ("?aaaaaaaab&aaaaaaaaa", false),
            ("?b&a", false),
            ("?w&a", false),
            ("?a&w", true),
            ("?zz&w", true),
        ] {
            let mut pieces = [Piece::default(); 2];
            let (cut, _) = Cut::of(text.as_bytes(), 1, &mut pieces).unwrap();
            assert_eq!(cut.out_of_order, expected, "{text}");
        }
    }

    #[test]
    fn equals_signs_in_values_take_room_for_their_escapes() {
        let plain = Cut::default();
        let inner = Cut { has_inner_equals: true, ..Cut::default() };
        assert_eq!((plain.room(b"a=b=c=d"), inner.room(b"a=b=c=d")), (0, 6));
    }

    #[test]
    fn pieces_are_found_wherever_blocks_end() {
        for len in 1..200 {
            let text = format!("?{}=1&b=2", "a".repeat(len));
            let mut pieces = [Piece::default(); 4];
            let (cut, pieces) = Cut::of(text.as_bytes(), 1, &mut pieces).unwrap();
            assert!(!cut.out_of_order && !cut.leaves_out && !cut.has_inner_equals);
            let found: Vec<_> = pieces.iter().map(|piece| (piece.name(), piece.value())).collect();
            let expected = [(1..len + 1, len + 2..len + 3), (len + 4..len + 5, len + 6..len + 7)];
            assert_eq!(found, expected);
        }
    }
}
