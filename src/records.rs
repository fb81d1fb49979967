//! Records: all paths of a shard, each with its variants.
//!
//! ```text
//!   places: Places        blocks: Vec<Vec<Record>>
//!   hash of a path -> place  ->   [ record record record ... ]    each: path, variants, settled
//!                                 [ record record ]               full but for the last
//! ```
//!
//! Invariant: the records lie without gaps; each place is in `places` once, under the hash of its record.
//!
//! The table holds numbers and not records, so that its empty buckets, up to half of them and more, cost eight bytes and not fifty, and
//! so that growing it moves no record. Removing one moves the last into its place.

use crate::generation::{AtomicGeneration, Generation};
#[cfg(any(test, fuzzing))]
use crate::hash::Hashing;
use crate::hash::{PathHash, TableHash};
use crate::places::Places;
use crate::scopes::{Standing, View};
use crate::tally::Counts;
use crate::tenant::Tenant;
use crate::variants::{Keys, VariantSet};

/// Records of a full block: enough that the list of blocks stays in the processor's cache, few enough that the last one's empty places
/// don't count.
const BLOCK: usize = 512;

/// A path as the shard looks for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    pub(crate) hash: PathHash,
    pub(crate) tenant: &'a Tenant,
    pub(crate) path: &'a str,
}

#[derive(Debug)]
pub(crate) struct Record<V> {
    pub(crate) path: Box<str>,
    pub(crate) variants: VariantSet<V>,
    /// Moved forward by readers, too: what they find live they needn't find live again.
    pub(crate) settled: AtomicGeneration,
    pub(crate) tenant: u32,
    pub(crate) hash: TableHash,
}

/// The records of one shard.
#[derive(Debug)]
pub(crate) struct Records<V> {
    places: Places,
    blocks: Vec<Vec<Record<V>>>,
    keys: Keys,
    /// Heap bytes of paths and variants.
    heap: usize,
}

/// Where a record is, until one is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u32);

impl<V> Record<V> {
    pub(crate) fn new(key: &Key<'_>, settled: Generation) -> Self {
        Self {
            path: key.path.into(),
            variants: VariantSet::default(),
            settled: AtomicGeneration::new(settled),
            tenant: key.tenant.id(),
            hash: key.hash.table(),
        }
    }

    fn is(&self, key: &Key<'_>) -> bool {
        self.tenant == key.tenant.id() && *self.path == *key.path
    }

    pub(crate) fn standing(&self, view: &View) -> Standing {
        view.standing(self.settled.load_relaxed())
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.path.len() + self.variants.heap_bytes()
    }

    /// Writes down what soft invalidations did to a record that no hard one reached.
    pub(crate) fn settle(&mut self, view: &View, counts: &mut Counts, keys: &Keys) {
        let settled = self.settled.load_relaxed();
        if view.standing(settled) == Standing::Stale {
            let fresh = self.variants.soften(|_| true, keys);
            if view.whole_standing(settled) == Standing::Untouched {
                // Only a prefix rule reached it; what a flush reaches, the tally has moved already.
                counts.live -= fresh;
                counts.stale += fresh;
            }
        }
        self.settled.raise_relaxed(view.as_of);
    }
}

impl<V> Default for Records<V> {
    fn default() -> Self {
        Self { places: Places::default(), blocks: Vec::new(), keys: Keys::default(), heap: 0 }
    }
}

