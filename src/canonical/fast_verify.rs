//! The fast path of `verify`: recognizes usual canonical text at once.
//!
//! Invariant: the pipeline would write every accepted text without a change. `false` has no
//! meaning: the pipeline decides. Not here: errors, escapes, marks, long keys, origins with a
//! query, a colon or a comma.

use super::input_checks::MAX_CANONICAL;
use super::query::parameters::meaning;
use super::text::bytes::{HOST, is_plain, is_within};
use super::text::scan::{WORD_BITS, any_pair, gathered};

/// The longest key that is recognized: one bit of a word for each byte, and one for the end.
const MAX_KEY: usize = WORD_BITS - 1;
/// Padded, because words may begin at any byte of a key.
type Padded = [u8; WORD_BITS + size_of::<u64>()];

/// Returns whether `text` is a canonical origin that consists of usual bytes.
#[inline]
pub(super) fn is_plain_origin(text: &[u8]) -> bool {
    let behind_scheme = text.strip_prefix(b"https://").or_else(|| text.strip_prefix(b"http://"));
    let rest = behind_scheme.unwrap_or(text);
    let (Some(&first), Some(&last)) = (rest.first(), rest.last()) else { return false };
    // A leading dot may start a dot segment, as a dot after a slash does.
    text.len() <= MAX_CANONICAL
        && !matches!(first, b'/' | b'.')
        && (last == b'/' || HOST.contains(last))
        && !any_pair(rest, |byte, next| !is_usual(byte, next))
        && (behind_scheme.is_none() || starts_with_host(rest))
}

/// Returns whether a byte stays the same anywhere in a path, and cannot end a scheme or a host: `-`
/// to `9`, letters and `_`. A slash before a dot may start a dot segment.
#[inline]
fn is_usual(byte: u8, next: u8) -> bool {
    let is_member = is_within(byte, b'-', b'9') | is_within(byte | 0x20, b'a', b'z');
    (is_member | (byte == b'_')) & !((byte == b'/') & (next == b'.'))
}

/// Returns whether `text`, which consists of usual bytes, begins with a host in its canonical
/// spelling, and a slash.
#[inline]
fn starts_with_host(text: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    for word in text.chunks_exact(size_of::<u64>()) {
        let word = word.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        // A sum reaches the highest bit if the byte differs, and never carries into the next one.
        let differs = ((word & !HIGH) ^ (ONES * u64::from(b'/'))) + !HIGH;
        let slashes = !(differs | word) & HIGH;
        // Among usual bytes, capitals and the underscore have the first of these bits without the
        // second.
        let capitals = ((word & (ONES << 6)) << 1) & !(word << 2);
        let before = slashes.wrapping_sub(1) & !slashes;
        if capitals & before != 0 {
            return false;
        }
        if slashes != 0 {
            return true;
        }
    }
    false
}

/// Returns whether `text` is a canonical key of one group of operations, short, without marks, and
/// made of plain bytes.
#[inline]
pub(super) fn is_plain_key(text: &[u8]) -> bool {
    let [b'?', operations @ ..] = text else { return false };
    if text.len() > MAX_KEY {
        return false;
    }
    let mut padded: Padded = [b'a'; size_of::<Padded>()];
    padded[1..text.len()].copy_from_slice(operations);
    operations.is_empty() || has_settled_order(&padded, text.len())
}

/// Returns whether every parameter stays the same, and known parameters are in order, each once,
/// before all others.
#[inline]
fn has_settled_order(padded: &Padded, len: usize) -> bool {
    let first = padded.first_chunk().map_or(0, |bytes: &[u8; WORD_BITS]| {
        gathered(&bytes.map(|byte| u8::from(!is_plain(byte, 0))))
    });
    // The end of the text also ends a parameter. Every other mark must be a separator.
    let mut marks = first | 1 << len;
    let mut next = || {
        let at = marks.trailing_zeros() as usize;
        marks &= marks.wrapping_sub(1);
        at
    };
    // No position is greater. The mask tells the compiler, so that it omits the bounds checks.
    let at = |position: usize| position & MAX_KEY;
    let (mut start, mut previous) = (1, 0);
    loop {
        let name_end = next();
        let meaning = meaning(padded, start, name_end);
        let rank = meaning.rank();
        let is_next = rank > previous || !meaning.is_known();
        if name_end == start || !is_next || !meaning.is_settled() {
            return false;
        }
        previous = rank;
        let end = if padded[at(name_end)] == b'=' { next() } else { name_end };
        if end == len {
            return true;
        }
        if padded[at(end)] != b'&' {
            return false;
        }
        start = end + 1;
    }
}
