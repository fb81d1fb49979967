//! The usual case: text that is canonical already and holds nothing unusual.
//!
//! Invariant: what is said here is what the pipeline says; about anything that needs a second look, nothing is said.
//! Not here: errors, and rules of their own. It is a shortcut, and the laws hold with and without it.

use super::bytes::{is_lower_host, said};
use super::cut;
use super::form::is_host;
use super::names::Delivery;
use super::parameters::acts;
use super::rules::{Root, Rules, V7};
use super::scan::{Separators, find_near, look};
use crate::origin::OriginPath;
use crate::variant::VariantKey;
use std::ops::Range;

/// What is seen of a request at a glance.
pub(super) enum Glance<'t> {
    /// It is written in its one spelling.
    Request(Delivery<'t>),
    /// Its path is, and it has a query, which starts here.
    Path(OriginPath<'t>, usize),
}

impl Rules {
    /// What a request names, as far as that is seen at a glance; `string` is the same as `input`, if that is known to be one.
    #[inline]
    pub(super) fn at_a_glance<'t>(
        &self,
        input: &'t [u8],
        string: Option<&'t str>,
    ) -> Option<Glance<'t>> {
        let path_start = self.quick_path_start(input)?;
        let text = &input[path_start..];
        let start = match (self.v7, text) {
            (V7::Required, [b'/', b'v', b'7', b'/', ..]) => "/v7/".len(),
            (V7::Required, _) | (_, [b'/', b'v', b'7', ..]) => return None,
            _ => "/".len(),
        };
        let (any_upper, mut separators) = look(text, said)?;
        let last = said(*text.last()?, 0);
        if last.is_unusual || matches!(text[start], b'/' | b'.' | b'?') {
            return None;
        }
        // Ampersands and equals signs may be part of a path.
        let no_more = text.len() - usize::from(text.ends_with(b"?"));
        let end = separators.find(|&at| text[at] == b'?').unwrap_or(no_more);
        let origin = text.get(start..end)?;
        if !self.is_quick_head(origin, any_upper) || self.has_prefix(origin) {
            return None;
        }
        // One check of the whole takes half as long as two of its parts.
        let text = match string {
            Some(string) => &string[path_start..],
            None => std::str::from_utf8(text).ok()?,
        };
        let origin = OriginPath::new_unchecked(&text[start..end]);
        let variant = match &text[end..] {
            "" | "?" => "?",
            query
                if !last.separates && is_canonical_query(text.as_bytes(), end + 1, separators) =>
            {
                query
            }
            _ => return Some(Glance::Path(origin, path_start + end)),
        };
        let variant = VariantKey::new_unchecked(variant);
        Some(Glance::Request(Delivery { origin, variant }))
    }

    /// Where the slash is that the path starts with, if the host is written as the rules have it.
    #[inline]
    pub(super) fn quick_path_start(&self, input: &[u8]) -> Option<usize> {
        let behind_scheme = match input {
            [b'/', b'/', ..] => "//".len(),
            [b'/', ..] => return Some(0),
            _ if input.starts_with(b"https://") => "https://".len(),
            _ => return None,
        };
        let rest = &input[behind_scheme..];
        let host = self.hosts().find(|host| rest.starts_with(host))?;
        (rest.get(host.len()) == Some(&b'/')).then_some(behind_scheme + host.len())
    }

    /// Whether scheme, host or first segment are in their one spelling, and not those of a delivery URL.
    #[inline]
    fn is_quick_head(&self, path: &[u8], may_have_upper_case: bool) -> bool {
        let (first, rest) = path.split_at(find_near(path, 0, [b'/', b':']));
        match rest {
            // In lower case, a first segment is written the same whether it is a host, an alias or a folder.
            [b'/', ..] => {
                (!may_have_upper_case || is_lower(first) || !self.may_be_host(first))
                    && !self.delivers_from(first, b"")
            }
            [b':', b'/', b'/', rest @ ..] if matches!(first, b"https" | b"http") => {
                // Of the bytes that may be here, these are no host's.
                let (host, path) = rest.split_at(find_near(rest, 0, *b"/:,&="));
                !host.is_empty()
                    && path.first() == Some(&b'/')
                    && (!may_have_upper_case || host.iter().all(|&byte| is_lower_host(byte)))
                    && !self.delivers_from(host, b"")
            }
            [b':', ..] => false,
            _ => true,
        }
    }

    fn may_be_host(&self, segment: &[u8]) -> bool {
        self.root == Root::Host && is_host(segment)
    }
}

