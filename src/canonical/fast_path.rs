//! The usual case: short text that is already canonical, or that needs the usual changes.
//!
//! Invariant: the result, if any, equals the pipeline's. Anything unusual returns `None`, and the
//! pipeline takes over. Not here: errors, and rules of its own. The fast path is optional, and the
//! laws hold with and without it.
//!
//! The pipeline makes one pass over the text for each of its steps, because it must report the
//! position and reason of an error, and the effect of each step. The fast path scans the text once.
//! From then on the positions of separators and of possible changes are known.
//!
//! This reduced requests that need changes from 736 to 403 ns, and canonical requests from 116 to
//! 104 ns. Requests that fall back to the pipeline (errors, unusual names, crowded texts) take 80
//! ns longer (`cargo bench -p peers --bench canonical`).

use super::input_checks;
use super::names::Delivery;
use super::path::delivery_host::{Reference, path_start};
use super::path::escape::decoded;
use super::path::host::is_host;
use super::path::segments::{next_slash, resolve_in};
use super::query::key::{NO_OPERATION, write_short};
use super::query::split::{Piece, Split};
use super::rules::Rules;
use super::settings::{Root, V7};
use super::text::bytes::{HOST, is_plain, is_upper};
use super::text::scan::{Seen, find_near, look};
use super::text::spelling::IN_PATH;
use super::text::writer::Writer;
use crate::names::{OriginPath, VariantKey};
use std::borrow::Cow;
use std::ops::Range;

/// With more marks than this, the pipeline is faster, because it reads every byte anyway.
const CROWDED: usize = 32;
/// The maximum number of parameters in honest requests.
const FEW: usize = 16;

