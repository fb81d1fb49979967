//! The floor with exact strings: one `hashbrown` table without locks, each path with its set of
//! variants.

use super::variants::{Short, Variants};
use super::{Peer, Room};
use crate::site::Payload;
use ahash::RandomState;
use cache_index::{OriginPath, PathPrefix, VariantKey};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::cell::RefCell;

/// A path and its variants.
type Record<V, S> = (Box<str>, Variants<V, S>);

struct Strings<V: Payload, S: Short> {
    table: RefCell<HashTable<Record<V, S>>>,
    hasher: RandomState,
}

pub(super) fn make<V: Payload, S: Short>(room: Room) -> Box<dyn Peer<V>> {
    let table = RefCell::new(HashTable::with_capacity(room.paths));
    Box::new(Strings::<V, S> { table, hasher: RandomState::new() })
}

impl<V: Payload, S: Short> Strings<V, S> {
    fn hash(&self, path: &str) -> u64 {
        self.hasher.hash_one(path.as_bytes())
    }
}

impl<V: Payload, S: Short> Peer<V> for Strings<V, S> {
    fn look_up(&self, path: &OriginPath<'_>, key: &VariantKey<'_>) -> Option<V> {
        let path = path.as_str();
        let table = self.table.borrow();
        let (_, variants) = table.find(self.hash(path), |(other, _)| **other == *path)?;
        variants.get(key.as_str())
    }

    fn insert(&self, path: &OriginPath<'_>, key: &VariantKey<'_>, value: V) -> Option<V> {
        let path = path.as_str();
        let mut table = self.table.borrow_mut();
        let is = |(other, _): &(Box<str>, Variants<V, S>)| **other == *path;
        let mut found = match table.entry(self.hash(path), is, |(other, _)| self.hash(other)) {
            Entry::Occupied(found) => found,
            Entry::Vacant(place) => place.insert((path.into(), Variants::default())),
        };
        found.get_mut().1.insert(key.as_str(), value)
    }

    fn purge(&self, path: &OriginPath<'_>, gone: &mut dyn FnMut(&str, V)) {
        let path = path.as_str();
        let mut table = self.table.borrow_mut();
        let found = table.find_entry(self.hash(path), |(other, _)| **other == *path);
        if let Ok(found) = found {
            let ((_, variants), _) = found.remove();
            variants.hand_over(|key, value| gone(key, value));
        }
    }

    fn purge_prefix(&self, prefix: &PathPrefix<'_>) {
        self.table.borrow_mut().retain(|(path, _)| !path.starts_with(prefix.as_str()));
    }

    fn flush_all(&self) {
        self.table.borrow_mut().clear();
    }

    fn reclaim(&self) {
        self.table.borrow_mut().shrink_to_fit(|(path, _)| self.hash(path));
    }
}
