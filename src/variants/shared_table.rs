//! A hash table of line numbers that many threads read while one writes.
//!
//! Invariant: a reader may miss a number while a writer is at work, and may be given one that has
//! just been removed. It never gets a number that was not filed under its hash. The caller checks
//! what it found, and looks again under the writers' lock if it found nothing. Under that lock,
//! answers are exact.
//!
//! The table doubles into an array of its own, so that readers of the smaller array are not
//! disturbed. Arrays stay until the table is dropped: together they are at most twice as large as
//! the last.

use crate::hash::TableHash;
use crate::sync::{AtomicU64, Ordering};
use std::sync::OnceLock;

/// Buckets of the first array.
const SMALLEST: usize = 16;
/// Arrays: enough for 2^20 numbers at three quarters.
const LEVELS: usize = 18;

/// A bucket is the hash in the high half and one more than the number in the low half, or zero if
/// it is empty.
// Relaxed throughout, but for `level`: see the invariant above.
#[derive(Debug, Default)]
pub(super) struct SharedTable {
    levels: [OnceLock<Box<[AtomicU64]>>; LEVELS],
    /// How many arrays there are. The last is in use.
    level: AtomicU64,
}

fn bucket(hash: TableHash, number: u32) -> u64 {
    u64::from(hash.get()) << 32 | (u64::from(number) + 1)
}

/// As far from the start of an array as the hash is from zero.
#[allow(clippy::cast_possible_truncation, reason = "less than the number of buckets")]
fn home(hash: u64, buckets: usize) -> usize {
    ((hash * buckets as u64) >> 32) as usize
}

impl SharedTable {
    fn buckets(&self) -> &[AtomicU64] {
        // Acquire: pairs with the release in `grow`.
        let level = usize::try_from(self.level.load(Ordering::Acquire)).unwrap_or(0);
        level.checked_sub(1).and_then(|last| self.levels[last].get()).map_or(&[], |all| all)
    }

    /// The number under that hash for which `is` holds.
    pub(super) fn find(&self, hash: TableHash, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let buckets = self.buckets();
        let wanted = u64::from(hash.get());
        let mut at = home(wanted, buckets.len());
        for _ in 0..buckets.len() {
            let bucket = buckets[at].load(Ordering::Relaxed);
            let number = u32::try_from(bucket & u64::from(u32::MAX)).ok()?.checked_sub(1)?;
            if bucket >> 32 == wanted && is(number) {
                return Some(number);
            }
            at = (at + 1) & (buckets.len() - 1);
        }
        None
    }

    /// Files a number that is not there. Only under the lock of the writers; `len` numbers are
    /// there.
    pub(super) fn insert(&self, hash: TableHash, number: u32, len: usize) {
        if len >= self.buckets().len() / 4 * 3 {
            self.grow();
        }
        put(self.buckets(), bucket(hash, number));
    }

    fn grow(&self) {
        let level = self.level.load(Ordering::Relaxed);
        let next = usize::try_from(level).expect("there are few levels");
        let larger = self.levels[next]
            .get_or_init(|| (0..SMALLEST << next).map(|_| AtomicU64::new(0)).collect());
        let old = self.buckets().iter().map(|bucket| bucket.load(Ordering::Relaxed));
        old.filter(|bucket| *bucket != 0).for_each(|bucket| put(larger, bucket));
        // Release: the array and its content come first.
        self.level.store(level + 1, Ordering::Release);
    }

    /// Takes a number out. Only under the lock of the writers.
    ///
    /// # Panics
    /// If the number is not there.
    pub(super) fn remove(&self, hash: TableHash, number: u32) {
        let buckets = self.buckets();
        let (wanted, last) = (bucket(hash, number), buckets.len() - 1);
        let mut gap = home(u64::from(hash.get()), buckets.len());
        while buckets[gap].load(Ordering::Relaxed) != wanted {
            assert!(buckets[gap].load(Ordering::Relaxed) != 0, "{number} is filed under its hash");
            gap = (gap + 1) & last;
        }
        let mut at = gap;
        // An item after the gap, up to the next empty bucket, moves into the gap if that is no
        // further from its home.
        loop {
            at = (at + 1) & last;
            let bucket = buckets[at].load(Ordering::Relaxed);
            if bucket == 0 {
                break;
            }
            let home = home(bucket >> 32, buckets.len());
            if at.wrapping_sub(home) & last >= at.wrapping_sub(gap) & last {
                buckets[gap].store(bucket, Ordering::Relaxed);
                gap = at;
            }
        }
        buckets[gap].store(0, Ordering::Relaxed);
    }

    /// Heap bytes.
    pub(super) fn bytes(&self) -> usize {
        self.levels.iter().filter_map(OnceLock::get).map(|buckets| size_of_val(&**buckets)).sum()
    }
}

fn put(buckets: &[AtomicU64], bucket: u64) {
    let mut at = home(bucket >> 32, buckets.len());
    while buckets[at].load(Ordering::Relaxed) != 0 {
        at = (at + 1) & (buckets.len() - 1);
    }
    buckets[at].store(bucket, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Against a map, with hashes that crowd at both ends of the table.
    #[test]
    fn is_a_map_whatever_is_put_in_and_taken_out() {
        for seed in 0..30 {
            let mut random = fastrand::Rng::with_seed(seed);
            let table = SharedTable::default();
            let mut expected = BTreeMap::new();
            for _ in 0..2000 {
                let number = random.u32(0..300);
                if let Some(hash) = expected.remove(&number) {
                    table.remove(hash, number);
                } else {
                    let near = random.u32(0..8).wrapping_sub(4);
                    let hash = TableHash::new(if random.bool() { near } else { random.u32(..) });
                    table.insert(hash, number, expected.len());
                    expected.insert(number, hash);
                }
            }
            for number in 0..300 {
                let hash = expected.get(&number).copied();
                let found = hash.and_then(|hash| table.find(hash, |other| other == number));
                assert_eq!(found, hash.map(|_| number));
            }
        }
    }

    #[test]
    fn empty_table_has_nothing_and_costs_nothing() {
        let table = SharedTable::default();
        assert_eq!(table.find(TableHash::new(7), |_| true), None);
        assert_eq!(table.bytes(), 0);
    }
}
