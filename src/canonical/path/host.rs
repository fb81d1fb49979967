//! Hosts: whether a text is one, and its usual spelling.
//!
//! Invariant: [`read`] answers for every form of an origin, with one usual spelling for all
//! spellings of a host. Not here: delivery hosts, which the rules know.

use super::super::text::bytes::{HOST, LABEL, encoded, unescaped};
use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Returns whether a first segment has the shape of a host, with or without a port.
pub(in crate::canonical) fn is_host(segment: &[u8]) -> bool {
    let (host, port) = split_port(segment);
    let good_port = (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit);
    if host.len() < segment.len() && !good_port {
        return false;
    }
    let mut labels = host.split(|&byte| byte == b'.');
    if !labels.clone().all(|label| !label.is_empty() && LABEL.contains_all(label)) {
        return false;
    }
    let label = labels.next_back().unwrap_or_default();
    let is_word = label.len() >= 2 && label.iter().all(u8::is_ascii_alphabetic);
    let is_punycode = label.len() > 4 && label[..4].eq_ignore_ascii_case(b"xn--");
    labels.next().is_some() && (is_word || is_punycode)
}

/// Splits an authority without credentials at its first colon.
pub(in crate::canonical) fn split_port(authority: &[u8]) -> (&[u8], &[u8]) {
    match authority.iter().position(|&byte| byte == b':') {
        Some(colon) => (&authority[..colon], &authority[colon + 1..]),
        None => (authority, b""),
    }
}

/// Returns the usual spelling of the host and port `authority`, without a default port. Returns
/// `None` if it is not a host.
///
/// `has_scheme` is true if a scheme marks the text as a host. Without a scheme, it must have two
/// labels or more, the last of which could be a top-level domain, or be an address or `localhost`.
///
/// The usual spelling is in lower case, without a dot at its end, and in the letters of the
/// language instead of `xn--`, encoded.
pub(in crate::canonical) fn read(authority: &str, has_scheme: bool) -> Option<Cow<'_, str>> {
    if let Some(rest) = authority.strip_prefix(OPENING) {
        let (address, port) = rest.split_once(CLOSING)?;
        let address: Ipv6Addr = address.parse().ok()?;
        let port = if port.is_empty() { port } else { port.strip_prefix(':')? };
        let host = format!("{OPENING}{address}{CLOSING}");
        return Some(Cow::Owned(with_port(&host, port_number(port)?)));
    }
    if authority.contains(ENCODED_COLON) {
        // A client that encodes the colon of a scheme also encodes the colon of a port.
        let raw = authority.replace(ENCODED_COLON, ":");
        return read(&raw, has_scheme).map(|usual| Cow::Owned(usual.into_owned()));
    }
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    let (name, number) = (name(host, has_scheme)?, port_number(port)?);
    match number {
        None => Some(name),
        Some(_) if name == host && !port.starts_with('0') => Some(Cow::Borrowed(authority)),
        number => Some(Cow::Owned(with_port(&name, number))),
    }
}

/// An IPv6 address is the one host that has brackets, which are always encoded.
const OPENING: &str = "%5B";
const CLOSING: &str = "%5D";
const ENCODED_COLON: &str = "%3A";

/// A scheme of origins.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::canonical) struct Scheme {
    pub(in crate::canonical) name: &'static str,
    /// The port that adds no information to the scheme.
    pub(in crate::canonical) port: &'static str,
}

/// RFC 9110, sections 4.2.1 and 4.2.2; RFC 1738, section 3.2.1.
pub(in crate::canonical) static SCHEMES: [Scheme; 3] = [
    Scheme { name: "https", port: "443" },
    Scheme { name: "http", port: "80" },
    Scheme { name: "ftp", port: "21" },
];

/// Returns whether any scheme has this default port.
pub(in crate::canonical) fn is_default_port(port: &str) -> bool {
    SCHEMES.iter().any(|scheme| scheme.port == port)
}

/// Reads a port that is not a default port.
#[expect(clippy::option_option, reason = "no port is not the same as a bad one")]
fn port_number(port: &str) -> Option<Option<u16>> {
    if port.is_empty() {
        return Some(None);
    }
    let number: u16 =
        port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok())??;
    Some(Some(number).filter(|number| !matches!(number, 80 | 443 | 21)))
}

fn with_port(host: &str, port: Option<u16>) -> String {
    port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Returns the usual spelling of a host without its port.
fn name(text: &str, has_scheme: bool) -> Option<Cow<'_, str>> {
    let written = without_escapes(text)?;
    if written.is_ascii() && !has_punycode(text) {
        let host = plain_name(text, text, has_scheme)?;
        let has_upper = host.bytes().any(|byte| byte.is_ascii_uppercase());
        return Some(if has_upper { host.to_ascii_lowercase().into() } else { host.into() });
    }
    let ascii = idna::domain_to_ascii_cow(written.as_bytes(), idna::AsciiDenyList::URL).ok()?;
    let ascii = plain_name(&ascii, &written, has_scheme)?;
    let (unicode, valid) = idna::domain_to_unicode(ascii);
    valid.ok()?;
    // The start of a host must be the start of its usual spelling, so that patterns match. This
    // excludes accents that follow a plain letter.
    let keeps_start = has_scheme || unicode.starts_with(&plain_start(&written));
    keeps_start.then(|| encoded(&unicode, |byte| byte.is_ascii()).into())
}

