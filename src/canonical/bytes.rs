//! Byte classes, as named constants, and hexadecimal digits.
//!
//! Invariant: a class depends on the byte alone, never on its neighbors or on the locale.
//! Not here: what is done with a byte outside of its class; each step says that for itself.
#![expect(
    clippy::needless_bitwise_bool,
    reason = "branches would keep bytes out of vector registers"
)]

/// A set of bytes.
#[derive(Debug)]
pub(super) struct Class([bool; 256]);

impl Class {
    const fn of(members: &[u8]) -> Self {
        Self([false; 256]).and(members)
    }

    pub(super) const fn and(mut self, members: &[u8]) -> Self {
        let mut i = 0;
        while i < members.len() {
            self.0[members[i] as usize] = true;
            i += 1;
        }
        self
    }

    #[inline]
    pub(super) const fn contains(&self, byte: u8) -> bool {
        self.0[byte as usize]
    }

    #[inline]
    pub(super) fn contains_all(&self, text: &[u8]) -> bool {
        text.iter().all(|&byte| self.contains(byte))
    }
}

const LETTERS_AND_DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Bytes that mean the same whether encoded or not (RFC 3986, section 2.3).
pub(super) const UNRESERVED: Class = Class::of(LETTERS_AND_DIGITS).and(b"-._~");

/// What a path may hold raw: `pchar` and the slash (RFC 3986, section 3.3).
///
/// The sub-delimiters and `:@` are reserved: raw and encoded, they are two names (section 2.2).
pub(super) const PATH: Class = Class::of(LETTERS_AND_DIGITS).and(b"-._~").and(b"!$&'()*+,;=:@/");

/// What the query of an origin may hold raw: a path's bytes and the question mark (RFC 3986, section 3.4).
pub(super) const ORIGIN_QUERY: Class =
    Class::of(LETTERS_AND_DIGITS).and(b"-._~").and(b"!$&'()*+,;=:@/").and(b"?");

/// What names and values of operations hold raw once canonical: the unreserved bytes (RFC 3986, section 2.3), and those that
/// the API's own examples print raw inside of values. An encoded byte of this class is decoded, all others are written encoded.
pub(super) const OPERATION: Class = Class::of(LETTERS_AND_DIGITS).and(b"-._~").and(b",:/");

/// What may stand in the name of an origin's host: a `reg-name` (RFC 3986, section 3.2.2) without escapes and sub-delimiters,
/// plus the underscore that names in private zones use.
pub(super) const HOST: Class = Class::of(LETTERS_AND_DIGITS).and(b".-_");

/// What may stand in one label of a host that is told by its shape alone.
pub(super) const LABEL: Class = Class::of(LETTERS_AND_DIGITS).and(b"-_");

/// What may follow the first letter of a scheme (RFC 3986, section 3.1).
pub(super) const SCHEME: Class = Class::of(LETTERS_AND_DIGITS).and(b"+-.");

/// The same class as [`PATH`], as comparisons, which are made for many bytes at a time.
#[inline]
pub(super) fn is_path(byte: u8) -> bool {
    // `$` to `;`, in which only `%` is not a path's; `@` to `Z`; `a` to `z`; and single ones.
    (byte.wrapping_sub(b'$') <= b';' - b'$') & (byte != b'%')
        | (byte.wrapping_sub(b'@') <= b'Z' - b'@')
        | (byte.wrapping_sub(b'a') <= b'z' - b'a')
        | (byte == b'!')
        | (byte == b'=')
        | (byte == b'_')
        | (byte == b'~')
}

/// How many bytes are looked at in one go: a vector register of any processor in use.
const BLOCK: usize = 16;

/// Whether `is` holds of any byte; it must not branch.
#[inline]
pub(super) fn any(text: &[u8], is: impl Fn(u8) -> bool) -> bool {
    let holds = |block: &[u8]| block.iter().fold(false, |found, &byte| found | is(byte));
    match text.last_chunk::<BLOCK>() {
        // The last block overlaps the one before it, which is cheaper than looking at single bytes.
        Some(last) => text.chunks_exact(BLOCK).any(&holds) || holds(last),
        None => holds(text),
    }
}

/// The length of the blocks at the start in which `is` holds of no byte; it must not branch.
#[inline]
pub(super) fn blocks_without(text: &[u8], is: impl Fn(u8) -> bool) -> usize {
    let holds = |block: &[u8]| block.iter().fold(false, |found, &byte| found | is(byte));
    text.chunks_exact(BLOCK).take_while(|block| !holds(block)).count() * BLOCK
}