impl Rules {
    /// Returns the names in a request if the fast path can determine them. `string` is the same
    /// text as `input`, if that is known to be a string.
    #[inline]
    pub(super) fn fast_path<'t>(
        &self,
        input: &'t [u8],
        string: Option<&'t str>,
        reference: Reference,
    ) -> Option<Delivery<'t>> {
        let path_start = path_start(input, reference, self).ok()?;
        let text = &input[path_start..];
        let start = match (self.v7, text) {
            (V7::Required, [b'/', b'v', b'7', b'/', ..]) => "/v7/".len(),
            (V7::Required, _) | (_, [b'/', b'v', b'7', ..]) => return None,
            (_, [b'/', ..]) => "/".len(),
            _ => return None,
        };
        let seen = look(text, is_plain, is_upper)?;
        if matches!(text.get(start), None | Some(b'/' | b'.' | b'?')) {
            return None;
        }
        // Ampersands and equals signs may be part of a path.
        let mut marks = seen.marks.ones(start);
        let first = marks.next().unwrap_or(text.len());
        let is_plain_path = matches!(text.get(first), None | Some(b'?'));
        if !is_plain_path && seen.marks.ones(start).nth(CROWDED).is_some() {
            return None;
        }
        let query = if is_plain_path { Some(first) } else { marks.find(|&at| text[at] == b'?') };
        let (end, string) = (query.unwrap_or(text.len()), string.and_then(|s| s.get(path_start..)));
        let parts = Parts { text, string, path: start..end };
        let mut room = [Piece::default(); FEW];
        let (split, pieces) = Split::of(text, end + 1, seen.marks.ones(end + 1), &mut room).ok()?;
        if !is_plain_path || split.has(Split::CHANGES) {
            return self.short_changes(&parts, &seen, split, pieces);
        }
        let path = &text[start..end];
        let head = self.short_head(path, seen.any_upper, false)?;
        if head.folds || self.has_prefix(path) {
            return self.short_changes(&parts, &seen, split, pieces);
        }
        let origin = parts.string(start..end)?;
        let key = if end < text.len() { parts.string(end..text.len())? } else { NO_OPERATION };
        Some(Delivery {
            origin: OriginPath::new_unchecked(origin),
            variant: VariantKey::new_unchecked(key),
        })
    }

    /// Does the same for a request that may need changes. Does not allocate unless it returns a
    /// result.
    #[inline(never)]
    fn short_changes<'t>(
        &self,
        parts: &Parts<'t>,
        seen: &Seen,
        split: Split,
        pieces: &mut [Piece],
    ) -> Option<Delivery<'t>> {
        let (text, end) = (parts.text, parts.path.end);
        if text.ends_with(b" ") {
            return None;
        }
        let mut out = Writer::new(b"", <[u8]>::len, 0);
        let has_operations = !pieces.is_empty();
        let is_written = write_short(text, end, split, pieces, &mut out)?;
        let key_len = out.len();
        let is_origin = if split.has(Split::ENCODES_PATH) {
            self.write_encoded_origin(&text[parts.path.clone()], &mut out)?;
            false
        } else {
            self.write_origin(text, parts.path.clone(), seen, &mut out)?
        };
        let written = out.short_text()?;
        let key = match (has_operations, is_written) {
            (false, _) => Cow::Borrowed(NO_OPERATION),
            (true, false) => Cow::Borrowed(parts.string(end..text.len())?),
            (true, true) => Cow::Owned(written.get(..key_len)?.to_owned()),
        };
        let origin = if is_origin {
            Cow::Borrowed(parts.string(parts.path.clone())?)
        } else {
            Cow::Owned(written.get(key_len..)?.to_owned())
        };
        Some(Delivery {
            origin: OriginPath::new_unchecked(origin),
            variant: VariantKey::new_unchecked(key),
        })
    }

    /// Writes the origin in its canonical spelling. Returns whether the origin is the path without
    /// a change; in that case nothing is written.
    #[inline]
    fn write_origin(
        &self,
        text: &[u8],
        path: Range<usize>,
        seen: &Seen,
        out: &mut Writer<'_>,
    ) -> Option<bool> {
        let start = out.len();
        let raw = &text[path.clone()];
        let spelled = out.respell(&IN_PATH, &text[..path.end], path.start, &seen.marks)?;
        let is_respelled = spelled.rest > path.start;
        out.copy(text, spelled.rest, path.end);
        let written = out.short(start)?;
        let head = self.any_head(written, is_respelled || seen.any_upper)?;
        if head.folds {
            written[..head.len].make_ascii_lowercase();
        }
        let mut len = written.len();
        if spelled.any_dot {
            // No segment of the head is removed, so that it stays the head, whatever its form. The
            // pipeline handles the removal.
            let floor = Some(head.len + 1).filter(|&floor| floor <= len && written[0] != b'.')?;
            len = resolve_in(written, floor, |&byte| byte, next_slash).ok()?;
        }
        let written = &written[..len];
        if written.ends_with(b"*") || self.has_prefix(written) {
            return None;
        }
        let is_same = *written == *raw;
        out.truncate(if is_same { start } else { start + len });
        Some(is_same)
    }

    /// Writes the origin of a path that is encoded as a whole.
    #[inline(never)]
    fn write_encoded_origin(&self, path: &[u8], out: &mut Writer<'_>) -> Option<()> {
        let mut decoded = decoded(path).ok()?;
        let text = &*decoded.short(0)?;
        input_checks::clean(text).ok()?;
        let seen = look(text, is_plain, is_upper)?;
        if matches!(text.first(), None | Some(b'/' | b'.')) {
            return None;
        }
        if seen.marks.ones(0).any(|at| text[at] == b'?') {
            return None;
        }
        if self.write_origin(text, 0..text.len(), &seen, out)? {
            out.copy(text, 0, text.len());
        }
        Some(())
    }

    /// Returns the scheme and host, or the first segment, of a path, unless they belong to a
    /// delivery URL. `is_any` is true if the path may contain unusual bytes.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "see `look`")]
    fn short_head(&self, path: &[u8], may_have_upper_case: bool, is_any: bool) -> Option<Head> {
        let len = find_near(path, 0, [b'/', b':']);
        let (first, rest) = path.split_at(len);
        match rest {
            // In lower case, a first segment has the same spelling whether it is a host, an alias
            // or a folder.
            [b'/', ..] if !first.is_empty() && !self.delivers_from(first, b"") => {
                let folds = may_have_upper_case && !is_lower(first) && self.may_be_host(first);
                Some(Head { len, folds })
            }
            [b':', b'/', b'/', rest @ ..]
                if first == b"https"
                    || first == b"http"
                    || (may_have_upper_case
                        && (first.eq_ignore_ascii_case(b"https")
                            || first.eq_ignore_ascii_case(b"http"))) =>
            {
                // Among plain bytes, these do not occur in a host.
                let (host, path) = rest.split_at(find_near(rest, 0, *b"/:,"));
                if host.is_empty()
                    || path.first() != Some(&b'/')
                    || (is_any && !HOST.contains_all(host))
                    || self.delivers_from(host, b"")
                {
                    return None;
                }
                let len = len + "://".len() + host.len();
                let folds = may_have_upper_case && !(is_lower(first) && is_lower(host));
                Some(Head { len, folds })
            }
            [] => Some(Head { len, folds: false }),
            _ => None,
        }
    }

    /// Does the same for a path with any content.
    #[inline(never)]
    fn any_head(&self, path: &[u8], may_have_upper_case: bool) -> Option<Head> {
        self.short_head(path, may_have_upper_case, true)
    }

    fn may_be_host(&self, segment: &[u8]) -> bool {
        self.root == Root::Host && is_host(segment)
    }
}

/// The scheme and host of a path, or its first segment.
struct Head {
    len: usize,
    /// Whether it has to be written in lower case.
    folds: bool,
}

/// A scanned text and the positions of its parts.
struct Parts<'t> {
    text: &'t [u8],
    /// The same text, if it is known to be a string.
    string: Option<&'t str>,
    path: Range<usize>,
}

impl<'t> Parts<'t> {
    /// Returns a part that is ASCII.
    #[inline]
    fn string(&self, part: Range<usize>) -> Option<&'t str> {
        match self.string {
            Some(string) => string.get(part),
            None => std::str::from_utf8(&self.text[part]).ok(),
        }
    }
}

