//! papaya: each path with a set of variants behind its own lock, as values of this map cannot be
//! changed in place. `papaya_copied` copies the set instead.

use super::variants::{Short, Variants};
use super::{Peer, Room, Shared};
use crate::site::Payload;
use ahash::RandomState;
use cache_index::{OriginPath, PathPrefix, VariantKey};
use papaya::{HashMap, ResizeMode};
use parking_lot::RwLock;

/// `None` once the path was purged: a thread that obtained the set before must search again.
type Set<V, S> = RwLock<Option<Variants<V, S>>>;

struct Papaya<V: Payload, S: Short>(HashMap<Box<str>, Set<V, S>, RandomState>);

pub(super) fn make<V: Payload, S: Short>(room: Room) -> Shared<V> {
    let map = HashMap::builder().capacity(room.paths).hasher(RandomState::new());
    Box::new(Papaya::<V, S>(map.resize_mode(ResizeMode::default()).build()))
}

impl<V: Payload, S: Short> Peer<V> for Papaya<V, S> {
    fn look_up(&self, path: &OriginPath<'_>, key: &VariantKey<'_>) -> Option<V> {
        self.0.pin().get(path.as_str())?.read().as_ref()?.get(key.as_str())
    }

    fn look_up_many(
        &self,
        asked: &[(&OriginPath<'_>, &VariantKey<'_>)],
        found: &mut Vec<Option<V>>,
    ) {
        let map = self.0.pin();
        found.extend(
            asked
                .iter()
                .map(|(path, key)| map.get(path.as_str())?.read().as_ref()?.get(key.as_str())),
        );
    }

    fn insert(&self, path: &OriginPath<'_>, key: &VariantKey<'_>, value: V) -> Option<V> {
        let map = self.0.pin();
        loop {
            // Only a new path is copied.
            let set = map.get(path.as_str()).unwrap_or_else(|| {
                map.get_or_insert_with(path.as_str().into(), || {
                    RwLock::new(Some(Variants::default()))
                })
            });
            if let Some(variants) = &mut *set.write() {
                return variants.insert(key.as_str(), value);
            }
        }
    }

    fn purge(&self, path: &OriginPath<'_>, gone: &mut dyn FnMut(&str, V)) {
        let map = self.0.pin();
        let variants = map.remove(path.as_str()).and_then(|set| set.write().take());
        if let Some(variants) = variants {
            variants.hand_over(|key, value| gone(key, value));
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
