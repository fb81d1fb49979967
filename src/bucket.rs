//! A bucket: some sixteen records, with their text and slots in three blocks.
//!
//! ```text
//!   two cache lines               blocks
//!   lanes     of each record: a byte of its hash, and how many slots it has
//!   records ------------------->  [ record record record ... ]     each: whose it is, and where its text is
//!   texts   ------------------->  path path path ...
//!   slots   ------------------->  [ slot slot slot slot ... ]      each: the number of a key, and its value
//! ```
//!
//! Invariant: text and slots lie in the order of the records, without gaps. The lanes agree with the records.
//!
//! A path of its own would cost an allocation for its text and one for its slots, with an address, a length, and the allocator's own
//! words for each; and a look-up would find them in pages of memory that it needs for nothing else.

use crate::generation::{AtomicGeneration, Generation};
use crate::hash::TableHash;
use crate::lanes::{LANES, Lanes};
use crate::prefetch::{Stage, fetch};
use crate::scopes::{Standing, View};
use crate::tally::Counts;
use crate::variants::{Many, Renumbered, Slot, Variants, VariantsMut};
use std::hint::black_box;
use std::ops::Range;

/// What a bucket keeps of one path.
#[derive(Debug)]
pub(crate) struct Record<V> {
    /// Moved forward by readers, too: what they find live they needn't find live again.
    pub(crate) settled: AtomicGeneration,
    /// A large set of variants, which has no slots.
    many: Option<Box<Many<V>>>,
    pub(crate) tenant: u32,
    pub(crate) hash: TableHash,
    text_start: u32,
    sizes: Sizes,
}

/// The length of a record's text, which is less than 2^24, and the number of its slots.
#[derive(Clone, Copy, Debug)]
struct Sizes(u32);

/// A record to change, with its variants.
#[derive(Debug)]
pub(crate) struct RecordMut<'a, V> {
    pub(crate) variants: VariantsMut<'a, V>,
    settled: &'a AtomicGeneration,
}

// In pairs of lines, as current x86 processors fetch them.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Bucket<V> {
    lanes: Lanes,
    records: Vec<Record<V>>,
    texts: String,
    slots: Vec<Slot<V>>,
}

impl Sizes {
    /// # Panics
    /// If the text is longer than a limit may be.
    fn new(text: usize, slots: u8) -> Self {
        let text = u32::try_from(text).ok().filter(|text| *text < 1 << 24);
        Self(text.expect("a path is shorter than 2^24 bytes") << 8 | u32::from(slots))
    }

    fn text(self) -> usize {
        (self.0 >> 8) as usize
    }

    fn slots(self) -> u8 {
        self.0.to_le_bytes()[0]
    }
}

impl<V> Record<V> {
    /// A record without variants, whose text has yet to be filed.
    pub(crate) fn new(hash: TableHash, tenant: u32, settled: Generation) -> Self {
        Self {
            settled: AtomicGeneration::new(settled),
            many: None,
            tenant,
            hash,
            text_start: 0,
            sizes: Sizes::new(0, 0),
        }
    }

    pub(crate) fn standing(&self, view: &View) -> Standing {
        view.standing(self.settled.load_relaxed())
    }

    fn text(&self) -> Range<usize> {
        let start = self.text_start as usize;
        start..start + self.sizes.text()
    }

    fn slots(&self) -> usize {
        self.sizes.slots().into()
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
        Self {
            lanes: Lanes::default(),
            records: Vec::new(),
            texts: String::new(),
            slots: Vec::new(),
        }
    }
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
/// Past 2^32 bytes of text of one bucket.
fn narrow(at: usize) -> u32 {
    u32::try_from(at).expect("the paths of a bucket are less than 2^32 bytes")
}

impl<V> Bucket<V> {
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Heap bytes, without those of [`Self::set_bytes`].
    pub(crate) fn bytes(&self) -> usize {
        self.records.capacity() * size_of::<Record<V>>()
            + self.texts.capacity()
            + self.slots.capacity() * size_of::<Slot<V>>()
    }

    /// Heap bytes of a record's own.
    pub(crate) fn set_bytes(&self, at: usize) -> usize {
        self.records[at].many.as_ref().map_or(0, |many| many.heap_bytes())
    }

    #[inline]
    pub(crate) fn record(&self, at: usize) -> &Record<V> {
        &self.records[at]
    }

    pub(crate) fn path(&self, at: usize) -> &str {
        &self.texts[self.records[at].text()]
    }

    #[inline]
    fn slots_of(&self, at: usize) -> Range<usize> {
        let mut start = self.lanes.slots_before(at);
        let count = self.lanes.slots(at).unwrap_or_else(|| {
            start += self.records[LANES..at].iter().map(Record::slots).sum::<usize>();
            self.records[at].slots()
        });
        start..start + count
    }

