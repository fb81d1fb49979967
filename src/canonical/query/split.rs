//! The tokenizer: splits a query into its parameters.
//!
//! Invariant: pieces are in the order of the text. Empty pieces and parameters without effect are
//! left out. Not here: the spelling of names and values. A name is used without a change,
//! normalized or not; `query` handles that.
//!
//! A loop that runs to the end of each name and each value would be mispredicted twice per
//! parameter. So the caller finds all separators first, see `scan`.

use super::super::text::bytes::escape_at;
use super::parameters::{Effect, Meaning, meaning};
use super::sealed_flag;
use std::ops::Range;

/// The highest number of parameters in the query of one delivery URL, empty ones not counted.
///
/// The table knows 56 parameters, and the longest documented URL has about a dozen. The limit
/// bounds the memory and the time that a query takes: without one, 8 KB of parameters of one letter
/// take 28 times as long as an honest URL of 1 KB.
pub const MAX_PARAMETERS: usize = 256;

/// One parameter, as a number. From the highest bit to the lowest: the row of its name, its start,
/// the end of its name, its end, whether its value is odd, and the flags of its meaning. As
/// numbers, pieces are in the order of a key: by row, and within one row in the order of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::canonical) struct Piece(u64);

impl Piece {
    const START: u32 = 41;
    const NAME_END: u32 = 24;
    const END: u32 = 7;
    /// The longest text results from text that claims to be canonical, if each of its bytes becomes
    /// an escape.
    const POSITION: u64 = 0x1_FFFF;
    const ODD: u64 = 1 << 2;

    #[inline]
    fn new(meaning: Meaning, start: usize, name_end: usize, end: usize, is_odd: bool) -> Self {
        debug_assert!(end as u64 <= Self::POSITION, "{end}");
        let positions = (start as u64) << Self::START
            | (name_end as u64) << Self::NAME_END
            | (end as u64) << Self::END;
        Self(meaning.0 | positions | (u64::from(is_odd) * Self::ODD))
    }

    #[inline]
    fn field(self, shift: u32) -> usize {
        ((self.0 >> shift) & Self::POSITION) as usize
    }

    #[inline]
    pub(in crate::canonical) fn start(self) -> usize {
        self.field(Self::START)
    }

    #[inline]
    pub(in crate::canonical) fn end(self) -> usize {
        self.field(Self::END)
    }

    #[inline]
    pub(in crate::canonical) fn name(self) -> Range<usize> {
        self.start()..self.field(Self::NAME_END)
    }

    /// Returns the position of the value, without its equals sign.
    #[inline]
    pub(in crate::canonical) fn value(self) -> Range<usize> {
        let (name_end, end) = (self.field(Self::NAME_END), self.end());
        (name_end + "=".len()).min(end)..end
    }

    /// Returns the row of the parameter in the table as one bit, with one more bit for unknown
    /// parameters.
    #[inline]
    fn row_bit(self) -> u64 {
        1 << (self.0 >> Meaning::ROW)
    }

    /// Returns the canonical name, if the parameter is an alias and among `renamed`.
    #[inline]
    pub(in crate::canonical) fn new_name(self, renamed: u64) -> Option<&'static [u8]> {
        (self.is_alias() && renamed & self.row_bit() != 0)
            .then(|| Meaning(self.0).parameter().name().as_bytes())
    }

    #[inline]
    fn is_alias(self) -> bool {
        self.0 & Meaning::ALIAS != 0
    }

    /// Returns whether there is a mark in its value: a byte that may have to change.
    #[inline]
    pub(in crate::canonical) fn is_odd(self) -> bool {
        self.0 & Self::ODD != 0
    }
}

/// The findings of a split: the union of the bits of all pieces, and the bits below.
#[derive(Clone, Copy, Debug)]
pub(in crate::canonical) struct Split(u64);

