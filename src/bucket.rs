//! A bucket: some twenty records, with their text and values in three blocks.
//!
//! ```text
//!   two cache lines               blocks
//!   tags      a byte of the hash of each record
//!   records ------------------->  [ record record record ... ]     each: where its text and its values are; the keys of its variants
//!   texts   ------------------->  path path path ...
//!   values  ------------------->  [ value value value value ... ]
//! ```
//!
//! Invariant: text and values lie in the order of the records, without gaps. `tags` has the byte of each record up to [`TAGGED`]; the few
//! beyond that, in a bucket that hashing filled more than others, are looked at one by one.
//!
//! A path of its own would cost an allocation for its text and one for its values, with an address, a length, and the allocator's own
//! words for each; and a look-up would find them in pages of memory that it needs for nothing else.

use crate::generation::{AtomicGeneration, Generation};
use crate::hash::TableHash;
use crate::scopes::{Standing, View};
use crate::tally::Counts;
use crate::variants::{Marks, Renumbered, VariantSet, Variants, VariantsMut};
use std::hint::black_box;
use std::ops::Range;

/// As many bytes as two cache lines have left beside three vectors.
const TAGGED: usize = 56;

/// Bytes that are compared at once.
const LANES: usize = 8;

/// What a bucket keeps of one path.
#[derive(Debug)]
pub(crate) struct Record<V> {
    /// Moved forward by readers, too: what they find live they needn't find live again.
    pub(crate) settled: AtomicGeneration,
    set: VariantSet<V>,
    marks: Marks,
    pub(crate) tenant: u32,
    pub(crate) hash: TableHash,
    text_start: u32,
    text_len: u32,
    values_start: u32,
}

/// A record to change, with its values.
#[derive(Debug)]
pub(crate) struct RecordMut<'a, V> {
    pub(crate) variants: VariantsMut<'a, V>,
    settled: &'a AtomicGeneration,
}

// In pairs of lines, as current x86 processors fetch them.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Bucket<V> {
    tags: [u8; TAGGED],
    records: Vec<Record<V>>,
    texts: String,
    values: Vec<V>,
}

impl<V> Record<V> {
    /// A record without variants, whose text has yet to be filed.
    pub(crate) fn new(hash: TableHash, tenant: u32, settled: Generation) -> Self {
        Self {
            settled: AtomicGeneration::new(settled),
            set: VariantSet::default(),
            marks: 0,
            tenant,
            hash,
            text_start: 0,
            text_len: 0,
            values_start: 0,
        }
    }

    pub(crate) fn standing(&self, view: &View) -> Standing {
        view.standing(self.settled.load_relaxed())
    }

    fn text(&self) -> Range<usize> {
        self.text_start as usize..(self.text_start + self.text_len) as usize
    }

    fn values(&self) -> Range<usize> {
        let start = self.values_start as usize;
        start..start + self.set.small_len()
    }
}

impl<V> RecordMut<'_, V> {
    /// Writes down what soft invalidations did to a record that no hard one reached.
    pub(crate) fn settle(&mut self, view: &View, counts: &mut Counts) {
        let settled = self.settled.load_relaxed();
        if view.standing(settled) == Standing::Stale {
            let fresh = self.variants.soften_all();
            if view.whole_standing(settled) == Standing::Untouched {
                // Only a prefix rule reached it; what a flush reaches, the tally has moved already.
                counts.live -= fresh;
                counts.stale += fresh;
            }
        }
        self.settled.raise_relaxed(view.as_of);
    }
}

impl<V> Default for Bucket<V> {
    fn default() -> Self {
        Self { tags: [0; TAGGED], records: Vec::new(), texts: String::new(), values: Vec::new() }
    }
}

/// Of each of eight bytes: the highest bit, if the byte may be zero. Exact up to the first that is, counted from the lowest.
fn zeros(bytes: u64) -> u64 {
    const LOW: u64 = 0x0101_0101_0101_0101;
    bytes.wrapping_sub(LOW) & !bytes & LOW << 7
}