/// Returns a host in ASCII, without the dot at its end. `written` is the whole host as it was.
fn plain_name<'t>(ascii: &'t str, written: &str, has_scheme: bool) -> Option<&'t str> {
    let host = ascii.strip_suffix('.').unwrap_or(ascii);
    let is_name = !host.is_empty() && !host.ends_with('.') && HOST.contains_all(host.as_bytes());
    (is_name && (has_scheme || is_told_by_shape(host, written))).then_some(host)
}

/// Returns whether a text without a scheme is recognized as a host. `ascii` is a spelling in ASCII,
/// and `written` the text as it was.
fn is_told_by_shape(ascii: &str, written: &str) -> bool {
    // No name of the DNS has an underscore. Files have, such as `IMG_1.JPG`, and keep their case.
    if written.contains('_') {
        let is_lower = !written.bytes().any(|byte| byte.is_ascii_uppercase());
        return ascii == written && is_lower && is_host(ascii.as_bytes());
    }
    ascii.eq_ignore_ascii_case("localhost")
        || ascii.parse::<Ipv4Addr>().is_ok()
        || is_host(ascii.as_bytes())
}

const PUNYCODE: &str = "xn--";

fn has_punycode(host: &str) -> bool {
    host.split('.').any(|label| label.get(..4).is_some_and(|l| l.eq_ignore_ascii_case(PUNYCODE)))
}

/// Returns the part of a host that stays the same except for its case.
fn plain_start(host: &str) -> String {
    let start: String = host.chars().take_while(char::is_ascii).collect();
    let start = start.to_ascii_lowercase();
    start[..punycode_start(&start)].to_owned()
}

/// Returns the start of the first label that is in Punycode, or may be when the text goes on.
fn punycode_start(host: &str) -> usize {
    let mut start = 0;
    for label in host.split('.') {
        let is_last = start + label.len() == host.len();
        let may_be = is_last && !label.is_empty() && PUNYCODE.starts_with(label);
        if label.starts_with(PUNYCODE) || may_be {
            return start;
        }
        start += label.len() + ".".len();
    }
    host.len()
}

/// Returns whether an encoded colon follows a host, and so perhaps a port: `localhost%3A80`.
pub(in crate::canonical) fn is_before_encoded_colon(segment: &str) -> bool {
    segment.split_once(ENCODED_COLON).is_some_and(|(host, _)| read(host, false).is_some())
}

/// Returns the part of an unfinished first segment that also starts the usual spelling, whatever
/// host it becomes.
pub(in crate::canonical) fn usual_start(segment: &str) -> &str {
    if segment.starts_with(OPENING) {
        return "";
    }
    if !may_become_host(segment.as_bytes()) {
        return segment;
    }
    let changes = |byte: u8| byte.is_ascii_uppercase() || byte == b'%';
    let start = match segment.bytes().position(changes) {
        // A file: a host with an underscore has neither capitals nor escapes.
        Some(_) if segment.contains('_') && !is_before_encoded_colon(segment) => segment,
        end => {
            let start = &segment[..end.unwrap_or(segment.len())];
            &start[..punycode_start(start)]
        }
    };
    let (host, port) = start.split_once(':').unwrap_or((start, ""));
    if read(host, false).is_none() {
        return start;
    }
    let has_colon = host.len() < start.len();
    // A port may go on to be one that is dropped, or lose its zeros; a dot at the end is dropped as
    // well.
    let may_go = port.is_empty() || port.starts_with('0');
    let may_go = may_go || SCHEMES.iter().any(|scheme| scheme.port.starts_with(port));
    match host.strip_suffix('.') {
        Some(host) => host,
        None if has_colon && may_go => host,
        None => start,
    }
}

/// Returns whether a text can be the start of a host and port.
fn may_become_host(text: &[u8]) -> bool {
    unescaped(text).all(|(byte, is_escape)| {
        (!is_escape && HOST.contains(byte)) || byte == b':' || !byte.is_ascii()
    })
}

/// Returns the text that escapes stand for. Returns `None` if they are not UTF-8, or stand for
/// ASCII.
fn without_escapes(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let bytes = unescaped(text.as_bytes());
    let bytes: Option<Vec<u8>> =
        bytes.map(|(byte, is_escape)| (!(is_escape && byte.is_ascii())).then_some(byte)).collect();
    String::from_utf8(bytes?).ok().map(Cow::Owned)
}
