//! Searches and sums over the bytes of all lanes at once.
//!
//! Invariant: the functions for one processor give the answers of those for all.
//!
//! With vectors of the processor, a search takes a third of the instructions that words take. Safe
//! code reaches them through the crate `safe_arch`, where every processor of the target has them.

/// Bytes for the lanes, whole words.
pub(super) const BYTES: usize = 24;

/// Whole vectors of the processor.
pub(super) const SUMMED: usize = 32;

#[cfg(not(target_arch = "x86_64"))]
pub(super) use {equal_by_words as equal, sum_one_by_one as sum_of};

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

#[cfg(test)]
mod tests {
    use super::*;

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
