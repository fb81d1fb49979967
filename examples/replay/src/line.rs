//! One line of an access log in NCSA combined format, as nginx, Varnish and Apache write it:
//!
//! ```text
//! client ident user [24/Nov/2026:20:24:17 +0000] "GET /birds.jpg?w=200 HTTP/1.1" 200 5120 "-" "-"
//! ```
//!
//! Referrer and agent may be missing (the common format), more fields may follow, and fields may
//! stand between date and request. Invariant: a line is read or has a [`Reason`]; nothing is
//! guessed.

use super::date::{Dates, is_like_date};
use super::format::Format;
use super::reason::Reason;
use std::borrow::Cow;

/// A line as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'l> {
    /// The text before the date.
    pub(crate) before: &'l [u8],
    /// Seconds since 1970.
    pub(crate) second: i64,
    /// The text between date and request.
    pub(crate) between: &'l [u8],
    pub(crate) method: Cow<'l, [u8]>,
    pub(crate) target: Cow<'l, [u8]>,
    pub(crate) status: u16,
}

impl<'l> Line<'l> {
    pub(crate) fn read(line: &'l [u8], dates: &mut Dates) -> Result<Self, Reason> {
        let line = line.trim_ascii_end();
        if line.is_empty() {
            return Err(Reason::Empty);
        }
        if let Some(format) = Format::of_line(line) {
            return Err(Reason::Foreign(format));
        }
        let (start, end) = date(line)?;
        let found = request(&line[end + 1..])?;
        if Format::has_operation_of_s3(found.between) {
            return Err(Reason::Foreign(Format::S3));
        }
        // The date nearest to the request counts: a user may have taken the name of one.
        let date = found.date.unwrap_or(&line[start..end]);
        let second = dates.second(date).ok_or(Reason::BadDate)?;
        let (between, status) = (found.between, found.status);
        let [method, target] = request_line(found.request)?;
        Ok(Self { before: &line[..start - 1], second, between, method, target, status })
    }
}

/// Returns the seconds since 1970 of a line, without reading its other parts.
pub(crate) fn second(line: &[u8], dates: &mut Dates) -> Option<i64> {
    let (start, end) = date(line).ok()?;
    dates.second(&line[start..end])
}

/// Where the date begins, and where the bracket behind it stands. The name of a user may hold
/// brackets as well, so a bracket alone is no sign.
fn date(line: &[u8]) -> Result<(usize, usize), Reason> {
    let mut reason = Reason::NoDate;
    let mut from = 0;
    while let Some(bracket) = line[from..].iter().position(|&byte| byte == b'[') {
        let start = from + bracket + 1;
        from = start;
        if start > 1 && !matches!(line[start - 2], b' ' | b'"') {
            continue;
        }
        let Some(len) = line[start..].iter().position(|&byte| byte == b']') else { break };
        let (text, behind) = (&line[start..start + len], &line[start + len + 1..]);
        if is_like_date(text) {
            return Ok((start, start + len));
        }
        if behind.starts_with(b" \"") {
            reason = Reason::BadDate;
        }
    }
    Err(reason)
}

/// The parts after the date.
struct Found<'l> {
    between: &'l [u8],
    /// Another date, if one stands between.
    date: Option<&'l [u8]>,
    request: &'l [u8],
    status: u16,
}

/// Finds the request: the first text in quotes with a status and a size behind it.
fn request(rest: &[u8]) -> Result<Found<'_>, Reason> {
    let (mut at, mut date, mut reason) = (0, None, Reason::Unquoted);
    loop {
        let field = match rest[at..].split_first() {
            Some((b' ', field)) => field,
            Some(_) => return Err(Reason::Between),
            None => return Err(reason),
        };
        let len = match field.first() {
            Some(b'"') => {
                let (request, behind) = quoted(&field[1..]).ok_or(Reason::Unclosed)?;
                if let Some(status) = status(behind) {
                    return Ok(Found { between: &rest[..at], date, request, status });
                }
                // A text that looks like a request is one. A text after it may come from a client
                // that imitates a request.
                if request == b"-" || request_line(request).is_ok() {
                    return Err(Reason::NoStatus);
                }
                reason = Reason::NoStatus;
                request.len() + 2
            }
            Some(b'[') => {
                let end = field.iter().position(|&byte| byte == b']').ok_or(Reason::Between)?;
                date = Some(&field[1..end]).filter(|text| is_like_date(text)).or(date);
                end + 1
            }
            _ => field.iter().position(|&byte| byte == b' ').unwrap_or(field.len()),
        };
        if field[..len].contains(&b'"') && field[0] != b'"' {
            return Err(Reason::Between);
        }
        at += 1 + len;
    }
}

