//! Percent escapes: one spelling for each byte of a path, and the decoding of a path that is encoded as a whole.
//!
//! Invariant: nothing is decoded twice. `%25` stays what it is, so that no pass over the text can make an escape of it.
//! Not here: Unicode. Bytes are compared, not characters: no normalization form, no case folding, no guess at an encoding.

use super::bytes::{
    Class, UNRESERVED, blocks_without, count, escape_at, escaped, find, is_control, is_path,
};
use super::error::{Fault, PathError};
use super::raw::MAX_INPUT;
use smallvec::SmallVec;
use std::borrow::Cow;

/// Two slashes.
const ROOM: usize = 2;

/// Text that was decoded. It is never longer than the input, so it never leaves the stack.
pub(super) type Decoded = SmallVec<[u8; MAX_INPUT]>;

/// Writes every byte of `text` in its one spelling (RFC 3986, section 6.2.2.2): bytes of `raw` as they are, unreserved ones
/// decoded, all others as an escape in upper case.
///
/// If a buffer is needed, it has room for `room` more bytes.
pub(super) fn normalize<'t>(
    text: &'t [u8],
    raw: &Class,
    room: usize,
) -> Result<Cow<'t, [u8]>, PathError> {
    let Some(start) = first_change(text, raw) else { return Ok(Cow::Borrowed(text)) };
    let mut out = Vec::with_capacity(longest(text) + room);
    out.extend_from_slice(&text[..start]);
    write_normalized(text, start, raw, &mut out)?;
    Ok(Cow::Owned(out))
}

/// Appends what [`normalize`] makes of `text`.
pub(super) fn append_normalized(
    text: &[u8],
    raw: &Class,
    out: &mut Vec<u8>,
) -> Result<(), PathError> {
    write_normalized(text, 0, raw, out)
}

/// The room that later steps need: for a second slash behind the scheme, a slash behind the host, and the query of the origin.
pub(super) fn room_for(own_query: Option<&[u8]>) -> usize {
    ROOM + own_query.map_or(0, longest)
}

/// How long the normalized `text` can be, within a few bytes.
fn longest(text: &[u8]) -> usize {
    // Question marks of a query are raw, and counted.
    text.len() + 2 * count(text, |byte| !is_path(byte)) - 2 * count(text, |byte| byte == b'%')
}

fn write_normalized(
    text: &[u8],
    start: usize,
    raw: &Class,
    out: &mut Vec<u8>,
) -> Result<(), PathError> {
    let mut at = start;
    while at < text.len() {
        at += match step(text, at, raw)? {
            Step::Keep => {
                let rest = &text[at..];
                let kept = rest.iter().position(|&byte| !raw.contains(byte)).unwrap_or(rest.len());
                out.extend_from_slice(&rest[..kept]);
                kept
            }
            Step::Decode(byte) => {
                out.push(byte);
                3
            }
            Step::Encode(byte) => {
                out.extend_from_slice(&escaped(byte));
                1
            }
            Step::Escape(byte) => {
                out.extend_from_slice(&escaped(byte));
                3
            }
        };
    }
    Ok(())
}

/// A copy of `text` with room for what later steps insert; text that is owned has it already.
pub(super) fn with_room(text: Cow<'_, [u8]>, room: usize) -> Vec<u8> {
    match text {
        Cow::Owned(text) => text,
        Cow::Borrowed(text) => {
            let mut copy = Vec::with_capacity(text.len() + room);
            copy.extend_from_slice(text);
            copy
        }
    }
}

/// Where `text` stops being what [`normalize`] writes, or holds a fault.
#[inline]
fn first_change(text: &[u8], raw: &Class) -> Option<usize> {
    // Path bytes are raw in every class that is asked for.
    let mut at = blocks_without(text, |byte| !is_path(byte));
    while let Some(skip) = text[at..].iter().position(|&byte| !raw.contains(byte)) {
        at += skip;
        match step(text, at, raw) {
            Ok(Step::Escape(byte)) if text[at..at + 3] == escaped(byte) => at += 3,
            _ => return Some(at),
        }
    }
    None
}

/// What becomes of the next byte or escape.
enum Step {
    /// A raw byte stays.
    Keep,
    /// An escape becomes its byte.
    Decode(u8),
    /// A raw byte becomes an escape.
    Encode(u8),
    /// An escape stays one, in upper case.
    Escape(u8),
}