/// The room that a block of so many gets beside what it needs: an eighth, as it lives long and doesn't grow beyond its double.
fn spare(len: usize) -> usize {
    len / 8
}

/// Makes room in one of a bucket's blocks.
pub(crate) fn make_room<T>(block: &mut Vec<T>, more: usize) {
    if block.capacity() - block.len() < more {
        block.reserve_exact(more + spare(block.len()));
    }
}

fn give_back<T>(block: &mut Vec<T>) {
    // Not at each removal: what is filled and emptied in turns needn't move each time.
    if block.len() + 4 < block.capacity() / 2 {
        block.shrink_to(block.len() + spare(block.len()));
    }
}

/// # Panics
/// Past 2^32 bytes of text or values of one bucket.
fn narrow(at: usize) -> u32 {
    u32::try_from(at).expect("the paths and values of a bucket are less than 2^32")
}

impl<V> Bucket<V> {
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Heap bytes, without those of [`Self::set_bytes`].
    pub(crate) fn bytes(&self) -> usize {
        self.records.capacity() * size_of::<Record<V>>()
            + self.texts.capacity()
            + self.values.capacity() * size_of::<V>()
    }

    /// Heap bytes of a record's own.
    pub(crate) fn set_bytes(&self, at: usize) -> usize {
        self.records[at].set.heap_bytes()
    }

    #[inline]
    pub(crate) fn record(&self, at: usize) -> &Record<V> {
        &self.records[at]
    }

    pub(crate) fn path(&self, at: usize) -> &str {
        &self.texts[self.records[at].text()]
    }