/// Returns the text before the closing quote, as it was written, and the text after it.
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
fn request_line(request: &[u8]) -> Result<[Cow<'_, [u8]>; 2], Reason> {
    match unescaped(request) {
        Cow::Borrowed(request) => parts(request).map(|parts| parts.map(Cow::Borrowed)),
        Cow::Owned(request) => {
            parts(&request).map(|parts| parts.map(|part| Cow::Owned(part.to_vec())))
        }
    }
}

fn parts(request: &[u8]) -> Result<[&[u8]; 2], Reason> {
    let space = |byte: &u8| *byte == b' ';
    let first = request.iter().position(space).unwrap_or(request.len());
    let method = &request[..first];
    match method {
        b"" => return Err(Reason::EmptyRequest),
        b"-" if first == request.len() => return Err(Reason::Dash),
        _ if method.iter().any(|byte| !byte.is_ascii_graphic()) => return Err(Reason::Binary),
        _ if !method.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) => {
            return Err(Reason::NotHttp);
        }
        _ => {}
    }
    let last = request.iter().rposition(space).ok_or(Reason::NotHttp)?;
    if !is_version(&request[last + 1..]) {
        let is_word = request[last + 1..].starts_with(b"h") && last > first;
        let has_slash = version_name(&request[last + 1..]).is_some();
        return Err(if is_word || has_slash { Reason::OtherVersion } else { Reason::NoVersion });
    }
    let target = request.get(first + 1..last).unwrap_or_default();
    if target.is_empty() {
        Err(Reason::EmptyTarget)
    } else if target.contains(&b' ') {
        Err(Reason::SpaceInTarget)
    } else {
        Ok([method, target])
    }
}

fn is_version(text: &[u8]) -> bool {
    text.strip_prefix(b"HTTP/").is_some_and(|version| {
        version.first().is_some_and(u8::is_ascii_digit)
            && version.iter().all(|&byte| byte.is_ascii_digit() || byte == b'.')
    })
}

/// The name of a protocol before its slash, such as `HTTPS/1.1`.
fn version_name(text: &[u8]) -> Option<&[u8]> {
    let name = &text[..text.iter().position(|&byte| byte == b'/')?];
    (!name.is_empty() && name.iter().all(u8::is_ascii_uppercase)).then_some(name)
}

/// Returns the bytes that were sent. nginx writes `\x22` for an escaped byte, Varnish and Apache
/// also `\"` and similar escapes.
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