#[inline]
fn step(text: &[u8], at: usize, raw: &Class) -> Result<Step, PathError> {
    match text[at] {
        byte if raw.contains(byte) => Ok(Step::Keep),
        b'%' => match escape_at(text, at) {
            None => Err(Fault::InvalidEscape.at(at)),
            Some(byte) if UNRESERVED.contains(byte) => Ok(Step::Decode(byte)),
            Some(byte) if is_control(byte) => Err(Fault::EncodedControlByte(byte).at(at)),
            Some(byte) => Ok(Step::Escape(byte)),
        },
        b'\\' => Err(Fault::Backslash.at(at)),
        byte => Ok(Step::Encode(byte)),
    }
}

/// Where byte `position` of the output of [`normalize`] stood in `text`.
pub(super) fn position_before_normalizing(text: &[u8], raw: &Class, position: usize) -> usize {
    let (mut at, mut written) = (0, 0);
    while at < text.len() {
        let (read, wrote) = match step(text, at, raw) {
            Ok(Step::Keep) | Err(_) => (1, 1),
            Ok(Step::Decode(_)) => (3, 1),
            Ok(Step::Encode(_)) => (1, 3),
            Ok(Step::Escape(_)) => (3, 3),
        };
        if position < written + wrote {
            break;
        }
        at += read;
        written += wrote;
    }
    at
}

/// Decodes all escapes of `text`, once, and nothing else: a plus stays a plus.
pub(super) fn decode_into(text: &[u8], out: &mut Decoded) -> Result<(), PathError> {
    let mut at = 0;
    while at < text.len() {
        if text[at] == b'%' {
            out.push(escape_at(text, at).ok_or(Fault::InvalidEscape.at(at))?);
            at += 3;
        } else {
            let end = find(&text[at..], b'%').map_or(text.len(), |len| at + len);
            out.extend_from_slice(&text[at..end]);
            at = end;
        }
    }
    Ok(())
}

/// Where byte `position` of the output of [`decode_into`] stood in `text`.
pub(super) fn position_before_decoding(text: &[u8], position: usize) -> usize {
    let mut at = 0;
    for _ in 0..position {
        match text.get(at) {
            Some(b'%') => at += 3,
            Some(_) => at += 1,
            None => break,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::super::bytes::PATH;
    use super::*;

    fn normal(text: &str) -> String {
        let bytes = normalize(text.as_bytes(), &PATH, ROOM).unwrap();
        String::from_utf8(bytes.into_owned()).unwrap()
    }

    #[test]
    fn escapes_of_unreserved_bytes_are_decoded_and_others_written_in_upper_case() {
        assert_eq!(normal("%7euser/%2d%2E%5F%41z"), "~user/-._Az");
        assert_eq!(normal("a%2fb%3f%23%5c"), "a%2Fb%3F%23%5C");
        assert_eq!(normal("caf\u{e9} \"x\""), "caf%C3%A9%20%22x%22");
    }

    #[test]
    fn nothing_is_decoded_twice() {
        assert_eq!(normal("a%2520b%25%34%31"), "a%2520b%2541");
        assert_eq!(normal("a%2541"), "a%2541");
    }

    #[test]
    fn canonical_text_is_borrowed() {
        let text = b"sample.li/photo(1)%20%2F.jpg";
        assert!(matches!(normalize(text, &PATH, ROOM), Ok(Cow::Borrowed(same)) if same == text));
    }

    #[test]
    fn the_buffer_is_reserved_once() {
        for text in ["caf\u{e9}\u{e9}\u{e9}.jpg", "%41%41%41", "%41\"<>\u{20ac}", "x%2f%2f"] {
            let Ok(Cow::Owned(buffer)) = normalize(text.as_bytes(), &PATH, ROOM) else {
                panic!("{text}")
            };
            assert_eq!(buffer.capacity(), longest(text.as_bytes()) + ROOM, "{text}");
        }
    }

    #[test]
    fn positions_lead_back_through_both_transformations() {
        let text = "a%41\u{e9}b%2fc".as_bytes();
        let normal = normalize(text, &PATH, ROOM).unwrap();
        assert_eq!(&*normal, b"aA%C3%A9b%2Fc");
        let back = |position| position_before_normalizing(text, &PATH, position);
        assert_eq!([0, 1, 2, 4, 5, 8, 9, 12, 13].map(back), [0, 1, 4, 4, 5, 6, 7, 10, 11]);
        assert_eq!(
            [0, 1, 2, 4, 5, 6].map(|at| position_before_decoding(text, at)),
            [0, 1, 4, 6, 7, 10]
        );
    }
}