impl<V> Records<V> {
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) fn find(&self, key: &Key<'_>) -> Option<Place> {
        let is = |place: u32| self.get(Place(place)).is(key);
        self.places.find(key.hash.table(), is).map(Place)
    }

    pub(crate) fn get(&self, place: Place) -> &Record<V> {
        let place = place.0 as usize;
        &self.blocks[place / BLOCK][place % BLOCK]
    }

    /// The record at a place, counted from 0 to [`len`](Self::len).
    pub(crate) fn at(&self, place: usize) -> (Place, &Record<V>) {
        let place = number(place);
        (place, self.get(place))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Record<V>> {
        self.blocks.iter().flatten()
    }

    /// Changes a record.
    pub(crate) fn edit<R>(
        &mut self,
        place: Place,
        change: impl FnOnce(&mut Record<V>, &mut Keys) -> R,
    ) -> R {
        let place = place.0 as usize;
        let record = &mut self.blocks[place / BLOCK][place % BLOCK];
        self.heap -= record.heap_bytes();
        let result = change(record, &mut self.keys);
        self.heap += record.heap_bytes();
        result
    }

    /// Adds a record whose path isn't there.
    pub(crate) fn push(&mut self, record: Record<V>) -> Place {
        let (place, hash) = (number(self.len()), record.hash);
        self.heap += record.heap_bytes();
        match self.blocks.last_mut() {
            Some(block) if block.len() < BLOCK => block.push(record),
            // The first block grows with a small index; the others are made as large as they will be.
            None => self.blocks.push(vec![record]),
            Some(_) => {
                let mut block = Vec::with_capacity(BLOCK);
                block.push(record);
                self.blocks.push(block);
            }
        }
        self.places.insert(hash, place.0);
        place
    }

    /// Takes a record out, with its keys still in use. The last record takes its place.
    pub(crate) fn remove(&mut self, place: Place) -> (Record<V>, &mut Keys) {
        let hash = self.get(place).hash;
        self.places.remove(hash, place.0);
        let last = self.pop();
        let record = if place.0 as usize == self.len() {
            last
        } else {
            self.places.rename(last.hash, number(self.len()).0, place.0);
            let place = place.0 as usize;
            std::mem::replace(&mut self.blocks[place / BLOCK][place % BLOCK], last)
        };
        self.heap -= record.heap_bytes();
        (record, &mut self.keys)
    }

    fn pop(&mut self) -> Record<V> {
        let block = self.blocks.last_mut().expect("there is a record to remove");
        let record = block.pop().expect("no block is empty");
        if block.is_empty() {
            self.blocks.pop();
        }
        record
    }

    /// Gives back the memory of tables that have been emptied by half or more.
    ///
    /// The sweep that comes before it has looked at every record that was there, so this costs no more than that.
    pub(crate) fn shrink(&mut self) {
        if self.places.shrink() {
            if let [only] = &mut *self.blocks {
                only.shrink_to_fit();
            }
            self.blocks.shrink_to_fit();
        }
        if let Some(renumbered) = self.keys.shrink() {
            for record in self.blocks.iter_mut().flatten() {
                record.variants.renumber(&renumbered);
            }
        }
    }

    /// Heap bytes.
    pub(crate) fn bytes(&self) -> usize {
        let first = self.blocks.first().map_or(0, Vec::capacity);
        let rest = self.blocks.len().saturating_sub(1) * BLOCK;
        self.heap
            + self.keys.bytes()
            + self.places.bytes()
            + self.blocks.capacity() * size_of::<Vec<Record<V>>>()
            + (first + rest) * size_of::<Record<V>>()
    }

    /// Panics where the invariants at the top of this module don't hold.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn check(&self, hashing: &Hashing) {
        self.places.check();
        assert_eq!(self.len(), self.iter().count(), "records");
        assert!(self.blocks.iter().rev().skip(1).all(|block| block.len() == BLOCK), "a gap");
        assert!(self.blocks.iter().all(|block| !block.is_empty()), "an empty block");
        for at in 0..self.len() {
            let (place, record) = self.at(at);
            let found = self.places.find(record.hash, |other| other == place.0);
            assert!(found.is_some(), "{} isn't filed", record.path);
            record.variants.check(&self.keys, hashing);
        }
        assert_eq!(self.heap, self.iter().map(Record::heap_bytes).sum::<usize>(), "heap");
        self.keys.check(self.iter().flat_map(|record| record.variants.ids()), hashing);
    }
}

/// # Panics
/// Past 2^32 paths in one shard, whose records alone would fill more than 200 GB.
fn number(place: usize) -> Place {
    Place(u32::try_from(place).expect("memory ends before 2^32 paths of one shard"))
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
            let record = Record::new(&self.key(&format!("p{n}")), Generation::START);
            let place = self.records.push(record);
            let hashing = &self.hashing;
            self.records.edit(place, |record, keys| {
                record.variants.push(&format!("?w={}", n % 100), n, false, keys, hashing);
            });
        }

        fn find(&self, n: usize) -> Option<usize> {
            let place = self.records.find(&self.key(&format!("p{n}")))?;
            let record = self.records.get(place);
            let key = format!("?w={}", n % 100);
            let at = record.variants.find(&key, self.records.keys(), &self.hashing)?;
            Some(*record.variants.get(at).0)
        }

        fn remove(&mut self, n: usize) {
            let place = self.records.find(&self.key(&format!("p{n}"))).unwrap();
            let (record, keys) = self.records.remove(place);
            let taken = record.variants.take(keys).into_entries();
            assert_eq!((&*record.path, taken[0].value), (&*format!("p{n}"), n));
        }
    }

    #[test]
    fn record_takes_six_words() {
        assert_eq!(size_of::<Record<u64>>(), 48);
    }

    #[test]
    fn every_record_is_found_while_blocks_fill_and_empty() {
        let mut world = World::new();
        for n in 0..=BLOCK * 3 {
            world.push(n);
        }
        world.records.check(&world.hashing);
        let full = world.records.bytes();
        for n in 0..BLOCK * 3 {
            if n % 4 > 0 {
                world.remove(n);
            }
        }
        world.records.check(&world.hashing);
        for n in 0..BLOCK * 3 {
            assert_eq!(world.find(n), (n % 4 == 0).then_some(n));
        }
        world.records.shrink();
        world.records.check(&world.hashing);
        assert_eq!(world.find(BLOCK * 3), Some(BLOCK * 3));
        assert!(world.records.bytes() * 3 < full, "{} of {full}", world.records.bytes());
        for n in (0..=BLOCK * 3).step_by(4) {
            world.remove(n);
        }
        world.records.shrink();
        world.records.check(&world.hashing);
        assert!(world.records.bytes() < 500, "{} bytes of nothing", world.records.bytes());
    }
}