    #[inline]
    pub(crate) fn variants(&self, at: usize) -> Variants<'_, V> {
        let many = self.records[at].many.as_deref();
        Variants { many, slots: &self.slots[self.slots_of(at)] }
    }

    /// Which record is probably the one with that hash, if there is one.
    #[inline]
    pub(crate) fn guess(&self, hash: TableHash) -> Option<usize> {
        let untagged = (self.records.len() > LANES).then_some(LANES);
        let at = self.lanes.find(hash, |_| true).filter(|at| *at < self.records.len());
        at.or(untagged)
    }

    /// Has the processor fetch a record and its text, by reading of both: it goes on meanwhile with what needs neither.
    #[inline]
    pub(crate) fn touch(&self, at: usize) {
        black_box(self.records[at].hash);
        // Only the record knows where its text is. About there it is, though.
        let about = at * (self.texts.len() / self.records.len());
        black_box(self.texts.as_bytes().get(about).copied());
    }

    /// Fetches what there is to be known of a record that [`Self::guess`] names, once that is known.
    pub(crate) fn fetch(&self, stage: Stage, hash: TableHash) {
        if stage == Stage::Bucket {
            // Its two lines.
            fetch(&self.lanes);
            return fetch(&self.slots);
        }
        let Some((at, record)) = self.guess(hash).and_then(|at| Some((at, self.records.get(at)?)))
        else {
            return;
        };
        if stage == Stage::Record {
            fetch(record);
            self.slots.get(self.lanes.slots_before(at)).into_iter().for_each(fetch);
        } else if let [first, .., last] = &self.texts.as_bytes()[record.text()] {
            // Mostly, paths are of one or two lines.
            fetch(first);
            fetch(last);
        }
    }

    /// Where the record of a path is.
    #[inline]
    pub(crate) fn find(&self, hash: TableHash, tenant: u32, path: &str) -> Option<usize> {
        let is = |at: usize| self.is(at, hash, tenant, path);
        self.lanes.find(hash, is).or_else(|| (LANES..self.records.len()).find(|at| is(*at)))
    }

    /// Whether a record is that of a path.
    #[inline]
    pub(crate) fn is(&self, at: usize, hash: TableHash, tenant: u32, path: &str) -> bool {
        let Some(record) = self.records.get(at) else { return false };
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
        let range = self.slots_of(at);
        let record = &mut self.records[at];
        let variants = VariantsMut { many: &mut record.many, slots: &mut self.slots, range };
        let mut changed = RecordMut { variants, settled: &record.settled };
        let result = change(&mut changed);
        let slots = changed.variants.small_len();
        record.sizes = Sizes::new(record.sizes.text(), slots);
        self.lanes.set(at, record.hash, slots);
        give_back(&mut self.slots);
        result
    }

    /// Adds a record, with as many slots as it says that it has.
    pub(crate) fn push(
        &mut self,
        mut record: Record<V>,
        path: &str,
        slots: impl Iterator<Item = Slot<V>>,
    ) -> usize {
        let at = self.records.len();
        record.text_start = narrow(self.texts.len());
        record.sizes = Sizes::new(path.len(), record.sizes.slots());
        self.lanes.set(at, record.hash, record.sizes.slots());
        if self.texts.capacity() - self.texts.len() < path.len() {
            self.texts.reserve_exact(path.len() + spare(self.texts.len()));
        }
        self.texts.push_str(path);
        self.slots.extend(slots);
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
        let len = narrow(record.sizes.text());
        self.records[at..].iter_mut().for_each(|later| later.text_start -= len);
        self.lanes.remove(at);
        if let Some(moved) = self.records.get(LANES - 1) {
            self.lanes.set(LANES - 1, moved.hash, moved.sizes.slots());
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
            part.slots.reserve_exact(its().map(Record::slots).sum());
        }
        let mut slots = old.slots.into_iter();
        for record in old.records {
            let part = if goes(record.hash) { &mut gone } else { &mut *self };
            let (text, count) = (record.text(), record.slots());
            part.push(record, &old.texts[text], slots.by_ref().take(count));
        }
        gone
    }

