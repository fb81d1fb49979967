//! The four forms of an origin, and the canonical spelling of each.
//!
//! Invariant: the form is determined from text with normalized escapes. The head of the text
//! (scheme and host, or alias) ends where dot segments may not climb. Not here: the meaning of the
//! form to the rules: delivery hosts, prefixes, wildcards.

use super::super::error::{Fault, Result};
use super::super::settings::Root;
use super::super::text::bytes::{HOST, SCHEME, escape_at};
use super::super::text::scan::find_near;
use super::super::trace::{StepKind, Trace};
use super::escape::with_room;
use super::host::{SCHEMES, Scheme, is_host, split_port};
use super::segments::{has_dot_segments, leading_slashes, resolve};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::canonical) enum Form {
    /// `https://img.example.com/a.jpg`
    Url(&'static Scheme),
    /// `_alias_/a.jpg`
    Alias,
    /// `sample.li/a.jpg`
    Host,
    /// `folder/a.jpg`
    Relative,
}

/// The form of a text, and the positions of its parts.
#[derive(Clone, Debug)]
pub(in crate::canonical) struct Shape {
    pub(in crate::canonical) form: Form,
    /// The host and port of a URL, or the first segment of other forms. Empty for relative paths.
    head: Range<usize>,
    /// The port in its canonical spelling, inside of `head`. Empty if there is none.
    port: Range<usize>,
}

impl Shape {
    /// Determines the form of `text`.
    pub(in crate::canonical) fn of(text: &[u8], root: Root) -> Result<Self> {
        let plain = |form, len| Self { form, head: 0..len, port: len..len };
        let stop = find_near(text, 0, [b'/', b':']);
        let (len, port) = match text.get(stop) {
            None => return Ok(plain(Form::Relative, 0)),
            Some(b'/') => (stop, stop..stop),
            Some(_) => {
                if let Some((scheme, authority)) = scheme(text)? {
                    return Self::of_url(text, scheme, authority);
                }
                let len = find_near(text, stop, [b'/']);
                (len, (stop + 1).min(len)..len)
            }
        };
        Ok(match &text[..len] {
            _ if len == text.len() => plain(Form::Relative, 0),
            [b'_', .., b'_'] if len >= 3 => plain(Form::Alias, len),
            segment if root == Root::Host && is_host(segment) => {
                Self { form: Form::Host, head: 0..len, port }
            }
            _ => plain(Form::Relative, 0),
        })
    }

    /// Returns the shape of a text that starts with the host and port `segment`.
    pub(in crate::canonical) fn of_host(segment: &[u8]) -> Self {
        let port = segment.len() - split_port(segment).1.len();
        Self { form: Form::Host, head: 0..segment.len(), port: port..segment.len() }
    }

    fn of_url(text: &[u8], scheme: &'static Scheme, start: usize) -> Result<Self> {
        let rest = &text[start..];
        let len = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
        let (authority, end) = (&rest[..len], start + len);
        if let Some(at) = authority.iter().position(|&byte| byte == b'@') {
            return Err(Fault::UserInfo.at(start + at));
        }
        let (host, port) = split_port(authority);
        if host.is_empty() {
            return Err(Fault::EmptyHost.at(start));
        }
        if let Some(at) = host.iter().position(|&byte| !HOST.contains(byte)) {
            let is_ascii = escape_at(host, at).is_none_or(|byte| byte.is_ascii());
            let fault = if is_ascii { Fault::InvalidHost } else { Fault::HostNotAscii };
            return Err(fault.at(start + at));
        }
        let zeros = port.iter().take_while(|&&digit| digit == b'0').count();
        // The port zero is written with one digit.
        let significant = end - port.len() + zeros.min(port.len().saturating_sub(1))..end;
        let number = &text[significant.clone()];
        // With five digits at most, texts of equal length are in the order of their numbers.
        let too_large = number.len() > 5 || (number.len() == 5 && number > b"65535");
        if too_large || !number.iter().all(u8::is_ascii_digit) {
            return Err(Fault::InvalidPort.at(end - port.len()));
        }
        let needless = number == scheme.port.as_bytes();
        let port = if needless { end..end } else { significant };
        Ok(Self { form: Form::Url(scheme), head: start..end, port })
    }

    /// Returns the host and the port of forms that have one.
    pub(in crate::canonical) fn host<'t>(&self, text: &'t [u8]) -> Option<(&'t [u8], &'t [u8])> {
        let has_host = matches!(self.form, Form::Url(_) | Form::Host);
        has_host.then(|| (split_port(&text[self.head.clone()]).0, &text[self.port.clone()]))
    }

    /// Returns the position of the slash after the head, if the text goes on.
    pub(in crate::canonical) fn end(&self) -> usize {
        self.head.end
    }

    pub(in crate::canonical) fn is_ftp(&self) -> bool {
        matches!(self.form, Form::Url(scheme) if is_ftp(scheme))
    }

    /// Returns the start of the part that dot segments may not leave.
    fn floor(&self) -> usize {
        if self.form == Form::Relative { 0 } else { self.head.end + 1 }
    }

    /// Writes `text`, which has this shape, in its canonical spelling.
    pub(in crate::canonical) fn settle<'t>(
        &self,
        text: Cow<'t, [u8]>,
        has_no_dots: bool,
        room: usize,
        trace: &mut impl Trace,
    ) -> Result<Cow<'t, [u8]>> {
        let tail = text.get(self.floor()..);
        let has_dots = !has_no_dots && tail.is_some_and(has_dot_segments);
        let head = self.settled_head(&text);
        if tail.is_some() && !has_dots && text[..self.head.end] == *head {
            return Ok(text);
        }
        // From the end to the start, so that the ranges stay true.
        let has_tail = tail.is_some();
        let mut out = with_room(text, room);
        let mut before = trace.keep(&out);
        if has_dots {
            resolve(&mut out, self.floor())?;
            trace.note(StepKind::DotSegments, &before, &out);
            before = trace.keep(&out);
        } else if !has_tail {
            out.push(b'/');
        }
        out.splice(..self.head.end, head);
        trace.note(StepKind::SchemeAndHost, &before, &out);
        Ok(Cow::Owned(out))
    }

    /// Returns the head of `text` in its canonical spelling.
    fn settled_head(&self, text: &[u8]) -> SmallVec<[u8; 64]> {
        let mut head = SmallVec::new();
        let Some((host, port)) = self.host(text) else {
            head.extend_from_slice(&text[..self.head.end]);
            return head;
        };
        if let Form::Url(scheme) = self.form {
            head.extend_from_slice(scheme.name.as_bytes());
            head.extend_from_slice(b"://");
        }
        head.extend_from_slice(host);
        head.make_ascii_lowercase();
        if !port.is_empty() {
            head.push(b':');
            head.extend_from_slice(port);
        }
        head
    }
}

