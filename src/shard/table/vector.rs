//! Searches, sums, and the closing of gaps, over the bytes of all lanes at once.
//!
//! Invariant: the functions for one processor have the effects of those for all.
//!
//! With vectors of the processor, a search takes a third of the instructions that words take, and
//! closing the gaps of a purge takes about half: DESIGN.md has the counts. Safe code reaches them
//! through the crate `safe_arch`, where every processor of the target has them.

/// Bytes for the lanes, whole words.
pub(super) const BYTES: usize = 24;

/// Whole vectors of the processor.
pub(super) const SUMMED: usize = 32;

/// Bytes of the starts: two for each lane.
pub(super) const STARTS: usize = 2 * BYTES;

#[cfg(not(target_arch = "x86_64"))]
pub(super) use {
    close_gap_by_words as close_gap, close_gap_of_starts_by_words as close_gap_of_starts,
    equal_by_words as equal, sum_one_by_one as sum_of,
};

/// A bit for each byte that is `wanted`, the first byte lowest. On other processors perhaps also
/// for a byte that differs from it in the lowest bit, and comes after one that is `wanted`.
#[cfg(target_arch = "x86_64")]
#[allow(clippy::inline_always, reason = "a few instructions, in every operation")]
#[allow(clippy::cast_sign_loss, reason = "the mask has sixteen bits")]
#[inline(always)]
pub(super) fn equal(bytes: &[u8; BYTES], wanted: u8) -> u32 {
    let wanted = safe_arch::set_splat_i8_m128i(i8::from_ne_bytes([wanted]));
    let mask = |vector| {
        safe_arch::move_mask_i8_m128i(safe_arch::cmp_eq_mask_i8_m128i(vector, wanted)) as u32
    };
    let last = bytes.last_chunk().map_or(0, |last| i64::from_le_bytes(*last));
    let first = mask(half(bytes.first_chunk()));
    first | (mask(safe_arch::set_i64_m128i_s(last)) & 0xff) << 16
}

/// The sum of the bytes, each with the bits of the mask.
#[cfg(target_arch = "x86_64")]
#[allow(clippy::inline_always, reason = "as above")]
#[inline(always)]
pub(super) fn sum_of(bytes: &[u8; SUMMED], mask: &[u8; SUMMED]) -> usize {
    use safe_arch as cpu;
    let half = |bytes, mask| {
        let masked = cpu::bitand_m128i(half(bytes), half(mask));
        cpu::sum_of_u8_abs_diff_m128i(masked, cpu::zeroed_m128i())
    };
    let first = half(bytes.first_chunk(), mask.first_chunk());
    let sums = cpu::add_i64_m128i(first, half(bytes.last_chunk(), mask.last_chunk()));
    let sum = cpu::add_i64_m128i(sums, cpu::unpack_high_i64_m128i(sums, sums));
    usize::try_from(cpu::get_i64_from_m128i_s(sum)).unwrap_or_default()
}

#[cfg(target_arch = "x86_64")]
#[allow(clippy::inline_always, reason = "as above")]
#[inline(always)]
fn half(bytes: Option<&[u8; 16]>) -> safe_arch::m128i {
    bytes.map_or_else(safe_arch::zeroed_m128i, safe_arch::load_unaligned_m128i)
}

/// Moves the bytes behind a gap up by one, over it. `before` has the bytes that stay. The last byte
/// stays as well.
#[cfg(target_arch = "x86_64")]
#[allow(clippy::inline_always, reason = "as above")]
#[inline(always)]
pub(super) fn close_gap(bytes: &mut [u8; BYTES], before: &[u8; SUMMED]) {
    // The last vector begins where it reads no further than the bytes go.
    const LAST: usize = BYTES - 17;
    let moved = |first: usize| {
        let stay = half(before[first..].first_chunk());
        let next = half(bytes[first + 1..].first_chunk());
        stay_or_move(stay, half(bytes[first..].first_chunk()), next)
    };
    let (first, last) = (moved(0), moved(LAST));
    store(bytes, 0, first);
    store(bytes, LAST, last);
}

