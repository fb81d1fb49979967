//! A hash table from hash to index; the indexed items live elsewhere.
//!
//! Invariant: a bucket is the hash in the high half and one more than the number in the low half,
//! or zero if it is empty. From the bucket that the hash names, its home, to the bucket where a
//! number is, none is empty. At least a quarter of the buckets are.
//!
//! `hashbrown` keeps its tags apart from its buckets, doubles when it grows, and asks the caller
//! for the hash of each entry then. Here a probe costs one cache line where it would be two, and
//! growing by a quarter leaves less room empty. Homes are in the order of the hashes, so that
//! growing reads and writes the table from its start to its end. Measured figures are in DESIGN.md.

use crate::hash::TableHash;

#[derive(Debug, Default)]
pub(crate) struct IndexTable {
    buckets: Box<[u64]>,
    len: usize,
}

/// The smallest table with something in it: one cache line.
const SMALLEST: usize = 8;

/// Returns the maximum number of indexes for this number of buckets, a multiple of four. The fuller
/// the table, the longer the search for an absent index.
fn most(buckets: usize) -> usize {
    buckets / 4 * 3
}

fn bucket(hash: TableHash, number: u32) -> u64 {
    u64::from(hash.get()) << 32 | (u64::from(number) + 1)
}

fn hash_of(bucket: u64) -> u64 {
    bucket >> 32
}

#[allow(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
fn number_of(bucket: u64) -> Option<u32> {
    (bucket as u32).checked_sub(1)
}