    #[inline]
    pub(crate) fn variants(&self, at: usize) -> Variants<'_, V> {
        let record = &self.records[at];
        Variants { set: &record.set, values: &self.values[record.values()], marks: record.marks }
    }

    /// Where the record of a path is.
    #[inline]
    pub(crate) fn find(&self, hash: TableHash, tenant: u32, path: &str) -> Option<usize> {
        let wanted = u64::from_le_bytes([hash.tag(); LANES]);
        for (word, tags) in self.tags.chunks_exact(LANES).enumerate() {
            if word * LANES >= self.records.len() {
                return None;
            }
            let tags = u64::from_le_bytes(tags.try_into().expect("eight bytes"));
            let mut candidates = zeros(tags ^ wanted);
            while candidates != 0 {
                let at = word * LANES + candidates.trailing_zeros() as usize / 8;
                if self.is(at, hash, tenant, path) {
                    return Some(at);
                }
                candidates &= candidates - 1;
            }
        }
        (TAGGED..self.records.len()).find(|at| self.is(*at, hash, tenant, path))
    }

    #[inline]
    fn is(&self, at: usize, hash: TableHash, tenant: u32, path: &str) -> bool {
        let Some(record) = self.records.get(at) else { return false };
        // Only the record knows where its text is. About there it is, though: the processor fetches that at the same time. This makes a
        // look-up among a million paths about a tenth faster.
        let about = at * (self.texts.len() / self.records.len());
        black_box(self.texts.as_bytes().get(about).copied());
        record.hash == hash
            && record.tenant == tenant
            && self.texts.as_bytes()[record.text()] == *path.as_bytes()
    }

    /// Changes a record.
    pub(crate) fn edit<R>(
        &mut self,
        at: usize,
        change: impl FnOnce(&mut RecordMut<'_, V>) -> R,
    ) -> R {
        let (before, later) = self.records.split_at_mut(at + 1);
        let record = &mut before[at];
        let start = record.values_start as usize;
        let others = self.values.len() - record.set.small_len();
        let variants = VariantsMut {
            set: &mut record.set,
            marks: &mut record.marks,
            values: &mut self.values,
            start,
        };
        let result = change(&mut RecordMut { variants, settled: &record.settled });
        let end = narrow(start + self.values.len() - others);
        if let Some(next) = later.first().filter(|next| next.values_start != end) {
            let was = next.values_start;
            for record in later {
                record.values_start = record.values_start - was + end;
            }
        }
        give_back(&mut self.values);
        result
    }

    /// Adds a record, with as many values as it has small variants.
    pub(crate) fn push(
        &mut self,
        mut record: Record<V>,
        path: &str,
        values: impl Iterator<Item = V>,
    ) -> usize {
        let at = self.records.len();
        if let Some(tag) = self.tags.get_mut(at) {
            *tag = record.hash.tag();
        }
        record.text_start = narrow(self.texts.len());
        record.text_len = narrow(path.len());
        record.values_start = narrow(self.values.len());
        if self.texts.capacity() - self.texts.len() < path.len() {
            self.texts.reserve_exact(path.len() + spare(self.texts.len()));
        }
        self.texts.push_str(path);
        self.values.extend(values);
        make_room(&mut self.records, 1);
        self.records.push(record);
        at
    }

    /// Takes a record out, which has no variants any more. Gives its path.
    pub(crate) fn remove(&mut self, at: usize) -> Box<str> {
        let record = self.records.remove(at);
        let path = self.texts[record.text()].into();
        self.texts.drain(record.text());
        if self.texts.len() + 64 < self.texts.capacity() / 2 {
            self.texts.shrink_to(self.texts.len() + spare(self.texts.len()));
        }
        give_back(&mut self.records);
        for (at, later) in self.records.iter_mut().enumerate().skip(at) {
            later.text_start -= record.text_len;
            if let Some(tag) = self.tags.get_mut(at) {
                *tag = later.hash.tag();
            }
        }
        path
    }

    /// Splits off the records that are to go.
    pub(crate) fn split(&mut self, goes: impl Fn(TableHash) -> bool) -> Self {
        let old = std::mem::take(self);
        let mut gone = Self::default();
        for (part, whether) in [(&mut *self, false), (&mut gone, true)] {
            let its = || old.records.iter().filter(|record| goes(record.hash) == whether);
            part.records.reserve_exact(its().count());
            part.texts.reserve_exact(its().map(|record| record.text().len()).sum());
            part.values.reserve_exact(its().map(|record| record.values().len()).sum());
        }
        let mut values = old.values.into_iter();
        for record in old.records {
            let part = if goes(record.hash) { &mut gone } else { &mut *self };
            let (text, count) = (record.text(), record.values().len());
            part.push(record, &old.texts[text], values.by_ref().take(count));
        }
        gone
    }

    /// Adds all records of another bucket.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.records.reserve_exact(other.records.len());
        self.texts.reserve_exact(other.texts.len());
        self.values.reserve_exact(other.values.len());
        let mut values = other.values.into_iter();
        for record in other.records {
            let (text, count) = (record.text(), record.values().len());
            self.push(record, &other.texts[text], values.by_ref().take(count));
        }
    }

    /// Follows the keys to their new numbers.
    pub(crate) fn renumber(&mut self, renumbered: &Renumbered) {
        for record in &mut self.records {
            record.set.renumber(renumbered);
        }
    }

    /// Panics where the invariant at the top of this module doesn't hold.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn check(&self) {
        let (mut text, mut values) = (0, 0);
        for (at, record) in self.records.iter().enumerate() {
            assert_eq!(record.text().start, text, "text of {at}");
            assert_eq!(record.values().start, values, "values of {at}");
            (text, values) = (record.text().end, record.values().end);
            assert!(self.tags.get(at).is_none_or(|tag| *tag == record.hash.tag()), "tag of {at}");
        }
        assert_eq!((self.texts.len(), self.values.len()), (text, values), "nothing else");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hashing;
    use crate::variants::{Keys, Wanted};

    /// Same tags in every lane and beyond the tagged, and other hashes under one tag.
    fn hash(n: usize) -> TableHash {
        TableHash::new((u32::try_from(n).unwrap() % 7) << 24 | 5)
    }

    fn path(n: usize) -> String {
        "p".repeat(n % 5) + &n.to_string()
    }

    #[derive(Default)]
    struct World {
        bucket: Bucket<usize>,
        keys: Keys,
    }

    impl World {
        /// A record with as many variants as its number says, up to 40.
        fn push(&mut self, n: usize) -> usize {
            let record = Record::new(hash(n), 7, Generation::START);
            let at = self.bucket.push(record, &path(n), std::iter::empty());
            (0..n % 40).for_each(|value| self.push_variant(at, value));
            at
        }

        fn push_variant(&mut self, at: usize, value: usize) {
            let (hashing, key) = (Hashing::new(), format!("?w={value}"));
            let Self { bucket, keys } = self;
            bucket.edit(at, |record| {
                record.variants.push(Wanted::new(&key, &hashing), value, false, keys, &hashing);
            });
        }

        fn find(&self, n: usize) -> Option<usize> {
            self.bucket.find(hash(n), 7, &path(n))
        }

        fn remove(&mut self, at: usize) -> (Box<str>, Vec<usize>) {
            let Self { bucket, keys } = self;
            let taken = bucket.edit(at, |record| record.variants.take(keys));
            let values = taken.into_entries().into_iter().map(|entry| entry.value).collect();
            (bucket.remove(at), values)
        }

        fn check(&self, numbers: &[usize]) {
            self.bucket.check();
            assert_eq!(self.bucket.len(), numbers.len());
            for (at, n) in numbers.iter().enumerate() {
                assert_eq!((self.find(*n), self.bucket.path(at)), (Some(at), &*path(*n)));
                let variants = self.bucket.variants(at);
                assert_eq!(variants.len(), n % 40);
                assert!(variants.values.iter().copied().eq(0..variants.values.len()));
            }
        }
    }

    #[test]
    fn bucket_is_two_cache_lines_and_a_record_less_than_one() {
        assert_eq!(size_of::<Bucket<u64>>(), 128);
        assert_eq!(size_of::<Record<u64>>(), 56);
        assert_eq!(size_of::<Record<[u64; 4]>>(), 56);
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
    fn every_record_is_found_however_full_the_bucket_is() {
        let mut world = World::default();
        let mut left = Vec::new();
        for n in 0..TAGGED + 20 {
            assert_eq!(world.push(n), n);
            left.push(n);
            world.check(&left);
            assert_eq!(world.find(n + 1), None);
            assert_eq!(world.bucket.find(hash(n + 1), 7, &path(n)), None, "another hash");
            assert_eq!(world.bucket.find(hash(n), 8, &path(n)), None, "another tenant");
        }
        while !left.is_empty() {
            let at = left.len() / 3;
            let n = left.remove(at);
            let (removed, mut values) = world.remove(at);
            values.sort_unstable();
            assert_eq!((&*removed, values), (&*path(n), (0..n % 40).collect()));
            world.check(&left);
        }
        assert!(world.bucket.bytes() < 1000, "{} bytes of nothing", world.bucket.bytes());
    }

    #[test]
    fn what_is_split_off_and_absorbed_again_stays_whole() {
        let mut world = World::default();
        for n in 0..30 {
            world.push(n);
        }
        let odd = |n: &usize| n % 7 % 2 == 1;
        let (odds, evens): (Vec<_>, Vec<_>) = (0..30).partition(odd);
        let gone = world.bucket.split(|hash| hash.tag() % 2 == 1);
        world.check(&evens);
        let gone = World { bucket: gone, keys: Keys::default() };
        gone.check(&odds);
        world.bucket.absorb(gone.bucket);
        world.check(&[evens, odds].concat());
    }

    #[test]
    fn variants_that_come_and_go_move_the_values_of_later_records() {
        let mut world = World::default();
        for n in 0..5 {
            world.push(n);
        }
        world.push_variant(1, 1);
        world.push_variant(0, 0);
        world.bucket.check();
        assert_eq!(world.bucket.values, [0, 0, 1, 0, 1, 0, 1, 2, 0, 1, 2, 3]);
    }
}
