//! scc, `HashMap`: each path with its set of variants.

use super::variants::{Short, Variants};
use super::{Peer, Room, Shared};
use crate::site::Payload;
use ahash::RandomState;
use cache_index::{OriginPath, PathPrefix, VariantKey};
use scc::HashMap;

struct Scc<V: Payload, S: Short>(HashMap<Box<str>, Variants<V, S>, RandomState>);

pub(super) fn make<V: Payload, S: Short>(room: Room) -> Shared<V> {
    Box::new(Scc::<V, S>(HashMap::with_capacity_and_hasher(room.paths, RandomState::new())))
}

impl<V: Payload, S: Short> Peer<V> for Scc<V, S> {
    fn look_up(&self, path: &OriginPath<'_>, key: &VariantKey<'_>) -> Option<V> {
        self.0.read_sync(path.as_str(), |_, variants| variants.get(key.as_str()))?
    }

    fn insert(&self, path: &OriginPath<'_>, key: &VariantKey<'_>, value: V) -> Option<V> {
        // `entry_sync` needs an owned path, so the path is copied only if needed.
        let known =
            self.0.update_sync(path.as_str(), |_, variants| variants.insert(key.as_str(), value));
        known.unwrap_or_else(|| {
            self.0
                .entry_sync(path.as_str().into())
                .or_default()
                .get_mut()
                .insert(key.as_str(), value)
        })
    }

    fn purge(&self, path: &OriginPath<'_>, gone: &mut dyn FnMut(&str, V)) {
        if let Some((_, variants)) = self.0.remove_sync(path.as_str()) {
            variants.hand_over(|key, value| gone(key, value));
        }
    }

    fn purge_prefix(&self, prefix: &PathPrefix<'_>) {
        self.0.retain_sync(|path, _| !path.starts_with(prefix.as_str()));
    }

    fn flush_all(&self) {
        self.0.clear_sync();
    }

    // The map shrinks its tables by itself as it empties, but not below its initial capacity.
    fn reclaim(&self) {}
}