/// The same for numbers of two bytes, from each of which that moves `size` is subtracted.
#[cfg(target_arch = "x86_64")]
#[allow(clippy::inline_always, reason = "as above")]
#[inline(always)]
pub(super) fn close_gap_of_starts(starts: &mut [u8; STARTS], before: &[u8; STARTS], size: u16) {
    const LAST: usize = STARTS - 18;
    let size = safe_arch::set_splat_i16_m128i(i16::from_ne_bytes(size.to_ne_bytes()));
    let moved = |first: usize| {
        let next = half(starts[first + 2..].first_chunk());
        let stay = half(before[first..].first_chunk());
        let old = half(starts[first..].first_chunk());
        stay_or_move(stay, old, safe_arch::sub_i16_m128i(next, size))
    };
    let (first, second, last) = (moved(0), moved(16), moved(LAST));
    store(starts, 0, first);
    store(starts, 16, second);
    store(starts, LAST, last);
}

#[cfg(target_arch = "x86_64")]
#[allow(clippy::inline_always, reason = "as above")]
#[inline(always)]
fn stay_or_move(
    stay: safe_arch::m128i,
    old: safe_arch::m128i,
    next: safe_arch::m128i,
) -> safe_arch::m128i {
    let old = safe_arch::bitand_m128i(old, stay);
    safe_arch::bitor_m128i(old, safe_arch::bitandnot_m128i(stay, next))
}

#[cfg(target_arch = "x86_64")]
#[allow(clippy::inline_always, reason = "as above")]
#[inline(always)]
fn store(bytes: &mut [u8], first: usize, vector: safe_arch::m128i) {
    if let Some(sixteen) = bytes[first..].first_chunk_mut() {
        safe_arch::store_unaligned_m128i(sixteen, vector);
    }
}

/// The same as `equal`, on any processor.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline]
pub(super) fn equal_by_words(bytes: &[u8; BYTES], wanted: u8) -> u32 {
    const WORD: usize = 8;
    let wanted = u64::from_le_bytes([wanted; WORD]);
    bytes.rchunks_exact(WORD).fold(0, |mask, word| {
        let word = u64::from_le_bytes(word.try_into().expect("eight bytes"));
        // Bit 8 * n goes to bit 56 + n, and no two to the same.
        let bits = (zeros(word ^ wanted) >> 7).wrapping_mul(0x0102_0408_1020_4080);
        mask << WORD | u32::from(bits.to_be_bytes()[0])
    })
}

/// Returns the highest bit of each of eight bytes that is zero; perhaps also that of a byte that is
/// one and comes after a zero.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline]
fn zeros(bytes: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    bytes.wrapping_sub(ONES) & !bytes & (ONES << 7)
}

/// The same as `sum_of`, on any processor.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline]
pub(super) fn sum_one_by_one(bytes: &[u8; SUMMED], mask: &[u8; SUMMED]) -> usize {
    bytes.iter().zip(mask).map(|(byte, mask)| usize::from(byte & mask)).sum()
}

/// The same as `close_gap`, on any processor.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline]
pub(super) fn close_gap_by_words(bytes: &mut [u8; BYTES], before: &[u8; SUMMED]) {
    let old = [word(bytes, 0), word(bytes, 8), word(bytes, 16), 0];
    for at in 0..3 {
        let stay = word(before, 8 * at);
        let next = old[at] >> 8 | old[at + 1] << (64 - 8);
        let new = old[at] & stay | next & !stay;
        bytes[8 * at..][..8].copy_from_slice(&new.to_le_bytes());
    }
}

