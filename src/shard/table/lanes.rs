//! Lanes: of each record of a node, a byte of its hash, where it starts, and the number of its
//! slots.
//!
//! Invariant: lane and record have the same place. A lane without a record is zero; one with a
//! record has a tag that is not zero. A record with the wanted tag may be the wanted one, a record
//! with another tag is not.
//!
//! A lookup computes from the lanes where a record and its values are before it has any of them, so
//! that the processor fetches all of them at the same time. The tags lie in an array of their own,
//! in which most lookups of a path that is missing end.

use super::vector::{self, BYTES, SUMMED};
use crate::hash::TableHash;
use crate::scopes::Generation;
use crate::sync::{AtomicU64, Ordering};

/// Records of one node. A bucket has 8 records on average and 16 before it is split. The few beyond
/// 23 are in a further node.
pub(super) const LANES: usize = 23;

/// The tags of one node, and the confirmations of its records by readers.
#[derive(Debug, Default)]
#[repr(align(32))]
pub(super) struct Tags {
    tags: [u8; BYTES],
    confirmed: Confirmed,
}

/// Which records of a node are untouched as of one generation. A reader that finds a record live
/// leaves word here, so that the next lookup does not ask the scopes again.
///
/// In the low 24 bits: a bit for each lane. Above: the generation, counted from the `base` of the
/// table. Any change of the lanes clears it, under the exclusive lock.
// Relaxed throughout: a statement about records that cannot change while the shard is locked, and
// it publishes nothing.
#[derive(Debug, Default)]
pub(super) struct Confirmed(AtomicU64);

/// Where each record starts in a block: of each lane, the sum of the sizes before it. The first
/// free lane, and the one behind the last lane, have the end of the last record.
// Of two bytes each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Starts([u8; 2 * BYTES]);

/// One number of a byte for each lane. The bytes behind the lanes are zero: the compiler sums 32
/// bytes in fewer steps than 24.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lanes([u8; SUMMED]);

/// For each lane: which bytes of the starts come before it.
static STARTS_BEFORE: [[u8; 2 * BYTES]; LANES + 1] = {
    let mut masks = [[0; 2 * BYTES]; LANES + 1];
    let mut lane = 0;
    while lane <= LANES {
        let mut at = 0;
        while at < 2 * lane {
            masks[lane][at] = 0xff;
            at += 1;
        }
        lane += 1;
    }
    masks
};

/// For each lane: which bytes of a vector come before it.
static SUMMED_BEFORE: [[u8; SUMMED]; LANES + 1] = {
    let mut masks = [[0; SUMMED]; LANES + 1];
    let mut lane = 0;
    while lane <= LANES {
        let mut at = 0;
        while at < lane {
            masks[lane][at] = 0xff;
            at += 1;
        }
        lane += 1;
    }
    masks
};

impl Tags {
    /// How many records there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        // The last byte has no record. The first that is found is exact.
        vector::equal(&self.tags, 0).trailing_zeros() as usize
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.tags[LANES - 1] != 0
    }

    /// A lane with the tag of a hash for which `is` holds.
    ///
    /// `is` may be asked about a lane with another tag, but only if some lane has the wanted one.
    #[inline]
    pub(super) fn find(&self, hash: TableHash, mut is: impl FnMut(usize) -> bool) -> Option<usize> {
        let mut candidates = vector::equal(&self.tags, hash.tag());
        while candidates != 0 {
            let lane = candidates.trailing_zeros() as usize;
            if is(lane) {
                return Some(lane);
            }
            candidates &= candidates - 1;
        }
        None
    }

    #[inline]
    pub(super) fn set(&mut self, lane: usize, hash: TableHash) {
        self.tags[lane] = hash.tag();
        self.confirmed = Confirmed::default();
    }

    #[allow(clippy::inline_always, reason = "as `NodeMut::remove`")]
    #[inline(always)]
    pub(super) fn remove(&mut self, lane: usize) {
        vector::close_gap(&mut self.tags, &SUMMED_BEFORE[lane]);
        self.confirmed = Confirmed::default();
    }

    #[inline]
    pub(super) fn confirmed(&self) -> &Confirmed {
        &self.confirmed
    }

    pub(super) fn forget_confirmed(&mut self) {
        self.confirmed = Confirmed::default();
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn get(&self, lane: usize) -> u8 {
        self.tags[lane]
    }
}

