//! The tokenizer: cuts a query into its parameters.
//!
//! Invariant: pieces stand in the order of the text; empty ones are left out, and those that change
//! nothing. Not here: the spelling of names and values. A name is taken as it stands, settled or
//! not; `query` sees to that.
//!
//! A loop that runs to the end of each name and each value would be mispredicted twice a parameter.
//! So the caller finds all separators first, see `scan`.

use super::bytes::escape_at;
use super::error::{Fault, PathError};
use super::parameters::{Effect, Meaning, PARAMETERS, meaning};
use super::sealed_flag;
use std::ops::Range;

/// The highest number of parameters in the query of one delivery URL, empty ones not counted.
///
/// The table knows 56 parameters, and the longest documented URL has about a dozen. The limit
/// bounds the memory and the time that a query takes: without one, 8 KB of parameters of one letter
/// take 28 times as long as an honest URL of 1 KB.
pub const MAX_PARAMETERS: usize = 256;

/// One parameter, as a number: the rank of its name, where it starts, where its name ends and where
/// it ends, whether its name is an alias, and whether its value is odd. As numbers, pieces are in
/// the order of a key: by rank, and those of one rank in the order of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Piece(u64);

impl Piece {
    const RANK: u32 = 58;
    const START: u32 = 43;
    const NAME_END: u32 = 28;
    const END: u32 = 13;
    const ALIAS: u64 = 2;
    const ODD: u64 = 1;

    #[inline]
    fn new(meaning: Meaning, start: usize, name_end: usize, end: usize, is_odd: bool) -> Self {
        // No text that is read is longer than 15 bits can say, and none that was made from it.
        debug_assert!(end < 1 << 15, "{end}");
        Self(
            u64::from(meaning.rank()) << Self::RANK
                | (start as u64) << Self::START
                | (name_end as u64) << Self::NAME_END
                | (end as u64) << Self::END
                | u64::from(meaning.is_alias()) * Self::ALIAS
                | u64::from(is_odd) * Self::ODD,
        )
    }

    #[inline]
    fn field(self, shift: u32) -> usize {
        (self.0 >> shift) as usize & 0x7FFF
    }

    #[inline]
    pub(super) fn start(self) -> usize {
        self.field(Self::START)
    }

    #[inline]
    pub(super) fn end(self) -> usize {
        self.field(Self::END)
    }

    #[inline]
    pub(super) fn name(self) -> Range<usize> {
        self.start()..self.field(Self::NAME_END)
    }

    /// The value, without its equals sign.
    #[inline]
    pub(super) fn value(self) -> Range<usize> {
        let (name_end, end) = (self.field(Self::NAME_END), self.end());
        (name_end + "=".len()).min(end)..end
    }

    /// The row of the parameter whose alias the name is, if that is among `renamed`.
    #[inline]
    pub(super) fn renamed_row(self, renamed: u64) -> Option<usize> {
        let row = (self.0 >> Self::RANK) as usize;
        (self.0 & Self::ALIAS != 0 && renamed >> row & 1 == 1).then_some(row)
    }

    /// Whether there is a mark in its value: something that may have to change.
    #[inline]
    pub(super) fn is_odd(self) -> bool {
        self.0 & Self::ODD != 0
    }
}

/// What was seen while a query was cut into pieces.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a different thing that was seen")]
pub(super) struct Split {
    /// Whether the pieces are not in the order of a key.
    pub(super) is_out_of_order: bool,
    /// Whether an empty piece or a parameter that changes nothing was left out.
    leaves_out: bool,
    /// Whether there is a mark in a value.
    pub(super) has_odd_value: bool,
    /// Whether there is a mark in a name, or in the value of a parameter that was left out.
    pub(super) has_odd_rest: bool,
    /// Whether the path is percent-encoded as a whole.
    pub(super) encodes_path: bool,
    /// The parameters that are there by an alias, one bit for each row of the table.
    aliases: u64,
    /// Those that are there by their canonical name.
    canonicals: u64,
}

