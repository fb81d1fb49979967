//! Records: all paths of a shard, each with its variants.
//!
//! ```text
//!   buckets: Vec<Bucket>      hash of a path -> bucket -> tag -> record
//! ```
//!
//! Invariant: a record is in the bucket that its hash names, see [`bucket_of`]; no path has two.
//!
//! This is linear hashing: the table grows by one bucket at a time, and only the records of one other bucket are looked at for it. So no
//! insert waits for more than some forty records, however many there are, and little is left empty for growth. A look-up waits for the
//! bucket, and for what the bucket says where it is.

use crate::bucket::{Bucket, Record, RecordMut};
use crate::generation::Generation;
#[cfg(any(test, fuzzing))]
use crate::hash::Hashing;
use crate::hash::{PathHash, TableHash};
use crate::prefetch::Stage;
use crate::tenant::Tenant;
#[cfg(any(test, fuzzing))]
use crate::variants::Slot;
use crate::variants::{Keys, Taken, Variants};

/// Records for each bucket, on average. Those that are still to be split hold up to twice as many as the others: of 21, hashing makes more
/// than a bucket has lanes for once in twenty times.
const PER_BUCKET: usize = 16;

/// A path as the shard looks for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    pub(crate) hash: PathHash,
    pub(crate) tenant: &'a Tenant,
    pub(crate) path: &'a str,
}

/// The records of one shard.
#[derive(Debug)]
pub(crate) struct Records<V> {
    buckets: Vec<Bucket<V>>,
    len: usize,
    keys: Keys,
    /// Heap bytes of the buckets.
    heap: usize,
}

/// Where a record is, until one is added or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    bucket: usize,
    at: usize,
}

/// The bucket of a hash, of so many: its low bits, as many as it takes to name each bucket; where there is no such bucket yet, one bit less.
#[inline]
fn bucket_of(hash: TableHash, buckets: usize) -> usize {
    let all = buckets.next_power_of_two();
    let bucket = hash.get() as usize & (all - 1);
    if bucket < buckets { bucket } else { bucket - all / 2 }
}

/// The bucket that holds the records of the last of so many, while that isn't there.
fn sibling(buckets: usize) -> usize {
    let last = buckets - 1;
    last - (last + 1).next_power_of_two() / 2
}

impl<V> Default for Records<V> {
    fn default() -> Self {
        Self { buckets: Vec::new(), len: 0, keys: Keys::default(), heap: 0 }
    }
}

impl<V> Records<V> {
    #[cfg(any(test, fuzzing))]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Where a path is.
    #[inline]
    pub(crate) fn find(&self, key: &Key<'_>) -> Option<Place> {
        self.guess(key).and_then(|guess| self.find_from(guess, key))
    }

    /// Where a path probably is, if it is there. What tells is on its way to the processor then.
    #[inline]
    pub(crate) fn guess(&self, key: &Key<'_>) -> Option<Place> {
        if self.buckets.is_empty() {
            return None;
        }
        let bucket = bucket_of(key.hash.table(), self.buckets.len());
        let at = self.buckets[bucket].guess(key.hash.table())?;
        self.buckets[bucket].touch(at);
        Some(Place { bucket, at })
    }

    /// Fetches what a look-up of a path and a variant is about to read.
    pub(crate) fn fetch(&self, stage: Stage, path: TableHash, variant: TableHash) {
        if !self.buckets.is_empty() {
            self.buckets[bucket_of(path, self.buckets.len())].fetch(stage, path);
            self.keys.fetch(stage, variant);
        }
    }

    /// Where a path is. Nearly always, that is the guess, or nowhere.
    #[inline]
    pub(crate) fn find_from(&self, guess: Place, key: &Key<'_>) -> Option<Place> {
        let (hash, tenant) = (key.hash.table(), key.tenant.id());
        let bucket = &self.buckets[guess.bucket];
        if bucket.is(guess.at, hash, tenant, key.path) {
            return Some(guess);
        }
        bucket.find(hash, tenant, key.path).map(|at| Place { at, ..guess })
    }

    #[inline]
    pub(crate) fn get(&self, place: Place) -> &Record<V> {
        self.buckets[place.bucket].record(place.at)
    }

    pub(crate) fn path(&self, place: Place) -> &str {
        self.buckets[place.bucket].path(place.at)
    }

