//! Byte classes, as named constants, and hexadecimal digits.
//!
//! Invariant: a class depends on the byte alone, never on its neighbors or on the locale. Not here:
//! the handling of a byte outside of its class; each step decides that for itself.

use super::scan::{any_pair, any_triple};
use std::borrow::Cow;

/// A set of bytes.
#[derive(Debug)]
pub(in crate::canonical) struct Class([bool; 256]);

impl Class {
    const fn of(members: &[u8]) -> Self {
        Self([false; 256]).and(members)
    }

    pub(in crate::canonical) const fn and(mut self, members: &[u8]) -> Self {
        let mut i = 0;
        while i < members.len() {
            self.0[members[i] as usize] = true;
            i += 1;
        }
        self
    }

    #[inline]
    pub(in crate::canonical) const fn contains(&self, byte: u8) -> bool {
        self.0[byte as usize]
    }

    #[inline]
    pub(in crate::canonical) fn contains_all(&self, text: &[u8]) -> bool {
        text.iter().all(|&byte| self.contains(byte))
    }
}

const LETTERS_AND_DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Every byte.
pub(in crate::canonical) const ALL: Class = Class([true; 256]);

/// Bytes that mean the same whether encoded or not (RFC 3986, section 2.3).
pub(in crate::canonical) const UNRESERVED: Class = Class::of(LETTERS_AND_DIGITS).and(b"-._~");

/// Bytes that a path may contain raw: `pchar` and the slash (RFC 3986, section 3.3).
///
/// The sub-delimiters and `:@` are reserved: their raw and encoded spellings are two names (section
/// 2.2).
pub(in crate::canonical) const PATH: Class = UNRESERVED.and(b"!$&'()*+,;=:@/");

/// Bytes that the query of an origin may contain raw: those of a path, and the question mark (RFC
/// 3986, section 3.4).
pub(in crate::canonical) const ORIGIN_QUERY: Class = PATH.and(b"?");

/// Bytes that names and values of operations contain raw in canonical text: the unreserved bytes
/// (RFC 3986, section 2.3), and those that the API's own examples print raw inside of values. An
/// encoded byte of this class is decoded; all others are written encoded.
pub(in crate::canonical) const OPERATION: Class = UNRESERVED.and(b",:/");

/// Bytes in the name of an origin's host: a `reg-name` (RFC 3986, section 3.2.2) without escapes
/// and sub-delimiters, plus the underscore, which names in private zones use.
pub(in crate::canonical) const HOST: Class = Class::of(LETTERS_AND_DIGITS).and(b".-_");

/// Bytes in one label of a host that is recognized by its shape alone.
pub(in crate::canonical) const LABEL: Class = Class::of(LETTERS_AND_DIGITS).and(b"-_");

/// Bytes that may follow the first letter of a scheme (RFC 3986, section 3.1).
pub(in crate::canonical) const SCHEME: Class = Class::of(LETTERS_AND_DIGITS).and(b"+-.");

/// The class [`PATH`] as comparisons, which work on many bytes at a time.
#[inline]
pub(in crate::canonical) fn is_path(byte: u8) -> bool {
    // `$` to `;` except `%`; `@` to `Z`; `a` to `z`; and single bytes.
    (byte.wrapping_sub(b'$') <= b';' - b'$') & (byte != b'%')
        | (byte.wrapping_sub(b'@') <= b'Z' - b'@')
        | (byte.wrapping_sub(b'a') <= b'z' - b'a')
        | (byte == b'!')
        | (byte == b'=')
        | (byte == b'_')
        | (byte == b'~')
}

/// The class [`OPERATION`] and the plus, as comparisons.
#[inline]
pub(in crate::canonical) fn is_operation(byte: u8) -> bool {
    // `,` to `:`, and letters in either case.
    (byte.wrapping_sub(b',') <= b':' - b',')
        | ((byte | 0x20).wrapping_sub(b'a') <= b'z' - b'a')
        | (byte == b'+')
        | (byte == b'_')
        | (byte == b'~')
}