fn is_lower(segment: &[u8]) -> bool {
    !segment.iter().any(u8::is_ascii_uppercase)
}

/// Whether the query that starts at `name_start`, behind its question mark, is its own key, if nothing unusual is in it and it doesn't end in a
/// separator. It may say no of one with repeats, or with names of more than eight bytes that begin alike.
#[inline]
fn is_canonical_query(text: &[u8], mut name_start: usize, separators: Separators) -> bool {
    let (mut in_value, mut previous) = (false, 0);
    let mut follows = |name: Range<usize>| {
        let key = cut::key(text, name.start, name.end);
        !acts(&text[name]) && std::mem::replace(&mut previous, key) < key
    };
    for at in separators {
        let byte = text[at];
        // A value ends at an ampersand; a name also at an equals sign.
        if byte == b'?' || (in_value && byte == b'=') || (!in_value && !follows(name_start..at)) {
            return false;
        }
        in_value = byte == b'=';
        name_start = at + 1;
    }
    in_value || name_start >= text.len() || follows(name_start..text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules::builder().token("doc").build().unwrap()
    }

    fn quick(text: &str) -> Option<Delivery<'_>> {
        match rules().at_a_glance(text.as_bytes(), Some(text)) {
            Some(Glance::Request(delivery)) => Some(delivery),
            _ => None,
        }
    }

    #[test]
    fn what_is_usual_is_quick_and_what_the_pipeline_says() {
        for text in [
            "/folder/and/a.jpg",
            "/sample.li/birds.jpg?h=400&w=600",
            "//doc.cloudimg.io/My_Folder/a.jpg?",
            "https://doc.cloudimg.io/https://img.domain.com/a//b.jpg?f=a:1,b&w=1",
            "https://doc.cloudimg.io/_Alias.x_/a.jpg?sharp&w=1",
            "https://doc.cloudimg.io/10.0.0.1/folder/X",
            "https://doc.cloudimg.io/a/b/c/file=1&2.jpg",
        ] {
            let read = rules().read_delivery(text.as_bytes(), &mut ());
            assert_eq!(quick(text), Some(read.unwrap()), "{text}");
        }
    }

    #[test]
    fn what_is_unusual_is_left_to_the_pipeline() {
        for text in [
            "",
            "/",
            "///a",
            "/.a",
            "/a/.b",
            "/a*",
            "/v7/a",
            "/a%2Fb",
            "/Sample.LI/a",
            "/doc.cloudimg.io/a",
            "/https://doc.cloudimg.io/a",
            "/https://H/a",
            "/https://h",
            "/https:///a",
            "/https://h:80/a",
            "/ftp://h/a",
            "/sample.li:80/a",
            "/short.jpg",
            "/?wat_color=bcdefghij",
            "/sample.li/a.jpg?width=1",
            "/sample.li/a.jpg?w=1&h=1",
            "/sample.li/a.jpg?w=1&w=1",
            "/sample.li/a.jpg?w=1=1&x",
            "/sample.li/a.jpg?w=1?x=1",
            "/sample.li/a.jpg?a&&w=1",
            "/sample.li/a.jpg?aaaaaaaab&aaaaaaaaa",
            "/sample.li/a.jpg?w=1&",
            "/sample.li/a.jpg?w=1&x=",
            "/sample.li/My(Folder)/a.jpg",
            "/a?ci_eqs=Y2lfdXJsX2VuY29kZWQ9MQ",
            "/sample.li/a.jpg?ci_eqs=Y2lfdXJsX2VuY29kZWQ9MQ",
            "/sample.li/a.jpg?w=\u{e9}",
            "/sample.li/a\u{e9}.jpg",
            "/sample.li/a.jpg#",
            "http://doc.cloudimg.io/a",
            "https://doc.cloudimg.iox/a",
            "https://doc.cloudimg.io",
        ] {
            assert_eq!(quick(text), None, "{text}");
        }
    }
}