impl Split {
    /// There is a mark in the value of a piece.
    pub(in crate::canonical) const ODD_VALUE: u64 = Piece::ODD;
    /// The pieces are not in the order of a key.
    pub(in crate::canonical) const OUT_OF_ORDER: u64 = 1 << 3;
    /// An empty piece or a parameter without effect was left out.
    const LEAVES_OUT: u64 = 1 << 4;
    /// There is a mark in a name, or in the value of a parameter that was left out.
    pub(in crate::canonical) const ODD_REST: u64 = 1 << 5;
    /// The path is percent-encoded as a whole.
    pub(in crate::canonical) const ENCODES_PATH: u64 = 1 << 6;
    /// A piece is left out, or has another position in the key.
    pub(in crate::canonical) const REORDERS: u64 = Self::OUT_OF_ORDER | Self::LEAVES_OUT;
    /// The key may differ from the query: without these bits, it has neither a mark nor an alias.
    pub(in crate::canonical) const CHANGES: u64 =
        Self::REORDERS | Self::ODD_VALUE | Self::ODD_REST | Meaning::ALIAS;

    /// Splits `text[start..]`. Also returns the pieces, or the start of the first piece that
    /// exceeds `room`. Dropped parameters also count; empty pieces do not.
    ///
    /// `marks` are the positions of all ampersands and equals signs from `start` on. Other marks
    /// may be among them and make a name or a value odd. An equals sign in a value does so as well.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "nearly a tenth of the time of a canonical request")]
    pub(in crate::canonical) fn of<'r>(
        text: &[u8],
        start: usize,
        mut marks: impl Iterator<Item = usize>,
        room: &'r mut [Piece],
    ) -> Result<(Self, &'r mut [Piece]), usize> {
        let mut next = move || marks.next().unwrap_or(text.len());
        let (mut from, mut seen, mut kept, mut last, mut places) = (start, 0, 0, 0, room.len());
        while from < text.len() {
            let mark = next();
            if mark == from && text[from] == b'&' {
                seen |= Self::LEAVES_OUT;
                from += 1;
                continue;
            }
            let ends_name = |byte| matches!(byte, b'&' | b'=');
            let (name_end, is_odd) = end_of(text, mark, &mut next, ends_name);
            seen |= u64::from(is_odd) * Self::ODD_REST;
            let has_value = text.get(name_end) == Some(&b'=');
            let mark = if has_value { next() } else { name_end };
            let (end, is_odd) = end_of(text, mark, &mut next, |byte| byte == b'&');
            let meaning = meaning(text, from, name_end);
            if kept == places {
                return Err(from);
            }
            let piece = Piece::new(meaning, from, name_end, end, is_odd);
            from = end + 1;
            if meaning.is_special() {
                let special = special(meaning, &text[piece.value()]);
                seen |= special;
                if special & Self::LEAVES_OUT != 0 {
                    seen |= u64::from(is_odd) * Self::ODD_REST;
                    places -= 1;
                    continue;
                }
            }
            // Whether the next piece is smaller cannot be predicted, so no branch depends on it.
            seen |= piece.0 | (u64::from(piece.0 < last) * Self::OUT_OF_ORDER);
            (room[kept], last) = (piece, piece.0);
            kept += 1;
        }
        // An ampersand at the end is followed by an empty piece.
        seen |= u64::from(from == text.len() && from > start) * Self::LEAVES_OUT;
        Ok((Self(seen), &mut room[..kept]))
    }

    /// Returns whether any of these bits is set.
    #[inline]
    pub(in crate::canonical) fn has(self, bits: u64) -> bool {
        self.0 & bits != 0
    }

    /// Returns the parameters that get their canonical name instead of their alias, one bit each.
    /// If a parameter occurs by both names, it is not known which is effective, and both stay.
    #[inline]
    pub(in crate::canonical) fn renamed(self, pieces: &[Piece]) -> u64 {
        if !self.has(Meaning::ALIAS) {
            return 0;
        }
        let (mut aliases, mut canonicals) = (0, 0);
        for piece in pieces {
            aliases |= piece.row_bit() * u64::from(piece.is_alias());
            canonicals |= piece.row_bit() * u64::from(!piece.is_alias());
        }
        aliases & !canonicals
    }
}

/// Returns the first mark from `at` on that ends a part of a parameter, and whether there are marks
/// before it.
#[inline(always)]
#[expect(clippy::inline_always, reason = "see `Split::of`")]
fn end_of(
    text: &[u8],
    mut at: usize,
    next: &mut impl FnMut() -> usize,
    ends: impl Fn(u8) -> bool,
) -> (usize, bool) {
    let mut is_odd = false;
    while text.get(at).is_some_and(|&byte| !ends(byte)) {
        is_odd = true;
        at = next();
    }
    (at, is_odd)
}