    #[inline]
    pub(crate) fn variants(&self, place: Place) -> Variants<'_, V> {
        self.buckets[place.bucket].variants(place.at)
    }

    pub(crate) fn buckets(&self) -> usize {
        self.buckets.len()
    }

    /// The places of a bucket's records.
    pub(crate) fn places_of(
        &self,
        bucket: usize,
    ) -> impl DoubleEndedIterator<Item = Place> + use<V> {
        (0..self.buckets[bucket].len()).map(move |at| Place { bucket, at })
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        (0..self.buckets.len()).flat_map(|bucket| self.places_of(bucket))
    }

    /// Changes a record.
    pub(crate) fn edit<R>(
        &mut self,
        place: Place,
        change: impl FnOnce(&mut RecordMut<'_, V>, &mut Keys) -> R,
    ) -> R {
        let bucket = &mut self.buckets[place.bucket];
        self.heap -= bucket.bytes() + bucket.set_bytes(place.at);
        let result = bucket.edit(place.at, |record| change(record, &mut self.keys));
        self.heap += bucket.bytes() + bucket.set_bytes(place.at);
        result
    }

    /// Changes a bucket, whose records keep their variants.
    fn edit_bucket<R>(&mut self, bucket: usize, change: impl FnOnce(&mut Bucket<V>) -> R) -> R {
        let bucket = &mut self.buckets[bucket];
        self.heap -= bucket.bytes();
        let result = change(bucket);
        self.heap += bucket.bytes();
        result
    }

    /// Adds a record without variants. The path isn't there.
    pub(crate) fn push(&mut self, key: &Key<'_>, settled: Generation) -> Place {
        if self.len >= self.buckets.len() * PER_BUCKET {
            self.split();
        }
        self.len += 1;
        let hash = key.hash.table();
        let record = Record::new(hash, key.tenant.id(), settled);
        let bucket = bucket_of(hash, self.buckets.len());
        let at = self.edit_bucket(bucket, |bucket| bucket.push(record, key.path, [].into_iter()));
        Place { bucket, at }
    }

    /// Adds a bucket, and moves to it what is its.
    ///
    /// When there is no room for one more, the vector doubles: rarely enough for an insert of ten thousand not to meet it, which growing by
    /// an eighth was not.
    fn split(&mut self) {
        let last = self.buckets.len();
        let goes = |hash| bucket_of(hash, last + 1) == last;
        let split = match last {
            0 => Bucket::default(),
            _ => self.edit_bucket(sibling(last + 1), |bucket| bucket.split(goes)),
        };
        self.heap += split.bytes();
        self.buckets.push(split);
    }

    /// Takes the last bucket away, and moves its records to where they belong then.
    fn merge(&mut self) {
        let sibling = sibling(self.buckets.len());
        if let Some(last) = self.buckets.pop() {
            self.heap -= last.bytes();
            self.edit_bucket(sibling, |bucket| bucket.absorb(last));
        }
    }

    /// Takes a record out. Gives its path and its variants.
    pub(crate) fn remove(&mut self, place: Place) -> (Box<str>, Taken<V>) {
        let taken = self.edit(place, |record, keys| record.variants.take(keys));
        self.len -= 1;
        (self.edit_bucket(place.bucket, |bucket| bucket.remove(place.at)), taken)
    }

    /// Gives back the memory of what has been emptied by half or more.
    ///
    /// The sweep that comes before it has looked at every record that was there, so this costs no more than that.
    pub(crate) fn shrink(&mut self) {
        let needed = self.len.div_ceil(PER_BUCKET);
        if needed <= self.buckets.len() / 2 {
            while self.buckets.len() > needed.max(1) {
                self.merge();
            }
            if needed == 0 {
                self.buckets.clear();
                self.heap = 0;
            }
            self.buckets.shrink_to_fit();
        }
        if let Some(renumbered) = self.keys.shrink() {
            self.buckets.iter_mut().for_each(|bucket| bucket.renumber(&renumbered));
            self.heap = self.counted_heap();
        }
    }

    fn counted_heap(&self) -> usize {
        let of_sets: usize =
            self.places().map(|place| self.buckets[place.bucket].set_bytes(place.at)).sum();
        of_sets + self.buckets.iter().map(Bucket::bytes).sum::<usize>()
    }

    /// Heap bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.heap + self.keys.bytes() + self.buckets.capacity() * size_of::<Bucket<V>>()
    }

    /// Panics where the invariants at the top of this module don't hold.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn check(&self, hashing: &Hashing) {
        assert_eq!(self.len(), self.places().count(), "records");
        self.buckets.iter().for_each(Bucket::check);
        for place in self.places() {
            let (record, path) = (self.get(place), self.path(place));
            assert_eq!(record.hash, hashing.path(record.tenant, path).table(), "{path}");
            assert_eq!(bucket_of(record.hash, self.buckets.len()), place.bucket, "{path}");
            self.variants(place).check(&self.keys, hashing);
        }
        assert_eq!(self.heap, self.counted_heap(), "heap");
        let slots = self.places().flat_map(|place| self.variants(place).slots);
        self.keys.check(slots.map(Slot::key), hashing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::Tenants;

    struct World {
        records: Records<usize>,
        hashing: Hashing,
        tenant: Tenant,
    }

    impl World {
        fn new() -> Self {
            let tenant = Tenants::new(0).get_or_add("doc");
            Self { records: Records::default(), hashing: Hashing::new(), tenant }
        }

        fn key<'a>(&'a self, path: &'a str) -> Key<'a> {
            Key { hash: self.hashing.path(self.tenant.id(), path), tenant: &self.tenant, path }
        }

        fn push(&mut self, n: usize) {
            let path = format!("p{n}");
            let hash = self.hashing.path(self.tenant.id(), &path);
            let key = Key { hash, tenant: &self.tenant, path: &path };
            let place = self.records.push(&key, Generation::START);
            let (hashing, text) = (&self.hashing, format!("?w={}", n % 100));
            self.records.edit(place, |record, keys| {
                record.variants.push(keys.find(&text, hashing), n, false, keys, hashing);
            });
        }

        fn find(&self, n: usize) -> Option<usize> {
            let place = self.records.find(&self.key(&format!("p{n}")))?;
            let text = format!("?w={}", n % 100);
            let variants = self.records.variants(place);
            let at = variants.find(self.records.keys().find(&text, &self.hashing))?;
            Some(*variants.get(at).0)
        }

        fn remove(&mut self, n: usize) {
            let place = self.records.find(&self.key(&format!("p{n}"))).unwrap();
            let (path, taken) = self.records.remove(place);
            assert_eq!((&*path, taken.into_entries()[0].value), (&*format!("p{n}"), n));
        }
    }

    #[test]
    fn each_bucket_is_split_off_from_its_sibling() {
        for buckets in 2..200 {
            for hash in (0..5000).map(|n: u32| TableHash::new(n.wrapping_mul(0x9e37_79b9))) {
                let (before, after) = (bucket_of(hash, buckets - 1), bucket_of(hash, buckets));
                assert!(before == after || (before, after) == (sibling(buckets), buckets - 1));
            }
        }
    }

    #[test]
    fn bucket_is_that_of_the_low_bits_or_of_one_bit_less() {
        let buckets = |count| (0..8).map(|n| bucket_of(TableHash::new(n | 8), count)).collect();
        let eight: Vec<_> = buckets(8);
        assert_eq!(eight, [0, 1, 2, 3, 4, 5, 6, 7]);
        let six: Vec<_> = buckets(6);
        assert_eq!(six, [0, 1, 2, 3, 4, 5, 2, 3]);
    }

    #[test]
    fn table_shrinks_when_half_of_it_is_empty() {
        let mut world = World::new();
        (0..400).for_each(|n| world.push(n));
        // All keys stay in use, so that none is renumbered.
        (0..190).for_each(|n| world.remove(n));
        world.records.shrink();
        assert_eq!(world.records.buckets(), 25, "210 records need more than half of the buckets");
        (190..250).for_each(|n| world.remove(n));
        world.records.shrink();
        assert_eq!(world.records.buckets(), 10);
        world.records.check(&world.hashing);
    }

    #[test]
    fn bytes_are_those_of_all_parts() {
        let mut world = World::new();
        world.push(1);
        let blocks = size_of::<Record<usize>>() + "p1".len() + 16;
        let buckets = world.records.buckets.capacity() * 128;
        assert!(buckets > 0);
        assert_eq!(world.records.bytes(), blocks + buckets + world.records.keys().bytes());
    }

    #[test]
    fn bytes_of_large_sets_are_counted() {
        let mut world = World::new();
        (0..20).for_each(|n| world.push(n));
        let small = world.records.bytes();
        let place = world.records.find(&world.key("p7")).unwrap();
        for n in 0..100 {
            let (hashing, text) = (&world.hashing, format!("?h={n}"));
            world.records.edit(place, |record, keys| {
                record.variants.push(keys.find(&text, hashing), n, false, keys, hashing);
            });
            world.records.check(&world.hashing);
        }
        assert!(world.records.bytes() > small + 100 * (16 + 4 + size_of::<usize>()));
        let (_, taken) = world.records.remove(place);
        assert_eq!(taken.len(), 101);
        world.records.check(&world.hashing);
        // What is left of it are places for the keys that it had as a small set.
        let left = world.records.bytes() - world.records.keys().bytes();
        assert!(left < small, "{left} of {small}");
    }

    #[test]
    fn every_record_is_found_while_the_table_grows_and_shrinks() {
        const RECORDS: usize = 2000;
        let mut world = World::new();
        for n in 0..=RECORDS {
            world.push(n);
        }
        world.records.check(&world.hashing);
        assert_eq!(world.records.buckets(), RECORDS / PER_BUCKET + 1);
        let full = world.records.bytes();
        for n in 0..RECORDS {
            if n % 4 > 0 {
                world.remove(n);
            }
        }
        world.records.check(&world.hashing);
        for n in 0..RECORDS {
            assert_eq!(world.find(n), (n % 4 == 0).then_some(n));
        }
        world.records.shrink();
        world.records.check(&world.hashing);
        assert_eq!(world.records.buckets(), world.records.len().div_ceil(PER_BUCKET));
        assert_eq!(world.find(RECORDS), Some(RECORDS));
        assert!(world.records.bytes() * 3 < full, "{} of {full}", world.records.bytes());
        for n in (0..=RECORDS).step_by(4) {
            world.remove(n);
        }
        world.records.shrink();
        world.records.check(&world.hashing);
        assert_eq!((world.records.bytes(), world.records.buckets()), (0, 0));
    }
}
