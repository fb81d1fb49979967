//! Segments: leading slashes, the `v7` segment, dot segments.
//!
//! Invariant: dot segments are resolved on whole segments of text with normalized escapes, so
//! `%2E%2E` counts and `a%2F..` does not. A `..` never leaves the part of the text that it may not
//! leave. Not here: merging of slashes. An empty segment inside of a path is a segment.

use super::super::error::{Fault, Result};
use super::super::settings::V7;
use super::super::text::bytes::any_dot_behind_slash;
use super::super::text::scan::find_near;

/// Returns the number of slashes that `path` starts with.
pub(in crate::canonical) fn leading_slashes(path: &[u8]) -> usize {
    path.iter().take_while(|&&byte| byte == b'/').count()
}

/// Returns the position where the origin starts in `path`: after leading slashes and, if the rules
/// have one, the `v7` segment.
pub(in crate::canonical) fn origin_start(path: &[u8], v7: V7) -> Result<usize> {
    let start = leading_slashes(path);
    let rest = &path[start..];
    // Byte for byte: `V7`, `v70` and `%767` are folders of an origin.
    let has_v7 = rest.strip_prefix(b"v7").is_some_and(|rest| matches!(rest, [] | [b'/', ..]));
    let start = match (v7, has_v7) {
        (V7::Required, false) => return Err(Fault::MissingV7.at(start)),
        (V7::Never, true) => return Err(Fault::UnexpectedV7.at(start)),
        (V7::Never | V7::Optional, false) => start,
        (V7::Required | V7::Optional, true) => {
            let start = start + "v7".len();
            start + leading_slashes(&path[start..])
        }
    };
    if start == path.len() { Err(Fault::Empty.at(start)) } else { Ok(start) }
}

fn is_dot_segment(segment: &[u8]) -> bool {
    matches!(segment, b"." | b"..")
}

/// Returns whether `path`, which starts with a segment, contains dot segments.
#[inline]
pub(in crate::canonical) fn has_dot_segments(path: &[u8]) -> bool {
    // Few segments start with a dot, and the scan finds them without splitting the path.
    (path.first() == Some(&b'.') || any_dot_behind_slash(path))
        && path.split(|&byte| byte == b'/').any(is_dot_segment)
}

/// Returns the position of the next slash, or of the end.
#[inline]
pub(in crate::canonical) fn next_slash(text: &[u8], at: usize) -> usize {
    find_near(text, at, [b'/'])
}

/// Resolves the dot segments of `text[floor..]` in place, as RFC 3986, section 5.2.4, does. There
/// is one difference: a `..` without a segment to remove is an error.
pub(in crate::canonical) fn resolve(text: &mut Vec<u8>, floor: usize) -> Result<()> {
    let len = resolve_in(text, floor, |&byte| byte, next_slash)?;
    text.truncate(len);
    Ok(())
}

/// Does the same for a text of a fixed length. Returns the remaining length.
///
/// `byte` reads an element, so that positions can be carried along with the bytes; `next_slash`
/// finds the next slash, or the end.
pub(in crate::canonical) fn resolve_in<T: Copy>(
    text: &mut [T],
    floor: usize,
    byte: impl Fn(&T) -> u8,
    next_slash: impl Fn(&[T], usize) -> usize,
) -> Result<usize> {
    let is_end = |text: &[T], at: usize| text.get(at).is_none_or(|next| byte(next) == b'/');
    let is_dot = |text: &[T], at: usize| text.get(at).is_some_and(|next| byte(next) == b'.');
    // `text[floor..end]` is resolved: empty, or ending in a slash.
    let (mut at, mut end) = (floor, floor);
    while at < text.len() {
        if is_dot(text, at) && is_end(text, at + 1) {
            at += "./".len();
        } else if is_dot(text, at) && is_dot(text, at + 1) && is_end(text, at + 2) {
            end = parent(&text[floor..end], &byte).ok_or(Fault::Traversal.at(at))? + floor;
            at += "../".len();
        } else if end == at {
            at = text.len().min(next_slash(text, at) + 1);
            end = at;
        } else {
            // Segments are short: a loop is faster than a search and a copy.
            while at < text.len() {
                let element = text[at];
                text[end] = element;
                (at, end) = (at + 1, end + 1);
                if byte(&element) == b'/' {
                    break;
                }
            }
        }
    }
    Ok(end)
}