/// Of how many bytes `is` holds; it must not branch.
#[inline]
pub(super) fn count(text: &[u8], is: impl Fn(u8) -> bool) -> usize {
    // Sums of blocks fit into a byte.
    let sum = |block: &[u8]| block.iter().fold(0, |sum: u8, &byte| sum + u8::from(is(byte)));
    text.chunks(BLOCK).map(|block| usize::from(sum(block))).sum()
}

/// Where `byte` stands first.
#[inline]
pub(super) fn find(text: &[u8], byte: u8) -> Option<usize> {
    let start = blocks_without(text, |other| other == byte);
    text[start..].iter().position(|&other| other == byte).map(|at| start + at)
}

/// Whether `is` holds of any two neighbors; it must not branch.
#[inline]
fn any_pair(text: &[u8], is: impl Fn(u8, u8) -> bool) -> bool {
    let Some((_, behind)) = text.split_first() else { return false };
    let before = &text[..behind.len()];
    let holds = |one: &[u8], next: &[u8]| {
        one.iter().zip(next).fold(false, |found, (&one, &next)| found | is(one, next))
    };
    match (before.last_chunk::<BLOCK>(), behind.last_chunk::<BLOCK>()) {
        (Some(one), Some(next)) => {
            let mut blocks = before.chunks_exact(BLOCK).zip(behind.chunks_exact(BLOCK));
            blocks.any(|(one, next)| holds(one, next)) || holds(one, next)
        }
        _ => holds(before, behind),
    }
}

/// Whether a slash is followed by a dot anywhere.
#[inline]
pub(super) fn any_dot_behind_slash(text: &[u8]) -> bool {
    any_pair(text, |one, next| (one == b'/') & (next == b'.'))
}

/// Whether there is anything but a path's raw bytes in `text`, the last byte left out, or a dot behind a slash.
#[inline]
pub(super) fn any_unusual(text: &[u8]) -> bool {
    any_pair(text, |one, next| !is_path(one) | ((one == b'/') & (next == b'.')))
}

/// Control bytes: never part of a path, raw or encoded (RFC 3986, section 7.3, warns of them).
#[inline]
pub(super) const fn is_control(byte: u8) -> bool {
    (byte < 0x20) | (byte == 0x7F)
}

/// The value of each hexadecimal digit, `NO_DIGIT` for all other bytes (RFC 3986, section 2.1).
const DIGITS: [u8; 256] = {
    let mut table = [NO_DIGIT; 256];
    let mut value: u8 = 0;
    while value < 16 {
        table[UPPER_DIGITS[value as usize] as usize] = value;
        table[UPPER_DIGITS[value as usize].to_ascii_lowercase() as usize] = value;
        value += 1;
    }
    table
};
const NO_DIGIT: u8 = 0xFF;
const UPPER_DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// The byte that the escape at `text[at..]` stands for, if one is there.
#[inline]
pub(super) fn escape_at(text: &[u8], at: usize) -> Option<u8> {
    let &[b'%', high, low] = text.get(at..at + 3)? else { return None };
    let (high, low) = (DIGITS[high as usize], DIGITS[low as usize]);
    // A digit is below 16, so that the marker shows through the disjunction.
    ((high | low) < 16).then_some(high << 4 | low)
}

/// `byte` as an escape, with the upper-case digits that RFC 3986, section 6.2.2.1, prefers.
#[inline]
pub(super) const fn escaped(byte: u8) -> [u8; 3] {
    [b'%', UPPER_DIGITS[(byte >> 4) as usize], UPPER_DIGITS[(byte & 15) as usize]]
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
    fn the_fast_class_is_the_class() {
        for byte in 0..=255 {
            assert_eq!(is_path(byte), PATH.contains(byte), "{byte:#04x}");
        }
    }

    #[test]
    fn searches_look_at_every_byte() {
        for len in 0..80 {
            let mut text = vec![b'a'; len];
            assert!(!any(&text, |byte| byte == b'?') && !any_dot_behind_slash(&text));
            assert_eq!(find(&text, b'?'), None);
            for at in 0..len {
                text[at] = b'?';
                assert!(any(&text, |byte| byte == b'?'));
                assert_eq!(find(&text, b'?'), Some(at));
                text[at] = b'a';
                if at > 0 {
                    (text[at - 1], text[at]) = (b'/', b'.');
                    assert!(any_dot_behind_slash(&text), "{len} {at}");
                    (text[at - 1], text[at]) = (b'a', b'a');
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