/// The same as `close_gap_of_starts`, on any processor, if each number that moves is at least
/// `size`, and so is each behind it up to one that has no meaning.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline]
pub(super) fn close_gap_of_starts_by_words(
    starts: &mut [u8; STARTS],
    before: &[u8; STARTS],
    size: u16,
) {
    let sizes = u64::from(size) * 0x0001_0001_0001_0001;
    for at in (0..STARTS).step_by(8) {
        let (old, behind) = (word(starts, at), !word(before, at));
        let next = if at + 8 < STARTS { word(starts, at + 2) } else { old >> 16 };
        // Nothing is borrowed up to the first free lane.
        let new = old ^ (old ^ next.wrapping_sub(sizes & behind)) & behind;
        starts[at..][..8].copy_from_slice(&new.to_le_bytes());
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline]
fn word(bytes: &[u8], first: usize) -> u64 {
    u64::from_le_bytes(bytes[first..first + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gap_is_closed() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..10_000 {
            let mut bytes = [0; BYTES].map(|_: u8| random.u8(..));
            bytes[BYTES - 1] = 0;
            let gap = random.usize(0..BYTES - 1);
            let mut expected = bytes.to_vec();
            expected.remove(gap);
            expected.push(0);
            let before = std::array::from_fn(|at| if at < gap { 255 } else { 0 });
            let mut by_words = bytes;
            close_gap(&mut bytes, &before);
            close_gap_by_words(&mut by_words, &before);
            assert_eq!((bytes.to_vec(), by_words.to_vec()), (expected.clone(), expected));
        }
    }

    #[test]
    fn gap_of_starts_is_closed() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..10_000 {
            // Starts of lanes of random sizes, and the end in the last place.
            let sizes = [0; BYTES - 2].map(|_: u16| random.u16(1..2000));
            let mut starts = vec![0];
            starts.extend(sizes.iter().scan(0, |end, size| {
                *end += size;
                Some(*end)
            }));
            starts.push(*starts.last().unwrap());
            let gap = random.usize(0..sizes.len());
            let mut expected = starts.clone();
            expected.remove(gap + 1);
            expected[gap + 1..].iter_mut().for_each(|start| *start -= sizes[gap]);
            let before = std::array::from_fn(|at| if at < 2 * gap { 255 } else { 0 });
            let bytes: Vec<_> = starts.iter().flat_map(|start| start.to_le_bytes()).collect();
            for close in [close_gap_of_starts, close_gap_of_starts_by_words] {
                let mut bytes: [u8; STARTS] = bytes.clone().try_into().unwrap();
                close(&mut bytes, &before, sizes[gap]);
                let closed = bytes.chunks(2).map(|two| u16::from_le_bytes([two[0], two[1]]));
                let closed: Vec<_> = closed.collect();
                assert_eq!(closed[..expected.len() - 1], expected[..expected.len() - 1]);
            }
        }
    }

    #[test]
    fn every_equal_byte_is_found_and_no_byte_that_differs_in_more_than_a_bit() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..10_000 {
            // Few different values, so that many are equal, or nearly.
            let bytes = [0; BYTES].map(|_: u8| [0, 2, 3, 128, 129, 255][random.usize(0..6)]);
            for wanted in [0, 2, 3, 4, 128, 129, 255] {
                let mask = |is: &dyn Fn(u8) -> bool| {
                    (0..BYTES).map(|at| u32::from(is(bytes[at])) << at).sum::<u32>()
                };
                let (exact, nearly) =
                    (mask(&|byte| byte == wanted), mask(&|byte| byte | 1 == wanted | 1));
                for found in [equal(&bytes, wanted), equal_by_words(&bytes, wanted)] {
                    assert_eq!(found & exact, exact, "{bytes:?}, {wanted}");
                    assert_eq!(found & !nearly, 0, "{bytes:?}, {wanted}");
                    assert_eq!(
                        found.trailing_zeros(),
                        exact.trailing_zeros(),
                        "the first is exact"
                    );
                }
            }
        }
    }

    #[test]
    fn masked_bytes_are_summed() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..10_000 {
            let bytes = [0; SUMMED].map(|_: u8| random.u8(..));
            let mask = [0; SUMMED].map(|_: u8| if random.bool() { 255 } else { 0 });
            let chosen = bytes.iter().zip(mask).filter(|(_, mask)| *mask > 0);
            let sum: usize = chosen.map(|(byte, _)| usize::from(*byte)).sum();
            assert_eq!((sum_of(&bytes, &mask), sum_one_by_one(&bytes, &mask)), (sum, sum));
        }
        assert_eq!(sum_of(&[255; SUMMED], &[255; SUMMED]), 255 * SUMMED);
    }
}