impl Confirmed {
    /// The largest distance from the base that can be written down.
    pub(super) const FURTHEST: u64 = (1 << (64 - BYTES)) - 1;

    fn distance(base: Generation, as_of: Generation) -> Option<u64> {
        as_of.get().checked_sub(base.get()).filter(|distance| *distance <= Self::FURTHEST)
    }

    /// Whether the record of a lane is known to be untouched as of a generation.
    pub(super) fn has(&self, lane: usize, base: Generation, as_of: Generation) -> bool {
        let word = self.0.load(Ordering::Relaxed);
        word >> lane & 1 == 1 && Self::distance(base, as_of).is_some_and(|d| word >> BYTES >= d)
    }

    /// Writes down that the record of a lane is untouched as of a generation, unless something
    /// newer is known of other records.
    pub(super) fn add(&self, lane: usize, base: Generation, as_of: Generation) {
        let Some(distance) = Self::distance(base, as_of) else { return };
        // Fails where there is nothing to be written.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            let known = word >> BYTES;
            let others = if known == distance { word } else { distance << BYTES };
            (known <= distance).then_some(others | 1 << lane)
        });
    }
}

impl Default for Starts {
    fn default() -> Self {
        Self([0; 2 * BYTES])
    }
}

impl Starts {
    #[inline]
    pub(super) fn of(&self, lane: usize) -> u16 {
        let bytes = &self.0[2 * lane..][..2];
        u16::from_le_bytes(bytes.try_into().expect("two bytes"))
    }

    /// Where the last record ends.
    #[inline]
    pub(super) fn end(&self) -> u16 {
        self.of(LANES)
    }

    #[inline]
    pub(super) fn size(&self, lane: usize) -> u16 {
        self.of(lane + 1) - self.of(lane)
    }

    #[inline]
    fn set(&mut self, lane: usize, start: u16) {
        self.0[2 * lane..][..2].copy_from_slice(&start.to_le_bytes());
    }

    /// Adds a record of a size behind the last one.
    #[inline]
    pub(super) fn push(&mut self, lane: usize, size: u16) {
        let end = self.end() + size;
        self.set(lane + 1, end);
        self.set(LANES, end);
    }

    /// Takes a lane out.
    #[allow(clippy::inline_always, reason = "as `NodeMut::remove`")]
    #[inline(always)]
    pub(super) fn remove(&mut self, lane: usize) {
        let (size, end) = (self.size(lane), self.end());
        vector::close_gap_of_starts(&mut self.0, &STARTS_BEFORE[lane], size);
        self.set(LANES, end - size);
    }
}

impl Lanes {
    #[inline]
    pub(super) fn get(&self, lane: usize) -> usize {
        self.0[lane].into()
    }

    /// The sum of the numbers before a lane.
    #[inline]
    pub(super) fn before(&self, lane: usize) -> usize {
        vector::sum_of(&self.0, &SUMMED_BEFORE[lane])
    }

    pub(super) fn set(&mut self, lane: usize, number: u8) {
        self.0[lane] = number;
    }

    #[inline]
    pub(super) fn add_one(&mut self, lane: usize) {
        self.0[lane] += 1;
    }

