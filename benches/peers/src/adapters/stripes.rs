//! A hash table of paths in stripes, each behind a reader-writer lock, as a user writes it by hand
//! with `hashbrown` and `parking_lot`.

use super::STRIPES;
use ahash::RandomState;
use crossbeam_utils::CachePadded;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use parking_lot::RwLock;

type Table<T> = HashTable<(Box<str>, T)>;

pub(super) struct Stripes<T> {
    stripes: Box<[CachePadded<RwLock<Table<T>>>]>,
    hasher: RandomState,
}

impl<T: Default> Stripes<T> {
    pub(super) fn new(paths: usize) -> Self {
        // Stripes don't fill evenly.
        let room = paths / STRIPES + paths / STRIPES / 16;
        let stripe = || CachePadded::new(RwLock::new(Table::with_capacity(room)));
        Self { stripes: (0..STRIPES).map(|_| stripe()).collect(), hasher: RandomState::new() }
    }

    /// The path is hashed once: for the stripe, and for its table, which uses other bits.
    fn stripe(&self, path: &str) -> (u64, &RwLock<Table<T>>) {
        let hash = self.hasher.hash_one(path.as_bytes());
        (hash, &self.stripes[(hash >> 40) as usize % STRIPES])
    }

    pub(super) fn read<R>(&self, path: &str, read: impl FnOnce(&T) -> Option<R>) -> Option<R> {
        let (hash, stripe) = self.stripe(path);
        let table = stripe.read();
        table.find(hash, |(other, _)| **other == *path).and_then(|(_, found)| read(found))
    }

    /// Changes the value of a path. If there is none yet, creates an empty one.
    pub(super) fn update<R>(&self, path: &str, change: impl FnOnce(&mut T) -> R) -> R {
        let (hash, stripe) = self.stripe(path);
        let mut table = stripe.write();
        let is = |(other, _): &(Box<str>, T)| **other == *path;
        let hash_of = |(other, _): &(Box<str>, T)| self.hasher.hash_one(other.as_bytes());
        match table.entry(hash, is, hash_of) {
            Entry::Occupied(mut found) => change(&mut found.get_mut().1),
            Entry::Vacant(place) => {
                change(&mut place.insert((path.into(), T::default())).into_mut().1)
            }
        }
    }

    pub(super) fn remove(&self, path: &str) -> Option<T> {
        let (hash, stripe) = self.stripe(path);
        let mut table = stripe.write();
        let found = table.find_entry(hash, |(other, _)| **other == *path);
        found.ok().map(|found| found.remove().0.1)
    }

    /// Removes the paths under a prefix. The caller drops or uses them without a lock.
    pub(super) fn remove_prefix(&self, prefix: &str) -> Vec<(Box<str>, T)> {
        let mut gone = Vec::new();
        for stripe in &self.stripes {
            gone.extend(stripe.write().extract_if(|(path, _)| path.starts_with(prefix)));
        }
        gone
    }

    /// Removes everything, one stripe at a time. The values are dropped without a lock.
    pub(super) fn clear(&self) {
        for stripe in &self.stripes {
            drop(std::mem::take(&mut *stripe.write()));
        }
    }

    pub(super) fn shrink(&self) {
        for stripe in &self.stripes {
            stripe.write().shrink_to_fit(|(path, _)| self.hasher.hash_one(path.as_bytes()));
        }
    }
}
