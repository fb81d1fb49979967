//! The usual case: text that is canonical already and holds nothing unusual.
//!
//! Invariant: what is said here is what the pipeline says; about anything that needs a second look, nothing is said.
//! Not here: errors, and rules of their own. It is a shortcut, and the laws hold with and without it.

use super::ascii;
use super::bytes::{any_unusual, is_path};
use super::form::is_host;
use super::rules::{Root, Rules, V7};
use crate::origin::OriginPath;
use std::borrow::Cow;

impl Rules {
    /// The origin in the path of a request, if it is written in its one spelling.
    #[inline]
    pub(super) fn quick_request<'t>(&self, path: &'t [u8]) -> Option<OriginPath<'t>> {
        let start = match (self.v7, path) {
            (V7::Required, [b'/', b'v', b'7', b'/', ..]) => "/v7/".len(),
            (V7::Required, _) | (_, [b'/', b'v', b'7', ..]) => return None,
            _ => "/".len(),
        };
        let origin = path.get(start..)?;
        let is_quick = path[0] == b'/' && self.is_quick_origin(origin);
        is_quick.then(|| OriginPath::new_unchecked(ascii(Cow::Borrowed(origin))))
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

    /// Whether `path` is its own canonical origin, which can be told at a glance.
    #[inline]
    pub(super) fn is_quick_origin(&self, path: &[u8]) -> bool {
        let [first, .., last] = path else { return false };
        !matches!(first, b'/' | b'.')
            && *last != b'*'
            && is_path(*last)
            && !any_unusual(path)
            && self.is_quick_head(path)
            && !self.has_prefix(path)
    }

    /// Whether scheme, host or first segment are in their one spelling, and not those of a delivery URL.
    #[inline]
    fn is_quick_head(&self, path: &[u8]) -> bool {
        let stop = path.iter().position(|byte| matches!(byte, b'/' | b':'));
        match stop.map(|at| (path[at], &path[..at], &path[at + 1..])) {
            None => true,
            Some((b'/', [b'_', .., b'_'], _)) => stop != Some(2),
            Some((b'/', segment, _)) => {
                self.root == Root::Path
                    || !is_host(segment)
                    || (is_lower(segment) && !self.delivers_from(segment, b""))
            }
            Some((_, b"https" | b"http", [b'/', b'/', rest @ ..])) => {
                let len = rest.iter().position(|byte| !is_lower_host(*byte));
                let Some(host) = len.filter(|&len| rest[len] == b'/').map(|len| &rest[..len])
                else {
                    return false;
                };
                !host.is_empty() && !self.delivers_from(host, b"")
            }
            Some(_) => false,
        }
    }
}

fn is_lower(segment: &[u8]) -> bool {
    !segment.iter().any(u8::is_ascii_uppercase)
}

fn is_lower_host(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::super::names::Delivery;
    use super::super::query::Query;
    use super::super::split_query;
    use super::*;
    use crate::variant::VariantKey;

    fn rules() -> Rules {
        Rules::builder().token("doc").build().unwrap()
    }

    fn quick(text: &str) -> Option<Delivery<'_>> {
        let text = text.as_bytes();
        let (path, query) = split_query(&text[rules().quick_path_start(text)?..]);
        let query = Query::read(query, &mut ()).ok().filter(Query::is_plain)?;
        let variant = VariantKey::new_unchecked(query.key);
        Some(Delivery { origin: rules().quick_request(path)?, variant })
    }

    #[test]
    fn what_is_usual_is_quick_and_what_the_pipeline_says() {
        for text in [
            "/a.jpg",
            "/sample.li/birds.jpg?h=400&w=600",
            "//doc.cloudimg.io/My(Folder)/a.jpg?",
            "https://doc.cloudimg.io/https://img.domain.com/a//b.jpg?f=a:1,b&w=1",
            "https://doc.cloudimg.io/_Alias.x_/a?w=1&w=2",
            "https://doc.cloudimg.io/10.0.0.1/X",
        ] {
            let read = rules().read_without_shortcut(text.as_bytes());
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
            "/a?width=1",
            "/a?w=1&",
            "/a?ci_eqs=Y2lfdXJsX2VuY29kZWQ9MQ",
            "/a\u{e9}",
            "/a#",
            "http://doc.cloudimg.io/a",
            "https://doc.cloudimg.iox/a",
            "https://doc.cloudimg.io",
        ] {
            assert_eq!(quick(text), None, "{text}");
        }
    }
}
