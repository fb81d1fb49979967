//! By hand: `hashbrown` tables in stripes, each path with its set of variants.

use super::stripes::Stripes;
use super::variants::{Short, Variants};
use super::{Peer, Room, Shared};
use crate::site::Payload;
use cache_index::{OriginPath, PathPrefix, VariantKey};

struct Striped<V: Payload, S: Short>(Stripes<Variants<V, S>>);

pub(super) fn make<V: Payload, S: Short>(room: Room) -> Shared<V> {
    Box::new(Striped::<V, S>(Stripes::new(room.paths)))
}

impl<V: Payload, S: Short> Peer<V> for Striped<V, S> {
    fn look_up(&self, path: &OriginPath<'_>, key: &VariantKey<'_>) -> Option<V> {
        self.0.read(path.as_str(), |variants| variants.get(key.as_str()))
    }

    fn insert(&self, path: &OriginPath<'_>, key: &VariantKey<'_>, value: V) -> Option<V> {
        self.0.update(path.as_str(), |variants| variants.insert(key.as_str(), value))
    }

    fn purge(&self, path: &OriginPath<'_>, gone: &mut dyn FnMut(&str, V)) {
        if let Some(variants) = self.0.remove(path.as_str()) {
            variants.hand_over(|key, value| gone(key, value));
        }
    }

    fn purge_prefix(&self, prefix: &PathPrefix<'_>) {
        drop(self.0.remove_prefix(prefix.as_str()));
    }

    fn flush_all(&self) {
        self.0.clear();
    }

    fn reclaim(&self) {
        self.0.shrink();
    }
}
