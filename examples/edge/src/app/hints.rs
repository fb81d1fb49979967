//! Hints: the probable intention of a client, for answers that are correct and still do not help.
//!
//! Invariant: a hint changes neither the status nor the invalidated entries, and repeats no part of
//! the input.

use cache_index::canonical::{PathError, PathErrorKind};

/// For an entry that reads like a list of pictures.
const SEVERAL: &str =
    "one string names one picture: send each picture as a string of its own in urls";

/// For an entry that invalidates whole pictures and carries operations.
const OPERATIONS: &str = "to invalidate single renditions, use scope \"urls\" or transformations";

/// Returns a hint for an entry that is a valid name and matched nothing.
pub(crate) fn of_miss(entry: &[u8]) -> Option<&'static str> {
    names_several(&String::from_utf8_lossy(entry)).then_some(SEVERAL)
}

/// Returns a hint for an entry that is refused.
pub(crate) fn of_refusal(error: &PathError) -> Option<&'static str> {
    match error.kind() {
        // Tabs and line breaks, in nearly all cases: a list that was pasted into one string.
        PathErrorKind::ControlByte => Some(SEVERAL),
        PathErrorKind::QueryNotAllowed if error.suggestions().any(names_several) => Some(SEVERAL),
        PathErrorKind::QueryNotAllowed => Some(OPERATIONS),
        _ => None,
    }
}

/// Returns a hint for a body that is not a JSON object.
pub(crate) fn of_body(body: &[u8]) -> Option<&'static str> {
    const EXPECTED: &str = "expected a body such as {\"scope\":\"original\",\"urls\":[\"/a.jpg\"]}";
    let text = body.trim_ascii_start();
    match text {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => Some("the body is UTF-16: send it as UTF-8"),
        [0x1F, 0x8B, ..] => Some("the body is compressed: send it uncompressed"),
        [b'{', rest @ ..] if rest.trim_ascii_start().starts_with(b"'") => {
            Some("JSON needs double quotes: on a command line, put single quotes around the body")
        }
        // A JSON text that was written as a JSON string.
        [b'"', ..] => Some("the body is one JSON string: it was probably encoded twice"),
        [b'{', ..] | [] => None,
        _ => Some(EXPECTED),
    }
}

/// Whether an entry reads like several, with something between them. A name may hold any of these
/// bytes, so that only a hint can come of it.
fn names_several(entry: &str) -> bool {
    let entry = entry.replace("%2C", ",").replace("%2c", ",").replace("%20", " ");
    let between = |c: char| matches!(c, ',' | ';' | '|') || c.is_whitespace();
    let quotes = |c: char| matches!(c, '[' | ']' | '"' | '\'');
    let pieces = entry.split(between).map(|piece| piece.trim_matches(quotes));
    let pieces: Vec<_> = pieces.filter(|piece| !piece.is_empty()).collect();
    let begins = |piece: &&str| piece.starts_with('/') || piece.contains("://");
    pieces.len() > 1 && (pieces.iter().all(begins) || pieces.iter().all(|it| has_extension(it)))
}

/// Whether it is a path that ends in a short extension.
fn has_extension(piece: &str) -> bool {
    let path = piece.split('?').next().unwrap_or_default();
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    (2..=5).contains(&extension.len()) && extension.bytes().all(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_in_one_string_are_told_from_names() {
        for list in [
            "/path1.jpg,/path2.jpg",
            "/path1.jpg, /path2.jpg",
            "/a/path1.jpg /b/path2.jpg",
            "/path1.jpg;/path2.jpg",
            "/path1.jpg|/path2.jpg|/path3.jpg",
            "/path1.jpg%2C/path2.jpg",
            "/path1.jpg%20/path2.jpg",
            "sample.li/a.jpg,sample.li/b.webp",
            "https://sample.li/a,https://sample.li/b",
            "[\"/a.jpg\",\"/b.jpg\"]",
            "'/a.jpg' '/b.jpg'",
            "/a.jpg\t/b.jpg",
            "/a.jpg\r\n/b.jpg\r\n",
        ] {
            assert!(names_several(list), "{list}");
        }
        for name in [
            "/path1.jpg",
            "/path1.jpg,",
            "/a b.jpg",
            "/Smith, John.jpg",
            "/crop=0,0,5,9/a.jpg",
            "/rs;w=3/a.jpg",
            "/2024, summer/a.jpg",
            "",
        ] {
            assert!(!names_several(name), "{name}");
        }
    }

    #[test]
    fn bodies_that_are_no_object_have_a_hint_each() {
        for (body, start) in [
            (&b"\x1F\x8B\x08\0"[..], Some("the body is compressed")),
            (b"\xFF\xFE{\0", Some("the body is UTF-16")),
            (b"{'scope':'all'}", Some("JSON needs double quotes")),
            (b"\"{\\\"scope\\\":\\\"all\\\"}\"", Some("the body is one JSON string")),
            (b"scope=all", Some("expected a body such as")),
            (b"[\"/a.jpg\"]", Some("expected a body such as")),
            (b"{\"scope\":\"all\",}", None),
            (b"", None),
        ] {
            let hint = of_body(body).map(|hint| hint.starts_with(start.unwrap_or("none")));
            assert_eq!(hint, start.map(|_| true), "{}", body.escape_ascii());
        }
    }
}
