//! One line of an access log in NCSA combined format, as nginx, Varnish and Apache write it:
//!
//! ```text
//! client ident user [24/Nov/2026:20:24:17 +0000] "GET /sample.li/birds.jpg?w=200 HTTP/1.1" 200 5120 "referrer" "agent"
//! ```
//!
//! Referrer and agent may be missing (the common format), and more fields may follow. Invariant: a line is read or has a [`Reason`];
//! nothing is guessed.

use cache_index::canonical::PathErrorKind;
use jiff::fmt::strtime;
use std::borrow::Cow;
use std::fmt;

/// A line as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'l> {
    /// Seconds since 1970.
    pub(crate) second: i64,
    pub(crate) method: Cow<'l, [u8]>,
    pub(crate) target: Cow<'l, [u8]>,
    pub(crate) status: u16,
}

/// Why a line is neither a request for a picture nor an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    OtherMethod,
    OtherStatus,
    RefusedPurge,
    OtherHost,
    Empty,
    TooLong,
    NoDate,
    BadDate,
    NoRequest,
    NoStatus,
    NotHttp,
    BadTarget(PathErrorKind),
    BadPurge(PathErrorKind),
}

impl Reason {
    /// Whether the line was understood, and is about something else.
    pub(crate) fn is_passed_over(self) -> bool {
        matches!(self, Self::OtherMethod | Self::OtherStatus | Self::RefusedPurge | Self::OtherHost)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherMethod => "method other than GET and PURGE",
            Self::OtherStatus => "status other than 200, 206 and 304",
            Self::RefusedPurge => "purge that was refused",
            Self::OtherHost => "another host",
            Self::Empty => "empty line",
            Self::TooLong => "line longer than 65536 bytes",
            Self::NoDate => "no date in brackets, followed by a quoted request",
            Self::BadDate => "no such date",
            Self::NoRequest => "request without a closing quote",
            Self::NoStatus => "no status and size behind the request",
            Self::NotHttp => "request is not METHOD TARGET HTTP/VERSION",
            Self::BadTarget(kind) => return write!(f, "target names no picture: {kind}"),
            Self::BadPurge(kind) => return write!(f, "purge names no picture: {kind}"),
        })
    }
}

/// Reads dates. Lines of one second stand together, so that few are really read.
#[derive(Debug, Default)]
pub(crate) struct Dates {
    last: Option<([u8; DATE], i64)>,
}

/// How long `24/Nov/2026:20:24:17 +0000` is.
const DATE: usize = 26;

impl Dates {
    fn second(&mut self, text: [u8; DATE]) -> Result<i64, Reason> {
        if let Some((last, second)) = self.last
            && last == text
        {
            return Ok(second);
        }
        let second = strtime::parse("%d/%b/%Y:%H:%M:%S %z", text)
            .and_then(|date| date.to_timestamp())
            .map_err(|_| Reason::BadDate)?
            .as_second();
        self.last = Some((text, second));
        Ok(second)
    }
}

impl<'l> Line<'l> {
    pub(crate) fn read(line: &'l [u8], dates: &mut Dates) -> Result<Self, Reason> {
        let line = line.trim_ascii_end();
        if line.is_empty() {
            return Err(Reason::Empty);
        }
        let (date, rest) = date(line).ok_or(Reason::NoDate)?;
        let second = dates.second(date)?;
        let (request, rest) = quoted(rest).ok_or(Reason::NoRequest)?;
        let status = status(rest).ok_or(Reason::NoStatus)?;
        let [method, target] = request_line(request).ok_or(Reason::NotHttp)?;
        Ok(Self { second, method, target, status })
    }
}

/// The date, and what is behind the quote that opens the request. The name of a user may hold brackets as well, so a bracket alone
/// is no sign.
fn date(line: &[u8]) -> Option<([u8; DATE], &[u8])> {
    let mut from = 0;
    loop {
        let at = from + line[from..].windows(2).position(|pair| pair == b" [")? + 2;
        let (date, behind) = line[at..].split_first_chunk::<DATE>()?;
        if let Some(rest) = behind.strip_prefix(b"] \"") {
            return Some((*date, rest));
        }
        from = at;
    }
}

/// What stands before the closing quote, as it was written, and what stands behind it.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'"' => return Some((&text[..at], &text[at + 1..])),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn status(rest: &[u8]) -> Option<u16> {
    let mut fields = rest.strip_prefix(b" ")?.split(|&byte| byte == b' ');
    let (status, size) = (fields.next()?, fields.next()?);
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    if status.len() != 3 || !digits(status) || !(digits(size) || size == b"-") {
        return None;
    }
    Some(status.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0')))
}

/// Method and target.
fn request_line(request: &[u8]) -> Option<[Cow<'_, [u8]>; 2]> {
    match unescaped(request) {
        Cow::Borrowed(request) => parts(request).map(|parts| parts.map(Cow::Borrowed)),
        Cow::Owned(request) => {
            parts(&request).map(|parts| parts.map(|part| Cow::Owned(part.to_vec())))
        }
    }
}

