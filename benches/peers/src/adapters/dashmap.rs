//! DashMap: each path with its set of variants.

use super::variants::{Short, Variants};
use super::{Peer, Room, STRIPES, Shared};
use crate::site::Payload;
use ahash::RandomState;
use cache_index::{OriginPath, PathPrefix, VariantKey};
use dashmap::DashMap;

struct Dash<V: Payload, S: Short>(DashMap<Box<str>, Variants<V, S>, RandomState>);

pub(super) fn make<V: Payload, S: Short>(room: Room) -> Shared<V> {
    Box::new(Dash::<V, S>(DashMap::with_capacity_and_hasher_and_shard_amount(
        // Its shards don't fill evenly.
        room.paths + room.paths / 16,
        RandomState::new(),
        STRIPES,
    )))
}

impl<V: Payload, S: Short> Peer<V> for Dash<V, S> {
    fn look_up(&self, path: &OriginPath<'_>, key: &VariantKey<'_>) -> Option<V> {
        self.0.get(path.as_str())?.get(key.as_str())
    }

    fn insert(&self, path: &OriginPath<'_>, key: &VariantKey<'_>, value: V) -> Option<V> {
        // `entry` needs an owned path, so the path is copied only if needed.
        if let Some(mut variants) = self.0.get_mut(path.as_str()) {
            return variants.insert(key.as_str(), value);
        }
        self.0.entry(path.as_str().into()).or_default().insert(key.as_str(), value)
    }

    fn purge(&self, path: &OriginPath<'_>, gone: &mut dyn FnMut(&str, V)) {
        if let Some((_, variants)) = self.0.remove(path.as_str()) {
            variants.hand_over(|key, value| gone(key, value));
        }
    }

    fn purge_prefix(&self, prefix: &PathPrefix<'_>) {
        self.0.retain(|path, _| !path.starts_with(prefix.as_str()));
    }

    fn flush_all(&self) {
        self.0.clear();
    }

    fn reclaim(&self) {
        self.0.shrink_to_fit();
    }
}