    #[allow(clippy::inline_always, reason = "as `NodeMut::remove`")]
    #[inline(always)]
    pub(super) fn remove(&mut self, lane: usize) {
        let lanes = self.0.first_chunk_mut().expect("as long");
        vector::close_gap(lanes, &SUMMED_BEFORE[lane]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(tag: u8) -> TableHash {
        TableHash::new(u32::from(tag) << 24)
    }

    fn number(at: usize) -> u8 {
        u8::try_from(at).unwrap()
    }

    fn tags(tag: impl Fn(usize) -> u8) -> Tags {
        let mut tags = Tags::default();
        (0..LANES).for_each(|lane| tags.set(lane, hash(tag(lane))));
        tags
    }

    #[test]
    fn every_lane_with_the_tag_is_asked_about_until_one_is_right() {
        for tagged in 0..LANES {
            let one = tags(|at| if at == tagged { 20 } else { 10 });
            assert_eq!(one.find(hash(20), |_| true), Some(tagged));
            assert_eq!(one.find(hash(11), |_| panic!("no lane has this tag")), None);
        }
        let many = tags(|at| if at % 3 == 1 { 20 } else { 21 });
        let mut asked = Vec::new();
        let none = many.find(hash(20), |at| {
            asked.push(at);
            false
        });
        assert_eq!(none, None);
        assert!((0..LANES).filter(|at| at % 3 == 1).all(|at| asked.contains(&at)));
        assert_eq!(many.len(), LANES);
        assert!(many.is_full());
    }

    #[test]
    fn numbers_are_summed_as_they_are() {
        let at = |lane: usize| number(lane * 97 % 256);
        let mut lanes = Lanes::default();
        (0..LANES).for_each(|lane| lanes.set(lane, at(lane)));
        for lane in 0..=LANES {
            let sum: usize = (0..lane).map(|lane| usize::from(at(lane))).sum();
            assert_eq!(lanes.before(lane), sum, "{lane}");
        }
        assert_eq!(Lanes([255; SUMMED]).before(LANES), 255 * LANES);
    }

    #[test]
    fn lanes_move_up_when_one_goes() {
        let (mut lanes, mut tags) = (Lanes::default(), tags(|lane| number(lane) + 2));
        (0..LANES).for_each(|lane| lanes.set(lane, number(lane)));
        lanes.remove(5);
        tags.remove(5);
        for lane in 0..LANES - 1 {
            let was = lane + usize::from(lane >= 5);
            assert_eq!((lanes.get(lane), tags.get(lane)), (was, number(was) + 2));
        }
        assert_eq!((lanes.get(LANES - 1), tags.len()), (0, LANES - 1));
    }

    #[test]
    fn starts_are_the_sums_of_the_sizes() {
        let mut random = fastrand::Rng::with_seed(1);
        let (mut starts, mut sizes) = (Starts::default(), Vec::new());
        for _ in 0..2000 {
            if sizes.len() < LANES && random.bool() {
                let size = random.u16(1..=255);
                starts.push(sizes.len(), size);
                sizes.push(size);
            }
            if !sizes.is_empty() && random.u32(0..4) == 0 {
                let lane = random.usize(0..sizes.len());
                starts.remove(lane);
                sizes.remove(lane);
            }
            for lane in 0..=sizes.len() {
                assert_eq!(starts.of(lane), sizes.iter().take(lane).sum::<u16>());
            }
            assert_eq!(starts.end(), sizes.iter().sum::<u16>());
        }
    }

    #[test]
    fn what_is_confirmed_is_confirmed_up_to_the_generation_and_of_that_lane() {
        let at = Generation::new;
        let base = at(100);
        let confirmed = Confirmed::default();
        assert!(!confirmed.has(0, base, at(100)));
        confirmed.add(3, base, at(107));
        confirmed.add(22, base, at(107));
        for lane in 0..LANES {
            assert_eq!(confirmed.has(lane, base, at(107)), [3, 22].contains(&lane));
            assert_eq!(confirmed.has(lane, base, at(104)), [3, 22].contains(&lane));
            assert!(!confirmed.has(lane, base, at(108)));
        }
        confirmed.add(4, base, at(106));
        assert!(!confirmed.has(4, base, at(106)), "older than what is known");
        confirmed.add(4, base, at(108));
        assert!(confirmed.has(4, base, at(108)) && !confirmed.has(3, base, at(107)));
        let far = at(100 + Confirmed::FURTHEST);
        confirmed.add(0, base, at(far.get() + 1));
        assert!(!confirmed.has(0, base, at(far.get() + 1)), "too far from the base");
        confirmed.add(0, base, far);
        assert!(confirmed.has(0, base, far));
    }
}