impl Split {
    /// Cuts `text[start..]`; returns the pieces as well.
    ///
    /// `marks` are the positions of all ampersands and equals signs from `start` on; other ones may
    /// be among them and make a name or a value odd. So does an equals sign in a value.
    ///
    /// # Errors
    ///
    /// If there are more than [`MAX_PARAMETERS`], or more pieces than `room` has place for.
    #[inline]
    pub(super) fn of<'r>(
        text: &[u8],
        start: usize,
        mut marks: impl Iterator<Item = usize>,
        room: &'r mut [Piece],
    ) -> Result<(Self, &'r mut [Piece]), PathError> {
        let mut split = Self::default();
        let len = text.len();
        let mut next = move || marks.next().unwrap_or(len);
        let (mut from, mut read, mut kept, mut last_rank) = (start, 0, 0, 0);
        while from < len {
            let mut name_end = next();
            if name_end == from && text[from] == b'&' {
                split.leaves_out = true;
                from += 1;
                continue;
            }
            while !matches!(text.get(name_end), None | Some(b'&' | b'=')) {
                split.has_odd_rest = true;
                name_end = next();
            }
            let (mut end, mut is_odd) = (name_end, false);
            if text.get(name_end) == Some(&b'=') {
                end = next();
                while !matches!(text.get(end), None | Some(b'&')) {
                    is_odd = true;
                    end = next();
                }
            }
            let meaning = meaning(text, from, name_end);
            let value = text.get(name_end + 1..end).unwrap_or_default();
            if read == MAX_PARAMETERS || kept == room.len() {
                return Err(Fault::TooManyParameters.at(from));
            }
            read += 1;
            if meaning.is_special() && !split.keeps(meaning, value) {
                split.leaves_out = true;
                split.has_odd_rest |= is_odd;
            } else {
                split.see(meaning, is_odd);
                // Whether the next rank is smaller can't be predicted, so no branch depends on it.
                split.is_out_of_order |= meaning.rank() < last_rank;
                last_rank = meaning.rank();
                room[kept] = Piece::new(meaning, from, name_end, end, is_odd);
                kept += 1;
            }
            from = end + 1;
        }
        // An ampersand at the end is followed by an empty piece.
        split.leaves_out |= from == len && from > start;
        Ok((split, &mut room[..kept]))
    }

    #[inline]
    fn see(&mut self, meaning: Meaning, is_odd: bool) {
        self.has_odd_value |= is_odd;
        self.aliases |= u64::from(meaning.is_alias()) << meaning.rank();
        self.canonicals |= u64::from(!meaning.is_alias()) << meaning.rank();
    }

    /// Whether a special parameter stays in the key.
    fn keeps(&mut self, meaning: Meaning, value: &[u8]) -> bool {
        match PARAMETERS[usize::from(meaning.rank())].effect {
            Effect::Signature => false,
            Effect::PathEncoding if is_one(value) => {
                self.encodes_path = true;
                false
            }
            Effect::Sealed => {
                self.encodes_path |= sealed_flag::holds_flag(value);
                true
            }
            _ => true,
        }
    }

    /// The parameters that get their canonical name instead of the alias that they have. If one is
    /// there by both, it isn't known which of the two is effective, and both stay.
    #[inline]
    pub(super) fn renamed(&self) -> u64 {
        self.aliases & !self.canonicals
    }

    /// Whether the key of the query is its text, if all names and values are settled.
    #[inline]
    pub(super) fn keeps_text(&self) -> bool {
        !self.is_out_of_order && !self.leaves_out && self.renamed() == 0
    }
}

/// Whether a value is `1`, in any spelling.
fn is_one(value: &[u8]) -> bool {
    value == b"1" || (value.len() == 3 && escape_at(value, 0) == Some(b'1'))
}

/// The parameters of a canonical key, those of nested delivery URLs among them: name, and the rest.
pub(super) fn parameters_of_key(key: &str) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pieces = key.as_bytes().split(|&byte| matches!(byte, b'?' | b'&'));
    pieces.filter(|piece| !piece.is_empty()).map(|piece| {
        let len = piece.iter().position(|&byte| byte == b'=').unwrap_or(piece.len());
        piece.split_at(len)
    })
}

#[cfg(test)]
mod tests {
    use super::super::scan::separators;
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
            assert_eq!((pieces.len(), split.leaves_out), (kept, kept == 0), "{piece}");
            assert_eq!(split.encodes_path, kept == 0 && piece.starts_with("ci_url"), "{piece}");
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
            assert_eq!(split(text).0.is_out_of_order, expected, "{text}");
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
            assert!(split.keeps_text() && !split.has_odd_value);
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
            let mut room = [Piece::default(); 2 * MAX_PARAMETERS];
            let error = Split::of(text.as_bytes(), 1, marks, &mut room).unwrap_err();
            assert_eq!(error, Fault::TooManyParameters.at(at), "{piece}");
        }
    }
}