/// Returns the length of `resolved` without its last segment.
fn parent<T>(resolved: &[T], byte: impl Fn(&T) -> u8) -> Option<usize> {
    let (_slash, before) = resolved.split_last()?;
    Some(before.iter().rposition(|element| byte(element) == b'/').map_or(0, |slash| slash + 1))
}

/// Resolves the dot segments of a relative path, and drops the leading slashes that remain.
pub(in crate::canonical) fn resolve_relative(mut text: Vec<u8>) -> Result<Vec<u8>> {
    let len = text.len();
    resolve(&mut text, 0)?;
    text.drain(..leading_slashes(&text));
    if text.is_empty() { Err(Fault::Empty.at(len)) } else { Ok(text) }
}

/// Returns the position in `text` of byte `position` of the output of [`resolve_relative`].
pub(in crate::canonical) fn position_before_resolving(text: &[u8], position: usize) -> usize {
    let mut pairs: Vec<(u8, usize)> = text.iter().copied().zip(0..).collect();
    let next_slash = |pairs: &[(u8, usize)], at: usize| {
        pairs[at..].iter().position(|&(byte, _)| byte == b'/').map_or(pairs.len(), |len| at + len)
    };
    let Ok(len) = resolve_in(&mut pairs, 0, |&(byte, _)| byte, next_slash) else {
        return position;
    };
    let mut kept = pairs[..len].iter().copied().skip_while(|&(byte, _)| byte == b'/');
    kept.nth(position).map_or(text.len(), |(_, at)| at)
}

#[cfg(test)]
mod tests {
    use super::super::super::error::PathErrorKind::{Empty, MissingV7, UnexpectedV7};
    use super::*;

    fn resolved(path: &str) -> Option<String> {
        let mut text = path.as_bytes().to_vec();
        resolve(&mut text, 0).ok()?;
        assert_eq!(has_dot_segments(path.as_bytes()), text != path.as_bytes(), "{path}");
        Some(String::from_utf8(text).unwrap())
    }

    #[test]
    fn dot_segments_are_resolved() {
        for (path, expected) in [
            ("a/./b", "a/b"),
            ("a/../b", "b"),
            ("a/b/..", "a/"),
            ("a/..", ""),
            ("a/.", "a/"),
            ("a/b/../../c", "c"),
            ("a//../b", "a/b"),
            ("a/..//b", "/b"),
            ("./.", ""),
            (".hidden/..foo/a...jpg/...", ".hidden/..foo/a...jpg/..."),
            ("a/.b/..c/", "a/.b/..c/"),
            ("a//b", "a//b"),
        ] {
            assert_eq!(resolved(path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn climbing_is_an_error_at_the_segment_that_climbs() {
        for (path, at) in [("..", 0), ("a/../..", 5), ("./../x", 2), ("a/b/../../../c", 10)] {
            let error = resolve(&mut path.as_bytes().to_vec(), 0).unwrap_err();
            assert_eq!(error, Fault::Traversal.at(at), "{path}");
        }
        let error = resolve(&mut b"host/../x".to_vec(), 5).unwrap_err();
        assert_eq!(error, Fault::Traversal.at(5));
    }

    #[test]
    fn positions_lead_back() {
        let back = |position| position_before_resolving(b"a/..//b/./c", position);
        assert_eq!([0, 1, 2, 3].map(back), [6, 7, 10, 11]);
    }

    #[test]
    fn v7_is_a_whole_segment_and_taken_once() {
        let start = |path: &str, v7| {
            origin_start(path.as_bytes(), v7).map_err(|e| (e.kind(), e.byte_offset()))
        };
        assert_eq!(start("/v7/a", V7::Required), Ok(4));
        assert_eq!(start("v7//v7/a", V7::Optional), Ok(4));
        assert_eq!(start("//a", V7::Optional), Ok(2));
        assert_eq!(start("/v70/a", V7::Never), Ok(1));
        assert_eq!(start("/v7", V7::Never), Err((UnexpectedV7, 1)));
        assert_eq!(start("/V7/a", V7::Required), Err((MissingV7, 1)));
        assert_eq!(start("/v7/", V7::Required), Err((Empty, 4)));
        assert_eq!(start("", V7::Never), Err((Empty, 0)));
    }
}