/// Returns whether a byte is in `first..=last`. SSE2 has only signed byte comparisons, so both
/// sides are shifted into the signed range.
#[inline]
#[expect(clippy::cast_possible_wrap, reason = "see above")]
pub(in crate::canonical) fn is_within(byte: u8, first: u8, last: u8) -> bool {
    ((byte.wrapping_sub(first) ^ 0x80) as i8) <= (((last - first) ^ 0x80) as i8)
}

/// Returns whether a byte stays the same in any part of a text, and is not a separator. It accepts
/// nearly all such bytes, with as few comparisons as possible. A slash before a dot may start a dot
/// segment.
#[inline]
pub(in crate::canonical) fn is_plain(byte: u8, next: u8) -> bool {
    let is_member =
        is_within(byte, b',', b':') | is_within(byte | 0x20, b'a', b'z') | (byte == b'_');
    is_member & !((byte == b'/') & (next == b'.'))
}

#[inline]
pub(in crate::canonical) fn is_upper(byte: u8) -> bool {
    is_within(byte, b'A', b'Z')
}

/// Returns whether any slash is followed by a dot.
#[inline]
pub(in crate::canonical) fn any_dot_behind_slash(text: &[u8]) -> bool {
    any_pair(text, |one, next| (one == b'/') & (next == b'.'))
}

/// Returns whether the first segment of `path` is a dot segment.
#[inline]
pub(in crate::canonical) fn starts_with_dots(path: &[u8]) -> bool {
    matches!(path, [b'.'] | [b'.', b'/', ..] | [b'.', b'.'] | [b'.', b'.', b'/', ..])
}

/// Returns whether every percent sign in `text` is followed by two hexadecimal digits.
pub(in crate::canonical) fn all_escapes_are_good(text: &[u8]) -> bool {
    let is_digit =
        |byte: u8| (byte.wrapping_sub(b'0') < 10) | ((byte | 0x20).wrapping_sub(b'a') < 6);
    let is_bad = |one: u8, two: u8, three: u8| (one == b'%') & !(is_digit(two) & is_digit(three));
    let ends_early = text[text.len().saturating_sub(2)..].contains(&b'%');
    !ends_early && !any_triple(text, is_bad)
}

/// Control bytes: never part of a path, raw or encoded (RFC 3986, section 7.3, warns of them).
#[inline]
pub(in crate::canonical) const fn is_control(byte: u8) -> bool {
    (byte < 0x20) | (byte == 0x7F)
}

/// Bytes that do not occur in any text after the first step.
#[inline]
pub(in crate::canonical) const fn never_raw(byte: u8) -> bool {
    is_control(byte) | (byte == b'#')
}

/// The value of each hexadecimal digit (RFC 3986, section 2.1).
static HEX_VALUES: [u8; 256] = digit_values([UPPER_DIGITS, b"0123456789abcdef"]);
pub(in crate::canonical) const UPPER_DIGITS: &[u8; 16] = b"0123456789ABCDEF";
pub(in crate::canonical) const NO_DIGIT: u8 = 0xFF;

/// Returns the position of each byte in two alphabets of one length, `NO_DIGIT` for other bytes.
pub(in crate::canonical) const fn digit_values<const N: usize>(
    alphabets: [&[u8; N]; 2],
) -> [u8; 256] {
    let mut values = [NO_DIGIT; 256];
    let mut value: u8 = 0;
    while (value as usize) < N {
        values[alphabets[0][value as usize] as usize] = value;
        values[alphabets[1][value as usize] as usize] = value;
        value += 1;
    }
    values
}

/// Returns the byte that the escape at `text[at..]` stands for, if there is an escape.
#[inline]
pub(in crate::canonical) fn escape_at(text: &[u8], at: usize) -> Option<u8> {
    let &[b'%', high, low] = text.get(at..at + 3)? else { return None };
    let (high, low) = (HEX_VALUES[high as usize], HEX_VALUES[low as usize]);
    // A digit is below 16, so the marker survives the disjunction.
    ((high | low) < 16).then_some(high << 4 | low)
}

/// Returns `byte` as an escape, with the upper-case digits that RFC 3986, section 6.2.2.1, prefers.
#[inline]
pub(in crate::canonical) const fn escaped(byte: u8) -> [u8; 3] {
    [b'%', UPPER_DIGITS[(byte >> 4) as usize], UPPER_DIGITS[(byte & 15) as usize]]
}

