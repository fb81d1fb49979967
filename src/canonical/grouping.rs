//! Grouping: files all spellings of one picture under one path, and keeps them apart in the variant key.
//!
//! The exact rules tell `http://`, `https://` and no scheme apart, and `%28` from `(`: they may be two pictures. Whoever purges one
//! of them nearly always means all of them. Grouping maps the exact origin to a coarser one; what it dropped is written into a mark
//! behind the operations, `?w=600@https`, from which the exact origin can be told again.
//!
//! Invariant: grouping is a function of the exact result, and one-to-one: path and mark together give the exact origin back. And
//! it keeps prefixes: if an origin starts with a pattern's text, the grouped origin starts with the grouped text.
//! Not here: anything that would split a path or let it climb. Encoded slashes, question marks, percent signs stay as they are.
//!
//! | dropped | mark |
//! |---|---|
//! | the scheme | `http`, `https` or `ftp` |
//! | a dot behind the host of a URL | `.` |
//! | port 80 or 443 | `:80`, `:443` |
//! | how reserved bytes are written | `%` and four of them to a hexadecimal digit, the first in its lowest bit: one for each that was written the other way; zeros at the end left out |

use super::bytes::{ORIGIN_QUERY, PATH, UNRESERVED, escape_at, escaped};
use super::form::is_host;
use crate::origin::{OriginPath, PathPrefix};
use crate::variant::VariantKey;
use smallvec::SmallVec;
use std::borrow::Cow;

/// Whether the spellings of a picture are filed together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Grouping {
    /// Under the exact origin: what the rules tell apart is purged apart.
    #[default]
    Exact,
    /// Under a coarser origin: without scheme, default port and dot behind the host, and with one spelling for reserved bytes. A
    /// purge of one spelling takes all; the variant key says which one a variant was stored for.
    Grouped,
}

const SCHEMES: [&str; 3] = ["https", "http", "ftp"];
const BEHIND_SCHEME: &str = "://";
/// Ports that say no more than a scheme does.
const PORTS: [&str; 2] = ["80", "443"];

/// What grouping dropped from an origin, as it is written behind the operations. Nearly always short.
type Mark = SmallVec<[u8; 64]>;

/// Groups an exact origin and the variant key that goes with it.
pub(super) fn group<'t>(
    origin: OriginPath<'t>,
    variant: VariantKey<'t>,
) -> (OriginPath<'t>, VariantKey<'t>) {
    let mut mark = Mark::new();
    let path = fold(origin.into_cow(), &mut mark);
    let variant = if mark.is_empty() { variant } else { variant.with_grouping(&mark) };
    (OriginPath::new_unchecked(path), variant)
}

/// Groups the path of an entry.
pub(super) fn group_path(path: OriginPath<'_>) -> OriginPath<'_> {
    OriginPath::new_unchecked(fold(path.into_cow(), &mut Mark::new()))
}

/// Groups what precedes a star.
pub(super) fn group_prefix(prefix: PathPrefix<'_>) -> PathPrefix<'_> {
    let text = prefix.into_cow();
    let starts_scheme = |scheme: &str| {
        // Longer texts go on with a host.
        text.len() < scheme.len() + BEHIND_SCHEME.len()
            && [scheme, BEHIND_SCHEME].concat().starts_with(&*text)
    };
    if SCHEMES.into_iter().any(starts_scheme) {
        // All URLs of a scheme start so, and their grouped paths start with anything.
        return PathPrefix::new_unchecked("");
    }
    let folded = fold(text, &mut Mark::new());
    match folded.split_once(':') {
        // The port may go on to be one that is dropped.
        Some((host, port))
            if is_host(host.as_bytes()) && PORTS.iter().any(|known| known.starts_with(port)) =>
        {
            PathPrefix::new_unchecked(host.to_owned())
        }
        _ => PathPrefix::new_unchecked(folded),
    }
}

/// The grouped spelling of an exact origin, or of the start of one.
fn fold<'t>(text: Cow<'t, str>, mark: &mut Mark) -> Cow<'t, str> {
    let head = Head::of(&text);
    head.write_mark(mark);
    let tail = &text.as_bytes()[head.end..];
    let first = if head.end == 0 { Zone::FirstSegment } else { Zone::Path };
    // Most have nothing that could change.
    let may_change = tail.iter().any(|&byte| matches!(byte, b'%' | b'*' | b'+'));
    if !(may_change && letters(tail, first).any(|letter| letter.changes())) {
        return match text {
            Cow::Borrowed(text) if head.stays_whole() => Cow::Borrowed(&text[head.start..]),
            _ if head.stays_whole() && head.start == 0 => text,
            _ => Cow::Owned([head.host, head.port, &text[head.end..]].concat()),
        };
    }
    let encoded = tail.iter().filter(|byte| matches!(byte, b'*' | b'+')).count();
    let mut out = Vec::with_capacity(text.len() + 2 * encoded);
    out.extend_from_slice(head.host.as_bytes());
    out.extend_from_slice(head.port.as_bytes());
    fold_bytes(tail, first, &mut out, mark);
    super::ascii(Cow::Owned(out))
}

/// The scheme and host of an origin, and what is dropped of them. All is empty if there are none.
#[derive(Default)]
struct Head<'t> {
    scheme: &'static str,
    /// Where the host starts, without the dot that is dropped.
    start: usize,
    host: &'t str,
    dot: bool,
    /// With its colon.
    port: &'t str,
    dropped_port: &'t str,
    end: usize,
}