fn parts(request: &[u8]) -> Option<[&[u8]; 2]> {
    let first = request.iter().position(|&byte| byte == b' ')?;
    let last = request.iter().rposition(|&byte| byte == b' ')?;
    let version = request[last + 1..].strip_prefix(b"HTTP/")?;
    let good = version.first().is_some_and(u8::is_ascii_digit)
        && version.iter().all(|&byte| byte.is_ascii_digit() || byte == b'.');
    let (method, target) = (&request[..first], request.get(first + 1..last)?);
    let whole = |part: &[u8]| !part.is_empty() && !part.contains(&b' ');
    (good && whole(method) && whole(target)).then_some([method, target])
}

/// The bytes that were sent. nginx writes `\x22` for what it escapes, Varnish and Apache also `\"` and the like.
fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'\\') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        let (byte, len) = if byte == b'\\' { escape(behind) } else { (byte, 0) };
        bytes.push(byte);
        rest = &behind[len..];
    }
    Cow::Owned(bytes)
}

/// The byte that is written as a backslash and these, and how many of these. What is no escape is a backslash that was not escaped.
fn escape(behind: &[u8]) -> (u8, usize) {
    let digit = |at: usize| behind.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    match behind.first() {
        Some(b'x') => match (digit(1), digit(2)) {
            (Some(high), Some(low)) => (u8::try_from(high * 16 + low).unwrap_or(b'\\'), 3),
            _ => (b'\\', 0),
        },
        Some(&byte @ (b'"' | b'\\')) => (byte, 1),
        Some(b'n') => (b'\n', 1),
        Some(b'r') => (b'\r', 1),
        Some(b't') => (b'\t', 1),
        _ => (b'\\', 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<(String, String, u16), Reason> {
        let line = Line::read(line.as_bytes(), &mut Dates::default())?;
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        Ok((text(&line.method), text(&line.target), line.status))
    }

    /// A line with that request.
    fn with(request: &str) -> String {
        format!("::1 - - [24/Nov/2026:20:24:17 +0000] \"{request}\" 200 1 \"-\" \"-\"")
    }

    fn get(target: &str) -> (String, String, u16) {
        ("GET".to_owned(), target.to_owned(), 200)
    }

    #[test]
    fn escapes_are_undone_and_other_backslashes_kept() {
        assert_eq!(read(&with(r"GET /a\x22b HTTP/1.1")), Ok(get(r#"/a\"b"#)));
        assert_eq!(read(&with(r#"GET /a\"b HTTP/1.1"#)), Ok(get(r#"/a\"b"#)));
        assert_eq!(read(&with(r"GET /a\\b\q HTTP/2.0")), Ok(get(r"/a\\b\\q")));
        assert_eq!(read(&with(r"GET /\xC3\xA9\x HTTP/3")), Ok(get(r"/\xc3\xa9\\x")));
    }

    #[test]
    fn dates_count_from_1970_whatever_their_zone() {
        let mut dates = Dates::default();
        let utc = dates.second(*b"24/Nov/2026:20:24:17 +0000").unwrap();
        assert_eq!(utc, 1_795_551_857);
        assert_eq!(dates.second(*b"24/Nov/2026:22:24:17 +0200"), Ok(utc));
        assert_eq!(dates.second(*b"24/Nov/2026:20:24:17 +0000"), Ok(utc));
        assert_eq!(dates.second(*b"31/Feb/2026:20:24:17 +0000"), Err(Reason::BadDate));
    }

    #[test]
    fn each_part_that_is_wrong_has_its_reason() {
        for (line, reason) in [
            ("", Reason::Empty),
            ("\r\n", Reason::Empty),
            ("::1 - - 24/Nov/2026 \"GET / HTTP/1.1\" 200 1", Reason::NoDate),
            ("::1 - - [24/Nov/2026:20:24:17 +0000] GET / HTTP/1.1 200 1", Reason::NoDate),
            ("::1 - - [24/Nov/2026:20:24:17 +0000] \"GET / HT", Reason::NoRequest),
            ("::1 - - [24/Nov/2026:20:24:17 +0000] \"GET / HTTP/1.1\\\" 200 1", Reason::NoRequest),
            ("::1 - - [24/Nov/2026:20:24:17 +0000] \"GET / HTTP/1.1\" 20 1", Reason::NoStatus),
            ("::1 - - [24/Nov/2026:20:24:17 +0000] \"GET / HTTP/1.1\" 200", Reason::NoStatus),
            ("::1 - - [24/Nov/2026:20:24:17 +0000] \"GET / HTTP/1.1\" 200 x", Reason::NoStatus),
            ("::1 - - [99/Nov/2026:20:24:17 +0000] \"GET / HTTP/1.1\" 200 1", Reason::BadDate),
        ] {
            assert_eq!(read(line), Err(reason), "{line}");
        }
        for request in
            ["", "-", "GET /", "GET / a HTTP/1.1", "GET  HTTP/1.1", r"\x16\x03\x01", "GET / HTTP/x"]
        {
            assert_eq!(read(&with(request)), Err(Reason::NotHttp), "{request}");
        }
    }

    #[test]
    fn user_names_may_hold_brackets_spaces_and_quotes() {
        let line = "2001:db8::1 - a [b \"c [24/Nov/2026:20:24:17 +0000] \"GET /a HTTP/1.1\" 200 -";
        assert_eq!(read(line), Ok(get("/a")));
    }
}