/// Returns the byte that a backslash and these bytes stand for, and their number. If they are not
/// an escape, the backslash stands for itself.
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

    /// A line with that text behind its date.
    fn behind(text: &str) -> String {
        format!("::1 - - [24/Nov/2026:20:24:17 +0000]{text}")
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
    fn each_part_that_is_wrong_has_its_reason() {
        for (line, reason) in [
            ("", Reason::Empty),
            ("\r\n", Reason::Empty),
            ("{\"status\":200}", Reason::Foreign(Format::Json)),
            (
                &behind(" ::1 - id REST.GET.OBJECT a \"GET /a HTTP/1.1\" 200 -"),
                Reason::Foreign(Format::S3),
            ),
            ("::1 - - 24/Nov/2026 \"GET / HTTP/1.1\" 200 1", Reason::NoDate),
            ("::1 - - [24/Nov/2026:20:24:17 +0000", Reason::NoDate),
            ("::1 - - [99/Nov/2026:20:24:17 +0000] \"GET / HTTP/1.1\" 200 1", Reason::BadDate),
            ("::1 - - [Tue Nov 24 20:24:17 2026] \"GET / HTTP/1.1\" 200 1", Reason::BadDate),
            (&behind(" GET / HTTP/1.1 200 1"), Reason::Unquoted),
            (&behind(""), Reason::Unquoted),
            (&behind("x \"GET / HTTP/1.1\" 200 1"), Reason::Between),
            (&behind(" [0.003 \"GET / HTTP/1.1\" 200 1"), Reason::Between),
            (&behind(" x\"GET / HTTP/1.1\" 200 1"), Reason::Between),
            (&behind(" \"GET / HT"), Reason::Unclosed),
            (&behind(" \"GET / HTTP/1.1\\\" 200 1"), Reason::Unclosed),
            (&behind(" \"GET / HTTP/1.1\" 20 1"), Reason::NoStatus),
            (&behind(" \"GET / HTTP/1.1\" 200"), Reason::NoStatus),
            (&behind(" \"GET / HTTP/1.1\" 200 x"), Reason::NoStatus),
            (
                &behind(" \"GET / HTTP/1.1\" x 1 \"GET /of-the-client HTTP/1.1\" 200 1"),
                Reason::NoStatus,
            ),
            (&behind(" \"-\" x 1 \"GET /of-the-client HTTP/1.1\" 200 1"), Reason::NoStatus),
        ] {
            assert_eq!(read(line), Err(reason), "{line}");
        }
    }

    #[test]
    fn each_request_that_is_wrong_has_its_reason() {
        for (request, reason) in [
            ("", Reason::EmptyRequest),
            ("-", Reason::Dash),
            (r"\x16\x03\x01", Reason::Binary),
            (r"\x16\x03 \x01", Reason::Binary),
            ("{} / HTTP/1.1", Reason::NotHttp),
            ("quit", Reason::NotHttp),
            ("GET /", Reason::NoVersion),
            ("GET /a b", Reason::NoVersion),
            ("GET / HTTP/x", Reason::OtherVersion),
            ("GET / HTTPS/1.1", Reason::OtherVersion),
            ("GET / h2", Reason::OtherVersion),
            ("GET  HTTP/1.1", Reason::EmptyTarget),
            ("GET HTTP/1.1", Reason::EmptyTarget),
            ("GET / a HTTP/1.1", Reason::SpaceInTarget),
        ] {
            assert_eq!(read(&with(request)), Err(reason), "{request}");
        }
    }

    #[test]
    fn fields_may_stand_between_date_and_request() {
        for between in ["", " 0.003", " [0.003] [PORT 80]", " \"img.example\" -", "  x"] {
            let line = behind(&format!("{between} \"GET /a HTTP/1.1\" 200 1 \"-\" \"-\""));
            assert_eq!(read(&line), Ok(get("/a")), "{line}");
            let line = Line::read(line.as_bytes(), &mut Dates::default()).unwrap();
            assert_eq!((line.before, line.between), (&b"::1 - - "[..], between.as_bytes()));
        }
        assert_eq!(read("[2026-11-24T20:24:17.310Z] \"GET /a HTTP/2\" 200 - 154 0"), Ok(get("/a")));
    }

    #[test]
    fn user_names_may_hold_brackets_spaces_quotes_and_dates() {
        let second = |line: &str| {
            let line = Line::read(line.as_bytes(), &mut Dates::default()).unwrap();
            assert_eq!(*line.target, *b"/a");
            line.second
        };
        let user = |user: &str| {
            second(&format!("::1 - {user} [24/Nov/2026:20:24:17 +0000] \"GET /a HTTP/1.1\" 200 -"))
        };
        for name in ["a [b \"c", "", "\"\"", "x [01/Jan/2020:00:00:00 +0000]", "[", "]"] {
            assert_eq!(user(name), 1_795_551_857, "{name}");
        }
    }
}
