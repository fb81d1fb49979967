//! Percent escapes: one spelling for each byte of a path, and the decoding of a path that is
//! encoded as a whole.
//!
//! Invariant: no text is decoded twice. `%25` stays the same, so that no pass over the text can
//! turn it into an escape. Not here: Unicode. Bytes are compared, not characters: no normalization
//! form, no case folding, no guess at an encoding.

use super::super::error::Result;
use super::super::text::bytes::is_path;
use super::super::text::scan::{any, blocks_without};
use super::super::text::spelling::{DECODED, Spelling, longest_path};
use super::super::text::writer::Writer;
use std::borrow::Cow;

/// Two slashes.
const ROOM: usize = 2;

/// Writes every byte of `text` in its canonical spelling.
///
/// If a buffer is needed, it has room for `room` more bytes.
pub(in crate::canonical) fn normalize<'t>(
    text: &'t [u8],
    spelling: &Spelling,
    room: usize,
) -> Result<Cow<'t, [u8]>> {
    // The bytes of a path are raw in most requests.
    if !any(text, |byte| !is_path(byte)) {
        return Ok(Cow::Borrowed(text));
    }
    let start = blocks_without(text, |byte| !is_path(byte));
    let Some(change) = spelling.first_change(text, start) else { return Ok(Cow::Borrowed(text)) };
    let mut out = Writer::new(text, longest_path, room);
    out.copy(text, 0, change);
    out.spell(spelling, text, change, text.len())?;
    Ok(Cow::Owned(out.finish()))
}

/// Returns the room that later steps need: for a second slash after the scheme, a slash after the
/// host, and the origin's own query.
pub(in crate::canonical) fn room_for(own_query: Option<&[u8]>) -> usize {
    ROOM + own_query.map_or(0, longest_path)
}

/// Returns a copy of `text` with room for the insertions of later steps. Owned text already has the
/// room.
pub(in crate::canonical) fn with_room(text: Cow<'_, [u8]>, room: usize) -> Vec<u8> {
    match text {
        Cow::Owned(text) => text,
        Cow::Borrowed(text) => {
            let mut copy = Vec::with_capacity(text.len() + room);
            copy.extend_from_slice(text);
            copy
        }
    }
}

/// Returns the position in `text` of byte `position` of the output of [`normalize`], or of
/// [`decoded`] with its spelling.
pub(in crate::canonical) fn position_before_normalizing(
    text: &[u8],
    spelling: &Spelling,
    position: usize,
) -> usize {
    let (mut at, mut written) = (0, 0);
    while at < text.len() {
        let (unit, read) = spelling.unit(text, at);
        // A fault counts as one byte.
        written += unit.len().max(1);
        if position < written {
            break;
        }
        at += read;
    }
    at
}

/// Decodes all escapes of `text` once, and changes no other byte: a plus stays a plus.
pub(in crate::canonical) fn decoded(text: &[u8]) -> Result<Writer<'_>> {
    let mut out = Writer::new(text, <[u8]>::len, 0);
    out.spell(&DECODED, text, 0, text.len())?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::super::text::spelling::IN_PATH;
    use super::*;

    fn normal(text: &str) -> String {
        let bytes = normalize(text.as_bytes(), &IN_PATH, ROOM).unwrap();
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
        assert!(matches!(normalize(text, &IN_PATH, ROOM), Ok(Cow::Borrowed(same)) if same == text));
    }

    #[test]
    fn the_buffer_is_reserved_once() {
        for text in ["caf\u{e9}\u{e9}\u{e9}.jpg", "%41%41%41", "%41\"<>\u{20ac}", "x%2f%2f"] {
            let Ok(Cow::Owned(buffer)) = normalize(text.as_bytes(), &IN_PATH, ROOM) else {
                panic!("{text}")
            };
            assert_eq!(buffer.capacity(), buffer.len() + ROOM, "{text}");
        }
    }

    #[test]
    fn positions_lead_back_through_both_transformations() {
        let text = "a%41\u{e9}b%2fc".as_bytes();
        let normal = normalize(text, &IN_PATH, ROOM).unwrap();
        assert_eq!(&*normal, b"aA%C3%A9b%2Fc");
        let back = |position| position_before_normalizing(text, &IN_PATH, position);
        assert_eq!([0, 1, 2, 4, 5, 8, 9, 12, 13].map(back), [0, 1, 4, 4, 5, 6, 7, 10, 11]);
        assert_eq!(
            [0, 1, 2, 4, 5, 6].map(|at| position_before_normalizing(text, &DECODED, at)),
            [0, 1, 4, 6, 7, 10]
        );
    }
}
