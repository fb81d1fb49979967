//! papaya: each path with a set of variants that is copied for each change. A lookup takes no lock.

use super::variants::{Short, Variants};
use super::{Peer, Room, Shared};
use crate::site::Payload;
use ahash::RandomState;
use cache_index::{OriginPath, PathPrefix, VariantKey};
use papaya::{HashMap, ResizeMode};
use std::cell::Cell;

struct Copied<V: Payload, S: Short>(HashMap<Box<str>, Variants<V, S>, RandomState>);

pub(super) fn make<V: Payload, S: Short>(room: Room) -> Shared<V> {
    let map = HashMap::builder().capacity(room.paths).hasher(RandomState::new());
    Box::new(Copied::<V, S>(map.resize_mode(ResizeMode::default()).build()))
}

impl<V: Payload, S: Short> Peer<V> for Copied<V, S> {
    fn look_up(&self, path: &OriginPath<'_>, key: &VariantKey<'_>) -> Option<V> {
        self.0.pin().get(path.as_str())?.get(key.as_str())
    }

    fn look_up_many(
        &self,
        asked: &[(&OriginPath<'_>, &VariantKey<'_>)],
        found: &mut Vec<Option<V>>,
    ) {
        let map = self.0.pin();
        found.extend(asked.iter().map(|(path, key)| map.get(path.as_str())?.get(key.as_str())));
    }

    fn insert(&self, path: &OriginPath<'_>, key: &VariantKey<'_>, value: V) -> Option<V> {
        let map = self.0.pin();
        let old = Cell::new(None);
        let added = |variants: &Variants<V, S>| {
            let mut variants = variants.clone();
            old.set(variants.insert(key.as_str(), value));
            variants
        };
        loop {
            if map.update(Box::from(path.as_str()), added).is_some() {
                return old.get();
            }
            if map.try_insert(path.as_str().into(), added(&Variants::default())).is_ok() {
                return None;
            }
        }
    }

    fn purge(&self, path: &OriginPath<'_>, gone: &mut dyn FnMut(&str, V)) {
        if let Some(variants) = self.0.pin().remove(path.as_str()) {
            variants.show(|key, value| gone(key, value));
        }
    }

    fn purge_prefix(&self, prefix: &PathPrefix<'_>) {
        self.0.pin().retain(|path, _| !path.starts_with(prefix.as_str()));
    }

    fn flush_all(&self) {
        self.0.pin().clear();
    }

    // The map has nothing to shrink its table with.
    fn reclaim(&self) {}
}