fn is_lower(segment: &[u8]) -> bool {
    !segment.iter().any(u8::is_ascii_uppercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules::builder().token("doc").build().unwrap()
    }

    fn fast(text: &str) -> Option<Delivery<'_>> {
        rules().fast_path(text.as_bytes(), Some(text), Reference::Url)
    }

    #[test]
    fn what_is_usual_is_short_and_what_the_pipeline_says() {
        for text in [
            "/folder/and/a.jpg",
            "/sample.li/birds.jpg?h=400&w=600",
            "//doc.cloudimg.io/My_Folder/a.jpg?",
            "https://doc.cloudimg.io/https://img.domain.com/a//b.jpg?f=a:1,b&w=1",
            "https://doc.cloudimg.io/_Alias.x_/a.jpg?sharp&w=1",
            "https://doc.cloudimg.io/10.0.0.1/folder/X",
            "HTTP://doc.cloudimg.io:80/a.jpg",
            "https://doc.cloudimg.io/a/b/c/file=1&2.jpg",
            // Texts that need changes.
            "/sample.li/a%2fb%41(1)%20\u{e9}.jpg",
            "/Sample.LI/My(Folder)/a.jpg",
            "/HTTPS://IMG.domain.com/%41.jpg",
            "/sample.li/a/.b/../c/./d.jpg",
            "/folder/a/%2E%2e/",
            "/sample.li/a.jpg?width=1",
            "/sample.li/a.jpg?w=1&h=1&grey",
            "/sample.li/a.jpg?w=1&w=1&height=2&h=3",
            "/sample.li/a.jpg?a&&w=1&",
            "/sample.li/a.jpg?w=1&x=",
            "/sample.li/a.jpg?aaaaaaaab&aaaaaaaaa",
            "/sample.li/a.jpg?f=%3a,%C3%A9\u{e9}!&ci_sign=1&x=%2c",
            "/sample.li%2fa%20b.jpg?w=1&ci_url_encoded=1",
            "/short.jpg",
            "/sample.li/a.jpg?w=1=1&x",
            "/sample.li/a.jpg?w=1?x=1",
            "/sample.li/a.jpg?ci_sign=1",
            "/sample.li/folder/a.jpg?ci_eqs=Y2lfdXJsX2VuY29kZWQ9MQ",
        ] {
            let rules = rules();
            let read = rules.reader().delivery(text.as_bytes(), Reference::Url);
            assert_eq!(fast(text), Some(read.unwrap()), "{text}");
        }
    }

    #[test]
    fn unknown_parameters_follow_in_the_order_given() {
        for (query, key) in [
            ("?rotate=90&crop=0,0,5,9", "?rotate=90&crop=0,0,5,9"),
            ("?crop=0,0,5,9&rotate=90&width=1", "?w=1&crop=0,0,5,9&rotate=90"),
            ("?aaaaaaaab=1&aaaaaaaaa=2", "?aaaaaaaab=1&aaaaaaaaa=2"),
            ("?z=1&wat_fontsize=2&z=0&wat_font=1", "?wat_font=1&wat_fontsize=2&z=1&z=0"),
        ] {
            let text = format!("/sample.li/a.jpg{query}");
            assert_eq!(fast(&text).unwrap().variant.as_str(), key);
            let rules = rules();
            let read = rules.reader().delivery(text.as_bytes(), Reference::Url).unwrap();
            assert_eq!(read.variant.as_str(), key);
        }
    }

    #[test]
    fn unusual_requests_are_left_to_the_pipeline() {
        for text in [
            "",
            "/",
            "///a",
            "/.a/folder/b.jpg",
            "/%2E%2E/folder/b.jpg",
            "/folder/../b/c.jpg",
            "/folder/and/a.*",
            "/v7/folder/and/a.jpg",
            "/doc.cloudimg.io/folder/a.jpg",
            "/d%6Fc.cloudimg.io/folder/a.jpg",
            "/https://doc.cloudimg.io/a.jpg",
            "/https://h",
            "/https:///folder/a.jpg",
            "/https:/h/folder/a.jpg",
            "/https://h:80/folder/a.jpg",
            "/https://h%20/folder/a.jpg",
            "/ftp://h/folder/a.jpg",
            "/Foo://h/Folder/a.jpg",
            "/FTP://h/folder/a.jpg",
            "/sample.li:80/folder/a.jpg",
            "/sample.li/a.jpg?%77idth=1",
            "/sample.li/a.jpg?w+h=1&a=1",
            "/sample.li/a.jpg?w=%1&ci_sign=2",
            "/sample.li/a.jpg?w=1&ci_sign=%2",
            "/sample.li/a.jpg?w=1\u{7f}",
            "/%2Fsample.li%2fa%20b.jpg?ci_url_encoded=1",
            "/sample.li%2fa%23b.jpg?ci_url_encoded=1",
            "/sample.li%2fa.jpg%3Fx=1?ci_url_encoded=1",
            "/sample.li/a%0Db.jpg",
            "/sample.li/a\\b.jpg",
            "/sample.li/a%2.jpg",
            "/sample.li/folder/a.jpg#",
            "/sample.li/folder/a.jpg ",
            "https://doc.cloudimg.iox/a.jpg",
            "https://doc.cloudimg.io",
        ] {
            assert_eq!(fast(text), None, "{text}");
        }
    }
}
