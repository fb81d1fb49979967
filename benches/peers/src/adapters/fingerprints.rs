//! The lower bound: one `hashbrown` table of 128-bit fingerprints, without locks and without
//! strings. It can neither return keys nor find the variants of a path, and its answers are wrong
//! with a small probability.

use super::{Peer, Room};
use crate::site::Payload;
use ahash::RandomState;
use cache_index::{OriginPath, PathPrefix, VariantKey};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher};

/// Two halves and not a `u128`, whose alignment would make entries larger.
type Print = [u64; 2];

struct Fingerprints<V> {
    table: RefCell<HashTable<(Print, V)>>,
    hashers: [RandomState; 2],
}

pub(super) fn make<V: Payload>(room: Room) -> Box<dyn Peer<V>> {
    Box::new(Fingerprints {
        table: RefCell::new(HashTable::with_capacity(room.entries)),
        hashers: [RandomState::new(), RandomState::new()],
    })
}

impl<V: Payload> Fingerprints<V> {
    fn print(&self, path: &OriginPath<'_>, key: &VariantKey<'_>) -> Print {
        self.hashers.each_ref().map(|hashing| {
            let mut hasher = hashing.build_hasher();
            hasher.write(path.as_str().as_bytes());
            hasher.write(key.as_str().as_bytes());
            hasher.finish()
        })
    }
}

impl<V: Payload> Peer<V> for Fingerprints<V> {
    fn look_up(&self, path: &OriginPath<'_>, key: &VariantKey<'_>) -> Option<V> {
        let print = self.print(path, key);
        self.table.borrow().find(print[0], |(other, _)| *other == print).map(|(_, value)| *value)
    }

    fn insert(&self, path: &OriginPath<'_>, key: &VariantKey<'_>, value: V) -> Option<V> {
        let print = self.print(path, key);
        let mut table = self.table.borrow_mut();
        match table.entry(print[0], |(other, _)| *other == print, |(other, _)| other[0]) {
            Entry::Occupied(mut found) => Some(std::mem::replace(&mut found.get_mut().1, value)),
            Entry::Vacant(place) => {
                place.insert((print, value));
                None
            }
        }
    }

    fn purge(&self, _: &OriginPath<'_>, _: &mut dyn FnMut(&str, V)) {
        unreachable!("not asked of one that can't: see `Contestant::purges`");
    }

    fn purge_prefix(&self, _: &PathPrefix<'_>) {
        unreachable!("not asked of one that can't: see `Contestant::purges`");
    }

    fn flush_all(&self) {
        self.table.borrow_mut().clear();
    }

    fn reclaim(&self) {
        self.table.borrow_mut().shrink_to_fit(|(print, _)| print[0]);
    }
}