impl<'t> Head<'t> {
    fn of(text: &'t str) -> Self {
        let scheme = SCHEMES.into_iter().find(|&scheme| {
            text.strip_prefix(scheme).is_some_and(|rest| rest.starts_with(BEHIND_SCHEME))
        });
        let start = scheme.map_or(0, |scheme| scheme.len() + BEHIND_SCHEME.len());
        let Some(len) = text[start..].find('/') else { return Self::default() };
        let (authority, end) = (&text[start..start + len], start + len);
        let (host, port) = authority.split_at(authority.find(':').unwrap_or(len));
        if scheme.is_none() && !is_host(authority.as_bytes()) {
            return Self::default();
        }
        if matches!(host, "." | "..") {
            // Without a scheme, it would be a dot segment.
            return Self { host: &text[..end], end, ..Self::default() };
        }
        let dot = scheme.is_some() && matches!(host.as_bytes(), [.., last, b'.'] if *last != b'.');
        let host = if dot { &host[..host.len() - 1] } else { host };
        let drops_port = port.strip_prefix(':').is_some_and(|port| PORTS.contains(&port));
        let (port, dropped_port) = if drops_port { ("", port) } else { (port, "") };
        Self { scheme: scheme.unwrap_or(""), start, host, dot, port, dropped_port, end }
    }

    /// Whether host and port stay as they are.
    fn stays_whole(&self) -> bool {
        !self.dot && self.dropped_port.is_empty()
    }

    fn write_mark(&self, mark: &mut Mark) {
        mark.extend_from_slice(self.scheme.as_bytes());
        if self.dot {
            mark.push(b'.');
        }
        mark.extend_from_slice(self.dropped_port.as_bytes());
    }
}

/// Where a byte stands, which says whether it is reserved there.
#[derive(Clone, Copy)]
enum Zone {
    FirstSegment,
    Path,
    Query,
}

impl Zone {
    /// Whether raw and encoded are two spellings here, neither of which splits anything.
    fn folds(self, byte: u8) -> bool {
        let may_be_raw = match self {
            // A colon in the first segment might end a scheme.
            Self::FirstSegment => PATH.contains(byte) && !matches!(byte, b'/' | b':'),
            Self::Path => PATH.contains(byte) && byte != b'/',
            Self::Query => ORIGIN_QUERY.contains(byte),
        };
        may_be_raw && !UNRESERVED.contains(byte)
    }

    /// Whether the grouped spelling of a byte is the encoded one: a raw star at the end would be a pattern, and a raw plus might make
    /// a scheme of what stands before a colon.
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

/// A byte of a text, raw or as an escape.
struct Letter {
    byte: u8,
    is_escape: bool,
    zone: Zone,
}

impl Letter {
    fn folds(&self) -> bool {
        self.zone.folds(self.byte)
    }

    /// Whether its grouped spelling is an escape.
    fn becomes_escape(&self) -> bool {
        if self.folds() { self.zone.is_encoded(self.byte) } else { self.is_escape }
    }

    fn changes(&self) -> bool {
        self.is_escape != self.becomes_escape()
    }
}

fn letters(text: &[u8], mut zone: Zone) -> impl Iterator<Item = Letter> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let raw = *text.get(at)?;
        let escape = escape_at(text, at);
        let letter = Letter { byte: escape.unwrap_or(raw), is_escape: escape.is_some(), zone };
        zone = zone.behind(raw);
        at += if letter.is_escape { 3 } else { 1 };
        Some(letter)
    })
}

fn fold_bytes(text: &[u8], zone: Zone, out: &mut Vec<u8>, mark: &mut Mark) {
    let mut bits = Bits::default();
    for letter in letters(text, zone) {
        if letter.folds() {
            bits.push(letter.changes(), mark);
        }
        if letter.becomes_escape() {
            out.extend_from_slice(&escaped(letter.byte));
        } else {
            out.push(letter.byte);
        }
    }
    bits.finish(mark);
}

/// Writes bits into a mark, four to a digit, without the zeros at the end.
#[derive(Default)]
struct Bits {
    digit: usize,
    count: usize,
    /// How many digits are zero since the last that isn't.
    zeros: usize,
    started: bool,
}

impl Bits {
    fn push(&mut self, bit: bool, mark: &mut Mark) {
        self.digit |= usize::from(bit) << self.count;
        self.count += 1;
        if self.count == 4 {
            self.finish(mark);
        }
    }

    /// Writes the digit that was begun.
    fn finish(&mut self, mark: &mut Mark) {
        if self.digit == 0 {
            self.zeros += 1;
        } else {
            if !self.started {
                mark.push(b'%');
            }
            mark.extend(std::iter::repeat_n(b'0', self.zeros));
            mark.push(b"0123456789ABCDEF"[self.digit]);
            (self.started, self.zeros) = (true, 0);
        }
        (self.digit, self.count) = (0, 0);
    }
}

/// Whether `mark` could be one that grouping writes.
pub(super) fn is_mark(mark: &str) -> bool {
    let (head, bits) = mark.split_once('%').map_or((mark, None), |(head, bits)| (head, Some(bits)));
    let scheme = SCHEMES.into_iter().find(|&scheme| head.starts_with(scheme)).unwrap_or("");
    let rest = &head[scheme.len()..];
    let port = rest.strip_prefix('.').filter(|_| !scheme.is_empty()).unwrap_or(rest);
    let good_port = match (scheme, port) {
        (_, "") => true,
        // The exact rules drop these already.
        ("http", ":80") | ("https", ":443") => false,
        _ => port.strip_prefix(':').is_some_and(|port| PORTS.contains(&port)),
    };
    let good_bits = bits.is_none_or(|bits| {
        let upper = |digit: u8| matches!(digit, b'0'..=b'9' | b'A'..=b'F');
        bits.bytes().all(upper) && !bits.is_empty() && !bits.ends_with('0')
    });
    !mark.is_empty() && good_port && good_bits
}
