//! Lanes: of each record of a bucket, a byte of its hash and the number of its slots.
//!
//! Invariant: lane and record have the same place; lanes beyond the last record are zero. A record with the wanted tag may be the wanted
//! one, one without is another.
//!
//! They lie in the bucket and not in the records, so that a look-up knows where the record, its text and its slots are before it has any
//! of them: the processor fetches all three at the same time.

use crate::hash::TableHash;

/// As many as two cache lines have room for beside three vectors. The few records beyond that, in a bucket that hashing filled more than
/// others, are looked at one by one.
pub(crate) const LANES: usize = 28;

/// Lanes that are compared at once.
const WORD: usize = 8;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Lanes {
    tags: [u8; LANES],
    slots: [u8; LANES],
}

impl Default for Lanes {
    fn default() -> Self {
        Self { tags: [0; LANES], slots: [0; LANES] }
    }
}

/// Eight bytes, the first of them lowest.
#[inline]
fn word(bytes: &[u8; LANES], start: usize) -> u64 {
    u64::from_le_bytes(bytes[start..start + WORD].try_into().expect("eight bytes"))
}

/// Of each of eight bytes: the highest bit, if the byte may be zero. Exact up to the first that is, counted from the lowest.
#[inline]
fn zeros(bytes: u64) -> u64 {
    const LOW: u64 = 0x0101_0101_0101_0101;
    bytes.wrapping_sub(LOW) & !bytes & LOW << 7
}

impl Lanes {
    /// The first lane with the tag of a hash for which `is` holds. It may be asked about a lane twice.
    #[inline]
    pub(crate) fn find(&self, hash: TableHash, mut is: impl FnMut(usize) -> bool) -> Option<usize> {
        let wanted = u64::from_le_bytes([hash.tag(); WORD]);
        for start in [0, WORD, 2 * WORD, LANES - WORD] {
            let mut candidates = zeros(word(&self.tags, start) ^ wanted);
            while candidates != 0 {
                let at = start + candidates.trailing_zeros() as usize / 8;
                if is(at) {
                    return Some(at);
                }
                candidates &= candidates - 1;
            }
        }
        None
    }

    /// How many slots a record has, if it has a lane.
    #[inline]
    pub(crate) fn slots(&self, at: usize) -> Option<usize> {
        self.slots.get(at).copied().map(usize::from)
    }

    /// How many slots the records before `at` have, as far as they have lanes.
    #[inline]
    pub(crate) fn slots_before(&self, at: usize) -> usize {
        const EVEN: u64 = 0x00ff_00ff_00ff_00ff;
        // The bytes of a word up to `at`: shifted by half as many bits and then again, as a word isn't shifted by its own length.
        let below = |start: usize| {
            let half = at.saturating_sub(start).min(WORD) * 4;
            (1_u64 << half << half).wrapping_sub(1)
        };
        // A record has at most 32 slots: four of these fit into a byte. The last word has four lanes in common with the one before.
        let sums = (word(&self.slots, 0) & below(0))
            + (word(&self.slots, WORD) & below(WORD))
            + (word(&self.slots, 2 * WORD) & below(2 * WORD))
            + (word(&self.slots, LANES - WORD) >> 32 & below(3 * WORD));
        let pairs = (sums & EVEN) + (sums >> 8 & EVEN);
        (pairs.wrapping_mul(0x0001_0001_0001_0001) >> 48) as usize
    }

    /// Writes what the lane of a record says, if it has one.
    pub(crate) fn set(&mut self, at: usize, hash: TableHash, slots: u8) {
        if at < LANES {
            (self.tags[at], self.slots[at]) = (hash.tag(), slots);
        }
    }

    /// Moves the lanes behind a record that goes. The last is to be set then, if a record moves into it.
    pub(crate) fn remove(&mut self, at: usize) {
        if at < LANES {
            for lanes in [&mut self.tags, &mut self.slots] {
                lanes.copy_within(at + 1.., at);
                lanes[LANES - 1] = 0;
            }
        }
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn get(&self, at: usize) -> Option<(u8, u8)> {
        self.tags.get(at).copied().zip(self.slots.get(at).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(tag: u8) -> TableHash {
        TableHash::new(u32::from(tag) << 24)
    }

    fn lanes(lane: impl Fn(usize) -> (u8, u8)) -> Lanes {
        let mut lanes = Lanes::default();
        for at in 0..LANES + 3 {
            let (tag, slots) = lane(at);
            lanes.set(at, hash(tag), slots);
        }
        lanes
    }

    /// The lanes with a tag that are asked about.
    fn asked(lanes: &Lanes, tag: u8) -> Vec<usize> {
        let mut asked = Vec::new();
        let none = lanes.find(hash(tag), |at| {
            asked.push(at);
            false
        });
        assert_eq!(none, None);
        asked.retain(|at| lanes.get(*at).is_some_and(|(other, _)| other == tag));
        asked.dedup();
        asked
    }

    #[test]
    fn zeros_are_found_from_the_lowest_on() {
        assert_eq!(zeros(u64::MAX), 0);
        assert_eq!(zeros(0xff00_ffff_ffff_ff01), 0x80 << 48);
        for lane in 0..8 {
            let found = zeros(!(0xff << (lane * 8)));
            assert_eq!(found.trailing_zeros(), lane * 8 + 7);
        }
    }

    #[test]
    fn every_lane_with_the_tag_is_asked_about_until_one_is_right() {
        for tagged in 0..LANES {
            let one = lanes(|at| (u8::from(at == tagged), 0));
            assert_eq!(asked(&one, 1), [tagged]);
            assert!(asked(&one, 2).is_empty());
        }
        let many = lanes(|at| (u8::from(at % 3 == 1), 0));
        assert_eq!(many.find(hash(1), |at| at > 9), Some(10));
    }

    #[test]
    fn slots_are_summed_as_they_are() {
        let slots = |at: usize| u8::try_from(at * 7 % 33).unwrap();
        let lanes = lanes(|at| (0, slots(at)));
        for at in 0..LANES + 5 {
            let sum: usize = (0..at.min(LANES)).map(|at| usize::from(slots(at))).sum();
            assert_eq!(lanes.slots_before(at), sum, "{at}");
        }
        assert_eq!(self::lanes(|_| (0, 32)).slots_before(LANES), 32 * LANES);
    }

    #[test]
    fn lanes_move_up_when_one_goes() {
        let number = |at: usize| u8::try_from(at).unwrap();
        let mut lanes = lanes(|at| (number(at), number(at) % 32));
        lanes.remove(LANES);
        lanes.remove(5);
        for at in 0..LANES - 1 {
            let was = number(at + usize::from(at >= 5));
            assert_eq!(lanes.get(at), Some((was, was % 32)));
        }
        assert_eq!(lanes.get(LANES - 1), Some((0, 0)));
        assert_eq!(lanes.get(LANES), None);
    }
}
