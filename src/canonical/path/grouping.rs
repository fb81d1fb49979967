//! Grouping: maps all spellings of one picture to one path, and distinguishes them in the variant
//! key.
//!
//! The exact rules distinguish `http://`, `https://` and no scheme, and `%28` from `(`: they may be
//! two pictures. A client that purges one of them nearly always means all of them. Grouping maps
//! the exact origin to a coarser one. It writes the dropped parts into a mark after the operations,
//! `?w=600@https`, from which the exact origin can be restored.
//!
//! Invariant: grouping is a function of the exact result, and one-to-one: path and mark together
//! determine the exact origin. It also keeps prefixes: if an origin starts with a pattern's text,
//! the grouped origin starts with the grouped text. The exception is a pattern without a dot, a
//! colon or a slash: it names files and folders, not hosts.
//!
//! Not here: the definition of a host, see `host`; and any change that would split a path or let it
//! climb. Encoded slashes, question marks and percent signs stay the same.
//!
//! | dropped | mark |
//! |---|---|
//! | the scheme | `http`, `https` or `ftp` |
//! | a dot after the host of a URL | `.` |
//! | port 80, 443 or 21 | `:80`, `:443`, `:21` |
//! | the spelling of reserved bytes | `%` and one bit per byte, see below |
//! | any other spelling of scheme, host and port | `=` and that spelling, with the slash after it |
//!
//! A bit is one if the byte was written the other way. Four bits make a hexadecimal digit, the
//! first in its lowest bit. Zeros at the end are left out.

use super::super::text::bytes::{
    ORIGIN_QUERY, PATH, UNRESERVED, UPPER_DIGITS, ascii, escaped, unescaped,
};
use super::host::{self, SCHEMES, is_default_port};
use crate::names::{OriginPath, PathPrefix, VariantKey};
use smallvec::SmallVec;
use std::borrow::Cow;

const BEHIND_SCHEME: &str = "://";
/// A colon as some page serializers write it, and the slash after a scheme. As in a URL, one slash
/// stands for two.
const ENCODED_COLON: &str = "%3A/";

/// The parts that grouping dropped from an origin, as they are written after the operations. Nearly
/// always short.
type Mark = SmallVec<[u8; 64]>;

/// Groups an exact origin and its variant key.
pub(in crate::canonical) fn group<'t>(
    origin: OriginPath<'t>,
    variant: VariantKey<'t>,
) -> (OriginPath<'t>, VariantKey<'t>) {
    let mut mark = Mark::new();
    let path = fold(origin.into_cow(), &mut mark);
    let variant = if mark.is_empty() { variant } else { variant.with_grouping(&mark) };
    (OriginPath::new_unchecked(path), variant)
}

/// Groups the path of an entry.
pub(in crate::canonical) fn group_path(path: OriginPath<'_>) -> OriginPath<'_> {
    OriginPath::new_unchecked(fold(path.into_cow(), &mut Mark::new()))
}

/// Groups the text before a star.
pub(in crate::canonical) fn group_prefix(prefix: PathPrefix<'_>) -> PathPrefix<'_> {
    let text = prefix.into_cow();
    if is_open_url(&text) {
        // All URLs of a scheme start with it, and their grouped paths start with anything.
        return PathPrefix::new_unchecked("");
    }
    let mut mark = Mark::new();
    if text.contains('/') {
        return PathPrefix::new_unchecked(fold(text, &mut mark));
    }
    // The rest of the segment decides whether it is a host. Without a dot or a colon, the start of
    // a folder or a file is meant: `DSC*` must not invalidate everything because of a host
    // `DSC1.LI.`.
    let may_be_host = text.contains(['.', ':']) || host::is_before_encoded_colon(&text);
    let start = if may_be_host { host::usual_start(&text) } else { &text };
    let mut out = Vec::new();
    fold_bytes(start.as_bytes(), Zone::FirstSegment, &mut out, &mut mark);
    PathPrefix::new_unchecked(ascii(Cow::Owned(out)))
}

/// Returns whether `text` may go on as a URL, and ends inside its host.
fn is_open_url(text: &str) -> bool {
    let is_start = |one: &str, other: &str| {
        other.get(..one.len()).is_some_and(|start| start.eq_ignore_ascii_case(one))
    };
    SCHEMES.iter().any(|scheme| {
        [BEHIND_SCHEME, ENCODED_COLON].into_iter().any(|colon| {
            let start = [scheme.name, colon].concat();
            (is_start(text, &start) && text.len() >= scheme.name.len())
                || (is_start(&start, text)
                    && !text[start.len()..].trim_start_matches('/').contains('/'))
        })
    })
}

/// Returns the grouped spelling of an exact origin, or of the start of one.
fn fold<'t>(text: Cow<'t, str>, mark: &mut Mark) -> Cow<'t, str> {
    let head = Head::of(&text);
    head.write_mark(mark);
    let tail = &text.as_bytes()[head.end..];
    let first = if head.end == 0 { Zone::FirstSegment } else { Zone::Path };
    // Most origins contain no byte that could change.
    let may_change = tail.iter().any(|&byte| matches!(byte, b'%' | b'*' | b'+'));
    if !(may_change && letters(tail, first).any(|letter| letter.changes())) {
        head.write_spelling(mark);
        return match text {
            Cow::Borrowed(text) if head.stays_whole() => Cow::Borrowed(&text[head.start..]),
            _ if head.stays_whole() && head.start == 0 => text,
            _ => Cow::Owned([&head.host, head.port, head.slash(), &text[head.end..]].concat()),
        };
    }
    let encoded = tail.iter().filter(|byte| matches!(byte, b'*' | b'+')).count();
    let mut out = Vec::with_capacity(text.len() + "/".len() + 2 * encoded);
    for part in [&head.host, head.port, head.slash()] {
        out.extend_from_slice(part.as_bytes());
    }
    fold_bytes(tail, first, &mut out, mark);
    head.write_spelling(mark);
    ascii(Cow::Owned(out))
}

