//! `OverTime`: the course of a flush that is spread over time.
//!
//! Invariant: the moment of a path is a function of its text and of the duration alone. It is the
//! same in every process, so a flush that is resumed after a restart revives nothing, and all nodes
//! of a fleet fetch a picture anew at about the same time.

use crate::freshness::Freshness;
use crate::monotonic::nanoseconds;
use crate::names::OriginPath;
use std::time::Duration;

/// The course of a flush that is spread over time: its duration, how much of it has passed, and
/// whether an older entry is stale or live until its moment.
///
/// # Examples
///
/// ```
/// use cache_index::{Freshness, OriginPath, OverTime};
/// use std::time::Duration;
///
/// let over = OverTime::new(Duration::from_secs(60)).serving(Freshness::Live);
/// let moment = over.moment(&OriginPath::opaque("sample.li/birds.jpg")?);
/// assert!(moment < over.duration());
/// assert_eq!(over.freshness(), Freshness::Live);
/// # Ok::<(), cache_index::NameError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverTime {
    duration: Duration,
    elapsed: Duration,
    freshness: Freshness,
}

impl OverTime {
    /// Creates a course that begins now. Entries are stale until their moment.
    #[must_use]
    pub fn new(duration: Duration) -> Self {
        Self { duration, elapsed: Duration::ZERO, freshness: Freshness::Stale }
    }

    /// Sets whether older entries are stale or live until their moment. Live, no client learns of
    /// the flush before, and each entry is fetched anew after its moment only. Stale, a server that
    /// refreshes stale entries may fetch all of them at once.
    #[must_use]
    pub fn serving(mut self, freshness: Freshness) -> Self {
        self.freshness = freshness;
        self
    }

    /// Sets how much of the duration has passed already, to resume a flush after a restart.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::OverTime;
    /// use std::time::Duration;
    ///
    /// let over = OverTime::new(Duration::from_secs(600)).resumed_at(Duration::from_secs(240));
    /// assert_eq!(over.elapsed(), Duration::from_secs(240));
    /// ```
    #[must_use]
    pub fn resumed_at(mut self, elapsed: Duration) -> Self {
        self.elapsed = elapsed;
        self
    }

    /// Returns the time from the first entry's moment to the last one's.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// Returns how much of the duration has passed.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Returns whether older entries are stale or live until their moment.
    pub fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// Returns the moment of a path: how much of the duration passes until its older entries are
    /// dead.
    ///
    /// It depends on the text of the path and the duration alone, so that it is the same after a
    /// restart and on every node.
    pub fn moment(&self, path: &OriginPath<'_>) -> Duration {
        let fraction = fraction(path.as_str().as_bytes());
        Duration::from_nanos(offset(nanoseconds(self.duration), fraction))
    }

    /// Whether the flush has ended when it begins.
    pub(crate) fn has_ended(&self) -> bool {
        self.elapsed >= self.duration
    }
}

impl From<Duration> for OverTime {
    fn from(duration: Duration) -> Self {
        Self::new(duration)
    }
}

/// Returns the fraction of the duration after which a path dies, in parts of 2^64: FNV-1a of its
/// text, with the final steps of MurmurHash3, because paths differ mostly in their last bytes.
///
/// It has no seed: it must be the same in the next process. An attacker who chooses paths with
/// equal fractions chooses when they die, and nothing else.
pub(crate) fn fraction(path: &[u8]) -> u64 {
    let mut hash = path.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ hash >> 33).wrapping_mul(factor);
    }
    hash ^ hash >> 33
}

/// Returns the moment within a duration in nanoseconds. It is less than the duration.
#[allow(clippy::cast_possible_truncation, reason = "the product is of two numbers below 2^64")]
pub(crate) fn offset(duration: u64, fraction: u64) -> u64 {
    ((u128::from(duration) * u128::from(fraction)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_alike_paths_are_spread_evenly() {
        const PATHS: u32 = 256_000;
        let mut slices = [0_u32; 256];
        for n in 0..PATHS {
            let fraction = fraction(format!("shop.example/pictures/{n}.jpg").as_bytes());
            slices[usize::from(fraction.to_be_bytes()[0])] += 1;
        }
        // The expected count is 1000, with a standard deviation of 32.
        assert!(slices.iter().all(|count| (750..1250).contains(count)), "{slices:?}");
    }

    /// They are part of the format of flushes that were saved: they must never change.
    #[test]
    fn fractions_stay_the_same_in_every_version() {
        let of = |path: &str| fraction(path.as_bytes());
        assert_eq!(of(""), 0xefd0_1f60_ba99_2926);
        assert_eq!(of("sample.li/birds.jpg"), 0xac2f_9ca1_299a_0c7a);
    }

    #[test]
    fn moment_lies_within_the_duration() {
        assert_eq!(offset(60, 0), 0);
        assert_eq!(offset(60, 1 << 63), 30);
        assert_eq!(offset(60, u64::MAX), 59);
        assert_eq!(offset(u64::MAX, u64::MAX), u64::MAX - 1);
    }
}
