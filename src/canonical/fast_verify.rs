//! The fast path of `verify`: recognizes usual canonical text at once.
//!
//! Invariant: the pipeline would write every accepted text without a change. `false` has no
//! meaning: the pipeline decides. Not here: errors, escapes, marks, long keys, origins with a
//! query, a colon or a comma.
#![expect(
    clippy::needless_bitwise_bool,
    reason = "branches would keep bytes out of vector registers"
)]

use super::input_checks::MAX_CANONICAL;
use super::query::parameters::meaning;
use super::text::bytes::{HOST, is_plain, is_within};
use super::text::scan::any_pair;

/// The number of bytes of a key that are examined at once.
const BLOCK: usize = 16;
/// The longest key that is recognized: one bit of a word for each byte, and one for the end.
const MAX_KEY: usize = u64::BITS as usize - 1;
/// Padded, because words may begin at any byte of a key.
type Padded = [u8; MAX_KEY + 1 + size_of::<u64>()];

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
        && all_are_usual(rest)
        && (behind_scheme.is_none() || starts_with_host(rest))
}

/// Returns whether a byte stays the same anywhere in a path, and cannot end a scheme or a host: `-`
/// to `9`, letters and `_`. A slash before a dot may start a dot segment.
#[inline]
fn is_usual(byte: u8, next: u8) -> bool {
    let is_member = is_within(byte, b'-', b'9') | is_within(byte | 0x20, b'a', b'z');
    (is_member | (byte == b'_')) & !((byte == b'/') & (next == b'.'))
}

/// Returns whether every byte but the last is usual before its neighbor.
#[inline]
fn all_are_usual(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk::<{ BLOCK + 1 }>() else {
        return !any_pair(text, |byte, next| !is_usual(byte, next));
    };
    let mut odd = [0; BLOCK];
    let mut look = |block: &[u8], next: &[u8]| {
        for i in 0..BLOCK {
            odd[i] |= u8::from(!is_usual(block[i], next[i]));
        }
    };
    let (blocks, nexts) = (text.chunks_exact(BLOCK), text[1..].chunks_exact(BLOCK));
    let is_whole = nexts.remainder().is_empty();
    blocks.zip(nexts).for_each(|(block, next)| look(block, next));
    if !is_whole {
        look(&last[..BLOCK], &last[1..]);
    }
    odd == [0; BLOCK]
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
    let [b'?', ..] = text else { return false };
    let len = text.len();
    if len > MAX_KEY {
        return false;
    }
    let mut padded: Padded = [b'a'; size_of::<Padded>()];
    padded[1..len].copy_from_slice(&text[1..]);
    let Some(separators) = separators(&padded, len) else { return false };
    len == 1 || has_settled_order(&padded, len, separators)
}

/// Returns the positions of ampersands and equals signs, one bit for each byte. Returns `None` if
/// any other byte is not plain.
#[inline]
fn separators(padded: &Padded, len: usize) -> Option<u64> {
    let mut odd = [0; BLOCK];
    let mut separators = 0;
    for (n, block) in padded.chunks_exact(BLOCK).take(len.div_ceil(BLOCK)).enumerate() {
        let mut bits = [0_u8; BLOCK];
        for i in 0..BLOCK {
            let separates = (block[i] == b'&') | (block[i] == b'=');
            bits[i] = u8::from(separates);
            odd[i] |= u8::from(!(separates | is_plain(block[i], 0)));
        }
        let (low, high) = bits.split_at(size_of::<u64>());
        for (half, m) in [low, high].into_iter().zip(0..) {
            let half = half.first_chunk().map_or(0, |half| u64::from_le_bytes(*half));
            // Each bit is moved to its place in the highest byte.
            separators |= (half.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (BLOCK * n + 8 * m);
        }
    }
    (odd == [0; BLOCK]).then_some(separators)
}

/// Returns whether every parameter stays the same, and known parameters are in order, each once,
/// before all others.
#[inline]
fn has_settled_order(padded: &Padded, len: usize, mut separators: u64) -> bool {
    // The end of the text also ends a parameter.
    separators |= 1 << len;
    let mut next = || {
        let at = separators.trailing_zeros() as usize;
        separators &= separators.wrapping_sub(1);
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
