//! Examines many bytes at a time.
//!
//! Invariant: every result equals that of a loop over single bytes. Not here: the searched bytes;
//! the caller chooses them, and `bytes` names the classes.
//!
//! Texts are short. A loop that ends at some byte of one is mispredicted nearly every time, which
//! takes as long as examining thirty bytes. Two methods avoid that, both in portable code:
//!
//! - A predicate that does not branch is evaluated for blocks of 16 bytes, which the compiler turns
//!   into vector instructions. The last block overlaps the block before it, which is cheaper than a
//!   loop over the rest. (The loops have a constant number of bytes and are called in one place.
//!   With two calls, or with iterators over the blocks, the compiler did not vectorize.) A neighbor
//!   is read from a slice that begins one byte later, as in `text[1..][at]`. With `text[at + 1]`,
//!   the compiler composed that vector from two others: 614 instead of 589
//!   instructions for two names (`check-names` of `bash benches/instructions/check`).
//! - Marks are found by arithmetic on 16 bytes at once, or stored as one bit each.
//!
//! With both, canonical requests went from 219 to 117 ns
//! (`cargo bench -p peers --bench canonical`). With one scan for all questions about a short text,
//! they went to 104 ns.
//!
//! Tried and dropped:
//! - a table lookup for each byte that records the positions of separators: no faster than the code
//!   before
//! - words that start at the last separator: fewer instructions, but each waits for the one before
//!   it
//! - a copy of the text with padding after it, so that no block overlaps: fewer instructions, but a
//!   tenth slower, because reads of fresh writes in other portions wait until the writes have left
//!   the processor's store buffer
//! - a crate that extracts the highest bits of 16 bytes at once: a tenth fewer instructions, the
//!   same time

/// The number of bytes that are examined at once: a vector register of any processor in use.
const BLOCK: usize = 16;
/// The number of bytes at once in long texts.
const MANY: usize = 4 * BLOCK;

/// Returns whether `is` holds for any byte; it must not branch.
#[inline]
pub(in crate::canonical) fn any(text: &[u8], is: impl Fn(u8) -> bool) -> bool {
    any_row::<0>(text, |text, at| is(text[at]))
}

/// Returns whether `is` holds for any two neighbors; it must not branch.
#[inline]
pub(in crate::canonical) fn any_pair(text: &[u8], is: impl Fn(u8, u8) -> bool) -> bool {
    any_row::<1>(text, |text, at| is(text[at], text[1..][at]))
}

/// Returns whether `is` holds for any three bytes in a row; it must not branch.
#[inline]
pub(in crate::canonical) fn any_triple(text: &[u8], is: impl Fn(u8, u8, u8) -> bool) -> bool {
    any_row::<2>(text, |text, at| is(text[at], text[1..][at], text[2..][at]))
}

/// Returns whether `is` holds at any position of the text that is followed by `MORE` bytes.
#[inline]
fn any_row<const MORE: usize>(text: &[u8], is: impl Fn(&[u8], usize) -> bool) -> bool {
    let Some(last) = text.len().checked_sub(BLOCK + MORE) else {
        return (0..text.len().saturating_sub(MORE)).fold(false, |found, at| found | is(text, at));
    };
    let mut start = 0;
    if last >= MANY {
        // Several registers at a time, which halves the time for long texts.
        let mut found = [0; MANY];
        while start + MANY <= last {
            let many = &text[start..start + MANY + MORE];
            for (i, found) in found.iter_mut().enumerate() {
                *found |= u8::from(is(many, i));
            }
            start += MANY;
        }
        if found != [0; MANY] {
            return true;
        }
    }
    let mut found = [0; BLOCK];
    loop {
        let block = &text[start..start + BLOCK + MORE];
        for (i, found) in found.iter_mut().enumerate() {
            *found |= u8::from(is(block, i));
        }
        if start == last {
            return found != [0; BLOCK];
        }
        start = last.min(start + BLOCK);
    }
}