    /// Adds all records of another bucket.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.records.reserve_exact(other.records.len());
        self.texts.reserve_exact(other.texts.len());
        self.slots.reserve_exact(other.slots.len());
        let mut slots = other.slots.into_iter();
        for record in other.records {
            let (text, count) = (record.text(), record.slots());
            self.push(record, &other.texts[text], slots.by_ref().take(count));
        }
    }

    /// Follows the keys to their new numbers.
    pub(crate) fn renumber(&mut self, renumbered: &Renumbered) {
        self.slots.iter_mut().for_each(|slot| slot.renumber(renumbered));
    }

    /// Panics where the invariant at the top of this module doesn't hold.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn check(&self) {
        let (mut text, mut slots) = (0, 0);
        for (at, record) in self.records.iter().enumerate() {
            assert_eq!(record.text().start, text, "text of {at}");
            assert_eq!(self.slots_of(at), slots..slots + record.slots(), "slots of {at}");
            assert!(record.many.is_none() || record.slots() == 0, "{at} has one kind of set");
            (text, slots) = (record.text().end, self.slots_of(at).end);
            let lane = (record.hash.tag(), record.sizes.slots());
            assert!(self.lanes.get(at).is_none_or(|other| other == lane), "lane of {at}");
        }
        assert_eq!((self.texts.len(), self.slots.len()), (text, slots), "nothing else");
        let free = (self.records.len()..LANES).map(|at| self.lanes.get(at));
        assert!(
            free.eq(std::iter::repeat_n(Some((0, 0)), LANES.saturating_sub(self.len()))),
            "free lanes"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hashing;
    use crate::variants::Keys;

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
                record.variants.push(keys.find(&key, &hashing), value, false, keys, &hashing);
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
                assert!(
                    variants.slots.iter().map(|slot| *slot.value()).eq(0..variants.slots.len())
                );
            }
        }
    }

    #[test]
    fn bucket_is_two_cache_lines_and_a_record_half_of_one() {
        assert_eq!(size_of::<Bucket<u64>>(), 128);
        assert_eq!(size_of::<Record<u64>>(), 32);
        assert_eq!(size_of::<Record<[u64; 4]>>(), 32);
    }

    #[test]
    fn blocks_grow_by_an_eighth_and_are_given_back_by_half() {
        let mut block = vec![0_u8; 80];
        block.shrink_to_fit();
        make_room(&mut block, 1);
        assert_eq!(block.capacity(), 80 + 1 + 10);
        block.push(0);
        make_room(&mut block, 10);
        assert_eq!(block.capacity(), 91, "there was room");
        make_room(&mut block, 11);
        assert_eq!(block.capacity(), 81 + 11 + 10);

        block.truncate(47);
        give_back(&mut block);
        assert_eq!(block.capacity(), 102, "not yet half");
        block.truncate(46);
        give_back(&mut block);
        assert_eq!(block.capacity(), 46 + 5);
    }

    #[test]
    fn text_has_an_eighth_to_spare_and_is_given_back_by_half() {
        let mut bucket = Bucket::<()>::default();
        let path = "p".repeat(100);
        for n in 0..10 {
            bucket.push(Record::new(hash(n), 7, Generation::START), &path, std::iter::empty());
        }
        // The eighth of 800 bytes made the tenth fit.
        assert_eq!(bucket.texts.capacity(), 800 + 100 + 100);
        for _ in 0..5 {
            bucket.remove(0);
        }
        assert_eq!(bucket.texts.capacity(), 1000, "not yet half");
        bucket.remove(0);
        assert_eq!(bucket.texts.capacity(), 400 + 50);
        bucket.check();
    }

    #[test]
    fn bytes_are_those_of_blocks_and_of_large_sets() {
        let mut world = World::default();
        assert_eq!(world.bucket.bytes(), 0);
        let at = world.push(3);
        let text = path(3).len();
        assert_eq!(world.bucket.bytes(), size_of::<Record<usize>>() + text + 3 * 16);
        assert_eq!(world.bucket.set_bytes(at), 0);
        (3..33).for_each(|value| world.push_variant(at, value));
        let many = world.bucket.variants(at).many.expect("33 are many");
        assert_eq!(world.bucket.set_bytes(at), many.heap_bytes());
        assert_eq!(world.bucket.bytes(), size_of::<Record<usize>>() + text, "no slots any more");
    }

    #[test]
    fn every_record_is_found_however_full_the_bucket_is() {
        let mut world = World::default();
        let mut left = Vec::new();
        for n in 0..LANES + 20 {
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
    fn variants_that_come_and_go_move_the_slots_of_later_records() {
        let mut world = World::default();
        for n in 0..5 {
            world.push(n);
        }
        world.push_variant(1, 1);
        world.push_variant(0, 0);
        world.bucket.check();
        let values: Vec<_> = world.bucket.slots.iter().map(|slot| *slot.value()).collect();
        assert_eq!(values, [0, 0, 1, 0, 1, 0, 1, 2, 0, 1, 2, 3]);
    }
}