/// Returns the findings for a special parameter with that value.
fn special(meaning: Meaning, value: &[u8]) -> u64 {
    match meaning.parameter().effect {
        Some(Effect::Signature) => Split::LEAVES_OUT,
        Some(Effect::PathEncoding) if is_one(value) => Split::LEAVES_OUT | Split::ENCODES_PATH,
        Some(Effect::Sealed) if sealed_flag::holds_flag(value) => Split::ENCODES_PATH,
        _ => 0,
    }
}

/// Returns whether a value is `1`, in any spelling.
fn is_one(value: &[u8]) -> bool {
    value == b"1" || (value.len() == 3 && escape_at(value, 0) == Some(b'1'))
}

/// Returns the parameters of a canonical key, including those of nested delivery URLs: the name,
/// and the rest.
pub(in crate::canonical) fn parameters_of_key(key: &str) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pieces = key.as_bytes().split(|&byte| matches!(byte, b'?' | b'&'));
    pieces.filter(|piece| !piece.is_empty()).map(|piece| {
        let len = piece.iter().position(|&byte| byte == b'=').unwrap_or(piece.len());
        piece.split_at(len)
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::text::scan::separators;
    use super::*;

    fn split(text: &str) -> (Split, Vec<Piece>) {
        let mut room = [Piece::default(); MAX_PARAMETERS];
        let marks = separators(text.as_bytes(), 1);
        let (split, pieces) = Split::of(text.as_bytes(), 1, marks, &mut room).unwrap();
        (split, pieces.to_vec())
    }

    #[test]
    fn parameters_that_change_nothing_are_left_out() {
        for (piece, kept) in [
            ("ci_sign", 0),
            ("ci_sign=", 0),
            ("ci_sign=abc", 0),
            ("ci_url_encoded=1", 0),
            ("ci_url_encoded=%31", 0),
            ("ci_url_encoded=%32", 1),
            ("ci_url_encoded=abc", 1),
            ("ci_url_encoded=11", 1),
            ("ci_url_encoded", 1),
            ("w=1", 1),
        ] {
            let (split, pieces) = split(&format!("?{piece}"));
            assert_eq!((pieces.len(), split.has(Split::REORDERS)), (kept, kept == 0), "{piece}");
            assert_eq!(
                split.has(Split::ENCODES_PATH),
                kept == 0 && piece.starts_with("ci_url"),
                "{piece}"
            );
        }
    }

    #[test]
    fn known_names_are_in_order_and_unknown_ones_follow_as_they_stand() {
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
            assert_eq!(split(text).0.has(Split::OUT_OF_ORDER), expected, "{text}");
        }
    }

    #[test]
    fn sorted_pieces_are_in_the_order_of_a_key() {
        let text = "?z=2&wat_fontsize=1&z=1&width=4&wat_font=2&a&w=1&wat_font=1";
        let mut pieces = split(text).1;
        pieces.sort_unstable();
        let sorted: Vec<_> = pieces.iter().map(|p| &text[p.start()..p.end()]).collect();
        let expected = "width=4&w=1&wat_font=2&wat_font=1&wat_fontsize=1&z=2&z=1&a";
        assert_eq!(sorted.join("&"), expected);
    }

    #[test]
    fn pieces_are_found_wherever_blocks_end() {
        for len in 1..200 {
            let (split, pieces) = split(&format!("?{}=1&b=2", "a".repeat(len)));
            assert!(!split.has(Split::CHANGES));
            let found: Vec<_> = pieces.iter().map(|piece| (piece.name(), piece.value())).collect();
            let expected = [(1..len + 1, len + 2..len + 3), (len + 4..len + 5, len + 6..len + 7)];
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn parameters_are_counted_with_those_that_are_left_out_and_without_empty_ones() {
        for (piece, at) in [("a", 2 * 256 + 1), ("ci_sign", 8 * 256 + 1), ("&a=b", 5 * 256 + 2)] {
            let text = format!("?{}", vec![piece; MAX_PARAMETERS].join("&"));
            split(&text);
            let text = format!("{text}&{piece}");
            let marks = separators(text.as_bytes(), 1);
            let mut room = [Piece::default(); MAX_PARAMETERS];
            let split = Split::of(text.as_bytes(), 1, marks, &mut room);
            assert_eq!(split.unwrap_err(), at, "{piece}");
        }
    }
}