/// The scheme and host of an origin, and the parts of them that are dropped. All parts are empty if
/// there is neither.
#[derive(Default)]
struct Head<'t> {
    scheme: &'static str,
    /// The start of the host, without the dropped dot.
    start: usize,
    host: Cow<'t, str>,
    dot: bool,
    /// With its colon.
    port: &'t str,
    dropped_port: &'t str,
    /// The whole head as it was written, if no other mark can express it.
    spelling: &'t str,
    end: usize,
}

impl<'t> Head<'t> {
    fn of(text: &'t str) -> Self {
        let scheme = SCHEMES.iter().map(|scheme| scheme.name).find(|&scheme| {
            text.strip_prefix(scheme).is_some_and(|rest| rest.starts_with(BEHIND_SCHEME))
        });
        let Some(scheme) = scheme else { return Self::without_scheme(text) };
        let start = scheme.len() + BEHIND_SCHEME.len();
        let Some(len) = text[start..].find('/') else { return Self::default() };
        let (authority, end) = (&text[start..start + len], start + len);
        let (host, port) = authority.split_at(authority.find(':').unwrap_or(len));
        if matches!(host, "." | "..") {
            // Without a scheme, it would be a dot segment.
            return Self { host: text[..end].into(), end, ..Self::default() };
        }
        let dot = matches!(host.as_bytes(), [.., last, b'.'] if *last != b'.');
        let host = if dot { &host[..host.len() - 1] } else { host };
        if host.contains("xn--") {
            if let Some(usual) = host::read(authority, true).filter(|usual| usual.contains('%')) {
                return Self::respelled(text, usual, end);
            }
        }
        let head = Self { scheme, start, host: host.into(), dot, end, ..Self::default() };
        head.with_port(port)
    }

    fn without_scheme(text: &'t str) -> Self {
        if let Some(head) = Self::of_encoded_scheme(text) {
            return head;
        }
        let Some(end) = text.find('/') else { return Self::default() };
        let segment = &text[..end];
        let is_folder = |byte: u8| !matches!(byte, b'.' | b':' | b'%');
        if segment.bytes().all(is_folder) && !segment.eq_ignore_ascii_case("localhost") {
            return Self::default();
        }
        let Some(usual) = host::read(segment, false) else { return Self::default() };
        // In most heads that differ, only a port is dropped.
        let (host, port) = segment.split_at(segment.find(':').unwrap_or(end));
        let head = Self { host: host.into(), end, ..Self::default() }.with_port(port);
        let keeps = usual.strip_prefix(host) == Some(head.port);
        if keeps { head } else { Self::respelled(text, usual, end) }
    }

    /// Reads the head of a URL in which the colon of the scheme is encoded.
    fn of_encoded_scheme(text: &'t str) -> Option<Self> {
        let colon = text.find(ENCODED_COLON)?;
        if !SCHEMES.iter().any(|scheme| scheme.name.eq_ignore_ascii_case(&text[..colon])) {
            return None;
        }
        let behind = &text[colon + ENCODED_COLON.len()..];
        let authority = behind.trim_start_matches('/');
        let len = authority.find(['/', '?']).unwrap_or(authority.len());
        let usual = host::read(&authority[..len], true)?;
        Some(Self::respelled(text, usual, text.len() - authority.len() + len))
    }

    /// Returns the head that ends at `end`, which is the position of the slash after it, if there
    /// is one.
    fn respelled(text: &'t str, usual: Cow<'t, str>, end: usize) -> Self {
        let spelling = &text[..end + usize::from(text[end..].starts_with('/'))];
        Self { host: usual, spelling, end, ..Self::default() }
    }

    fn with_port(self, port: &'t str) -> Self {
        let drops = port.strip_prefix(':').is_some_and(is_default_port);
        let (port, dropped_port) = if drops { ("", port) } else { (port, "") };
        Self { port, dropped_port, ..self }
    }

    /// Returns whether host and port stay the same.
    fn stays_whole(&self) -> bool {
        !self.dot && self.dropped_port.is_empty() && self.spelling.is_empty()
    }