/// Returns the length of a part at the start in which `is` holds for no byte. After it, at most a
/// few blocks precede the first byte for which it holds. `is` must not branch.
#[inline]
pub(in crate::canonical) fn blocks_without(text: &[u8], is: impl Fn(u8) -> bool) -> usize {
    let mut start = 0;
    while text.len() - start >= MANY && !any(&text[start..start + MANY], &is) {
        start += MANY;
    }
    while text.len() - start >= BLOCK && !any(&text[start..start + BLOCK], &is) {
        start += BLOCK;
    }
    start
}

/// Returns the number of bytes for which `is` holds; it must not branch.
#[inline]
pub(in crate::canonical) fn count(text: &[u8], is: impl Fn(u8) -> bool) -> usize {
    // The sum over this many bytes fits into a byte.
    let sum = |part: &[u8]| part.iter().map(|&byte| u8::from(is(byte))).sum::<u8>();
    text.chunks(255).map(|part| usize::from(sum(part))).sum()
}

/// Returns 8 bytes of `text` from `at` on, the first in the lowest byte, with zeros after the end
/// of the text.
#[inline]
pub(in crate::canonical) fn word(text: &[u8], at: usize) -> u64 {
    let rest = &text[at..];
    match (rest.first_chunk(), text.last_chunk()) {
        (Some(word), _) => u64::from_le_bytes(*word),
        // The bytes are the last ones of a word that overlaps what is before them.
        (None, Some(_)) if rest.is_empty() => 0,
        (None, Some(last)) => u64::from_le_bytes(*last) >> (8 * (size_of::<u64>() - rest.len())),
        (None, None) => rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

/// The number of bytes that [`stride`] returns.
pub(in crate::canonical) const STRIDE: usize = size_of::<u128>();

/// Returns 16 bytes of `text` from `at` on, with any bytes after the end of the text.
#[inline]
pub(in crate::canonical) fn stride(text: &[u8], at: usize) -> [u8; STRIDE] {
    let rest = &text[at..];
    if let Some(stride) = rest.first_chunk() {
        return *stride;
    }
    if let Some(last) = text.last_chunk() {
        // The bytes are the last ones of a stride that overlaps what is before them.
        let shift = u32::try_from(8 * (STRIDE - rest.len())).unwrap_or(u32::MAX);
        return u128::from_le_bytes(*last).checked_shr(shift).unwrap_or(0).to_le_bytes();
    }
    let mut stride = [0; STRIDE];
    stride[..rest.len()].copy_from_slice(rest);
    stride
}

/// Returns the highest bit of each byte of `stride` that is among `bytes`, all of which are ASCII.
#[inline]
fn among<const N: usize>(stride: [u8; STRIDE], bytes: [u8; N]) -> u128 {
    const ONES: u128 = u128::MAX / 0xFF;
    const HIGH: u128 = ONES << 7;
    let stride = u128::from_le_bytes(stride);
    let low = stride & !HIGH;
    // A sum reaches the highest bit if the byte differs, and never carries into the next one.
    let differs = |byte: u8| (low ^ (ONES * u128::from(byte))) + !HIGH;
    !(bytes.into_iter().fold(!0, |all, byte| all & differs(byte)) | stride) & HIGH
}

/// Returns the first position of `byte`, which is ASCII.
#[inline]
pub(in crate::canonical) fn find(text: &[u8], byte: u8) -> Option<usize> {
    Some(find_near(text, 0, [byte])).filter(|&at| at < text.len())
}

/// Returns the first position of any of `bytes`, all ASCII, from `start` on, or the end. For
/// searches with a near match.
#[inline]
pub(in crate::canonical) fn find_near<const N: usize>(
    text: &[u8],
    start: usize,
    bytes: [u8; N],
) -> usize {
    let mut at = start;
    while at < text.len() {
        if at - start == WORD_BITS {
            let is_wanted = |byte| bytes.iter().fold(false, |found, &one| found | (byte == one));
            at += blocks_without(&text[at..], is_wanted);
            if at == text.len() {
                break;
            }
        }
        let among = among(stride(text, at), bytes);
        if among > 0 {
            return text.len().min(at + (among.trailing_zeros() / 8) as usize);
        }
        at += STRIDE;
    }
    text.len()
}

/// Returns zeros and ones as bits, the first in the lowest.
#[inline]
pub(in crate::canonical) fn gathered(bytes: &[u8; WORD_BITS]) -> u64 {
    let mut bits = 0;
    for (i, word) in bytes.chunks_exact(size_of::<u64>()).enumerate() {
        let word = word.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        // Each is moved to its place in the highest byte; the sums of others don't reach that.
        bits |= (word.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
    }
    bits
}

/// The number of marks in a word: one bit for each byte of a text.
pub(in crate::canonical) const WORD_BITS: usize = u64::BITS as usize;

/// Returns whether a byte ends the name or the value of a parameter.
#[inline]
pub(in crate::canonical) fn is_separator(byte: u8) -> bool {
    (byte == b'&') | (byte == b'=')
}

/// Returns the positions of ampersands and equals signs in `text[start..]`.
#[inline]
pub(in crate::canonical) fn separators(text: &[u8], start: usize) -> impl Iterator<Item = usize> {
    let (mut rest, mut base, mut word) = (&text[start..], start, 0_u64);
    std::iter::from_fn(move || {
        while word == 0 {
            let mut window = [0; WORD_BITS];
            let (first, behind) = rest.split_at(rest.len().min(WORD_BITS));
            if first.is_empty() {
                return None;
            }
            window[..first.len()].copy_from_slice(first);
            word = gathered(&window.map(|byte| u8::from(is_separator(byte))));
            (rest, base) = (behind, base + WORD_BITS);
        }
        let at = base - WORD_BITS + word.trailing_zeros() as usize;
        word &= word - 1;
        Some(at)
    })
}

/// The maximum number of bytes that [`look`] examines.
pub(in crate::canonical) const LOOK: usize = 3 * WORD_BITS;

/// The findings of a scan.
pub(in crate::canonical) struct Seen {
    pub(in crate::canonical) any_upper: bool,
    /// The positions of bytes that separate parts or may have to change.
    pub(in crate::canonical) marks: Marks,
}

/// Scans `text` once: marks each byte that is not plain before its neighbor, and detects upper
/// case. `is_plain` and `is_upper` must not branch. Returns `None` if the text is too long for one
/// scan.
#[inline(always)]
#[expect(clippy::inline_always, reason = "nearly a tenth of the time of a canonical request")]
pub(in crate::canonical) fn look(
    text: &[u8],
    is_plain: impl Fn(u8, u8) -> bool,
    is_upper: impl Fn(u8) -> bool,
) -> Option<Seen> {
    let len = text.len();
    if len > LOOK {
        return None;
    }
    let mut padded = [b'a'; BLOCK + 1];
    let text = if len > BLOCK {
        text
    } else {
        padded[..len].copy_from_slice(text);
        &padded
    };
    let mut bits = [0; LOOK];
    let mut upper = [0; BLOCK];
    let (mut start, last) = (0, text.len() - BLOCK - 1);
    loop {
        let block = &text[start..=start + BLOCK];
        let bits = &mut bits[start..start + BLOCK];
        for i in 0..BLOCK {
            bits[i] = u8::from(!is_plain(block[i], block[1..][i]));
            upper[i] |= u8::from(is_upper(block[i]));
        }
        if start == last {
            break;
        }
        start = last.min(start + BLOCK);
    }
    let end = text.len() - 1;
    bits[end] = u8::from(!is_plain(text[end], 0));
    upper[0] |= u8::from(is_upper(text[end]));
    let mut marks = [0; LOOK / WORD_BITS];
    let words = text.len().div_ceil(WORD_BITS);
    for (marks, bits) in marks.iter_mut().zip(bits.chunks_exact(WORD_BITS)).take(words) {
        *marks = bits.first_chunk().map_or(0, gathered);
    }
    Some(Seen { any_upper: upper != [0; BLOCK], marks: Marks(marks) })
}

/// Marks in a text.
#[derive(Clone, Copy)]
pub(in crate::canonical) struct Marks([u64; LOOK / WORD_BITS]);

impl Marks {
    /// Returns the marks from `start` on, one after the other.
    #[inline]
    pub(in crate::canonical) fn ones(&self, start: usize) -> impl Iterator<Item = usize> {
        let mut block = start / WORD_BITS;
        let mut word = self.0.get(block).map_or(0, |word| word & (u64::MAX << (start % WORD_BITS)));
        std::iter::from_fn(move || {
            while word == 0 {
                word = *self.0.get(block + 1)?;
                block += 1;
            }
            let at = block * WORD_BITS + word.trailing_zeros() as usize;
            word &= word - 1;
            Some(at)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_look_at_every_byte() {
        for len in (0..50).chain(75..85).chain(140..150) {
            let mut text = vec![b'a'; len];
            assert!(!any(&text, |byte| byte == b'?') && !any_pair(&text, |_, next| next == b'?'));
            assert_eq!(find(&text, b'?'), None);
            for at in 0..len {
                text[at] = b'?';
                assert!(any(&text, |byte| byte == b'?'));
                assert_eq!(find(&text, b'?'), Some(at));
                assert_eq!(any_pair(&text, |one, next| one == b'a' && next == b'?'), at > 0);
                assert!(blocks_without(&text, |byte| byte == b'?') <= at);
                text[at] = b'a';
            }
        }
    }

    #[test]
    fn the_first_of_many_is_found() {
        for len in [0, 1, 8, 63, 64, 65, 80, 81, 200] {
            for at in 0..=len {
                let text = [vec![b'a'; at], vec![b'?'; len - at]].concat();
                assert_eq!(find(&text, b'?'), (at < len).then_some(at));
                for start in [0, 1, 7, 64].into_iter().filter(|&start| start <= at) {
                    assert_eq!(find_near(&text, start, [b'&', b'?']), at, "{len} {start}");
                    assert_eq!(find_near(&text, start, [b'?']), at, "{len} {start}");
                }
            }
        }
    }

    #[test]
    fn counts_are_exact_for_texts_of_any_length() {
        for len in [15, 16, 17, 271, 272, 254, 255, 256, 10_000] {
            assert_eq!(count(&vec![b'?'; len], |byte| byte == b'?'), len);
        }
    }

    #[test]
    fn words_end_in_zeros() {
        for len in 0..20 {
            let text: Vec<u8> = (1..=len).collect();
            for at in 0..=text.len() {
                let mut bytes = [0; 8];
                let rest = &text[at..text.len().min(at + 8)];
                bytes[..rest.len()].copy_from_slice(rest);
                assert_eq!(word(&text, at).to_le_bytes(), bytes, "{len} {at}");
            }
        }
    }

    #[test]
    fn one_look_sees_every_byte() {
        let is_plain = |byte: u8, next: u8| byte == b'a' && next != b'b';
        for len in 0..=LOOK + 1 {
            let text = vec![b'a'; len];
            let seen = look(&text, is_plain, |byte| byte == b'B');
            assert_eq!(seen.is_some(), len <= LOOK, "{len}");
            let Some(seen) = seen else { continue };
            assert!(!seen.any_upper && seen.marks.ones(0).next().is_none());
            for at in 0..len {
                let mut text = text.clone();
                text[at] = b'B';
                let seen = look(&text, is_plain, |byte| byte == b'B').unwrap();
                assert!(seen.any_upper && seen.marks.ones(at).eq([at]));
                assert_eq!(seen.marks.ones(at + 1).next(), None);
                text[at] = b'b';
                let seen = look(&text, is_plain, |byte| byte == b'B').unwrap();
                assert!(seen.marks.ones(0).eq(at.saturating_sub(1)..=at), "{len} {at}");
            }
        }
    }

    #[test]
    fn strides_are_what_is_there() {
        let text: Vec<u8> = (1..=40).collect();
        for len in 0..=text.len() {
            for at in 0..=len {
                let expected = &text[at..len.min(at + STRIDE)];
                assert!(stride(&text[..len], at).starts_with(expected), "{len} {at}");
            }
        }
    }

    #[test]
    fn separators_are_found_wherever_they_stand() {
        let mut random = 1_u64;
        for len in 0..200 {
            let text: Vec<u8> = (0..len)
                .map(|_| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    [b'&', b'=', b'a', b'\'', b'<', 0, 0x80, b'&' | 0x80, 1]
                        [(random >> 33) as usize % 9]
                })
                .collect();
            for start in 0..=len {
                let expected = (start..len).filter(|&at| matches!(text[at], b'&' | b'='));
                assert!(separators(&text, start).eq(expected), "{start} {text:?}");
            }
        }
    }
}
