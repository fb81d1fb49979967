//! The fast path of `known`: recognizes usual canonical text at once.
//!
//! Invariant: what is accepted here, the pipeline writes as it stands. `false` means nothing: the pipeline decides.
//! Not here: errors, escapes, marks, long keys, origins with a query, a port or a colon.

use super::bytes::is_plain;
use super::cut::key_of;
use super::known::MAX_CANONICAL;
use super::parameters::{UNKNOWN, settled_rank};
use super::scan::{any_pair, places_of_word, word};

/// How many bytes of a key are looked at in one go.
const BLOCK: usize = 16;
/// The longest key that is recognized: one bit of a word for each byte.
const MAX_KEY: usize = u64::BITS as usize;

/// Whether `text` is a canonical origin that consists of plain bytes.
#[inline]
pub(super) fn is_plain_origin(text: &[u8]) -> bool {
    let (is_url, rest) = match text {
        [b'h', b't', b't', b'p', b's', b':', b'/', b'/', rest @ ..]
        | [b'h', b't', b't', b'p', b':', b'/', b'/', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let (Some(&first), Some(&last)) = (rest.first(), rest.last()) else { return false };
    // A leading dot may start a dot segment, as one behind a slash does. A colon may end a scheme or a host.
    let is_usual = |byte: u8, next: u8| is_plain(byte, next) & (byte != b':');
    text.len() <= MAX_CANONICAL
        && !matches!(first, b'/' | b'.')
        && is_usual(last, 0)
        && !any_pair(rest, |byte, next| !is_usual(byte, next))
        && (!is_url || starts_with_host(rest))
}

/// Whether `text`, which consists of plain bytes, begins with a host in its canonical spelling, and a slash.
#[inline]
fn starts_with_host(text: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    for at in (0..text.len()).step_by(size_of::<u64>()) {
        let word = word(text, at);
        let (slashes, commas) = (places_of_word(word, b'/'), places_of_word(word, b','));
        // Of plain bytes, capitals and the underscore have this bit without the other.
        let capitals = ((word & (ONES << 6)) << 1) & !(word << 2);
        let before = slashes.wrapping_sub(1) & !slashes;
        if (commas | capitals) & before != 0 {
            return false;
        }
        if slashes != 0 {
            return true;
        }
    }
    false
}

/// Whether `text` is a canonical key of one group of operations, without marks, that is short and consists of plain bytes.
#[inline]
pub(super) fn is_plain_key(text: &[u8]) -> bool {
    let [b'?', ..] = text else { return false };
    let len = text.len();
    if len > MAX_KEY {
        return false;
    }
    // Words may begin at any byte.
    let mut padded = [b'a'; MAX_KEY + size_of::<u64>()];
    padded[1..len].copy_from_slice(&text[1..]);
    let Some(separators) = separators(&padded, len) else { return false };
    len == 1 || has_settled_order(&padded, text, separators)
}

/// Where ampersands and equals signs stand, if all other bytes are plain: one bit for each byte.
#[inline]
fn separators(padded: &[u8], len: usize) -> Option<u64> {
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

/// Whether every parameter stays as it is, and known ones are in order, each once, before all others.
#[inline]
fn has_settled_order(padded: &[u8], text: &[u8], mut separators: u64) -> bool {
    let len = text.len();
    let mut next = || {
        let at = (separators.trailing_zeros() as usize).min(len);
        separators &= separators.wrapping_sub(1);
        at
    };
    let (mut start, mut previous) = (1, 0);
    loop {
        let name_end = next();
        let Some(word) = padded[start..].first_chunk() else { return false };
        let key = key_of(u64::from_le_bytes(*word), name_end - start);
        let rank = settled_rank(key, &text[start..name_end]);
        if name_end == start || (rank <= previous && rank != UNKNOWN) {
            return false;
        }
        previous = rank;
        let mut end = name_end;
        if text.get(name_end) == Some(&b'=') {
            end = next();
        }
        match text.get(end) {
            None => return true,
            Some(b'&') => start = end + 1,
            Some(_) => return false,
        }
    }
}