    /// Returns the slash after the host, if the host has none.
    fn slash(&self) -> &'static str {
        if self.spelling.is_empty() || self.spelling.ends_with('/') { "" } else { "/" }
    }

    fn write_mark(&self, mark: &mut Mark) {
        mark.extend_from_slice(self.scheme.as_bytes());
        if self.dot {
            mark.push(b'.');
        }
        mark.extend_from_slice(self.dropped_port.as_bytes());
    }

    /// Comes last, as it may contain any byte.
    fn write_spelling(&self, mark: &mut Mark) {
        if !self.spelling.is_empty() {
            mark.push(b'=');
            mark.extend_from_slice(self.spelling.as_bytes());
        }
    }
}

/// The part of the origin that a byte is in. It decides whether the byte is reserved there.
#[derive(Clone, Copy)]
enum Zone {
    FirstSegment,
    Path,
    Query,
}

impl Zone {
    /// Returns whether raw and encoded are two spellings here, and neither splits the text.
    fn folds(self, byte: u8) -> bool {
        let may_be_raw = match self {
            // A colon in the first segment might end a scheme.
            Self::FirstSegment => PATH.contains(byte) && !matches!(byte, b'/' | b':'),
            Self::Path => PATH.contains(byte) && byte != b'/',
            Self::Query => ORIGIN_QUERY.contains(byte),
        };
        may_be_raw && !UNRESERVED.contains(byte)
    }

    /// Returns whether the grouped spelling of a byte is the encoded one. A raw star at the end
    /// would be a pattern. A raw plus might turn the text before a colon into a scheme.
    fn is_encoded(self, byte: u8) -> bool {
        match self {
            Self::FirstSegment => matches!(byte, b'*' | b'+'),
            Self::Path => byte == b'*',
            Self::Query => false,
        }
    }

    fn behind(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Query, _) | (_, b'?') => Self::Query,
            (_, b'/') => Self::Path,
            _ => self,
        }
    }
}

/// A byte of a text.
struct Letter {
    byte: u8,
    is_escape: bool,
    /// Whether its raw and its encoded spelling are grouped.
    folds: bool,
    /// Whether its grouped spelling is an escape.
    becomes_escape: bool,
}

impl Letter {
    fn changes(&self) -> bool {
        self.is_escape != self.becomes_escape
    }
}

fn letters(text: &[u8], mut zone: Zone) -> impl Iterator<Item = Letter> {
    unescaped(text).map(move |(byte, is_escape)| {
        let folds = zone.folds(byte);
        let becomes_escape = if folds { zone.is_encoded(byte) } else { is_escape };
        if !is_escape {
            zone = zone.behind(byte);
        }
        Letter { byte, is_escape, folds, becomes_escape }
    })
}

/// Writes the grouped spelling of `text`, and one bit into the mark for each byte that may have
/// another spelling: four to a digit, without the zeros at the end.
fn fold_bytes(text: &[u8], zone: Zone, out: &mut Vec<u8>, mark: &mut Mark) {
    mark.push(b'%');
    let start = mark.len();
    let mut bits = 0;
    for letter in letters(text, zone) {
        if letter.folds {
            if bits % 4 == 0 {
                mark.push(0);
            }
            mark[start + bits / 4] |= u8::from(letter.changes()) << (bits % 4);
            bits += 1;
        }
        if letter.becomes_escape {
            out.extend_from_slice(&escaped(letter.byte));
        } else {
            out.push(letter.byte);
        }
    }
    let Some(last) = mark[start..].iter().rposition(|&digit| digit > 0) else {
        return mark.truncate(start - "%".len());
    };
    mark.truncate(start + last + 1);
    for digit in &mut mark[start..] {
        *digit = UPPER_DIGITS[usize::from(*digit)];
    }
}

/// Returns whether `mark` could be one that grouping writes.
pub(in crate::canonical) fn is_mark(mark: &str) -> bool {
    let (mark, spelling) =
        mark.split_once('=').map_or((mark, None), |(mark, spelling)| (mark, Some(spelling)));
    let (head, bits) = mark.split_once('%').map_or((mark, None), |(head, bits)| (head, Some(bits)));
    let good_bits = bits.is_none_or(|bits| {
        let upper = |digit: u8| matches!(digit, b'0'..=b'9' | b'A'..=b'F');
        bits.bytes().all(upper) && !bits.is_empty() && !bits.ends_with('0')
    });
    match spelling {
        // The mark is the whole head, and grouping would write it.
        Some(text) => {
            good_bits && head.is_empty() && Head::of(text).spelling == text && !text.is_empty()
        }
        None => good_bits && !mark.is_empty() && is_head_mark(head),
    }
}

/// Returns whether `mark` is empty, or a mark of a dropped scheme, dot and port.
fn is_head_mark(mark: &str) -> bool {
    let scheme = SCHEMES.iter().find(|scheme| mark.starts_with(scheme.name));
    let rest = &mark[scheme.map_or(0, |scheme| scheme.name.len())..];
    let port = rest.strip_prefix('.').filter(|_| scheme.is_some()).unwrap_or(rest);
    // The exact rules already drop the default port of a scheme.
    let may_drop = |port| is_default_port(port) && scheme.is_none_or(|scheme| scheme.port != port);
    port.is_empty() || port.strip_prefix(':').is_some_and(may_drop)
}