fn is_ftp(scheme: &Scheme) -> bool {
    scheme.name == "ftp"
}

/// Returns the scheme that `text` starts with, and the position of the authority.
fn scheme(text: &[u8]) -> Result<Option<(&'static Scheme, usize)>> {
    let Some(colon) = text.iter().position(|&byte| !SCHEME.contains(byte)) else { return Ok(None) };
    if text[colon] != b':' || !text[0].is_ascii_alphabetic() {
        return Ok(None);
    }
    let slashes = leading_slashes(&text[colon + 1..]);
    let known = SCHEMES.iter().find(|s| text[..colon].eq_ignore_ascii_case(s.name.as_bytes()));
    match known {
        Some(scheme) if is_ftp(scheme) && slashes > 1 => Ok(Some((scheme, colon + "://".len()))),
        // Proxies merge slashes, and there is no other meaning.
        Some(scheme) if !is_ftp(scheme) && slashes > 0 => Ok(Some((scheme, colon + 1 + slashes))),
        None if slashes > 1 => Err(Fault::UnsupportedScheme.at(0)),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::error::PathErrorKind;
    use super::*;

    fn settled(text: &str, root: Root) -> Result<(Form, String), PathErrorKind> {
        let settle = || {
            let shape = Shape::of(text.as_bytes(), root)?;
            let settled = shape.settle(Cow::Borrowed(text.as_bytes()), false, 2, &mut ())?;
            assert_eq!(matches!(settled, Cow::Borrowed(_)), *settled == *text.as_bytes(), "{text}");
            Ok((shape.form, String::from_utf8(settled.into_owned()).unwrap()))
        };
        settle().map_err(|error: super::super::super::error::PathError| error.kind())
    }

    #[test]
    fn urls_get_one_spelling() {
        for (text, expected) in [
            ("https://h/", "https://h/"),
            ("HTTPS:/H", "https://h/"),
            ("https:////h:0443/A", "https://h/A"),
            ("http://h:/a/../b", "http://h/b"),
            ("http://h:443/", "http://h:443/"),
            ("http://h:0/", "http://h:0/"),
            ("http://h:000/", "http://h:0/"),
            ("https://h:65535", "https://h:65535/"),
            ("https:/H:08080//x", "https://h:8080//x"),
            ("http://h//../x", "http://h/x"),
            ("ftp://h:21/a", "ftp://h/a"),
            ("FTP://h:0022/a", "ftp://h:22/a"),
        ] {
            assert_eq!(settled(text, Root::Path).unwrap().1, expected, "{text}");
        }
    }

    #[test]
    fn malformed_urls_are_refused() {
        use PathErrorKind::{InvalidHost, Traversal, UnsupportedScheme, UserInfo};
        for (text, expected) in [
            ("https://", InvalidHost),
            ("https://:80/", InvalidHost),
            ("https://h:65536/", InvalidHost),
            ("https://h:000065536/", InvalidHost),
            ("https://h:1:2/", InvalidHost),
            ("https://h%41/", InvalidHost),
            ("https://[::1]/", InvalidHost),
            ("ftp:///h/", InvalidHost),
            ("https://@/", UserInfo),
            ("https://a:b@h/", UserInfo),
            ("gopher://h/", UnsupportedScheme),
            ("https://h/..", Traversal),
            ("_a_/../b", Traversal),
            ("h.io/a/../../b", Traversal),
        ] {
            assert_eq!(settled(text, Root::Host).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn the_form_is_told_by_the_first_segment() {
        use Form::{Alias, Host, Relative};
        for (text, form) in [
            ("_a_/b", Alias),
            ("___/b", Alias),
            ("_My.Bucket.IO_/b", Alias),
            ("__/b", Relative),
            ("_a_", Relative),
            ("sample.li/b", Host),
            ("sample.li", Relative),
            ("sample.li:443/b", Host),
            ("sample.li:/b", Relative),
            ("sample.li:123456/b", Relative),
            ("sample.li:8a/b", Relative),
            ("a.xn--p1ai/b", Host),
            ("a.xn--/b", Relative),
            ("sample.li./b", Relative),
            (".li/b", Relative),
            ("a..li/b", Relative),
            ("a.b1/b", Relative),
            ("10.0.0.1/b", Relative),
            ("localhost/b", Relative),
            ("a%20b.li/b", Relative),
            ("http:b/c", Relative),
            ("1http://b", Relative),
        ] {
            assert_eq!(settled(text, Root::Host).unwrap().0, form, "{text}");
            let in_library = settled(text, Root::Path).unwrap().0;
            assert_eq!(in_library, if form == Host { Relative } else { form }, "{text}");
        }
    }
}