impl IndexTable {
    #[cfg(any(test, fuzzing))]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Heap bytes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.buckets)
    }

    /// The number under that hash for which `is` holds.
    pub(crate) fn find(&self, hash: TableHash, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        if self.buckets.is_empty() {
            return None;
        }
        let mut at = self.home(u64::from(hash.get()));
        loop {
            let bucket = self.buckets[at];
            let number = number_of(bucket)?;
            if hash_of(bucket) == u64::from(hash.get()) && is(number) {
                return Some(number);
            }
            at = self.after(at);
        }
    }

    /// Files a number that isn't there.
    ///
    /// Cost: O(1) amortized; when the table grows, O(numbers in it).
    pub(crate) fn insert(&mut self, hash: TableHash, number: u32) {
        if self.len + 1 > most(self.buckets.len()) {
            self.rebuild(SMALLEST.max((self.buckets.len() / 4 * 5).next_multiple_of(4)));
        }
        self.len += 1;
        self.put(bucket(hash, number));
    }

    /// Files `to` in the place of `from`.
    pub(crate) fn rename(&mut self, hash: TableHash, from: u32, to: u32) {
        let at = self.position(hash, from);
        self.buckets[at] = bucket(hash, to);
    }

    /// Takes a number out.
    pub(crate) fn remove(&mut self, hash: TableHash, number: u32) {
        let mut gap = self.position(hash, number);
        let mut at = gap;
        self.len -= 1;
        // An item after the gap, up to the next empty bucket, moves into the gap if that is no
        // further from its home.
        loop {
            self.buckets[gap] = 0;
            loop {
                at = self.after(at);
                if self.buckets[at] == 0 {
                    return;
                }
                let home = self.home(hash_of(self.buckets[at]));
                if self.distance(home, at) >= self.distance(gap, at) {
                    break;
                }
            }
            self.buckets[gap] = self.buckets[at];
            gap = at;
        }
    }

    fn rebuild(&mut self, buckets: usize) {
        let old = std::mem::replace(&mut self.buckets, vec![0; buckets].into_boxed_slice());
        old.into_iter().filter(|bucket| *bucket != 0).for_each(|bucket| self.put(bucket));
    }

    fn put(&mut self, bucket: u64) {
        let mut at = self.home(hash_of(bucket));
        while self.buckets[at] != 0 {
            at = self.after(at);
        }
        self.buckets[at] = bucket;
    }

    /// # Panics
    /// If the number isn't there.
    fn position(&self, hash: TableHash, number: u32) -> usize {
        let wanted = bucket(hash, number);
        let mut at = self.home(u64::from(hash.get()));
        while self.buckets[at] != wanted {
            assert!(self.buckets[at] != 0, "{number} is filed under its hash");
            at = self.after(at);
        }
        at
    }

    /// As far from the start of the table as the hash is from zero.
    #[allow(clippy::cast_possible_truncation, reason = "less than the number of buckets")]
    fn home(&self, hash: u64) -> usize {
        ((hash * self.buckets.len() as u64) >> 32) as usize
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 == self.buckets.len() { 0 } else { at + 1 }
    }

    /// The steps from a bucket to a later one, which may lie behind the end of the table, at its
    /// start.
    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.buckets.len() - from }
    }

    /// Panics where the invariants at the top of this module don't hold.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn check(&self) {
        let filed = self.buckets.iter().filter(|bucket| **bucket != 0).count();
        assert_eq!(self.len, filed, "numbers");
        assert!(filed <= most(self.buckets.len()), "{filed} of {}", self.buckets.len());
        for (at, bucket) in self.buckets.iter().enumerate().filter(|(_, bucket)| **bucket != 0) {
            let mut on_the_way = self.home(hash_of(*bucket));
            while on_the_way != at {
                assert!(self.buckets[on_the_way] != 0, "a gap on the way to {at}");
                on_the_way = self.after(on_the_way);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn hash(n: u32) -> TableHash {
        TableHash::new(n)
    }

    fn find(table: &IndexTable, hash: TableHash, number: u32) -> bool {
        table.find(hash, |other| other == number).is_some()
    }

    #[test]
    fn empty_table_has_nothing_and_costs_nothing() {
        let mut table = IndexTable::default();
        assert_eq!(table.find(hash(7), |_| true), None);
        assert_eq!(table.bytes(), 0);
        table.insert(hash(7), 0);
        table.remove(hash(7), 0);
        assert_eq!(table.find(hash(7), |_| true), None);
    }

    #[test]
    fn numbers_under_one_hash_are_told_apart() {
        let mut table = IndexTable::default();
        (0..5).for_each(|number| table.insert(hash(7), number));
        assert_eq!(table.find(hash(7), |number| number == 3), Some(3));
        assert_eq!(table.find(hash(7), |number| number == 5), None);
        assert_eq!(table.find(hash(8), |_| true), None, "the same home, another hash");
        table.remove(hash(7), 1);
        table.rename(hash(7), 3, 9);
        assert_eq!(table.find(hash(7), |number| number == 9), Some(9));
        let mut left = Vec::new();
        table.find(hash(7), |number| {
            left.push(number);
            false
        });
        left.sort_unstable();
        assert_eq!(left, [0, 2, 4, 9]);
    }

    #[test]
    #[should_panic(expected = "8 is filed under its hash")]
    fn removing_what_is_not_there_is_a_bug() {
        let mut table = IndexTable::default();
        table.insert(hash(7), 7);
        table.remove(hash(7), 8);
    }

    /// Against a map, with hashes that crowd at both ends of the table.
    #[test]
    fn is_a_map_whatever_is_put_in_and_taken_out() {
        for seed in 0..50 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut table = IndexTable::default();
            let mut expected = BTreeMap::new();
            for _ in 0..2000 {
                let number = random.u32(0..300);
                if let Some(hash) = expected.remove(&number) {
                    table.remove(hash, number);
                } else {
                    // At the table's end and at its start.
                    let near = random.u32(0..8).wrapping_sub(4);
                    let hash = hash(if random.bool() { near } else { random.u32(..) });
                    table.insert(hash, number);
                    expected.insert(number, hash);
                }
                assert_eq!(table.len(), expected.len());
            }
            table.check();
            assert!(expected.iter().all(|(number, hash)| find(&table, *hash, *number)));
        }
    }

    #[test]
    fn table_grows_by_a_quarter_when_more_than_three_quarters_are_taken() {
        let mut table = IndexTable::default();
        for n in 0..10 {
            table.insert(TableHash::new(n << 28), n);
            let buckets = match n {
                0..6 => SMALLEST,
                6..9 => 12,
                _ => 16,
            };
            assert_eq!(table.bytes(), buckets * size_of::<u64>(), "{n}");
        }
    }

    #[test]
    fn memory_follows_the_numbers() {
        let mut table = IndexTable::default();
        for n in 0..10_000_u32 {
            let buckets = table.bytes() / 8;
            assert!(buckets <= SMALLEST.max(n as usize * 5 / 3 + 8), "{buckets} buckets for {n}");
            table.insert(hash(n.wrapping_mul(0x9e37_79b9)), n);
        }
        table.check();
    }
}