/// Returns the bytes that `text` stands for, and whether each is written as an escape.
#[inline]
pub(in crate::canonical) fn unescaped(text: &[u8]) -> impl Iterator<Item = (u8, bool)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let &byte = text.get(at)?;
        let escape = if byte == b'%' { escape_at(text, at) } else { None };
        at += if escape.is_some() { 3 } else { 1 };
        Some((escape.unwrap_or(byte), escape.is_some()))
    })
}

/// Returns `text` with all bytes encoded for which `is_raw` is false.
pub(in crate::canonical) fn encoded(text: &str, is_raw: impl Fn(u8) -> bool) -> String {
    text.bytes().fold(String::with_capacity(3 * text.len()), |mut out, byte| {
        if is_raw(byte) {
            out.push(char::from(byte));
        } else {
            out.extend(escaped(byte).map(char::from));
        }
        out
    })
}

/// Returns canonical text as a string. Every byte in it was written by a step that writes only
/// ASCII.
pub(in crate::canonical) fn ascii(text: Cow<'_, [u8]>) -> Cow<'_, str> {
    const ASCII: &str = "canonical text is ASCII";
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(std::str::from_utf8(text).expect(ASCII)),
        Cow::Owned(text) => Cow::Owned(String::from_utf8(text).expect(ASCII)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_nest() {
        for byte in 0..=255 {
            assert!(!UNRESERVED.contains(byte) || OPERATION.contains(byte), "{byte:#04x}");
            assert!(!UNRESERVED.contains(byte) || PATH.contains(byte), "{byte:#04x}");
            assert_eq!(ORIGIN_QUERY.contains(byte), PATH.contains(byte) || byte == b'?');
            assert!(!PATH.contains(byte) || (!is_control(byte) && byte.is_ascii()), "{byte:#04x}");
        }
    }

    #[test]
    fn the_fast_classes_are_the_classes() {
        for byte in 0..=255 {
            assert_eq!(is_path(byte), PATH.contains(byte), "{byte:#04x}");
            let stays = byte == b'+' || OPERATION.contains(byte);
            assert_eq!(is_operation(byte), stays, "{byte:#04x}");
            assert_eq!(is_upper(byte), byte.is_ascii_uppercase(), "{byte:#04x}");
            assert!(!is_plain(byte, 0) || (PATH.contains(byte) && OPERATION.contains(byte)));
        }
    }

    #[test]
    fn a_dot_behind_a_slash_is_found_anywhere() {
        for len in 2..80 {
            let mut text = vec![b'a'; len];
            for at in 1..len {
                (text[at - 1], text[at]) = (b'/', b'.');
                assert!(any_dot_behind_slash(&text), "{len} {at}");
                (text[at - 1], text[at]) = (b'.', b'/');
                assert!(!any_dot_behind_slash(&text), "{len} {at}");
                (text[at - 1], text[at]) = (b'a', b'a');
            }
        }
    }

    #[test]
    fn bad_escapes_are_found_anywhere() {
        for len in 1..60 {
            for at in 0..len {
                let mut text = vec![b'a'; len];
                text[at] = b'%';
                assert_eq!(all_escapes_are_good(&text), at + 2 < len, "{len} {at}");
                for digit in (at + 1..at + 3).filter(|&digit| digit < len) {
                    text[digit] = b'g';
                    assert!(!all_escapes_are_good(&text), "{len} {at}");
                    text[digit] = b'F';
                }
            }
        }
    }

    #[test]
    fn escapes_are_read_in_either_case_and_written_in_upper_case() {
        for byte in 0..=255 {
            let upper = escaped(byte);
            assert_eq!(escape_at(&upper, 0), Some(byte));
            assert_eq!(escape_at(&upper.map(|b| b.to_ascii_lowercase()), 0), Some(byte));
        }
        for text in ["%", "%2", "%G0", "%0G", "%%2", "x41", "%\u{e9}"] {
            assert_eq!(escape_at(text.as_bytes(), 0), None, "{text}");
        }
    }
}
